"""`ports.Cluster` for a real API server: the verbs, the live index and its watches, put together by `connect`.

`app.py` opens one for the controller, the command line one with a person's own rights. It holds no opinion about what
is written; it makes each request what the port says, and each answer one of the port's errors.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

import msgspec

from windlass import ports
from windlass.adapters.cluster.access import Access
from windlass.adapters.cluster.answers import Asked, HistoryGone, bounded
from windlass.adapters.cluster.client import Call, Client, Hook
from windlass.adapters.cluster.decode import Decoder, built_in, watched_whole
from windlass.adapters.cluster.discovery import Discovery
from windlass.adapters.cluster.follow import follow
from windlass.adapters.cluster.live import Index
from windlass.adapters.cluster.source import PAGE, Scope, list_page, pages
from windlass.adapters.cluster.watch import LiveWatch, Slices, Trouble
from windlass.adapters.host.wire import Headers, Reply
from windlass.core.model import LiveObject, ObjectRef, Resource
from windlass.core.model.foreign import UNREADABLE
from windlass.errors import WindlassError

APPLY = "application/apply-patch+yaml"  # JSON is YAML; every server since 1.16 knows this name
FORMS = {"merge": "application/merge-patch+json", "json": "application/json-patch+json"}
_PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._:-]+")
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
LOG_BYTES = 1 << 16
LOG_TIMEOUT = 3.0  # seconds
PODS = Resource("", "v1", "pods", "Pod", True)
_VERSION_KEPT = 600.0
"""Seconds for which the API server's version is believed: it changes at an upgrade."""

_DEFINITIONS = frozenset({"CustomResourceDefinition", "APIService"})


Surveyed: TypeAlias = Mapping[ObjectRef, LiveObject]


class Tasks(Protocol):
    """Where tasks are made, so that none is lost: an `asyncio.TaskGroup`, or what supervises them."""

    def create_task(self, coro: Coroutine[Any, Any, None], *, name: str | None = None) -> asyncio.Task[None]: ...


