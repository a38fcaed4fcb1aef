"""What an update may not change, by kind, in the real server's words. Called by ``validate`` for updates of the main
resource.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from typing import Any

from windlass.devstack.workloads import api
from windlass.devstack.workloads.causes import Causes
from windlass.devstack.workloads.quantity import BadQuantity, amount

Object = dict[str, Any]

_STATEFUL_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_STATEFUL_WORDS = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_POD_WORDS = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_CLAIM_WORDS = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def _difference(old: Any, new: Any) -> str:
    """Both values as a line diff of their JSON, without the names of files."""
    before, after = (json.dumps(value, indent=2, sort_keys=True).splitlines() for value in (old, new))
    return "\n".join(list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:])


def _spec(obj: Object) -> Object:
    spec = obj.get("spec")
    return spec if isinstance(spec, dict) else {}


def _without(spec: Object, *fields: str) -> Object:
    return {name: value for name, value in spec.items() if name not in fields}


def _selector(causes: Causes, new: Object, old: Object) -> None:
    causes.unchanged("spec.selector", _spec(new).get("selector"), _spec(old).get("selector"))


def _stateful_set(causes: Causes, new: Object, old: Object) -> None:
    if _without(_spec(new), *_STATEFUL_MUTABLE) != _without(_spec(old), *_STATEFUL_MUTABLE):
        causes.forbidden("spec", _STATEFUL_WORDS)


def _job(causes: Causes, new: Object, old: Object) -> None:
    spec, before = _spec(new), _spec(old)
    if spec.get("completionMode") != "Indexed":
        causes.unchanged("spec.completions", spec.get("completions"), before.get("completions"))
    causes.unchanged("spec.selector", spec.get("selector"), before.get("selector"))
    template, template_before = spec.get("template"), before.get("template")
    if before.get("suspend") and not (old.get("status") or {}).get("startTime"):
        template, template_before = _unscheduled(template), _unscheduled(template_before)
    causes.unchanged("spec.template", template, template_before)
    for field in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        causes.unchanged(f"spec.{field}", spec.get(field), before.get(field))


def _unscheduled(template: Any) -> Any:
    """The template without what may change while a Job never ran: where its pods go, and what they may use."""
    if not isinstance(template, dict):
        return template
    spec = _without(template.get("spec") or {}, "nodeSelector", "tolerations", "affinity", "schedulingGates")
    spec["containers"] = [_without(container, "resources") for container in spec.get("containers") or []]
    return {"spec": spec}


def _images(containers: Any) -> Any:
    return [_without(container, "image") for container in containers or []]


def _munged(spec: Object) -> Object:
    rest = _without(spec, "activeDeadlineSeconds", "tolerations", "schedulingGates", "containers", "initContainers")
    return {
        **rest,
        "containers": _images(spec.get("containers")),
        "initContainers": _images(spec.get("initContainers")),
    }


def _pod(causes: Causes, new: Object, old: Object) -> None:
    spec, before = _spec(new), _spec(old)
    if spec == before:
        return
    for part in ("containers", "initContainers"):
        if len(spec.get(part) or []) != len(before.get(part) or []):
            causes.forbidden(f"spec.{part}", "pod updates may not add or remove containers")
            return
    tolerations = spec.get("tolerations") or []
    for toleration in before.get("tolerations") or []:
        if not any(
            _without(one, "tolerationSeconds") == _without(toleration, "tolerationSeconds") for one in tolerations
        ):
            causes.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
            break
    if _munged(spec) != _munged(before):
        causes.forbidden("spec", f"{_POD_WORDS}\n{_difference(_munged(before), _munged(spec))}")


def _claim(causes: Causes, new: Object, old: Object) -> None:
    spec, before = dict(_spec(new)), dict(_spec(old))
    if not before.get("volumeName"):
        before["volumeName"] = spec.get("volumeName")
    if before.get("storageClassName") is None:
        before["storageClassName"] = spec.get("storageClassName")
    bound = (new.get("status") or {}).get("phase") == "Bound"
    compared = [_without(one, "resources", "volumeAttributesClassName") if bound else one for one in (spec, before)]
    compared = [{name: value for name, value in one.items() if value is not None} for one in compared]
    if compared[0] != compared[1]:
        causes.forbidden("spec", f"{_CLAIM_WORDS}\n{_difference(compared[1], compared[0])}")
    sizes = [((one.get("resources") or {}).get("requests") or {}).get("storage", "0") for one in (spec, before)]
    try:
        if amount(sizes[0]) < amount(sizes[1]):
            causes.forbidden("spec.resources.requests.storage", "field can not be less than previous value")
    except BadQuantity:
        return  # told by the check of the claim itself


def _service(causes: Causes, new: Object, old: Object) -> None:
    spec, before = _spec(new), _spec(old)
    if "ExternalName" in (spec.get("type"), before.get("type")):
        return
    addresses, addresses_before = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if not addresses_before:
        return
    if not addresses:
        causes.invalid("spec.clusterIPs[0]", addresses, "primary clusterIP can not be unset")
    elif addresses[0] != addresses_before[0]:
        causes.invalid("spec.clusterIPs[0]", addresses, "may not change once set")


def _data(causes: Causes, new: Object, old: Object) -> None:
    if new.get("kind") == "Secret":
        causes.unchanged("type", new.get("type"), old.get("type"))
    if old.get("immutable") is not True:
        return
    words = "field is immutable when `immutable` is set"
    if new.get("immutable") is not True:
        causes.forbidden("immutable", words)
    for field in ("data", "binaryData"):
        if (new.get(field) or {}) != (old.get(field) or {}):
            causes.forbidden(field, words)


def _binding(causes: Causes, new: Object, old: Object) -> None:
    if new.get("roleRef") != old.get("roleRef"):
        role = new.get("roleRef") or {}
        shown = {"APIGroup": role.get("apiGroup"), "Kind": role.get("kind"), "Name": role.get("name")}
        causes.invalid("roleRef", shown, "cannot change roleRef")


def _storage_class(causes: Causes, new: Object, old: Object) -> None:
    if (new.get("parameters") or {}) != (old.get("parameters") or {}):
        causes.forbidden("parameters", "updates to parameters are forbidden.")
    for field in ("provisioner", "reclaimPolicy", "volumeBindingMode"):
        causes.unchanged(field, new.get(field), old.get(field))


def _priority_class(causes: Causes, new: Object, old: Object) -> None:
    if new.get("value") != old.get("value"):
        causes.forbidden("value", "may not be changed in an update.")
    causes.unchanged("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))


def _slice(causes: Causes, new: Object, old: Object) -> None:
    causes.unchanged("addressType", new.get("addressType"), old.get("addressType"))


def _revision(causes: Causes, new: Object, old: Object) -> None:
    causes.unchanged("data", new.get("data"), old.get("data"))


_RBAC = "rbac.authorization.k8s.io/v1/"
UPDATE_CHECKS: dict[str, Callable[[Causes, Object, Object], None]] = {
    api.DEPLOYMENTS: _selector,
    api.REPLICA_SETS: _selector,
    api.DAEMON_SETS: _selector,
    api.STATEFUL_SETS: _stateful_set,
    api.JOBS: _job,
    api.PODS: _pod,
    api.CLAIMS: _claim,
    api.SERVICES: _service,
    api.SECRETS: _data,
    api.CONFIG_MAPS: _data,
    api.STORAGE_CLASSES: _storage_class,
    api.SLICES: _slice,
    api.REVISIONS: _revision,
    "scheduling.k8s.io/v1/priorityclasses": _priority_class,
    _RBAC + "rolebindings": _binding,
    _RBAC + "clusterrolebindings": _binding,
}
