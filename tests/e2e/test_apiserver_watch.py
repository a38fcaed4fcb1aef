"""Watches, garbage collection and the end of namespaces: on the devcluster and on a real server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.conversation import Conversation
from e2e.test_apiserver_crud import MAPS, config_map
from real.cluster import MERGE, Cluster


class Watch:
    """A watch read by a thread of its own; `events` grows as they come."""

    def __init__(self, cluster: Cluster, path: str, **query: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(cluster, path, query), daemon=True)
        self._thread.start()

    def _read(self, cluster: Cluster, path: str, query: dict[str, str]) -> None:
        try:
            for event in cluster.watch(path, seconds=8, **query):
                self.events.append(event)
        except TimeoutError:
            pass  # the test is over
        finally:
            self.ended.set()

    def kinds(self) -> list[tuple[str, str]]:
        """(type, name) of each event but bookmarks."""
        found = [each for each in self.events if each["type"] != "BOOKMARK"]
        return [(each["type"], each["object"]["metadata"].get("name", "")) for each in found]


@pytest.fixture
def maps(cluster: Cluster, namespace: str) -> Callable[..., Any]:
    """Sends a request about the ConfigMaps of the test's namespace; the answer must be good."""

    def send(method: str, name: str = "", body: Any = None, **more: Any) -> Any:
        path = f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")
        answer = cluster.request(method, path, body, **more)
        assert answer.code < 300, answer.body
        return answer.json

    return send