class KubeCluster:
    """`ports.Cluster`. Watches are tasks in `tasks`; `close` ends them."""

    def __init__(
        self,
        client: Client,
        clock: ports.Clock,
        tasks: Tasks,
        on_trouble: Trouble | None = None,
    ) -> None:
        self.client = client
        self.discovery = Discovery(client, clock.monotonic)
        self._clock = clock
        self._version, self._version_asked = "", 0.0
        self._index = Index(clock.monotonic)
        self._decoder = Decoder()
        self._tasks = tasks
        self._on_trouble = on_trouble
        self._watches: dict[tuple[str, str], tuple[LiveWatch, asyncio.Task[None]]] = {}
        self._surveys: dict[tuple[Resource, str], tuple[asyncio.Future[Surveyed], asyncio.Task[None]]] = {}
        self._version_lock = asyncio.Lock()
        self._index.listen(self._definitions)

    @property
    def live(self) -> ports.LiveIndex:
        return self._index

    async def close(self) -> None:
        """Ends every watch."""
        tasks = [task for _, task in (*self._watches.values(), *self._surveys.values())]
        self._watches.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def version(self) -> str:
        """The API server's own version, like `v1.36.3`."""
        answer = await self.client.send(Call("get", "/version", Asked("ask for", "the API server's version")))
        return bounded(str(_content(answer).get("gitVersion", "")), 64)

    async def facts(self) -> ports.ClusterFacts:
        async with self._version_lock:  # many Applications ask at a start: once is enough
            now = self._clock.monotonic()
            if not self._version or now - self._version_asked >= _VERSION_KEPT:
                self._version, self._version_asked = await self.version(), now
        return ports.ClusterFacts(self._version, await self.discovery.served())

    async def resource(self, api_version: str, kind: str) -> Resource:
        return await self.discovery.resource(api_version, kind)

    async def watch(self, resource: Resource) -> None:
        key = (resource.group, resource.kind)
        if key not in self._watches:
            watch = LiveWatch(self.client, self.discovery, self._index, self._decoder, resource, self._on_trouble)
            task = self._tasks.create_task(watch.run(), name=f"watch {resource.plural}.{resource.group}")
            self._watches[key] = (watch, task)
        await self._watches[key][0].ready()

    # --- writes ---

    async def apply(self, request: ports.ApplyRequest) -> ports.ApplyAnswer:
        resource, ref = request.resource, request.ref
        query = {"fieldManager": request.manager, "fieldValidation": "Strict"}
        if request.force:
            query["force"] = "true"
        if request.dry_run:
            query["dryRun"] = "All"
        asked = _asked("apply", resource, ref, uid=bool(request.uid), user=request.user)
        answer = await self.client.send(
            Call(
                "apply",
                _path(resource, ref),
                asked,
                kind=_counted(resource),
                method="PATCH",
                query=query,
                body=_with_preconditions(request),
                content_type=APPLY,
                user=request.user,
                fenced=not request.dry_run,
            )
        )
        return ports.ApplyAnswer(
            created=answer.code == 201,
            live=self._decoder.live(resource, answer.body, whole=watched_whole(resource)),
            content=_content(answer),
            warnings=_warnings(answer.headers),
        )

    async def delete(
        self, resource: Resource, ref: ObjectRef, *, uid: str, resource_version: str = "", user: str = ""
    ) -> None:
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid} | ({"resourceVersion": resource_version} if resource_version else {}),
        }
        call = Call(
            "delete",
            _path(resource, ref),
            _asked("delete", resource, ref, user=user),
            kind=_counted(resource),
            method="DELETE",
            body=msgspec.json.encode(options),
            user=user,
        )
        try:
            await self.client.send(call)
        except ports.ObjectMissing:
            return  # gone already, which is what was asked for

    async def patch(
        self,
        resource: Resource,
        ref: ObjectRef,
        patch: object,
        *,
        form: str,
        manager: str,
        subresource: str = "",
        user: str = "",
    ) -> dict[str, Any]:
        call = Call(
            "patch",
            _path(resource, ref, subresource),
            _asked("patch", resource, ref, user=user),
            kind=_counted(resource, subresource),
            method="PATCH",
            query={"fieldManager": manager, "fieldValidation": "Strict"},
            body=msgspec.json.encode(patch),
            content_type=FORMS[form],
            user=user,
        )
        return _content(await self.client.send(call))

    async def create(self, resource: Resource, namespace: str, content: object, *, manager: str) -> dict[str, Any]:
        call = Call(
            "create",
            resource.path(quote(namespace, safe="")),
            Asked(
                "create", f"{resource.kind} in {namespace}" if namespace else resource.kind, secret=_secret(resource)
            ),
            kind=_counted(resource),
            method="POST",
            query={"fieldManager": manager, "fieldValidation": "Strict"},
            body=msgspec.json.encode(content),
            later=resource.kind == "Event",  # what it tells of is never to wait for it
        )
        return _content(await self.client.send(call))

    # --- reads ---

    async def read(self, resource: Resource, ref: ObjectRef, *, user: str = "") -> dict[str, Any] | None:
        answer = await self._get(resource, ref, "application/json", user)
        return None if answer is None else _content(answer)

    async def look(self, resource: Resource, ref: ObjectRef) -> LiveObject | None:
        answer = await self._get(resource, ref, _metadata_accept(resource), "")
        return None if answer is None else self._decoder.live(resource, answer.body, whole=False)

    async def survey(self, resource: Resource, namespace: str = "") -> Mapping[ObjectRef, LiveObject]:
        key = (resource, namespace)
        if key not in self._surveys:
            # A task of its own: a caller that is cancelled must not take the list away from the others.
            shared: asyncio.Future[Surveyed] = asyncio.get_running_loop().create_future()
            shared.add_done_callback(partial(self._surveyed, key))
            survey = self._survey(shared, resource, namespace)
            self._surveys[key] = (shared, self._tasks.create_task(survey, name=f"survey {_counted(resource)}"))
        return await asyncio.shield(self._surveys[key][0])

    async def select(
        self, resource: Resource, namespace: str, *, labels: str = "", fields: str = "", limit: int = 0
    ) -> list[dict[str, Any]]:
        scope = Scope(resource, namespace, labels, fields)
        found: list[dict[str, Any]] = []
        slices = Slices()
        token, first = "", True
        while (token or first) and (not limit or len(found) < limit):
            try:
                page = await list_page(self.client, scope, limit=min(limit or PAGE, PAGE), token=token)
            except HistoryGone:
                page = await list_page(self.client, scope, limit=0)
                found.clear()
            token, first = page.token, False
            for raw in page.objects:
                found.append({"apiVersion": resource.api_version, "kind": resource.kind} | msgspec.json.decode(raw))
                await slices.breathe()
        return found[:limit] if limit else found

    def follow(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        name: str = "",
        metadata: bool = False,
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        trouble = partial(self._on_trouble, resource) if self._on_trouble is not None else None
        fields = f"metadata.name={name}" if name else fields
        return follow(self.client, Scope(resource, namespace, labels, fields, metadata), trouble)

    async def pod_log(self, namespace: str, pod: str, container: str, *, previous: bool = False, lines: int = 1) -> str:
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(LOG_BYTES)}
        if previous:
            query["previous"] = "true"
        ref = ObjectRef("", "Pod", namespace, pod)
        call = Call(
            "get",
            _path(PODS, ref, "log"),
            Asked("read", f"the log of {ref.full}"),
            kind="pods/log",
            query=query,
            accept="text/plain, */*",
            # Somebody waits for the line, and a node that does not answer now has none.
            timeout=LOG_TIMEOUT,
        )
        return (await self.client.send(call)).body.decode(errors="replace")

    # --- inside ---

    async def _get(self, resource: Resource, ref: ObjectRef, accept: str, user: str) -> Reply | None:
        asked = _asked("read", resource, ref, user=user)
        call = Call("get", _path(resource, ref), asked, kind=_counted(resource), accept=accept, user=user)
        try:
            return await self.client.send(call)
        except ports.ObjectMissing:
            return None

    async def _survey(self, shared: asyncio.Future[Surveyed], resource: Resource, namespace: str) -> None:
        """Never raises: what goes wrong is the callers' to know."""
        try:
            result = await self._all(resource, namespace)
        except WindlassError as error:
            if not shared.done():
                shared.set_exception(error)
        except BaseException:
            shared.cancel()
            raise
        else:
            if not shared.done():
                shared.set_result(result)

    async def _all(self, resource: Resource, namespace: str) -> dict[ObjectRef, LiveObject]:
        scope = Scope(resource, namespace, metadata_only=True)
        for attempt in range(3):
            found: dict[ObjectRef, LiveObject] = {}
            slices = Slices()
            try:
                async for page in pages(self.client, scope):
                    for raw in page.objects:
                        live = self._decoder.live(resource, raw, whole=False)
                        found[live.ref] = live
                        await slices.breathe()
            except HistoryGone:
                if attempt == 2:
                    raise
                continue
            return found
        raise AssertionError("unreachable")

    def _surveyed(self, key: tuple[Resource, str], shared: asyncio.Future[Surveyed]) -> None:
        self._surveys.pop(key, None)
        if not shared.cancelled():
            shared.exception()  # taken note of, also where every caller went away

    def _definitions(self, change: ports.LiveChange) -> None:
        if change.ref.kind in _DEFINITIONS:
            self.discovery.changed()


