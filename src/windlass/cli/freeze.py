"""``windlass freeze``: no new commit is applied until a time, by a commit."""

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


@click.command("freeze")
@click.argument("app", required=False, default="")
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
    """Apply no new commit of APP until a time; without APP, of no Application of the cluster.

    What runs is held to what was applied last, and windlass rollback works. One commit with your own Git writes
    spec.freeze into the Application's own file, or the Installation's. It ends by itself.
    """
    if namespace and not app:
        # Without APP the whole cluster is meant: who names a namespace did not mean that.
        raise click.UsageError(
            f"-n goes with APP: windlass freeze -n {namespace} APP; all of the cluster is without -n"
        )
    from windlass.cli import excepting
    from windlass.cli.running import run_person

    asked = excepting.Asked(app, namespace, reason, until, None if no_wait else timeout, output)
    return run_person(lambda: excepting.hold("freeze", asked, kubeconfig, context))
