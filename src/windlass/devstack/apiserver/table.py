"""Objects as `Table`, which is what ``kubectl get`` asks for: columns and cells as the real server prints them.

``cells.py`` knows the built-in kinds; a CRD's columns are its ``additionalPrinterColumns``.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from windlass.devstack.apiserver import cells, cellwork, clock, jsonpath, views
from windlass.devstack.apiserver.errors import bad_request
from windlass.devstack.apiserver.registry import Resource
from windlass.devstack.apiserver.store import Item


def make(resource: Resource, items: Sequence[Item], meta: dict[str, Any], version: str, include: str) -> dict[str, Any]:
    """The Table of some objects. ``include`` is the ``includeObject`` parameter: Metadata (default), Object or None."""
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": meta,
        "columnDefinitions": columns(resource),
        "rows": rows(resource, items, version, include) or ([] if _has_printer(resource) else None),
    }


def _has_printer(resource: Resource) -> bool:
    """Whether the real server prints this kind itself; others have the generic table, whose rows are null when there
    are none.
    """
    return resource.custom is not None or cells.columns(resource.storage)[-1]["name"] != "Created At"


def columns(resource: Resource) -> list[dict[str, Any]]:
    """The column definitions of a resource."""
    if resource.custom is None:
        return cells.columns(resource.storage)
    found = [cells.column("Name", "string", "name", 0, cells.NAME_NOTE)]
    for each in resource.custom.columns:
        kind, form, note = each["type"], each.get("format", ""), each.get("description", "")
        described = note or f"Custom resource definition column (in JSONPath format): {each['jsonPath']}"
        found.append(cells.column(each["name"], kind, form, each.get("priority", 0), described))
    return found


def rows(resource: Resource, items: Sequence[Item], version: str, include: str) -> list[dict[str, Any]]:
    """One row an object."""
    if include not in ("", "Metadata", "Object", "None"):
        raise bad_request(f'unrecognized includeObject value: "{include}"')
    now = clock.now()
    found = []
    for item in items:
        obj = views.shown(resource, item)
        row: dict[str, Any] = {"cells": _cells(resource, obj, now)}
        if include == "Object":
            row["object"] = obj
        else:
            row["object"] = None if include == "None" else views.metadata_of(obj, version)
        found.append(row)
    return found


def _cells(resource: Resource, obj: dict[str, Any], now: datetime.datetime) -> list[Any]:
    if resource.custom is None:
        return cells.cells(resource.storage, obj, now)
    row: list[Any] = [obj["metadata"]["name"]]
    for each in resource.custom.columns:
        found = jsonpath.compile_path(each["jsonPath"])(obj)
        row.append(_custom(each["type"], found, now))
    return row


def _custom(kind: str, found: list[Any], now: datetime.datetime) -> Any:
    if not found:
        return None
    value = found[0]
    if kind == "date":
        return cellwork.age(value, now) if isinstance(value, str) else "<unknown>"
    if kind == "integer":
        return int(value) if isinstance(value, int | float) else None
    if kind == "number":
        return value if isinstance(value, int | float) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    return ",".join(_text(each) for each in found) if len(found) > 1 else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else views.encode(value).decode()
