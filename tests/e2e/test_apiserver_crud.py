"""Create, get, update, patch, delete, list: on the devcluster and on a real server, word for word."""

from __future__ import annotations

from typing import Any

from e2e.conversation import Conversation
from real.cluster import JSON_PATCH, MERGE, STRATEGIC

MAPS = "/api/v1/namespaces/NS/configmaps"
SECRETS = "/api/v1/namespaces/NS/secrets"
TEMPLATES = "/api/v1/namespaces/NS/podtemplates"
SERVICES = "/api/v1/namespaces/NS/services"


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": data if data is not None else {"a": "1"},
    }


def pod_template(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": name},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": list(containers) or [{"name": "main", "image": "nginx:1"}], **spec},
        },
    }


def test_create_get_update_delete(conversation: Conversation) -> None:
    """The life of a ConfigMap, with the conflicts on its way."""
    c = conversation
    c.get(f"{MAPS}/one")
    c.post(MAPS, config_map("one", labels={"app": "x"}))
    c.post(MAPS, config_map("one"))
    first = c.get(f"{MAPS}/one").json
    c.put(f"{MAPS}/one", config_map("one", {"a": "2"}))
    c.say("a stale resourceVersion")
    c.put(f"{MAPS}/one", first)
    c.say("an update of equal content changes nothing")
    c.put(f"{MAPS}/one", config_map("one", {"a": "2"}))
    c.say("another uid")
    c.put(f"{MAPS}/one", config_map("one", {"a": "3"}, uid="11111111-1111-1111-1111-111111111111"))
    c.say("another name than the path's, and another namespace")
    c.put(f"{MAPS}/one", config_map("two"))
    c.put(f"{MAPS}/one", config_map("one", namespace="elsewhere"))
    c.put(f"{MAPS}/none", config_map("none"))
    c.delete(f"{MAPS}/one")
    c.delete(f"{MAPS}/one")
    c.check()


def test_create_refused(conversation: Conversation) -> None:
    """What can't be created, and the words for it."""
    c = conversation
    c.post(MAPS, config_map("Bad_Name"))
    c.post(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {}})
    c.post(MAPS, config_map("one", namespace="elsewhere"))
    c.post(MAPS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})
    c.post(MAPS, {"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
    c.post(MAPS, {"kind": "ConfigMap", "metadata": {"name": "x"}})
    c.post(MAPS, {"apiVersion": "v1", "metadata": {"name": "untyped"}})
    c.post("/api/v1/namespaces/no-such-namespace/configmaps", config_map("one"))
    c.post(MAPS, b"{not json")
    c.post(MAPS, b"")
    c.post(MAPS, b"[]")
    c.post(MAPS, config_map("one", resourceVersion="5"))
    c.post(MAPS, config_map("one", labels={"bad key": "x"}))
    c.post(MAPS, config_map("one", labels={"ok": "not ok!"}))
    c.post(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"bad key": "v"}})
    c.post(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"k": 5}})
    c.send("POST", MAPS, b"x", content_type="text/plain")
    c.check()


def test_paths_that_are_not_there(conversation: Conversation) -> None:
    """Unknown groups, versions, resources, subresources, and methods that are not allowed."""
    c = conversation
    for path in ("/apis/none.example/v1/things", "/api/v1/things", "/apis/apps/v1/namespaces/NS/things", "/nothing"):
        c.get(path)
    c.get(f"{MAPS}/one/status")
    c.post(f"{MAPS}/one", config_map("one"))
    c.put(MAPS, config_map("one"))
    c.patch(MAPS, MERGE, {})
    c.post("/api/v1/configmaps", config_map("one"))
    c.delete("/api/v1/configmaps")
    c.check()


