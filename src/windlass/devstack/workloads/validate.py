"""`validate`: everything that is wrong with an object of a built-in kind, as causes of a 422.

Called by the API server after defaulting and `prepare_for_create` or `prepare_for_update`. It knows the metadata of
every kind, the common 90 % of
what each kind asks (``validate_kinds``), and what an update may not change (``immutable``). Custom resources get the
metadata checks only.
"""

from __future__ import annotations

from typing import Any

from windlass.devstack.workloads import api, names
from windlass.devstack.workloads.api import Cause
from windlass.devstack.workloads.causes import Causes
from windlass.devstack.workloads.immutable import UPDATE_CHECKS
from windlass.devstack.workloads.validate_kinds import CHECKS

Object = dict[str, Any]

_ANNOTATIONS_LIMIT = 256 * 1024
_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_SPEC_SUBRESOURCES = ("", "scale")
_DNS_LABEL_NAMES = frozenset({api.NAMESPACES, api.SERVICES})
_PATH_NAMES = frozenset(
    f"rbac.authorization.k8s.io/v1/{plural}"
    for plural in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")
)


def _name(causes: Causes, resource: str, name: str) -> None:
    if resource in _PATH_NAMES:
        for part in ("/", "%"):
            if part in name:
                causes.invalid("metadata.name", name, f"may not contain '{part}'")
        if name in (".", ".."):
            causes.invalid("metadata.name", name, f"may not be '{name}'")
        return
    check = names.label_1123 if resource in _DNS_LABEL_NAMES else names.subdomain_1123
    causes.invalids("metadata.name", name, check(name))


def check_metadata(causes: Causes, resource: str, metadata: Object, created: bool) -> None:
    """Names, labels, annotations, finalizers and owners."""
    name = metadata.get("name") or ""
    if not name:
        causes.required("metadata.name", "name or generateName is required")
    elif created:
        _name(causes, resource, name)
    causes.labels("metadata.labels", metadata.get("labels"))
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        causes.invalids("metadata.annotations", key, names.label_key(key.lower()))
    if sum(len(key) + len(str(value)) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT:
        causes.too_long("metadata.annotations", _ANNOTATIONS_LIMIT)
    for index, finalizer in enumerate(metadata.get("finalizers") or []):
        causes.invalids("metadata.finalizers", finalizer, names.label_key(finalizer))
        if "/" not in finalizer and finalizer not in _FINALIZERS:
            words = "name is neither a standard finalizer name nor is it fully qualified"
            causes.invalid(f"metadata.finalizers[{index}]", finalizer, words)
    owners = metadata.get("ownerReferences") or []
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                causes.invalid(f"metadata.ownerReferences.{field}", "", "must not be empty")
    controllers = [owner for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        words = (
            "Only one reference can have Controller set to true. "
            f'Found "true" in references for {controllers[0].get("kind")}/{controllers[0].get("name")} '
            f"and {controllers[1].get('kind')}/{controllers[1].get('name')}"
        )
        causes.invalid("metadata.ownerReferences", owners, words)


def validate(resource: str, obj: Object, old: Object | None, subresource: str = "") -> list[Cause]:
    """What is wrong with ``obj``, which would replace ``old`` (None on create). Writes of other subresources get the
    metadata checks.
    """
    causes = Causes()
    metadata = obj.get("metadata") or {}
    if old is None or metadata != old.get("metadata"):
        check_metadata(causes, resource, metadata, old is None)
    if subresource not in _SPEC_SUBRESOURCES:
        return causes.found
    if old is not None and _content(obj) == _content(old):
        return causes.found  # nothing of it can be wrong that was right before
    check, check_update = CHECKS.get(resource), UPDATE_CHECKS.get(resource)
    if resource == api.DAEMON_SETS and old is not None and check_update:
        check_update(causes, obj, old)  # here what may not change is told first
        check_update = None
    if check:
        check(causes, obj)
    if old is not None and check_update:
        check_update(causes, obj, old)
    return causes.found


def _content(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}
