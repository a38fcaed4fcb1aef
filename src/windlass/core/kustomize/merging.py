"""The strategic merge of a patch into an object, by kyaml's rules and not the API server's (those are
``core/manifests/strategic``).

What differs, and why there are two: here a patch changes the leaves of the object in place, new list items come before
the old ones, a patch also tidies what it does not name (empty values and doubled list items go), a list item is deleted
where nothing is left of it, and ``$retainKeys``, ``$setElementOrder`` and ``$deleteFromPrimitiveList`` are ordinary
fields. Both take keys and strategies from ``core/manifests/schemas``, this one from the schemas of Kubernetes 1.21 that
the original comes with.

Called by ``patches``. The patch is used up.
"""

from __future__ import annotations

from typing import Any, Final

from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.nodes import (
    DoubledKey,
    Node,
    Scalar,
    is_null,
    key,
    kind_of,
    quote_word,
    set_field,
    set_scalar,
    text_of,
    untagged,
)
from windlass.core.manifests.schemas import Schema

_PATCH: Final = "$patch"


class _Persistent:
    """A null of the object that a patch does not name and that is written out: it stays."""

    __slots__ = ("node",)

    def __init__(self, node: Scalar) -> None:
        self.node = node


def merge(target: dict[str, Node], patch: Node, schema: Schema | None) -> bool:
    """Merge ``patch`` into ``target``. False where the patch deletes it as a whole."""
    return _walk(target, patch, schema, ()) is not None


def _walk(target: Node, patch: Node, schema: Schema | None, path: tuple[str, ...]) -> Any:
    """The merged value, None where there is to be none."""
    decisive = target if not is_null(target) else patch if not is_null(patch) else None
    if decisive is None or decisive.__class__ is dict:
        _same_kind(target, patch, dict, path)
        return _mapping(target, patch, schema, path)
    if decisive.__class__ is list:
        _same_kind(target, patch, list, path)
        if schema is not None and "merge" in schema.patch_strategy.split(","):
            return _keyed_list(target, patch, schema, path)
        return target if patch is None else patch
    _same_kind(target, patch, Scalar, path)
    return target if patch is None else patch


def _same_kind(target: Node, patch: Node, wanted: type, path: tuple[str, ...]) -> None:
    for node in (target, patch):
        if not is_null(node) and node.__class__ is not wanted:
            other = patch if node is target else target
            raise KustomizeError(
                f"the patch has {kind_of(patch)} at {'.'.join(path) or 'its root'}, and the object {kind_of(target)}"
                if other is not None
                else f"{'.'.join(path)} is {kind_of(node)}",
                hint="remove the field with a JSON patch first, or write the same kind of value",
            )


def _mapping(target: Node, patch: Node, schema: Schema | None, path: tuple[str, ...]) -> Any:
    if is_null(target):
        if patch.__class__ is dict and _directive(patch, path, lenient=True) == "delete":
            return None
        if patch is None:
            return _Persistent(target) if target is not None and target.text else None
        result = patch
    elif is_null(patch) and patch is not None:
        return None
    else:
        directive = _directive(patch, path)
        if directive == "delete":
            return None
        result = patch if directive == "replace" else target
    if result.__class__ is not dict:
        return result
    return _fields(result, patch, schema, path)


def _fields(result: dict[str, Node], patch: Node, schema: Schema | None, path: tuple[str, ...]) -> dict[str, Node]:
    given: dict[str, Node] = patch if patch.__class__ is dict else {}
    for name in [*result, *(name for name in given if name not in result)] if given is not result else list(result):
        if name.__class__ is DoubledKey:
            continue
        below = None if schema is None else schema.field(str(name))
        current, value = result.get(name), given.get(name)
        if value is None and below is None:
            # Nothing to merge and no list to tidy: only empty values go.
            if current.__class__ is list:
                continue
            if current.__class__ is Scalar and (current.tag != "null" or current.text):
                quote_word(current)
                continue
            if current.__class__ is dict:
                tidy(current)
                continue
        merged = _walk(current, value, below, (*path, str(name)))
        if merged.__class__ is _Persistent:
            continue
        set_field(result, name, merged)
    return result


def tidy(node: dict[str, Node]) -> None:
    """Take out, at any depth, the fields that are left empty in the text of a mapping that has no schema, and set all
    others again."""
    for name, value in list(node.items()):
        cls = value.__class__
        if cls is dict:
            tidy(value)
        elif cls is Scalar:
            if value.tag == "null" and not value.text:
                del node[name]
            else:
                quote_word(value)


def _directive(patch: Node, path: tuple[str, ...], *, lenient: bool = False) -> str:
    if patch.__class__ is not dict or _PATCH not in patch:
        return "merge"
    word = text_of(patch[_PATCH])
    if word not in ("delete", "replace", "merge"):
        if lenient:
            return "merge"
        raise _unknown(word, path)
    del patch[_PATCH]
    return word


def _unknown(word: str, path: tuple[str, ...]) -> KustomizeError:
    place = ".".join((*path, _PATCH))
    return KustomizeError(f"{place} is {shown(word, 40) or 'empty'}", hint="it is delete, replace or merge")


def _list_directive(patch: Node, path: tuple[str, ...]) -> str:
    if patch.__class__ is not list:
        return "merge"
    item = next((each for each in patch if each.__class__ is dict and _PATCH in each), None)
    if item is None or len(item) > 1:
        return "merge"
    word = text_of(item[_PATCH])
    if word not in ("delete", "replace", "merge"):
        raise _unknown(word, path)
    _set_item(patch, None, [_PATCH], [word])
    return word


