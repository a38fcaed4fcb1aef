"""Whose an object is: the names that Windlass writes on what it applies, and how the marks of others are read.

Plan, drift and the flows call it. It never takes a label's word alone: labels are copied (a Service's reach its
EndpointSlices) and forged, so an object is ours only where our Apply entry owns the label and no controller owns it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec
from typing_extensions import override

from windlass.core.model import LiveObject, ManagedEntry
from windlass.core.model.foreign import UNREADABLE

LABEL = "windlass.dev/application"

ORIGIN = "windlass.dev/origin"
APPLIED = "windlass.dev/applied"
ADOPTED = "windlass.dev/adopted"
PRUNE = "windlass.dev/prune"
RELEASE = "windlass.dev/release"
CONFLICTS = "windlass.dev/conflicts"
DRIFT = "windlass.dev/drift"
WAVE = "windlass.dev/wave"
LEAVING = "windlass.dev/leaving"
PREFIX = "windlass.dev/"

RELEASED_MANAGER = "windlass-released"
"""Holds the values that Windlass let go of, so that letting go does not reset them."""

_LABEL_MAX = 63
_MANAGER_MAX = 128

# Managers that write whole manifests. Left as they are, their entries keep fields alive that Git has removed.
# "kubectl" with Apply is `kubectl apply --server-side`; with Update it edits single fields, which are drift.
_WHOLE = frozenset(
    {
        ("kubectl-client-side-apply", "Update"),
        ("kubectl-last-applied", "Apply"),
        ("before-first-apply", "Update"),
        ("kubectl", "Apply"),
        ("helm", "Update"),
        ("helm", "Apply"),
        ("Helm", "Update"),
        ("argocd-controller", "Update"),
        ("argocd-controller", "Apply"),
        ("argocd-application-controller", "Update"),
        ("kustomize-controller", "Update"),
        ("kustomize-controller", "Apply"),
        ("helm-controller", "Update"),
        ("helm-controller", "Apply"),
        ("configsync", "Apply"),
        ("configmanagement.gke.io", "Update"),
    }
)
# Also whole manifests, but on a managed object they are somebody's hand: taken over only when an object is adopted.
_WHOLE_AT_ADOPTION = frozenset({("kubectl-create", "Update"), ("kubectl-replace", "Update")})


def label_value(namespace: str, name: str) -> str:
    """``<namespace>.<name>``; past the 63 characters of a label value its beginning and ten digits of its SHA-256.

    Namespaces hold no dot, so two Applications never share the plain form.
    """
    return _bounded(f"{namespace}.{name}", _LABEL_MAX)


def manager_name(namespace: str, name: str) -> str:
    """The field manager of an Application: ``windlass-<namespace>.<name>``, hashed past 128 characters."""
    return _bounded(f"windlass-{namespace}.{name}", _MANAGER_MAX)


def _bounded(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{text[: most - 11].rstrip('.-')}-{digest}"


def is_application_manager(manager: str) -> bool:
    """True for the field manager of some Application, ours or another."""
    return manager.startswith("windlass-") and manager != RELEASED_MANAGER


class Claim(msgspec.Struct, frozen=True):
    """An Application as owner: how it is called (``<namespace>/<name>``), its label value and its field manager."""

    application: str
    label: str
    manager: str

    @classmethod
    def of(cls, namespace: str, name: str) -> Claim:
        return cls(f"{namespace}/{name}", label_value(namespace, name), manager_name(namespace, name))


class OwnerKind(StrEnum):
    """Who has an object, in words that fit behind "belongs to"."""

    FREE = "nobody"
    OURS = "this Application"
    APPLICATION = "another Application"
    CONTROLLER = "a controller"
    HELM = "Helm"
    ARGOCD = "Argo CD"
    FLUX = "Flux"
    CONFIG_SYNC = "Config Sync"


class Ownership(msgspec.Struct, frozen=True):
    """``name`` is what tells the owner from others of its kind: an Application, a release, ``ReplicaSet/web-7d9c``."""

    kind: OwnerKind
    name: str = ""

    @override
    def __str__(self) -> str:
        match self.kind:
            case OwnerKind.FREE | OwnerKind.OURS:
                return self.kind.value
            case OwnerKind.APPLICATION:
                return f"Application {self.name}"
            case OwnerKind.CONTROLLER:
                return self.name
            case OwnerKind.HELM:
                return f"Helm release {self.name}"
            case _:
                return f"{self.kind.value} ({self.name})" if self.name else self.kind.value


class _OwnedLabel(msgspec.Struct):
    label: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="f:windlass.dev/application", default=msgspec.UNSET)


class _OwnedMeta(msgspec.Struct):
    labels: _OwnedLabel | None = msgspec.field(name="f:labels", default=None)


class _OwnedFields(msgspec.Struct):
    metadata: _OwnedMeta | None = msgspec.field(name="f:metadata", default=None)


_LABEL_BYTES = b'"f:windlass.dev/application"'
_decode_owned = msgspec.json.Decoder(_OwnedFields).decode


def owns_label(entry: ManagedEntry | None) -> bool:
    """True where the entry owns the label ``windlass.dev/application``. An entry that can't be read owns nothing."""
    if entry is None or _LABEL_BYTES not in entry.fields:
        return False
    try:
        fields = _decode_owned(entry.fields)
    except UNREADABLE:
        return False
    labels = fields.metadata.labels if fields.metadata else None
    return labels is not None and labels.label is not msgspec.UNSET


