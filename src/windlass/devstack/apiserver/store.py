"""The objects of the cluster: one revision counter, the present state, and enough history for watches and paged lists.

An object is a `dict` that is never changed once stored, with its JSON bytes beside it, encoded once: readers, lists
and watches share both. Writers build new dicts. Everything here is synchronous and runs on the event loop, so that a
read, a decision and a write without an ``await`` between them are atomic. ``journal.py`` makes writes durable;
`Store.durable` waits for it.

It knows resources only as names of shelves; it does not validate, convert or authorize. The verbs call it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from windlass.devstack.apiserver.errors import expired, too_old

HISTORY = 8192
"""Events remembered per resource: a watch may be that far behind."""
BACKLOG = 20_000
"""Events a watcher may leave unread before it is ended, as the real server ends slow ones."""

_encode = msgspec.json.Encoder().encode


class Item:
    """One version of one object. ``obj`` is shared and never changed; ``raw`` is its JSON."""

    __slots__ = ("name", "namespace", "obj", "raw", "resource", "rv")

    def __init__(self, resource: str, namespace: str, name: str, obj: dict[str, Any], rv: int, raw: bytes) -> None:
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.obj = obj
        self.rv = rv
        self.raw = raw


class Event:
    """A change: ``item`` is what is there now (of a deletion: what was there last), ``old`` what was there before."""

    __slots__ = ("item", "lines", "old", "rv", "type")

    def __init__(self, kind: str, item: Item, old: Item | None, rv: int) -> None:
        self.type = kind
        self.item = item
        self.old = old
        self.rv = rv
        self.lines: dict[Any, bytes] = {}
        """Encoded watch lines by representation: made by the first watcher that needs one, shared by all others."""


class Journal(Protocol):
    """Where writes are made durable, in the order of `append`."""

    def append(self, item: Item, gone: bool) -> None: ...
    def durable(self, rv: int) -> asyncio.Future[None] | None: ...


class Watch:
    """A reader's queue of changes. ``selects`` is asked on old and new object; see `Store.watch`."""

    __slots__ = ("_waiter", "closed", "label", "name", "namespace", "queue", "resources", "selects")

    def __init__(
        self,
        resources: frozenset[str] | None,
        namespace: str,
        name: str,
        label: tuple[str, str] | None,
        selects: Callable[[dict[str, Any]], bool] | None,
    ) -> None:
        self.resources = resources
        self.namespace = namespace
        self.name = name
        self.label = label
        self.selects = selects
        self.queue: deque[tuple[str, Event]] = deque()
        self.closed = False
        self._waiter: asyncio.Future[None] | None = None

    def offer(self, event: Event) -> None:
        """Queue the change as this watcher sees it: leaving the selection is DELETED, entering it ADDED."""
        item = event.item
        if (self.namespace and item.namespace != self.namespace) or (self.name and item.name != self.name):
            return
        kind = event.type
        if self.selects is not None:
            before = event.old is not None and self.selects(event.old.obj)
            after = kind != "DELETED" and self.selects(item.obj)
            if not before and not after:
                return
            kind = ("MODIFIED" if before else "ADDED") if after else "DELETED"
        if len(self.queue) >= BACKLOG:
            self.close()
            return
        self.queue.append((kind, event))
        self.wake()

    def wake(self) -> None:
        """Let `ready` return, whether or not there is anything in the queue."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """No more changes: what is queued may still be read."""
        self.closed = True
        self.wake()

    async def ready(self) -> None:
        """Wait until there is something to read, or the watch is closed or woken."""
        if self.queue or self.closed:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


class _Shelf:
    """The objects of one resource: by namespace and name, with sorted names made when asked, and an index of labels."""

    __slots__ = ("count", "dropped", "history", "labels", "names", "spaces")

    def __init__(self, history: int, dropped: int) -> None:
        self.spaces: dict[str, dict[str, Item]] = {}
        self.names: dict[str, list[str]] = {}
        self.labels: dict[tuple[str, str], dict[tuple[str, str], Item]] = {}
        self.count = 0
        self.history: deque[Event] = deque(maxlen=history)
        self.dropped = dropped
        """The newest revision that history no longer holds: a watch from there or later is complete."""

    def put(self, item: Item, old: Item | None) -> None:
        space = self.spaces.setdefault(item.namespace, {})
        if old is None:
            self.count += 1
            self.names.pop(item.namespace, None)
        space[item.name] = item
        key = (item.namespace, item.name)
        labels = item.obj["metadata"].get("labels") or {}
        if old is not None:
            self._unlabel(old, key, labels)
        for pair in labels.items():
            self.labels.setdefault(pair, {})[key] = item

    def take(self, old: Item) -> None:
        space = self.spaces[old.namespace]
        del space[old.name]
        if not space:
            del self.spaces[old.namespace]
        self.names.pop(old.namespace, None)
        self.count -= 1
        self._unlabel(old, (old.namespace, old.name), {})

    def _unlabel(self, old: Item, key: tuple[str, str], keep: Mapping[str, str]) -> None:
        for pair in (old.obj["metadata"].get("labels") or {}).items():
            if keep.get(pair[0]) != pair[1]:
                among = self.labels[pair]
                del among[key]
                if not among:
                    del self.labels[pair]

    def sorted_in(self, namespace: str) -> Iterator[Item]:
        space = self.spaces.get(namespace)
        if not space:
            return iter(())
        names = self.names.get(namespace)
        if names is None:
            names = self.names[namespace] = sorted(space)
        return map(space.__getitem__, names)

    def remember(self, event: Event) -> None:
        if len(self.history) == self.history.maxlen:
            self.dropped = self.history[0].rv
        self.history.append(event)


class Store:
    """See the module's head. ``revision`` is the newest resourceVersion given out."""

    def __init__(self, *, revision: int = 1, journal: Journal | None = None, history: int = HISTORY) -> None:
        self.revision = revision
        self._journal = journal
        self._shelves: dict[str, _Shelf] = {}
        self._history = history
        self._begin = revision
        self._watches: dict[str | None, dict[Watch, None]] = {}
        self._labelled: dict[tuple[str, str, str], dict[Watch, None]] = {}

    # -- reading

    def get(self, resource: str, namespace: str, name: str) -> Item | None:
        """The object as it is now."""
        shelf = self._shelves.get(resource)
        if shelf is None:
            return None
        space = shelf.spaces.get(namespace)
        return None if space is None else space.get(name)

    def count(self, resource: str) -> int:
        """How many objects a resource has."""
        shelf = self._shelves.get(resource)
        return 0 if shelf is None else shelf.count

    def changed(self, resource: str) -> int:
        """The revision at which a resource last changed, 0 where it never did since the start."""
        shelf = self._shelves.get(resource)
        return shelf.history[-1].rv if shelf is not None and shelf.history else 0

    def items(self, resource: str, namespace: str = "", label: tuple[str, str] | None = None) -> list[Item]:
        """All objects now, ordered by namespace and name. ``label`` narrows by the index (key and value)."""
        shelf = self._shelves.get(resource)
        if shelf is None:
            return []
        if label is not None:
            among = shelf.labels.get(label, {})
            return [among[key] for key in sorted(among) if not namespace or key[0] == namespace]
        if namespace:
            return list(shelf.sorted_in(namespace))
        return [item for space in sorted(shelf.spaces) for item in shelf.sorted_in(space)]

    def items_at(self, resource: str, namespace: str, rv: int) -> list[Item]:
        """The objects as they were at revision ``rv``, told from the present and the history. 410 where that does not
        reach.
        """
        shelf = self._shelf(resource)
        if rv >= self.revision:
            return self.items(resource, namespace)
        if rv < shelf.dropped:
            raise expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter."
            )
        state = {(item.namespace, item.name): item for item in self.items(resource, namespace)}
        for event in reversed(shelf.history):
            if event.rv <= rv:
                break
            key = (event.item.namespace, event.item.name)
            if namespace and key[0] != namespace:
                continue
            if event.old is None:
                state.pop(key, None)
            else:
                state[key] = event.old
        return [state[key] for key in sorted(state)]

    # -- writing

    def write(self, resource: str, namespace: str, name: str, obj: dict[str, Any]) -> Item:
        """Store a new object or a new version of one. ``obj`` becomes the store's: only its
        ``metadata.resourceVersion`` is set here.
        """
        shelf = self._shelf(resource)
        space = shelf.spaces.get(namespace)
        old = None if space is None else space.get(name)
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        item = Item(resource, namespace, name, obj, self.revision, _encode(obj))
        shelf.put(item, old)
        self._publish(shelf, Event("MODIFIED" if old else "ADDED", item, old, self.revision))
        return item

    def remove(self, resource: str, namespace: str, name: str) -> Item:
        """Take an object away. Returns its last version under the revision of the deletion. KeyError where nothing
        is.
        """
        shelf = self._shelf(resource)
        old = shelf.spaces[namespace][name]
        self.revision += 1
        shelf.take(old)
        item = with_revision(old, self.revision)
        self._publish(shelf, Event("DELETED", item, old, self.revision))
        return item

    def load(self, rows: Iterable[tuple[str, str, str, int, bytes]]) -> None:
        """Take over what a journal holds: resource, namespace, name, revision, JSON. No event is made."""
        for resource, namespace, name, rv, raw in rows:
            item = Item(resource, namespace, name, msgspec.json.decode(raw), rv, raw)
            self._shelf(resource).put(item, None)

    async def durable(self, rv: int) -> None:
        """Wait until everything up to ``rv`` would survive the end of this process. OSError if it could not be
        written.
        """
        if self._journal is not None:
            waiting = self._journal.durable(rv)
            if waiting is not None:
                await waiting

    # -- watching

    def watch(
        self,
        resources: Collection[str] | None,
        *,
        since: int | None = None,
        namespace: str = "",
        name: str = "",
        label: tuple[str, str] | None = None,
        selects: Callable[[dict[str, Any]], bool] | None = None,
    ) -> Watch:
        """Changes after revision ``since`` (default: from now on) of some resources or all.

        ``selects`` is a whole selector; ``label`` is one equality that it implies, by which the watcher is found
        without asking it. 410 where history does not reach back that far.
        """
        watch = Watch(None if resources is None else frozenset(resources), namespace, name, label, selects)
        if since is not None and since < self.revision:
            for resource in list(self._shelves) if resources is None else resources:
                shelf = self._shelf(resource)
                if since < shelf.dropped:
                    raise too_old(since, shelf.dropped)
                for event in _after(shelf.history, since):
                    watch.offer(event)
        for shelf_name in _names(watch):
            self._enrol(shelf_name, watch)[watch] = None
        return watch

    def unwatch(self, watch: Watch) -> None:
        """End a watch."""
        watch.close()
        for resource in _names(watch):
            self._enrol(resource, watch).pop(watch, None)
            if watch.label is not None and resource is not None:
                key = (resource, *watch.label)
                if not self._labelled[key]:
                    del self._labelled[key]

    def watches(self) -> list[Watch]:
        """Every open watch."""
        found = [watch for among in self._watches.values() for watch in among]
        return found + [watch for among in self._labelled.values() for watch in among]

    def _enrol(self, resource: str | None, watch: Watch) -> dict[Watch, None]:
        if watch.label is not None and resource is not None:
            return self._labelled.setdefault((resource, *watch.label), {})
        return self._watches.setdefault(resource, {})

    def _shelf(self, resource: str) -> _Shelf:
        shelf = self._shelves.get(resource)
        if shelf is None:
            shelf = self._shelves[resource] = _Shelf(self._history, self._begin)
        return shelf

    def _publish(self, shelf: _Shelf, event: Event) -> None:
        shelf.remember(event)
        item = event.item
        if self._journal is not None:
            self._journal.append(item, event.type == "DELETED")
        for among in (self._watches.get(item.resource), self._watches.get(None)):
            for watch in tuple(among or ()):
                watch.offer(event)
        if self._labelled:
            self._publish_labelled(event)

    def _publish_labelled(self, event: Event) -> None:
        item, old = event.item, event.old
        pairs = dict.fromkeys((item.obj["metadata"].get("labels") or {}).items())
        if old is not None:
            pairs.update(dict.fromkeys((old.obj["metadata"].get("labels") or {}).items()))
        for key, value in pairs:
            for watch in tuple(self._labelled.get((item.resource, key, value), ())):
                watch.offer(event)


def _names(watch: Watch) -> Iterable[str | None]:
    """Under which names a watch is enrolled: those of its resources, or None for all."""
    return (None,) if watch.resources is None else watch.resources


def with_revision(item: Item, rv: int) -> Item:
    """The same object under another resourceVersion: what a watch shows of a deletion."""
    obj = {**item.obj, "metadata": {**item.obj["metadata"], "resourceVersion": str(rv)}}
    return Item(item.resource, item.namespace, item.name, obj, rv, _encode(obj))


def _after(history: deque[Event], since: int) -> list[Event]:
    found: list[Event] = []
    for event in reversed(history):
        if event.rv <= since:
            break
        found.append(event)
    found.reverse()
    return found
