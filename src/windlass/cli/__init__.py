"""Thin commands: parse, call, print. The only place with ``asyncio.run``.

Commands are loaded when they are called, so that ``--help`` and completion import no I/O library. Exit codes: 0 done,
1 error, 2 differences found or not healthy, 3 refused, 64 wrong usage.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click
from typing_extensions import override

from windlass import __version__

COMMANDS = {
    "up": "the whole system on the embedded devstack",
    "demo": "tells the whole story on it, step by step, each step checked",
    "controller": "the operator, against the cluster it runs in or the current kubeconfig context",
    "devcluster": "only the embedded Kubernetes API server",
    "install": "prints what a cluster needs to run the controller",
    "render": "what a path renders to",
    "plan": "what would change, against the cluster or between two commits",
    "diff": "live against Git now, with who changed what when",
    "sync": "asks the controller to look and apply now",
    "status": "sync and health, and why something is not healthy",
    "log": "the timeline from the ledger",
    "metrics": "delivery metrics from the ledger",
    "export": "evidence for an auditor, from the ledger",
    "ledger": "proves the ledger",
    "rollback": "back to what ran before, by one commit that pins it",
    "forward": "follow the branch again",
    "fork": "the same Application once more, beside it, by a commit",
    "blame": "the commit and the line behind a live field",
    "bisect": "the first commit that was not Healthy",
    "suspend": "apply nothing until a time, by a commit",
    "freeze": "apply no new commit until a time, by a commit",
    "resume": "end a suspend or freeze before its time",
    "ignore": "leave fields of an object to others until a time, by a commit",
    "hold": "keep an image policy from taking a tag, by a commit",
    "image": "what image policies chose and why, and a look at the registry now",
}
"""Command to its line in ``--help``: the words of ``docs/cli.md``."""

USAGE = 64


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported when they are called."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"windlass.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    name="windlass",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Exit codes: 0 done, 1 error, 2 differences found or not healthy, 3 refused, 64 wrong usage.",
)
@click.version_option(__version__, "-V", "--version", prog_name="windlass", message="%(prog)s %(version)s")
def group() -> None:
    """GitOps for Kubernetes: the cluster hauls itself to what Git says."""


def main(arguments: list[str] | None = None) -> None:
    """The program. Ends the process with the documented exit code."""
    try:
        code: Any = group.main(args=arguments, prog_name="windlass", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(USAGE)
    except click.Abort:
        sys.exit(130)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`windlass status | head`): not an error of ours.
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the program's last wall: known errors are told, others are bugs
        from windlass.cli.telling import tell_error

        sys.exit(tell_error(error))
    sys.exit(code if isinstance(code, int) else 0)
