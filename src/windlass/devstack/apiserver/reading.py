"""The verbs get and list: one object, or a selection of them with paging over a consistent snapshot.

Called by ``http.py``. Reads are synchronous and never wait; tables are made by ``table.py``.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from windlass.devstack.apiserver import json_errors, selection, table, views
from windlass.devstack.apiserver.errors import bad_request, not_found, too_large_version
from windlass.devstack.apiserver.options import check_list
from windlass.devstack.apiserver.registry import Resource
from windlass.devstack.apiserver.request import Call, Form
from windlass.devstack.apiserver.selection import Selection
from windlass.devstack.apiserver.store import Item, Store


def find(store: Store, resource: Resource, namespace: str, name: str) -> Item:
    """The stored object, or 404."""
    item = store.get(resource.storage, namespace, name)
    if item is None:
        raise not_found(resource.group, resource.plural, name)
    return item


def get(store: Store, call: Call) -> bytes:
    """The body of a get."""
    revision(call.one("resourceVersion"), store)
    return present(
        call.resource, find(store, call.resource, call.namespace, call.name), call.form, call.one("includeObject")
    )


def present(resource: Resource, item: Item, form: Form, include: str = "") -> bytes:
    """One object in the form that a call wants."""
    if form.shape == "table":
        meta = {"resourceVersion": str(item.rv)}
        return views.finish(views.encode(table.make(resource, [item], meta, form.version, include)), form)
    return views.one(resource, item, form)


def select(call: Call) -> Selection:
    """The call's label and field selector."""
    return selection.parse(call.resource, call.one("labelSelector"), call.one("fieldSelector"))


def matching(items: list[Item], chosen: Selection) -> list[Item]:
    """The items that are selected."""
    if chosen is selection.EVERYTHING:
        return items
    return [item for item in items if chosen.matches(item.obj)]


def chosen_now(store: Store, resource: Resource, namespace: str, chosen: Selection) -> list[Item]:
    """All objects that are selected now, found by index where one helps."""
    space = namespace or chosen.namespace
    if chosen.name and (space or not resource.namespaced):
        item = store.get(resource.storage, space, chosen.name)
        return [] if item is None else matching([item], chosen)
    return matching(store.items(resource.storage, namespace, chosen.label), chosen)


def list_(store: Store, call: Call) -> bytes:
    """The body of a list."""
    resource = call.resource
    chosen = select(call)
    asked = revision(call.one("resourceVersion"), store)
    check_list(call)
    match = call.one("resourceVersionMatch")
    limit = max(number(call.one("limit") or "0"), 0)
    token = call.one("continue")
    start: tuple[str, str] | None = None
    at = store.revision
    if token:
        if asked:
            raise bad_request("specifying resource version is not allowed when using continue")
        at, start = _decode_token(token)
    elif match == "Exact" and asked:
        at = asked
    if at == store.revision:
        items = chosen_now(store, resource, call.namespace, chosen)
    else:
        items = matching(store.items_at(resource.storage, call.namespace, at), chosen)
    if start is not None:
        items = [item for item in items if (item.namespace, item.name) > start]
    meta: dict[str, Any] = {"resourceVersion": str(at)}
    if limit and len(items) > limit and call.one("resourceVersion") != "0":
        last = items[limit - 1]
        meta["continue"] = _token(at, last)
        if chosen is selection.EVERYTHING:
            meta["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    if call.form.shape == "table":
        made = table.make(resource, items, meta, call.form.version, call.one("includeObject"))
        return views.finish(views.encode(made), call.form)
    return views.list_of(resource, items, meta, call.form)


def revision(text: str, store: Store) -> int:
    """A resourceVersion parameter, 0 where it is empty. 400 if it is no number, 504 if it is not there yet."""
    if not text:
        return 0
    if not text.isdecimal():
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}": {why}')
    value = int(text)
    if value > store.revision:
        raise too_large_version(value, store.revision)
    return value


def number(text: str) -> int:
    """An integer parameter. 400 if it is none."""
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _token(at: int, last: Item) -> str:
    place = f"{last.namespace}/{last.name}" if last.namespace else last.name
    raw = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": at, "start": f"{place}\0"})
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode_token(token: str) -> tuple[int, tuple[str, str]]:
    raw = b""
    try:
        padded = token + "=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        found = msgspec.json.decode(raw)
        namespace, _, name = str(found["start"]).rstrip("\0").rpartition("/")
        return int(found["rv"]), (namespace, name)
    except (binascii.Error, ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        why = str(error)
        if isinstance(error, binascii.Error):
            why = "illegal base64 data at input byte 0"
        elif isinstance(error, msgspec.DecodeError):
            why = json_errors.literal_error(raw)
        raise bad_request(f"invalid continue token: continue key is not valid: {why}") from error
