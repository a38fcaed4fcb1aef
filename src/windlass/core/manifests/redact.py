"""Secrets don't leave this room unmasked: values of Secrets become ``Masked``, which can't be printed.

Called before a manifest goes to a person, a log, an event, the ledger or a diff. Masking keeps what a diff needs (that
a value is there, and whether two are equal, by a keyed digest where the caller has a key) and nothing else. What else
may hold secrets (ConfigMaps, environment) is the ledger's own rule.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, final

from typing_extensions import override

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
SHOWN = "***"


@final
class Masked:
    """A value that is there and can't be read: every way to print it says ``***``.

    Equal to another where both were masked with the same key and had the same value; without a key only to itself.
    """

    __slots__ = ("_digest",)

    def __init__(self, value: object, key: bytes = b"") -> None:
        text = value if isinstance(value, str) else repr(value)
        self._digest = hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest() if key else b""

    @property
    def digest(self) -> str:
        """The first 12 hex digits of the keyed digest, empty without a key: tells changes apart, not values."""
        return self._digest[:6].hex()

    @override
    def __repr__(self) -> str:
        return SHOWN

    @override
    def __str__(self) -> str:
        return SHOWN

    @override
    def __format__(self, spec: str) -> str:
        return SHOWN

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Masked):
            return NotImplemented
        return self is other or (bool(self._digest) and hmac.compare_digest(self._digest, other._digest))

    @override
    def __hash__(self) -> int:
        return hash(self._digest) if self._digest else id(self)

    @override
    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a masked value does not leave the process")


def is_secret(body: Mapping[str, Any]) -> bool:
    """Whether a manifest is a Secret, or a list that holds some."""
    kind = body.get("kind")
    return kind in ("Secret", "SecretList") and body.get("apiVersion") == "v1"


def masked(body: dict[str, Any], key: bytes = b"") -> dict[str, Any]:
    """A copy in which every value of a Secret, and every last-applied annotation, is ``Masked``.

    ``key`` makes equal values equal. Objects without anything to mask come back as they are.
    """
    if "items" in body and str(body.get("kind", "")).endswith("List"):
        items = [masked(item, key) if isinstance(item, dict) else item for item in body["items"] or ()]
        kind = str(body.get("kind"))[:-4]
        if kind == "Secret":  # items of a typed list may leave out their own kind
            items = [_mask_secret(item, key) if isinstance(item, dict) else item for item in items]
        return {**body, "items": items}
    if is_secret(body):
        body = _mask_secret(body, key)
    return _mask_last_applied(body, key)


def _mask_secret(body: dict[str, Any], key: bytes) -> dict[str, Any]:
    out = dict(body)
    for field in ("data", "stringData"):
        if field not in out:
            continue
        values = out[field]
        if isinstance(values, Mapping):
            out[field] = {
                name: value if isinstance(value, Masked) else Masked(value, key) for name, value in values.items()
            }
        elif values is not None:  # malformed, and therefore the more to be hidden
            out[field] = Masked(values, key)
    return out


def _mask_last_applied(body: dict[str, Any], key: bytes) -> dict[str, Any]:
    metadata = body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(annotations, dict) or LAST_APPLIED not in annotations:
        return body
    hidden = {**annotations, LAST_APPLIED: Masked(annotations[LAST_APPLIED], key)}
    return {**body, "metadata": {**metadata, "annotations": hidden}}


def printable(value: Any) -> Any:
    """The same data with ``***`` in place of every ``Masked``, for JSON and YAML."""
    if isinstance(value, Masked):
        return SHOWN
    if isinstance(value, dict):
        return {name: printable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    return value