def _keyed_list(target: Node, patch: Node, schema: Schema, path: tuple[str, ...]) -> Any:
    if is_null(target):
        result = patch
    elif patch is not None and is_null(patch):
        return None
    else:
        directive = _list_directive(patch, path)
        if directive == "delete":
            return None
        result = patch if directive == "replace" else target
    if result is None:
        return None
    sources = [result, patch]
    keys = list(schema.traits.list_keys) or ([schema.patch_merge_key] if schema.patch_merge_key else [])
    values = _values(sources, keys) if keys else []
    if not keys:
        values, keys = _texts(sources), [""]
    return _merge_items(sources, values, keys, schema.items, path)


def _values(sources: list[Node], keys: list[str]) -> list[list[str]]:
    """The keys of all items, the patch's first, each once."""
    out: list[list[str]] = []
    for source in (sources[1], sources[0]):
        for item in source if source.__class__ is list else ():
            found = [_key_text(item, each) for each in keys]
            if found not in out:
                out.append(found)
    return out


def _key_text(item: Node, name: str) -> str:
    value = item.get(name) if item.__class__ is dict else None
    return "" if is_null(value) else text_of(value)


def _texts(sources: list[Node]) -> list[list[str]]:
    out: dict[str, None] = {}
    for source in (sources[1], sources[0]):
        for item in source if source.__class__ is list else ():
            out.setdefault(text_of(item))
    return [[text] for text in out]


def _merge_items(
    sources: list[Node], values: list[list[str]], keys: list[str], schema: Schema | None, path: tuple[str, ...]
) -> Any:
    result = sources[0]
    if not values:
        return result
    if len(keys) > 1:
        _complete(values)
    added: list[Node] = []
    valid_keys: list[str] = keys
    for each in values:
        valid_keys, valid_values = _valid(values, each, keys)
        found = [_find(source, valid_keys, valid_values) for source in sources]
        merged = _walk(found[0], found[1], schema, (*path, f"[{','.join(valid_values)}]"))
        if is_null(merged) or merged.__class__ is _Persistent or (merged.__class__ is dict and not merged):
            _set_item(result, None, valid_keys, valid_values)
            continue
        for name, value in zip(valid_keys, valid_values, strict=True):
            if value and not (merged.__class__ is dict and name in merged):
                if name:
                    set_field(merged, key(name), untagged(value))
                else:
                    set_scalar(merged, untagged(value))
        _set_item(added, merged, valid_keys, valid_values)
    return _append(added, result, valid_keys)


def _complete(values: list[list[str]]) -> None:
    """Keys that agree in one part and leave the other open mean one item."""
    places = range(len(values))
    for one in places:
        first = values[one]
        for two in places:
            joined = _joined(first, values[two])
            if joined is not None:
                values[one] = values[two] = joined


def _joined(one: list[str], two: list[str]) -> list[str] | None:
    common = False
    out = []
    for a, b in zip(one, two, strict=True):
        if a == b:
            common = True
        elif a and b:
            return None
        out.append(a or b)
    return out if common else None


def _valid(values: list[list[str]], mine: list[str], keys: list[str]) -> tuple[list[str], list[str]]:
    used = {keys[place] for each in values for place, value in enumerate(each) if value}
    if not used:
        return keys, mine
    return (
        [each for each in keys if each in used],
        [value for place, value in enumerate(mine) if value or keys[place] in used],
    )


def _find(source: Node, keys: list[str], values: list[str]) -> Node:
    """The first item with these keys."""
    if source.__class__ is not list:
        return None
    keys, values = _valid([values], values, keys)
    if not keys or not keys[0]:
        wanted = values[0] if values else ""
        return next((item for item in source if text_of(item) == wanted), None)
    for item in source:
        if item.__class__ is dict and all(
            name in item and text_of(item[name]) == value for name, value in zip(keys, values, strict=True)
        ):
            return item
    return None


def _set_item(items: list[Node], item: Node, keys: list[str], values: list[str]) -> None:
    """Put ``item`` in the place of those with these keys, or at the end; None takes them out. Empty items go."""
    kept: list[Node] = []
    met = False
    by_field = bool(keys[0] and values and values[0])
    for each in items:
        if is_null(each) or (each.__class__ is dict and not each):
            continue
        if each.__class__ is not dict and by_field:
            kept.append(each)
            continue
        if not _has(each, keys, values):
            if values:
                kept.append(each)
            continue
        met = True
        if item is not None:
            kept.append(item)
    items[:] = kept
    if item is not None and not is_null(item) and not met:
        items.append(item)


def _has(item: Node, keys: list[str], values: list[str]) -> bool:
    found = False
    for place, name in enumerate(keys):
        if place < len(values):
            if not name:
                if item.__class__ is not Scalar:
                    raise KustomizeError(f"a list of single values holds {kind_of(item)}")
                found = text_of(item) == values[place]
            elif item.__class__ is not dict:
                raise KustomizeError(f"a list of mappings holds {kind_of(item)}")
            else:
                found = name in item and (not values[place] or text_of(item[name]) == values[place])
        if not found:
            return False
    return True


def _append(added: list[Node], rest: list[Node], keys: list[str]) -> list[Node]:
    """What was merged, then the object's other items."""
    if not keys[0]:
        for each in rest:
            _set_item(added, each, [""], [text_of(each)])
        return added
    for each in rest:
        if each.__class__ is not dict:
            if is_null(each):
                added.append(each)
                continue
            raise KustomizeError(f"a list of mappings holds {kind_of(each)}")
        values = []
        for name in keys:
            if name in each:
                values.append(text_of(each[name]))
            else:
                added.append(each)
        if len(keys) > 1:
            _set_item(added, None, keys, values)
        _set_item(added, each, keys, values)
    return added
