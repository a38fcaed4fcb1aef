"""``windlass plan``: what would change, against the cluster or, without one, between two commits."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, namespace_option, output_option


@click.command("plan")
@click.argument("app", required=False, default="")
@click.option(
    "--path",
    type=click.Path(path_type=Path),
    help="A folder of a repository on this machine. Without APP: no cluster is asked, and --base says against what.",
)
@click.option("--commit", default="", help="This commit, in place of the newest one (with --path: of the work tree).")
@click.option("--base", default="", help="Compare with this commit (without APP). The default is HEAD.")
@click.option("--all", "everything", is_flag=True, help="List unchanged objects too.")
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    path: Path | None,
    commit: str,
    base: str,
    everything: bool,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Show what would be created, configured and pruned. Nothing is changed, and nothing is sent as a trial.

    \b
    windlass plan shop                              the cluster against what Git says now
    windlass plan shop --path apps/shop             the cluster against the folder as it is on this machine
    windlass plan --path apps/shop --base main      the work tree against main, without a cluster

    For APP, the Repository that it names is fetched with your own Git rights, and live objects are read with your own
    rights in the cluster. Exit code 2 where something would change.
    """
    if not app and path is None:
        raise click.UsageError("name an Application, or --path with a folder")
    if app and base:
        raise click.UsageError("--base compares two commits, without APP; with APP it is the cluster that is compared")
    from windlass.cli import planning

    if app:
        from windlass.cli.running import run_person

        asked = planning.Asked(app, namespace, path, commit, everything, output)
        return run_person(lambda: planning.against_cluster(asked, kubeconfig, context))
    assert path is not None
    return planning.between_commits(path, commit, base, everything=everything, output=output)
