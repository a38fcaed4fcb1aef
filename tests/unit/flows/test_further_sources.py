"""Which Applications go with a Repository, in which role, and what becomes of their renders at a new commit."""

from __future__ import annotations

from typing import Any

from windlass.core.kinds import application
from windlass.core.model import OtherRead, Rendered
from windlass.core.plan.ownership import Claim
from windlass.flows.fleet import ApplicationState, Fleet, Key
from windlass.flows.sources import followed, move_on, roles

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
    made = state("", LIB, SAME, PINNED)
    assert (roles(made, CONFIG), roles(made, LIBS), roles(made, Key("team", "other"))) == (["", "again"], ["lib"], [])
    assert roles(state(PIN, SAME), CONFIG) == ["again"]
    assert roles(state("", PINNED), LIBS) == []


def test_what_was_read_of_a_repository_is_known_for_the_commit_it_was_read_at() -> None:
    made = state("", LIB, SAME)
    assert followed(made, roles(made, CONFIG), OLD) == {"": {"shop/": "1"}, "again": {"again": "2"}}
    assert followed(made, roles(made, LIBS), OLD) == {"lib": {"lib": "2"}}
    assert followed(made, roles(made, LIBS), NEW) == {}
    move_on(made, "lib", NEW)
    assert followed(made, roles(made, LIBS), NEW) == {"lib": {"lib": "2"}}
    assert made.rendered is not None
    assert (made.rendered.commit, made.rendered.others["again"].commit) == (OLD, OLD)
    move_on(made, "", NEW)
    assert made.rendered.commit == NEW


def test_the_fleet_knows_who_uses_a_repository_in_any_role() -> None:
    fleet, made = Fleet(), state("", LIB)
    fleet.add(made)
    fleet.relink(made)
    assert [list(fleet.users_of(key)) for key in (CONFIG, LIBS)] == [[made], [made]]
    fleet.remove(made.key)
    assert [list(fleet.users_of(key)) for key in (CONFIG, LIBS)] == [[], []]
