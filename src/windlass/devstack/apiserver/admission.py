"""What may refuse a write besides its own kind: the life of its namespace, and webhooks.

Called by the `Writer` and the `Deleter`. ResourceQuota and LimitRange are not enforced.
"""

from __future__ import annotations

from windlass.devstack.apiserver.errors import ApiError, forbidden, not_found
from windlass.devstack.apiserver.store import Store
from windlass.devstack.apiserver.webhooks import Webhooks
from windlass.devstack.apiserver.writing import Object, Write


class Gate:
    """The `Admission` of this server."""

    def __init__(self, store: Store, webhooks: Webhooks) -> None:
        self._store = store
        self._webhooks = webhooks

    def check_namespace(self, write: Write) -> None:
        """404 where the namespace of a new object is not, 403 where it is going."""
        if not write.namespace:
            return
        item = self._store.get("namespaces", "", write.namespace)
        if item is None:
            raise not_found("", "namespaces", write.namespace)
        if item.obj["metadata"].get("deletionTimestamp"):
            raise _terminating(write)

    def wanted(self, operation: str, write: Write) -> bool:
        """Whether anybody outside this process has to be asked."""
        return self._webhooks.wanted(operation, write)

    async def mutate(self, operation: str, write: Write, obj: Object, old: Object | None) -> Object:
        """The object as mutating webhooks leave it."""
        return await self._webhooks.mutate(operation, write, obj, old)

    async def validate(self, operation: str, write: Write, obj: Object, old: Object | None) -> None:
        """Raises what a validating webhook says."""
        await self._webhooks.validate(operation, write, obj, old)


def _terminating(write: Write) -> ApiError:
    why = f"unable to create new content in namespace {write.namespace} because it is being terminated"
    error = forbidden(write.resource.group, write.resource.plural, write.name, why)
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {write.namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.details = {**(error.details or {}), "causes": [cause]}
    return error
