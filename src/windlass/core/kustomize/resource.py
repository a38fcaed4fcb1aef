"""One object on its way through a build: its tree, where it came from, and what was done to it.

Used by every transformer. What the original remembers of an object (former names, prefixes, whether its name gets a
hash) it keeps in annotations, and patches and selectors see them there; so they are kept there here too, and taken out
at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from windlass.core.kustomize.errors import KustomizeError
from windlass.core.kustomize.ids import CLUSTER_SCOPED, Gvk, Id, gvk_of
from windlass.core.kustomize.nodes import (
    DoubledKey,
    Node,
    Scalar,
    copy,
    is_empty,
    is_null,
    key,
    kind_of,
    set_field,
    string,
    text_of,
    untagged,
)
from windlass.errors import Where

INTERNAL: Final = "internal.config.kubernetes.io/"
PREVIOUS_KINDS: Final = INTERNAL + "previousKinds"
PREVIOUS_NAMES: Final = INTERNAL + "previousNames"
PREVIOUS_NAMESPACES: Final = INTERNAL + "previousNamespaces"
PREFIXES: Final = INTERNAL + "prefixes"
SUFFIXES: Final = INTERNAL + "suffixes"
REFERRED_BY: Final = INTERNAL + "refBy"
BEHAVIOR: Final = INTERNAL + "generatorBehavior"
NEEDS_HASH: Final = INTERNAL + "needsHashSuffix"
ALLOW_NAME_CHANGE: Final = INTERNAL + "allowNameChange"
ALLOW_KIND_CHANGE: Final = INTERNAL + "allowKindChange"
ORIGIN: Final = "config.kubernetes.io/origin"
TRANSFORMATIONS: Final = "alpha.config.kubernetes.io/transformations"
LOCAL: Final = "config.kubernetes.io/local-config"
HELM_GENERATED: Final = INTERNAL + "helm-generated"
ENABLED: Final = "enabled"
_LEGACY = ("config.kubernetes.io/path", "config.kubernetes.io/index", "config.k8s.io/id")
BUILD_ANNOTATIONS: Final = (
    PREVIOUS_KINDS,
    PREVIOUS_NAMES,
    PREFIXES,
    SUFFIXES,
    PREVIOUS_NAMESPACES,
    ALLOW_NAME_CHANGE,
    ALLOW_KIND_CHANGE,
    REFERRED_BY,
    BEHAVIOR,
    NEEDS_HASH,
    INTERNAL + "path",
    INTERNAL + "index",
    INTERNAL + "seqindent",
    INTERNAL + "id",
    INTERNAL + "annotations-migration-resource-id",
    *_LEGACY,
    HELM_GENERATED,
)


@dataclass(frozen=True, slots=True)
class Change:
    """What touched an object: the kustomization and its field, such as ``patches[0]``."""

    file: str
    field: str


@dataclass(slots=True)
class Resource:
    """``content`` is the tree, None once a patch deleted it. ``file`` and ``line`` are where it was written."""

    content: dict[str, Node] | None
    file: str = ""
    line: int = 0
    variables: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def copy(self) -> Resource:
        """An object of its own."""
        return Resource(copy(self.content), self.file, self.line, list(self.variables), list(self.changes))

    @property
    def tree(self) -> dict[str, Node]:
        """The tree; empty where there is none."""
        return {} if self.content is None else self.content

    @property
    def where(self) -> Where:
        """Where it was written."""
        return Where(file=self.file, line=self.line)

    @property
    def gone(self) -> bool:
        """Whether nothing is left of it."""
        return not self.content

    @property
    def kind(self) -> str:
        """The kind, or empty."""
        return text_of(self.tree.get("kind"))

    @property
    def api_version(self) -> str:
        """The apiVersion, or empty."""
        return text_of(self.tree.get("apiVersion"))

    @property
    def gvk(self) -> Gvk:
        """Group, version and kind."""
        return gvk_of(self.api_version, self.kind)

    @property
    def name(self) -> str:
        """The name, or empty."""
        return self._meta_text("name")

    @property
    def namespace(self) -> str:
        """The namespace, or empty."""
        return self._meta_text("namespace")

    def _meta_text(self, name: str) -> str:
        meta = self.tree.get("metadata")
        value = meta.get(name) if meta.__class__ is dict else None
        return "" if is_null(value) else text_of(value)

    @property
    def id(self) -> Id:
        """What it is called now."""
        api_version, kind = self.api_version, self.kind
        cluster_scoped = (api_version, kind) in CLUSTER_SCOPED
        return Id.of(gvk_of(api_version, kind), self.name, self.namespace, cluster_scoped=cluster_scoped)

    @property
    def previous_ids(self) -> list[Id]:
        """What it was called before, the oldest first."""
        found = self.annotations()
        if PREVIOUS_NAMES not in found:
            return []
        names = found[PREVIOUS_NAMES].split(",")
        namespaces = found.get(PREVIOUS_NAMESPACES, "").split(",")
        kinds = found.get(PREVIOUS_KINDS, "").split(",")
        if not len(names) == len(namespaces) == len(kinds):
            raise KustomizeError(
                "its annotations of former names do not fit each other",
                where=self.where,
                hint=f"take the annotations {INTERNAL}... out: they are kustomize's own",
            )
        group, version, _ = self.gvk
        return [
            Id.of(Gvk(group, version, kind), name, namespace)
            for name, namespace, kind in zip(names, namespaces, kinds, strict=True)
        ]

    @property
    def original_id(self) -> Id:
        """What it was called in its file."""
        previous = self.previous_ids
        return previous[0] if previous else self.id

    def ids(self) -> list[Id]:
        """Now first, then the former ones: what selects a replacement's objects. No kind counts as without
        namespace."""
        return [Id.of(self.gvk, self.name, self.namespace), *self.previous_ids]

    def store_previous_id(self) -> None:
        """Remember what it is called now."""
        now = self.id
        self.append_csv(PREVIOUS_NAMES, now.name)
        self.append_csv(PREVIOUS_NAMESPACES, now.scope)
        self.append_csv(PREVIOUS_KINDS, now.gvk.kind)

    def annotations(self) -> dict[str, str]:
        """Annotations as text, whatever they are written as."""
        return self._meta_map("annotations")

    def labels(self) -> dict[str, str]:
        """Labels as text, whatever they are written as."""
        return self._meta_map("labels")

    def _meta_map(self, name: str) -> dict[str, str]:
        meta = self.tree.get("metadata")
        found = meta.get(name) if meta.__class__ is dict else None
        if found.__class__ is not dict:
            return {}
        return {
            (each.name if each.__class__ is DoubledKey else str(each)): text_of(value) for each, value in found.items()
        }

    def metadata(self) -> dict[str, Node]:
        """The metadata, made where there is none."""
        tree = self.tree
        meta = tree.get("metadata")
        if is_null(meta):
            meta = tree["metadata"] = {}
        if meta.__class__ is not dict:
            raise KustomizeError(f"metadata is {kind_of(meta)}", where=self.where, hint="write a mapping")
        found: dict[str, Node] = meta
        return found

    def set_annotations(self, values: Mapping[str, str]) -> None:
        """All annotations anew, each as text."""
        self._set_meta_map("annotations", values)

    def set_labels(self, values: Mapping[str, str]) -> None:
        """All labels anew, each as text."""
        self._set_meta_map("labels", values)

    def _set_meta_map(self, name: str, values: Mapping[str, str]) -> None:
        meta = self.metadata()
        meta.pop(name, None)
        if values:
            made: dict[str, Node] = {}
            for each in sorted(values):
                set_field(made, key(each), string(values[each]))
            meta[name] = made

    def append_csv(self, name: str, value: str) -> None:
        """One more word at the end of an annotation. Nothing where the word is empty."""
        if not value:
            return
        meta = self.metadata()
        found = meta.get("annotations")
        if not found or found.__class__ is Scalar:
            found = meta["annotations"] = {}
        if found.__class__ is not dict:
            raise KustomizeError(f"its annotations are {kind_of(found)}", where=self.where, hint="write a mapping")
        current = found.get(name)
        set_field(found, name, string(value if current is None else f"{text_of(current)},{value}"))

    def csv(self, name: str) -> list[str]:
        """The words of an annotation."""
        found = self.annotations()
        return found[name].split(",") if name in found else []

    def enable(self, name: str) -> None:
        """Set a mark of kustomize's own."""
        self.set_annotations({**self.annotations(), name: ENABLED})

    def enabled(self, name: str) -> bool:
        """Whether a mark of kustomize's own is set."""
        return self.annotations().get(name) == ENABLED

    def set_name(self, name: str) -> None:
        """Another name, written as the old one was."""
        set_field(self.metadata(), "name", untagged(name))

    def set_namespace(self, namespace: str) -> None:
        """Another namespace; none where it is empty."""
        if namespace:
            set_field(self.metadata(), "namespace", untagged(namespace))
        else:
            meta = self.tree.get("metadata")
            if meta.__class__ is dict:
                meta.pop("namespace", None)

    def set_kind(self, kind: str) -> None:
        """Another kind."""
        set_field(self.tree, "kind", untagged(kind))

    def set_api_version(self, api_version: str) -> None:
        """Another apiVersion."""
        set_field(self.tree, "apiVersion", untagged(api_version))

    def touched(self, change: Change | None) -> None:
        """Remember, for ``--explain``, what changed it."""
        if change is not None and (not self.changes or self.changes[-1] != change):
            self.changes.append(change)

    def copy_metadata_of(self, other: Resource) -> None:
        """Take over the names of ``other``, and its labels and annotations where there are none of this name here."""
        self.set_labels({**other.labels(), **self.labels()})
        own, theirs = self.annotations(), other.annotations()
        merged = {**theirs, **own}
        for name in BUILD_ANNOTATIONS:
            if name in theirs:
                merged[name] = theirs[name]
            else:
                merged.pop(name, None)
        if NEEDS_HASH not in own:
            merged.pop(NEEDS_HASH, None)
        self.set_annotations(merged)
        self.set_name(other.name)
        self.set_namespace(other.namespace)
        self.variables = list(other.variables)

    def internal_annotations(self) -> dict[str, str]:
        """What kustomize remembers, which a JSON patch must not lose."""
        return {
            name: value for name, value in self.annotations().items() if name.startswith(INTERNAL) or name in _LEGACY
        }

    def data_map(self, name: str) -> dict[str, str]:
        """``data`` or ``binaryData`` as text."""
        found = self.tree.get(name)
        if found.__class__ is not dict:
            return {}
        return {str(each): "" if is_null(value) else text_of(value) for each, value in found.items()}


def check_object(content: Node, where: Where) -> None:
    """What a document must have to be an object: a kind, and (but for lists) a name."""
    if content.__class__ is not dict:
        raise KustomizeError(f"this is {kind_of(content)}, not an object", where=where, hint="write kind and metadata")
    kind = text_of(content.get("kind"))
    if is_null(content.get("kind")) or not kind:
        raise KustomizeError("the object has no kind", where=where, hint="write apiVersion, kind and metadata.name")
    if kind.endswith("List"):
        return
    meta = content.get("metadata")
    name = meta.get("name") if meta.__class__ is dict else None
    if is_empty(name) or not text_of(name):
        raise KustomizeError(f"the {kind} has no name", where=where, hint="write metadata.name")
