"""The live index: whatever order states arrive in, it ends where the cluster is, and its steps tell the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.adapters.cluster.decode import LAST_APPLIED, Decoder, newer, watched_whole
from windlass.adapters.cluster.live import LABEL, VOUCHED, Index
from windlass.core.model import LiveObject, ObjectRef, Resource
from windlass.ports import ClusterUnavailable, LiveChange

MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)


def ref(name: str) -> ObjectRef:
    return ObjectRef("", "ConfigMap", "default", name)


def live(name: str, version: int | str, label: str | None = "ns.app", uid: str = "") -> LiveObject:
    labels = {} if label is None else {LABEL: label}
    return LiveObject(ref(name), "v1", uid or f"uid-{name}", str(version), 0, "", False, labels, {}, None, ())


class Watched:
    """An index of one kind whose steps are written down and replayed into a second view."""

    def __init__(self) -> None:
        self.now = 0.0
        self.index = Index(lambda: self.now)
        self.index.open(MAPS)
        self.told: list[LiveChange] = []
        self.index.listen(self.told.append)


def test_a_step_tells_what_was_and_what_is() -> None:
    """ADDED has no old, DELETED no new; the index is changed before the callback."""
    watched = Watched()
    states: list[LiveObject | None] = []
    watched.index.listen(lambda change: states.append(watched.index.get(change.ref)))
    first, second = live("a", 1), live("a", 2)
    watched.index.take(MAPS, first, replayed=True)
    watched.index.take(MAPS, second, replayed=False)
    watched.index.drop(MAPS, ref("a"), "3")
    assert watched.told == [
        LiveChange(ref("a"), None, first, True),
        LiveChange(ref("a"), first, second, False),
        LiveChange(ref("a"), second, None, False),
    ]
    assert states == [first, second, None]


def test_repeated_and_older_states_are_passed_over() -> None:
    """By the resourceVersion, whichever way they come."""
    watched = Watched()
    watched.index.observed(live("a", 5))
    for version in (3, 5):
        watched.index.take(MAPS, live("a", version), replayed=False)
    watched.index.drop(MAPS, ref("a"), "4")
    watched.index.observed(live("a", 4))
    held = watched.index.get(ref("a"))
    assert held is not None
    assert held.resource_version == "5"
    assert watched.told == []


def test_the_answer_to_a_write_that_the_watch_saw_deleted_does_not_bring_it_back() -> None:
    """The answer comes late, the watch had both the creation and the deletion: no ghost."""
    watched = Watched()
    watched.index.listed(MAPS, set(), "1")
    watched.index.take(MAPS, live("a", 5), replayed=False)
    watched.index.drop(MAPS, ref("a"), "6")
    watched.index.passed(MAPS, "6")
    watched.index.observed(live("a", 5))
    assert watched.index.get(ref("a")) is None
    watched.index.observed(live("a", 7))
    assert watched.index.get(ref("a")) is not None


def test_a_label_that_changes_hands_moves_the_object() -> None:
    """`of` follows the label; an Application without objects costs nothing."""
    watched = Watched()
    watched.index.take(MAPS, live("a", 1, "ns.one"), replayed=False)
    watched.index.take(MAPS, live("a", 2, "ns.two"), replayed=False)
    assert dict(watched.index.of("ns.one")) == {}
    assert list(watched.index.of("ns.two")) == [ref("a")]
    watched.index.observed(live("a", 3, None))
    assert dict(watched.index.of("ns.two")) == {}
    assert watched.index.get(ref("a")) is None


def test_a_kind_is_vouched_for_only_while_it_is_heard_of() -> None:
    """Not before the first list, not after silence; trouble is told and what is held stays."""
    watched = Watched()
    index = watched.index
    assert not index.synced("", "ConfigMap")
    index.take(MAPS, live("a", 1), replayed=True)
    assert list(index.listed(MAPS, {ref("a")}, "1")) == []
    assert index.synced("", "ConfigMap")
    watched.now += VOUCHED + 1
    assert not index.synced("", "ConfigMap")
    index.troubled(MAPS, ClusterUnavailable("away"))
    assert str(index.trouble("", "ConfigMap")) == "away"
    assert index.get(ref("a")) is not None
    index.passed(MAPS, "")
    assert index.synced("", "ConfigMap")
    assert index.trouble("", "ConfigMap") is None
    assert not index.synced("", "Secret")


def test_a_kind_that_is_gone_takes_its_objects_along() -> None:
    """One step each, found after the fact."""
    watched = Watched()
    watched.index.take(MAPS, live("a", 1), replayed=False)
    watched.index.gone(MAPS)
    assert [(change.new, change.replayed) for change in watched.told] == [(watched.told[0].new, False), (None, True)]
    assert len(watched.index) == 0


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    """Servers behind the aggregation layer may count otherwise."""
    watched = Watched()
    watched.index.take(MAPS, live("a", "x1"), replayed=False)
    watched.index.take(MAPS, live("a", "w2"), replayed=False)
    held = watched.index.get(ref("a"))
    assert held is not None
    assert held.resource_version == "w2"
    assert newer("10", "9") is True
    assert newer("x", "9") is None


# --- the property: any interleaving ends where the cluster is ---

NAMES = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, st.sampled_from(["ns.one", "ns.two"]), st.integers(0, 3)),
        st.tuples(st.just("delete"), NAMES),
        st.tuples(st.just("deliver"), st.integers(1, 4)),
        st.tuples(st.just("repeat"), st.integers(1, 4)),
        st.tuples(st.just("lose")),
        st.tuples(st.just("answer")),
    ),
    max_size=60,
)


class Simulated:
    """A cluster with a journal, a watch that lags behind it, and answers of writes that come whenever they like."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.version = 0
        self.objects: dict[str, LiveObject] = {}
        self.journal: list[tuple[int, Callable[[], None]]] = []
        self.at = 0  # how far the watch's stream is delivered
        self.answers: list[LiveObject] = []
        self.relist()

    def write(self, name: str, label: str, answer: int) -> None:
        """A creation or a change; sometimes one of our own, whose answer arrives some time."""
        self.version += 1
        before = self.objects.get(name)
        state = live(name, self.version, label, before.uid if before else f"uid-{name}-{self.version}")
        self.objects[name] = state
        self.journal.append((self.version, lambda: self.watched.index.take(MAPS, state, replayed=False)))
        if answer:
            self.answers.append(state)

    def remove(self, name: str) -> None:
        """A deletion, or the label taken off: the watch by selector tells both alike."""
        if self.objects.pop(name, None) is None:
            return
        self.version += 1
        version = str(self.version)
        self.journal.append((self.version, lambda: self.watched.index.drop(MAPS, ref(name), version)))

    def deliver(self, count: int) -> None:
        for version, tell in self.journal[self.at : self.at + count]:
            tell()
            self.watched.index.passed(MAPS, str(version))
        self.at = min(len(self.journal), self.at + count)

    def repeat(self, count: int) -> None:
        """A watch opened anew a little too early sends again what was sent."""
        for _, tell in self.journal[max(0, self.at - count) : self.at]:
            tell()

    def relist(self) -> None:
        seen = set()
        for state in self.objects.values():
            self.watched.index.take(MAPS, state, replayed=True)
            seen.add(state.ref)
        for gone in self.watched.index.listed(MAPS, seen, str(self.version)):
            self.watched.index.drop(MAPS, gone, str(self.version), replayed=True)
        self.at = len(self.journal)

    def step(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("write", name, label, answer):
                self.write(name, label, answer)
            case ("delete", name):
                self.remove(name)
            case ("deliver", count):
                self.deliver(count)
            case ("repeat", count):
                self.repeat(count)
            case ("lose",):
                self.relist()
            case ("answer",) if self.answers:
                self.watched.index.observed(self.answers.pop(0))


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_any_interleaving_ends_where_the_cluster_is(steps: list[tuple[Any, ...]]) -> None:
    """Random writes, lost and repeated events, lists after gaps, late answers: the index equals the list at the end."""
    watched = Watched()
    simulated = Simulated(watched)
    for step in steps:
        simulated.step(step)
    simulated.deliver(len(simulated.journal))
    for late in simulated.answers:
        watched.index.observed(late)
    expected = {state.ref: state for state in simulated.objects.values()}
    assert {each: watched.index.get(each) for each in map(ref, "abc")} == {
        each: expected.get(each) for each in map(ref, "abc")
    }
    for label in ("ns.one", "ns.two"):
        labelled = {key: state for key, state in expected.items() if state.labels[LABEL] == label}
        assert dict(watched.index.of(label)) == labelled


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_the_steps_replayed_are_the_index(steps: list[tuple[Any, ...]]) -> None:
    """Without answers of one's own, each step's old is what the step before left, and their sum is the index."""
    watched = Watched()
    simulated = Simulated(watched)
    view: dict[ObjectRef, LiveObject] = {}
    for step in steps:
        if step[0] != "answer":
            simulated.step(step)
    for change in watched.told:
        assert view.get(change.ref) == change.old
        assert change.old != change.new
        if change.new is None:
            del view[change.ref]
        else:
            view[change.ref] = change.new
    assert view == {each: held for each in map(ref, "abc") if (held := watched.index.get(each)) is not None}


# --- decoding ---

CONTENT = {
    "metadata": {
        "name": "a",
        "namespace": "shop",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z",
        "labels": {LABEL: "ns.app"},
        "annotations": {LAST_APPLIED: '{"data":{"password":"aHVudGVyMg=="}}', "a": "b"},
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "X", "name": "not-it", "uid": "1"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "2", "controller": True},
        ],
        "finalizers": ["f"],
        "managedFields": [
            {
                "manager": "kubectl",
                "operation": "Update",
                "subresource": "scale",
                "apiVersion": "apps/v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:replicas": {}}},
            }
        ],
    },
    "spec": {"replicas": 2},
    "status": {"ready": True},
    "data": {"password": "aHVudGVyMg=="},
}


