"""``windlass devcluster``: only the embedded Kubernetes API server, for tests of other programs too."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("devcluster")
@click.option("--port", default=0, show_default=True, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("kubeconfig"),
    show_default=True,
    help="Written once it is ready.",
)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Keep its state in this folder.")
@click.option("--token", default="", help="The administrator's token; a random one where none is given.")
def command(port: int, kubeconfig: Path, data: Path | None, token: str) -> int:
    """Run only the Kubernetes API server of the devstack, with workloads that make progress without containers."""
    from windlass.cli.running import run
    from windlass.devstack.serve import Settings, serve

    def ready(url: str, token: str) -> None:
        click.echo(f"Kubernetes  {url}     try: kubectl --kubeconfig {kubeconfig} get nodes")

    settings = Settings(port=port, kubeconfig=kubeconfig, data=data, token=token)
    run(lambda stop: serve(settings, stop=stop, ready=ready))
    return 0
