"""What a registry keeps, in one folder: blobs by digest, and per repository which of them it has and its tags.

    blobs/sha256/ab/<hex>                       content, written once, read-only from then on
    repositories/<name>/_blobs/<digest>         an empty file: this repository has that blob
    repositories/<name>/_manifests/<digest>     its media type; the bytes are a blob
    repositories/<name>/_tags/<tag>             a digest
    repositories/<name>/_referrers/<subject>/<digest>   an empty file: that manifest names this one as its subject
    uploads/<id>                                what has been sent so far

A name has no part that begins with "_", so none can collide with these. Everything is written beside and renamed, so a
kill leaves no half of anything. Blocking: called in threads by ``server``. A blob nobody names any more stays until
``sweep``; deleting is by repository, as the protocol has it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass.adapters.host.files import write_atomic
from windlass.devstack.ociserver.names import (
    RegistryError,
    checked_digest,
    digest_of,
    unknown_blob,
    unknown_manifest,
    unknown_name,
)

PIECE = 1 << 20
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LARGEST_MANIFEST = 4 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest: its bytes as they were pushed, its media type and digest. ``subject``: what it refers to, or ""."""

    digest: str
    media_type: str
    content: bytes
    subject: str = ""


class Store:
    """A registry's folder. Names and digests are checked by the caller (``names``)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- blobs --------------------------------------------------------------------------------------------------------

    def blob(self, name: str, digest: str) -> Path:
        """The file of a blob that a repository has. Raises RegistryError BLOB_UNKNOWN."""
        if not (self._repository(name) / "_blobs" / digest).exists():
            raise unknown_blob(digest)
        return self._content(digest)

    def mount(self, name: str, digest: str, source: str) -> bool:
        """Gives a repository a blob that another one has. False where that one has none."""
        try:
            self.blob(source, digest)
        except RegistryError:
            return False
        self._touch(self._repository(name) / "_blobs" / digest)
        return True

    def remove_blob(self, name: str, digest: str) -> None:
        """Takes a blob from a repository. Raises RegistryError BLOB_UNKNOWN."""
        self.blob(name, digest)
        (self._repository(name) / "_blobs" / digest).unlink(missing_ok=True)

    # --- uploads ------------------------------------------------------------------------------------------------------

    def begin(self) -> str:
        """A new upload's id."""
        upload = secrets.token_hex(16)
        self._touch(self.root / "uploads" / upload)
        return upload

    def upload(self, upload: str) -> Path:
        """The file of what was sent so far. Raises RegistryError BLOB_UPLOAD_UNKNOWN."""
        path = self.root / "uploads" / upload
        if not upload.isalnum() or not path.is_file():
            raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload; it may have ended")
        return path

    def finish(self, name: str, upload: str, digest: str) -> None:
        """Makes an upload a blob of the repository, if it is what its digest says. Raises RegistryError."""
        path = self.upload(upload)
        algorithm, _, wanted = digest.partition(":")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
        if found != wanted:
            path.unlink(missing_ok=True)
            raise RegistryError(400, "DIGEST_INVALID", f"what was sent has the digest {algorithm}:{found}")
        goal = self._content(digest)
        goal.parent.mkdir(parents=True, exist_ok=True)
        path.replace(goal)
        self._touch(self._repository(name) / "_blobs" / digest)

    def cancel(self, upload: str) -> None:
        """Forgets an upload. Raises RegistryError BLOB_UPLOAD_UNKNOWN."""
        self.upload(upload).unlink(missing_ok=True)

    # --- manifests ----------------------------------------------------------------------------------------------------

    def manifest(self, name: str, reference: str) -> Manifest:
        """By tag or digest. Raises RegistryError NAME_UNKNOWN or MANIFEST_UNKNOWN."""
        repository = self._repository(name)
        digest = reference
        if ":" not in reference:
            try:
                digest = (repository / "_tags" / reference).read_text()
            except FileNotFoundError:
                raise (unknown_manifest(reference) if repository.is_dir() else unknown_name(name)) from None
        try:
            media_type = (repository / "_manifests" / digest).read_text()
            content = self._content(digest).read_bytes()
        except FileNotFoundError:
            raise unknown_manifest(reference) from None
        return Manifest(digest, media_type, content)

    def put(self, name: str, reference: str, media_type: str, content: bytes) -> Manifest:
        """Keeps a manifest, under a tag where the reference is none of its digests. Raises RegistryError."""
        algorithm = reference.partition(":")[0] if ":" in reference else "sha256"
        digest = digest_of(content, algorithm)
        if ":" in reference and reference != digest:
            raise RegistryError(400, "DIGEST_INVALID", f"the manifest sent has the digest {digest}")
        read = self._checked(name, media_type, content)
        subject = _digest(read["subject"]) if read.get("subject") is not None else ""
        repository = self._repository(name)
        goal = self._content(digest)
        goal.parent.mkdir(parents=True, exist_ok=True)
        if not goal.exists():
            write_atomic(goal, content)
        self._write(repository / "_manifests" / digest, media_type)
        if subject:
            self._touch(repository / "_referrers" / subject / digest)
        if ":" not in reference:
            self._write(repository / "_tags" / reference, digest)
        return Manifest(digest, media_type, content, subject)

    def _checked(self, name: str, media_type: str, content: bytes) -> dict[str, Any]:
        """The manifest as JSON, with everything that it names there. Raises RegistryError."""
        try:
            read = json.loads(content)
        except (ValueError, RecursionError):
            raise RegistryError(400, "MANIFEST_INVALID", "a manifest is JSON") from None
        if not isinstance(read, dict):
            raise RegistryError(400, "MANIFEST_INVALID", "a manifest is a JSON object")
        if read.get("mediaType", media_type) != media_type:
            raise RegistryError(400, "MANIFEST_INVALID", "mediaType and the Content-Type of the request differ")
        missing = []
        if media_type in MANIFESTS:
            named = [read.get("config"), *_list(read.get("layers"))]
            for one in named:
                digest = _digest(one)
                # Layers with addresses of their own are fetched from there.
                if not (isinstance(one, dict) and one.get("urls")) and not self._has(name, "_blobs", digest):
                    missing.append(digest)
        elif media_type in INDEXES:
            named = [_digest(one) for one in _list(read.get("manifests"))]
            missing = [digest for digest in named if not self._has(name, "_manifests", digest)]
        if missing:
            raise RegistryError(400, "MANIFEST_BLOB_UNKNOWN", "push what the manifest names first", missing[:10])
        return read

    def remove(self, name: str, reference: str) -> None:
        """Takes a tag away, or a manifest with the tags that lead to it. Raises RegistryError MANIFEST_UNKNOWN."""
        found = self.manifest(name, reference)
        repository = self._repository(name)
        if ":" not in reference:
            (repository / "_tags" / reference).unlink(missing_ok=True)
            return
        for tag in self.tags(name):
            with contextlib.suppress(FileNotFoundError):
                if (repository / "_tags" / tag).read_text() == found.digest:
                    (repository / "_tags" / tag).unlink()
        (repository / "_manifests" / found.digest).unlink(missing_ok=True)
        with contextlib.suppress(ValueError, AttributeError):
            subject = json.loads(found.content).get("subject", {}).get("digest", "")
            if subject:
                (repository / "_referrers" / subject / found.digest).unlink(missing_ok=True)

    # --- lists --------------------------------------------------------------------------------------------------------

    def tags(self, name: str) -> list[str]:
        """A repository's tags, sorted. Raises RegistryError NAME_UNKNOWN."""
        repository = self._repository(name)
        if not repository.is_dir():
            raise unknown_name(name)
        return sorted(_names(repository / "_tags"))

    def referrers(self, name: str, digest: str) -> list[dict[str, Any]]:
        """Descriptors of the manifests whose subject this digest is, sorted by digest."""
        found = []
        for each in sorted(_names(self._repository(name) / "_referrers" / digest)):
            with contextlib.suppress(RegistryError):
                found.append(_descriptor(self.manifest(name, each)))
        return found

    def repositories(self) -> list[str]:
        """The names of all repositories, sorted."""
        top = self.root / "repositories"
        return sorted(str(folder.parent.relative_to(top)) for folder in _folders(top, "_manifests"))

    def sweep(self) -> int:
        """Deletes the blobs that no repository has. Returns how many. Not to be called while something is pushed."""
        top = self.root / "repositories"
        kept = {each for kind in ("_blobs", "_manifests") for folder in _folders(top, kind) for each in _names(folder)}
        gone = 0
        for path in (self.root / "blobs").glob("*/*/*"):
            if f"{path.parent.parent.name}:{path.name}" not in kept:
                path.unlink(missing_ok=True)
                gone += 1
        return gone

    # --- files --------------------------------------------------------------------------------------------------------

    def _repository(self, name: str) -> Path:
        return self.root / "repositories" / name

    def _content(self, digest: str) -> Path:
        algorithm, _, hexadecimal = digest.partition(":")
        return self.root / "blobs" / algorithm / hexadecimal[:2] / hexadecimal

    def _has(self, name: str, kind: str, digest: str) -> bool:
        return (self._repository(name) / kind / digest).exists()

    def _touch(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _digest(descriptor: object) -> str:
    """The digest of a descriptor. Raises RegistryError MANIFEST_INVALID."""
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str):
        raise RegistryError(400, "MANIFEST_INVALID", "each descriptor of a manifest has a digest")
    return checked_digest(digest)


def _descriptor(manifest: Manifest) -> dict[str, Any]:
    """How a list of referrers tells of a manifest: its type is artifactType, or else that of its configuration."""
    read = json.loads(manifest.content)
    kind = read.get("artifactType") or (read.get("config") or {}).get("mediaType", "")
    made = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.content)}
    if kind:
        made["artifactType"] = kind
    if isinstance(read.get("annotations"), dict):
        made["annotations"] = read["annotations"]
    return made


def _names(folder: Path) -> list[str]:
    """The files of a folder, but those that are being written; none where there is no such folder."""
    try:
        return [one.name for one in os.scandir(folder) if not one.name.startswith(".")]
    except FileNotFoundError:
        return []


def _folders(top: Path, name: str) -> Iterator[Path]:
    """The folders of this name anywhere below."""
    return (Path(folder) / name for folder, below, _ in os.walk(top) if name in below)