def test_what_is_read_of_an_object() -> None:
    """Only what decisions need; spec and status as bytes where the kind is watched whole."""
    found = Decoder().live(DEPLOYMENTS, msgspec.json.encode(CONTENT), whole=True)
    assert found.ref == ObjectRef("apps", "Deployment", "shop", "a")
    assert (found.uid, found.resource_version, found.generation, found.deleting) == ("u", "7", 3, True)
    assert found.controller is not None
    assert found.controller.name == "web"
    assert found.finalizers == ("f",)
    entry = found.managed[0]
    assert (entry.manager, entry.operation, entry.subresource, entry.time) == ("kubectl", "Update", "scale", "")
    assert msgspec.json.decode(entry.fields) == {"f:spec": {"f:replicas": {}}}
    assert (found.spec, found.status) == (b'{"replicas":2}', b'{"ready":true}')


def test_no_value_of_a_secret_is_kept() -> None:
    """Neither its data nor what `kubectl apply` wrote into an annotation; that it did so is kept."""
    found = Decoder().live(SECRETS, msgspec.json.encode(CONTENT), whole=watched_whole(SECRETS))
    assert b"aHVudGVyMg==" not in msgspec.json.encode(found)
    assert found.spec is None
    assert found.annotations == {LAST_APPLIED: "", "a": "b"}


