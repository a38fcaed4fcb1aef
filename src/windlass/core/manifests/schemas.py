"""The shape of every kind: built-in kinds from package data, custom kinds from their CustomResourceDefinition.

Used by field sets, patches, differences, server-side apply and the devstack's OpenAPI. It knows what merging needs
(list and map types, keys, merge keys, how a typed server writes zero values) and what a client sees in OpenAPI. It
refuses to validate values: formats, enumerations and rules are the API server's admission.

The data file (made by ``make schemas``) is JSON: ``version``, ``names`` and ``types`` (definition names without
``io.k8s.``, and their nodes, by one index), ``kinds`` (``apiVersion/kind`` to index). A node is an int (a reference by
index), a text (a scalar type) or a dict: ``t`` type (o, a, s, i, n, b), ``$`` reference, ``p`` properties, ``i`` items,
``a`` additionalProperties, ``r`` required, ``f`` format, ``e`` enum, ``d`` default, ``l`` list type, ``k`` list-map
keys, ``m`` map type, ``s`` patch strategy, ``g`` patch merge key, ``x`` q quantity, i int-or-string or r raw extension,
``z`` presence where it is not the usual one.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple, final

import msgspec
from typing_extensions import override

VERSION = "1.36"
OBJECT_META = "apimachinery.pkg.apis.meta.v1.ObjectMeta"
_TYPES = {"o": "object", "a": "array", "s": "string", "i": "integer", "n": "number", "b": "boolean"}

ScalarKind = Literal["string", "numeric", "boolean", "untyped"]


class Traits(NamedTuple):
    """What a node says of itself, without its children. All texts may be empty."""

    type: str = ""
    format: str = ""
    required: tuple[str, ...] = ()
    default: Any = None
    enum: tuple[Any, ...] = ()
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    map_type: str = ""
    patch_strategy: str = ""
    patch_merge_key: str = ""
    special: str = ""
    presence: str = ""
    preserve_unknown: bool = False
    embedded: bool = False
    nullable: bool = False
    definition: str = ""


_NO_PROPERTIES: Mapping[str, Schema] = {}


@final
class Schema:
    """One node. Frozen; children are made when first asked for, so a kind that refers to itself costs nothing.

    ``type`` is ``object``, ``array``, ``string``, ``integer``, ``number``, ``boolean`` or empty (anything).
    ``additional`` is the schema of keys that ``properties`` does not name, None where such keys are not allowed.
    ``list_type`` is what merging does: ``atomic``, ``set`` or ``map`` (patch strategies of older kinds included).
    ``presence`` says how a typed server writes the field: ``p`` kept as given, ``v`` left out when zero, ``w`` written
    even when zero, ``n`` written as null when not given; empty where the schema comes from a CustomResourceDefinition.
    """

    __slots__ = (
        "_additional",
        "_items",
        "_make",
        "_properties",
        "accepts_list",
        "accepts_map",
        "accepts_scalar",
        "atomic_list",
        "atomic_map",
        "default",
        "list_keys",
        "list_type",
        "scalar",
        "traits",
        "type",
    )

    def __init__(
        self, traits: Traits, make: Callable[[], tuple[Mapping[str, Schema], Schema | None, Schema | None]]
    ) -> None:
        kind, special = traits.type, traits.special
        anything = not kind and not special
        self.traits = traits
        self.type = kind
        self.default = traits.default
        self._make: Callable[[], tuple[Mapping[str, Schema], Schema | None, Schema | None]] | None = make
        self._properties: Mapping[str, Schema] = _NO_PROPERTIES
        self._items: Schema | None = None
        self._additional: Schema | None = None
        raw = special == "raw"
        self.accepts_map = kind == "object" or anything or raw
        self.accepts_list = kind == "array" or anything or raw
        self.accepts_scalar = anything or raw or bool(special) or kind not in ("object", "array")
        self.list_type, self.list_keys = _list_relation(traits)
        self.atomic_list = self.list_type == "atomic"
        self.atomic_map = raw or traits.map_type == "atomic"
        self.scalar: ScalarKind = _scalar_kind(traits)

    def _children(self) -> None:
        make = self._make
        if make is not None:
            self._properties, self._items, self._additional = make()
            self._make = None

    @property
    def properties(self) -> Mapping[str, Schema]:
        """Named fields; empty for a free map."""
        if self._make is not None:
            self._children()
        return self._properties

    @property
    def items(self) -> Schema | None:
        """The schema of list items."""
        if self._make is not None:
            self._children()
        return self._items

    @property
    def additional(self) -> Schema | None:
        """The schema of keys that are not named, None where they are not allowed."""
        if self._make is not None:
            self._children()
        return self._additional

    def field(self, name: str) -> Schema | None:
        """The schema under ``name``: a named field, or the one of other keys, or None where it is not declared."""
        return self.properties.get(name) or self._additional

    @property
    def format(self) -> str:
        """The format, or empty."""
        return self.traits.format

    @property
    def required(self) -> tuple[str, ...]:
        """Names that must be there."""
        return self.traits.required

    @property
    def map_type(self) -> str:
        """``atomic``, ``granular`` or empty."""
        return self.traits.map_type

    @property
    def patch_strategy(self) -> str:
        """``merge``, ``replace``, ``retainKeys``, ``merge,retainKeys`` or empty."""
        return self.traits.patch_strategy

    @property
    def patch_merge_key(self) -> str:
        """The key by which a strategic merge finds list items, or empty."""
        return self.traits.patch_merge_key

    @property
    def int_or_string(self) -> bool:
        """Whether 80 and "80" are both written here."""
        return self.traits.special == "intOrString"

    @property
    def quantity(self) -> bool:
        """Whether this is a resource quantity."""
        return self.traits.special == "quantity"

    @property
    def preserve_unknown(self) -> bool:
        """Whether fields that are not declared are kept."""
        return self.traits.preserve_unknown

    @property
    def embedded(self) -> bool:
        """Whether this is an object with apiVersion, kind and metadata of its own."""
        return self.traits.embedded

    @property
    def presence(self) -> str:
        """How a typed server writes the field; see the class."""
        return self.traits.presence

    @property
    def struct(self) -> bool:
        """Whether this is a record with named fields."""
        return bool(self.properties)

    @override
    def __repr__(self) -> str:
        return f"Schema({self.traits.definition or self.type or 'anything'})"


def _list_relation(traits: Traits) -> tuple[str, tuple[str, ...]]:
    """How items are told apart when merging: the list type, else what the older patch strategy says."""
    if traits.list_type:
        return traits.list_type, traits.list_keys
    if traits.patch_strategy in ("merge", "merge,retainKeys"):
        return ("map", (traits.patch_merge_key,)) if traits.patch_merge_key else ("set", ())
    return "atomic", ()


def _scalar_kind(traits: Traits) -> ScalarKind:
    if traits.special:
        return "untyped"
    if traits.type in ("integer", "number"):
        return "numeric"
    if traits.type == "string" and traits.format in ("", "byte"):
        return "string"
    return "boolean" if traits.type == "boolean" else "untyped"


def _untyped() -> tuple[Mapping[str, Schema], Schema | None, Schema | None]:
    return _NO_PROPERTIES, UNTYPED, UNTYPED


def _deduced() -> tuple[Mapping[str, Schema], Schema | None, Schema | None]:
    return _NO_PROPERTIES, UNTYPED, DEDUCED


UNTYPED = Schema(Traits(special="raw"), _untyped)
"""Anything, as one leaf: lists and maps are replaced as a whole."""

DEDUCED = Schema(Traits(), _deduced)
"""Anything, its shape taken from the value: maps merge by key, lists are replaced. What a kind without a schema has."""


@dataclass(frozen=True, slots=True)
class Schemas:
    """The kinds of one Kubernetes version. ``Schemas.builtin()`` loads it once, in a few milliseconds."""

    version: str
    names: tuple[str, ...]
    nodes: tuple[Any, ...] = field(repr=False)
    indexes: Mapping[str, int] = field(repr=False)
    made: dict[int, Schema] = field(default_factory=dict, repr=False)

    @staticmethod
    def builtin() -> Schemas:
        """The schemas that come with the package."""
        return _load()

    def kind(self, api_version: str, kind: str) -> Schema | None:
        """The schema of a built-in kind, or None."""
        place = self.indexes.get(f"{api_version}/{kind}")
        return None if place is None else self.at(place)

    def definition(self, name: str) -> Schema:
        """A definition by its name without ``io.k8s.``, such as ``api.core.v1.PodSpec``, or KeyError."""
        try:
            return self.at(self.names.index(name))
        except ValueError:
            raise KeyError(name) from None

    def kinds(self) -> Iterator[tuple[str, str, str]]:
        """(apiVersion, kind, definition name) of all that is known."""
        for key, place in self.indexes.items():
            api_version, _, kind = key.rpartition("/")
            yield api_version, kind, self.names[place]

    def at(self, place: int) -> Schema:
        """The definition at an index of the data file."""
        schema = self.made.get(place)
        if schema is None:
            schema = self.made[place] = self._node(self.nodes[place], self.names[place])
        return schema

    def _node(self, node: Any, definition: str = "") -> Schema:
        if isinstance(node, int):
            return self.at(node)
        if isinstance(node, str):
            return _scalar(_TYPES[node])
        if "$" in node:
            return self._reference(node)
        return Schema(_traits(node, definition), lambda: self._children(node))

    def _reference(self, node: dict[str, Any]) -> Schema:
        """A reference that says something of its own: the target's children under traits laid over."""
        target = self.at(node["$"])
        own = {key: value for key, value in _traits(node, "")._asdict().items() if value}
        return Schema(
            target.traits._replace(**own),
            lambda: (target.properties, target.items, target.additional),
        )

    def _children(self, node: dict[str, Any]) -> tuple[Mapping[str, Schema], Schema | None, Schema | None]:
        if node.get("x") == "r":
            return _untyped()
        if "t" not in node and "x" not in node and "p" not in node:
            return _deduced()
        required = node.get("r", ())
        properties = {name: self._field(child, name in required) for name, child in node.get("p", {}).items()}
        items = self._node(node["i"]) if "i" in node else (UNTYPED if node.get("t") == "a" else None)
        additional = self._node(node["a"]) if "a" in node else None
        if additional is None and not properties and node.get("t") == "o":
            additional = DEDUCED
        return properties, items, additional

    def _field(self, child: Any, required: bool) -> Schema:
        """A named field: its node, with its presence filled in."""
        schema = self._node(child)
        marked = child.get("z") if isinstance(child, dict) else None
        held = self._is_struct(child) or bool(schema.traits.special) or schema.format == "date-time"
        return _present(schema, marked or ("w" if required else "p" if held else "v"))

    def _is_struct(self, node: Any) -> bool:
        """Whether a node is a record, without opening it: a schema of schemas holds itself."""
        while True:
            if isinstance(node, dict) and "$" in node:
                node = node["$"]
            elif isinstance(node, int):
                node = self.nodes[node]
            else:
                return isinstance(node, dict) and bool(node.get("p"))


