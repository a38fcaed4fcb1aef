"""A model test of store, history, watches and journal: random writers, watchers with selectors, and restarts."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from windlass.devstack.apiserver.errors import ApiError
from windlass.devstack.apiserver.journal import SqliteJournal
from windlass.devstack.apiserver.store import Store, Watch

KINDS = st.sampled_from(["configmaps", "secrets"])
SPACES = st.sampled_from(["a", "b"])
NAMES = st.sampled_from(["x", "y", "z"])
LABELS = st.sampled_from([{}, {"app": "one"}, {"app": "two"}, {"app": "one", "tier": "web"}])
Key = tuple[str, str, str]


class Watcher:
    """A watch and what its events add up to."""

    def __init__(
        self, watch: Watch, kinds: list[str], space: str, label: tuple[str, str] | None, known: dict[Key, Any]
    ) -> None:
        self.watch = watch
        self.kinds = kinds
        self.space = space
        self.label = label
        self.known = known
        self.newest = 0

    def selects(self, key: Key, obj: dict[str, Any]) -> bool:
        labels = obj["metadata"].get("labels") or {}
        inside = key[0] in self.kinds and self.space in ("", key[1])
        return inside and (self.label is None or labels.get(self.label[0]) == self.label[1])

    def replay(self) -> None:
        while self.watch.queue:
            kind, event = self.watch.queue.popleft()
            item = event.item
            assert event.rv > self.newest, "events come in the order of their revisions, each once"
            self.newest = event.rv
            key = (item.resource, item.namespace, item.name)
            if kind == "ADDED":
                assert key not in self.known
                self.known[key] = item.obj
            elif kind == "MODIFIED":
                assert key in self.known
                self.known[key] = item.obj
            else:
                assert key in self.known
                del self.known[key]


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.model: dict[Key, dict[str, Any]] = {}
        self.past: list[tuple[int, dict[Key, dict[str, Any]]]] = []
        self.watchers: list[Watcher] = []
        self.newest = 0
        self.start()

    def start(self) -> None:
        self.journal = SqliteJournal(self.folder)
        revision, rows = self.journal.read()
        self.store = Store(revision=revision, journal=self.journal, history=12)
        self.store.load(rows)
        self.run(self.open())
        assert self.store.revision >= self.newest, "resourceVersions go on"

    async def open(self) -> None:
        self.journal.open()

    def run(self, what: Any) -> Any:
        return self.loop.run_until_complete(what)

    def written(self) -> None:
        self.newest = self.store.revision
        self.past.append((self.newest, dict(self.model)))

    @rule(kind=KINDS, space=SPACES, name=NAMES, labels=LABELS, value=st.integers(0, 5))
    def write(self, kind: str, space: str, name: str, labels: dict[str, str], value: int) -> None:
        obj = {"metadata": {"name": name, "namespace": space, "labels": labels}, "data": {"v": str(value)}}
        item = self.store.write(kind, space, name, obj)
        assert item.rv > self.newest
        self.model[kind, space, name] = item.obj
        self.written()

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.store.remove(*key)
        del self.model[key]
        self.written()

    @rule(
        kinds=st.sampled_from([["configmaps"], ["secrets"], ["configmaps", "secrets"]]),
        space=st.sampled_from(["", "a"]),
    )
    def watch_plain(self, kinds: list[str], space: str) -> None:
        self.watch(kinds, space, None)

    @rule(kinds=st.sampled_from([["configmaps"], ["secrets"]]), space=st.sampled_from(["", "a"]))
    def watch_label(self, kinds: list[str], space: str) -> None:
        self.watch(kinds, space, ("app", "one"))

    def watch(self, kinds: list[str], space: str, label: tuple[str, str] | None) -> None:
        def selects(obj: dict[str, Any]) -> bool:
            return label is None or (obj["metadata"].get("labels") or {}).get(label[0]) == label[1]

        opened = self.store.watch(kinds, namespace=space, label=label, selects=selects if label else None)
        watcher = Watcher(opened, kinds, space, label, {})
        watcher.known = {key: obj for key, obj in self.model.items() if watcher.selects(key, obj)}
        watcher.newest = self.store.revision
        self.watchers.append(watcher)

    @precondition(lambda self: self.past)
    @rule(data=st.data(), kind=KINDS)
    def watch_from_the_past(self, data: st.DataObject, kind: str) -> None:
        revision, state = data.draw(st.sampled_from(self.past))
        try:
            opened = self.store.watch([kind], since=revision)
        except ApiError as error:
            self.must_be_gone(error)
            return
        watcher = Watcher(opened, [kind], "", None, {})
        watcher.known = {key: obj for key, obj in state.items() if watcher.selects(key, obj)}
        self.watchers.append(watcher)

    @precondition(lambda self: self.past)
    @rule(data=st.data(), kind=KINDS, space=st.sampled_from(["", "a"]))
    def list_as_it_was(self, data: st.DataObject, kind: str, space: str) -> None:
        revision, state = data.draw(st.sampled_from(self.past))
        try:
            found = self.store.items_at(kind, space, revision)
        except ApiError as error:
            self.must_be_gone(error)
            return
        wanted = [state[key] for key in sorted(state) if key[0] == kind and space in ("", key[1])]
        assert [item.obj for item in found] == wanted

    def must_be_gone(self, error: ApiError) -> None:
        assert error.code == 410

    @precondition(lambda self: self.watchers)
    @rule(data=st.data())
    def end_a_watch(self, data: st.DataObject) -> None:
        watcher = data.draw(st.sampled_from(self.watchers))
        self.store.unwatch(watcher.watch)
        self.watchers.remove(watcher)

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        self.run(self.store.durable(self.store.revision))
        if clean:
            self.run(self.journal.close())
        else:
            copy = Path(tempfile.mkdtemp())
            for file in self.folder.iterdir():
                shutil.copy(file, copy / file.name)
            self.run(self.journal.close())
            shutil.rmtree(self.folder)
            self.folder = copy
        self.watchers.clear()
        self.past.clear()
        self.start()
        self.past.append((self.store.revision, dict(self.model)))

    @invariant()
    def lists_equal_the_model(self) -> None:
        for kind in ("configmaps", "secrets"):
            wanted = [self.model[key] for key in sorted(self.model) if key[0] == kind]
            assert [item.obj for item in self.store.items(kind)] == wanted
            assert self.store.count(kind) == len(wanted)
            labelled = [obj for obj in wanted if (obj["metadata"].get("labels") or {}).get("app") == "one"]
            assert [item.obj for item in self.store.items(kind, "", ("app", "one"))] == labelled

    @invariant()
    def each_watchers_replay_equals_the_list(self) -> None:
        for watcher in self.watchers:
            watcher.replay()
            assert watcher.known == {key: obj for key, obj in self.model.items() if watcher.selects(key, obj)}

    def teardown(self) -> None:
        self.run(self.journal.close())
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase
