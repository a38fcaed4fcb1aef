"""The resources that a Kubernetes API server of version 1.36 serves by default: names, scope, verbs, subresources.

Used by the devstack's discovery, by the plan (is this kind namespaced, what is its plural) and by the command line.
It is a table of our own; ``tests/unit/manifests/test_schemas.py`` holds it against the schemas, and the end-to-end
tests against the discovery of a real server. It says nothing of CustomResourceDefinitions, which only a cluster knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
SUBRESOURCE_VERBS = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A subresource: its name (``status``), the kind it answers with, and its verbs."""

    name: str
    api_version: str
    kind: str
    verbs: tuple[str, ...] = SUBRESOURCE_VERBS


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as discovery tells it. ``group`` is empty for the core group."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    subresources: tuple[Subresource, ...] = ()

    @property
    def api_version(self) -> str:
        """``group/version``, or the bare version in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        """The kind of its lists."""
        return f"{self.kind}List"

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, or None."""
        return next((each for each in self.subresources if each.name == name), None)


# A section a group and version, in the order in which a server tells them (a client takes the first that fits a short
# name). A row: plural, kind, scope, then short names, categories, verbs where they are not the usual eight, and
# subresources as /name[:apiVersion/Kind][=verbs]. An indented line goes on with the row before.
_TABLE = """
[v1]
bindings Binding namespaced verbs=create
componentstatuses ComponentStatus cluster short=cs verbs=get,list
configmaps ConfigMap namespaced short=cm
endpoints Endpoints namespaced short=ep
events Event namespaced short=ev
limitranges LimitRange namespaced short=limits
namespaces Namespace cluster short=ns verbs=create,delete,get,list,patch,update,watch /finalize=update /status
nodes Node cluster short=no /proxy:v1/NodeProxyOptions=create,delete,get,patch,update /status
persistentvolumeclaims PersistentVolumeClaim namespaced short=pvc /status
persistentvolumes PersistentVolume cluster short=pv /status
pods Pod namespaced short=po in=all /attach:v1/PodAttachOptions=create,get /binding:v1/Binding=create
  /ephemeralcontainers /eviction:policy/v1/Eviction=create /exec:v1/PodExecOptions=create,get /log=get
  /portforward:v1/PodPortForwardOptions=create,get /proxy:v1/PodProxyOptions=create,delete,get,patch,update
  /resize /status
podtemplates PodTemplate namespaced
replicationcontrollers ReplicationController namespaced short=rc in=all /scale:autoscaling/v1/Scale /status
resourcequotas ResourceQuota namespaced short=quota /status
secrets Secret namespaced
serviceaccounts ServiceAccount namespaced short=sa /token:authentication.k8s.io/v1/TokenRequest=create
services Service namespaced short=svc in=all /proxy:v1/ServiceProxyOptions=create,delete,get,patch,update /status
[apiregistration.k8s.io/v1]
apiservices APIService cluster in=api-extensions /status
[apps/v1]
controllerrevisions ControllerRevision namespaced
daemonsets DaemonSet namespaced short=ds in=all /status
deployments Deployment namespaced short=deploy in=all /scale:autoscaling/v1/Scale /status
replicasets ReplicaSet namespaced short=rs in=all /scale:autoscaling/v1/Scale /status
statefulsets StatefulSet namespaced short=sts in=all /scale:autoscaling/v1/Scale /status
[events.k8s.io/v1]
events Event namespaced short=ev
[authentication.k8s.io/v1]
selfsubjectreviews SelfSubjectReview cluster verbs=create
tokenreviews TokenReview cluster verbs=create
[authorization.k8s.io/v1]
localsubjectaccessreviews LocalSubjectAccessReview namespaced verbs=create
selfsubjectaccessreviews SelfSubjectAccessReview cluster verbs=create
selfsubjectrulesreviews SelfSubjectRulesReview cluster verbs=create
subjectaccessreviews SubjectAccessReview cluster verbs=create
[autoscaling/v2]
horizontalpodautoscalers HorizontalPodAutoscaler namespaced short=hpa in=all /status
[autoscaling/v1]
horizontalpodautoscalers HorizontalPodAutoscaler namespaced short=hpa in=all /status
[batch/v1]
cronjobs CronJob namespaced short=cj in=all /status
jobs Job namespaced in=all /status
[certificates.k8s.io/v1]
certificatesigningrequests CertificateSigningRequest cluster short=csr /approval /status
[networking.k8s.io/v1]
ingressclasses IngressClass cluster
ingresses Ingress namespaced short=ing /status
ipaddresses IPAddress cluster short=ip
networkpolicies NetworkPolicy namespaced short=netpol
servicecidrs ServiceCIDR cluster /status
[policy/v1]
poddisruptionbudgets PodDisruptionBudget namespaced short=pdb /status
[rbac.authorization.k8s.io/v1]
clusterrolebindings ClusterRoleBinding cluster
clusterroles ClusterRole cluster
rolebindings RoleBinding namespaced
roles Role namespaced
[storage.k8s.io/v1]
csidrivers CSIDriver cluster
csinodes CSINode cluster
csistoragecapacities CSIStorageCapacity namespaced
storageclasses StorageClass cluster short=sc
volumeattachments VolumeAttachment cluster /status
volumeattributesclasses VolumeAttributesClass cluster short=vac
[admissionregistration.k8s.io/v1]
mutatingadmissionpolicies MutatingAdmissionPolicy cluster in=api-extensions
mutatingadmissionpolicybindings MutatingAdmissionPolicyBinding cluster in=api-extensions
mutatingwebhookconfigurations MutatingWebhookConfiguration cluster in=api-extensions
validatingadmissionpolicies ValidatingAdmissionPolicy cluster in=api-extensions /status
validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding cluster in=api-extensions
validatingwebhookconfigurations ValidatingWebhookConfiguration cluster in=api-extensions
[apiextensions.k8s.io/v1]
customresourcedefinitions CustomResourceDefinition cluster short=crd,crds in=api-extensions /status
[scheduling.k8s.io/v1]
priorityclasses PriorityClass cluster short=pc
[coordination.k8s.io/v1]
leases Lease namespaced
[node.k8s.io/v1]
runtimeclasses RuntimeClass cluster
[discovery.k8s.io/v1]
endpointslices EndpointSlice namespaced
[resource.k8s.io/v1]
deviceclasses DeviceClass cluster
resourceclaims ResourceClaim namespaced /status
resourceclaimtemplates ResourceClaimTemplate namespaced
resourceslices ResourceSlice cluster
[flowcontrol.apiserver.k8s.io/v1]
flowschemas FlowSchema cluster /status
prioritylevelconfigurations PriorityLevelConfiguration cluster /status
"""


