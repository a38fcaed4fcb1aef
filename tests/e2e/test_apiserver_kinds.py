"""CustomResourceDefinitions, tables, discovery, schemas: on the devcluster and on a real server, word for word."""

from __future__ import annotations

import secrets
from typing import Any

from e2e.conversation import Conversation
from e2e.test_apiserver_crud import MAPS, config_map, pod_template
from real.cluster import APPLY, JSON_PATCH, MERGE, STRATEGIC

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"

SPEC_SCHEMA = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "mode": {"type": "string", "enum": ["fast", "safe"], "default": "safe", "maxLength": 9},
        "replicas": {"type": "integer", "default": 1},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}, "weight": {"type": "integer", "default": 5}},
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
        },
        "port": {"x-kubernetes-int-or-string": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "atom": {
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        },
        "when": {"type": "string", "format": "date-time"},
        "maybe": {"type": "string", "nullable": True},
        "fixed": {
            "type": "string",
            "maxLength": 9,
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed can't change"}],
        },
    },
    "x-kubernetes-validations": [
        {
            "rule": "!(self.mode == 'fast' && self.size > 5)",
            "message": "fast ones are small",
            "reason": "FieldValueForbidden",
        },
        {"rule": "self.replicas <= self.size", "messageExpression": "'too many replicas for ' + self.mode"},
    ],
}


class Kind:
    """A kind of its own for a test, so that tests do not meet."""

    def __init__(self, c: Conversation) -> None:
        self.c = c
        self.word = "w" + secrets.token_hex(4)
        c.rename(self.word, "widget")
        c.rename(self.word.capitalize(), "Widget")
        self.group = "test.example"
        self.name = f"{self.word}s.{self.group}"
        self.path = f"/apis/{self.group}/v1/namespaces/NS/{self.word}s"

    def definition(self, **version: Any) -> dict[str, Any]:
        schema = {
            "type": "object",
            "description": "A widget.",
            "required": ["spec"],
            "properties": {
                "spec": SPEC_SCHEMA,
                "status": {
                    "type": "object",
                    "properties": {
                        "replicas": {"type": "integer"},
                        "phase": {"type": "string"},
                        "selector": {"type": "string"},
                    },
                },
            },
        }
        columns = [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How big it is"},
            {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ]
        served = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": schema},
            "subresources": {
                "status": {},
                "scale": {
                    "specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.replicas",
                    "labelSelectorPath": ".status.selector",
                },
            },
            "additionalPrinterColumns": columns,
        }
        names = {
            "kind": self.word.capitalize(),
            "plural": f"{self.word}s",
            "singular": self.word,
            "shortNames": [f"{self.word}x"],
            "categories": ["all"],
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {"group": self.group, "scope": "Namespaced", "names": names, "versions": [served | version]},
        }

    def make(self, **version: Any) -> None:
        answer = self.c.quietly("POST", CRDS, self.definition(**version))
        assert answer.code == 201, answer.body

        def established() -> bool:
            conditions = self.c.quietly("GET", f"{CRDS}/{self.name}").json.get("status", {}).get("conditions") or []
            return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

        self.c.cluster.eventually(established, f"{self.name} established")
        self.c.cluster.eventually(lambda: self.c.quietly("GET", self.path).code == 200, f"{self.name} served")

    def unmake(self) -> None:
        self.c.quietly("DELETE", f"{CRDS}/{self.name}")

    def widget(self, name: str, /, **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": f"{self.group}/v1",
            "kind": self.word.capitalize(),
            "metadata": {"name": name},
            "spec": spec,
        }