def _present(schema: Schema, presence: str) -> Schema:
    if schema.traits.presence == presence:
        return schema
    if not schema.traits.special and schema.type in ("string", "integer", "number", "boolean"):
        return _scalar(schema.type, schema.format, schema.default, presence, schema.traits.enum)
    return Schema(
        schema.traits._replace(presence=presence),
        lambda: (schema.properties, schema.items, schema.additional),
    )


@cache
def _scalar(kind: str, form: str = "", default: Any = None, presence: str = "", enum: tuple[Any, ...] = ()) -> Schema:
    traits = Traits(type=kind, format=form, default=default, presence=presence, enum=enum)
    return Schema(traits, lambda: (_NO_PROPERTIES, None, None))


_SPECIAL = {"q": "quantity", "i": "intOrString", "r": "raw"}


def _traits(node: dict[str, Any], definition: str) -> Traits:
    return Traits(
        type=_TYPES.get(node.get("t", ""), ""),
        format=node.get("f", ""),
        required=tuple(node.get("r", ())),
        default=node.get("d"),
        enum=tuple(node.get("e", ())),
        list_type=node.get("l", ""),
        list_keys=tuple(node.get("k", ())),
        map_type=node.get("m", ""),
        patch_strategy=node.get("s", ""),
        patch_merge_key=node.get("g", ""),
        special=_SPECIAL.get(node.get("x", ""), ""),
        presence=node.get("z", ""),
        definition=definition,
    )


