"""Fields that Git leaves to others for a time (``spec.ignore``): taken out of what is wanted, and remembered as left.

``flows/desires`` calls ``left_to_others`` on what a render came to. The plan hands such a field over before it leaves
our entry (its live value stays as it is), drift does not tell of it, and when the time is over the field is wanted
again as Git says. A field that the manifest does not name is only not told of.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from windlass.core.kinds.exceptions import Ignore
from windlass.core.manifests.fieldpaths import join
from windlass.core.manifests.fields import ListItemError, item_element
from windlass.core.manifests.schemas import Schema
from windlass.core.model import Desired, Drift, Rendered
from windlass.core.plan.compare import field_schema, schema_of
from windlass.core.plan.ownership import APPLIED

_BETWEEN = re.compile("/(?=[fk]:)")
_NEVER = ("apiVersion", "kind", "metadata")


def left_to_others(rendered: Rendered, ignored: Sequence[Ignore], namespace: str, now: datetime) -> Rendered:
    """The render without the fields that are left to others at this time."""
    active = [one for one in ignored if one.active(now)]
    if not active:
        return rendered
    objects = [_left(one, [each for each in active if _means(each, one, namespace)]) for one in rendered.objects]
    return msgspec.structs.replace(rendered, objects=objects)


def is_left(desired: Desired, drift: Drift) -> bool:
    """Whether a difference is in a field that is left to others."""
    texts = [field_text(path) for path in desired.left]
    return any(drift.field == text or drift.field.startswith((text + ".", text + "[")) for text in texts)


def field_text(path: str) -> str:
    """A path of elements as people read it: ``spec.template.spec.containers[name=web].image``."""
    text = ""
    for element in elements(path):
        text = join(text, element)
    return text


def elements(path: str) -> list[str]:
    """The elements of a joined path."""
    return _BETWEEN.split(path)


def _means(one: Ignore, desired: Desired, namespace: str) -> bool:
    ref = desired.ref
    return ((one.kind, one.name) == (ref.kind, ref.name) and (one.namespace or namespace) in (ref.namespace, "")) or (
        (one.kind, one.name, one.namespace, ref.namespace) == (ref.kind, ref.name, "", "")
    )


def _left(desired: Desired, ignored: Sequence[Ignore]) -> Desired:
    pointers = sorted({pointer for one in ignored for pointer in one.fields})
    if not pointers:
        return desired
    body: Any = msgspec.json.decode(desired.body)
    schema = schema_of(body)
    left: dict[str, None] = {}
    named = False
    # From the end, so that taking an item out of a list moves none that is still to go.
    for pointer in sorted(pointers, key=_order, reverse=True):
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
        if parts[0] in _NEVER:
            continue
        path, found = _take(body, parts, schema)
        if path:
            left[path] = None
            named = named or found
    if not left:
        return desired
    if not named:
        return msgspec.structs.replace(desired, left=tuple(sorted(left)))
    digest = hashlib.sha256("\0".join([desired.digest, *sorted(left)]).encode()).hexdigest()[: len(desired.digest)]
    body["metadata"].setdefault("annotations", {})[APPLIED] = digest
    return msgspec.structs.replace(desired, body=msgspec.json.encode(body), digest=digest, left=tuple(sorted(left)))


def _take(value: Any, parts: Sequence[str], schema: Schema) -> tuple[str, bool]:
    """Takes a field out of a body: its path, and whether it was there. "" where it goes through a list whose items
    can't be told apart."""
    path: list[str] = []
    for depth, part in enumerate(parts):
        last = depth + 1 == len(parts)
        if isinstance(value, list):
            place = int(part) if part.isdigit() else -1
            if not 0 <= place < len(value) or schema.atomic_list:
                return "", False
            try:
                path.append(item_element(value[place], schema))
            except ListItemError:
                return "", False
            if not path[-1].startswith("k:"):
                return "", False
            schema = schema.items or schema
            if last:
                del value[place]
            else:
                value = value[place]
            continue
        path.append(f"f:{part}")
        if not isinstance(value, dict) or part not in value:
            return "/".join([*path, *(f"f:{each}" for each in parts[depth + 1 :])]), False
        schema = field_schema(schema, part)
        if last:
            del value[part]
        else:
            value = value[part]
    return "/".join(path), True


def _order(pointer: str) -> list[tuple[bool, int, str]]:
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in pointer.split("/")]
