"""What people say in Git is told once each time it is said: pins, exceptions, and the freeze of the whole cluster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass.adapters.host.clock import SystemClock
from windlass.adapters.ledger import Journal, LedgerWriter
from windlass.core.edits import apply
from windlass.core.kinds import application, installation, repository
from windlass.core.kinds.kind import API_VERSION
from windlass.core.model import Desired, ObjectRef, Origin, events
from windlass.core.plan.ownership import Claim
from windlass.core.record.private import Private
from windlass.flows.commits import Branch, Commits
from windlass.flows.expiry import Expiry
from windlass.flows.fleet import ApplicationState, Fleet, Key, Links, SourceState
from windlass.flows.metrics import Metrics
from windlass.flows.pins import reason_of
from windlass.flows.record import Recorder
from windlass.flows.report import Reporter
from windlass.flows.spoken import Spoken
from windlass.flows.write import Written

A, B = "a" * 40, "b" * 40
META = {"name": "shop", "namespace": "shop", "labels": {"windlass.dev/team": "storefront"}}
START = datetime(2026, 11, 28, 14, 0, tzinfo=UTC)
FREEZE = {"until": "2026-11-28T15:00:00Z", "reason": "black friday", "by": "ada@acme.example"}


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()


class World:
    """A recorder with what tells it, over a queue in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.fleet = folder, Clock(), Fleet()
        self.record = Recorder(self.clock, Metrics())
        self.record.attach(LedgerWriter("prod", folder, SystemClock()), "prod", Private(b"key"))
        self.reporter = Reporter(self.fleet, None, self.clock, "tests")  # type: ignore[arg-type]
        self.commits = Commits(self.fleet, None, pushed=lambda key: None)  # type: ignore[arg-type]
        self.spoken = Spoken(self.record, self.clock, self.fleet, self.commits)
        self.state = ApplicationState(Key("shop", "shop"), Claim.of("shop", "shop"), uid="u")
        self.state.written = self.app()
        self.state.applied_commit = B
        self.state.generation = 1

    @staticmethod
    def app(**spec: Any) -> application.Application:
        source = {"repository": "config", "path": "shop", **({"at": spec.pop("at")} if spec.get("at") else {})}
        return application.decode(
            {"apiVersion": API_VERSION, "kind": "Application", "metadata": META,
             "spec": {"source": source, **spec}}
        )  # fmt: skip

    @staticmethod
    def installation(generation: int, **spec: Any) -> installation.Installation:
        metadata = {"name": "windlass", "uid": "i", "generation": generation}
        return installation.decode(
            {"apiVersion": API_VERSION, "kind": "Installation", "metadata": metadata, "spec": {"name": "prod", **spec}}
        )

    def say(self, **spec: Any) -> None:
        """The Application's spec is another one now."""
        before, self.state.written = self.state.written, self.app(**spec)
        assert before is not None
        self.state.generation += 1
        self.clock.time += timedelta(seconds=60)
        self.spoken.tell(self.state, before, self.state.written)

    def told(self) -> list[events.Event]:
        return [events.decode(line) for line in Journal(self.folder / "queue").lines()]

    def kinds(self) -> list[str]:
        return [one.kind for one in self.told()]

    def writable(self) -> None:
        """The Installation's file is in a Repository that the controller may write to."""
        root = ApplicationState(Key("ops", "root"), Claim.of("ops", "root"))
        ref = ObjectRef("windlass.dev", "Installation", "", "windlass")
        root.desired[ref] = Desired(ref, API_VERSION, 0, 0, "", Origin("config", A, "cluster.yaml", 1), b"{}")
        root.linked = Links(Key("ops", "config"))
        self.fleet.applications[root.key] = root
        source = self.fleet.sources[Key("ops", "config")] = SourceState(Key("ops", "config"))
        spec = {"url": "https://git.example.com/c.git", "ref": {"branch": "main"}, "write": {"secret": "w"}}
        source.written = repository.decode(
            {"apiVersion": API_VERSION, "kind": "Repository", "metadata": {"name": "config", "namespace": "ops"},
             "spec": spec}
        )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_same_pin_twice_is_two_rollbacks(world: World) -> None:
    for _ in range(2):
        world.say(at=A)
        world.say()
    assert world.kinds() == ["rolled-back", "rolled-forward"] * 2
    pins = [one.data for one in world.told() if isinstance(one.data, events.RolledBack)]
    assert [(one.pins, one.was, one.automatic) for one in pins] == [(A, B, False)] * 2


def test_one_pin_is_told_once_whoever_sees_it_again(world: World) -> None:
    before, now = world.app(), world.app(at=A)
    world.spoken.tell(world.state, before, now)
    world.clock.time += timedelta(seconds=60)
    world.spoken.tell(world.state, before, now)
    assert world.kinds() == ["rolled-back"]


def test_a_pin_by_hand_names_nobody(world: World) -> None:
    """Without the trailers of `windlass rollback` nobody's name is told, rather than that of whoever came last."""
    world.say(at=A)
    (pin,) = world.told()
    assert isinstance(pin.data, events.RolledBack)
    assert (pin.actor, pin.data.reason, pin.data.commit) == ("", "", "")
    assert pin.data.team == "storefront", "whose Application it is, is known"


def test_the_reason_of_a_commit_stands_between_its_first_line_and_its_trailers() -> None:
    assert reason_of("Roll shop back\n\ncrash\nloop\n\nIntent-Id: x\nPins: y\n") == "crash loop"
    assert reason_of("Roll shop back\n\nIntent-Id: x\n") == ""
    assert reason_of("") == ""


