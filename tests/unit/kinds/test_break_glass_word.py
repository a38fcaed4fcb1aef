"""The annotation that pins in the cluster: one form is read, within bounds, and only where it is guarded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass.core.kinds import application
from windlass.core.kinds.application_status import BreakGlassStatus
from windlass.core.kinds.deploy import GLASS, Deploy, glass_policy, manifests
from windlass.core.kinds.fields import stamp
from windlass.core.kinds.glass import Glass, GlassRefused, is_guarded, mark, pinned, read_glass
from windlass.core.model import events
from windlass.core.record.audit import row
from windlass.core.record.delivery import Delivery
from windlass.core.record.facts import fact

NOW = datetime(2026, 11, 28, 14, 0, tzinfo=UTC)
COMMIT = "8e1f0c2ab0c7d64ab2a1f0a4b5c6d7e8f9012345"
WORD = Glass("ada@acme.example", COMMIT, stamp(NOW + timedelta(hours=1)), "crash loop", "", stamp(NOW))


def changed(**fields: Any) -> str:
    return Glass(**{**{name: getattr(WORD, name) for name in WORD.__struct_fields__}, **fields}).value()


def test_what_windlass_writes_is_read_back() -> None:
    assert read_glass(WORD.value(), NOW) == WORD
    assert WORD.value().startswith('{"by":"ada@acme.example",'), "the policy compares the beginning with who sends it"
    quoted = changed(reason='a "by":"root" in it')
    assert read_glass(quoted, NOW).by == "ada@acme.example"
    assert mark(WORD.value()) != mark(quoted)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "not what windlass writes"),
        ("[]", "not what windlass writes"),
        (WORD.value().replace("}", ',"by":"root"}'), "not written as"),
        (WORD.value().replace('","', '", "'), "not written as"),
        (WORD.value().replace("}", ',"more":1}'), "not what windlass writes"),
        (changed(by=""), "does not say by"),
        (changed(by="a\nb"), "does not say by"),
        (changed(reason="  "), "does not say reason"),
        (changed(reason="x" * 2000), "does not say reason"),
        (changed(commit="HEAD"), "no commit id"),
        (changed(commit="8e1f0c"), "no commit id"),
        (changed(was="main"), "no commit id"),
        (changed(until="soon"), "is no time"),
        (changed(until=stamp(NOW)), "is past already"),
        (changed(until=stamp(NOW + timedelta(hours=25))), "more than 24 hours away"),
    ],
)
def test_anything_else_is_refused_with_the_mend(value: str, told: str) -> None:
    with pytest.raises(GlassRefused, match=told) as caught:
        read_glass(value, NOW)
    assert "windlass" in caught.value.hint


def test_the_application_is_followed_as_pinned_only_while_it_holds() -> None:
    content = {
        "apiVersion": "windlass.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"source": {"repository": "config", "path": "shop"}},
    }
    said = application.decode(content)
    assert pinned(said, BreakGlassStatus("holds", COMMIT)).spec.source.at == COMMIT
    assert pinned(said, BreakGlassStatus("ended", COMMIT)) is said
    assert pinned(said, None) is said
    assert said.spec.source.at == "", "what was written is never changed"


def test_it_is_believed_only_where_the_policy_is_as_it_was_installed() -> None:
    policy, binding = glass_policy()
    assert is_guarded(policy, binding)
    assert not is_guarded(None, binding)
    assert not is_guarded(policy, None)
    for broken in ({"validations": policy["spec"]["validations"][:1]}, {"failurePolicy": "Ignore"}):
        assert not is_guarded({**policy, "spec": {**policy["spec"], **broken}}, binding)
    for broken in ({"validationActions": ["Audit"]}, {"policyName": "another"}):
        assert not is_guarded(policy, {**binding, "spec": {**binding["spec"], **broken}})


def test_no_built_in_role_may_and_the_controller_may() -> None:
    roles = [one for one in manifests(Deploy("image", "prod")) if one["kind"] == "ClusterRole"]
    may = {one["metadata"]["name"] for one in roles if "break-glass" in str(one["rules"])}
    assert may == {"windlass-controller", "windlass-break-glass"}
    (role,) = [one for one in roles if one["metadata"]["name"] == "windlass-break-glass"]
    assert not any("aggregate" in label for label in role["metadata"]["labels"])
    assert any(GLASS in str(one) for one in manifests(Deploy("image", "prod")) if one["kind"].endswith("Policy"))


def test_it_counts_as_a_rollback_and_an_auditor_has_who_and_why() -> None:
    delivery = Delivery()
    applied = events.Applied(commit="b" * 40, result="applied", counts={"configured": 1}, health="Healthy")
    broken = events.GlassBroken(
        what="pinned", commit=COMMIT, was="b" * 40, until=WORD.until, reason=WORD.reason, actor=WORD.by
    )
    for number, data in enumerate((applied, broken)):
        delivery.take(fact(events.make("prod", "shop/shop", data, NOW + timedelta(seconds=number))))
    assert [one.failed for one in delivery.deployments()] == ["rolled back"]
    told = row(events.make("prod", "shop/shop", broken, NOW))
    assert told is not None
    assert (told.what, told.outcome, told.who, told.commit) == ("break-glass", "pinned", WORD.by, COMMIT)
    assert "crash loop" in told.details
