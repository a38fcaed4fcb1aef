"""``windlass status``: what runs, how it is, and why something is not healthy."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, namespace_option, output_option


@click.command("status")
@click.argument("app", required=False, default="")
@click.option("-w", "--watch", is_flag=True, help="Go on, and show what changes. Ctrl-C ends it.")
@click.option("--all", "everything", is_flag=True, help="List healthy objects too.")
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    watch: bool,
    everything: bool,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Show one Application with its objects and the reasons behind what is not healthy, or a line for each Application.

    Without APP: those of all namespaces, or of the one that -n names. Objects are read with your own rights; behind an
    unhealthy workload its pods, their Events and the last line of their logs too. Exit code 2 where something is not
    synced or not healthy.
    """
    if watch and output != "human":
        raise click.UsageError("--watch is for people: leave -o out")
    from windlass.cli import watching
    from windlass.cli.running import run_person

    asked = watching.Asked(app, namespace, watch=watch, everything=everything, output=output)
    return run_person(lambda: watching.status(asked, kubeconfig, context))
