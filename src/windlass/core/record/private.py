"""What of a live object may stand in the ledger: Git forgets nothing, so text is a keyed digest unless it is allowed.

``flows/record.py`` passes every value of a field and every foreign sentence through here. Numbers, booleans, images and
names of a fixed form are shown; values of Secrets never are, whatever ``ledger.values`` of the Installation says; all
other text is a digest with the cluster's key: equal values are seen to be equal, and nobody reads or guesses them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from windlass.core.manifests.redact import SHOWN
from windlass.core.model import ObjectRef

DIGEST = "hmac-sha256:"
LONGEST = 500
"""Characters of a sentence."""
_MOST = 64
"""Values that are told of one difference; a larger one is told as one digest."""
_PLAIN = frozenset(
    {
        "apiVersion", "kind", "image", "imagePullPolicy", "type", "protocol", "restartPolicy", "schedule", "clusterIP",
        "serviceAccountName", "serviceAccount", "nodeName", "storageClassName", "effect", "operator", "targetPort",
        "containerPort", "name", "namespace", "cpu", "memory", "ephemeral-storage", "storage", "maxSurge",
        "maxUnavailable", "minAvailable", "replicas", "mountPath", "concurrencyPolicy", "strategy", "verbs",
        "apiGroups", "resources",
    }
)  # fmt: skip
"""Fields whose text has a fixed form, by which nobody hides a password."""
_LABELS = frozenset({("metadata", "labels"), ("spec", "selector")})
_QUOTED = re.compile(r'((?:Invalid|Duplicate|Unsupported) value: )("(?:[^"\\]|\\.)*"|[^\s:,;]+)')
_OUTPUT = frozenset({"Unhealthy", "FailedPostStartHook", "FailedPreStopHook"})
"""Kubernetes Events whose message ends in what a program printed."""
_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


class Private:
    """``key`` is the cluster's own for digests; ``allowed`` are JSON pointers of fields whose text is shown, in which
    ``*`` stands for any one part."""

    def __init__(self, key: bytes, allowed: Sequence[str] = ()) -> None:
        self._key = key
        self._allowed = tuple(tuple(_unescape(part) for part in one.split("/")[1:]) for one in allowed)

    def value(self, ref: ObjectRef, field: str, value: object) -> Any:
        """A value as it may be told. ``field`` reads like ``spec.template.spec.containers[name=web].image``."""
        if value is None:
            return None
        if ref.kind == "Secret" and not ref.group:
            return SHOWN
        found = msgspec.to_builtins(value)
        if _size(found, _MOST) >= _MOST:
            return self.digest(msgspec.json.encode(found, order="sorted").decode(errors="replace"))
        return self._shown(parts(field), found)

    def sentence(self, text: str) -> str:
        """Foreign words, without the values that an API server repeats in them, and not longer than LONGEST."""
        if not text:
            return ""
        hidden = _QUOTED.sub(lambda match: match[1] + self.digest(match[2].strip('"')), text)
        return _bounded(hidden)

    def event(self, reason: str, message: str) -> str:
        """The message of a Kubernetes Event. What a probe printed is the application's own text."""
        return self.sentence(message.partition(": ")[0] if reason in _OUTPUT else message)

    def digest(self, text: str) -> str:
        """Equal for equal texts, and nothing else."""
        return DIGEST + hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]

    def allows(self, path: Sequence[str]) -> bool:
        return any(
            len(pattern) == len(path) and all(one in ("*", two) for one, two in zip(pattern, path, strict=True))
            for pattern in self._allowed
        )

    def _shown(self, path: tuple[str, ...], value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): self._shown((*path, str(key)), one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._shown((*path, str(place)), one) for place, one in enumerate(value)]
        if not isinstance(value, str) or value == SHOWN:
            return value
        if self.allows(path) or self._plain(path):
            return _bounded(value)
        return self.digest(value)

    @staticmethod
    def _plain(path: tuple[str, ...]) -> bool:
        if not path or path[0] in ("data", "binaryData", "stringData"):
            return False
        names = [part for part in path if not part.isdigit()]
        return (names[-1] if names else "") in _PLAIN or path[:2] in _LABELS


def parts(field: str) -> tuple[str, ...]:
    """A field as parts of a JSON pointer. An item of a list is told by its keys: ``[name=web]`` is ``web``."""
    found = []
    for bracketed, name in _PART.findall(field):
        if name:
            found.append(name)
        else:
            found.append(",".join(part.partition("=")[2] or part for part in bracketed.split(",")))
    return tuple(found)


def _size(value: Any, most: int) -> int:
    """How many values there are in it, counted no further than ``most``."""
    if isinstance(value, Mapping):
        inner: list[Any] = list(value.values())
    elif isinstance(value, list):
        inner = value
    else:
        return 1
    count = 0
    for one in inner:
        count += _size(one, most - count)
        if count >= most:
            break
    return count


def _bounded(text: str) -> str:
    clean = text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 3] + "..."


def _unescape(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