def test_what_the_controller_pins_itself_is_not_told_as_a_persons(world: World) -> None:
    world.state.pinning = A
    world.say(at=A)
    assert world.kinds() == []
    world.say()
    world.say(at=A)
    assert world.kinds() == ["rolled-forward", "rolled-back"], "the next pin at the same commit is a person's"


def test_the_same_exception_twice_is_told_twice(world: World) -> None:
    held = {"until": "2026-11-28T20:00:00Z", "reason": "r", "by": "ada"}
    for _ in range(2):
        world.say(suspend=held)
        world.say()
    assert world.kinds() == ["exception", "exception-ended"] * 2
    assert all(one.data.early for one in world.told() if isinstance(one.data, events.ExceptionEnded))


def test_a_freeze_of_the_cluster_is_told_as_it_begins_and_as_it_is_taken_out(world: World) -> None:
    plain, frozen = world.installation(1), world.installation(2, freeze=FREEZE)
    world.spoken.tell_cluster(plain, frozen)
    world.spoken.tell_cluster(frozen, world.installation(3))
    assert [(one.kind, one.subject, one.actor) for one in world.told()] == [
        ("exception", "", "ada@acme.example"),
        ("exception-ended", "", "ada@acme.example"),
    ]


async def test_the_end_of_a_freeze_of_the_cluster_is_told_once_and_its_words_are_taken_out_of_git(world: World) -> None:
    world.writable()
    world.fleet.installation = world.installation(2, freeze=FREEZE)
    expiry = Expiry(world.fleet, world.commits, world.reporter, world.spoken, world.clock)
    expiry.look_at_cluster()
    assert world.kinds() == []
    assert world.reporter.statuses._timers, "it is looked at again as the freeze ends"
    world.clock.time = START + timedelta(hours=1, seconds=1)
    expiry.look_at_cluster()
    expiry.look_at_cluster()
    (ended,) = world.told()
    assert isinstance(ended.data, events.ExceptionEnded)
    assert (ended.subject, ended.data.what, ended.data.early) == ("", "freeze", False)
    (event,) = world.reporter._events.values()
    assert (event["reason"], event["metadata"]["namespace"]) == ("ExceptionEnded", "default")
    assert (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == ("Installation", "windlass")
    assert 'freeze ended at 2026-11-28T15:00:00Z: "black friday" (ada@acme.example)' in event["message"]
    ((intent, answer),) = world.commits._waiting[Branch(Key("ops", "config"))].values()
    text = (
        "# ours\napiVersion: windlass.dev/v1alpha1\nkind: Installation\nmetadata: {name: windlass}\n"
        "spec:\n  name: prod  # the cluster\n  freeze:\n    until: 2026-11-28T15:00:00Z\n    reason: black friday\n"
        "    by: ada@acme.example\n"
    )
    edited = apply(intent, {"cluster.yaml": text.encode()})["cluster.yaml"]
    assert edited == text.partition("  freeze:")[0].encode()
    answer(Written(intent, "written", A, ("cluster.yaml",)))
    assert len(world.reporter._events) == 2, "the commit is told as well"
    world.reporter.statuses.close()


async def test_a_freeze_that_says_something_else_meanwhile_is_left_alone(world: World) -> None:
    world.writable()
    world.fleet.installation = world.installation(2, freeze=FREEZE)
    world.clock.time = START + timedelta(hours=2)
    Expiry(world.fleet, world.commits, world.reporter, world.spoken, world.clock).look_at_cluster()
    assert world.kinds() == [], "an end that is long ago is no news"
    ((intent, _),) = world.commits._waiting[Branch(Key("ops", "config"))].values()
    text = (
        "apiVersion: windlass.dev/v1alpha1\nkind: Installation\nmetadata: {name: windlass}\n"
        "spec:\n  name: prod\n  freeze: {until: 2026-12-28T15:00:00Z, reason: longer, by: ada@acme.example}\n"
    )
    assert apply(intent, {"cluster.yaml": text.encode()}) == {}


def test_the_controller_knows_who_else_is_made_of_the_file_that_it_would_write(world: World) -> None:
    world.writable()
    for parent, url, (namespace, name) in (
        ("live", "https://git.example.com/c.git", ("live", "shop")),
        ("stage", "https://git.example.com/c.git", ("stage", "shop")),
        ("theirs", "https://git.example.com/theirs.git", ("theirs", "shop")),
        ("cart", "https://git.example.com/c.git", ("live", "cart")),
    ):
        root = ApplicationState(Key(parent, "root"), Claim.of(parent, "root"))
        ref = ObjectRef("windlass.dev", "Application", namespace, name)
        root.desired[ref] = Desired(ref, API_VERSION, 0, 0, "", Origin("config", A, "base/apps.yaml", 1), b"{}")
        root.linked = Links(Key(parent, "config"))
        source = world.fleet.sources[Key(parent, "config")] = SourceState(Key(parent, "config"))
        source.written = repository.decode(
            {"apiVersion": API_VERSION, "kind": "Repository", "metadata": {"name": "config", "namespace": parent},
             "spec": {"url": url, "ref": {"branch": "main"}}}
        )  # fmt: skip
        for state in (root, ApplicationState(Key(namespace, name), Claim.of(namespace, name))):
            world.fleet.applications[state.key] = state
    found = world.commits.home_of("Application", "live", "shop")
    assert found is not None
    assert [str(one) for one in found[1].target.others] == ["Application/shop"]
    assert [one.namespace for one in found[1].target.others] == ["stage"]
