"""What `status` and `sync` make of an Application's status and of live objects, without a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from windlass.cli.behind import troubled
from windlass.cli.reaching import Found
from windlass.cli.requesting import conclusion, result_code
from windlass.cli.viewing import following, line_of, well
from windlass.cli.watching import changed_lines
from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.kind import API_VERSION, read_status
from windlass.core.model import Health, HealthStatus, ObjectHealth, ObjectRef
from windlass.core.words.status import StatusView

NOW = datetime(2026, 11, 22, 14, 32, 7, tzinfo=UTC)
COMMIT, NEXT = "3f2c1ab" + "0" * 33, "8e1f0c2" + "0" * 33


def ready(status: str, reason: str, message: str = "", *others: str) -> list[dict[str, Any]]:
    base = {"reason": reason, "message": message, "lastTransitionTime": "2026-11-22T14:30:00Z"}
    return [{"type": "Ready", "status": status, **base}, *({"type": one, "status": "True", **base} for one in others)]


def content(spec: dict[str, Any] | None = None, generation: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": {"name": "shop", "namespace": "shop", "generation": generation},
        "spec": {"source": {"repository": "config"}, **(spec or {})},
        "status": {"observedGeneration": 1, "commit": COMMIT, "sync": "Synced", "health": "Healthy", **status},
    }


def status_of(made: dict[str, Any]) -> ApplicationStatus:
    return read_status(made, ApplicationStatus)


def next_lines(made: dict[str, Any], health: HealthStatus = HealthStatus.HEALTHY) -> list[str]:
    found = Found(made, "shop")
    return list(following(found, found.decoded(), status_of(made), Health(health)))


def test_nothing_comes_next_where_all_is_well() -> None:
    assert next_lines(content(conditions=ready("True", "Synced"))) == []


def test_what_nobody_looked_at_yet_says_so() -> None:
    assert "see whether one runs" in next_lines(content(generation=2, conditions=ready("True", "Synced")))[0]
    assert "see whether one runs" in next_lines(content())[0]


def test_each_state_names_its_next_step() -> None:
    manual = content(sync="OutOfSync", conditions=ready("False", "Manual", "", "Reconciling"))
    assert next_lines(manual) == ["windlass plan shop shows what it would change; windlass sync shop applies it"]
    until = {"suspend": {"until": "2026-12-01T08:00:00Z", "reason": "freeze", "by": "ada"}}
    suspended = content(until, conditions=ready("False", "Suspended", "", "Reconciling"))
    assert next_lines(suspended) == ["goes on by itself at 2026-12-01T08:00:00Z, or when spec.suspend leaves Git"]
    broken = content(
        conditions=ready("False", "BadManifest", "", "Stalled"),
        messages=["mend: replicas: 3"],
        pending={"commit": NEXT, "why": "wrong"},
    )
    assert next_lines(broken) == ["mend: replicas: 3; 3f2c1ab keeps running until then"]
    glass = {"result": "holds", "commit": NEXT, "by": "ada", "reason": "Git is down", "until": "2026-12-01T08:00:00Z"}
    pinned = {"source": {"repository": "config", "at": "3f2c1ab0c7d64ab2a1f0a4b5c6d7e8f901234567"}}
    shattered = content(pinned, conditions=ready("True", "BreakGlass"), breakGlass=glass)
    assert next_lines(shattered)[0] == (
        f"pinned at {NEXT[:7]} without Git: windlass forward shop --break-glass ends it"
    ), "a forward in Git would change nothing of what runs"
    away = content(sync="Unknown", conditions=ready("False", "GitUnavailable", "", "Reconciling"))
    assert next_lines(away) == ["is tried again by itself"]
    slow = content({"health": {"timeout": "2m"}}, conditions=ready("False", "Progressing", "", "Reconciling"))
    assert next_lines(slow, HealthStatus.PROGRESSING) == [
        "counts as Degraded where it is not Healthy within 2m (health.timeout)"
    ]
    sick = content(conditions=ready("False", "Unhealthy", "", "Stalled"))
    assert next_lines(sick, HealthStatus.DEGRADED)[0].startswith("mend the cause in Git")
    item = {"object": "Service/shop/web", "cause": "deleted", "response": "alert"}
    gone = content(conditions=ready("False", "Progressing"), drift={"count": 1, "items": [item]})
    assert next_lines(gone, HealthStatus.MISSING) == [
        "windlass sync shop puts back what was deleted (drift.action: alert)"
    ]


def test_a_line_of_the_table_needs_the_status_alone() -> None:
    view = line_of(
        content(conditions=ready("False", "BadManifest", "wrong type"), health="Degraded"), with_namespace=True
    )
    assert (view.name, view.sync, view.health.status, view.messages) == (
        "shop/shop",
        "Synced",
        HealthStatus.DEGRADED,
        ["wrong type"],
    )
    new = line_of({"metadata": {"name": "a", "namespace": "b"}}, with_namespace=False)
    assert (new.name, new.sync, new.health.status, well(new)) == ("a", "Unknown", HealthStatus.UNKNOWN, False)


def test_the_table_tells_that_an_application_is_pinned() -> None:
    view = line_of(content(health="Healthy", conditions=ready("True", "Pinned")), with_namespace=False)
    assert well(view)
    assert [line.partition(":")[0] for line in view.messages] == [f"pinned at {view.commit[:7]}"]


def test_a_commit_that_waits_is_not_well() -> None:
    view = line_of(content(conditions=ready("True", "Synced")), with_namespace=False)
    assert well(view)
    assert not well(line_of(content(pending={"commit": NEXT, "why": "manual"}), with_namespace=False))


def test_a_commit_that_waits_says_why_and_counts_objects_only_where_they_are_why() -> None:
    outcomes = [{"object": "Deployment/shop/web", "result": "refused"}]
    waits = {"pending": {"commit": NEXT, "why": "not YAML"}, "outcomes": outcomes, "counts": {"refused": 1}}
    bad = line_of(
        content(conditions=ready("False", "BadManifest", "not YAML (a.yaml:1)"), **waits), with_namespace=False
    )
    assert bad.pending_why == "not YAML (a.yaml:1)"
    partly = line_of(content(conditions=ready("False", "PartlyApplied", "refused"), **waits), with_namespace=False)
    assert partly.pending_why == "1 object of 1 went wrong"


@pytest.mark.parametrize(
    ("status", "answered", "code"),
    [
        ({"conditions": ready("True", "Synced")}, True, 0),
        ({"conditions": ready("True", "Synced")}, False, 1),
        ({"health": "Degraded", "conditions": ready("False", "Unhealthy", "", "Stalled")}, True, 2),
        ({"health": "Progressing", "conditions": ready("False", "Progressing", "", "Reconciling")}, True, 2),
        ({"conditions": ready("False", "Suspended", "", "Reconciling"), "sync": "OutOfSync"}, False, 3),
        ({"pending": {"commit": NEXT}, "conditions": ready("False", "BadManifest", "", "Stalled")}, True, 1),
        ({"sync": "OutOfSync", "outcomes": [{"object": "A/b", "result": "refused"}]}, True, 3),
        ({"sync": "OutOfSync", "outcomes": [{"object": "A/b", "result": "failed"}]}, True, 1),
    ],
)  # fmt: skip
def test_the_exit_code_of_a_sync(status: dict[str, Any], answered: bool, code: int) -> None:
    assert result_code(status_of(content(**status)), answered=answered) == code


def test_a_sync_that_did_something_tells_its_outcomes_and_the_next_one_does_not_repeat_them() -> None:
    outcomes = [{"object": "ConfigMap/shop/a", "result": "created", "file": "shop/a.yaml", "line": 1}]
    status = status_of(content(outcomes=outcomes, counts={"created": 1}, conditions=ready("True", "Synced")))
    assert conclusion("shop", status, answered=True, seconds=0.34, fresh=True) == (
        "+ ConfigMap/shop/a   created   (shop/a.yaml:1)\nshop   Synced 3f2c1ab   Healthy after 340 ms   1 created\n"
    )
    assert conclusion("shop", status, answered=True, seconds=0.34, fresh=False) == (
        "shop   Synced 3f2c1ab   Healthy after 340 ms   nothing to do\n"
    )


def test_a_sync_that_went_wrong_says_why_and_what_to_do() -> None:
    wrong = {
        "object": "Deployment/shop/web",
        "result": "refused",
        "message": "unknown field\x1b[2J",
        "mend": "take it out",
        "file": "web.yaml",
        "line": 4,
    }
    status = status_of(
        content(
            sync="OutOfSync",
            outcomes=[wrong],
            messages=["mend: take it out"],
            conditions=ready("False", "PartlyApplied", "Deployment/web: unknown field", "Stalled"),
        )
    )
    assert conclusion("shop", status, answered=True, seconds=1.0, fresh=False) == (
        "! Deployment/shop/web   refused: unknown field   (web.yaml:4)\n"
        "shop   OutOfSync 3f2c1ab   Healthy\n"
        "next  mend: take it out\n"
    )
    unheard = conclusion("shop", ApplicationStatus(), answered=False, seconds=30.0, fresh=False)
    assert "the request was not answered within 30 s" in unheard
    assert "no controller has looked at it yet" in unheard


def view(health: HealthStatus, message: str = "", commit: str = COMMIT) -> StatusView:
    web = ObjectHealth(ObjectRef("apps", "Deployment", "shop", "web"), Health(health, message), ("Pod/x  waits",))
    return StatusView("shop", "Synced", commit, Health(health), objects=(web,))


def test_watching_tells_only_what_is_not_as_it_was() -> None:
    well_, slow = view(HealthStatus.HEALTHY, "2 ready"), view(HealthStatus.PROGRESSING, "1 of 2 ready", NEXT)
    at = NOW.astimezone().strftime("%H:%M:%S")
    assert changed_lines(None, well_, NOW) == [f"{at}  shop   Synced 3f2c1ab   Healthy"]
    assert changed_lines(well_, slow, NOW) == [
        f"{at}  shop   Synced 8e1f0c2   Progressing",
        f"{at}  Deployment/web   Progressing   1 of 2 ready",
    ]
    assert changed_lines(slow, slow, NOW) == []
    nothing = StatusView("shop", "Synced", NEXT, Health(HealthStatus.PROGRESSING))
    assert changed_lines(slow, nothing, NOW) == [f"{at}  Deployment/web   gone"]


RUNNING = {"running": {"startedAt": "2026-11-22T14:30:00Z"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}
FAILED = {"terminated": {"exitCode": 1}}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([{"name": "a", "state": BACK_OFF, "lastState": FAILED}], ("a", True)),
        (
            [{"name": "a", "ready": True, "state": RUNNING}, {"name": "b", "state": RUNNING, "lastState": FAILED}],
            ("b", True),
        ),
        ([{"name": "a", "state": FAILED}], ("a", False)),
        ([{"name": "a", "ready": False, "state": RUNNING}], ("a", False)),
        ([{"name": "a", "ready": False, "state": {"waiting": {"reason": "ErrImagePull"}}}], ("", False)),
        ([], ("", False)),
    ],
)
def test_the_container_whose_log_is_asked_for(states: list[dict[str, Any]], expected: tuple[str, bool]) -> None:
    assert troubled({"status": {"containerStatuses": states}}) == expected
