"""Server-side apply: ownership, conflicts, lists, sets, removal, managers; word for word as a real server answers."""

from __future__ import annotations

from typing import Any

from e2e.conversation import Conversation
from e2e.test_apiserver_crud import MAPS, SERVICES, TEMPLATES, config_map, pod_template
from real.cluster import JSON_PATCH, MERGE, STRATEGIC

DEPLOYMENTS = "/apis/apps/v1/namespaces/NS/deployments"


def cm(data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    """A ConfigMap to apply, without its name (the path has it)."""
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
    if metadata:
        body["metadata"] = metadata
    if data is not None:
        body["data"] = data
    return body


def template(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A PodTemplate to apply."""
    inner: dict[str, Any] = {"spec": {"containers": list(containers), **spec}}
    return {"apiVersion": "v1", "kind": "PodTemplate", "template": inner}


def test_apply_owns_and_removes(conversation: Conversation) -> None:
    """Apply creates (201), repeats without a trace, owns what it names, and removes what it names no more."""
    c = conversation
    one = f"{MAPS}/one"
    c.apply(one, "me", cm({"a": "1", "b": "2"}, labels={"l": "1", "m": "2"}))
    c.apply(one, "me", cm({"a": "1", "b": "2"}, labels={"l": "1", "m": "2"}))
    c.apply(one, "me", cm({"a": "1"}, labels={"l": "1"}))
    c.apply(one, "me", cm())
    c.apply(one, "me", cm({"a": "1"}))
    c.apply(one, "me", cm({}))
    c.check()


def test_apply_conflicts(conversation: Conversation) -> None:
    """Another manager's field is a conflict, told with all names and fields; force takes it, equal values share it."""
    c = conversation
    one = f"{MAPS}/one"
    c.apply(one, "first", cm({"a": "1", "b": "1", "c": "1"}, labels={"x.example/l": "1"}))
    c.apply(one, "second", cm({"a": "2"}))
    c.apply(one, "second", cm({"a": "2", "b": "2"}, labels={"x.example/l": "2"}))
    c.say("equal values are shared")
    c.apply(one, "second", cm({"a": "1", "d": "1"}))
    c.say("a shared field that one lets go stays")
    c.apply(one, "first", cm({"b": "1", "c": "1"}))
    c.say("a shared field in conflict with two")
    c.apply(one, "third", cm({"a": "1", "b": "1"}))
    c.apply(one, "fourth", cm({"a": "9", "b": "9"}))
    c.say("force")
    c.apply(one, "fourth", cm({"a": "9", "b": "9"}), force="true")
    c.say("what was taken by force can't be removed by who had it")
    c.apply(one, "first", cm({"c": "1"}))
    c.say("an update's manager is in conflict too")
    c.patch(one, MERGE, {"data": {"c": "5", "d": "5"}}, fieldManager="editor")
    c.apply(one, "first", cm({"c": "1"}))
    c.apply(one, "second", cm({"d": "1"}))
    c.say("the same manager by update and by apply")
    c.patch(one, MERGE, {"data": {"e": "5"}}, fieldManager="second")
    c.apply(one, "second", cm({"d": "5", "e": "6"}))
    c.check()


def test_apply_parameters(conversation: Conversation) -> None:
    """What an apply must say, and what it must not."""
    c = conversation
    one = f"{MAPS}/one"
    c.send("PATCH", one, cm({"a": "1"}), content_type="application/apply-patch+yaml")
    c.send("PATCH", one, cm({"a": "1"}), content_type="application/apply-patch+yaml", fieldManager="me")
    c.apply(one, "", cm({"a": "1"}))
    c.apply(one, "x" * 129, cm({"a": "1"}))
    c.apply(one, "tab\there", cm({"a": "1"}))
    c.apply(one, "me", cm({"a": "1"}), force="perhaps")
    c.patch(one, MERGE, {"data": {"a": "1"}}, force="true")
    c.apply(one, "me", cm({"a": "1"}, name="two"))
    c.apply(one, "me", cm({"a": "1"}, namespace="elsewhere"))
    c.apply(one, "me", {"apiVersion": "v1", "kind": "Secret"})
    c.apply(one, "me", {"apiVersion": "v2", "kind": "ConfigMap"})
    c.apply(one, "me", {"kind": "ConfigMap"})
    c.apply(one, "me", {"apiVersion": "v1"})
    c.apply(one, "me", b"a: [")
    c.apply(one, "me", b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  yaml: 'yes'\n")
    c.apply(one, "me", cm({"a": "1"}, managedFields=[{"manager": "x"}]))
    c.apply(one, "me", cm({"a": "1"}, uid="11111111-1111-1111-1111-111111111111"))
    c.apply(f"{MAPS}/none", "me", cm({"a": "1"}, uid="11111111-1111-1111-1111-111111111111"))
    c.apply(one, "me", cm({"a": "1"}, resourceVersion="1"))
    c.apply(f"{MAPS}/none", "me", cm({"a": "1"}, resourceVersion="1"))
    c.apply(f"{MAPS}/Bad_Name", "me", cm({"a": "1"}))
    c.apply("/api/v1/namespaces/no-such-namespace/configmaps/one", "me", cm({"a": "1"}))
    c.check()


def test_apply_unknown_and_wrong(conversation: Conversation) -> None:
    """Unknown fields, wrong types, doubled list entries, and what validation says."""
    c = conversation
    one = f"{TEMPLATES}/one"
    for mode in ("Strict", "Warn", "Ignore"):
        c.apply(one, "me", cm({"a": "1"}) | {"unknown": 1}, fieldValidation=mode)
    c.apply(f"{MAPS}/one", "me", cm({"a": "1"}) | {"unknown": 1})
    for mode in ("Strict", "Warn", "Ignore"):
        c.apply(f"{MAPS}/one", "me", cm({"a": "1"}) | {"unknown": 1}, fieldValidation=mode)
    c.apply(f"{MAPS}/one", "me", cm() | {"data": {"a": 5}})
    c.apply(f"{MAPS}/one", "me", cm() | {"data": ["a"]})
    main = {"name": "main", "image": "x"}
    c.apply(one, "me", template(main, main))
    c.apply(one, "me", template({"image": "nameless"}))
    c.apply(one, "me", template({"name": "main", "imagee": "x"}))
    c.apply(one, "me", template({"name": "main", "image": "x", "ports": [{"containerPort": "eighty"}]}))
    c.apply(one, "me", template({"name": "Main", "image": "x"}))
    c.apply(one, "me", template({"name": "main"}))
    c.apply(one, "me", template(main | {"ports": [{"containerPort": 80}, {"containerPort": 80}]}))
    c.check()


def test_apply_lists(conversation: Conversation) -> None:
    """Lists by key, nested ones, sets and atomic lists: each manager its entries."""
    c = conversation
    one = f"{TEMPLATES}/one"
    main = {"name": "main", "image": "m:1", "env": [{"name": "A", "value": "1"}], "command": ["x", "y"]}
    ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}, {"containerPort": 443, "name": "https"}]
    c.apply(one, "first", template(main | {"ports": ports}))
    c.say("a sidecar of another manager, and an environment variable in the first's container")
    c.apply(
        one,
        "second",
        template({"name": "main", "env": [{"name": "B", "value": "2"}]}, {"name": "side", "image": "s:1"}),
    )
    c.say("an atomic list is owned as a whole")
    c.apply(one, "second", template({"name": "main", "command": ["z"]}, {"name": "side", "image": "s:1"}))
    c.say("the second's entries go, the first's stay")
    c.apply(one, "second", template({"name": "side", "image": "s:2"}))
    c.say("order: the applier's first")
    c.apply(one, "first", template({"name": "zero", "image": "z:1"}, main | {"ports": ports[1:]}))
    c.apply(one, "second", template())
    c.say("a set")
    c.apply(one, "first", template(main) | {"metadata": {"finalizers": ["a.example/x", "b.example/x"]}})
    c.apply(
        one,
        "second",
        {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"finalizers": ["b.example/x", "c.example/x"]}},
    )
    c.apply(one, "first", template(main) | {"metadata": {"finalizers": ["a.example/x"]}})
    c.apply(one, "second", {"apiVersion": "v1", "kind": "PodTemplate"})
    c.apply(one, "first", template(main))
    c.check()


