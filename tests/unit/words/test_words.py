"""Every text that a person reads, held against a file that a reviewer can read (``expected/``), and its safety."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.core.model import (
    Action,
    Change,
    Desired,
    Drift,
    DriftCause,
    DriftResponse,
    Health,
    HealthStatus,
    ObjectHealth,
    ObjectRef,
    Origin,
    Outcome,
    Plan,
    Problem,
    Result,
)
from windlass.core.plan.changes import FieldChange
from windlass.core.words.alerts import drift_line, error_line, health_line
from windlass.core.words.drifts import diff_text
from windlass.core.words.errors import error_text, problems_text
from windlass.core.words.plain import ago, columns, fit, plain, span, took, value
from windlass.core.words.plans import applied_line, outcomes_text, plan_text
from windlass.core.words.status import StatusView, applications_text, status_text
from windlass.errors import NeedsHuman, Where

EXPECTED = Path(__file__).parent / "expected"
NOW = datetime(2026, 11, 22, 14, 32, 7, tzinfo=UTC)
COMMIT = "3f2c1ab9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f"


def ref(kind: str, name: str, namespace: str = "shop") -> ObjectRef:
    group = {"Deployment": "apps"}.get(kind, "")
    return ObjectRef(group, kind, "" if kind == "Namespace" else namespace, name)


def iso(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def desired(of: ObjectRef) -> Desired:
    return Desired(of, "v1", 0, 0, "d", Origin("config", COMMIT, "apps/shop/web.yaml", 4), b"{}")


WEB, LIMITS, OLD = ref("Deployment", "web"), ref("ConfigMap", "web-limits"), ref("Service", "old-web")
IMAGE = "spec.template.spec.containers[name=web].image"


def a_plan() -> Plan:
    same = [ref("ConfigMap", f"same-{number}") for number in range(12)]
    return Plan(
        "apps/shop",
        COMMIT,
        [
            Change(Action.CREATE, LIMITS, desired(LIMITS)),
            Change(Action.CONFIGURE, WEB, desired(WEB), handover=("f:spec/f:replicas",)),
            *(Change(Action.UNCHANGED, each, desired(each)) for each in same),
            Change(Action.PRUNE, OLD, why="no longer in Git"),
        ],
    )


DETAILS = {
    WEB: [
        FieldChange(IMAGE, "acme/shop:1.4.1", "acme/shop:1.4.2"),
        FieldChange("spec.replicas", 3, None),
        FieldChange("spec.template.spec.containers[name=web].env[name=DEBUG]", None, {"name": "DEBUG", "value": "1"}),
        FieldChange("spec.paused", True, False),
    ]
}


def plan_usual() -> str:
    note = "policy: 1 warning (image has no digest, policies/images.yaml:12)"
    return plan_text(a_plan(), DETAILS, budget=20, note=note)


def plan_of_everything_that_can_happen() -> str:
    space, data, secret = ref("Namespace", "shop"), ref("ConfigMap", "app"), ref("Secret", "token")
    changes = [
        Change(Action.ADOPT, data, why="exists and belongs to nobody", takeover=("kubectl-client-side-apply",)),
        Change(Action.CONFIGURE, secret),
        Change(
            Action.REFUSE,
            ref("Deployment", "api"),
            why="belongs to Helm release shop",
            mend="spec.sync.adopt: all takes it over; then let Helm forget it, or they will fight",
        ),
        Change(Action.RELEASE, ref("Service", "web"), why='Git says windlass.dev/release: "true"'),
        Change(Action.SKIP, ref("Job", "migrate"), why="a pre-sync hook; hooks are not run yet"),
        Change(
            Action.KEEP,
            space,
            why="deleting a Namespace asks for confirmation in Git",
            mend="spec.sync.confirm: [Namespace/shop] in the Application",
        ),
        Change(Action.UNCHANGED, ref("Service", "db")),
        Change(Action.UNCHANGED, ref("Service", "db", "other")),
    ]
    details = {
        data: [FieldChange("data[app.conf]", "cache = 512\nlog = info\n", "cache = 512Mi\nlog = info\ntrace = on\n")],
        secret: [FieldChange("data.password", "***", "***"), FieldChange("data.token", None, "***")],
    }
    return plan_text(Plan("apps/shop", COMMIT, changes), details, everything=True)


def plan_blocked() -> str:
    kept = Change(Action.KEEP, LIMITS, why="Git holds no objects at all, which is not confirmed")
    blocked = "Git holds no objects any more, and 1 is managed; that is not taken for a wish unasked"
    return plan_text(Plan("apps/shop", COMMIT, [kept], blocked, "spec.sync.allowEmpty: true in the Application"), {})


def plan_past_the_budget() -> str:
    why = "25 of 60 objects would be pruned, more than spec.sync.pruneBudget allows (20 and 30%)"
    mend = "raise spec.sync.pruneBudget, or name what may go in spec.sync.confirm"
    gone = [Change(Action.KEEP, ref("ConfigMap", f"c{number}"), why=why, mend=mend) for number in range(3)]
    return plan_text(Plan("apps/shop", COMMIT, gone), {})


def plan_narrow() -> str:
    return plan_text(a_plan(), DETAILS, budget=20, width=50)


def outcomes() -> str:
    failed = Outcome(WEB, Result.FAILED, "spec.replicas: must be an integer", "replicas: 3", "apps/shop/web.yaml", 14)
    return outcomes_text([Outcome(LIMITS, Result.CREATED), failed, Outcome(OLD, Result.UNCHANGED)])


def drifts() -> list[Drift]:
    web = "spec.template.spec.containers[name=web]"
    debug = {"name": "DEBUG", "value": "1"}
    return [
        Drift(WEB, DriftCause.CHANGED, "spec.replicas", DriftResponse.ALERT, 3, 7, "kubectl", "scale", iso(480)),
        Drift(
            WEB,
            DriftCause.ADDED,
            f"{web}.env[name=DEBUG]",
            DriftResponse.REPORT,
            None,
            debug,
            "kubectl-edit",
            "Update",
            iso(720),
        ),
        Drift(
            WEB,
            DriftCause.ADDED,
            "spec.template.spec.hostPID",
            DriftResponse.REPORT,
            None,
            True,
            "kubectl-patch",
            "Update",
            iso(20),
            severe=True,
        ),
        Drift(WEB, DriftCause.CHANGED, f"{web}.env[name=MODE]", DriftResponse.REVERT, {"name": "MODE"}, None),
        Drift(
            ref("ConfigMap", "web"),
            DriftCause.ADMISSION,
            "data.mode",
            DriftResponse.REPORT,
            "prod",
            "PROD",
        ),
        Drift(ref("ConfigMap", "gone"), DriftCause.DELETED, "", DriftResponse.REVERT),
        Drift(
            ref("Secret", "token"),
            DriftCause.CHANGED,
            "data.token",
            DriftResponse.GIVE_UP,
            "***",
            "***",
            "rotator",
            "Update",
            iso(60),
        ),
    ]


def diff() -> str:
    return diff_text("shop", COMMIT, drifts(), NOW, places={WEB: "apps/shop/web.yaml:9"})


def diff_of_nothing() -> str:
    return diff_text("shop", COMMIT, [], NOW)


def alerts() -> str:
    lines = [drift_line(each, NOW) for each in drifts()]
    lines.append(drift_line(drifts()[3], NOW, seconds=0.019))
    lines.append(health_line("shop", Health(HealthStatus.DEGRADED, "Deployment/web: CrashLoopBackOff")))
    lines.append(error_line(an_error()))
    lines.append(applied_line(COMMIT, [Outcome(LIMITS, Result.CREATED), Outcome(OLD, Result.UNCHANGED)], 0.41))
    return "\n".join(lines) + "\n"


def view(**changes: Any) -> StatusView:
    crash = ObjectHealth(
        WEB,
        Health(HealthStatus.DEGRADED, "2 of 3 ready, new ReplicaSet makes no progress"),
        (
            "Pod/web-7d9c-x2x  CrashLoopBackOff, 5 restarts, exit code 1",
            "  log  missing unit in CACHE_SIZE: 512",
            "  event  Back-off restarting failed container (x5, 20s ago)",
        ),
    )
    healthy = [ObjectHealth(ref("Service", f"s{number}"), Health(HealthStatus.HEALTHY)) for number in range(5)]
    config = ObjectHealth(ref("ConfigMap", "web"), Health(HealthStatus.HEALTHY))
    settings: dict[str, Any] = {
        "name": "shop",
        "sync": "Synced",
        "commit": COMMIT,
        "health": Health(HealthStatus.DEGRADED, "Deployment/web: crash loop"),
        "subject": "Raise cache size",
        "author": "ada",
        "committed": iso(240),
        "since": NOW - timedelta(seconds=125),
        "objects": [*healthy, config, crash],
        "notes": {config.ref: "changed in 3f2c1ab (apps/shop/web.yaml:4)"},
    }
    return StatusView(**(settings | changes))


def status_degraded() -> str:
    step = "rolls back to 8e1f0c2 at 14:32 unless Healthy (rollback.onDegraded); now: windlass rollback shop"
    return status_text(view(drift=2, following=[step]), NOW)


def status_healthy() -> str:
    objects = [each for each in view().objects if each.health.status is HealthStatus.HEALTHY]
    return status_text(view(objects=objects, notes={}, health=Health(HealthStatus.HEALTHY), since=None), NOW)


def status_of_a_chart() -> str:
    chart = "web 1.4.2 sha256:3f2c1ab0c7d64ab2a1f0a4b5c6d7e8f901234567890123456789012345678901"
    return status_text(view(objects=[], health=Health(HealthStatus.HEALTHY), since=None, chart=chart), NOW)


def status_pending() -> str:
    why = "replicas must be an integer (apps/shop/web.yaml:14)"
    return status_text(view(sync="OutOfSync", pending="b51c9d0ffff", pending_why=why, objects=[]), NOW)


def applications() -> str:
    views = [
        view(name="database", health=Health(HealthStatus.HEALTHY), since=None),
        view(drift=1),
        view(name="infra", sync="Unknown", commit="", health=Health(HealthStatus.UNKNOWN), messages=["waits for Git"]),
    ]
    return applications_text(views, NOW)


class WrongType(NeedsHuman):
    slug = "wrong-type"


def an_error() -> NeedsHuman:
    return WrongType(
        'replicas must be an integer, not "three"',
        where=Where("apps/shop/web.yaml", 14, COMMIT, "config", "shop"),
        hint="replicas: 3",
        then="nothing was applied; 8e1f0c2 keeps running",
    )


def error() -> str:
    return error_text(an_error())


def error_narrow() -> str:
    return error_text(an_error(), width=44)


def test_a_repository_alone_is_a_place() -> None:
    assert str(Where(repository="shop/config")) == "repository shop/config"
    assert str(Where("a.yaml", repository="shop/config")) == "a.yaml of repository shop/config"


def problems() -> str:
    found = [
        Problem("the key replicas stands twice", "b.yaml", 9, hint="take one out", slug="duplicate-key"),
        Problem("no kind", "a.yaml", 3),
    ]
    return problems_text(found, commit=COMMIT, repository="config", then="nothing was applied")


TEXTS: list[Callable[[], str]] = [
    plan_usual,
    plan_of_everything_that_can_happen,
    plan_blocked,
    plan_past_the_budget,
    plan_narrow,
    outcomes,
    diff,
    diff_of_nothing,
    alerts,
    status_degraded,
    status_healthy,
    status_pending,
    status_of_a_chart,
    applications,
    error,
    error_narrow,
    problems,
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.__name__)
def test_a_text_reads_as_in_its_file(text: Callable[[], str]) -> None:
    """Written by hand or looked at line by line: the file is the claim, the program has to keep it."""
    assert text() == (EXPECTED / f"{text.__name__}.txt").read_text()


def test_no_file_is_left_without_a_text() -> None:
    assert {path.stem for path in EXPECTED.iterdir()} == {text.__name__ for text in TEXTS}


# --- what comes from others ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("foreign", "harmless"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==\x07", ""),
        ("\x9b2Jcleared", "cleared"),
        ("two\r\nlines\tand", "two lines and"),
        ("back\x08space\x00", "backspace"),
        ("safe\u202egnp.exe", "safegnp.exe"),
        ("\ud800x", "x"),
        ("Grüße 世界", "Grüße 世界"),
    ],
)
def test_foreign_text_cannot_act_on_a_terminal(foreign: str, harmless: str) -> None:
    assert plain(foreign) == harmless


HOSTILE = st.text(st.sampled_from("ab \x1b[]0;\x07\x9b\n\r\x08m\\P\u202e\u2028"), max_size=20)


@given(HOSTILE, HOSTILE, st.integers(0, 60))
def test_no_text_lets_an_escape_through(name: str, words: str, width: int) -> None:
    of = ref("ConfigMap", name)
    drift = Drift(of, DriftCause.CHANGED, words, DriftResponse.ALERT, words, name, words, words, words)
    change = Change(Action.REFUSE, of, why=words, mend=words, takeover=(words,))
    texts = [
        plan_text(Plan(name, name, [change], words, words), {of: [FieldChange(words, words, name)]}, width=width),
        diff_text(name, words, [drift], NOW, places={of: words}, width=width),
        drift_line(drift, NOW),
        status_text(
            view(name=name, subject=words, objects=[ObjectHealth(of, Health(HealthStatus.UNKNOWN, words), (words,))]),
            NOW,
            width=width,
        ),
        error_text(WrongType(words, hint=words, then=name), width=width),
        outcomes_text([Outcome(of, Result.FAILED, words, words, words)], width=width),
    ]
    for text in texts:
        assert not any(
            ord(each) < 32 or 0x7F <= ord(each) < 0xA0 or each in "\u202e\u2028" for each in text.replace("\n", "")
        )


@given(st.text(max_size=60), st.integers(4, 40))
def test_what_is_cut_fits(text: str, width: int) -> None:
    assert columns(fit(plain(text), width)) <= width


@pytest.mark.parametrize(
    ("given_value", "words"),
    [
        ("acme/shop:1.4.2", "acme/shop:1.4.2"),
        ("1", '"1"'),
        ("true", '"true"'),
        ("", '""'),
        ("two words", '"two words"'),
        (3, "3"),
        (False, "false"),
        (None, "nothing"),
        ({"name": "DEBUG", "value": "1"}, '{"name":"DEBUG","value":"1"}'),
        ("x" * 200, "x" * 69 + "..."),
    ],
)
def test_values_cannot_be_mistaken_for_others(given_value: object, words: str) -> None:
    assert value(given_value) == words


def test_times_in_words() -> None:
    assert [span(seconds) for seconds in (0, 119, 120, 7199, 7200, 172799, 172800)] == [
        "0s",
        "119s",
        "2m",
        "119m",
        "2h",
        "47h",
        "2d",
    ]
    assert [took(seconds) for seconds in (0.0194, 1.24, 41)] == ["19 ms", "1.2 s", "41 s"]
    assert (ago(iso(240), NOW), ago(iso(-300), NOW), ago(iso(-1), NOW), ago("never", NOW)) == (
        "4m ago",
        "in 5m",
        "0s ago",
        "",
    )


def test_a_tag_alone_is_told_where_the_image_stays() -> None:
    assert "acme/shop:1.4.1 -> 1.4.2" in plan_usual()
    other = plan_text(a_plan(), {WEB: [FieldChange(IMAGE, "acme/shop:1", "evil/shop:1")]})
    assert "acme/shop:1 -> evil/shop:1" in other
