"""References by name: where an object names another whose name has changed, the new name is written.

Run once, at the end of a build, when all names are final. Which fields name which kinds is in the configuration. Only
objects whose name was changed at all are looked for, by any of their former names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from windlass.core.kustomize.collection import Collection
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.fieldspecs import FieldSpec, apply
from windlass.core.kustomize.ids import Gvk, Id
from windlass.core.kustomize.nodes import Node, Scalar, is_null, kind_of, set_field, set_scalar, text_of, untagged
from windlass.core.kustomize.resource import PREFIXES, SUFFIXES, Resource


class _Candidate:
    """An object that may be named, with what is asked of it many times."""

    __slots__ = ("former", "id", "kind", "name", "names", "namespace", "original", "prefixes", "resource", "suffixes")

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.id = resource.id
        self.former = resource.previous_ids
        self.original = self.former[0] if self.former else self.id
        self.names = {identity.name for identity in self.former}
        self.name = resource.name
        self.namespace = resource.namespace
        self.kind = resource.kind
        self.prefixes = resource.csv(PREFIXES)
        self.suffixes = resource.csv(SUFFIXES)

    def was(self, gvk: Gvk) -> bool:
        return any(identity.gvk.selected_by(gvk) for identity in self.former)


def fix_references(collection: Collection, references: Mapping[Gvk, Sequence[FieldSpec]]) -> None:
    """Write the present names of what objects refer to."""
    everything = [_Candidate(resource) for resource in collection]
    by_name: dict[str, list[_Candidate]] = {}
    for candidate in everything:
        for name in candidate.names:
            by_name.setdefault(name, []).append(candidate)
    by_kind: dict[str, list[tuple[Gvk, FieldSpec]]] = {}
    for gvk, specs in references.items():
        for spec in specs:
            by_kind.setdefault(spec.gvk.kind, []).append((gvk, spec))
    for referrer in everything:
        allowed = _namespaces_of_subjects(referrer)
        pairs = [*by_kind.get(referrer.original.gvk.kind, ()), *by_kind.get("", ())]
        if len(by_kind.get("", ())):
            order = {id(spec): place for place, spec in enumerate(s for specs in references.values() for s in specs)}
            pairs.sort(key=lambda pair: order[id(pair[1])])
        for gvk, spec in pairs:
            if referrer.original.gvk.selected_by(spec.gvk):
                fixer = _Fixer(referrer, gvk, spec, _Known(everything, by_name, allowed))
                apply(referrer.resource, spec._replace(gvk=Gvk()), fixer.set)


def _namespaces_of_subjects(referrer: _Candidate) -> frozenset[str]:
    """A RoleBinding may name the service accounts of other namespaces."""
    subjects = referrer.resource.tree.get("subjects") if referrer.kind == "RoleBinding" else None
    if subjects.__class__ is not list:
        return frozenset()
    out = set()
    for subject in subjects:
        if subject.__class__ is not dict:
            raise KustomizeError(f"a subject is {kind_of(subject)}", where=referrer.resource.where)
        if "namespace" in subject and text_of(subject.get("kind")) == "ServiceAccount":
            namespace = subject["namespace"]
            if namespace.__class__ is not Scalar or namespace.tag == "null":
                raise KustomizeError(
                    "the namespace of a subject is empty",
                    where=referrer.resource.where,
                    hint="write it, or leave it out",
                )
            out.add(namespace.text)
    return frozenset(out)


class _Known(NamedTuple):
    everything: Sequence[_Candidate]
    by_name: Mapping[str, list[_Candidate]]
    subject_namespaces: frozenset[str]


class _Fixer:
    """One field of one object."""

    def __init__(
        self,
        referrer: _Candidate,
        target: Gvk,
        spec: FieldSpec,
        known: _Known,
    ) -> None:
        self.referrer = referrer
        self.target = target
        self.spec = spec
        self.everything, self.by_name, self.subject_namespaces = known

    def set(self, node: Node) -> None:
        """Write the present name into a name, a mapping with a name, or a list of them."""
        if is_null(node):
            return
        if node.__class__ is list:
            for item in node:
                if item.__class__ is list:
                    raise KustomizeError("a list in a list can't name an object")
                if not is_null(item):
                    self._one(item)
        else:
            self._one(node)

    def _one(self, node: Node) -> None:
        if node.__class__ is Scalar:
            found = self._choose(node.text, lambda _: True, lambda one: one.name)
            if found is not None and found.name != node.text:
                set_scalar(node, untagged(found.name))
            return
        name = node.get("name")
        if name is None:
            raise KustomizeError("a mapping without a name can't name an object")
        old = text_of(name)
        namespace = node.get("namespace")
        found = self._choose(old, self._in_namespace(namespace), lambda one: (one.name, one.namespace))
        if found is None or (found.name == old and not found.namespace):
            return
        set_field(node, "name", untagged(found.name))
        if found.namespace:
            set_field(node, "namespace", untagged(found.namespace))

    def _in_namespace(self, namespace: Node) -> Callable[[_Candidate], bool]:
        """Objects of the namespace that is said: by their first one, and where none has it, by the present one."""
        if namespace is None:
            return lambda _: True
        wanted = text_of(namespace)
        if any(one.original.scope == wanted and self._possible(one) for one in self.everything):
            return lambda one: one.original.scope == wanted
        return lambda one: one.id.scope == wanted

    def _possible(self, candidate: _Candidate) -> bool:
        """Whether the referrer can name this object at all."""
        mine = self.referrer.id
        return (
            mine.cluster_scoped
            or candidate.id.cluster_scoped
            or candidate.id.scope == mine.scope
            or candidate.namespace in self.subject_namespaces
        )

    def _choose(
        self, old: str, wanted: Callable[[_Candidate], bool], same: Callable[[_Candidate], object]
    ) -> _Candidate | None:
        found = [
            one for one in self.by_name.get(old, ()) if self._possible(one) and wanted(one) and one.was(self.target)
        ]
        if not found:
            return None
        role = self._role()
        if role is not None:
            found = [one for one in found if one.was(role)]
        found = [one for one in found if self._in_reach(one)]
        if len(found) == 1:
            return found[0]
        found = [one for one in found if self._alike(one, or_empty=True)]
        if len(found) > 1:
            found = [one for one in found if self._alike(one, or_empty=False)]
        if not found:
            return None
        if len({same(one) for one in found}) > 1:
            raise KustomizeError(
                f"{shown(old, 60)} may mean " + " or ".join(one.id.words() for one in found[:4]),
                hint="give them different names in their own files",
            )
        return found[0]

    def _role(self) -> Gvk | None:
        if not self.spec.path.endswith("roleRef/name"):
            return None
        role = self.referrer.resource.tree.get("roleRef")
        if role.__class__ is not dict or "apiGroup" not in role or "kind" not in role:
            return None
        return Gvk(text_of(role["apiGroup"]), "", text_of(role["kind"]))

    def _in_reach(self, one: _Candidate) -> bool:
        mine: Id = self.referrer.id
        return (
            mine.cluster_scoped or one.id.cluster_scoped or one.kind == "ServiceAccount" or mine.scope == one.id.scope
        )

    def _alike(self, one: _Candidate, *, or_empty: bool) -> bool:
        mine = self.referrer
        return _ends_alike(one.prefixes, mine.prefixes, or_empty) and _ends_alike(one.suffixes, mine.suffixes, or_empty)


def _ends_alike(one: list[str], two: list[str], or_empty: bool) -> bool:
    if not one or not two:
        return or_empty or one == two
    length = min(len(one), len(two))
    return one[-length:] == two[-length:]
