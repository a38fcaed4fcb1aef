"""Which Applications go with a Repository, in which role, and what becomes of their renders at a new commit."""

from __future__ import annotations

from typing import Any

from windlass.core.kinds import application
from windlass.core.model import OtherRead, Rendered
from windlass.core.plan.ownership import Claim
from windlass.flows.fleet import ApplicationState, Fleet, Key, followed, roles
from windlass.flows.readers import Readers

OLD, NEW, PIN = "a" * 40, "b" * 40, "c" * 40


def state(at: str = "", *sources: dict[str, Any]) -> ApplicationState:
    content = {
        "apiVersion": "windlass.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "shop", "namespace": "team"},
        "spec": {
            "source": {"repository": "config", "path": "shop", **({"at": at} if at else {})},
            "sources": [*sources],
        },
    }
    made = ApplicationState(Key("team", "shop"), Claim.of("team", "shop"))
    made.written = application.decode(content)
    made.rendered = Rendered(
        OLD, [], read={"shop/": "1"}, others={one["name"]: OtherRead(OLD, {one["name"]: "2"}) for one in sources}
    )
    return made


CONFIG, LIBS = Key("team", "config"), Key("team", "libs")
LIB = {"name": "lib", "repository": "libs"}
SAME = {"name": "again", "repository": "config"}
PINNED = {"name": "pinned", "repository": "libs", "at": PIN}


def test_an_application_has_a_role_for_each_use_that_is_not_pinned() -> None:
    written = state("", LIB, SAME, PINNED).written
    pinned, apart = state(PIN, SAME).written, state("", PINNED).written
    assert written is not None
    assert pinned is not None
    assert apart is not None
    assert [roles(written, key) for key in (CONFIG, LIBS, Key("team", "other"))] == [["", "again"], ["lib"], []]
    assert roles(pinned, CONFIG) == ["again"]
    assert roles(apart, LIBS) == []


def test_what_was_read_of_a_repository_is_known_for_the_commit_it_was_read_at() -> None:
    made = state("", LIB, SAME)
    assert followed(made, ["", "again"], OLD) == {"": {"shop/": "1"}, "again": {"again": "2"}}
    assert followed(made, ["lib"], OLD) == {"lib": {"lib": "2"}}
    assert followed(made, ["lib"], NEW) == {}


def test_a_render_stands_at_the_newest_commit_of_each_repository_that_touches_nothing_it_read() -> None:
    fleet, made = Fleet(), state("", LIB, SAME, PINNED)
    assert made.written is not None
    fleet.readers = {CONFIG: Readers(OLD), LIBS: Readers(OLD)}
    fleet.add(made)
    assert fleet.settle(made, made.written)
    assert fleet.readers[LIBS].move(NEW, {"other"}) == set()
    now = fleet.brought_on(made)
    assert now is not None
    assert (now.commit, {name: one.commit for name, one in now.others.items()}) == (
        OLD,
        {"lib": NEW, "again": OLD, "pinned": OLD},
    )
    assert fleet.readers[CONFIG].move(NEW, {"again"}) == {made.key}
    assert fleet.brought_on(made) == now, "of its own repository it stands where it was"
    assert not fleet.settle(made, made.written), "it must look again"
    assert made.key in fleet.readers[LIBS], "of the other it stands"


def test_a_render_that_was_made_while_a_commit_came_must_be_made_again() -> None:
    fleet, made = Fleet(), state()
    assert made.written is not None
    fleet.readers = {CONFIG: Readers(NEW)}
    assert not fleet.settle(made, made.written)
    assert made.key not in fleet.readers[CONFIG]
    fleet.readers = {}
    assert fleet.settle(made, made.written), "whoever has not been asked yet wakes everybody when it is"
    fleet.readers = {CONFIG: Readers(OLD)}
    assert fleet.settle(made, made.written)
    assert made.key in fleet.readers[CONFIG], "it is in as soon as there is one"
    assert fleet.readers[CONFIG].move(NEW, {"shop/"}) == {made.key}
    assert not fleet.settle(made, made.written), "a commit that touches it is not forgotten"


def test_nothing_is_remembered_of_an_application_that_is_gone_or_rendered_anew() -> None:
    fleet, made = Fleet(), state("", LIB)
    assert made.written is not None
    fleet.readers = {CONFIG: Readers(OLD), LIBS: Readers(OLD)}
    fleet.add(made)
    for forget in (fleet.unsettle, lambda one: fleet.remove(one.key)):
        assert fleet.settle(made, made.written)
        forget(made)
        assert [fleet.readers[key].move(OLD, {"shop/", "lib"}) for key in (CONFIG, LIBS)] == [set(), set()]


def test_the_fleet_knows_who_uses_a_repository_in_any_role() -> None:
    fleet, made = Fleet(), state("", LIB)
    fleet.add(made)
    fleet.relink(made)
    assert [list(fleet.users_of(key)) for key in (CONFIG, LIBS)] == [[made], [made]]
    fleet.remove(made.key)
    assert [list(fleet.users_of(key)) for key in (CONFIG, LIBS)] == [[], []]
