"""``windlass rollback``: back to what ran before, by one commit that pins it, with the person's own Git."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, namespace_option, output_option, reason_option, waiting_options


@click.command("rollback")
@click.argument("app")
@click.option("--to", "target", default="", metavar="COMMIT|TAG", help="Back to this commit or tag.")
@click.option(
    "--steps", type=click.IntRange(1, 10), default=None, help="Back by so many commits that deployed something else."
)
@click.option("--revert", is_flag=True, help="Put the content itself back on the branch, in place of a pin.")
@click.option("--yes", is_flag=True, help="Without asking.")
@reason_option(required=True)
@waiting_options
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    target: str,
    steps: int | None,
    revert: bool,
    yes: bool,
    reason: str,
    no_wait: bool,
    timeout: float,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Pin APP at the last commit before what runs now at which it was Healthy, or at the one that is named.

    One commit writes spec.source.at into the Application's own file and is pushed with your own Git rights and name,
    never by force. Then it waits until that runs. Sync stays automatic: what the branch says since is pending until
    windlass forward.

    What does not come from Git (chart versions by range, values of the cluster, further repositories) stays as it is
    now. Where it was otherwise with that commit, that is told first, and a terminal is asked.

    With --revert the files that its render reads are put back as they were, by a commit on the branch it follows: it
    tells whom else that touches, and asks. That is also the way for an Application that is in no file in Git.

    Exit code 0: it runs and is Healthy; 1: it failed; 2: not Healthy in time, or the pin waits until APP is resumed;
    3: refused.
    """
    if target and steps:
        raise click.UsageError("--to names a commit, --steps counts: leave one of the two out")
    from windlass.cli import rolling
    from windlass.cli.running import run_person

    asked = rolling.Asked(app, namespace, reason, None if no_wait else timeout, output, target, steps or 0, revert, yes)
    return run_person(lambda: rolling.roll_back(asked, kubeconfig, context))
