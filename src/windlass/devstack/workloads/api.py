"""What the workloads need of an API server in the same process, and the words for resources that all controllers share.

The API server implements ``Api`` (its ``LocalApi``); the unit tests have a small implementation in memory, held to
the same contract suite.
Objects are plain JSON dicts. What ``get``, ``list`` and ``subscribe`` give is shared and immutable: build new dicts,
never change these.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

Object = dict[str, Any]
Objects = list[Object]
Names = list[str]

PODS = "v1/pods"
SERVICES = "v1/services"
ENDPOINTS = "v1/endpoints"
EVENTS = "v1/events"
NODES = "v1/nodes"
NAMESPACES = "v1/namespaces"
SECRETS = "v1/secrets"
CONFIG_MAPS = "v1/configmaps"
SERVICE_ACCOUNTS = "v1/serviceaccounts"
CLAIMS = "v1/persistentvolumeclaims"
VOLUMES = "v1/persistentvolumes"
REPLICATION_CONTROLLERS = "v1/replicationcontrollers"
DEPLOYMENTS = "apps/v1/deployments"
REPLICA_SETS = "apps/v1/replicasets"
STATEFUL_SETS = "apps/v1/statefulsets"
DAEMON_SETS = "apps/v1/daemonsets"
REVISIONS = "apps/v1/controllerrevisions"
JOBS = "batch/v1/jobs"
CRON_JOBS = "batch/v1/cronjobs"
SLICES = "discovery.k8s.io/v1/endpointslices"
STORAGE_CLASSES = "storage.k8s.io/v1/storageclasses"
AUTOSCALERS = "autoscaling/v2/horizontalpodautoscalers"
BUDGETS = "policy/v1/poddisruptionbudgets"
LEASES = "coordination.k8s.io/v1/leases"

CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
KUBELET = "kubelet"
CLOUD = "cloud-controller-manager"

NODE_NAME = "devnode"


@dataclass(frozen=True, slots=True)
class Change:
    """One watch event. ``old`` is the object before (MODIFIED, DELETED), None on ADDED."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    resource: str
    object: Object
    old: Object | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why an object is refused, as ``status.details.causes`` shows it; ``message`` comes without the
    field.
    """

    reason: str
    message: str
    field: str

    @property
    def text(self) -> str:
        """The cause as the message of a Status words it."""
        return f"{self.field}: {self.message}" if self.field else self.message


class ApiError(Exception):
    """An answer of the API server that is not success: HTTP ``code`` (409, 404, ...), ``reason`` as in a Status."""

    def __init__(self, code: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason


class Clock(Protocol):
    """Time: ``now`` is the wall clock, aware and in UTC; ``monotonic`` counts seconds and never goes back."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class Api(Protocol):
    """An API server, asked without HTTP. Resources are named ``<group>/<version>/<plural>``, in the core group
    ``v1/<plural>``.

    ``update`` with a ``metadata.resourceVersion`` that is not the live one raises ``ApiError`` 409; without one it
    overwrites.
    Subresources: ``status`` and ``finalize`` take the whole object; ``binding`` (Pods) takes the whole Pod with
    ``spec.nodeName`` set and
    leaves no field entry; ``scale`` takes an ``autoscaling/v1`` Scale whose ``metadata`` names the object to scale.
    """

    async def get(self, resource: str, namespace: str | None, name: str) -> Object | None: ...

    async def list(
        self, resource: str, namespace: str | None = None, selector: Mapping[str, str] | None = None
    ) -> Objects: ...

    async def create(self, resource: str, obj: Object, *, manager: str) -> Object: ...

    async def update(self, resource: str, obj: Object, *, manager: str, subresource: str = "") -> Object: ...

    async def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None: ...

    def resources(self) -> Names: ...

    def subscribe(self, resources: Collection[str] | None) -> AsyncIterator[Change]:
        """All changes of these resources (None: of every one, those that come later too), starting with ADDED of all
        that exists.
        """
        ...


def timestamp(moment: datetime) -> str:
    """A time as metav1.Time writes it: whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """A time as metav1.MicroTime writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(text: str) -> datetime:
    """The time that ``timestamp`` or ``micro_timestamp`` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
