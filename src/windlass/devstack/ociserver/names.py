"""The grammar of names, tags and digests, and the errors of the distribution protocol.

Every other module here takes names and digests only after these have looked at them: they become parts of paths.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from typing_extensions import override

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME = re.compile(rf"{_PART}(?:/{_PART}){{0,8}}")
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
LONGEST_NAME = 200


class RegistryError(Exception):
    """What a request is answered with: a status, and a code of the protocol's table with a sentence."""

    def __init__(self, status: int, code: str, message: str, detail: object = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail

    @property
    def body(self) -> bytes:
        """The protocol's JSON form."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.detail is not None:
            error["detail"] = self.detail
        return json.dumps({"errors": [error]}).encode()

    @override
    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def checked_name(name: str) -> str:
    """The name of a repository, as it is. Raises RegistryError NAME_INVALID."""
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise RegistryError(400, "NAME_INVALID", "a repository's name is small letters and digits, parts by slashes")
    return name


def checked_digest(digest: str) -> str:
    """A digest, as it is. Raises RegistryError DIGEST_INVALID."""
    if not DIGEST.fullmatch(digest):
        raise RegistryError(400, "DIGEST_INVALID", "a digest is sha256:<64 hex digits> or sha512:<128 hex digits>")
    return digest


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """``sha256:<hex>`` of some bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def unknown_name(name: str) -> RegistryError:
    return RegistryError(404, "NAME_UNKNOWN", "there is no such repository", {"name": name})


def unknown_manifest(reference: str) -> RegistryError:
    return RegistryError(404, "MANIFEST_UNKNOWN", "there is no such manifest", {"reference": reference})


def unknown_blob(digest: str) -> RegistryError:
    return RegistryError(404, "BLOB_UNKNOWN", "there is no such blob in this repository", {"digest": digest})
