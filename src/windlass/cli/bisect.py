"""``windlass bisect``: the first commit with which an Application was not Healthy."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, ledger_options, namespace_option, output_option


@click.command("bisect")
@click.argument("app")
@namespace_option
@ledger_options
@cluster_options
@output_option
def command(
    app: str,
    namespace: str,
    ledger_url: str,
    cluster_name: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Tell the first commit with which APP was not Healthy, and the last one before it with which it was.

    Nothing is tried out: the ledger knows what became of each commit, and without one the last ten deployments of the
    status. Exit code 2: the newest commit is not Healthy.
    """
    from windlass.cli import bisecting
    from windlass.cli.running import run_person

    asked = bisecting.Asked(app, namespace, ledger_url, cluster_name, output)
    return run_person(lambda: bisecting.bisect(asked, kubeconfig, context))
