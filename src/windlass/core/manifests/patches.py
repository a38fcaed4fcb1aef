"""Patches: JSON merge patch (RFC 7386), JSON patch (RFC 6902), and the strategic merge patch (in ``strategic``).

Used by the devstack's PATCH and by overlays. All give a new value and change no argument. What can't be carried out is
refused with ``PatchError``, in the words and with the code of the real server where a client sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.core.manifests.patch_errors import PatchError
from windlass.core.manifests.strategic import strategic_merge

__all__ = ["PatchError", "json_patch", "merge_patch", "strategic_merge"]

_MISSING: Any = object()
_MAX_OPERATIONS = 10_000


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: maps merge, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    out: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        elif isinstance(value, dict):
            out[name] = merge_patch(out.get(name), value)
        else:
            out[name] = value
    return out


def json_patch(target: Any, operations: Sequence[Any] | None) -> Any:
    """RFC 6902, all operations or none, with the real server's leniency: ``replace`` adds a member that is not there.

    Raises ``PatchError``: 400 where the patch is malformed, 422 where it can't be carried out.
    """
    if operations is None:
        return target
    if not isinstance(operations, list):
        kind = "object" if isinstance(operations, dict) else "value"
        raise PatchError(
            f"error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > _MAX_OPERATIONS:
        raise PatchError(
            f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}",
            code=413,
            reason="RequestEntityTooLarge",
        )
    for operation in operations:
        if not isinstance(operation, dict):
            raise PatchError(
                "error decoding patch: json: cannot unmarshal value into Go value of type handlers.jsonPatchOp"
            )
        target = _operate(target, operation)
    return target


def _operate(target: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation.get("op"), _pointer(operation.get("path"))
    match kind:
        case "add":
            return _put(target, path, operation.get("value"), insert=True)
        case "remove":
            return _remove(target, path)
        case "replace":
            return _put(target, path, operation.get("value"), insert=False)
        case "move":
            source = _pointer(operation.get("from"))
            value = _get(target, source)
            return _put(_remove(target, source), path, value, insert=True)
        case "copy":
            value = _get(target, _pointer(operation.get("from")))
            return _put(target, path, None if value is _MISSING else value, insert=True)
        case "test":
            return _test(target, path, operation.get("value"))
        case _:
            raise _refused(f"Unexpected kind: {kind}")


def _test(target: Any, path: list[str], wanted: Any) -> Any:
    found = _get(target, path)
    value = None if found is _MISSING else found
    if not _equal(value, wanted):
        raise _refused(f"testing path /{'/'.join(path)} failed")
    return target


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_equal(mine, theirs) for mine, theirs in zip(left, right, strict=True))
    return bool(left == right)


def _refused(why: str) -> PatchError:
    said = "the server rejected our request due to an error in our request"
    return PatchError(said, code=422, reason="Invalid", why=why)


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str):
        raise _refused("missing path")
    if text == "":
        return []
    if not text.startswith("/"):
        raise _refused(f"path {text!r} does not start with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _index(part: str, length: int, *, insert: bool = False) -> int:
    """A place in a list; ``-`` is behind its end. Negative places count from the end, as the real server allows."""
    if part == "-" and insert:
        return length
    digits = part.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise _refused(f"invalid array index {part!r}")
    place = int(part)
    bound = length + 1 if insert else length
    if place < 0:
        place += bound
    if not 0 <= place < bound:
        raise _refused(f"Unable to access invalid index: {part}")
    return place


def _get(target: Any, path: list[str]) -> Any:
    """The value at a path; ``_MISSING`` where only its last part is not there."""
    for number, part in enumerate(path):
        if isinstance(target, dict):
            if part not in target:
                if number < len(path) - 1:
                    raise _refused(f"doc is missing path: /{'/'.join(path)}")
                return _MISSING
            target = target[part]
        elif isinstance(target, list):
            target = target[_index(part, len(target))]
        else:
            raise _refused(f"path /{'/'.join(path)} does not exist")
    return target


def _put(target: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        if insert:
            raise _refused("unable to add the whole document")
        return value
    part, rest = path[0], path[1:]
    if isinstance(target, dict):
        if rest and part not in target:
            raise _refused(f"doc is missing path: /{'/'.join(path)}")
        return {**target, part: _put(target[part], rest, value, insert=insert) if rest else value}
    if isinstance(target, list):
        place = _index(part, len(target), insert=insert and not rest)
        if rest:
            return [*target[:place], _put(target[place], rest, value, insert=insert), *target[place + 1 :]]
        return [*target[:place], value, *target[place if insert else place + 1 :]]
    raise _refused(f"doc is missing path: /{'/'.join(path)}")


def _remove(target: Any, path: list[str]) -> Any:
    if not path:
        raise _refused("unable to remove the whole document")
    part, rest = path[0], path[1:]
    if isinstance(target, dict):
        if part not in target:
            raise _refused(f"Unable to remove nonexistent key: {part}")
        if rest:
            return {**target, part: _remove(target[part], rest)}
        return {name: value for name, value in target.items() if name != part}
    if isinstance(target, list):
        place = _index(part, len(target))
        if rest:
            return [*target[:place], _remove(target[place], rest), *target[place + 1 :]]
        return [*target[:place], *target[place + 1 :]]
    raise _refused(f"doc is missing path: /{'/'.join(path)}")
