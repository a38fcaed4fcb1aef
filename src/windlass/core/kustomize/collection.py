"""The objects of a build in order, no two of one identity; and the selectors that pick from them.

Used by everything that changes objects. Adding refuses an identity that is there already; absorbing generated objects
merges or replaces by what their generator says.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import re2

from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.ids import Gvk, Id
from windlass.core.kustomize.kustomization import Selector
from windlass.core.kustomize.nodes import Node, Scalar, data_string, is_null, key, set_field, text_of
from windlass.core.kustomize.resource import BEHAVIOR, ORIGIN, PREVIOUS_NAMES, Resource
from windlass.core.manifests.selectors import LabelSelector, SelectorError

_MOST_OBJECTS = 100_000
_REGEX = re2.Options()
_REGEX.log_errors = False
_REGEX.max_mem = 1 << 20


class Collection:
    """Objects in the order in which they were loaded."""

    __slots__ = ("_by_name", "_items", "_known")

    def __init__(self) -> None:
        self._items: list[Resource] = []
        self._known: dict[Any, Resource] | None = {}
        self._by_name: dict[str, list[Resource]] | None = {}

    @property
    def items(self) -> list[Resource]:
        """The objects; not to be changed in place."""
        return self._items

    @items.setter
    def items(self, items: list[Resource]) -> None:
        self._items = items
        self.renamed()

    def renamed(self) -> None:
        """Names may have changed: what was known of them is forgotten."""
        self._known = self._by_name = None

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def add(self, resources: Iterable[Resource]) -> None:
        """Append each. Raises ``KustomizeError`` where an identity is there already."""
        if self._known is None:
            self._known = {resource.id.key: resource for resource in self._items}
        seen = self._known
        for resource in resources:
            identity = resource.id
            if (first := seen.get(identity.key)) is not None:
                raise KustomizeError(
                    f"{identity.words()} is there twice{_first(first)}",
                    where=resource.where,
                    hint="take one of the two out, or give it another name or namespace",
                )
            if len(seen) >= _MOST_OBJECTS:
                raise KustomizeError(f"there are more than {_MOST_OBJECTS:,} objects", where=resource.where)
            seen[identity.key] = resource
            self._items.append(resource)
            if self._by_name is not None:
                self._file_under_names(resource, self._by_name)

    def drop_empty(self) -> None:
        """Forget what patches deleted."""
        if any(resource.gone for resource in self.items):
            self.items = [resource for resource in self.items if not resource.gone]

    def by_any_id(self, name: str, wanted: Callable[[Id], bool]) -> list[Resource]:
        """Objects of which the present or a former identity is wanted; all that are have this name."""
        if self._by_name is None:
            self._by_name = {}
            for resource in self._items:
                self._file_under_names(resource, self._by_name)
        return [
            resource
            for resource in self._by_name.get(name, ())
            if not resource.gone and any(wanted(each) for each in (*resource.previous_ids, resource.id))
        ]

    @staticmethod
    def _file_under_names(resource: Resource, by_name: dict[str, list[Resource]]) -> None:
        for name in {resource.name, *resource.csv(PREVIOUS_NAMES)}:
            by_name.setdefault(name, []).append(resource)

    def one_by_id(self, identity: Id) -> Resource:
        """The one object that is or was called so. Raises ``KustomizeError`` where there is none, or several."""
        found = self.by_any_id(identity.name, identity.same)
        if len(found) == 1:
            return found[0]
        if found:
            raise KustomizeError(
                f"{len(found)} objects are or were called {identity.words()}",
                hint="say with a target which one is meant",
            )
        raise KustomizeError(
            f"there is no {identity.gvk.api_version} {identity.words()} among the resources",
            hint="check apiVersion, kind, name and namespace: they are those of the object's own file",
        )

    def absorb(self, resources: Iterable[Resource]) -> None:
        """Take in what a generator made: new, or merged into or put over what is there."""
        for resource in resources:
            self._absorb(resource)

    def _absorb(self, resource: Resource) -> None:
        identity = resource.id
        found = self.by_any_id(identity.name, identity.same)
        behavior = resource.annotations().get(BEHAVIOR, "")
        if not found:
            if behavior in ("merge", "replace"):
                raise KustomizeError(
                    f"there is no {identity.words()} to {behavior}",
                    hint="the name is that of the generator in the base; or write behavior: create",
                )
            self.add([resource])
            return
        if len(found) > 1:
            raise KustomizeError(f"{len(found)} objects could be the {identity.words()} that is meant")
        old = found[0]
        if behavior not in ("merge", "replace"):
            raise KustomizeError(
                f"{identity.words()} is there already{_first(old)}",
                hint="write behavior: merge or behavior: replace, or another name",
            )
        place = self.items.index(old)
        if behavior == "merge":
            self._merge(resource, old)
        else:
            resource.copy_metadata_of(old)
        now = resource.id
        places = [at for at, each in enumerate(self.items) if each.id.same(now)]
        if places != [place]:
            raise KustomizeError(f"{now.words()} can't take the place of {identity.words()}")
        resource.changes = [*old.changes, *resource.changes]
        if not resource.file:
            resource.file, resource.line = old.file, old.line
        self._items[place] = resource
        self.renamed()

    @staticmethod
    def _merge(resource: Resource, old: Resource) -> None:
        origin = old.annotations().get(ORIGIN)
        data = old.data_map("data")
        if resource.api_version == "v1" and resource.kind == "Secret":
            data = {**data, **_encoded(old)}
        resource.copy_metadata_of(old)
        _set_data(resource, "data", {**data, **resource.data_map("data")})
        _set_data(resource, "binaryData", {**old.data_map("binaryData"), **resource.data_map("binaryData")})
        if origin is not None:
            resource.set_annotations({**resource.annotations(), ORIGIN: origin})

    def select(self, selector: Selector) -> list[Resource]:
        """The objects that a patch or plugin targets. Raises ``KustomizeError`` for what can't be read."""
        matcher = Matcher(selector)
        return [resource for resource in self.items if matcher.selects(resource)]


