"""The order of the output: the original's ``legacy`` order by kinds, or the order in which objects were loaded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cmp_to_key
from typing import Any

from windlass.core.kustomize.collection import Collection
from windlass.core.kustomize.configurations import KIND_ORDER
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.ids import Gvk, Id
from windlass.core.kustomize.kustomization import SortOptions
from windlass.core.kustomize.resource import Resource
from windlass.errors import Where


def sort(collection: Collection, options: SortOptions | None) -> None:
    """Put objects in order; without options, by kinds."""
    order: Mapping[str, int] = KIND_ORDER
    if options is not None:
        legacy = options.legacy_sort_options
        if options.order not in ("fifo", "legacy"):
            raise KustomizeError(
                f"sortOptions.order is {shown(options.order, 40) or 'empty'}",
                where=Where(field="sortOptions.order"),
                hint="it is legacy or fifo",
            )
        if options.order == "fifo":
            if legacy is not None:
                raise KustomizeError(
                    "legacySortOptions are said, and the order is fifo",
                    where=Where(field="sortOptions.legacySortOptions"),
                    hint="take them out, or write order: legacy",
                )
            return
        if legacy is not None:
            order = {kind: place - len(legacy.order_first) for place, kind in enumerate(legacy.order_first)}
            order |= {kind: place + 1 for place, kind in enumerate(legacy.order_last)}
    collection.items = _sorted(collection.items, order)


def _sorted(items: list[Resource], order: Mapping[str, int]) -> list[Resource]:
    keyed: list[tuple[Id, Resource]] = [(resource.id, resource) for resource in items]
    if len({identity.gvk for identity, _ in keyed if identity.gvk.kind == "Namespace"}) > 1:
        by_order = cmp_to_key(lambda one, two: _compare(one, two, order))
        keyed.sort(key=lambda pair: by_order(pair[0]))
    else:
        keyed.sort(key=lambda pair: (order.get(pair[0].gvk.kind, 0), _gvk_text(pair[0].gvk), _id_text(pair[0])))
    return [resource for _, resource in keyed]


def _gvk_text(gvk: Gvk) -> str:
    return f"{gvk.group or '~G'}_{gvk.version or '~V'}_{gvk.kind or '~K'}"


def _id_text(identity: Id) -> str:
    return f"{identity.gvk.words()}|{identity.namespace or '~X'}|{identity.name or '~N'}"


def _compare(one: Any, two: Any, order: Mapping[str, int]) -> int:
    """Namespaces of several groups stand the other way round, the core one first."""
    if one.gvk != two.gvk:
        a, b = order.get(one.gvk.kind, 0), order.get(two.gvk.kind, 0)
        if a != b:
            return -1 if a < b else 1
        x, y = _gvk_text(one.gvk), _gvk_text(two.gvk)
        both = one.gvk.kind == two.gvk.kind == "Namespace" and not (one.gvk.group and two.gvk.group)
        return (-1 if x > y else 1) if both else (-1 if x < y else 1)
    x, y = _id_text(one), _id_text(two)
    return (x > y) - (x < y)
