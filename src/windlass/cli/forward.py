"""``windlass forward``: takes a rollback's pin out again, so that the Application follows its branch."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, namespace_option, output_option, reason_option, waiting_options


@click.command("forward")
@click.argument("app")
@click.option("--yes", is_flag=True, help="After a rollback --revert: without asking.")
@click.option("--break-glass", is_flag=True, help="Let go of a pin of windlass sync --break-glass, without Git.")
@reason_option(required=False)
@waiting_options
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    yes: bool,
    break_glass: bool,
    reason: str,
    no_wait: bool,
    timeout: float,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Let APP follow its branch again: the undoing of a rollback, whoever made it.

    One commit takes spec.source.at out of the Application's own file; where it is not pinned, the last revert of it is
    undone. Exit code 0: the newest commit runs and is Healthy; 1: it failed; 2: not Healthy in time, or it waits until
    APP is resumed; 3: refused. --break-glass needs no Git, and the verb break-glass.
    """
    if break_glass:
        from windlass.cli import shattering
        from windlass.cli.running import run_person

        letting = shattering.Asked(app, namespace, output, None if no_wait else timeout)
        return run_person(lambda: shattering.let_go(letting, kubeconfig, context))
    from windlass.cli import rolling
    from windlass.cli.running import run_person

    asked = rolling.Asked(app, namespace, reason, None if no_wait else timeout, output, yes=yes)
    return run_person(lambda: rolling.roll_forward(asked, kubeconfig, context))
