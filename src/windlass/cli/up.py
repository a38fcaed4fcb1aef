"""``windlass up``: the whole system on the embedded devstack, with a repository of the person's own."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("up")
@click.option("--repo", default="", help="A local repository or folder of manifests, or the URL of a repository.")
@click.option("--path", default=".", show_default=True, help="The folder in it that is applied.")
@click.option("--branch", default="main", show_default=True, help="The branch that is followed, of a URL.")
@click.option("--name", default="", help="The Application's name; the last part of the path where none is given.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Keep everything in this folder.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of the Kubernetes API; 0 takes a free one."
)
@click.option("--log-format", type=click.Choice(["json", "text", "none"]), default="none", show_default=True)
def command(repo: str, path: str, branch: str, name: str, data: Path | None, port: int, log_format: str) -> int:
    """Run the whole system on this machine: a Kubernetes API server, a Git server, and the controller.

    Nothing leaves this machine. Use the kubeconfig and the Git URL that it prints; Ctrl-C stops it. Without --repo it
    serves an empty repository to push to.
    """
    from windlass.cli.running import logs, run
    from windlass.demo.up import Wish, up

    logs(log_format)
    return run(lambda stop: up(Wish(repo, path, branch, name, data, port), stop, click.echo))
