"""Subresources with bodies of their own: scale, eviction, binding, log, and tokens of ServiceAccounts.

Called by ``http.py``. Those that are parts of their object (status, finalize, ...) go through ``verbs.py``. ``exec``,
``attach``, ``portforward`` and ``proxy`` are refused: nothing runs here that one could reach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from windlass.devstack.apiserver import clock, jsonpath, reading, views
from windlass.devstack.apiserver.apply import scale_managers
from windlass.devstack.apiserver.auth import AUDIENCES
from windlass.devstack.apiserver.budget import check_budget
from windlass.devstack.apiserver.deleting import Deleter, options_of
from windlass.devstack.apiserver.errors import Fault, bad_request, conflict, invalid, no_such_resource, not_found
from windlass.devstack.apiserver.patching import (
    APPLY_PATCH,
    PATCHES,
    apply_body,
    patch_body,
    run_patch,
    unsupported_patch,
)
from windlass.devstack.apiserver.registry import Resource
from windlass.devstack.apiserver.request import Call
from windlass.devstack.apiserver.store import Item
from windlass.devstack.apiserver.tokens import Tokens
from windlass.devstack.apiserver.verbs import Answer, Verbs
from windlass.devstack.apiserver.writing import Object, Write, Writer

_DEFAULT_SECONDS = 3600
_SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

Logs = Callable[[Object, str, bool], str]
"""The log of a Pod's container (of its previous run, where the last argument says so). Raises `ApiError`."""


def no_logs(pod: Object, container: str, previous: bool) -> str:
    """The log where no workloads are wired: nothing runs, nothing speaks."""
    return ""


@dataclass(frozen=True, slots=True)
class Text:
    """An answer that is plain text."""

    text: str


