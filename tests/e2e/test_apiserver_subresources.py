"""Status, scale and other subresources, on the devcluster and on a real server, word for word."""

from __future__ import annotations

from typing import Any

from e2e.conversation import Conversation
from real.cluster import MERGE

DEPLOYMENTS = "/apis/apps/v1/namespaces/NS/deployments"
BUDGETS = "/apis/policy/v1/namespaces/NS/poddisruptionbudgets"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/NS/ingresses"


def ingress(name: str) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {"defaultBackend": backend},
    }


def test_status(conversation: Conversation) -> None:
    """A status is written by its subresource only, which writes nothing else, and has a manager entry of its own."""
    c = conversation
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    c.post(INGRESSES, ingress("one") | {"status": status})
    c.patch(f"{INGRESSES}/one", MERGE, {"status": status})
    c.patch(f"{INGRESSES}/one/status", MERGE, {"status": status, "metadata": {"labels": {"by": "status"}}})
    live = c.get(f"{INGRESSES}/one/status").json
    live["spec"]["ingressClassName"] = "ignored"
    live["status"]["loadBalancer"]["ingress"][0]["ip"] = "192.0.2.2"
    c.put(f"{INGRESSES}/one/status", live)
    c.apply(
        f"{INGRESSES}/one/status",
        "balancer",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}]}},
        },
    )
    c.patch(f"{INGRESSES}/one", MERGE, {"spec": {"ingressClassName": "x"}})
    c.check()


def test_generation(conversation: Conversation) -> None:
    """generation counts changes of spec, not of metadata or status."""
    c = conversation
    c.post(INGRESSES, ingress("one"))
    c.patch(f"{INGRESSES}/one", MERGE, {"metadata": {"labels": {"a": "b"}}})
    c.patch(f"{INGRESSES}/one", MERGE, {"spec": {"ingressClassName": "x"}})
    c.patch(f"{INGRESSES}/one/status", MERGE, {"status": {"loadBalancer": {"ingress": [{"hostname": "h"}]}}})
    c.patch(f"{INGRESSES}/one", MERGE, {"metadata": {"generation": 77}})
    c.check()


def test_scale(conversation: Conversation) -> None:
    """Scale reads and writes replicas, with the conflicts of an update."""
    c = conversation
    c.busy = True
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "one"}},
        "template": {
            "metadata": {"labels": {"app": "one"}},
            "spec": {"containers": [{"name": "main", "image": "nginx"}]},
        },
    }
    c.post(DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "one"}, "spec": spec})
    scale = c.get(f"{DEPLOYMENTS}/one/scale").json
    scale["spec"]["replicas"] = 2
    del scale["metadata"]["resourceVersion"]
    c.put(f"{DEPLOYMENTS}/one/scale", scale)
    c.patch(f"{DEPLOYMENTS}/one/scale", MERGE, {"spec": {"replicas": -1}})
    scale["metadata"]["resourceVersion"] = "1"
    code = c.quietly("PUT", f"{DEPLOYMENTS}/one/scale", scale).code
    c.say(f"a stale scale: {code}")
    c.get(f"{DEPLOYMENTS}/none/scale")
    c.get("/api/v1/namespaces/NS/configmaps/one/scale")
    c.check()


def test_other_subresources(conversation: Conversation) -> None:
    """A token of a service account, and an eviction."""
    c = conversation
    account = "/api/v1/namespaces/NS/serviceaccounts/default"
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": None, "expirationSeconds": 600},
    }
    answer = c.quietly("POST", f"{account}/token", asked)
    c.say(f"a token: {answer.code}, {answer.json['kind']}, {len(answer.json['status']['token'].split('.'))} parts")
    who = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    me = c.quietly("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", who)
    c.say(f"who am I: {me.code}, {sorted(me.json['status']['userInfo']['groups'])}")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "delete", "resource": "nodes"}},
    }
    allowed = c.quietly("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    c.say(f"may I: {allowed.code}, {allowed.json['status']['allowed']}")
    c.check()
