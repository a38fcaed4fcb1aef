"""How a command runs: one event loop, stopped by signals; logs; which cluster a person means.

Every command that does I/O goes through ``run``. Nothing else in the program calls ``asyncio.run``.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import structlog

from windlass import settings
from windlass.adapters.cluster import Access, from_kubeconfig, in_cluster
from windlass.errors import NeedsHuman

T = TypeVar("T")


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine to its end. Its argument is set at the first SIGINT, SIGTERM or SIGHUP; the second ends it the
    hard way.
    """

    async def guarded() -> T:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask(number: signal.Signals) -> None:
            if stop.is_set():
                loop.remove_signal_handler(number)
                signal.raise_signal(number)
            stop.set()

        # The terminal's end (SIGHUP) is a wish to stop too, but not under nohup.
        hang_up = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
        for number in (signal.SIGINT, signal.SIGTERM, *hang_up):
            loop.add_signal_handler(number, ask, number)
        return await main(stop)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(guarded())
    except BaseExceptionGroup as group:
        leaf = _only_leaf(group)
        if leaf is None:
            raise
        # A task group around one error tells a person nothing.
        raise leaf from leaf.__cause__


def run_person(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a command that a person waits for. Ctrl-C cancels it, and ends in KeyboardInterrupt. Flows that it calls
    tell nothing in a log: the command says what there is to say."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    async def stoppable(stop: asyncio.Event) -> T:
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(main())
            asked = tasks.create_task(stop.wait())
            await asyncio.wait([work, asked], return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if not work.done():
                work.cancel()
        if work.cancelled():
            raise KeyboardInterrupt
        return work.result()

    return run(stoppable)


def _only_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    if len(group.exceptions) != 1:
        return None
    only = group.exceptions[0]
    return _only_leaf(only) if isinstance(only, BaseExceptionGroup) else only


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def access(kubeconfig: Path | None, context: str | None) -> Access:
    """The cluster that is meant: the named file, else the Pod's own, else the person's kubeconfig.

    Exec plugins of a kubeconfig run programs; it is the person's own file on their own machine, so they are allowed.
    """
    if kubeconfig is None and context is None:
        here = settings.in_cluster()
        if here is not None:
            return in_cluster(here[0], str(here[1]))
    files = [kubeconfig] if kubeconfig is not None else settings.kubeconfig_files()
    if not files:
        raise NeedsHuman(
            "there is no kubeconfig",
            hint="name one with --kubeconfig or KUBECONFIG, or try it without a cluster: windlass up",
        )
    return from_kubeconfig(files, context or "", allow_exec=True, environment=settings.child_environment())


def logs(form: str, *, stream: Any = None, level: int = logging.INFO) -> None:
    """One line per decision, on standard error: ``json``, ``text`` (key=value, foreign text quoted), or ``none``."""
    out = stream if stream is not None else sys.stderr
    render: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    )
    if form == "none":
        level = logging.CRITICAL
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # A line is one write, with its end: two processes that share a file don't mix theirs.
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