def test_watch_tells_every_change(cluster: Cluster, namespace: str, maps: Callable[..., Any]) -> None:
    """From a list's resourceVersion on: added, modified, deleted, each with the object as it then was."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    version = maps("GET")["metadata"]["resourceVersion"]
    watch = Watch(cluster, path, resourceVersion=version)
    maps("POST", body=config_map("one"))
    maps("PATCH", "one", {"data": {"a": "2"}}, content_type=MERGE)
    maps("PATCH", "one", {"data": {"a": "2"}}, content_type=MERGE)
    maps("DELETE", "one")
    want = [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
    cluster.eventually(lambda: watch.kinds() == want, f"{want}, not {watch.kinds()}")
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in watch.events]
    assert versions == sorted(set(versions)), "each event has a later resourceVersion, the deletion too"
    assert watch.events[1]["object"]["data"] == {"a": "2"}
    again = Watch(cluster, path, resourceVersion=version)
    cluster.eventually(lambda: again.kinds() == want, "the same from the same version")


def test_watch_by_selector(cluster: Cluster, namespace: str, maps: Callable[..., Any]) -> None:
    """An object that begins or ceases to match is ADDED or DELETED, with its old labels at the end."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    version = maps("GET")["metadata"]["resourceVersion"]
    by_label = Watch(cluster, path, resourceVersion=version, labelSelector="in=yes")
    by_name = Watch(cluster, path, resourceVersion=version, fieldSelector="metadata.name=one")
    maps("POST", body=config_map("one"))
    maps("POST", body=config_map("other"))
    maps("PATCH", "one", {"metadata": {"labels": {"in": "yes"}}}, content_type=MERGE)
    maps("PATCH", "one", {"data": {"b": "1"}}, content_type=MERGE)
    maps("PATCH", "one", {"metadata": {"labels": {"in": "no"}}}, content_type=MERGE)
    want = [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
    cluster.eventually(lambda: by_label.kinds() == want, "matching, changed, matching no more")
    gone = by_label.events[-1]["object"]
    assert gone["metadata"]["labels"] == {"in": "yes"}
    assert int(gone["metadata"]["resourceVersion"]) > int(by_label.events[1]["object"]["metadata"]["resourceVersion"])
    cluster.eventually(lambda: len(by_name.kinds()) == 4, "all changes of the one")
    assert {name for _, name in by_name.kinds()} == {"one"}


def test_watch_from_the_beginning(cluster: Cluster, namespace: str, maps: Callable[..., Any]) -> None:
    """Without a version what is there is ADDED first; with sendInitialEvents a bookmark says where that ends."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for name in ("a", "b"):
        maps("POST", body=config_map(name, labels={"w": "y"}))
    for version in ({}, {"resourceVersion": "0"}):
        watch = Watch(cluster, path, labelSelector="w=y", **version)
        cluster.eventually(lambda watch=watch: len(watch.events) == 2, "both are there")
        assert sorted(watch.kinds()) == [("ADDED", "a"), ("ADDED", "b")]
    streamed = Watch(
        cluster,
        path,
        labelSelector="w=y",
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
    )
    cluster.eventually(lambda: any(each["type"] == "BOOKMARK" for each in streamed.events), "the bookmark")
    assert [each["type"] for each in streamed.events] == ["ADDED", "ADDED", "BOOKMARK"]
    mark = streamed.events[-1]["object"]
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert mark["kind"] == "ConfigMap"
    assert int(mark["metadata"]["resourceVersion"]) > 0
    maps("POST", body=config_map("c", labels={"w": "y"}))
    cluster.eventually(lambda: ("ADDED", "c") in streamed.kinds(), "it goes on")


def test_watch_of_metadata_and_tables(conversation: Conversation) -> None:
    """A watch in another form: metadata only, and rows of a table."""
    c = conversation
    c.quietly("POST", MAPS, config_map("one", labels={"w": "y"}))
    for form in ("PartialObjectMetadata", "Table"):
        accept = {"Accept": f"application/json;as={form};v=v1;g=meta.k8s.io"}
        answer = c.quietly("GET", MAPS, headers=accept, watch="true", labelSelector="w=y", timeoutSeconds="1")
        c.say(form)
        event = json.loads(answer.body.splitlines()[0])
        if form == "Table":
            c.tell(
                [
                    event["type"],
                    event["object"]["kind"],
                    [each["name"] for each in event["object"]["columnDefinitions"]],
                ]
            )
        else:
            c.tell(event)
    c.check()


def test_watch_words(conversation: Conversation) -> None:
    """Versions that are too old or no version at all, and parameters that do not fit."""
    c = conversation
    query = {"watch": "true", "timeoutSeconds": "1"}
    c.get(MAPS, resourceVersion="not-a-number", **query)
    old = c.quietly("GET", MAPS, resourceVersion="1", **query)
    first = json.loads(old.body.splitlines()[0])
    if first["type"] == "ERROR":  # a young server may still know all that ever happened
        status = first["object"]
        assert (status["code"], status["reason"]) == (410, "Expired")
        assert status["message"].startswith("too old resource version: 1 (")
    else:
        assert first["type"] == "ADDED"
    c.get(MAPS, sendInitialEvents="true", **query)
    c.get(MAPS, sendInitialEvents="true", resourceVersionMatch="Exact", **query)
    c.get(MAPS, resourceVersionMatch="NotOlderThan", **query)
    c.get(MAPS, sendInitialEvents="true")
    c.get(MAPS, labelSelector="=", **query)
    started = time.monotonic()
    answer = c.quietly("GET", MAPS, resourceVersion="0", labelSelector="none=such", **query)
    second = 0.7 < time.monotonic() - started < 15
    c.say(f"timeoutSeconds=1: {answer.code}, {answer.body.decode()!r}, about a second: {second}")
    c.check()


def test_owners_take_what_they_own(conversation: Conversation) -> None:
    """Background deletes dependents, Orphan keeps them, Foreground waits for them; an unknown owner counts as gone."""
    c = conversation

    def owned(name: str, owner: dict[str, Any], **reference: Any) -> dict[str, Any]:
        made = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["name"], "uid": owner["uid"]}
        return config_map(name, ownerReferences=[made | reference])

    def code(name: str) -> int:
        return c.quietly("GET", f"{MAPS}/{name}").code

    def make(name: str) -> dict[str, Any]:
        return c.quietly("POST", MAPS, config_map(name)).json["metadata"]

    owner = make("background")
    c.post(MAPS, owned("b-child", owner))
    grandchild = c.quietly("GET", f"{MAPS}/b-child").json["metadata"]
    c.quietly("POST", MAPS, owned("b-grandchild", grandchild))
    c.delete(f"{MAPS}/background", propagationPolicy="Background")
    c.cluster.eventually(lambda: code("b-child") == code("b-grandchild") == 404, "dependents deleted")

    owner = make("orphaning")
    c.quietly("POST", MAPS, owned("o-child", owner))
    time.sleep(0.5)  # the collector must have seen it
    c.say(f"orphan: {c.quietly('DELETE', f'{MAPS}/orphaning', propagationPolicy='Orphan').code}")
    c.cluster.eventually(lambda: code("orphaning") == 404, "the owner gone")
    child = c.quietly("GET", f"{MAPS}/o-child").json
    c.tell(child["metadata"].get("ownerReferences"))

    owner = make("foreground")
    c.quietly("POST", MAPS, owned("f-child", owner, blockOwnerDeletion=True))
    held = owned("f-held", owner, blockOwnerDeletion=True)
    held["metadata"]["finalizers"] = ["a.example/hold"]
    c.quietly("POST", MAPS, held)
    time.sleep(0.5)
    c.delete(f"{MAPS}/foreground", propagationPolicy="Foreground")
    c.cluster.eventually(lambda: code("f-child") == 404, "the child deleted first")
    c.say(f"the owner waits for the held one: {code('foreground')}")
    c.quietly("PATCH", f"{MAPS}/f-held", {"metadata": {"finalizers": None}}, content_type=MERGE)
    c.cluster.eventually(lambda: code("foreground") == 404, "then the owner")

    c.quietly("POST", MAPS, owned("lost", {"name": "never", "uid": "11111111-1111-1111-1111-111111111111"}))
    c.cluster.eventually(lambda: code("lost") == 404, "an owner that never was")
    c.post(MAPS, owned("bad", {"name": "x", "uid": ""}))
    two = owned("bad", owner, controller=True)
    two["metadata"]["ownerReferences"] *= 2
    two["metadata"]["ownerReferences"][1] = two["metadata"]["ownerReferences"][1] | {
        "uid": "22222222-1111-1111-1111-111111111111"
    }
    c.post(MAPS, two)
    c.check()


def test_the_end_of_a_namespace(conversation: Conversation) -> None:
    """A deleted namespace takes nothing new, empties itself, tells what holds it, and goes."""
    c = conversation
    c.quietly("POST", MAPS, config_map("plain"))
    c.quietly("POST", MAPS, config_map("held", finalizers=["a.example/hold"]))
    first = c.quietly("DELETE", "/api/v1/namespaces/NS")
    c.say(f"deletion: {first.code}, {first.json['status']['phase']}, {first.json['spec']}")
    c.post(MAPS, config_map("late"))
    c.cluster.eventually(lambda: c.quietly("GET", f"{MAPS}/plain").code == 404, "what is in it deleted")

    def conditions() -> dict[str, Any]:
        found = c.quietly("GET", "/api/v1/namespaces/NS").json.get("status", {}).get("conditions") or []
        return {each["type"]: each for each in found}

    c.cluster.eventually(
        lambda: conditions().get("NamespaceFinalizersRemaining", {}).get("status") == "True", "what holds it", 60
    )
    c.tell({name: [each["status"], each["reason"], each["message"]] for name, each in conditions().items()})
    again = c.quietly("DELETE", "/api/v1/namespaces/NS")
    c.say(f"deletion again: {again.code} {again.json.get('kind')} {again.json.get('reason', '')}")
    c.quietly("PATCH", f"{MAPS}/held", {"metadata": {"finalizers": None}}, content_type=MERGE)
    c.cluster.eventually(lambda: c.quietly("GET", "/api/v1/namespaces/NS").code == 404, "it is gone", seconds=90)
    c.post(MAPS, config_map("late"))
    c.delete("/api/v1/namespaces/kube-system")
    c.delete("/api/v1/namespaces/default")
    c.check()


def test_lease(conversation: Conversation) -> None:
    """A Lease is taken and renewed by resourceVersion; who is late gets a conflict."""
    c = conversation
    leases = "/apis/coordination.k8s.io/v1/namespaces/NS/leases"
    spec = {"holderIdentity": "one", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
    made = c.post(
        leases, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": spec}
    ).json
    taken = made | {"spec": spec | {"holderIdentity": "two", "leaseTransitions": 1}}
    c.put(f"{leases}/l", taken)
    c.put(f"{leases}/l", taken)
    c.post(
        leases,
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "bad"},
            "spec": spec | {"leaseDurationSeconds": 0},
        },
    )
    c.post(
        leases,
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "bad"},
            "spec": spec | {"renewTime": "now"},
        },
    )
    c.check()
