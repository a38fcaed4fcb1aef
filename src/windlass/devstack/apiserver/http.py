"""The outermost layer: ASGI requests to verbs, and their answers to bytes.

It authenticates, parses the path, negotiates, authorizes, dispatches, and words refusals as `Status`. No other module
of the room knows ASGI. uvicorn runs it (``server.py``).
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import msgspec

from windlass.devstack.apiserver import discovery, reading
from windlass.devstack.apiserver.errors import (
    ApiError,
    bad_request,
    forbidden,
    internal,
    no_such_resource,
    not_allowed,
    not_found,
)
from windlass.devstack.apiserver.machine import Machine
from windlass.devstack.apiserver.rbac import Attributes
from windlass.devstack.apiserver.registry import Resource
from windlass.devstack.apiserver.request import (
    JSON,
    LIMIT,
    Call,
    Form,
    Target,
    User,
    parse_accept,
    parse_path,
    parse_query,
)
from windlass.devstack.apiserver.subresources import Text
from windlass.devstack.apiserver.verbs import Answer
from windlass.devstack.apiserver.watching import Stream

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_log = logging.getLogger("windlass.devstack.apiserver")
_encode = msgspec.json.Encoder().encode
_PRETTY = ("curl", "Wget", "Mozilla/5.0")
_DEPRECATED = {
    "v1/endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    "v1/componentstatuses": "v1 ComponentStatus is deprecated in v1.19+",
}
_MAIN_PARTS = ("status", "ephemeralcontainers", "resize", "approval", "finalize")


class App:
    """The ASGI application over one `Machine`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._kept: dict[str, tuple[int, bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            await self._serve(scope, headers, receive, send)
        except ApiError as error:
            await _send_status(send, error, headers)
        except OSError as error:
            _log.error("a write could not be made durable: %s", error)
            await _send_status(send, internal(str(error)), headers)

    async def _serve(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        query = parse_query(scope["query_string"])
        user = self._machine.authenticator.authenticate(headers)
        user = self._machine.impersonate(user, scope["headers"])
        target = parse_path(path)
        if target is None:
            await self._other(method, path, query, headers, user, send)
            return
        resource = self._machine.registry.find(target.group, target.version, target.resource)
        if len(target.rest) or "%" in path:
            target = _unquoted(target)
        verb = _verb(method, target, query)
        self._authorize(user, verb, target)
        if resource is None:
            raise self._unknown(target)
        _check_scope(resource, target, method, verb)
        form = parse_accept(headers.get("accept", ""), single=verb not in ("list", "deletecollection"))
        body = await _body(receive) if method in ("POST", "PUT", "PATCH", "DELETE") else b""
        call = Call(
            method,
            verb,
            resource,
            target,
            query,
            user,
            form,
            body,
            headers.get("content-type") or JSON,
            headers.get("user-agent", ""),
        )
        deprecated = resource.custom.deprecated if resource.custom is not None else _DEPRECATED.get(resource.id, "")
        if deprecated:
            call.warnings.append(deprecated)
        if verb == "watch":
            await self._watch(call, receive, send)
            return
        try:
            answer = await self._dispatch(call)
        except ApiError as error:
            error.warnings = tuple(call.warnings)
            raise
        if isinstance(answer, Text):
            await _send_text(send, answer.text.encode())
            return
        if answer.after:
            await self._machine.store.durable(answer.after)
        pretty = call.user_agent.startswith(_PRETTY) or call.flag("pretty")
        await _send(send, answer, call.warnings, pretty=pretty)

    async def _dispatch(self, call: Call) -> Answer | Text:
        machine, verb, part = self._machine, call.verb, call.subresource
        if part and part not in call.resource.subresources:
            if call.resource.custom is not None:
                raise not_found(call.resource.group, call.resource.plural, call.name)
            raise no_such_resource()
        if part and verb not in call.resource.subresources[part].verbs:
            raise not_allowed()
        if not part and verb not in call.resource.verbs:
            raise not_allowed()
        if part and part not in _MAIN_PARTS:
            return await machine.subresources.serve(call)
        if call.resource.verbs == ("create",) or call.resource.plural == "componentstatuses":
            return await machine.reviews.serve(call)
        if verb == "get":
            return Answer(200, reading.get(machine.store, call), call.form.content_type)
        if verb == "list":
            return Answer(200, reading.list_(machine.store, call), call.form.content_type)
        verbs = machine.verbs
        doers = {
            "create": verbs.create,
            "update": verbs.update,
            "patch": verbs.patch,
            "delete": verbs.delete,
            "deletecollection": verbs.delete_collection,
        }
        return await doers[verb](call)

    async def _watch(self, call: Call, receive: Receive, send: Send) -> None:
        stream = Stream(self._machine.store, call)
        headers = [(b"content-type", _stream_type(call.form)), (b"cache-control", b"no-cache, private")]
        headers += _warnings(call.warnings)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": True})

        async def write(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            running.cancel()

        async with asyncio.TaskGroup() as group:
            running = group.create_task(stream.run(write))
            listening = group.create_task(gone())
            running.add_done_callback(lambda _: listening.cancel())
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    # -- who may do what

    def _authorize(self, user: User, verb: str, target: Target) -> None:
        plural = f"{target.resource}/{target.subresource}" if target.subresource else target.resource
        namespace = target.name if target.group == "" and target.resource == "namespaces" else target.namespace
        wanted = Attributes(verb, target.group, plural, namespace, target.name, target.version)
        if self._machine.authorizer.allows(user, wanted):
            return
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        why = f'User "{user.name}" cannot {verb} resource "{plural}" in API group "{target.group}" {where}'
        raise forbidden(target.group, target.resource, target.name, why)

    def _unknown(self, target: Target) -> ApiError:
        if target.group and target.group not in self._machine.registry.groups():
            return _PlainNotFound()
        return no_such_resource()

    # -- what is not a resource

    async def _other(
        self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str], user: User, send: Send
    ) -> None:
        if not self._machine.authorizer.allows_path(user, method.lower(), path):
            raise ApiError(403, "Forbidden", f'forbidden: User "{user.name}" cannot {method.lower()} path "{path}"', {})
        if path in discovery.HEALTH:
            text = discovery.health(path, "verbose" in query)
            await _send_text(send, text.encode())
            return
        accept = headers.get("accept", "")
        kept = self._document(path, accept)
        if kept is None:
            raise _PlainNotFound()
        body, content_type = kept
        pretty = headers.get("user-agent", "").startswith(_PRETTY) and "openapi" not in path
        await _send(send, Answer(200, body, content_type), [], pretty=pretty)

    def _document(self, path: str, accept: str) -> tuple[bytes, str] | None:
        """A document that is made from the registry, kept until that changes."""
        machine = self._machine
        key = path.rstrip("/") or "/"
        form = _discovery_form(accept) if key in ("/api", "/apis") else ""
        if key.startswith("/openapi/"):
            return machine.openapi.document(key, accept)
        kept = self._kept.get(key + form)
        content_type = f"application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList" if form else JSON
        if kept is None or kept[0] != machine.registry.generation:
            made = self._made(key, form)
            if made is None:
                return None
            kept = (machine.registry.generation, _encode(made))
            self._kept[key + form] = kept
        return kept[1], content_type

    def _made(self, path: str, form: str) -> dict[str, Any] | None:
        registry, parts = self._machine.registry, path.split("/")[1:]
        if form:
            return discovery.aggregated(registry, path == "/api", form)
        fixed: dict[str, Callable[[], dict[str, Any]]] = {
            "/": lambda: discovery.paths(registry),
            "/version": lambda: discovery.VERSION,
            "/api": lambda: discovery.api_versions(self._machine.address),
            "/apis": lambda: discovery.group_list(registry),
            "/.well-known/openid-configuration": self._machine.tokens.configuration,
            "/openid/v1/jwks": self._machine.tokens.keys,
        }
        if path in fixed:
            return fixed[path]()
        if parts[0] == "api" and len(parts) == 2:
            return discovery.resource_list(registry, "", parts[1])
        if parts[0] != "apis" or len(parts) not in (2, 3):
            return None
        found = (
            discovery.group(registry, parts[1]) if len(parts) == 2 else discovery.resource_list(registry, *parts[1:])
        )
        if found is None and parts[1] in registry.groups():
            raise no_such_resource()
        return found


class _PlainNotFound(ApiError):
    """404 without a Status: a path that nobody serves."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", "404 page not found")


def _discovery_form(accept: str) -> str:
    for entry in accept.split(","):
        options = dict(part.strip().partition("=")[::2] for part in entry.split(";")[1:])
        if (
            options.get("as") == "APIGroupDiscoveryList"
            and options.get("g") == "apidiscovery.k8s.io"
            and options.get("v") in ("v2", "v2beta1")
        ):
            return options["v"]
        if entry.strip().partition(";")[0] == JSON and "as" not in options:
            return ""
    return ""


def _verb(method: str, target: Target, query: dict[str, list[str]]) -> str:
    if method in ("GET", "HEAD"):
        if target.name:
            return "get"
        watch = query.get("watch", ["false"])[0].lower()
        return "list" if watch in ("false", "0") else "watch"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    verbs = {"POST": "create", "PUT": "update", "PATCH": "patch"}
    if method not in verbs:
        raise not_allowed()
    return verbs[method]


def _check_scope(resource: Resource, target: Target, method: str, verb: str) -> None:
    """Paths that name too little or too much for the method."""
    if target.namespace and not resource.namespaced:
        raise no_such_resource()
    if resource.namespaced and not target.namespace and (target.name or verb not in ("list", "watch")):
        if target.name:
            raise no_such_resource()
        if verb != "create" or "list" in resource.verbs:
            raise not_allowed()
    if method in ("PUT", "PATCH") and not target.name:
        raise not_allowed()
    if method == "POST" and target.name and not target.subresource:
        raise not_allowed()
    if target.rest:
        raise no_such_resource()


def _unquoted(target: Target) -> Target:
    return Target(
        target.group,
        target.version,
        unquote(target.namespace),
        target.resource,
        unquote(target.name),
        target.subresource,
        target.rest,
    )


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > LIMIT:
            raise _too_large()
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise bad_request("the client went away before its body was read")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LIMIT:
            raise _too_large()
    return b"".join(parts)


def _too_large() -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}")


def _stream_type(form: Form) -> bytes:
    return (form.content_type if form.shape == "table" else f"{form.media}").encode()


def _warnings(warnings: list[str]) -> list[tuple[bytes, bytes]]:
    found = []
    for text in dict.fromkeys(warnings):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        found.append((b"warning", f'299 - "{escaped}"'.encode("latin-1", "replace")))
    return found


async def _send(send: Send, answer: Answer, warnings: list[str], *, pretty: bool = False) -> None:
    body = answer.body
    if pretty and answer.content_type.startswith(JSON):
        body = msgspec.json.format(body, indent=2)
    headers = [
        (b"audit-id", str(uuid.uuid4()).encode()),
        (b"cache-control", b"no-cache, private"),
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode()) for name, value in answer.headers),
        *_warnings(warnings),
    ]
    await send({"type": "http.response.start", "status": answer.code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_status(send: Send, error: ApiError, headers: dict[str, str]) -> None:
    if isinstance(error, _PlainNotFound):
        await _send_text(send, b"404 page not found\n", 404)
        return
    pretty = headers.get("user-agent", "").startswith(_PRETTY)
    await _send(
        send, Answer(error.code, _encode(error.status()), headers=error.headers), list(error.warnings), pretty=pretty
    )


async def _send_text(send: Send, body: bytes, code: int = 200) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-cache, private"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
