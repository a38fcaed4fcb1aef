"""``windlass demo``: the whole story on the embedded devstack, each step checked."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave it running at the end, to look around.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Keep everything in this folder.")
def command(keep: bool, data: Path | None) -> int:
    """Tell the whole story on an embedded devstack, step by step, and check each step.

    Ends with a summary; the exit code is 0 only if every check passed. Nothing leaves this machine.
    """
    from windlass.cli.running import logs, run
    from windlass.demo.story import tell

    logs("none")
    return run(lambda stop: tell(stop, click.echo, keep=keep, folder=data))
