"""The ClusterRoles and bindings that every cluster starts with, as far as people and programs rely on them.

Used by ``bootstrap.py``. Roles of the control plane's own controllers are left out: they run inside this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
_GROUP = "rbac.authorization.k8s.io"
_WRITE = "create,delete,deletecollection,patch,update"
_READ = "get,list,watch"
_ALL = "create,delete,deletecollection,get,list,patch,update,watch"
_HEALTH = "/healthz /livez /readyz /version /version/"

# role: lines of "verbs | groups | resources"; an empty group is written "core"
_RULES = {
    "cluster-admin": "* | * | *",
    "system:aggregate-to-admin": f"""
create | authorization.k8s.io | localsubjectaccessreviews
{_ALL} | {_GROUP} | rolebindings roles""",
    "system:aggregate-to-edit": f"""
{_READ} | core | pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy
impersonate | core | serviceaccounts
{_WRITE} | core | pods pods/attach pods/exec pods/portforward pods/proxy
create | core | pods/eviction serviceaccounts/token
{_WRITE} | core | configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale
{_WRITE} | core | secrets serviceaccounts services services/proxy
{_WRITE} | core events.k8s.io | events
{_WRITE} | apps | daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale
{_WRITE} | apps | statefulsets statefulsets/scale
{_WRITE} | autoscaling | horizontalpodautoscalers
{_WRITE} | batch | cronjobs jobs
{_WRITE} | policy | poddisruptionbudgets
{_WRITE} | networking.k8s.io | ingresses networkpolicies
{_ALL} | coordination.k8s.io | leases
{_WRITE} | resource.k8s.io | resourceclaims resourceclaimtemplates""",
    "system:aggregate-to-view": f"""
{_READ} | core | configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers
{_READ} | core | replicationcontrollers/scale serviceaccounts services services/status bindings limitranges
{_READ} | core | namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas
{_READ} | core | resourcequotas/status namespaces
{_READ} | core events.k8s.io | events
{_READ} | discovery.k8s.io | endpointslices
{_READ} | apps | controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status
{_READ} | apps | replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status
{_READ} | autoscaling | horizontalpodautoscalers horizontalpodautoscalers/status
{_READ} | batch | cronjobs cronjobs/status jobs jobs/status
{_READ} | policy | poddisruptionbudgets poddisruptionbudgets/status
{_READ} | networking.k8s.io | ingresses ingresses/status networkpolicies
{_READ} | resource.k8s.io | resourceclaims resourceclaims/status resourceclaimtemplates""",
    "system:basic-user": """
create | authorization.k8s.io | selfsubjectaccessreviews selfsubjectrulesreviews
create | authentication.k8s.io | selfsubjectreviews""",
}
_PATHS = {
    "cluster-admin": "*",
    "system:discovery": f"/api /api/* /apis /apis/* /openapi /openapi/* {_HEALTH}",
    "system:public-info-viewer": _HEALTH,
    "system:service-account-issuer-discovery": "/.well-known/openid-configuration /.well-known/openid-configuration/ "
    "/openid/v1/jwks /openid/v1/jwks/",
}
_AGGREGATED = {"admin": "admin", "edit": "edit", "view": "view"}
_LABELS = {
    "edit": "admin",
    "view": "edit",
    "system:aggregate-to-admin": "admin",
    "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
}
_BINDINGS = {
    "cluster-admin": ("system:masters",),
    "system:basic-user": ("system:authenticated",),
    "system:discovery": ("system:authenticated",),
    "system:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
    "system:service-account-issuer-discovery": ("system:serviceaccounts",),
}


def _metadata(name: str) -> Object:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    if name in _LABELS:
        labels[f"{_GROUP}/aggregate-to-{_LABELS[name]}"] = "true"
    return {"name": name, "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}, "labels": labels}


def _rules(name: str) -> list[Object]:
    found: list[Object] = []
    for line in _RULES.get(name, "").strip().splitlines():
        verbs, groups, resources = (part.strip() for part in line.split("|"))
        listed = ["" if group == "core" else group for group in groups.split()]
        found.append({"verbs": verbs.split(","), "apiGroups": listed, "resources": resources.split()})
    if name in _PATHS:
        verbs_of = ["*"] if name == "cluster-admin" else ["get"]
        found.append({"verbs": verbs_of, "nonResourceURLs": _PATHS[name].split()})
    return found


def cluster_roles() -> Iterator[Object]:
    """Every ClusterRole to begin with. Aggregated ones hold the rules of those they select."""
    for name in dict.fromkeys((*_RULES, *_PATHS)):
        yield {"metadata": _metadata(name), "rules": _rules(name)}
    parts = {"view": ("view",), "edit": ("edit", "view"), "admin": ("admin", "edit", "view")}
    for name, kind in _AGGREGATED.items():
        selector = {"matchLabels": {f"{_GROUP}/aggregate-to-{kind}": "true"}}
        rules = [rule for part in parts[name] for rule in _rules(f"system:aggregate-to-{part}")]
        yield {"metadata": _metadata(name), "aggregationRule": {"clusterRoleSelectors": [selector]}, "rules": rules}


def bindings() -> Iterator[Object]:
    """Every ClusterRoleBinding to begin with."""
    for name, groups in _BINDINGS.items():
        subjects = [{"kind": "Group", "apiGroup": _GROUP, "name": group} for group in groups]
        yield {
            "metadata": _metadata(name),
            "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name},
            "subjects": subjects,
        }
