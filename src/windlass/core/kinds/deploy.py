"""What a cluster needs to run the controller: CRDs, namespace, least rights, Deployment, probes, network policies.

``windlass install`` prints it, ``windlass up`` and the end-to-end tests apply parts of it. Least rights means: reading
everywhere (RBAC can't grant metadata alone, and a watch by label needs the kind), writing nothing but our own status,
Events, the Lease and the digest key; everything else is applied as the service account that an Application names.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windlass.core.kinds.crd import crds
from windlass.core.kinds.installation import NAME
from windlass.core.kinds.kind import API_VERSION, GROUP

PORT = 8080
USER = 65532
DIGEST_SECRET = "windlass-digest-key"  # noqa: S105 - the name of a Secret, not its value
LEASE = "windlass-controller"
REQUEST = "windlass.dev/sync-requested"
"""Annotation on an Application: ``windlass sync`` sets it to ``<time> <who> [only=Kind/name]``."""
GLASS = "windlass.dev/break-glass"
"""Annotation on an Application: ``windlass sync --break-glass`` pins it in the cluster (``core/kinds/glass``)."""
GLASS_VERB = "break-glass"
GUARD = "windlass-break-glass"
"""The admission policy for it, and its binding."""
LABELS = {"app.kubernetes.io/name": "windlass", "app.kubernetes.io/component": "controller"}

CONTAINERFILE = f"""\
# The controller's image. Build it beside the wheel: `uv build --wheel`, then
# `buildah build -t <registry>/windlass:<version> -f Containerfile dist`.
FROM docker.io/library/python:3.13-slim
RUN apt-get update \\
 && apt-get install --no-install-recommends -y git openssh-client ca-certificates \\
 && rm -rf /var/lib/apt/lists/*
COPY windlass-*.whl /tmp/
RUN pip install --no-cache-dir "$(echo /tmp/windlass-*.whl)[helm]" && rm /tmp/windlass-*.whl
USER {USER}:{USER}
ENTRYPOINT ["windlass", "controller", "--listen", "0.0.0.0"]
"""


class Deploy(msgspec.Struct, frozen=True):
    """What differs from one cluster to the next. ``apply_as`` "controller" gives the controller cluster-admin: for a
    cluster with one team only."""

    image: str
    cluster: str
    namespace: str = "windlass-system"
    apply_as: str = "serviceAccount"


def definitions() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions."""
    return list(crds())


def manifests(deploy: Deploy) -> list[dict[str, Any]]:
    """Everything, in the order in which it is applied."""
    made = [*definitions(), _namespace(deploy), *access(deploy), *people(), *_requests(), *glass_policy()]
    made += [_deployment(deploy), _service(deploy), *_network_policies(deploy)]
    return [*made, installation(deploy)]


def installation(deploy: Deploy) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Installation",
        "metadata": {"name": NAME},
        "spec": {"name": deploy.cluster, "apply": {"as": deploy.apply_as}},
    }


def access(deploy: Deploy) -> list[dict[str, Any]]:
    """The account of the controller and its rights."""
    subject = [{"kind": "ServiceAccount", "name": "windlass", "namespace": deploy.namespace}]
    own = ["applications", "repositories", "imagepolicies", "alerts", "channels", "installations"]
    rules: list[dict[str, Any]] = [
        # To see what is live, of any kind that Git may name. Values of Secrets are never asked for, but RBAC has no
        # word for "metadata only".
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [GROUP], "resources": [f"{one}/status" for one in own], "verbs": ["patch", "update"]},
        # The last step of an Application that left Git, and the word on its children that they leave.
        # It also takes a pin by break-glass away when its time is over.
        {"apiGroups": [GROUP], "resources": ["applications"], "verbs": ["delete", "patch", GLASS_VERB]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        # Applies in the name of the account that an Application names, which is always one of its own namespace.
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
    ]
    made = [
        _object("v1", "ServiceAccount", "windlass", deploy.namespace),
        {**_object("rbac.authorization.k8s.io/v1", "ClusterRole", "windlass-controller"), "rules": rules},
        _binding("ClusterRoleBinding", "windlass-controller", "", "ClusterRole", "windlass-controller", subject),
        {
            **_object("rbac.authorization.k8s.io/v1", "Role", "windlass-controller", deploy.namespace),
            "rules": [
                {
                    "apiGroups": ["coordination.k8s.io"],
                    "resources": ["leases"],
                    "verbs": ["get", "create", "update", "patch"],
                },
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
            ],
        },
        _binding("RoleBinding", "windlass-controller", deploy.namespace, "Role", "windlass-controller", subject),
    ]
    if deploy.apply_as == "controller":
        made.append(_binding("ClusterRoleBinding", "windlass-applies", "", "ClusterRole", "cluster-admin", subject))
    return made


def people() -> list[dict[str, Any]]:
    """What the cluster's own roles view, edit and admin may do with our kinds, in the namespaces where people have
    them. ``sync`` is a verb of its own: to ask the controller for a look now."""
    kinds = ["applications", "repositories", "imagepolicies", "alerts", "channels"]
    read = [{"apiGroups": [GROUP], "resources": kinds, "verbs": ["get", "list", "watch"]}]
    write = [{"apiGroups": [GROUP], "resources": kinds, "verbs": ["create", "delete", "patch", "update"]}]
    ask = [{"apiGroups": [GROUP], "resources": ["applications"], "verbs": ["sync"]}]
    # Part of no built-in role: whoever may act without Git is bound to it by name.
    shatter = [{"apiGroups": [GROUP], "resources": ["applications"], "verbs": ["get", "patch", GLASS_VERB]}]

    def role(name: str, rules: list[dict[str, Any]], *into: str) -> dict[str, Any]:
        made = _object("rbac.authorization.k8s.io/v1", "ClusterRole", name)
        made["metadata"]["labels"].update({f"rbac.authorization.k8s.io/aggregate-to-{one}": "true" for one in into})
        return {**made, "rules": rules}

    return [
        role("windlass-view", read, "view", "edit", "admin"),
        role("windlass-edit", write + ask, "edit", "admin"),
        role("windlass-break-glass", shatter),
    ]


def _requests() -> list[dict[str, Any]]:
    """Whoever changes the annotation by which a sync is asked for needs the verb ``sync``, besides patch."""
    may = (_allowed("sync"), "asking for a sync needs the verb sync on applications.windlass.dev")
    return _policy("windlass-sync-requests", ["UPDATE"], _present(REQUEST), [may])


def glass_policy() -> list[dict[str, Any]]:
    """Whoever writes or takes away a pin by break-glass needs the verb ``break-glass``, and writes it in their own
    name. The controller believes no such annotation in a cluster without this policy."""
    new, old = _annotation("object", GLASS), _annotation("oldObject", GLASS)
    own = f"{new} == '' || {new}.startsWith('{{\"by\":\"' + request.userInfo.username + '\",')"
    rules = [
        (_allowed(GLASS_VERB), "a pin in the cluster needs the verb break-glass on applications.windlass.dev"),
        (own, "a pin by break-glass names who makes it, and nobody else"),
    ]
    changed = f"{new} != (oldObject == null ? '' : {old})"
    return _policy(GUARD, ["CREATE", "UPDATE"], changed, rules)


def _policy(name: str, operations: list[str], when: str, rules: list[tuple[str, str]]) -> list[dict[str, Any]]:
    resource = {"apiGroups": [GROUP], "apiVersions": ["*"], "operations": operations, "resources": ["applications"]}
    policy = {
        **_object("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", name),
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [resource]},
            "matchConditions": [{"name": "asked", "expression": when}],
            "validations": [{"expression": rule, "message": message, "reason": "Forbidden"} for rule, message in rules],
        },
    }
    binding = {
        **_object("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", name),
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return [policy, binding]


def _allowed(verb: str) -> str:
    """CEL: who asks has this verb on the Application."""
    return (
        f"authorizer.group('{GROUP}').resource('applications')"
        f".namespace(object.metadata.namespace).name(object.metadata.name).check('{verb}').allowed()"
    )


def _annotation(of: str, name: str) -> str:
    """CEL: an annotation, '' where there is none."""
    return f"{of}.metadata.?annotations[?'{name}'].orValue('')"


def _present(name: str) -> str:
    """CEL: the annotation is another one than before."""
    return f"{_annotation('object', name)} != {_annotation('oldObject', name)}"


def _object(api_version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": dict(LABELS)}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _binding(
    kind: str, name: str, namespace: str, role_kind: str, role: str, subjects: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        **_object("rbac.authorization.k8s.io/v1", kind, name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": subjects,
    }


def _namespace(deploy: Deploy) -> dict[str, Any]:
    made = _object("v1", "Namespace", deploy.namespace)
    made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return made


def _deployment(deploy: Deploy) -> dict[str, Any]:
    def probe(path: str, period: int) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": "http"}, "periodSeconds": period, "timeoutSeconds": 5}

    container = {
        "name": "controller",
        "image": deploy.image,
        "args": ["--namespace", deploy.namespace],
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [
            {"name": "WINDLASS_IDENTITY", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        # Liveness is by progress: a controller that is stuck at one item past its bound is not alive.
        "livenessProbe": {**probe("/healthz", 15), "failureThreshold": 4},
        "readinessProbe": probe("/readyz", 5),
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/windlass"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the Pod's own
        ],
    }
    pod = {
        "serviceAccountName": "windlass",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "data", "emptyDir": {"sizeLimit": "4Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
        "terminationGracePeriodSeconds": 20,
    }
    return {
        **_object("apps/v1", "Deployment", "windlass", deploy.namespace),
        "spec": {
            # One: a second would wait for the Lease, and push hooks that reach it would be lost until the next poll.
            "replicas": 1,
            "selector": {"matchLabels": dict(LABELS)},
            "template": {"metadata": {"labels": dict(LABELS)}, "spec": pod},
        },
    }


def _service(deploy: Deploy) -> dict[str, Any]:
    return {
        **_object("v1", "Service", "windlass", deploy.namespace),
        "spec": {"selector": dict(LABELS), "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }


def _network_policies(deploy: Deploy) -> list[dict[str, Any]]:
    """Nothing in or out, but for push hooks, probes and metrics in, and DNS, the API server and Git out."""
    deny = {
        **_object("networking.k8s.io/v1", "NetworkPolicy", "default-deny", deploy.namespace),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }
    ways_out = [("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443), ("TCP", 22)]
    allow = {
        **_object("networking.k8s.io/v1", "NetworkPolicy", "windlass-controller", deploy.namespace),
        "spec": {
            "podSelector": {"matchLabels": dict(LABELS)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"protocol": "TCP", "port": PORT}]}],
            "egress": [{"ports": [{"protocol": protocol, "port": port} for protocol, port in ways_out]}],
        },
    }
    return [deny, allow]