def is_ours(live: LiveObject, label: str, manager: str) -> bool:
    """Label equal, and owned by our own Apply entry, and no controller owns the object. The rule for every prune."""
    return live.labels.get(LABEL) == label and live.controller is None and owns_label(live.applied_by(manager))


def owner_of(live: LiveObject, label: str, manager: str) -> Ownership:
    """Whose the object is. What is ours stays ours, whatever marks of former owners it still carries."""
    if live.controller is not None:
        return Ownership(OwnerKind.CONTROLLER, f"{live.controller.kind}/{live.controller.name}")
    if is_ours(live, label, manager):
        return Ownership(OwnerKind.OURS)
    return _other_application(live, label) or _other_tool(live) or Ownership(OwnerKind.FREE)


def _other_application(live: LiveObject, label: str) -> Ownership | None:
    """A label of another Application counts where an Apply entry of that Application owns it; else it was copied."""
    value = live.labels.get(LABEL, "")
    if not value or value == label:
        return None
    for entry in live.managed:
        if (
            is_application_manager(entry.manager)
            and entry.operation == "Apply"
            and not entry.subresource
            and owns_label(entry)
        ):
            return Ownership(OwnerKind.APPLICATION, value.replace(".", "/", 1))
    return None


def _other_tool(live: LiveObject) -> Ownership | None:
    labels, annotations = live.labels, live.annotations
    for group in ("kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"):
        if name := labels.get(f"{group}/name"):
            return Ownership(OwnerKind.FLUX, f"{labels.get(f'{group}/namespace', '')}/{name}".lstrip("/"))
    if tracking := annotations.get("argocd.argoproj.io/tracking-id"):
        return Ownership(OwnerKind.ARGOCD, tracking.partition(":")[0])
    instance = labels.get("argocd.argoproj.io/instance") or labels.get("app.kubernetes.io/instance")
    if instance and any(entry.manager.startswith("argocd-") for entry in live.managed):
        return Ownership(OwnerKind.ARGOCD, instance)
    # Charts rendered by `helm template` carry the label too; only an installed release has the annotation.
    release = annotations.get("meta.helm.sh/release-name")
    if release and labels.get("app.kubernetes.io/managed-by") == "Helm":
        return Ownership(
            OwnerKind.HELM, f"{annotations.get('meta.helm.sh/release-namespace', '')}/{release}".lstrip("/")
        )
    config_sync = annotations.get("configsync.gke.io/resource-id") or annotations.get("configmanagement.gke.io/managed")
    if config_sync and config_sync != "disabled":
        return Ownership(OwnerKind.CONFIG_SYNC)
    return None


def takeover_managers(managed: Iterable[ManagedEntry], *, adopting: bool) -> tuple[str, ...]:
    """The managers whose entries are moved to ours before an apply, sorted."""
    wanted = _WHOLE | _WHOLE_AT_ADOPTION if adopting else _WHOLE
    names = {entry.manager for entry in managed if not entry.subresource and (entry.manager, entry.operation) in wanted}
    if adopting:
        names |= {entry.manager for entry in managed if entry.manager == RELEASED_MANAGER}
    return tuple(sorted(names))


def owns_path(entry: ManagedEntry, *path: str) -> bool:
    """True where the entry owns the field at these fieldsV1 path elements, or anything beneath it."""
    needle = f'"{path[-1]}"'.encode()
    if needle not in entry.fields:
        return False
    try:
        node: Any = msgspec.json.decode(entry.fields)
    except UNREADABLE:
        return False
    for element in path:
        if not isinstance(node, dict) or element not in node:
            return False
        node = node[element]
    return True
