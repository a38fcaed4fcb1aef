"""Reading within the repository: what a kustomization may name, and how it is told when it may not.

A kustomization reads files in or below its own folder and builds on other folders anywhere in the repository; ``..``
out of the repository, URLs and circles are refused. Used by ``target`` and ``plugins``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from windlass.core.kustomize import reading
from windlass.core.kustomize.errors import KustomizeError, NotSupported, shown
from windlass.core.kustomize.kustomization import FILE_NAMES
from windlass.core.kustomize.reading import Parsed

_SCHEME = re.compile(r"(?i)(git::)?(ssh|https?|file)://")
_USER = re.compile(r"(?:git::)?[a-zA-Z][a-zA-Z0-9-]*@[^/:]+[/:]")
_GITHUB = re.compile(r"(?i)(git::)?(?:[a-zA-Z][a-zA-Z0-9-]*@)?github\.com[/:]")
_DEEPEST = 100


class Files(Protocol):
    """The read-only files of one commit. Paths are repository paths: ``/`` between the parts, none at either end."""

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None where there is no such file."""

    def names(self, folder: str) -> Sequence[str] | None:
        """The names in a folder, ``""`` being the root; None where there is no such folder."""


def is_remote(path: str) -> bool:
    """Whether the original would fetch this from elsewhere."""
    return (
        _SCHEME.match(path) is not None
        or _GITHUB.match(path) is not None
        or (not path.startswith("/") and _USER.match(path) is not None)
    )


@dataclass(slots=True)
class Parsing:
    """What was parsed during one build, or longer where a caller keeps it: by content, so that it is never stale."""

    limit: int = 32 * 1024 * 1024
    trees: dict[bytes, list[Parsed]] = field(default_factory=dict)
    size: int = 0

    def objects(self, data: bytes, file: str) -> list[Parsed]:
        """The documents of a file. The trees are shared: copy before changing. Beyond ``limit`` bytes of text the
        oldest go."""
        found = self.trees.get(data)
        if found is None:
            found = reading.objects(data, file)
            self.trees[data] = found
            self.size += len(data)
            while self.size > self.limit and len(self.trees) > 1:
                oldest = next(iter(self.trees))
                del self.trees[oldest]
                self.size -= len(oldest)
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one kustomization, and those that led to it."""

    files: Files
    folder: str
    parsing: Parsing
    root_only: bool = True
    above: Place | None = None
    depth: int = 0

    def path(self, name: str) -> str:
        """``name``, as written in the kustomization, as a repository path. Refuses what leaves the repository."""
        if is_remote(name):
            raise NotSupported(
                f"{shown(name)} is fetched from elsewhere",
                hint="copy it into the repository: what is deployed must be in the commit",
            )
        if name.startswith("/"):
            raise KustomizeError(f"{shown(name)} is an absolute path", hint="write it relative to this file")
        joined = posixpath.normpath(posixpath.join(self.folder or ".", name))
        if joined == ".." or joined.startswith("../"):
            raise KustomizeError(
                f"{shown(name)} leaves the repository", hint="only files of the same repository can be named"
            )
        return "" if joined == "." else joined

    def load(self, name: str) -> tuple[str, bytes]:
        """A file and its repository path. Refuses one outside this folder where the root is a wall."""
        path = self.path(name)
        data = self.files.read(path)
        if data is None:
            if self.files.names(path) is not None:
                raise KustomizeError(f"{shown(path or '.')} is a folder", hint="name a file in it")
            raise KustomizeError(f"there is no file {shown(path)}", hint="check its name; it is relative to this file")
        if self.root_only and self.folder and not path.startswith(self.folder + "/"):
            raise KustomizeError(
                f"{shown(path)} is not in or below {self.folder}",
                hint="move it there, or make a base of its folder; a file of another root is not read",
            )
        return path, data

    def objects(self, data: bytes, file: str) -> list[Parsed]:
        """The documents of a file, shared with other readers of the same bytes."""
        return self.parsing.objects(data, file)

    def enter(self, name: str) -> Place:
        """The place of another kustomization. Refuses files, what is not there, and circles."""
        if not name:
            raise KustomizeError("an entry is empty", hint="name a file or a folder")
        path = self.path(name)
        if any(".." in part and part != ".." for part in name.split("/")):
            raise KustomizeError(f"{shown(name)} is ambiguous", hint="check the YAML: are two paths joined?")
        if self.files.names(path) is None:
            if self.files.read(path) is not None:
                raise KustomizeError(f"{shown(path)} is a file, and a folder is expected")
            raise KustomizeError(
                f"there is no file or folder {shown(path)}", hint="check its name; it is relative to this file"
            )
        visited: Place | None = self
        while visited is not None:
            if not path or visited.folder == path or visited.folder.startswith(path + "/"):
                raise KustomizeError(
                    f"a circle: {path or 'the repository root'} holds or is {visited.folder or 'the repository root'}, "
                    "which led here",
                    hint="a base may not be a folder above, nor the same one",
                )
            visited = visited.above
        if self.depth >= _DEEPEST:
            raise KustomizeError(f"bases are more than {_DEEPEST} levels deep")
        return Place(self.files, path, self.parsing, self.root_only, self, self.depth + 1)

    def kustomization(self) -> tuple[str, bytes]:
        """The kustomization file of this folder. Refuses none, and several."""
        found = []
        for name in FILE_NAMES:
            path = posixpath.join(self.folder, name)
            data = self.files.read(path)
            if data is not None:
                found.append((path, data))
        if len(found) == 1:
            return found[0]
        folder = self.folder or "the repository root"
        if found:
            names = " and ".join(posixpath.basename(path) for path, _ in found)
            raise KustomizeError(f"{folder} has {names}", hint="keep one of them")
        raise KustomizeError(f"{folder} has no kustomization.yaml", hint="make one, or name the files themselves")