@pytest.mark.parametrize(
    ("group", "kind", "whole"),
    [
        ("", "Secret", False),
        ("", "ConfigMap", False),
        ("", "ServiceAccount", False),
        ("rbac.authorization.k8s.io", "Role", False),
        ("", "Pod", True),
        ("apps", "Deployment", True),
        ("gateway.networking.k8s.io", "HTTPRoute", True),
        ("cert-manager.io", "Certificate", True),
        ("windlass.dev", "Application", True),
    ],
)
def test_which_kinds_are_watched_whole(group: str, kind: str, whole: bool) -> None:
    """Health needs spec and status of some built-in kinds and of every other group's; never of what holds values."""
    assert watched_whole(Resource(group, "v1", "x", kind, namespaced=True)) is whole


def test_ten_thousand_objects_take_less_than_sixty_megabytes() -> None:
    """Equal texts and field sets are held once; nothing keeps the page's buffer."""
    import gc
    import tracemalloc

    def raw(number: int) -> bytes:
        meta = CONTENT["metadata"] | {  # type: ignore[operator]
            "name": f"config-{number}",
            "namespace": f"ns-{number % 200}",
            "uid": f"{number:08x}-459d-4459-bafa-c6192cb06728",
            "resourceVersion": str(number),
            "labels": {LABEL: f"ns.app-{number // 10}", "app.kubernetes.io/name": f"app-{number // 10}"},
            "annotations": {
                "windlass.dev/digest": f"{number:064x}",
                "windlass.dev/origin": f"r@{'a' * 40}:{number}.yaml",
            },
        }
        fields = {"f:data": {f"f:key-{each}-{number}": {} for each in range(20)}}
        meta["managedFields"] = [
            {"manager": f"windlass-ns.app-{number // 10}", "operation": "Apply", "fieldsV1": fields}
        ]
        return msgspec.json.encode({"metadata": meta})

    bodies = [raw(number) for number in range(10_000)]
    decoder, index = Decoder(), Index(lambda: 0.0)
    index.open(MAPS)
    gc.collect()
    tracemalloc.start()
    for body in bodies:
        index.take(MAPS, decoder.live(MAPS, body, whole=False), replayed=True)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index) == 10_000
    assert held < 60e6