@asynccontextmanager
async def connect(
    access: Access,
    clock: ports.Clock,
    *,
    on_request: Hook | None = None,
    on_trouble: Trouble | None = None,
) -> AsyncIterator[KubeCluster]:
    """An open cluster; its watches end with the block. Where one of several leads, `client.fence` is to be its `held`.

    A bug in a watch ends the block with it (an ExceptionGroup), rather than leaving an index that nobody feeds.
    """
    async with Client(access, on_request=on_request) as client, asyncio.TaskGroup() as tasks:
        cluster = KubeCluster(client, clock, tasks, on_trouble)
        try:
            yield cluster
        finally:
            await cluster.close()


def _path(resource: Resource, ref: ObjectRef, subresource: str = "") -> str:
    """The request path, with every name kept inside its own part of it."""
    for name in (ref.name, ref.namespace):
        if name in (".", "..") or "/" in name or "%" in name:
            raise ports.ObjectRejected(f"{bounded(name, 100)!r} can't be a name in Kubernetes", ("metadata.name",))
    if not ref.name:
        raise ports.ObjectRejected(f"a {resource.kind} has no name", ("metadata.name",))
    if resource.namespaced and not ref.namespace:
        raise ports.ObjectRejected(f"{resource.kind}/{ref.name} has no namespace", ("metadata.namespace",))
    name = ref.name if _PLAIN_NAME.fullmatch(ref.name) else quote(ref.name, safe="")
    namespace = ref.namespace if _PLAIN_NAME.fullmatch(ref.namespace) else quote(ref.namespace, safe="")
    return resource.path(namespace, name, subresource)


def _asked(verb: str, resource: Resource, ref: ObjectRef, *, uid: bool = False, user: str = "") -> Asked:
    return Asked(verb, ref.full, secret=_secret(resource), uid=uid, user=user)


def _secret(resource: Resource) -> bool:
    return resource.kind == "Secret" and not resource.group


def _counted(resource: Resource, subresource: str = "") -> str:
    name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    return f"{name}/{subresource}" if subresource else name


def _metadata_accept(resource: Resource) -> str:
    """Metadata alone; of kinds that other servers serve, the whole object where they know nothing else."""
    return _PARTIAL if built_in(resource.group) else f"{_PARTIAL},application/json"


def _with_preconditions(request: ports.ApplyRequest) -> bytes:
    """The body, its metadata completed by uid and resourceVersion. The rest of it stays byte for byte."""
    if not request.uid and not request.resource_version:
        return request.body
    body = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
    metadata: dict[str, Any] = msgspec.json.decode(body["metadata"], type=dict[str, msgspec.Raw])
    if request.uid:
        metadata["uid"] = request.uid
    if request.resource_version:
        metadata["resourceVersion"] = request.resource_version
    return msgspec.json.encode(body | {"metadata": msgspec.Raw(msgspec.json.encode(metadata))})


def _content(answer: Reply) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except UNREADABLE as error:
        raise ports.ClusterUnavailable("the API server's answer is no object: cut off?") from error


def _warnings(headers: Headers) -> tuple[str, ...]:
    """The texts of `Warning: 299` headers."""
    found = [text.replace('\\"', '"') for line in headers.all("Warning") for text in _WARNING.findall(line)]
    return tuple(bounded(text, 300) for text in found[:20])
