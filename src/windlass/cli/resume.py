"""``windlass resume``: ends a suspend or a freeze before its time, by a commit."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, namespace_option, output_option, reason_option, waiting_options


@click.command("resume")
@click.argument("app", required=False, default="")
@reason_option(required=False)
@waiting_options
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    reason: str,
    no_wait: bool,
    timeout: float,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """End the suspend or freeze of APP before its time; without APP, the freeze of the whole cluster.

    One commit with your own Git takes it out of the file again.
    """
    if namespace and not app:
        # Without APP the whole cluster is meant: who names a namespace did not mean that.
        raise click.UsageError(
            f"-n goes with APP: windlass resume -n {namespace} APP; all of the cluster is without -n"
        )
    from windlass.cli import excepting
    from windlass.cli.running import run_person

    asked = excepting.Asked(app, namespace, reason, "", None if no_wait else timeout, output)
    return run_person(lambda: excepting.resume(asked, kubeconfig, context))
