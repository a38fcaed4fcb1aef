"""References to images as people write them, and what they mean: registry, repository, tag, digest.

``nginx``, ``acme/shop:1.4``, ``registry.example.com:5000/acme/shop:1.4@sha256:...``. Two references mean the same image
when they are one after the short forms of Docker Hub are written out. Everybody who compares or writes references uses
this; nothing here asks a registry.
"""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec
from typing_extensions import override

from windlass.errors import NeedsHuman

HUB = "docker.io"
_HUBS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
LONGEST = 512


class BadReference(NeedsHuman):
    """A text that no registry would take as the name of an image."""

    slug: ClassVar[str] = "bad-image"
    reason: ClassVar[str] = "BadImage"


class Reference(msgspec.Struct, frozen=True):
    """``name`` is as it was written, without tag and digest; ``registry`` and ``repository`` are written out."""

    name: str
    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def image(self) -> tuple[str, str]:
        """What makes two references mean one image."""
        return self.registry, self.repository

    @override
    def __str__(self) -> str:
        return written(self.name, self.tag, self.digest)


def written(name: str, tag: str = "", digest: str = "") -> str:
    """``name:tag@digest``, each part where it is given."""
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def parse(text: str) -> Reference:
    """Reads a reference. Raises BadReference."""
    rest, at, digest = text.partition("@")
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        name, colon, tag = rest, "", ""
    first, slash, path = name.partition("/")
    # As Docker reads it: what looks like a host in front of the first slash is one.
    hosted = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    host, path = (first, path) if hosted else ("", name)
    good = (
        len(text) <= LONGEST
        and _PATH.fullmatch(path)
        and (not hosted or _HOST.fullmatch(host))
        and (not colon or _TAG.fullmatch(tag))
        and (not at or _DIGEST.fullmatch(digest))
    )
    if not good:
        shown = text if len(text) <= 80 else text[:77] + "..."
        raise BadReference(
            f"{shown!r} is not the name of an image",
            hint="write registry.example.com/acme/shop, with :tag or @sha256:... where one is meant",
        )
    registry = HUB if not host or host.lower() in _HUBS else host.lower()
    repository = f"library/{path}" if registry == HUB and "/" not in path else path
    return Reference(name, registry, repository, tag, digest)


def read(text: object) -> Reference | None:
    """The reference that a value is; None where it is none (a template, a number)."""
    if not isinstance(text, str):
        return None
    try:
        return parse(text)
    except BadReference:
        return None