def _first(resource: Resource) -> str:
    place = str(resource.where)
    return f"; the first is in {place}" if place else ""


def _encoded(old: Resource) -> dict[str, str]:
    found = old.tree.get("stringData")
    if is_null(found):
        return {}
    if found.__class__ is not dict or any(value.__class__ is not Scalar for value in found.values()):
        raise KustomizeError("stringData holds something that is no text", where=old.where)
    return {
        str(name): base64_lines(("" if is_null(value) else text_of(value)).encode()) for name, value in found.items()
    }


def base64_lines(data: bytes) -> str:
    """Base64 as the original writes it: in lines of 70 where one is not enough."""
    text = base64.b64encode(data).decode()
    if len(text) < 70:
        return text
    return "".join(f"{text[at : at + 70]}\n" for at in range(0, len(text), 70))


def _set_data(resource: Resource, name: str, values: dict[str, str]) -> None:
    """A map of data anew, as the original's generator writes it."""
    resource.tree.pop(name, None)
    if values:
        made: dict[str, Node] = {}
        for each in sorted(values):
            set_field(made, key(each), data_string(values[each]))
        resource.tree[name] = made


@lru_cache(1024)
def regex(pattern: str) -> Any:
    """A pattern of RE2. Raises ``KustomizeError`` where it is none."""
    try:
        return re2.compile(pattern, _REGEX)
    except re2.error as error:
        why = error.args[0] if error.args else b""
        told = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        raise KustomizeError(
            f"{shown(pattern, 80)} is no regular expression: {shown(told, 80)}",
            hint="the syntax is RE2's, as in Go",
        ) from None


def _anchored(pattern: str) -> Any:
    return regex(f"^(?:{pattern})$") if pattern else None


def _fits(pattern: Any, text: str) -> bool:
    return pattern is None or pattern.search(text) is not None


class Matcher:
    """A selector made ready: every part anchored, an empty one fitting all."""

    __slots__ = ("annotations", "empty", "group", "kind", "labels", "name", "namespace", "version")

    def __init__(self, selector: Selector) -> None:
        self.group = _anchored(selector.group)
        self.version = _anchored(selector.version)
        self.kind = _anchored(selector.kind)
        self.name = _anchored(selector.name)
        self.namespace = _anchored(selector.namespace)
        self.labels = selector.label_selector
        self.annotations = selector.annotation_selector
        self.empty = not (selector.group or selector.version or selector.kind or selector.name or selector.namespace)

    def fits_gvk(self, gvk: Gvk) -> bool:
        """Whether group, version and kind fit."""
        return _fits(self.group, gvk.group) and _fits(self.version, gvk.version) and _fits(self.kind, gvk.kind)

    def fits(self, identity: Id) -> bool:
        """Whether all parts of an identity fit."""
        return (
            self.fits_gvk(identity.gvk)
            and _fits(self.name, identity.name)
            and _fits(self.namespace, identity.namespace)
        )

    def selects(self, resource: Resource) -> bool:
        """Whether an object fits, by its first or its present name and namespace."""
        now = resource.id
        first = resource.original_id
        return (
            (_fits(self.namespace, first.scope) or _fits(self.namespace, now.scope))
            and (_fits(self.name, first.name) or _fits(self.name, now.name))
            and self.fits_gvk(now.gvk)
            and self.fits_words(resource)
        )

    def fits_words(self, resource: Resource) -> bool:
        """Whether labels and annotations fit."""
        return _selects(self.labels, resource.labels) and _selects(self.annotations, resource.annotations)


@lru_cache(256)
def _parsed(selector: str) -> LabelSelector:
    return LabelSelector.parse(selector)


def _selects(selector: str, values: Callable[[], dict[str, str]]) -> bool:
    if not selector:
        return True
    try:
        return _parsed(selector).matches(values())
    except SelectorError as error:
        raise KustomizeError(
            f"{shown(selector, 80)} is no selector: {shown(str(error), 120)}",
            hint="write it as for kubectl -l: app=shop,tier in (web, api), !canary",
        ) from None
