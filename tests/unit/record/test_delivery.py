"""Delivery metrics by example: what counts as a deployment, as fast, as failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from windlass.core.model import events
from windlass.core.record import audit
from windlass.core.record.delivery import Delivery, Numbers
from windlass.core.record.facts import fact, milliseconds

START = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SHOP = "shop/shop"
A, B, C = "a" * 40, "b" * 40, "c" * 40


def at(seconds: float) -> str:
    return events.stamp(START + timedelta(seconds=seconds))


def event(data: events.Data, seconds: float, subject: str = SHOP) -> events.Event:
    return events.make("prod", subject, data, START + timedelta(seconds=seconds))


def applied(commit: str, seconds: float, *, result: str = "applied", health: str = "Progressing") -> events.Event:
    told = events.Commit(commit, "Subject", "ada", "ada@acme.example", at(seconds - 60))
    data = events.Applied(
        commit=commit, result=result, commits=[told], health=health, fetched=at(seconds - 5), counts={"configured": 1}
    )
    return event(data, seconds)


def health(word: str, seconds: float) -> events.Event:
    return event(events.HealthChanged(health=word), seconds)


def numbers(*told: events.Event, since: float = 0, now: float = 86400) -> Numbers:
    delivery = Delivery().take_all(map(fact, told))
    return delivery.numbers(delivery.applications(), milliseconds(at(since)), milliseconds(at(now)))


def test_a_deployment_is_as_fast_as_it_is_healthy() -> None:
    found = numbers(applied(A, 100), health("Progressing", 101), health("Healthy", 110))
    assert (found.deployments, found.per_day) == (1, 1.0)
    assert found.lead_time == 70.0
    assert found.time_to_deployment == 15.0
    assert (found.failed_deployments, found.change_failure_rate) == (0, 0.0)


def test_what_is_healthy_as_the_sync_ends_needs_no_later_word() -> None:
    assert numbers(applied(A, 100, health="Healthy")).lead_time == 60.0


def test_the_same_commit_again_and_a_wave_that_waits_are_no_deployments() -> None:
    told = (applied(A, 100, result="waits"), applied(A, 110), applied(A, 200), applied(B, 300), applied(A, 400))
    assert numbers(*told).deployments == 3, "going back is a deployment of its own"


def test_degraded_after_a_deployment_is_its_failure_and_healthy_again_the_recovery() -> None:
    found = numbers(
        applied(A, 0), health("Healthy", 10), applied(B, 100), health("Degraded", 160), health("Progressing", 170),
        health("Degraded", 175), applied(C, 200), health("Healthy", 220),
    )  # fmt: skip
    assert (found.deployments, found.failed_deployments) == (3, 1)
    assert found.change_failure_rate == 0.3333
    assert (found.recoveries, found.time_to_recovery) == (1, 60.0)


def test_degraded_long_after_is_nobodys_failure() -> None:
    found = numbers(applied(A, 0), health("Healthy", 10), health("Degraded", 7200), health("Healthy", 7300))
    assert (found.failed_deployments, found.recoveries) == (0, 1)


def test_a_deployment_that_was_refused_or_partly_applied_first_failed() -> None:
    refused = event(events.Refused(commit=B, reason="BadManifest"), 90)
    partly = applied(C, 190, result="partly applied")
    found = numbers(applied(A, 0), refused, applied(B, 100), partly, applied(C, 200))
    assert (found.deployments, found.failed_deployments) == (3, 2)


def test_a_rollback_is_a_failure_also_where_a_commit_that_changed_nothing_came_between() -> None:
    """In a repository of several Applications the commit that runs has the name of the newest one, whoever's it is."""
    others = event(events.RolledBack(pins=A, was=C), 200)
    found = numbers(applied(A, 0), health("Healthy", 10), applied(B, 100), others, applied(A, 201))
    assert (found.deployments, found.failed_deployments) == (3, 1)
    away = event(events.RolledBack(pins=B, was=A), 200)
    assert numbers(applied(A, 0), applied(B, 100), away).failed_deployments == 0, "that ran before"


def test_a_deployment_that_was_rolled_back_failed() -> None:
    back = event(events.RolledBack(pins=A, was=B), 150)
    found = numbers(applied(A, 0, health="Healthy"), applied(B, 100, health="Healthy"), back, applied(A, 160))
    assert (found.deployments, found.failed_deployments) == (3, 1)


def test_a_pin_that_moves_on_counts_against_nothing() -> None:
    """Pinned at the first commit, and then at the second one: nobody went back from the first."""
    back = event(events.RolledBack(pins=A, was=B), 150)
    on = event(events.RolledBack(pins=B, was=A), 250)
    assert numbers(applied(A, 0), applied(B, 100), back, applied(A, 160), on, applied(B, 260)).failed_deployments == 1


def test_a_bad_commit_that_was_never_deployed_counts_against_no_other() -> None:
    refused = event(events.Refused(commit=B, reason="BadManifest"), 90)
    assert numbers(applied(A, 0), refused, applied(C, 100)).failed_deployments == 0


def test_drift_is_counted_and_the_age_is_that_of_the_oldest_that_is_open() -> None:
    def opened(field: str, seconds: float, cause: str = "changed") -> events.Event:
        data = events.DriftOpened(object="Deployment.apps/shop/web", field=field, cause=cause, response="alert")
        return event(data, seconds)

    closed = event(events.DriftClosed(object="Deployment.apps/shop/web", field="a", how="gone"), 50)
    found = numbers(opened("a", 10), opened("b", 20), opened("b", 30), closed, opened("c", 40, "admission"), now=120)
    assert (found.drift, found.open_drift, found.open_drift_age) == (2, 1, 100.0)


