"""Built-in kinds: their defaults and what each refuses, on the devcluster and on a real server, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.conversation import Conversation
from real.cluster import MERGE

LABELS = {"matchLabels": {"app": "x"}}
POD = {"containers": [{"name": "main", "image": "nginx"}]}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": POD}
JOB = {"template": {"spec": POD | {"restartPolicy": "Never"}}}
CLAIM = {"storageClassName": "manual", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
CLIENT = {"service": {"namespace": "default", "name": "hook"}}
HOOK = {"name": "a.example.com", "clientConfig": CLIENT, "sideEffects": "None", "admissionReviewVersions": ["v1"]}
FULL_CONTAINER = {
    "name": "main",
    "image": "a.example/x:1",
    "ports": [{"containerPort": 80}],
    "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
    "readinessProbe": {"tcpSocket": {"port": 80}},
    "startupProbe": {"exec": {"command": ["x"]}},
    "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
    "resources": {"limits": {"cpu": "500m", "memory": "128Mi"}},
    "securityContext": {"runAsUser": 1},
}
FULL_POD = {
    "containers": [FULL_CONTAINER],
    "initContainers": [{"name": "init", "image": "x@sha256:" + "0" * 64}],
    "volumes": [
        {"name": "empty"},
        {"name": "map", "configMap": {"name": "m"}},
        {"name": "secret", "secret": {"secretName": "s"}},
        {"name": "projected", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {"name": "down", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "host", "hostPath": {"path": "/x"}},
    ],
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": LABELS}
    ],
}

# (path below the version, apiVersion, kind, own fields): made with dryRun, so that nothing else writes to it.
MINIMAL: list[tuple[str, str, str, dict[str, Any]]] = [
    ("NS/pods", "v1", "Pod", {"spec": POD}),
    ("NS/pods", "v1", "Pod", {"spec": FULL_POD}),
    ("NS/services", "v1", "Service", {"spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}),
    ("NS/services", "v1", "Service", {"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30123}]}}),
    ("NS/services", "v1", "Service", {"spec": {"type": "ExternalName", "externalName": "a.example.com"}}),
    ("NS/serviceaccounts", "v1", "ServiceAccount", {}),
    ("NS/persistentvolumeclaims", "v1", "PersistentVolumeClaim", {"spec": CLAIM}),
    (
        "NS/replicationcontrollers",
        "v1",
        "ReplicationController",
        {"spec": {"selector": {"app": "x"}, "template": TEMPLATE}},
    ),
    ("NS/resourcequotas", "v1", "ResourceQuota", {"spec": {"hard": {"pods": "5"}}}),
    ("NS/limitranges", "v1", "LimitRange", {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}}),
    ("NS/endpoints", "v1", "Endpoints", {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]}),
    ("NS/secrets", "v1", "Secret", {"stringData": {"a": "b"}}),
    ("NS/deployments", "apps/v1", "Deployment", {"spec": {"selector": LABELS, "template": TEMPLATE}}),
    (
        "NS/statefulsets",
        "apps/v1",
        "StatefulSet",
        {
            "spec": {
                "selector": LABELS,
                "template": TEMPLATE,
                "serviceName": "x",
                "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": CLAIM}],
            }
        },
    ),
    ("NS/daemonsets", "apps/v1", "DaemonSet", {"spec": {"selector": LABELS, "template": TEMPLATE}}),
    ("NS/replicasets", "apps/v1", "ReplicaSet", {"spec": {"selector": LABELS, "template": TEMPLATE}}),
    ("NS/jobs", "batch/v1", "Job", {"spec": JOB}),
    ("NS/cronjobs", "batch/v1", "CronJob", {"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": JOB}}}),
    (
        "NS/ingresses",
        "networking.k8s.io/v1",
        "Ingress",
        {
            "spec": {
                "rules": [
                    {
                        "host": "a.example.com",
                        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]},
                    }
                ]
            }
        },
    ),
    (
        "NS/networkpolicies",
        "networking.k8s.io/v1",
        "NetworkPolicy",
        {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}},
    ),
    (
        "NS/horizontalpodautoscalers",
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"}}},
    ),
    ("NS/poddisruptionbudgets", "policy/v1", "PodDisruptionBudget", {"spec": {"selector": LABELS, "minAvailable": 1}}),
    (
        "NS/roles",
        "rbac.authorization.k8s.io/v1",
        "Role",
        {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    ),
    (
        "NS/rolebindings",
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        {
            "roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "NS"}, {"kind": "User", "name": "u"}],
        },
    ),
    ("NS/leases", "coordination.k8s.io/v1", "Lease", {"spec": {"holderIdentity": "x"}}),
    (
        "NS/endpointslices",
        "discovery.k8s.io/v1",
        "EndpointSlice",
        {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}], "ports": [{"port": 80}]},
    ),
    (
        "persistentvolumes",
        "v1",
        "PersistentVolume",
        {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}},
    ),
    ("namespaces", "v1", "Namespace", {}),
    (
        "clusterroles",
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]},
    ),
    (
        "clusterrolebindings",
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        {"roleRef": {"kind": "ClusterRole", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}},
    ),
    ("storageclasses", "storage.k8s.io/v1", "StorageClass", {"provisioner": "a.example/x"}),
    ("priorityclasses", "scheduling.k8s.io/v1", "PriorityClass", {"value": 5}),
    ("ingressclasses", "networking.k8s.io/v1", "IngressClass", {"spec": {"controller": "a.example/x"}}),
    (
        "validatingwebhookconfigurations",
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        {"webhooks": [HOOK]},
    ),
    (
        "mutatingwebhookconfigurations",
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        {"webhooks": [HOOK]},
    ),
]

# The same, refused.
REFUSED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("NS/pods", "v1", "Pod", {"spec": {}}),
    ("NS/pods", "v1", "Pod", {"spec": {"containers": [{"name": "a"}, {"image": "x"}]}}),
    ("NS/pods", "v1", "Pod", {"spec": POD | {"restartPolicy": "Sometimes"}}),
    (
        "NS/pods",
        "v1",
        "Pod",
        {"spec": {"containers": [{"name": "a", "image": "x", "ports": [{"containerPort": 99999}]}]}},
    ),
    (
        "NS/pods",
        "v1",
        "Pod",
        {"spec": {"containers": [{"name": "a", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/"}]}]}},
    ),
    (
        "NS/pods",
        "v1",
        "Pod",
        {
            "spec": {
                "containers": [
                    {"name": "a", "image": "x", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}
                ]
            }
        },
    ),
    (
        "NS/pods",
        "v1",
        "Pod",
        {"spec": {"containers": [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "many"}}}]}},
    ),
    (
        "NS/pods",
        "v1",
        "Pod",
        {"spec": {"containers": [{"name": "a", "image": "x", "env": [{"name": "", "value": "x"}]}]}},
    ),
    ("NS/pods", "v1", "Pod", {"spec": POD | {"serviceAccountName": "none"}}),
    ("NS/services", "v1", "Service", {"spec": {"type": "Odd", "ports": [{"port": 0}]}}),
    ("NS/services", "v1", "Service", {"spec": {"ports": [{"port": 80, "name": "UPPER"}]}}),
    ("NS/persistentvolumeclaims", "v1", "PersistentVolumeClaim", {"spec": {}}),
    ("NS/deployments", "apps/v1", "Deployment", {"spec": {}}),
    ("NS/deployments", "apps/v1", "Deployment", {"spec": {"selector": LABELS, "template": {"spec": POD}}}),
    ("NS/deployments", "apps/v1", "Deployment", {"spec": {"selector": LABELS, "template": TEMPLATE, "replicas": -1}}),
    (
        "NS/deployments",
        "apps/v1",
        "Deployment",
        {"spec": {"selector": LABELS, "template": TEMPLATE, "replicas": "three"}},
    ),
    (
        "NS/deployments",
        "apps/v1",
        "Deployment",
        {
            "spec": {
                "selector": LABELS,
                "template": TEMPLATE,
                "strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}},
            }
        },
    ),
    (
        "NS/deployments",
        "apps/v1",
        "Deployment",
        {
            "spec": {
                "selector": LABELS,
                "template": TEMPLATE,
                "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
            }
        },
    ),
    (
        "NS/deployments",
        "apps/v1",
        "Deployment",
        {
            "spec": {
                "selector": LABELS,
                "template": {"metadata": TEMPLATE["metadata"], "spec": POD | {"restartPolicy": "Never"}},
            }
        },
    ),
    ("NS/statefulsets", "apps/v1", "StatefulSet", {"spec": {"template": TEMPLATE}}),
    ("NS/jobs", "batch/v1", "Job", {"spec": {"template": {"spec": POD}}}),
    ("NS/jobs", "batch/v1", "Job", {"spec": JOB | {"parallelism": -1}}),
    ("NS/cronjobs", "batch/v1", "CronJob", {"spec": {"schedule": "sometimes", "jobTemplate": {"spec": JOB}}}),
    ("NS/ingresses", "networking.k8s.io/v1", "Ingress", {"spec": {}}),
    (
        "NS/ingresses",
        "networking.k8s.io/v1",
        "Ingress",
        {"spec": {"rules": [{"http": {"paths": [{"path": "x", "backend": BACKEND}]}}]}},
    ),
    (
        "NS/networkpolicies",
        "networking.k8s.io/v1",
        "NetworkPolicy",
        {"spec": {"podSelector": {}, "policyTypes": ["Odd"]}},
    ),
    (
        "NS/horizontalpodautoscalers",
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        {"spec": {"minReplicas": 5, "maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "x"}}},
    ),
    (
        "NS/poddisruptionbudgets",
        "policy/v1",
        "PodDisruptionBudget",
        {"spec": {"selector": LABELS, "minAvailable": 1, "maxUnavailable": 1}},
    ),
    ("NS/roles", "rbac.authorization.k8s.io/v1", "Role", {"rules": [{"verbs": ["get"]}]}),
    (
        "NS/rolebindings",
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        {"roleRef": {"kind": "Odd", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}},
    ),
    ("NS/roles", "rbac.authorization.k8s.io/v1", "Role", {"rules": "all"}),
    ("namespaces", "v1", "Namespace", {"metadata": {"name": "Not.A.Label"}}),
    ("persistentvolumes", "v1", "PersistentVolume", {"spec": {"capacity": {"storage": "1Gi"}}}),
    ("storageclasses", "storage.k8s.io/v1", "StorageClass", {}),
]


def collection(path: str, version: str) -> str:
    root = "/api/v1" if version == "v1" else f"/apis/{version}"
    return f"{root}/namespaces/{path}" if path.startswith("NS/") else f"{root}/{path}"


def kinds(listed: list[tuple[str, str, str, dict[str, Any]]]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """By kind: (collection, apiVersion, the object's own fields) of each."""
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, version, kind, fields in listed:
        found.setdefault(kind, []).append((collection(path, version), version, fields))
    return found


@pytest.mark.parametrize("kind", kinds(MINIMAL))
def test_defaults_of(conversation: Conversation, kind: str) -> None:
    """What a minimal object becomes."""
    c = conversation
    c.name = f"defaults_of_{kind}"
    for path, version, fields in kinds(MINIMAL)[kind]:
        c.post(path, {"apiVersion": version, "kind": kind, "metadata": {"name": "dry"}, **fields}, dryRun="All")
    c.check()


@pytest.mark.parametrize("kind", kinds(REFUSED))
def test_refusals_of(conversation: Conversation, kind: str) -> None:
    """What is refused, and the words."""
    c = conversation
    c.name = f"refusals_of_{kind}"
    for path, version, fields in kinds(REFUSED)[kind]:
        c.post(path, {"apiVersion": version, "kind": kind, "metadata": {"name": "dry"}, **fields}, dryRun="All")
    c.check()


def test_what_can_not_change(conversation: Conversation) -> None:
    """Fields that are fixed once an object is made."""
    c = conversation
    c.busy = True

    def change(path: str, version: str, kind: str, spec: dict[str, Any], patch: dict[str, Any]) -> None:
        path = collection(path, version)
        made = c.quietly(
            "POST", path, {"apiVersion": version, "kind": kind, "metadata": {"name": "fixed"}, "spec": spec}
        )
        assert made.code == 201, made.body
        c.patch(f"{path}/fixed", MERGE, patch)

    other = {"matchLabels": {"app": "y"}}
    template = {"metadata": {"labels": {"app": "y"}}, "spec": POD}
    apps = {"selector": LABELS, "template": TEMPLATE, "replicas": 0}
    change("NS/deployments", "apps/v1", "Deployment", apps, {"spec": {"selector": other, "template": template}})
    change("NS/statefulsets", "apps/v1", "StatefulSet", apps, {"spec": {"serviceName": "other"}})
    change("NS/jobs", "batch/v1", "Job", JOB | {"suspend": True}, {"spec": {"completions": 5}})
    change(
        "NS/pods", "v1", "Pod", POD, {"spec": {"containers": [{"name": "main", "image": "nginx", "command": ["x"]}]}}
    )
    change("NS/persistentvolumeclaims", "v1", "PersistentVolumeClaim", CLAIM, {"spec": {"storageClassName": "other"}})
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings"
    reference = {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "fixed"},
        "roleRef": reference,
    }
    assert c.quietly("POST", roles, body).code == 201
    c.patch(f"{roles}/fixed", MERGE, {"roleRef": {"name": "other"}})
    c.check()
