"""The verb watch: changes as a stream of lines, from a resourceVersion or from the present state on.

Called by ``http.py`` with an ASGI ``send``. A watch at rest costs a future and its end's timer, nothing else; a change
is encoded once per representation, whoever watches. Bookmarks come from one timer for all watches (`Bookmarks`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from windlass.devstack.apiserver import reading, table, views
from windlass.devstack.apiserver.errors import ApiError
from windlass.devstack.apiserver.options import check_list, watch_version
from windlass.devstack.apiserver.registry import Resource
from windlass.devstack.apiserver.request import Call
from windlass.devstack.apiserver.store import Event, Item, Store, Watch, with_revision

Send = Callable[[bytes], Awaitable[None]]

BOOKMARK_SECONDS = 60.0
INITIAL_END = {"k8s.io/initial-events-end": "true"}


class Stream:
    """One watch request: its queue in the store and how its lines look."""

    def __init__(self, store: Store, call: Call) -> None:
        self._store = store
        self._call = call
        self._resource: Resource = call.resource
        self._chosen = reading.select(call)
        self._initial, self._since = _start(call)
        self._bookmarks = call.flag("allowWatchBookmarks")
        self._columns_due = True
        self._include = call.one("includeObject")
        self.watch: Watch | None = None
        self._ended: ApiError | None = None

    def open(self) -> list[bytes]:
        """Begin: the lines of the present state, where it was asked for. From here on nothing is missed."""
        store, chosen = self._store, self._chosen
        since = self._since
        namespace = self._call.namespace or chosen.namespace
        selects = chosen.test
        try:
            self.watch = store.watch(
                [self._resource.storage],
                since=since,
                namespace=namespace,
                name=chosen.name,
                label=chosen.label,
                selects=selects,
            )
        except ApiError as error:
            self._ended = error
            return [views.encode({"type": "ERROR", "object": error.status()}) + b"\n"]
        if not self._initial:
            return []
        found = reading.chosen_now(store, self._resource, namespace, chosen)
        lines = [self._line("ADDED", item, None) for item in found]
        if self._bookmarks and self._call.flag("sendInitialEvents"):
            lines.append(self._bookmark(INITIAL_END))
        return lines

    async def run(self, send: Send) -> None:
        """Send lines until the watch ends: its time is over, the client is gone, or the server stops."""
        first = b"".join(self.open())
        if first:
            await send(first)
        watch = self.watch
        if watch is None:
            return
        seconds = reading.number(self._call.one("timeoutSeconds") or "0") or random.randint(1800, 3600)  # noqa: S311
        timer = asyncio.get_running_loop().call_later(seconds, watch.close)
        try:
            while True:
                await watch.ready()
                lines = [self._event(*watch.queue.popleft()) for _ in range(len(watch.queue))]
                if not lines:
                    if watch.closed:
                        return
                    if self._bookmarks:
                        lines.append(self._bookmark(None))
                if lines:
                    await send(b"".join(lines))
        finally:
            timer.cancel()
            self._store.unwatch(watch)

    def _event(self, kind: str, event: Event) -> bytes:
        key = (kind, self._resource.id, self._call.form, self._include)
        line = event.lines.get(key)
        if line is None or (self._columns_due and self._call.form.shape == "table"):
            item = event.item
            if kind == "DELETED" and event.type != "DELETED" and event.old is not None:
                item = with_revision(event.old, event.rv)
            line = self._line(kind, item, event)
        return line

    def _line(self, kind: str, item: Item, event: Event | None) -> bytes:
        form = self._call.form
        if form.shape == "table":
            return self._row(kind, item)
        if form.shape == "metadata":
            body = views.encode(views.metadata_of(item.obj, form.version))
        else:
            body = views.encoded(self._resource, item)
        line = b'{"type":"%b","object":%b}\n' % (kind.encode(), body)
        if event is not None:
            event.lines[kind, self._resource.id, form, self._include] = line
        return line

    def _row(self, kind: str, item: Item) -> bytes:
        meta = {"resourceVersion": str(item.rv)}
        made = table.make(self._resource, [item], meta, self._call.form.version, self._include)
        if not self._columns_due:
            made["columnDefinitions"] = None
        self._columns_due = False
        return views.encode({"type": kind, "object": made}) + b"\n"

    def _bookmark(self, annotations: dict[str, str] | None) -> bytes:
        resource, form = self._resource, self._call.form
        meta: dict[str, Any] = {"resourceVersion": str(self._store.revision)}
        if annotations:
            meta["annotations"] = annotations
        obj: dict[str, Any] = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        if form.shape == "metadata":
            obj = views.metadata_of(obj, form.version)
        if form.shape == "table":
            row = {"cells": [], "object": views.metadata_of(obj, form.version)}
            version = f"meta.k8s.io/{form.version}"
            obj = {"kind": "Table", "apiVersion": version, "metadata": meta, "columnDefinitions": None, "rows": [row]}
        return views.encode({"type": "BOOKMARK", "object": obj}) + b"\n"


def _start(call: Call) -> tuple[bool, int | None]:
    """Whether the present state comes first, and the revision from which on changes are wanted (None: from now)."""
    check_list(call)
    since = watch_version(call) or None
    if "sendInitialEvents" in call.query:
        initial = call.flag("sendInitialEvents")
        return initial, None if initial else since
    return since is None, since


async def bookmarks(store: Store) -> None:
    """Wake every watch each minute, so that those at rest send a bookmark. Runs as long as the server."""
    while True:
        await asyncio.sleep(BOOKMARK_SECONDS)
        for watch in store.watches():
            watch.wake()