def test_custom_resource_values(conversation: Conversation) -> None:
    """Structural validation, defaults, pruning, and rules in CEL."""
    c = conversation
    kind = Kind(c)
    kind.make()
    c.post(kind.path, kind.widget("least", size=3))
    c.post(kind.path, kind.widget("pruned", size=3, unknown={"a": 1}, free={"any": {"thing": [1]}}))
    c.post(kind.path, kind.widget("strict", size=3, unknown={"a": 1}), fieldValidation="Strict")
    c.post(kind.path, kind.widget("none"))
    c.post(kind.path, kind.widget("wrong", size="three"))
    c.post(kind.path, kind.widget("wrong", size=2.5))
    c.post(kind.path, kind.widget("wrong", size=11))
    c.post(kind.path, kind.widget("wrong", size=0))
    c.post(kind.path, kind.widget("wrong", size=1, mode="loud"))
    c.post(kind.path, kind.widget("wrong", size=1, name="toolong"))
    c.post(kind.path, kind.widget("wrong", size=1, name="UP"))
    c.post(kind.path, kind.widget("wrong", size=1, tags=["a", "a"]))
    c.post(kind.path, kind.widget("wrong", size=1, parts=[{"id": "a"}, {"id": "a"}]))
    c.post(kind.path, kind.widget("wrong", size=1, parts=[{"weight": 1}]))
    c.post(kind.path, kind.widget("wrong", size=1, when="yesterday"))
    c.post(kind.path, kind.widget("wrong", size=1, maybe=None, mode=None))
    c.post(kind.path, kind.widget("wrong", size=1, port=1.5))
    c.post(kind.path, kind.widget("wrong", size=6, mode="fast"))
    c.post(kind.path, kind.widget("wrong", size=2, replicas=3))
    c.post(kind.path, {**kind.widget("wrong"), "spec": "text"})
    c.post(
        kind.path, kind.widget("fixed", size=1, fixed="a", parts=[{"id": "a"}, {"id": "b", "weight": 1}], port="http")
    )
    one = f"{kind.path}/fixed"
    c.patch(one, MERGE, {"spec": {"fixed": "b"}})
    c.patch(one, MERGE, {"spec": {"mode": None, "tags": ["x", "y"], "unknown": 1}})
    c.patch(one, MERGE, {"spec": {"size": None}})
    c.patch(one, JSON_PATCH, [{"op": "replace", "path": "/spec/size", "value": 4}])
    c.patch(one, STRATEGIC, {"spec": {"size": 5}})
    c.put(one, kind.widget("fixed", size=5))
    live = c.quietly("GET", one).json
    c.put(one, live | {"spec": {"size": 7}})
    kind.unmake()
    c.check()


def test_custom_resource_apply(conversation: Conversation) -> None:
    """Server-side apply by the schema of the definition: sets, lists by key, atomic maps, free-form parts."""
    c = conversation
    kind = Kind(c)
    kind.make()
    one = f"{kind.path}/one"

    def spec(**values: Any) -> dict[str, Any]:
        return {"apiVersion": f"{kind.group}/v1", "kind": kind.word.capitalize(), "spec": values}

    c.apply(
        one,
        "first",
        spec(size=3, tags=["a", "b"], parts=[{"id": "p", "weight": 1}, {"id": "q"}], free={"x": [1, 2], "y": {"z": 1}}),
    )
    c.apply(one, "second", spec(tags=["b", "c"], parts=[{"id": "r"}], atom={"a": "1"}))
    c.apply(one, "first", spec(size=3, tags=["a"], parts=[{"id": "p", "weight": 2}]))
    c.apply(one, "third", spec(size=4, parts=[{"id": "p", "weight": 3}], atom={"b": "2"}))
    c.apply(one, "third", spec(atom={"b": "2"}), force="true")
    c.apply(one, "third", spec(unknown=1))
    c.apply(one, "third", spec(unknown=1), fieldValidation="Strict")
    c.apply(one, "third", spec(size="three"))
    c.apply(one, "third", spec(parts=[{"weight": 3}]))
    c.apply(one, "second", spec())
    c.apply(one, "first", spec(size=3))
    kind.unmake()
    c.check()


def test_custom_resource_subresources(conversation: Conversation) -> None:
    """Status apart from spec, generation, and scale by paths."""
    c = conversation
    kind = Kind(c)
    kind.make()
    one = f"{kind.path}/one"
    c.post(kind.path, kind.widget("one", size=5, replicas=2) | {"status": {"phase": "dropped"}})
    c.patch(
        f"{one}/status",
        MERGE,
        {"status": {"phase": "Ready", "replicas": 2, "selector": "a=b", "unknown": 1}, "spec": {"size": 9}},
    )
    c.patch(one, MERGE, {"status": {"phase": "dropped"}, "spec": {"size": 6}})
    c.patch(f"{one}/status", MERGE, {"status": {"replicas": "two"}})
    c.get(f"{one}/scale")
    c.patch(f"{one}/scale", MERGE, {"spec": {"replicas": 4}}, fieldManager="scaler")
    c.patch(f"{one}/scale", MERGE, {"spec": {"replicas": 40}})
    c.get(one)
    c.get(f"{one}/log")
    kind.unmake()
    c.check()