def test_patches(conversation: Conversation) -> None:
    """Merge, JSON and strategic patches on a kind with lists of many sorts, and their errors."""
    c = conversation
    side = {"name": "side", "image": "side:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    main = {"name": "main", "image": "main:1", "ports": [{"containerPort": 80, "name": "http"}], "args": ["x"]}
    c.post(TEMPLATES, pod_template("one", main, side, nodeSelector={"disk": "ssd"}))
    one = f"{TEMPLATES}/one"

    def pod(**spec: Any) -> dict[str, Any]:
        return {"template": {"spec": spec}}

    c.patch(one, STRATEGIC, pod(containers=[{"name": "side", "image": "side:2", "env": [{"name": "B", "value": "3"}]}]))
    c.patch(one, STRATEGIC, pod(containers=[{"name": "side", "env": [{"name": "A", "$patch": "delete"}]}]))
    c.patch(
        one, STRATEGIC, pod(containers=[{"name": "side", "$patch": "delete"}], nodeSelector={"disk": None, "cpu": "x"})
    )
    c.patch(one, STRATEGIC, pod(containers=[{"name": "new", "image": "new:1"}, {"name": "main", "args": ["y", "z"]}]))
    order = pod(**{"$setElementOrder/containers": [{"name": "main"}, {"name": "new"}]})
    c.patch(one, STRATEGIC, order)
    c.patch(one, STRATEGIC, pod(containers=[{"$patch": "replace"}, {"name": "only", "image": "only:1"}]))
    c.patch(one, STRATEGIC, pod(containers=[{"image": "nameless"}]))
    c.patch(one, STRATEGIC, {"metadata": {"finalizers": ["a.example/x"]}})
    c.patch(one, STRATEGIC, {"metadata": {"finalizers": ["b.example/x"]}})
    c.patch(one, STRATEGIC, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.example/x", "b.example/x"]}})
    c.patch(one, MERGE, pod(containers=[{"name": "merged", "image": "m:1"}]))
    c.patch(one, MERGE, {"metadata": {"labels": {"l": "1", "m": "2"}}})
    c.patch(one, MERGE, {"metadata": {"labels": {"l": None}}})
    c.patch(one, MERGE, {"metadata": {"name": "other"}})
    c.patch(one, MERGE, {"metadata": {"resourceVersion": "1"}})
    c.patch(one, JSON_PATCH, [{"op": "replace", "path": "/template/spec/containers/0/image", "value": "j:1"}])
    c.patch(
        one,
        JSON_PATCH,
        [{"op": "add", "path": "/metadata/labels/a~1b", "value": "x"}, {"op": "remove", "path": "/metadata/labels/m"}],
    )
    c.patch(one, JSON_PATCH, [{"op": "test", "path": "/template/spec/containers/0/image", "value": "other"}])
    c.patch(one, JSON_PATCH, [{"op": "remove", "path": "/metadata/labels/none"}])
    c.patch(one, JSON_PATCH, [{"op": "jump", "path": "/metadata"}])
    c.patch(one, JSON_PATCH, {"op": "add"})
    c.patch(one, MERGE, b"{not json")
    c.patch(one, "application/unheard-of+json", {})
    c.patch(f"{TEMPLATES}/none", MERGE, {})
    c.say("a patch that changes nothing makes no new version")
    c.patch(one, MERGE, {"template": {"spec": {"containers": [{"name": "merged", "image": "j:1"}]}}})
    c.check()


def test_preconditions_of_deletion(conversation: Conversation) -> None:
    """A deletion by uid and by resourceVersion, and its other options."""
    c = conversation
    made = c.post(MAPS, config_map("one")).json["metadata"]

    def options(**preconditions: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}

    c.delete(f"{MAPS}/one", options(uid="11111111-1111-1111-1111-111111111111"))
    c.delete(f"{MAPS}/one", options(resourceVersion="1"))
    c.delete(f"{MAPS}/one", {"propagationPolicy": "Sideways"})
    c.delete(f"{MAPS}/one", {"propagationPolicy": "Orphan", "orphanDependents": True})
    c.delete(f"{MAPS}/one", {"dryRun": ["All"]})
    c.delete(f"{MAPS}/one", {"dryRun": ["Some"]})
    c.get(f"{MAPS}/one")
    c.delete(f"{MAPS}/one", options(uid=made["uid"], resourceVersion=made["resourceVersion"]))
    c.check()


def test_finalizers(conversation: Conversation) -> None:
    """A finalizer holds a deleted object until it is taken off; none can be added meanwhile."""
    c = conversation
    c.post(MAPS, config_map("one", finalizers=["a.example/hold"]))
    c.delete(f"{MAPS}/one")
    c.get(f"{MAPS}/one")
    c.delete(f"{MAPS}/one")
    c.patch(f"{MAPS}/one", MERGE, {"metadata": {"finalizers": ["a.example/hold", "b.example/new"]}})
    c.patch(f"{MAPS}/one", MERGE, {"data": {"still": "writable"}})
    c.post(MAPS, config_map("one"))
    c.patch(f"{MAPS}/one", MERGE, {"metadata": {"finalizers": None}})
    c.get(f"{MAPS}/one")
    c.post(MAPS, config_map("bad", finalizers=["no-domain"]))
    c.say("foreground with a finalizer of the server's, which the collector takes off meanwhile")
    c.busy = True
    c.post(MAPS, config_map("fore", finalizers=["a.example/hold"]))
    c.delete(f"{MAPS}/fore", propagationPolicy="Foreground")
    c.patch(f"{MAPS}/fore", JSON_PATCH, [{"op": "remove", "path": "/metadata/finalizers"}])
    c.check()


def test_lists(conversation: Conversation) -> None:
    """Label and field selectors, and the words for bad ones."""
    c = conversation
    for name, labels in {
        "a": {"env": "prod", "tier": "1"},
        "b": {"env": "test"},
        "d": {"tier": "2", "env": "dev"},
    }.items():
        c.quietly("POST", MAPS, config_map(name, labels=labels))

    def names(**query: str) -> None:
        answer = c.quietly("GET", MAPS, **query)
        found = [each["metadata"]["name"] for each in answer.json["items"]] if answer.code == 200 else answer.json
        c.say(f"{query} gives {answer.code}")
        c.tell(found)

    for selector in (
        "env=prod",
        "env==prod",
        "env!=prod,env",
        "env in (prod, test)",
        "env,env notin (prod,test)",
        "tier",
        "!tier,env",
        "tier>1",
        "tier<2",
        "env=prod,tier=1",
        "env=",
        "env=(",
        "env in prod",
        "=x",
        "env=bad value!",
        "a/b/c=x",
    ):
        names(labelSelector=selector)
    for selector in (
        "metadata.name=a",
        "metadata.namespace=NS,metadata.name!=kube-root-ca.crt",
        "data.a=1",
        "metadata.name",
    ):
        names(fieldSelector=selector)
    c.get(MAPS, labelSelector="env=prod")
    c.get(f"{SECRETS}", fieldSelector="type=Opaque")
    c.say("all namespaces")
    c.get("/api/v1/configmaps", fieldSelector="metadata.namespace=NS,metadata.name=a")
    c.check()


def test_pages(conversation: Conversation) -> None:
    """A list in pages: limit, continue, what remains, and tokens that are none."""
    c = conversation
    for number in range(5):
        c.quietly("POST", MAPS, config_map(f"page-{number}", labels={"paged": "yes"}))
    token = ""
    while True:
        more = {"continue": token} if token else {}
        answer = c.quietly("GET", MAPS, labelSelector="paged=yes", limit="2", **more)
        assert answer.code == 200, answer.body
        page = answer.json
        c.say(f"a page: {[each['metadata']['name'] for each in page['items']]}")
        token = page["metadata"].get("continue", "")
        c.say(f"more: {bool(token)}; remaining told: {'remainingItemCount' in page['metadata']}")
        if not token:
            break
    first = c.quietly("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles", limit="2").json["metadata"]
    assert first["remainingItemCount"] > 0
    c.get(MAPS, limit="2", **{"continue": "not-a-token"})
    c.get(MAPS, limit="-1", labelSelector="paged=none")
    c.get(MAPS, limit="many")
    c.get(MAPS, resourceVersion="not-a-number")
    c.get(MAPS, resourceVersionMatch="Exact")
    c.get(MAPS, resourceVersionMatch="Nearly", resourceVersion="1")
    c.get(MAPS, resourceVersion="0", resourceVersionMatch="Exact")
    c.get(MAPS, labelSelector="paged=yes", limit="1", resourceVersion="0", resourceVersionMatch="NotOlderThan")
    c.check()


def test_delete_collection(conversation: Conversation) -> None:
    """Deleting what a selector picks leaves the rest."""
    c = conversation
    for name, labels in {"a": {"go": "yes"}, "b": {"go": "yes"}, "keep": {"go": "no"}}.items():
        c.quietly("POST", MAPS, config_map(name, labels=labels))
    c.delete(MAPS, labelSelector="go=yes", dryRun="All")
    c.delete(MAPS, labelSelector="go=yes")
    c.get(MAPS, labelSelector="go")
    c.check()


def test_dry_run(conversation: Conversation) -> None:
    """With dryRun=All everything is answered as if, and nothing is kept."""
    c = conversation
    c.post(MAPS, config_map("one"), dryRun="All")
    c.get(f"{MAPS}/one")
    c.post(MAPS, config_map("one"))
    c.put(f"{MAPS}/one", config_map("one", {"a": "2"}), dryRun="All")
    c.patch(f"{MAPS}/one", MERGE, {"data": {"a": "3"}}, dryRun="All")
    c.apply(f"{MAPS}/one", "me", {"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "4"}}, dryRun="All")
    c.delete(f"{MAPS}/one", dryRun="All")
    c.post(MAPS, config_map("two"), dryRun="Half")
    c.get(f"{MAPS}/one")
    c.check()


def test_generated_names(conversation: Conversation) -> None:
    """generateName makes a name of it and five letters; name wins over it."""
    c = conversation
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}}
    assert c.post(MAPS, body).json["metadata"]["name"].startswith("made-")
    c.post(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-", "name": "given"}})
    c.post(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "Bad_"}})
    c.check()


def test_field_validation(conversation: Conversation) -> None:
    """Unknown and doubled fields: refused by Strict, told by Warn, dropped by Ignore."""
    c = conversation
    unknown = config_map("one") | {"unknown": 1, "metadata": {"name": "one", "labelz": {}}}
    for mode in ("Strict", "Warn", "Ignore", "Loosely"):
        c.post(MAPS, unknown, fieldValidation=mode, dryRun="All")
    c.post(MAPS, unknown, dryRun="All")
    doubled = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"},"data":{"a":"1"},"data":{"b":"2"}}'
    for mode in ("Strict", "Warn", "Ignore"):
        c.post(MAPS, doubled, fieldValidation=mode, dryRun="All")
    nested = pod_template(
        "deep", {"name": "main", "image": "x", "imagePullPolice": "Always", "ports": [{"containerport": 8}]}
    )
    for mode in ("Strict", "Warn"):
        c.post(TEMPLATES, nested, fieldValidation=mode, dryRun="All")
    c.quietly("POST", MAPS, config_map("there"))
    for mode in ("Strict", "Warn"):
        c.put(f"{MAPS}/there", unknown | {"metadata": {"name": "there"}}, fieldValidation=mode, dryRun="All")
        c.patch(f"{MAPS}/there", MERGE, {"unknown": 1}, fieldValidation=mode, dryRun="All")
        c.patch(f"{MAPS}/there", STRATEGIC, {"unknown": 1}, fieldValidation=mode, dryRun="All")
        c.patch(
            f"{MAPS}/there",
            JSON_PATCH,
            [{"op": "add", "path": "/unknown", "value": 1}],
            fieldValidation=mode,
            dryRun="All",
        )
    c.check()


def test_yaml_bodies(conversation: Conversation) -> None:
    """A body may be YAML, and what is asked for in YAML comes in YAML."""
    c = conversation
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: 'yes'\n"
    c.send("POST", MAPS, text, content_type="application/yaml")
    answer = c.quietly("GET", f"{MAPS}/yaml", headers={"Accept": "application/yaml"})
    c.say(answer.headers["content-type"])
    assert b'a: "yes"' in answer.body
    c.check()


def test_secrets_and_services(conversation: Conversation) -> None:
    """stringData, immutability, an address for a Service, defaults of its ports."""
    c = conversation
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"a": "text"},
        "data": {"b": "Yg=="},
    }
    c.post(SECRETS, secret)
    c.patch(f"{SECRETS}/s", MERGE, {"immutable": True})
    c.patch(f"{SECRETS}/s", MERGE, {"stringData": {"a": "other"}})
    c.post(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {"a": "not base64!"}})
    c.post(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "type": "kubernetes.io/tls"})
    c.patch(f"{SECRETS}/s", MERGE, {"type": "Other"})
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    c.post(SERVICES, service)
    c.post(SERVICES, service | {"metadata": {"name": "x"}, "spec": {}})
    c.post(SERVICES, service | {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}, {"port": 81}]}})
    headless = {"clusterIP": "None", "ports": [{"port": 80, "targetPort": "http"}]}
    c.post(SERVICES, service | {"metadata": {"name": "headless"}, "spec": headless})
    c.patch(f"{SERVICES}/web", MERGE, {"spec": {"ports": [{"port": 90, "protocol": "UDP"}]}})
    c.patch(f"{SERVICES}/web", MERGE, {"spec": {"clusterIP": "10.0.99.99"}})
    c.check()
