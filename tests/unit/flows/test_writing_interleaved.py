"""The one way into Git under random interleavings: writers and people at once, kills before and after a push, answers
that are lost, mirrors that are taken away. Whatever the order, each intent is in the history once and no commit of
anybody is lost."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from typing_extensions import override

from windlass.adapters.git import Author, MachineUpstream, PushUnknown, Store, Transport, commit_files, init_repository
from windlass.adapters.host.clock import SystemClock
from windlass.core.documents import read
from windlass.core.edits import Intent, SetField, Target
from windlass.core.words.commits import intents_of
from windlass.flows import write
from windlass.flows.write import Writer

T = TypeVar("T")
APP = Target("windlass.dev", "Application", "shop", "shop")
FILE = "apps/shop.yaml"
TEXT = b"# ours\napiVersion: windlass.dev/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n  values: {}\n"
WRITERS = st.sampled_from(["one", "two"])
FATES = st.lists(
    st.sampled_from(["lost answer", "lost request", "second", "killed before", "killed after"]), max_size=2
)


class Killed(BaseException):
    """The process ended here."""


class Unlucky(MachineUpstream):
    """The controller's branch, whose next pushes have the fates that a test names; then all goes well."""

    fates: list[str]
    world: Interleaved

    @override
    async def push(self, commit: str) -> None:
        fate = self.fates.pop(0) if self.fates else ""
        if fate == "killed before":
            raise Killed
        if fate == "lost request":
            raise PushUnknown("the connection broke on the way")
        if fate == "second":
            self.world.somebody_pushes()
        await super().push(commit)
        if fate == "killed after":
            raise Killed
        if fate == "lost answer":
            raise PushUnknown("the connection broke on the way back")


class Interleaved(RuleBasedStateMachine):
    """``decided`` are all intents that were ever handed in, ``open`` those whose process was killed meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(write, "FIRST", 0.0)
        self.folder = Path(tempfile.mkdtemp(prefix="windlass-interleaved-"))
        self.store = init_repository(str(self.folder / "config.git"))
        self.decided: dict[str, Intent] = {}
        self.open: dict[str, Intent] = {}
        self.theirs: list[str] = []
        self.tip = ""

    @initialize()
    def begin(self) -> None:
        self.start = self.tip = commit_files(
            self.store, None, {FILE: TEXT, "README": b"x\n"}, "Start", self.ada(), branch="main"
        )

    @rule(who=WRITERS, fates=FATES, count=st.integers(1, 2))
    def writes(self, who: str, fates: list[str], count: int) -> None:
        made = [self.intent() for _ in range(count)]
        self.carry_out(who, made, fates)

    @rule()
    def somebody_pushes(self) -> None:
        number = len(self.theirs)
        self.theirs.append(
            commit_files(self.store, self.now, {f"theirs/{number}": b"x\n"}, "Theirs", self.ada(), branch="main")
        )

    @rule(who=WRITERS, fates=FATES)
    def the_next_process_goes_on(self, who: str, fates: list[str]) -> None:
        if self.open:
            self.carry_out(who, list(self.open.values()), fates, once=True)

    @rule(who=WRITERS)
    def a_mirror_is_taken_away(self, who: str) -> None:
        shutil.rmtree(self.folder / who, ignore_errors=True)

    @invariant()
    def nothing_is_forced_lost_or_twice(self) -> None:
        if not self.tip:
            return
        history = self.history()
        ids = [commit.id for commit in history]
        assert self.tip in (*ids, self.start), "the branch only moves forward"
        assert all(len(commit.parents) == 1 for commit in history)
        assert set(self.theirs) <= set(ids), "nobody's commit is lost"
        carried = Counter(one for commit in history for one in intents_of(commit.message))
        assert all(number == 1 for number in carried.values()), "no intent is committed twice"
        assert carried.keys() <= self.decided.keys()
        assert self.decided.keys() - carried.keys() <= self.open.keys(), "what was told as done is there"
        text = self.content()
        assert text.startswith(b"# ours\n")
        values: dict[str, Any] = read(text, FILE)[0].value["spec"]["values"]
        assert values == {one.removeprefix("id-"): int(one.rpartition("-")[2]) for one in carried}
        self.tip = self.now

    @override
    def teardown(self) -> None:
        try:
            if self.open:
                self.carry_out("three", list(self.open.values()), [], once=True)
            if self.tip:
                self.nothing_is_forced_lost_or_twice()
                carried = {one for commit in self.history() for one in intents_of(commit.message)}
                assert carried == self.decided.keys(), "once the faults stop, all is carried out"
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- the parts ---------------------------------------------------------------------------------------------------

    def carry_out(self, who: str, made: list[Intent], fates: list[str], *, once: bool = False) -> None:
        self.decided.update({one.id: one for one in made})
        self.open.update({one.id: one for one in made})
        upstream = Unlucky(
            str(self.folder / who),
            f"file://{self.folder}/config.git",
            "main",
            name=who,
            email=f"{who}@x.example",
            transport=Transport(allow_local=True, timeout=120),
        )
        upstream.fates, upstream.world = list(fates), self
        writer = Writer(upstream, SystemClock(), repository="shop/config")
        try:
            done = run(writer.write(made, once=once))
        except Killed:
            return
        assert {one.result for one in done} <= {"written", "already"}
        for one in made:
            self.open.pop(one.id)

    def intent(self) -> Intent:
        number = len(self.decided) + 1
        while f"id-k-{number}" in self.decided:
            number += 1
        step = SetField(file=FILE, target=APP, path=("spec", "values", f"k-{number}"), value=number)
        made = Intent(id=f"id-k-{number}", verb="set", about="shop/shop", summary=f"Set {number}", steps=(step,))
        self.decided[made.id] = made
        return made

    @property
    def now(self) -> str:
        return Store(self.store.folder).resolve("refs/heads/main") or ""

    def history(self) -> list[Any]:
        return Store(self.store.folder).log(self.start, self.now, limit=1000)

    def content(self) -> bytes:
        found: bytes = Store(self.store.folder).repository.revparse_single(f"{self.now}:{FILE}").data  # type: ignore[attr-defined]
        return found

    @staticmethod
    def ada() -> Author:
        return Author("ada", "ada@x.example", SystemClock().now())


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


BOUNDS: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


class TestInterleaved(Interleaved.TestCase):  # type: ignore[misc]
    """A few, for every run."""

    settings = settings(max_examples=4, stateful_step_count=8, **BOUNDS)


@pytest.mark.slow
class TestInterleavedLong(Interleaved.TestCase):  # type: ignore[misc]
    """Many and long."""

    settings = settings(max_examples=40, stateful_step_count=20, **BOUNDS)