@cache
def _load() -> Schemas:
    packed = (resources.files(__package__) / "data" / f"kubernetes-{VERSION}.json.gz").read_bytes()
    data = msgspec.json.decode(gzip.decompress(packed))
    return Schemas(data["version"], tuple(data["names"]), tuple(data["types"]), data["kinds"])


def schema_from_crd(open_api: Mapping[str, Any]) -> Schema:
    """The schema of a custom kind from its ``openAPIV3Schema``; apiVersion, kind and metadata are added."""
    return _custom(open_api, keep=False, root=True)


def _custom(node: Mapping[str, Any], *, keep: bool, root: bool = False) -> Schema:
    """``keep`` is inherited: under a node that keeps unknown fields, everything does."""
    keep = keep or node.get("x-kubernetes-preserve-unknown-fields") is True
    int_or_string = node.get("x-kubernetes-int-or-string") is True
    embedded = node.get("x-kubernetes-embedded-resource") is True
    kind = "object" if root else str(node.get("type", ""))
    traits = Traits(
        type="" if int_or_string else kind,
        format=str(node.get("format", "")),
        required=tuple(node.get("required", ())),
        default=node.get("default"),
        enum=tuple(each for each in node.get("enum", ()) if isinstance(each, str | int | float | bool)),
        list_type=str(node.get("x-kubernetes-list-type", "")),
        list_keys=tuple(node.get("x-kubernetes-list-map-keys", ())),
        map_type=str(node.get("x-kubernetes-map-type", "")),
        special="intOrString" if int_or_string else "",
        preserve_unknown=keep,
        embedded=embedded,
        nullable=node.get("nullable") is True,
    )

    def children() -> tuple[Mapping[str, Schema], Schema | None, Schema | None]:
        if int_or_string:
            return _NO_PROPERTIES, None, None
        properties = {name: _custom(child, keep=keep) for name, child in (node.get("properties") or {}).items()}
        if root or embedded:
            properties["apiVersion"] = properties["kind"] = _scalar("string")
            properties["metadata"] = Schemas.builtin().definition(OBJECT_META)
        items = _custom(node["items"], keep=keep) if isinstance(node.get("items"), Mapping) else UNTYPED
        return properties, items, _custom_additional(node, keep=keep, named=bool(properties))

    return Schema(traits, children)


def _custom_additional(node: Mapping[str, Any], *, keep: bool, named: bool) -> Schema | None:
    additional = node.get("additionalProperties")
    if isinstance(additional, Mapping):
        return _custom(additional, keep=keep)
    if additional is True or (additional is None and (keep or not named)):
        return DEDUCED
    return None