def _subresource(text: str, api_version: str, kind: str) -> Subresource:
    text, _, verbs = text.partition("=")
    name, _, answer = text.partition(":")
    if answer:
        api_version, _, kind = answer.rpartition("/")
    return Subresource(name, api_version, kind, tuple(verbs.split(",")) if verbs else SUBRESOURCE_VERBS)


def _row(line: str, api_version: str) -> Resource:
    group, _, version = api_version.rpartition("/")
    plural, kind, scope, *rest = line.split()
    marks = {
        name: tuple(value.split(",")) for name, _, value in (each.partition("=") for each in rest if each[0] != "/")
    }
    subresources = tuple(_subresource(each[1:], api_version, kind) for each in rest if each[0] == "/")
    return Resource(
        group=group,
        version=version,
        plural=plural,
        singular=kind.lower(),
        kind=kind,
        namespaced=scope == "namespaced",
        short_names=marks.get("short", ()),
        categories=marks.get("in", ()),
        verbs=marks.get("verbs", VERBS),
        subresources=subresources,
    )


@cache
def builtin() -> tuple[Resource, ...]:
    """Every built-in resource, in the order of discovery."""
    rows: list[Resource] = []
    api_version = ""
    for line in _TABLE.replace("\n  ", " ").split("\n"):
        if line.startswith("["):
            api_version = line[1:-1]
        elif line:
            rows.append(_row(line, api_version))
    return tuple(rows)


@cache
def by_kind() -> Mapping[tuple[str, str], Resource]:
    """(apiVersion, kind) to resource."""
    return MappingProxyType({(each.api_version, each.kind): each for each in builtin()})


@cache
def by_plural() -> Mapping[tuple[str, str], Resource]:
    """(apiVersion, plural) to resource."""
    return MappingProxyType({(each.api_version, each.plural): each for each in builtin()})


def find(api_version: str, kind: str) -> Resource | None:
    """The built-in resource of a kind, or None."""
    return by_kind().get((api_version, kind))
