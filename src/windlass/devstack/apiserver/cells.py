"""Columns and cells of the built-in kinds in `Table` answers, as the real server prints them. Called by ``table.py``.

A column is ``Name``, with ``#i`` integer, ``#b`` boolean or ``#d`` date, and ``+`` where only ``-o wide`` shows it; an
indented line goes on.
"""

from __future__ import annotations

import datetime
from functools import cache
from typing import Any

from windlass.devstack.apiserver import cellwork, podcells, rarecells
from windlass.devstack.apiserver.cellwork import Cells, age

_COLUMNS = """
componentstatuses: Name|Status|Message|Error
configmaps: Name|Data|Age
endpoints: Name|Endpoints|Age
events: Last Seen|Type|Reason|Object|Subobject+|Source+|Message|First Seen+|Count+|Name+
limitranges: Name|Created At#d
namespaces: Name|Status|Age
nodes: Name|Status|Roles|Age|Version|Internal-IP+|External-IP+|OS-Image+|Kernel-Version+|Container-Runtime+
persistentvolumeclaims: Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode+
persistentvolumes: Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|
  Age|VolumeMode+
pods: Name|Ready|Status|Restarts|Age|IP+|Node+|Nominated Node+|Readiness Gates+
podtemplates: Name|Containers|Images|Pod Labels
replicationcontrollers: Name|Desired#i|Current#i|Ready#i|Age|Containers+|Images+|Selector+
resourcequotas: Name|Request|Limit|Age
secrets: Name|Type|Data|Age
serviceaccounts: Name|Age
services: Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector+
apiservices.apiregistration.k8s.io: Name|Service|Available|Age
controllerrevisions.apps: Name|Controller|Revision|Age
daemonsets.apps: Name|Desired#i|Current#i|Ready#i|Up-to-date#i|Available#i|Node Selector|Age|Containers+|Images+|
  Selector+
deployments.apps: Name|Ready|Up-to-date|Available|Age|Containers+|Images+|Selector+
replicasets.apps: Name|Desired#i|Current#i|Ready#i|Age|Containers+|Images+|Selector+
statefulsets.apps: Name|Ready|Age|Containers+|Images+
horizontalpodautoscalers.autoscaling: Name|Reference|Targets|MinPods|MaxPods|Replicas|Age
cronjobs.batch: Name|Schedule|Timezone|Suspend#b|Active#i|Last Schedule|Age|Containers+|Images+|Selector+
jobs.batch: Name|Status|Completions|Duration|Age|Containers+|Images+|Selector+
certificatesigningrequests.certificates.k8s.io: Name|Age|SignerName|Requestor|RequestedDuration|Condition
ingressclasses.networking.k8s.io: Name|Controller|Parameters|Age
ingresses.networking.k8s.io: Name|Class|Hosts|Address|Ports|Age
ipaddresses.networking.k8s.io: Name|ParentRef
networkpolicies.networking.k8s.io: Name|Pod-Selector|Age
servicecidrs.networking.k8s.io: Name|CIDRs|Age
poddisruptionbudgets.policy: Name|Min Available|Max Unavailable|Allowed Disruptions#i|Age
clusterrolebindings.rbac.authorization.k8s.io: Name|Role|Age|Users+|Groups+|ServiceAccounts+
clusterroles.rbac.authorization.k8s.io: Name|Created At#d
rolebindings.rbac.authorization.k8s.io: Name|Role|Age|Users+|Groups+|ServiceAccounts+
roles.rbac.authorization.k8s.io: Name|Created At#d
csidrivers.storage.k8s.io: Name|AttachRequired#b|PodInfoOnMount#b|StorageCapacity#b|TokenRequests|
  RequiresRepublish#b|Modes|Age
csinodes.storage.k8s.io: Name|Drivers#i|Age
csistoragecapacities.storage.k8s.io: Name|Created At#d
storageclasses.storage.k8s.io: Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age
volumeattachments.storage.k8s.io: Name|Attacher|PV|Node|Attached#b|Age
volumeattributesclasses.storage.k8s.io: Name|DriverName|Age
mutatingadmissionpolicies.admissionregistration.k8s.io: Name|Mutations#i|ParamKind|Age
mutatingadmissionpolicybindings.admissionregistration.k8s.io: Name|PolicyName|ParamRef|Age
mutatingwebhookconfigurations.admissionregistration.k8s.io: Name|Webhooks#i|Age
validatingadmissionpolicies.admissionregistration.k8s.io: Name|Validations#i|ParamKind|Age
validatingadmissionpolicybindings.admissionregistration.k8s.io: Name|PolicyName|ParamRef|Age
validatingwebhookconfigurations.admissionregistration.k8s.io: Name|Webhooks#i|Age
customresourcedefinitions.apiextensions.k8s.io: Name|Created At#d
priorityclasses.scheduling.k8s.io: Name|Value#i|Global-Default#b|Age|PreemptionPolicy
leases.coordination.k8s.io: Name|Holder|Age
runtimeclasses.node.k8s.io: Name|Handler|Age
endpointslices.discovery.k8s.io: Name|AddressType|Ports|Endpoints|Age
deviceclasses.resource.k8s.io: Name|Age
resourceclaims.resource.k8s.io: Name|State|Age
resourceclaimtemplates.resource.k8s.io: Name|Age
resourceslices.resource.k8s.io: Name|Node|Driver|Pool|Age
flowschemas.flowcontrol.apiserver.k8s.io: Name|PriorityLevel|MatchingPrecedence|DistinguisherMethod|Age|MissingPL
prioritylevelconfigurations.flowcontrol.apiserver.k8s.io: Name|Type|NominalConcurrencyShares|Queues|HandSize|
  QueueLengthLimit|Age
"""
_MAKERS: dict[str, Cells] = {**cellwork.CELLS, **rarecells.CELLS, "pods": podcells.pod}
_TYPES = {"i": "integer", "b": "boolean", "d": "date", "": "string"}


def column(name: str, kind: str, form: str, priority: int, note: str) -> dict[str, Any]:
    """One column definition."""
    return {"name": name, "type": kind, "format": form, "description": note, "priority": priority}


@cache
def _known() -> dict[str, list[dict[str, Any]]]:
    found = {}
    for line in _COLUMNS.replace("\n  ", "").strip().splitlines():
        storage, _, rest = line.partition(": ")
        found[storage] = [_column(text) for text in rest.split("|")]
    return found


def _column(text: str) -> dict[str, Any]:
    name, _, kind = text.removesuffix("+").partition("#")
    note = {"Name": NAME_NOTE, "Age": AGE_NOTE, "Created At": AGE_NOTE}.get(name, "")
    form = "name" if name == "Name" else ""
    return column(name, _TYPES[kind], form, 1 if text.endswith("+") else 0, note)


def columns(storage: str) -> list[dict[str, Any]]:
    """The columns of a built-in resource."""
    return _known()[storage]


def cells(storage: str, obj: dict[str, Any], now: datetime.datetime) -> list[Any]:
    """The cells of one object, one a column."""
    make = _MAKERS.get(storage)
    if make is not None:
        return make(obj, now)
    return [_plain(each["name"], obj, now) for each in columns(storage)]


def _plain(name: str, obj: dict[str, Any], now: datetime.datetime) -> Any:
    metadata = obj["metadata"]
    if name == "Name":
        return metadata["name"]
    if name == "Age":
        return age(metadata.get("creationTimestamp"), now)
    return metadata.get("creationTimestamp") if name == "Created At" else "<unknown>"


NAME_NOTE = "The name, unique within the namespace and the kind."
AGE_NOTE = "How long ago the object was created."
