"""``windlass sync``: asks the controller to look at Git and to apply now. It applies nothing itself."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import Duration, Until, Words, cluster_options, namespace_option, output_option


@click.command("sync")
@click.argument("app")
@click.option("--only", default="", metavar="KIND/NAME", help="Apply this object alone.")
@click.option("--wait", is_flag=True, help="Wait until the request is answered and everything is Healthy, or can't be.")
@click.option("--timeout", type=Duration(), default="5m", show_default=True, help="How long --wait waits.")
@click.option("--commit", default="", help="With --break-glass: this commit, while Git is away.")
@click.option("--break-glass", is_flag=True, help="Pin --commit in the cluster, without Git.")
@click.option(
    "--reason", type=Words(), default="", help="With --break-glass: why; it becomes part of the commit that follows."
)
@click.option(
    "--until",
    type=Until(),
    default="1h",
    show_default=True,
    metavar="TIME",
    help="With --break-glass: when the pin ends by itself, at most 24h from now.",
)
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    only: str,
    wait: bool,
    timeout: float,
    commit: str,
    break_glass: bool,
    reason: str,
    until: str,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Ask for a look at Git and an apply of APP now, with your own right to patch it.

    It puts back what was changed by hand, applies what waits (sync.mode: manual), and tries again what failed. With
    --wait, exit code 0: synced and Healthy; 1: it failed; 2: applied, and not Healthy in time; 3: refused.

    With --break-glass it pins --commit in the cluster, while Git is away. That needs the verb break-glass on
    Applications. Everybody sees it, the controller commits the pin when Git is back, and it ends by itself.
    """
    if break_glass:
        from windlass.cli import shattering
        from windlass.cli.running import run_person

        if not commit or not reason.strip():
            raise click.UsageError("--break-glass needs --commit COMMIT and --reason WHY")
        if only:
            raise click.UsageError("--break-glass pins the whole Application: leave --only out")
        broken = shattering.Asked(app, namespace, output, timeout if wait else None, commit, reason, until)
        return run_person(lambda: shattering.shatter(broken, kubeconfig, context))
    if commit or reason:
        what = "--commit" if commit else "--reason"
        raise click.UsageError(f"{what} goes with --break-glass; with Git: windlass rollback {app} --to COMMIT")
    kind, slash, name = only.partition("/")
    if only and not (kind and slash and name and "/" not in name and not any(each.isspace() for each in only)):
        raise click.UsageError(f"--only is KIND/NAME, such as Deployment/web, not {only!r}")
    from windlass.cli import requesting
    from windlass.cli.running import run_person

    asked = requesting.Asked(app, namespace, only, timeout if wait else None, output)
    return run_person(lambda: requesting.request(asked, kubeconfig, context))