def test_what_was_before_counts_for_what_it_began_and_not_as_a_deployment() -> None:
    found = numbers(applied(A, 0), applied(A, 500), applied(B, 600), since=450)
    assert found.deployments == 1


def opened(field: str, seconds: float) -> events.Event:
    data = events.DriftOpened(object="Deployment.apps/shop/web", field=field, cause="changed", response="alert")
    return event(data, seconds)


def closed(field: str, seconds: float) -> events.Event:
    return event(events.DriftClosed(object="Deployment.apps/shop/web", field=field, how="gone"), seconds)


def deployed(commit: str, seconds: float, committed: float, fetched: float = 0, **more: Any) -> events.Event:
    """An apply as it is told of a commit and the moment at which that was first seen."""
    told = events.Commit(commit, "Subject", "ada", "ada@acme.example", at(committed))
    seen = at(fetched) if fetched else ""
    return event(events.Applied(commit=commit, result="applied", commits=[told], fetched=seen, **more), seconds)


def test_recoveries_and_drift_before_the_time_that_is_asked_about_are_not_counted() -> None:
    told = [
        applied(A, 0), opened("a", 50), closed("a", 60), health("Degraded", 100), health("Healthy", 400),
        applied(B, 1000), health("Degraded", 1100), health("Healthy", 1110), opened("a", 1200),
    ]  # fmt: skip
    all_of_it, late = numbers(*told), numbers(*told, since=900)
    assert (all_of_it.recoveries, all_of_it.time_to_recovery, all_of_it.drift) == (2, 155.0, 2)
    assert (late.recoveries, late.time_to_recovery, late.drift, late.open_drift) == (1, 10.0, 1, 1)


def test_a_recovery_that_began_before_and_ended_in_the_time_is_counted_whole() -> None:
    found = numbers(applied(A, 0), health("Degraded", 100), health("Healthy", 400), since=300)
    assert (found.recoveries, found.time_to_recovery) == (1, 300.0)


def test_a_day_as_counted_by_hand() -> None:
    """A: committed at 0, seen at 10, applied at 20, Healthy at 50. B: committed at 100, seen at 130, applied at 140,
    Degraded at 150, rolled back at 200 by a pin at A, applied at 210, Healthy at 260. C: committed at 300, seen at 305,
    applied and Healthy at 320.

    So: lead times 50 and 20, for B was never Healthy and a pin has none; to deploy 40 and 15; one recovery of 110."""
    told = [
        deployed(A, 20, 0, 10), health("Healthy", 50),
        deployed(B, 140, 100, 130, previous=A), health("Degraded", 150),
        event(events.RolledBack(pins=A, was=B), 200),
        deployed(A, 210, 0, previous=B, pinned=True), health("Healthy", 260),
        deployed(C, 320, 300, 305, previous=A, health="Healthy"),
    ]  # fmt: skip
    found = numbers(*told)
    assert (found.deployments, found.failed_deployments, found.change_failure_rate) == (4, 1, 0.25)
    assert (found.lead_time, found.lead_time_median) == (35.0, 35.0)
    assert found.time_to_deployment == 27.5
    assert (found.recoveries, found.time_to_recovery) == (1, 110.0)


def test_of_nothing_there_are_no_means() -> None:
    assert numbers() == Numbers()


def test_an_auditors_row_has_the_evidence_and_no_cell_is_a_formula() -> None:
    told = event(
        events.Applied(
            commit=A, previous=B, result="applied", request="2026-11-28T12:00:00Z ada only=x",
            commits=[events.Commit(A, "=cmd()", "bob", "bob@acme.example", at(0))], counts={"configured": 1},
        ),
        10,
    )  # fmt: skip
    row = audit.row(told)
    assert row is not None
    assert (row.who, row.email, row.requested_by, row.outcome) == ("bob", "bob@acme.example", "ada", "applied")
    assert row.evidence == told.id
    assert "'=cmd()" in audit.cells(row)
    assert len(audit.cells(row)) == len(audit.HEAD)
    assert audit.row(health("Healthy", 1)) is None


@pytest.mark.parametrize(
    ("signer", "approvals", "told"),
    [
        (
            "ada SHA256:x",
            ["Bob <bob@acme.example>"],
            ("ada SHA256:x", "Bob <bob@acme.example>", "claimed by who signed"),
        ),
        ("", ["Bob", "Eve"], ("", "Bob, Eve", "claimed by the commit, not proven")),
        ("ada SHA256:x", [], ("ada SHA256:x", "", "")),
    ],
)
def test_an_auditors_row_tells_signer_and_approver_and_how_far_that_is_known(
    signer: str, approvals: list[str], told: tuple[str, str, str]
) -> None:
    commit = events.Commit(A, "Subject", "ada", signer=signer, approvals=approvals)
    row = audit.row(event(events.Applied(commit=A, result="applied", commits=[commit]), 1))
    assert row is not None
    assert (row.signer, row.approver, row.approval) == told


def test_an_auditors_row_names_the_commit_whose_author_it_tells() -> None:
    brought = events.Commit(B, "Subject", "ada")
    row = audit.row(event(events.Applied(commit=A, result="applied", commits=[brought]), 1))
    assert row is not None
    assert (row.commit, row.brought, row.subject, row.who) == (A, B, "Subject", "ada")


@pytest.mark.parametrize("kind", audit.KINDS)
def test_every_act_has_its_row(kind: str) -> None:
    told = {name: ("x" if field is str else 1 if field is int else []) for name, field in needed(events.KINDS[kind])}
    row = audit.row(event(events.KINDS[kind](**told), 1))
    assert row is not None
    assert row.what == kind


def needed(kind: type[events.Data]) -> list[tuple[str, type]]:
    fields = msgspec.structs.fields(kind)
    return [(one.name, one.type) for one in fields if one.required]
