"""``windlass demo``: the whole story on the embedded devstack or on a cluster of one's own, each step checked."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave it running at the end, to look around.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Keep everything in this folder.")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Play on this cluster in place of an embedded one.",
)
@click.option("--context", default="", help="A context of that kubeconfig; its current one where none is named.")
def command(keep: bool, data: Path | None, kubeconfig: Path | None, context: str) -> int:
    """Tell the whole story on an embedded devstack, step by step, and check each step.

    Ends with a summary; the exit code is 0 only if every check passed. Nothing leaves this machine.

    With --kubeconfig it is told on a cluster of your own, for trying things out: the kinds and two namespaces are put
    into it, and taken out again at the end. The story's images are made up, so its nodes have to be ones that run
    nothing (KWOK). A cluster that has Windlass is refused.
    """
    if context and kubeconfig is None:
        raise click.UsageError("--context names a context of --kubeconfig")
    from windlass.cli.running import access, logs, run
    from windlass.demo.stack import Theirs
    from windlass.demo.story import tell

    logs("none")
    theirs = Theirs(access(kubeconfig, context or None), kubeconfig, context) if kubeconfig is not None else None
    return run(lambda stop: tell(stop, click.echo, keep=keep, folder=data, theirs=theirs))
