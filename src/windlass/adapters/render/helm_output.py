"""What Helm makes of rendered templates: which are manifests, which are hooks, in which order they go to the cluster.

Pure functions over texts, by the rules of ``helm template``: partials, notes and empty files are left out, files are
split into documents, documents with ``helm.sh/hook`` are told apart, the rest is ordered by kind; CRDs come first and
are never templates. Called by ``helm``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from windlass.core.documents import DocumentError, read

HOOK = "helm.sh/hook"
_EVENTS = frozenset(
    {
        "pre-install",
        "post-install",
        "pre-delete",
        "post-delete",
        "pre-upgrade",
        "post-upgrade",
        "pre-rollback",
        "post-rollback",
        "test",
        "test-success",
    }
)
_ORDER = (
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
)
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}
_SEPARATOR = re.compile("^---[ \t]*", re.MULTILINE)
_KIND = re.compile(r"^kind:[ \t]*[\"']?([A-Za-z]+)", re.MULTILINE)


class Piece(NamedTuple):
    """One document: the template (or CRD file) that made it, its text, its kind, and its hook, "" for none."""

    file: str
    text: str
    kind: str
    hook: str = ""


@dataclass(slots=True)
class Output:
    """All of a chart. ``skipped`` are documents with a hook that Helm does not know: Helm leaves them out, too."""

    crds: list[Piece] = field(default_factory=list)
    manifests: list[Piece] = field(default_factory=list)
    hooks: list[Piece] = field(default_factory=list)
    skipped: list[Piece] = field(default_factory=list)

    @property
    def tests(self) -> list[Piece]:
        """The hooks that are only tests."""
        return [one for one in self.hooks if events(one.hook) <= {"test", "test-success"}]

    def text(self, *, hooks: bool = True) -> str:
        """As ``helm template --include-crds`` prints it (``--no-hooks`` where hooks are not wanted)."""
        told = [f"---\n# Source: {one.file}\n{one.text}\n" for one in (*self.crds, *self.manifests)]
        made = "".join(told).strip() + "\n"
        more = self.hooks if hooks else ()
        return made + "".join(f"---\n# Source: {one.file}\n{one.text}\n" for one in more)


def events(hook: str) -> set[str]:
    """The events that a hook names."""
    return {word.strip().lower() for word in hook.split(",")}


def arranged(files: Mapping[str, str], crds: Iterable[tuple[str, str]] = ()) -> Output:
    """Sorts what the templates made. Raises DocumentError where one of them is no YAML."""
    made = Output([Piece(file, text, "CustomResourceDefinition") for file, text in crds])
    for file in sorted(files):
        name = file.rpartition("/")[2]
        if name.startswith("_") or file.endswith("NOTES.txt"):
            continue
        for text in split(files[file]):
            _take(Piece(file, text, ""), made)
    made.manifests.sort(key=_rank)
    made.hooks.sort(key=_rank)
    return made


def split(text: str) -> list[str]:
    """The documents of a text, by the line of dashes alone, as Helm splits them."""
    return [one.lstrip() for one in _SEPARATOR.split(text.lstrip()) if one.strip()]


def _rank(piece: Piece) -> tuple[int, int, str]:
    rank = _RANK.get(piece.kind)
    return (0, rank, "") if rank is not None else (1, 0, piece.kind)


def _take(piece: Piece, made: Output) -> None:
    kind, hook = _head(piece)
    piece = piece._replace(kind=kind, hook=hook or "")
    if hook is None:
        made.manifests.append(piece)
    elif hook and events(hook) <= _EVENTS:
        made.hooks.append(piece)
    else:
        made.skipped.append(piece)


def _head(piece: Piece) -> tuple[str, str | None]:
    """Kind and hook, None for none; an empty one is a hook that Helm does not know. Only a text with the word is read
    for the annotation: most are never parsed here."""
    if HOOK not in piece.text:
        found = _KIND.search(piece.text)
        return (found[1] if found is not None else ""), None
    value = _value(piece)
    if not isinstance(value, dict):
        return "", None
    metadata = value.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    hook = annotations.get(HOOK) if isinstance(annotations, dict) else None
    return str(value.get("kind") or ""), hook if isinstance(hook, str) else None


def _value(piece: Piece) -> Any:
    documents: Sequence[Any] = read(piece.text.encode(), piece.file)
    return documents[0].value if documents else None


__all__ = ["HOOK", "DocumentError", "Output", "Piece", "arranged", "events", "split"]