def test_apply_after_update(conversation: Conversation) -> None:
    """Who owns what when updates, patches and applies meet; the managers' order, names and times."""
    c = conversation
    one = f"{TEMPLATES}/one"
    c.post(TEMPLATES, pod_template("one", {"name": "main", "image": "m:1"}), fieldManager="maker")
    c.apply(one, "owner", template({"name": "main", "image": "m:1"}))
    c.patch(
        one,
        STRATEGIC,
        {"template": {"spec": {"containers": [{"name": "main", "image": "m:2"}]}}},
        fieldManager="setter",
    )
    c.apply(one, "owner", template({"name": "main", "image": "m:1"}))
    c.apply(one, "owner", template({"name": "main", "image": "m:1"}), force="true")
    c.patch(one, JSON_PATCH, [{"op": "add", "path": "/template/spec/hostPID", "value": True}], fieldManager="setter")
    c.patch(one, MERGE, {"template": {"spec": {"hostPID": None}}}, fieldManager="setter")
    c.say("an update without a manager's name takes it from the program")
    live = c.quietly("GET", one).json
    live["template"]["spec"]["priorityClassName"] = "high"
    c.put(one, live)
    c.say("managedFields sent empty are reset; sent as they were, kept")
    live = c.quietly("GET", one).json
    c.put(one, live | {"metadata": live["metadata"] | {"managedFields": [{}]}})
    c.apply(one, "owner", template({"name": "main", "image": "m:3"}))
    live = c.quietly("GET", one).json
    live["metadata"]["managedFields"] = [
        {"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV2"}
    ]
    c.put(one, live)
    c.check()


