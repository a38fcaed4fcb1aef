"""What the kinds read, and how they say no."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from windlass.core.kinds import (
    API_VERSION,
    KINDS,
    BadSpec,
    alerts,
    application,
    image_policy,
    installation,
    moment,
    repository,
    seconds,
)
from windlass.core.kinds.shape import check, schema

READERS = {
    "Alert": alerts.decode_alert,
    "Channel": alerts.decode_channel,
    "Application": application.decode,
    "ImagePolicy": image_policy.decode,
    "Installation": installation.decode,
    "Repository": repository.decode,
}
COMMIT = "3f2c1ab0c7d64ab2a1f0a4b5c6d7e8f901234567"


def app(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": {"name": "shop", "namespace": "team"},
        "spec": {"source": {"repository": "config"}, **spec},
    }


def repo(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Repository",
        "metadata": {"name": "config", "namespace": "team"},
        "spec": {"url": "https://git.example.com/config.git", **spec},
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_example_of_each_kind_reads(kind: Any) -> None:
    READERS[kind.kind](yaml.safe_load(kind.example))


def test_five_lines_are_enough_and_the_defaults_are_the_documented_ones() -> None:
    read = application.decode(app())
    assert (read.key, read.namespace, read.spec.source.folder) == ("team.shop", "team", "")
    sync = read.spec.sync
    assert (sync.mode, sync.prune, sync.adopt, sync.conflicts) == ("auto", True, "free", "take")
    assert (seconds(sync.timeout), seconds(sync.retry.max), sync.prune_budget.fraction) == (600.0, 300.0, 0.3)
    assert (read.spec.drift.action, read.spec.drift.additions, read.spec.deletion) == ("revert", "report", "delete")


BAD = [
    (app(syncs={}), "spec.syncs is not a known field", "did you mean sync?"),
    (app(source={"repository": "c", "pth": "x"}), "spec.source.pth is not a known field", "did you mean path?"),
    (app(sync={"windows": []}), "spec.sync.windows is not a known field", "known here:"),
    (app(sync={"mode": "automatic"}), 'spec.sync.mode must be auto or manual, not "automatic"', "mode: auto"),
    (app(sync={"prune": "yes"}), 'spec.sync.prune must be true or false, not "yes"', "prune: true"),
    (app(sync={"timeout": 30}), "spec.sync.timeout must be a duration such as 30s, 5m or 2h, not 30", "timeout: 10m"),
    (app(sync={"timeout": "5 m"}), 'spec.sync.timeout must be a duration such as 30s, 5m or 2h, not "5 m"', "10m"),
    (app(sync={"retry": {"backoff": "0s"}}), "spec.sync.retry.backoff must be more than nothing", "backoff: 5s"),
    (app(sync={"pruneBudget": {"share": 30}}), "spec.sync.pruneBudget.share must be a share from 0% to 100%", "30%"),
    (app(sync={"pruneBudget": {"count": -1}}), "spec.sync.pruneBudget.count must be an integer of at least 0", "0"),
    (app(sync={"confirm": ["old"]}), "spec.sync.confirm[0] must be Kind/name", "Namespace/old"),
    (app(drift={"action": "adopt"}), 'spec.drift.action must be revert or alert, not "adopt"', "action: revert"),
    (app(source={}), "spec.source.repository is missing", "repository: config"),
    (app(source=None), "spec.source is missing", "source: {repository: config}"),
    (app(source={"repository": "c", "at": "3f2c1ab"}), "spec.source.at must be a whole commit id", "at: "),
    (
        app(source={"repository": "c", "path": "/x"}),
        "spec.source.path must be a folder of the repository",
        "path: apps/shop",
    ),
    (
        app(source={"repository": "c", "path": "a/../../b"}),
        "spec.source.path stays in the repository",
        "path: apps/shop",
    ),
    (app(suspend={"until": "2026-12-01"}), "spec.suspend.reason is missing", "reason: incident 4711"),
    (
        app(suspend={"until": "soon", "reason": "a", "by": "b"}),
        "spec.suspend.until must be a date or a time",
        "until: ",
    ),
    (app(suspend={"until": "2026-02-31", "reason": "a", "by": "b"}), "spec.suspend.until is not a day", "until: "),
    (app(dependsOn=[{"name": "shop"}]), "spec.dependsOn[0] names the Application itself", "take it out"),
    (app(dependsOn={"name": "a"}), "spec.dependsOn must be a list", "dependsOn: [{name: database}]"),
    (app(serviceAccount="Shop"), "spec.serviceAccount must be a name of lower-case letters", "shop-deployer"),
    (repo(url="git://a/b"), "spec.url must be a URL that begins with https:// or ssh://", "https://git.example.com"),
    (repo(url="http://git.example.com/a"), "spec.url must be a URL", "https://"),
    (repo(url="https://a/b\nc"), "spec.url must be a URL", "https://"),
    (repo(url="ext::sh -c x"), "spec.url must be a URL", "https://"),
    (repo(url="ssh://-oProxyCommand=x/a"), "spec.url has no host", "https://"),
    (repo(url="https://me:pw@git.example.com/a"), "spec.url holds credentials", "spec.read.secret"),
    (repo(url="ssh://me:pw@git.example.com/a"), "spec.url holds credentials", "spec.read.secret"),
    (repo(ref={"branch": "a", "tag": "b"}), "spec.ref follows one thing, not branch and tag", "leave branch alone"),
    (repo(ref={"branch": "--upload-pack=x"}), "spec.ref.branch must be the name of a branch", "main"),
    (repo(ref={"branch": "a..b"}), "spec.ref.branch is not a name that Git allows", "main"),
    (repo(verify={}), "spec.verify.signers is missing", ""),
    (repo(verify={"signers": [{"ssh": "ada"}]}), "spec.verify.signers[0].ssh must be an SSH public key", "ssh-ed25519"),
    (repo(include=[]), "spec.include is not a known field", "known here:"),
]


@pytest.mark.parametrize(("content", "what", "hint"), BAD, ids=[what for _, what, _ in BAD])
def test_a_mistake_is_told_with_its_field_and_the_mend(content: dict[str, Any], what: str, hint: str) -> None:
    with pytest.raises(BadSpec) as caught:
        READERS[content["kind"]](content)
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.where.field.startswith("spec")


def test_there_is_one_installation() -> None:
    content = {"apiVersion": API_VERSION, "kind": "Installation", "metadata": {"name": "x"}, "spec": {"name": "prod"}}
    with pytest.raises(BadSpec, match="must be windlass"):
        installation.decode(content)


def test_another_kind_is_not_read_as_ours() -> None:
    with pytest.raises(BadSpec, match="is not Repository"):
        repository.decode(app())


def test_a_status_that_another_version_wrote_stops_nothing() -> None:
    read = application.decode({**app(), "status": {"sync": "Perhaps", "future": 1}})
    assert read.status.sync == "Unknown"
    assert application.decode({**app(), "status": {"commit": COMMIT, "future": 1}}).status.commit == COMMIT


def test_an_ssh_url_may_name_a_user() -> None:
    assert repository.decode(repo(url="ssh://git@git.example.com:2222/a.git")).spec.url.startswith("ssh://git@")


def test_a_suspension_ends_by_itself() -> None:
    spec = application.decode(app(suspend={"until": "2026-12-01T08:00:00+01:00", "reason": "a", "by": "b"})).spec
    assert spec.suspend is not None
    assert spec.suspend.active(datetime(2026, 12, 1, 6, 59, tzinfo=UTC))
    assert not spec.suspend.active(datetime(2026, 12, 1, 7, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30.0), ("5m", 300.0), ("2h", 7200.0), ("1h30m", 5400.0), ("250ms", 0.25), ("0s", 0.0)],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "-5s", "5d", "5s\n", "5 s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


def test_a_date_alone_is_its_first_instant() -> None:
    assert moment("2026-12-01") == datetime(2026, 12, 1, tzinfo=UTC)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["source", "destination", "sync", "drift", "suspend", "health", "x"]), JSON))
def test_whatever_is_written_is_read_or_refused_with_its_field(spec: dict[str, Any]) -> None:
    content = {**app(), "spec": spec}
    refused: BadSpec | None = None
    try:
        application.decode(content)
    except BadSpec as error:
        refused = error
    assert refused is None or (refused.where.field and refused.hint)


def test_what_check_allows_and_what_the_schema_says_are_the_same_fields() -> None:
    for kind in KINDS:
        made = schema(kind.spec)
        with pytest.raises(BadSpec, match="not a known field"):
            check({"notThere": 1}, kind.spec, "spec")
        assert made["type"] == "object"
        assert "notThere" not in made["properties"]
