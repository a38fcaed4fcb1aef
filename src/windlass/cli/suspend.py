"""``windlass suspend``: nothing is applied until a time, by a commit."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import (
    cluster_options,
    namespace_option,
    output_option,
    reason_option,
    until_option,
    waiting_options,
)


@click.command("suspend")
@click.argument("app")
@until_option
@reason_option(required=True)
@waiting_options
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    until: str,
    reason: str,
    no_wait: bool,
    timeout: float,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Apply nothing of APP until a time, and put nothing back: it is left as it is, and drift is only told.

    One commit with your own Git writes spec.suspend into the Application's own file. It ends by itself.
    """
    from windlass.cli import excepting
    from windlass.cli.running import run_person

    asked = excepting.Asked(app, namespace, reason, until, None if no_wait else timeout, output)
    return run_person(lambda: excepting.hold("suspend", asked, kubeconfig, context))
