"""What the API server does to an object of a built-in kind between decoding and storing it: `Strategies`.

The API server makes one `Strategies`, gives it its own look-up of live objects, and calls, in this order:
``apply_defaults``, (metadata: uid,
creationTimestamp, generated name), ``prepare_for_create`` or ``prepare_for_update``, ``validate``. All give new
objects and leave the given ones
alone. Admission refusals are raised as the API server's own `ApiError`. Custom resources pass through unchanged but
for the checks of metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from windlass.devstack.apiserver.errors import internal
from windlass.devstack.workloads import api
from windlass.devstack.workloads.allocation import allocate
from windlass.devstack.workloads.api import Cause
from windlass.devstack.workloads.defaults import apply_defaults, is_built_in, plain_copy
from windlass.devstack.workloads.pod_admission import admit_pod, with_default_tolerations
from windlass.devstack.workloads.validate import validate

Object = dict[str, Any]

_NETWORKING, _ADMISSION = "networking.k8s.io/v1/", "admissionregistration.k8s.io/v1/"
# Kinds whose `metadata.generation` counts changes of what a user writes; the others have none.
GENERATIONS = frozenset(
    {
        api.DEPLOYMENTS,
        api.REPLICA_SETS,
        api.STATEFUL_SETS,
        api.DAEMON_SETS,
        api.REPLICATION_CONTROLLERS,
        api.JOBS,
        api.CRON_JOBS,
        api.PODS,
        api.BUDGETS,
        api.SLICES,
        "v1/podtemplates",
        "scheduling.k8s.io/v1/priorityclasses",
        _NETWORKING + "ingresses",
        _NETWORKING + "networkpolicies",
        _NETWORKING + "ingressclasses",
        _ADMISSION + "validatingwebhookconfigurations",
        _ADMISSION + "mutatingwebhookconfigurations",
        _ADMISSION + "validatingadmissionpolicies",
        _ADMISSION + "validatingadmissionpolicybindings",
    }
)
# Kinds with a status subresource: a write of the main resource leaves the status as it was.
STATUSES = frozenset(
    {
        api.DEPLOYMENTS,
        api.REPLICA_SETS,
        api.STATEFUL_SETS,
        api.DAEMON_SETS,
        api.REPLICATION_CONTROLLERS,
        api.JOBS,
        api.CRON_JOBS,
        api.PODS,
        api.BUDGETS,
        api.SERVICES,
        api.NAMESPACES,
        api.NODES,
        api.CLAIMS,
        api.VOLUMES,
        api.AUTOSCALERS,
        "v1/resourcequotas",
        "autoscaling/v1/horizontalpodautoscalers",
        _NETWORKING + "ingresses",
        _ADMISSION + "validatingadmissionpolicies",
        "apiregistration.k8s.io/v1/apiservices",
        "certificates.k8s.io/v1/certificatesigningrequests",
    }
)
# A new object of these starts with the status that its defaulting gives, whatever was sent.
_FRESH_STATUS: dict[str, Object] = {
    api.DEPLOYMENTS: {},
    api.REPLICA_SETS: {"replicas": 0},
    api.REPLICATION_CONTROLLERS: {"replicas": 0},
    api.STATEFUL_SETS: {"replicas": 0, "availableReplicas": 0},
    api.DAEMON_SETS: {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    },
    api.JOBS: {},
    api.CRON_JOBS: {},
    api.SERVICES: {"loadBalancer": {}},
    api.NAMESPACES: {"phase": "Active"},
    api.CLAIMS: {"phase": "Pending"},
    api.VOLUMES: {"phase": "Pending"},
    api.AUTOSCALERS: {"desiredReplicas": 0, "currentMetrics": None},
    api.BUDGETS: {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    _NETWORKING + "ingresses": {"loadBalancer": {}},
    "v1/resourcequotas": {},
}
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def _nothing(resource: str) -> Iterable[Object]:
    return ()


def is_default_class(storage_class: Object) -> bool:
    """Whether claims that name no class get this one."""
    annotations = (storage_class.get("metadata") or {}).get("annotations") or {}
    return bool(annotations.get(_DEFAULT_CLASS) == "true")


class Strategies:
    """The rules of the built-in kinds.

    ``find`` looks one live object up (resource, namespace, name), ``every`` gives all live objects of a resource.
    Without them nothing is known of
    other objects: names of service accounts and priority classes are not checked, and addresses may be given twice.
    """

    def __init__(
        self,
        find: Callable[[str, str | None, str], Object | None] | None = None,
        every: Callable[[str], Iterable[Object]] = _nothing,
    ) -> None:
        self.find = find
        self.every = every

    def apply_defaults(self, resource: str, obj: Object) -> Object:
        """See ``defaults.apply_defaults``."""
        return apply_defaults(resource, obj)

    def prepare_for_create(self, resource: str, obj: Object) -> Object:
        """What is stored for a new object: its first generation, a fresh status, allocated values, admission's
        additions.

        ``metadata.uid`` must be there already: a Job's selector and a Pod's token volume are made of it.
        """
        if not is_built_in(resource):
            return obj
        new: Object = plain_copy(obj)
        metadata = new.setdefault("metadata", {})
        if resource in GENERATIONS:
            metadata["generation"] = 1
        else:
            metadata.pop("generation", None)
        if resource in _FRESH_STATUS:
            new["status"] = dict(_FRESH_STATUS[resource])
        prepare = _CREATE.get(resource)
        if prepare:
            prepare(self, new)
        return new

    def prepare_for_update(self, resource: str, old: Object, new: Object, subresource: str = "") -> Object:
        """What is stored when ``new`` replaces ``old``: parts that this (sub)resource may not write are those of
        ``old``.
        """
        if not is_built_in(resource) or subresource in ("binding", "finalize"):
            return new
        if subresource == "status":
            return _status_update(resource, old, new)
        merged = dict(new)
        if resource in STATUSES and subresource != "resize":
            if "status" in old:
                merged["status"] = old["status"]
            else:
                merged.pop("status", None)
        if resource == api.NAMESPACES:
            merged["spec"] = old.get("spec") or {}
        if resource == api.SERVICES:
            merged["spec"] = plain_copy(new.get("spec") or {})
            _allocate(merged, old, self.every(api.SERVICES))
        if resource == api.PODS and not subresource:
            spec = new.get("spec") or {}
            merged["spec"] = {**spec, "tolerations": with_default_tolerations(spec.get("tolerations"))}
        if resource == api.DAEMON_SETS:
            merged = _count_template(merged, old)
        if resource == api.JOBS:
            merged = _keep_job_identity(merged, old)
        metadata, before = dict(merged.get("metadata") or {}), old.get("metadata") or {}
        if resource in GENERATIONS:
            metadata["generation"] = before.get("generation", 1) + _is_new_generation(resource, old, merged)
        else:
            metadata.pop("generation", None)
        merged["metadata"] = metadata
        return merged

    def validate(self, resource: str, obj: Object, old: Object | None, subresource: str = "") -> list[Cause]:
        """See ``validate.validate``."""
        return validate(resource, obj, old, subresource)

    def deletion_grace(self, resource: str, obj: Object, requested: int | None = None) -> int:
        """Seconds of grace for a deletion, 0 for "gone now". Only a Pod that runs on a node has any.

        When it is over 0 the API server sets ``deletionTimestamp`` and ``deletionGracePeriodSeconds`` and leaves the
        object; the kubelet shows the Pod
        as ended and deletes it again, which then is immediate because its phase says that nothing runs.
        """
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        if resource != api.PODS or not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
            return 0
        if requested is not None:
            return max(requested, 0)
        return int(spec.get("terminationGracePeriodSeconds", 30))


def _allocate(new: Object, old: Object | None, services: Iterable[Object]) -> None:
    try:
        allocate(new, old, services)
    except LookupError as error:
        raise internal(f"failed to allocate a serviceIP: {error}") from error


def _prepare_pod(strategies: Strategies, pod: Object) -> None:
    admit_pod(pod, strategies.find)


def _prepare_service(strategies: Strategies, service: Object) -> None:
    service.setdefault("spec", {})
    _allocate(service, None, strategies.every(api.SERVICES))


def _prepare_namespace(strategies: Strategies, namespace: Object) -> None:
    namespace["spec"] = {"finalizers": ["kubernetes"]}


def _prepare_job(strategies: Strategies, job: Object) -> None:
    metadata, spec = job["metadata"], job.setdefault("spec", {})
    if spec.get("manualSelector"):
        return
    uid, name = metadata.get("uid", ""), metadata.get("name", "")
    template = spec.setdefault("template", {})
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels["batch.kubernetes.io/controller-uid"] = labels["controller-uid"] = uid
    labels["batch.kubernetes.io/job-name"] = labels["job-name"] = name
    if spec.get("selector") is None:
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    if not metadata.get("labels") or metadata["labels"].items() <= labels.items():
        metadata["labels"] = dict(labels)  # labels that came from the template take these along


def _keep_job_identity(new: Object, old: Object) -> Object:
    """A Job written whole again, without the selector and labels that were generated, keeps them."""
    spec, before = dict(new.get("spec") or {}), old.get("spec") or {}
    if spec.get("manualSelector") or not before:
        return new
    if spec.get("selector") is None:
        spec["selector"] = before.get("selector")
    return {**new, "spec": spec}


def _prepare_claim(strategies: Strategies, claim: Object) -> None:
    spec, metadata = claim.setdefault("spec", {}), claim["metadata"]
    if spec.get("storageClassName") is None:
        default = next((one for one in strategies.every(api.STORAGE_CLASSES) if is_default_class(one)), None)
        if default:
            spec["storageClassName"] = default["metadata"]["name"]
    metadata["finalizers"] = _with(metadata.get("finalizers"), "kubernetes.io/pvc-protection")


def _prepare_volume(strategies: Strategies, volume: Object) -> None:
    if volume["metadata"].get("creationTimestamp"):
        volume["status"]["lastPhaseTransitionTime"] = volume["metadata"]["creationTimestamp"]
    volume["metadata"]["finalizers"] = _with(volume["metadata"].get("finalizers"), "kubernetes.io/pv-protection")


def _with(finalizers: list[str] | None, added: str) -> list[str]:
    return [*(finalizers or []), *([] if added in (finalizers or []) else [added])]


def _prepare_daemon_set(strategies: Strategies, daemon_set: Object) -> None:
    metadata = daemon_set["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), _TEMPLATE_GENERATION: "1"}


def _count_template(new: Object, old: Object) -> Object:
    """A DaemonSet counts the generations of its template in an annotation."""
    before = ((old.get("metadata") or {}).get("annotations") or {}).get(_TEMPLATE_GENERATION, "1")
    changed = (new.get("spec") or {}).get("template") != (old.get("spec") or {}).get("template")
    count = str(int(before) + 1) if changed and before.isdigit() else before
    metadata = new.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), _TEMPLATE_GENERATION: count}
    return {**new, "metadata": {**metadata, "annotations": annotations}}


def _prepare_revision_zero(strategies: Strategies, obj: Object) -> None:
    obj.setdefault("revision", 0)


_CREATE: dict[str, Callable[[Strategies, Object], None]] = {
    api.PODS: _prepare_pod,
    api.SERVICES: _prepare_service,
    api.NAMESPACES: _prepare_namespace,
    api.JOBS: _prepare_job,
    api.DAEMON_SETS: _prepare_daemon_set,
    api.CLAIMS: _prepare_claim,
    api.VOLUMES: _prepare_volume,
    api.REVISIONS: _prepare_revision_zero,
}


_KEPT_BY_STATUS = ("generation", "deletionTimestamp", "deletionGracePeriodSeconds")
_ALSO_KEPT = {api.DEPLOYMENTS: ("labels",), api.PODS: ("ownerReferences",)}


def _status_update(resource: str, old: Object, new: Object) -> Object:
    """A write of the status: its annotations, and for most kinds its labels, are taken as well, as the real server
    does.
    """
    metadata, before = dict(new.get("metadata") or {}), old.get("metadata") or {}
    for field in (*_KEPT_BY_STATUS, *_ALSO_KEPT.get(resource, ())):
        if field in before:
            metadata[field] = before[field]
        else:
            metadata.pop(field, None)
    merged = {**old, "metadata": metadata}
    if new.get("status") is not None:
        merged["status"] = new["status"]
    return merged


def _is_new_generation(resource: str, old: Object, new: Object) -> bool:
    if resource == api.DEPLOYMENTS:  # its annotations count as well, on the real server too
        annotations = [(obj.get("metadata") or {}).get("annotations") or {} for obj in (old, new)]
        if annotations[0] != annotations[1]:
            return True
    skipped = ("metadata", "status", "apiVersion", "kind")
    return any(old.get(field) != new.get(field) for field in {*old, *new} if field not in skipped)


strategies = Strategies()
"""Rules that know nothing of other objects, for callers that have none."""
