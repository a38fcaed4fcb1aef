"""Credentials that Repositories name: read when needed, kept for minutes, never logged.

The values are ``Credential`` maps whose text never shows them. A refused credential is read again at once, so that a
rotated Secret works without a restart; otherwise it is kept for ``KEEP`` seconds, because at rest nothing is asked.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from windlass.core.model import ObjectRef, Resource
from windlass.errors import NeedsHuman, Where
from windlass.flows.fleet import Key
from windlass.ports import Clock, Cluster

KEEP = 600.0
AGAIN = 10.0
SECRETS = Resource("", "v1", "secrets", "Secret", True)
RESOURCES = {"ConfigMap": Resource("", "v1", "configmaps", "ConfigMap", True), "Secret": SECRETS}


class Credential(dict[str, bytes]):
    """The decoded keys of a Secret. Its text tells only the names."""

    @override
    def __repr__(self) -> str:
        return f"Credential({', '.join(sorted(self))})"

    __str__ = __repr__


class SecretReader:
    """Reads Secrets of the namespace that names them, with the controller's own rights."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._kept: dict[tuple[str, Key], tuple[float, Credential]] = {}
        self._hooked: dict[Key, float] = {}

    async def read(self, namespace: str, name: str, *, fresh: bool = False, kind: str = "Secret") -> Credential:
        """The keys of a Secret, or of a ConfigMap where one is named in its place. Raises NeedsHuman when it is not
        there or holds something else than base64."""
        key = kind, Key(namespace, name)
        kept = self._kept.get(key)
        now = self._clock.monotonic()
        if kept is not None and not fresh and now - kept[0] < KEEP:
            return kept[1]
        content = await self._cluster.read(RESOURCES[kind], ObjectRef("", kind, namespace, name))
        if content is None:
            raise NeedsHuman(
                f"{kind} {name} is not in namespace {namespace}",
                where=Where(field=f"{kind} {namespace}/{name}"),
                hint="make it there, with the keys that docs/kinds/repository.md lists"
                if kind == "Secret"
                else "make it there, or mend the name",
            )
        credential = contents(kind, content, name)
        self._kept[key] = (now, credential)
        return credential

    async def hook(self, source: Key, name: str, *, again: bool = False) -> bytes:
        """The HMAC secret of a Repository's push hooks, b"" where there is none.

        ``again``: what was kept did not fit, it may have been rotated. Anybody may send a hook, so the cluster is
        asked at most each ``AGAIN`` seconds, whether the Secret is there or not.
        """
        key, now = Key(source.namespace, name), self._clock.monotonic()
        kept = self._kept.get(("Secret", key))
        if kept is None or again:
            if now - self._hooked.get(key, float("-inf")) < AGAIN:
                return kept[1].get("token", b"") if kept is not None else b""
            self._hooked[key] = now
        try:
            credential = await self.read(source.namespace, name, fresh=again)
        except NeedsHuman:
            return b""
        return credential.get("token", b"")

    def forget(self, namespace: str, name: str) -> None:
        self._kept.pop(("Secret", Key(namespace, name)), None)


def contents(kind: str, content: Mapping[str, Any], name: str) -> Credential:
    """The keys of a Secret or ConfigMap as bytes. Raises NeedsHuman for what is not base64."""
    if kind == "Secret":
        return decoded(content.get("data") or {}, name)
    plain = {key: str(value).encode() for key, value in (content.get("data") or {}).items()}
    return Credential(plain | decoded(content.get("binaryData") or {}, name, kind))


def decoded(data: Mapping[str, Any], name: str, kind: str = "Secret") -> Credential:
    """Values in base64. Raises NeedsHuman."""
    try:
        return Credential({key: base64.b64decode(value or "", validate=True) for key, value in data.items()})
    except (binascii.Error, ValueError, TypeError):
        raise NeedsHuman(f"{kind} {name} holds a value that is not base64") from None