class Subresources:
    """See the module's head."""

    def __init__(self, writer: Writer, deleter: Deleter, verbs: Verbs, tokens: Tokens, logs: Logs) -> None:
        self._writer = writer
        self._store = writer.store
        self._deleter = deleter
        self._verbs = verbs
        self._tokens = tokens
        self._logs = logs

    async def serve(self, call: Call) -> Answer | Text:
        """The answer to a call on one of these subresources."""
        part = call.subresource
        if part == "scale":
            return await self._scale(call)
        if part == "eviction":
            return await self._evict(call)
        if part == "binding":
            return await self._bind(call)
        if part == "token":
            return self._token(call)
        if part == "log":
            return self._log(call)
        raise no_such_resource()

    # -- scale

    async def _scale(self, call: Call) -> Answer:
        resource = call.resource
        if call.verb == "get":
            item = reading.find(self._store, resource, call.namespace, call.name)
            return self._scaled(call, item)
        write = self._verbs.write_of(call)
        operation = "Update"
        if call.verb == "update":
            body, _ = call.document()

            def wanted(live: Object) -> Object:
                return body
        elif call.content_type.partition(";")[0] == APPLY_PATCH:
            operation, applied = "Apply", apply_body(call.body, write)

            def wanted(live: Object) -> Object:
                return {**scale_of(resource, live), **{k: v for k, v in applied.items() if k != "metadata"}}
        elif call.content_type.partition(";")[0] in PATCHES:
            media, patch = call.content_type.partition(";")[0], patch_body(call.body)

            def wanted(live: Object) -> Object:
                return run_patch(media, scale_of(resource, live), patch, self._writer.schema(resource))
        else:
            raise unsupported_patch()

        def change(live: Object | None) -> Object:
            assert live is not None
            scale = wanted(live)
            metadata = scale.get("metadata") or {}
            self._writer.check_preconditions(
                write, live, metadata.get("resourceVersion") or "", metadata.get("uid") or ""
            )
            return self.rescaled(write, live, scale, operation, force=call.flag("force"))

        item = await self._writer.modify(_as_main(write), change)
        return self._scaled(call, item, after=0 if write.dry_run else item.rv)

    def rescaled(
        self, write: Write, live: Object, scale: Object, operation: str = "Update", *, force: bool = False
    ) -> Object:
        """The live object with the replicas of a Scale, and its managers."""
        replicas = (scale.get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            words = f"Invalid value: {replicas}: must be greater than or equal to 0"
            raise invalid("autoscaling", "Scale", write.name, [Fault("FieldValueInvalid", words, "spec.replicas")])
        path = _scale_paths(write.resource)[0]
        new = _with_value(live, path, replicas)
        if operation == "Update" and not _held(live, _field_path(path)):
            return new  # a Scale without entries is not tracked
        return scale_managers(
            live,
            new,
            schema=self._writer.schema(write.resource),
            manager=write.manager,
            api_version=write.resource.api_version,
            now=clock.stamp(),
            operation=operation,
            force=force,
            reset=_field_path(path),
        )

    def _scaled(self, call: Call, item: Item, after: int = 0) -> Answer:
        body = views.encode(scale_of(call.resource, views.shown(call.resource, item)))
        return Answer(200, views.finish(body, call.form), call.form.media, after=after)

    # -- pods

    async def _evict(self, call: Call) -> Answer:
        body, _ = call.document()
        if (body.get("metadata") or {}).get("name") != call.name:
            raise bad_request("name in URL does not match name in Eviction object")
        item = reading.find(self._store, call.resource, call.namespace, call.name)
        options, dry = options_of(body.get("deleteOptions") or {}, call.query)
        write = self._verbs.write_of(call)
        write.subresource, write.dry_run = "", write.dry_run or dry
        check_budget(self._store, item)
        done = await self._deleter.delete(write, options)
        return Answer(201, views.encode(_SUCCESS), after=0 if write.dry_run else done.item.rv)

    async def _bind(self, call: Call) -> Answer:
        body, _ = call.document()
        node = (body.get("target") or {}).get("name")
        if not node:
            fault = Fault("FieldValueRequired", "Required value", "target.name")
            raise invalid("", "Binding", call.name, [fault])
        write = self._verbs.write_of(call)

        def change(live: Object | None) -> Object:
            assert live is not None
            if live["metadata"].get("deletionTimestamp"):
                raise conflict(
                    "", "pods/binding", call.name, f"pod {call.name} is being deleted, cannot be assigned to a host"
                )
            present = (live.get("spec") or {}).get("nodeName")
            if present:
                raise conflict(
                    "", "pods/binding", call.name, f'pod {call.name} is already assigned to node "{present}"'
                )
            return bound(live, node)

        item = await self._writer.modify(write, change)
        return Answer(201, views.encode(_SUCCESS), after=0 if write.dry_run else item.rv)

    def _log(self, call: Call) -> Text:
        item = reading.find(self._store, call.resource, call.namespace, call.name)
        spec = item.obj.get("spec") or {}
        names = [each["name"] for each in spec.get("containers") or []]
        every = names + [each["name"] for each in spec.get("initContainers") or []]
        wanted = call.one("container") or (names[0] if len(names) == 1 else "")
        if not wanted:
            raise bad_request(
                f"a container name must be specified for pod {call.name}, choose one of: [{' '.join(names)}]"
            )
        if wanted not in every:
            raise bad_request(f"container {wanted} is not valid for pod {call.name}")
        text = self._logs(item.obj, wanted, call.flag("previous"))
        tail = call.one("tailLines")
        lines = text.splitlines(keepends=True)
        return Text("".join(lines[-reading.number(tail) :] if tail and tail != "0" else [] if tail else lines))

    # -- service accounts

    def _token(self, call: Call) -> Answer:
        body, _ = call.document()
        item = self._store.get("serviceaccounts", call.namespace, call.name)
        if item is None:
            raise not_found("", "serviceaccounts", call.name)
        spec: dict[str, Any] = body.get("spec") or {}
        seconds = int(spec.get("expirationSeconds") or _DEFAULT_SECONDS)
        if seconds < 600:
            words = "Invalid value: may not specify a duration less than 10 minutes"
            raise invalid(
                "authentication.k8s.io",
                "TokenRequest",
                "",
                [Fault("FieldValueInvalid", words, "spec.expirationSeconds")],
            )
        audiences = tuple(spec.get("audiences") or AUDIENCES)
        token, expires = self._tokens.issue(item.obj, audiences, seconds, spec.get("boundObjectRef"))
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": call.name, "namespace": call.namespace, "creationTimestamp": clock.stamp()},
            "spec": {
                "audiences": list(audiences),
                "expirationSeconds": seconds,
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {"token": token, "expirationTimestamp": clock.stamp(clock.at(expires))},
        }
        return Answer(201, views.finish(views.encode(answer), call.form), call.form.media)


def bound(live: Object, node: str) -> Object:
    """A Pod that is assigned to a node."""
    status = dict(live.get("status") or {})
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": clock.stamp()}
    others = [each for each in status.get("conditions") or [] if each.get("type") != "PodScheduled"]
    status["conditions"] = [*others, condition]
    return {**live, "spec": {**(live.get("spec") or {}), "nodeName": node}, "status": status}


def scale_of(resource: Resource, obj: Object) -> Object:
    """The Scale of an object, in the version of ``resource``."""
    wanted, present, selector = _scale_paths(resource)
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {name: obj["metadata"][name] for name in names if name in obj["metadata"]}
    status: Object = {"replicas": jsonpath.first(present, obj) or 0}
    if resource.custom is None:
        text = _selector_text((obj.get("spec") or {}).get("selector"))
    else:
        text = str(jsonpath.first(selector, obj) or "") if selector else ""
    if text:
        status["selector"] = text
    spec = {"replicas": jsonpath.first(wanted, obj)} if jsonpath.first(wanted, obj) else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _scale_paths(resource: Resource) -> tuple[str, str, str]:
    scale = resource.custom.scale if resource.custom is not None else None
    if scale is None:
        return ".spec.replicas", ".status.replicas", ""
    return scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath") or ""


def _selector_text(selector: Any) -> str:
    if not selector:
        return ""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        selector = {"matchLabels": selector}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or []:
        key, values = each["key"], ",".join(sorted(each.get("values") or []))
        words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(words.get(each["operator"], f"!{key}"))
    return ",".join(parts)


def _with_value(obj: Object, path: str, value: Any) -> Object:
    names = path.strip(".").split(".")
    if len(names) == 1:
        return {**obj, names[0]: value}
    inner = obj.get(names[0])
    return {**obj, names[0]: _with_value(inner if isinstance(inner, dict) else {}, ".".join(names[1:]), value)}


def _field_path(path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in reversed(path.strip(".").split(".")):
        found = {f"f:{name}": found}
    return found


def _held(live: Object, path: dict[str, Any]) -> bool:
    """Whether any manager holds a field."""
    for entry in live["metadata"].get("managedFields") or []:
        node, want = entry.get("fieldsV1") or {}, path
        while want and node is not None:
            key = next(iter(want))
            node, want = node.get(key), want[key]
        if node is not None:
            return True
    return False


def _as_main(write: Write) -> Write:
    """The same write as one of the whole object, which a scale is."""
    return Write(
        write.resource,
        write.namespace,
        write.name,
        write.manager,
        write.user,
        "scale",
        write.dry_run,
        warnings=write.warnings,
    )
