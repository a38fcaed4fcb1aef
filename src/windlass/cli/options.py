"""The options that several commands share. Only click: ``--help`` has to be quick."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from typing_extensions import override

from windlass.adapters.host.clock import SystemClock

F = TypeVar("F", bound=Callable[..., Any])

_AGO = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 1000
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """``90s``, ``5m``, ``1h30m`` as seconds."""

    name = "duration"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        if re.fullmatch("(?:[0-9]{1,9}(?:ms|s|m|h))+", str(value)) is None:
            self.fail(f"{value!r} is not a duration; write 30s, 5m or 2h", param, ctx)
        return sum(int(number) * _UNITS[unit] for number, unit in re.findall("([0-9]+)(ms|s|m|h)", str(value)))


class Moment(click.ParamType[datetime]):
    """A time: ``2026-11-28``, ``2026-11-28T14:00:00Z`` (without a zone: local), or a while ago: ``90m``, ``36h``,
    ``7d``."""

    name = "time"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        now = SystemClock().now()
        if re.fullmatch("(?:[0-9]{1,9}[smhdw])+", str(value)):
            parts = re.findall("([0-9]+)([smhdw])", str(value))
            try:
                return now - timedelta(seconds=sum(int(number) * _AGO[unit] for number, unit in parts))
            except OverflowError:
                self.fail(f"{value!r} is before all times", param, ctx)
        try:
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write 36h, 7d, 2026-11-28 or 2026-11-28T14:00:00Z", param, ctx)


def ledger_options(command: F) -> F:
    """Which ledger is meant, where it is not the one that the cluster's Installation names."""
    command = click.option(
        "--cluster",
        "cluster_name",
        default="",
        help="The cluster whose ledger it is, where a repository holds several.",
    )(command)
    return click.option(
        "--ledger",
        "ledger_url",
        default="",
        envvar="WINDLASS_LEDGER",
        help="The repository that holds the ledger. Without it the cluster is asked.",
    )(command)


def cluster_options(command: F) -> F:
    """Which cluster is meant: ``--kubeconfig`` and ``--context``."""
    command = click.option("--context", help="A context of the kubeconfig; its current one where none is named.")(
        command
    )
    return click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        help="In place of KUBECONFIG and ~/.kube/config.",
    )(command)


def namespace_option(command: F) -> F:
    """The namespace of an Application that is given by its name alone."""
    return click.option(
        "-n", "--namespace", default="", help="The Application's namespace, where APP does not name it."
    )(command)


def output_option(command: F) -> F:
    """``-o human|json|yaml``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["human", "json", "yaml"]),
        default="human",
        show_default=True,
        help="For people, or for programs.",
    )(command)


class Words(click.ParamType[str]):
    """A sentence as it may stand in a file and in a commit: on one line, and nothing that a terminal obeys.
    ``required``: one that says nothing is refused, however it is written."""

    name = "text"

    def __init__(self, *, required: bool = False) -> None:
        self._required = required

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        words = " ".join(str(value).split())
        if not words and (value or self._required):
            self.fail("it says nothing; write why, in a few words", param, ctx)
        if len(words) > _LONGEST or not all(each.isprintable() for each in words):
            self.fail(f"write printable words, at most {_LONGEST} characters of them", param, ctx)
        return words


def reason_option(*, required: bool) -> Callable[[F], F]:
    """``--reason``: it becomes part of the commit."""
    words, why = Words(required=required), "Why; it becomes part of the commit."
    if required:
        return click.option("--reason", type=words, required=True, help=why)
    return click.option("--reason", type=words, default="", help=why)


def waiting_options(command: F) -> F:
    """``--no-wait`` and ``--timeout``, for commands that wait until what they wrote runs."""
    command = click.option(
        "--timeout", type=Duration(), default="5m", show_default=True, help="How long it is waited for."
    )(command)
    return click.option("--no-wait", is_flag=True, help="End when the commit is pushed.")(command)


class Until(click.ParamType[str]):
    """``2026-12-01``, ``2026-12-01T08:00:00Z``, or ``2h`` from now, which becomes its seconds."""

    name = "time"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text or re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return text
        return str(Duration().convert(text, param, ctx))


def until_option(command: F) -> F:
    """``--until``: exceptions end."""
    return click.option(
        "--until", type=Until(), required=True, metavar="TIME", help="When it ends by itself: a time, or 2h from now."
    )(command)
