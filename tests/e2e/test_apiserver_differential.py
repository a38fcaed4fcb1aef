"""Random requests sent to the devcluster and to a real server at once: every answer must be the same.

What the recorded conversations do not think of, chance does. Each seed is one story of some thirty requests by a few
managers about one object; a failure prints both answers of the first request that was answered differently, and the
seed tells the story again.
"""

from __future__ import annotations

import random
import secrets
from typing import Any

import pytest

from e2e.conversation import Conversation
from e2e.test_apiserver_crud import MAPS, TEMPLATES
from e2e.test_apiserver_kinds import Kind
from real.cluster import JSON_PATCH, MERGE, STRATEGIC, Cluster

pytestmark = pytest.mark.real

MANAGERS = ("one", "two", "three")


@pytest.fixture(scope="module")
def both(devcluster: Cluster, real: Cluster) -> tuple[Cluster, Cluster]:
    """The devcluster and the real server."""
    return devcluster, real


class Story:
    """Random bodies and requests about one object, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, values: dict[str, Any], least: int = 0) -> dict[str, Any]:
        """Some of the entries, in their order."""
        count = self.random.randint(least, len(values))
        kept = set(self.random.sample(sorted(values), count))
        return {key: value for key, value in values.items() if key in kept}

    def pick(self, *values: Any) -> Any:
        """One of the values."""
        return self.random.choice(values)

    def config_map(self) -> dict[str, Any]:
        """A ConfigMap's content."""
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
        if self.random.random() < 0.9:
            body["data"] = self.some({key: self.pick("1", "2", "") for key in ("a", "b", "c")})
        metadata = self.some(
            {
                "labels": self.some({key: self.pick("x", "y") for key in ("l", "m.example/n")}),
                "annotations": self.some({"note": self.pick("p", "q")}),
                "finalizers": self.pick(["t.example/f"], ["t.example/f", "t.example/g"], []),
            }
        )
        return body | ({"metadata": metadata} if metadata else {})

    def pod_template(self) -> dict[str, Any]:
        """A PodTemplate's content, with lists by key, nested and atomic."""
        containers = []
        for name in self.random.sample(["a", "bb", "ccc"], self.random.randint(0, 3)):
            base = len(name)  # each container its own ports: the devcluster does not warn of doubled ones
            ports = self.random.sample(
                [(base, "TCP"), (base, "UDP"), (443 + ord(name[0]), "TCP")], self.random.randint(0, 2)
            )
            more = self.some(
                {
                    "env": [
                        {"name": key, "value": self.pick("1", "2")}
                        for key in self.random.sample("AB", self.random.randint(0, 2))
                    ],
                    "ports": [{"containerPort": port, "protocol": protocol} for port, protocol in ports],
                    "args": self.pick(["a"], ["a", "b"], []),
                    "resources": {"limits": self.some({"cpu": self.pick("1", "500m"), "memory": "64Mi"})},
                    "imagePullPolicy": self.pick("Always", "IfNotPresent"),
                    "volumeMounts": [
                        {"name": "v", "mountPath": path}
                        for path in self.random.sample(["/a", "/b"], self.random.randint(0, 2))
                    ],
                }
            )
            containers.append({"name": name, "image": self.pick("i:1", "i:2"), **more})
        spec = self.some(
            {
                "nodeSelector": self.some({"disk": self.pick("ssd", "hdd"), "zone": "z"}),
                "tolerations": [{"key": self.pick("k", "l"), "operator": "Exists"}],
                "terminationGracePeriodSeconds": self.pick(5, 10),
                "hostPID": self.pick(True, False),
                "securityContext": self.some({"runAsUser": self.pick(1, 2), "supplementalGroups": [1, 2]}),
                "volumes": [{"name": "v", "emptyDir": {}}],
                "imagePullSecrets": [{"name": each} for each in self.random.sample("pq", self.random.randint(1, 2))],
            }
        )
        return {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "template": {"metadata": {"labels": {"x": "y"}}, "spec": {"containers": containers, **spec}},
        }

    def widget(self) -> dict[str, Any]:
        """A custom resource's spec, without its apiVersion and kind."""
        parts = [
            {"id": each, **self.some({"weight": self.pick(1, 2)})}
            for each in self.random.sample("pqr", self.random.randint(0, 3))
        ]
        spec = self.some(
            {
                "size": self.pick(3, 4, 11),
                "mode": self.pick("fast", "safe"),
                "replicas": self.pick(1, 2),
                "tags": self.random.sample("abc", self.random.randint(0, 3)),
                "parts": parts,
                "port": self.pick(80, "http"),
                "free": self.pick({}, {"x": [1, {"y": 2}]}, {"z": None}),
                "atom": self.some({"a": "1", "b": self.pick("1", "2")}),
                "maybe": self.pick(None, "m"),
            }
        )
        return {"spec": spec}

    def act(self, c: Conversation, collection: str, identity: dict[str, Any], content: dict[str, Any]) -> None:
        """One request, told."""
        path = f"{collection}/object"
        manager, roll = self.pick(*MANAGERS), self.random.random()
        body = identity | content | {"metadata": {"name": "object"} | content.get("metadata", {})}
        partial = {key: value for key, value in content.items() if key not in ("apiVersion", "kind")}
        force = {"force": "true"} if self.random.random() < 0.3 else {}
        dry = {"dryRun": "All"} if self.random.random() < 0.1 else {}
        if roll < 0.5:
            c.apply(path, manager, body, **force, **dry)
        elif roll < 0.6:
            c.post(collection, body, fieldManager=manager, **dry)
        elif roll < 0.7:
            c.put(path, body, fieldManager=manager, **dry)
        elif roll < 0.8:
            c.patch(path, MERGE, partial, fieldManager=manager, **dry)
        elif roll < 0.9:
            c.patch(path, STRATEGIC, partial, fieldManager=manager, **dry)
        elif roll < 0.96:
            operation = self.pick(
                {"op": "add", "path": "/metadata/labels", "value": {"j": "1"}},
                {"op": "remove", "path": "/metadata/labels"},
                {"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
            )
            c.patch(path, JSON_PATCH, [operation], fieldManager=manager, **dry)
        else:
            c.patch(path, MERGE, {"metadata": {"finalizers": None}}, fieldManager=manager)
            c.delete(path, **dry)


def differs(told: tuple[list[str], list[str]]) -> str:
    """The first request whose answers differ, with both; empty where all are equal."""
    for mine, theirs in zip(*told, strict=True):
        if mine != theirs:
            return f"{mine}\n\n--- the real server:\n{theirs}"
    return ""


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["config_map", "pod_template", "widget"])
def test_random_requests(both: tuple[Cluster, Cluster], kind: str, seed: int) -> None:
    """Thirty random requests about one object are answered alike."""
    told = tell(both, kind, seed, 30)
    found = differs(told)
    assert not found, f"seed {seed}: the devcluster answers:\n{found}"


def tell(both: tuple[Cluster, Cluster], kind: str, seed: int, requests: int) -> tuple[list[str], list[str]]:
    """The story on both, as one text per request."""
    told: tuple[list[str], list[str]] = ([], [])
    for cluster, texts in zip(both, told, strict=True):
        name = f"t-{secrets.token_hex(4)}"
        c = Conversation(cluster, name, "random")
        c.any_order = True
        assert c.quietly("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).code == 201
        story = Story(seed)
        collection, identity, made = (MAPS if kind == "config_map" else TEMPLATES), {}, None
        if kind == "widget":
            made = Kind(c)
            made.make()
            collection, identity = made.path, {"apiVersion": f"{made.group}/v1", "kind": made.word.capitalize()}
        for _ in range(requests):
            c.lines.clear()
            story.act(c, collection, identity, getattr(story, kind)())
            texts.append("\n".join(c.lines))
        c.quietly("PATCH", f"{collection}/object", {"metadata": {"finalizers": None}}, content_type=MERGE)
        if made is not None:
            made.unmake()
        c.quietly("DELETE", "/api/v1/namespaces/NS")
    return told