def test_custom_resource_definition(conversation: Conversation) -> None:
    """A definition: what is refused, its status and discovery, its deletion with what it made."""
    c = conversation
    kind = Kind(c)
    bad = kind.definition()
    bad["metadata"]["name"] = "wrong.test.example"
    c.post(CRDS, bad)
    bad = kind.definition()
    bad["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = {"properties": {}}
    c.post(CRDS, bad)
    bad = kind.definition()
    bad["spec"]["versions"][0]["storage"] = False
    c.post(CRDS, bad)
    bad = kind.definition()
    rule = {"rule": "self.size >"}  # the words of the compiler are its own
    bad["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": {"type": "object", "x-kubernetes-validations": [rule]}}
    refused = c.quietly("POST", CRDS, bad)
    c.say(f"a rule that is none: {refused.code} {refused.json['details']['causes'][0]['field']}")
    kind.make()
    live = c.quietly("GET", f"{CRDS}/{kind.name}").json
    c.say("its status")
    c.tell(
        sorted((each["type"], each["status"], each["reason"], each["message"]) for each in live["status"]["conditions"])
    )
    c.tell({key: live["status"][key] for key in ("acceptedNames", "storedVersions")})
    c.say("discovery")
    resources = c.quietly("GET", f"/apis/{kind.group}/v1").json["resources"]
    c.tell([each for each in resources if kind.word in each["name"]])
    c.post(kind.path, kind.widget("one", size=1))
    c.quietly(
        "POST",
        kind.path,
        kind.widget("held", size=1) | {"metadata": {"name": "held", "finalizers": ["a.example/hold"]}},
    )
    kind.unmake()

    def gone() -> bool:
        return c.quietly("GET", f"{kind.path}/one").code == 404

    c.cluster.eventually(gone, "its objects deleted")
    c.say(f"the held one: {c.quietly('GET', f'{kind.path}/held').code}")
    c.quietly("PATCH", f"{kind.path}/held", {"metadata": {"finalizers": None}}, content_type=MERGE)
    c.cluster.eventually(lambda: c.quietly("GET", f"{CRDS}/{kind.name}").code == 404, "the definition gone")
    c.cluster.eventually(lambda: c.quietly("GET", kind.path).code == 404, "its path gone")
    c.check()


def test_tables(conversation: Conversation) -> None:
    """What `kubectl get` shows: columns and cells."""
    c = conversation
    c.quietly("POST", MAPS, config_map("one", {"a": "1", "b": "2"}, labels={"t": "y"}))
    c.quietly("POST", "/api/v1/namespaces/NS/podtemplates", pod_template("one"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}, "data": {"a": "YQ=="}}
    c.quietly("POST", "/api/v1/namespaces/NS/secrets", secret)

    def table(path: str, **query: str) -> None:
        answer = c.quietly("GET", path, headers={"Accept": TABLE}, **query)
        c.say(f"table of {path} {query}: {answer.code}")
        found = answer.json
        if found.get("kind") != "Table":
            c.tell(found)
            return
        columns = [
            [each["name"], each["type"], each["format"], each["priority"]] for each in found["columnDefinitions"]
        ]
        c.tell(columns)
        c.say(f"rows: {'null' if found['rows'] is None else len(found['rows'])}")
        ages = {number for number, each in enumerate(columns) if each[0] in ("Age", "Created At", "Last Seen")}
        for row in found["rows"] or []:
            c.tell(["AGE" if number in ages else cell for number, cell in enumerate(row["cells"])])
            made = row["object"]
            c.say(f"object: {made and made.get('kind')} {sorted(made['metadata']) if made else ''}")

    table(MAPS, labelSelector="t=y")
    table(f"{MAPS}/one")
    table(MAPS, labelSelector="t=y", includeObject="None")
    table(MAPS, labelSelector="t=y", includeObject="Object")
    table(f"{MAPS}/none")
    table("/api/v1/namespaces/NS/podtemplates")
    table("/api/v1/namespaces/NS/secrets")
    for path in (
        "/api/v1/namespaces/NS/pods",
        "/api/v1/namespaces/NS/services",
        "/api/v1/namespaces/NS/events",
        "/api/v1/namespaces/NS/endpoints",
        "/api/v1/namespaces/NS/persistentvolumeclaims",
        "/api/v1/namespaces/NS/resourcequotas",
        "/api/v1/namespaces/NS/limitranges",
        "/api/v1/namespaces/NS/replicationcontrollers",
        "/apis/apps/v1/namespaces/NS/deployments",
        "/apis/apps/v1/namespaces/NS/replicasets",
        "/apis/apps/v1/namespaces/NS/statefulsets",
        "/apis/apps/v1/namespaces/NS/daemonsets",
        "/apis/apps/v1/namespaces/NS/controllerrevisions",
        "/apis/batch/v1/namespaces/NS/jobs",
        "/apis/batch/v1/namespaces/NS/cronjobs",
        "/apis/networking.k8s.io/v1/namespaces/NS/ingresses",
        "/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies",
        "/apis/autoscaling/v2/namespaces/NS/horizontalpodautoscalers",
        "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings",
        "/apis/coordination.k8s.io/v1/namespaces/NS/leases",
        "/apis/discovery.k8s.io/v1/namespaces/NS/endpointslices",
    ):
        table(path)
    table("/apis/storage.k8s.io/v1/storageclasses", labelSelector="none=such")
    kind = Kind(c)
    kind.make()
    c.quietly("POST", kind.path, kind.widget("one", size=4))
    table(kind.path)
    kind.unmake()
    c.check()


def test_metadata_only(conversation: Conversation) -> None:
    """An object and a list as metadata only."""
    c = conversation
    c.quietly("POST", MAPS, config_map("one", labels={"t": "y"}))
    for path, accept in ((f"{MAPS}/one", PARTIAL), (MAPS, PARTIAL_LIST)):
        query = {} if path.endswith("one") else {"labelSelector": "t=y"}
        c.send("GET", path, headers={"Accept": accept}, **query)
    c.send("GET", f"{MAPS}/one", headers={"Accept": "text/html"})
    c.send("GET", f"{MAPS}/one", headers={"Accept": "application/json;as=Nothing;v=v1;g=meta.k8s.io"})
    c.check()


def test_discovery(conversation: Conversation) -> None:
    """Every built-in group version that both serve, resource by resource, in both forms of discovery."""
    c = conversation
    c.get("/api")
    root = c.quietly("GET", "/apis").json
    groups = {each["name"]: each for each in root["groups"]}
    for name in ("apps", "batch", "networking.k8s.io", "autoscaling", "policy", "rbac.authorization.k8s.io"):
        c.tell(groups[name])
    for path in (
        "/api/v1",
        "/apis/apps/v1",
        "/apis/batch/v1",
        "/apis/networking.k8s.io/v1",
        "/apis/autoscaling/v2",
        "/apis/policy/v1",
        "/apis/rbac.authorization.k8s.io/v1",
        "/apis/coordination.k8s.io/v1",
        "/apis/apiextensions.k8s.io/v1",
        "/apis/discovery.k8s.io/v1",
        "/apis/storage.k8s.io/v1",
    ):
        c.say(path)
        found = c.quietly("GET", path).json
        c.tell({key: value for key, value in found.items() if key != "resources"})
        for resource in found["resources"]:
            c.say(" ".join(f"{key}={resource[key]}" for key in sorted(resource) if key != "storageVersionHash"))
    c.get("/apis/apps")
    whole = c.quietly(
        "GET",
        "/apis",
        headers={"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"},
    )
    c.say(whole.headers["content-type"])
    apps = next(each for each in whole.json["items"] if each["metadata"]["name"] == "apps")
    c.tell(apps)
    c.check()


def test_health_and_version(conversation: Conversation) -> None:
    """Health for those without a token too; no token is Unauthorized elsewhere, a wrong one everywhere."""
    c = conversation
    for path in ("/healthz", "/livez", "/readyz"):
        c.get(path)
    version = c.quietly("GET", "/version").json
    c.tell({key: version[key] for key in ("major", "minor")})
    assert set(version) >= {"gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"}
    c.send("GET", "/api/v1/namespaces/NS", headers={"Authorization": "Bearer wrong"})
    c.send("GET", "/api/v1/namespaces/NS", headers={"Authorization": ""})
    c.check()


def test_openapi(conversation: Conversation) -> None:
    """The schema of a kind in OpenAPI v3, and that v2 has it."""
    c = conversation
    paths = c.quietly("GET", "/openapi/v3").json["paths"]
    assert {"api/v1", "apis/apps/v1"} <= set(paths)
    apps = c.quietly("GET", paths["apis/apps/v1"]["serverRelativeURL"]).json
    schema = apps["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]
    c.tell({key: schema[key] for key in ("type", "x-kubernetes-group-version-kind")})
    c.tell(sorted(schema["properties"]))
    two = c.quietly("GET", "/openapi/v2").json
    assert two["swagger"] == "2.0"
    assert "io.k8s.api.apps.v1.Deployment" in two["definitions"]
    c.check()


def test_apply_to_a_kind_that_is_not_there(conversation: Conversation) -> None:
    """An apply to a path that no definition serves."""
    c = conversation
    c.patch(
        "/apis/none.example/v1/namespaces/NS/things/one",
        APPLY,
        {"apiVersion": "none.example/v1", "kind": "Thing"},
        fieldManager="me",
    )
    c.check()
