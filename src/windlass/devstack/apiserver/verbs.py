"""The verbs that write, as requests: bodies and parameters to the `Writer` and the `Deleter`, and their answers.

Called by ``http.py`` with an authorized `Call`. Reading verbs are in ``reading.py`` and ``watching.py``, subresources
that are not simply parts of their object in ``subresources.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from windlass.devstack.apiserver import clock, reading, views
from windlass.devstack.apiserver.apply import apply
from windlass.devstack.apiserver.deleting import Deleter, options_of
from windlass.devstack.apiserver.errors import ApiError, Fault, bad_request, invalid
from windlass.devstack.apiserver.options import check_delete, check_manager
from windlass.devstack.apiserver.patching import (
    APPLY_PATCH,
    JSON_PATCH,
    PATCHES,
    STRATEGIC_PATCH,
    apply_body,
    patch_body,
    run_patch,
    strict_refusal,
    unsupported_patch,
)
from windlass.devstack.apiserver.request import Call, duplicate_fields, parse_body
from windlass.devstack.apiserver.store import Item
from windlass.devstack.apiserver.writing import Change, Object, Write, Writer


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: code, body, media type, more headers. ``after`` is the revision that has to be durable first."""

    code: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=())
    after: int = 0


class Verbs:
    """See the module's head."""

    def __init__(self, writer: Writer, deleter: Deleter) -> None:
        self._writer = writer
        self._deleter = deleter
        self._store = writer.store

    def write_of(self, call: Call) -> Write:
        """The write that a call asks for."""
        check_manager(call)
        return Write(
            resource=call.resource,
            namespace=call.namespace,
            name=call.name,
            manager=call.manager,
            user=call.user,
            subresource=call.subresource,
            dry_run=call.dry_run,
            field_validation=call.field_validation,
            warnings=call.warnings,
        )

    async def create(self, call: Call) -> Answer:
        """POST to a resource."""
        write = self.write_of(call)
        obj, doubled = call.document()
        item = await self._writer.create(write, obj, doubled)
        return self._answer(call, write, item)

    async def update(self, call: Call) -> Answer:
        """PUT to an object, its status or another subresource that is a part of it."""
        write = self.write_of(call)
        obj, doubled = call.document()
        change, strict = self._writer.replace(write, obj, doubled)
        return self._answer(call, write, await self._writer.modify(write, change, strict=strict))

    async def patch(self, call: Call) -> Answer:
        """PATCH of any of the four kinds."""
        write = self.write_of(call)
        media = call.content_type.partition(";")[0].strip()
        force = call.query.get("force")
        if media != APPLY_PATCH and force:
            raise call.bad_option("force", "Forbidden: may not be specified for non-apply patch", "FieldValueForbidden")
        if media == APPLY_PATCH:
            if not call.one("fieldManager"):
                raise call.bad_option(
                    "fieldManager", "Required value: is required for apply patch", "FieldValueRequired"
                )
            change = self._applied(call, write)
            item = await self._writer.modify(write, change, create=not call.subresource)
        elif media in PATCHES:
            item = await self._writer.modify(write, self._patched(call, write, media))
        else:
            raise unsupported_patch(custom=call.resource.custom is not None)
        return self._answer(call, write, item)

    def _applied(self, call: Call, write: Write) -> Change:
        resource, body = call.resource, apply_body(call.body, write)
        writer = self._writer
        schema = writer.schema(resource)
        writer.check_identity(write, {**body, "kind": "", "apiVersion": ""})
        given = body.get("metadata") or {}
        if body.get("kind") and not given.get("name"):
            raise bad_request(
                f"the name of the object ({write.name} based on URL) was undeterminable: name must be provided"
            )
        version, uid = str(given.get("resourceVersion") or ""), str(given.get("uid") or "")
        force = call.flag("force")
        write.uid = uid
        reset = writer.reset(write)

        def change(live: Object | None) -> Object:
            if live is not None:
                _check_same(write, live, uid)
                writer.check_preconditions(write, live, version, uid)
            made = apply(
                live,
                body,
                schema=schema,
                manager=write.manager,
                api_version=resource.api_version,
                kind=resource.kind,
                now=clock.stamp(),
                force=force,
                subresource=write.subresource,
                reset=reset,
            )
            return writer.complete_applied(write, live, made)

        return change

    def _patched(self, call: Call, write: Write, media: str) -> Change:
        resource, writer = call.resource, self._writer
        schema = writer.schema(resource)
        patch = patch_body(call.body)
        doubled = duplicate_fields(call.body) if media != JSON_PATCH else []
        if media == STRATEGIC_PATCH and resource.custom is not None:
            raise unsupported_patch(custom=True)

        def refuse(why: str) -> ApiError:
            return strict_refusal(media, patch, shown[-1], why)

        shown: list[Object] = []

        def change(live: Object | None) -> Object:
            assert live is not None
            made = run_patch(media, live, patch, schema)
            made = {**made, "metadata": made.get("metadata") or {}}
            shown.append(made)
            given = made["metadata"]
            old = live["metadata"]
            version = str(given.get("resourceVersion") or "")
            wanted = version if version != old["resourceVersion"] else ""
            _check_same(write, live, given.get("uid") or "")
            writer.check_preconditions(write, live, wanted, given.get("uid") or "")
            decoded = writer.decode(write, made, doubled, refuse=refuse)
            doubled.clear()
            return writer.finished(write, live, decoded)

        return change

    async def delete(self, call: Call) -> Answer:
        """DELETE of one object."""
        write = self.write_of(call)
        options, dry = options_of(*self._delete_body(call))
        write.dry_run = write.dry_run or dry
        done = await self._deleter.delete(write, options)
        status = done.body(call.resource)
        after = 0 if write.dry_run else done.item.rv
        if status is not None:
            return Answer(200, views.finish(views.encode(status), call.form), call.form.media, after=after)
        return Answer(200, reading.present(call.resource, done.item, call.form), call.form.content_type, after=after)

    async def delete_collection(self, call: Call) -> Answer:
        """DELETE of all objects that are selected."""
        write = self.write_of(call)
        options, dry = options_of(*self._delete_body(call))
        write.dry_run = write.dry_run or dry
        items = reading.chosen_now(self._store, call.resource, call.namespace, reading.select(call))
        deleted = await self._deleter.collection(write, items, options)
        revision = self._store.revision
        body = views.list_of(call.resource, deleted, {"resourceVersion": str(revision)}, call.form)
        return Answer(200, body, call.form.content_type, after=0 if write.dry_run else revision)

    def _delete_body(self, call: Call) -> tuple[Object, dict[str, list[str]]]:
        body: Object = {}
        if call.body:
            body, _ = parse_body(call.body, call.content_type, "DeleteOptions")
        check_delete(call, body)
        return body, call.query

    def _answer(self, call: Call, write: Write, item: Item) -> Answer:
        code = 201 if write.created else 200
        body = reading.present(call.resource, item, call.form, call.one("includeObject"))
        return Answer(code, body, call.form.content_type, after=0 if write.dry_run else item.rv)


def _check_same(write: Write, live: Object, uid: str) -> None:
    """422 where a patch would change the uid; the real server says so twice."""
    if uid and uid != live["metadata"]["uid"]:
        fault = Fault("FieldValueInvalid", f'Invalid value: "{uid}": field is immutable', "metadata.uid")
        raise invalid(write.resource.group, write.resource.kind, write.name, [fault, fault])
