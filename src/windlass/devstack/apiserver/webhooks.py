"""Mutating and validating admission webhooks: who has to be asked about a write, and what they answer.

Called by ``admission.py``. Asked over https by ``clientConfig.url`` only, trusted by ``caBundle``; a ``service`` can't
be reached here and counts as a failed call. ``matchConditions`` are not evaluated: a webhook that has some counts as
failed as well, so that nothing passes unseen.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from windlass.core.manifests.schemas import UNTYPED
from windlass.core.manifests.selectors import LabelSelector
from windlass.devstack.apiserver.errors import ApiError, internal
from windlass.devstack.apiserver.patching import JSON_PATCH, run_patch
from windlass.devstack.apiserver.reviews import user_info
from windlass.devstack.apiserver.store import Store
from windlass.devstack.apiserver.writing import Object, Write

if TYPE_CHECKING:
    import aiohttp

_GROUP = "admissionregistration.k8s.io"
MUTATING, VALIDATING = f"mutatingwebhookconfigurations.{_GROUP}", f"validatingwebhookconfigurations.{_GROUP}"
_LIMIT = 8 * 1024 * 1024


class Webhooks:
    """See the module's head. The HTTP session is made with the first call and closed by `close`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()

    def wanted(self, operation: str, write: Write) -> bool:
        """Whether any webhook may be concerned."""
        if not self._store.count(MUTATING) and not self._store.count(VALIDATING):
            return False
        return write.resource.group != _GROUP

    async def mutate(self, operation: str, write: Write, obj: Object, old: Object | None) -> Object:
        """The object after all mutating webhooks, one after the other."""
        for hook in self._hooks(MUTATING, operation, write, obj, old):
            answer = await self._ask(hook, operation, write, obj, old)
            if answer is None:
                continue
            self._refuse(hook, answer)
            patch = answer.get("patch")
            if patch:
                try:
                    obj = run_patch(JSON_PATCH, obj, msgspec.json.decode(base64.b64decode(patch)), UNTYPED)
                except (ValueError, TypeError, ApiError) as error:
                    raise internal(
                        f'failed calling webhook "{hook["name"]}": its patch can\'t be applied: {error}'
                    ) from error
        return obj

    async def validate(self, operation: str, write: Write, obj: Object, old: Object | None) -> None:
        """Raises what the first validating webhook says that refuses."""
        for hook in self._hooks(VALIDATING, operation, write, obj, old):
            answer = await self._ask(hook, operation, write, None if operation == "DELETE" else obj, old)
            if answer is not None:
                self._refuse(hook, answer)

    def _hooks(self, shelf: str, operation: str, write: Write, obj: Object, old: Object | None) -> Iterator[Object]:
        for item in self._store.items(shelf):
            for hook in item.obj.get("webhooks") or []:
                if any(_rule_matches(rule, operation, write) for rule in hook.get("rules") or []) and self._selected(
                    hook, write, obj, old
                ):
                    yield hook

    def _selected(self, hook: Object, write: Write, obj: Object, old: Object | None) -> bool:
        wanted = LabelSelector.of(hook.get("objectSelector") or {})
        if not any(wanted.matches((each.get("metadata") or {}).get("labels")) for each in (obj, old or obj)):
            return False
        if not write.namespace and write.resource.storage != "namespaces":
            return True
        if write.resource.storage == "namespaces":
            labels = (obj.get("metadata") or {}).get("labels")
        else:
            space = self._store.get("namespaces", "", write.namespace)
            labels = space.obj["metadata"].get("labels") if space else None
        return LabelSelector.of(hook.get("namespaceSelector") or {}).matches(labels)

    async def _ask(
        self, hook: Object, operation: str, write: Write, obj: Object | None, old: Object | None
    ) -> Object | None:
        """The response part of a webhook's answer; None where it failed and may."""
        if write.dry_run and hook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            why = f'admission webhook "{hook["name"]}" does not support dry run'
            raise ApiError(400, "BadRequest", why)
        seconds = float(hook.get("timeoutSeconds") or 10)
        import aiohttp  # a third of the server's imports, and most clusters have no webhook

        try:
            return await self._call(hook, _review(operation, write, obj, old), seconds)
        except (OSError, ValueError, TypeError, aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            if hook.get("failurePolicy") == "Ignore":
                return None
            text = "context deadline exceeded" if isinstance(error, TimeoutError) else str(error)
            raise internal(f'failed calling webhook "{hook["name"]}": failed to call webhook: {text}') from error

    async def _call(self, hook: Object, review: Object, seconds: float) -> Object:
        client = hook.get("clientConfig") or {}
        url = client.get("url")
        if not url:
            raise ValueError("a webhook behind a service can't be reached in this cluster: use clientConfig.url")
        if hook.get("matchConditions"):
            raise ValueError("matchConditions of webhooks are not evaluated by this cluster")
        context = ssl.create_default_context()
        if client.get("caBundle"):
            context = ssl.create_default_context(cadata=base64.b64decode(client["caBundle"]).decode())
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession()
        async with asyncio.timeout(seconds):
            headers = {"content-type": "application/json"}
            async with self._session.post(
                f"{url}?timeout={seconds:.0f}s", data=msgspec.json.encode(review), headers=headers, ssl=context
            ) as answer:
                body = await answer.content.read(_LIMIT)
                if answer.status != 200:
                    raise ValueError(f"the server answered {answer.status}")
        found = msgspec.json.decode(body)
        response = found["response"] if isinstance(found, dict) and isinstance(found.get("response"), dict) else None
        if response is None or response.get("uid") != review["request"]["uid"]:
            raise ValueError("the answer is no AdmissionReview of this request")
        return dict(response)

    @staticmethod
    def _refuse(hook: Object, answer: Object) -> None:
        if answer.get("allowed"):
            return
        status = answer.get("status") or {}
        said = status.get("message") or status.get("reason")
        words = f'admission webhook "{hook["name"]}" denied the request'
        message = f"{words}: {said}" if said else f"{words} without explanation"
        code = int(status.get("code") or 403)
        raise ApiError(code if code >= 400 else 403, status.get("reason") or "Forbidden", message)


def _rule_matches(rule: Object, operation: str, write: Write) -> bool:
    resource = write.resource
    plural = f"{resource.plural}/{write.subresource}" if write.subresource else resource.plural
    scope = rule.get("scope") or "*"
    if scope != "*" and (scope == "Namespaced") is not resource.namespaced:
        return False
    wanted = rule.get("resources") or ()
    part = plural.partition("/")[2]
    named = plural in wanted or "*/*" in wanted or (not part and "*" in wanted) or (part and f"*/{part}" in wanted)
    if not named and f"{resource.plural}/*" not in wanted:
        return False
    return all(
        value in (rule.get(key) or ()) or "*" in (rule.get(key) or ())
        for key, value in (("operations", operation), ("apiGroups", resource.group), ("apiVersions", resource.version))
    )


def _review(operation: str, write: Write, obj: Object | None, old: Object | None) -> Object:
    resource = write.resource
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    plural = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    request: Object = {
        "uid": str(uuid.uuid4()),
        "kind": kind,
        "resource": plural,
        "requestKind": kind,
        "requestResource": plural,
        "name": write.name,
        "operation": operation,
        "userInfo": user_info(write.user),
        "object": obj,
        "oldObject": old,
        "dryRun": write.dry_run,
    }
    if write.namespace:
        request["namespace"] = write.namespace
    if write.subresource:
        request["subResource"] = request["requestSubResource"] = write.subresource
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