def test_apply_over_kubectl(conversation: Conversation) -> None:
    """What a client-side `kubectl apply` left behind is kept alive by its entry."""
    c = conversation
    one = f"{MAPS}/one"
    c.post(MAPS, config_map("one", {"a": "1", "b": "2"}), fieldManager="kubectl-client-side-apply")
    c.apply(one, "me", cm({"a": "1"}))
    c.apply(one, "me", cm({}))
    c.check()


def test_apply_service(conversation: Conversation) -> None:
    """Ports by port and protocol (a default in the key), and a field that goes back to its default when let go."""
    c = conversation

    def service(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Service", "spec": {"ports": list(ports), **spec}}

    one = f"{SERVICES}/one"
    c.apply(
        one,
        "me",
        service({"port": 80, "name": "a"}, {"port": 80, "protocol": "UDP", "name": "b"}, sessionAffinity="ClientIP"),
    )
    c.apply(one, "other", service({"port": 81, "name": "c"}))
    c.apply(one, "me", service({"port": 80, "name": "a", "targetPort": "web"}))
    c.apply(one, "other", service({"port": 80, "protocol": "TCP", "name": "z"}))
    c.check()


def test_apply_deployment(conversation: Conversation) -> None:
    """A Deployment: defaults, replicas let go, scale and status by other managers."""
    c = conversation
    c.busy = True

    def deployment(replicas: int | None, image: str = "nginx:1") -> dict[str, Any]:
        spec: dict[str, Any] = {
            "selector": {"matchLabels": {"app": "one"}},
            "template": {
                "metadata": {"labels": {"app": "one"}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        }
        if replicas is not None:
            spec["replicas"] = replicas
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "one"}, "spec": spec}

    one = f"{DEPLOYMENTS}/one"
    c.apply(one, "me", deployment(2))
    c.patch(f"{one}/scale", MERGE, {"spec": {"replicas": 3}}, fieldManager="scaler")
    c.apply(one, "me", deployment(2))
    c.apply(one, "me", deployment(None))
    c.apply(one, "me", deployment(4), force="true")
    c.apply(one, "me", deployment(None, "nginx:2"))
    c.apply(f"{one}/scale", "autoscaler", {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 1}})
    c.apply(f"{one}/scale", "other", {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 2}})
    c.get(f"{one}/scale")
    c.say("the selector can't change")
    wrong = deployment(1)
    wrong["spec"]["selector"]["matchLabels"]["b"] = wrong["spec"]["template"]["metadata"]["labels"]["b"] = "2"
    c.apply(one, "me", wrong, force="true")
    c.check()
