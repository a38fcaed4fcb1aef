"""Renders that outlast a restart: ``CachedRenderer`` stands in front of another and keeps what it made in a folder.

A render is a function of what went in. The file of an entry is named by what is known before anything is read (the
request without its commits, the version of this program, values of the cluster by a keyed digest); in it stand what was
read, and the answers about custom kinds that were used. An entry is served where all of that holds at the commit that
is asked for: at the same commit at once, at another after a look at Git, without reading a file.

Whoever can write to the folder gains nothing: every entry is sealed by a key that is in the cluster alone and bound to
its name, and what is sealed wrongly, cut or garbled is thrown away. A render with a secret in it is never written. The
folder may be lost, full or read-only at any time; that is told once, and costs renders. Called by ``app``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import hmac
import os
import shutil
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import msgspec
from typing_extensions import override

import windlass
from windlass.adapters.git.errors import GitRefused
from windlass.adapters.git.snapshot import CommitSnapshot, open_snapshot
from windlass.adapters.git.store import on_git_thread
from windlass.adapters.git.trace import Trace
from windlass.adapters.host.files import write_atomic
from windlass.adapters.render.frames import HEADER, LARGEST, Answer, answer
from windlass.core.model import Rendered
from windlass.errors import WindlassError
from windlass.ports import ClusterFacts, ClusterValues, OtherSource, Renderer, RenderRequest

SIZE = 256 * 1024 * 1024
"""Bytes that the folder may hold; the entries used longest ago go first."""

MOST = 32 * 1024 * 1024
"""Bytes of one entry; a larger render is not kept."""

_MAGIC = b"windlass render 1\n"
_SEAL = 32
_FACTS = 20
_ROOM = 0.8
_OPEN = 8
_LIBRARIES = ("rjsonnet", "helm-python-sdk", "pyyaml", "msgspec")


class CachedRenderer(Renderer):
    """``key`` is the cluster's for digests; ``told`` hears when the folder can't be written to; ``program`` is the
    ``helm`` that ``inner`` runs, "" where that is the library. ``made`` counts renders that ``inner`` made, ``hits``
    those that were here, ``refused`` entries that were thrown away."""

    def __init__(
        self,
        inner: Renderer,
        folder: Path,
        key: bytes,
        told: Callable[[WindlassError], None],
        *,
        size: int = SIZE,
        program: str = "",
    ) -> None:
        self._inner = inner
        self._told = told
        self._entries = Entries(folder, hmac.digest(key, b"windlass render cache", "sha256"), size)
        self._version = version()
        self._program = Program(program)
        self._snapshots: OrderedDict[tuple[str, str], CommitSnapshot] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="renders")
        self._well = True
        self._closed = False
        self.made = self.hits = 0

    @property
    def refused(self) -> int:
        return self._entries.refused

    async def close(self) -> None:
        """Returns when what was made is written. Whoever renders after that asks the inner renderer."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)

    @override
    async def render(self, request: RenderRequest) -> Rendered:
        if self._closed:
            return await self._inner.render(request)
        name, entry = await asyncio.get_running_loop().run_in_executor(self._thread, self._find, request)
        found = entry.rendered if entry is not None else None
        right = entry is not None and (not entry.rendered.asked or entry.facts == _digest_of(request.facts))
        if found is not None and right and await self._holds(found, request):
            self.hits += 1
            others = {
                key: msgspec.structs.replace(other, commit=request.others[key].commit)
                for key, other in found.others.items()
            }
            return msgspec.structs.replace(found, commit=request.commit, others=others)
        self.made += 1
        rendered = await self._inner.render(request)
        if not rendered.problems and not rendered.private and not self._closed:
            entry = Entry(rendered, _digest_of(request.facts) if rendered.asked else b"")
            writing = asyncio.get_running_loop().run_in_executor(self._thread, self._entries.write, name, entry)
            writing.add_done_callback(self._written)
        return rendered

    @override
    def touches(self, changed: Iterable[str]) -> set[str]:
        return self._inner.touches(changed)

    def _find(self, request: RenderRequest) -> tuple[str, Entry | None]:
        name = self._name(request)
        return name, self._entries.read(name)

    def _name(self, request: RenderRequest) -> str:
        """What is known before a file is read, as a digest."""
        key = request.digest_key
        values = hmac.digest(key, msgspec.msgpack.encode(_sorted(request.values)), "sha256")
        plain = msgspec.structs.replace(
            request,
            folder="",
            commit="",
            digest_key=hmac.digest(key, b"", "sha256"),
            namespaced={},
            facts=ClusterFacts(),
            chart=msgspec.structs.replace(request.chart, archive="") if request.chart is not None else None,
            others={name: OtherSource(one.repository, "", "") for name, one in sorted(request.others.items())},
            values=ClusterValues(),
        )
        digest = hashlib.blake2b(self._version + self._program.digest(), digest_size=20)
        digest.update(values)
        digest.update(msgspec.msgpack.encode(plain))
        return digest.hexdigest()

    async def _holds(self, found: Rendered, request: RenderRequest) -> bool:
        """Whether everything that went into an entry is so at what is asked for."""
        if any(request.namespaced.get(kind, True) != namespaced for kind, namespaced in found.scopes.items()):
            return False
        if found.others.keys() != request.others.keys():
            return False
        parts: list[tuple[str, str, str, Mapping[str, str]]]
        parts = [(request.folder, request.commit, found.commit, found.read)]
        for name, other in request.others.items():
            read = found.others[name]
            parts.append((other.folder, other.commit, read.commit, read.read))
        # A commit's id is the digest of all its files: the same commit needs no look.
        left = [(folder, commit, read) for folder, commit, was, read in parts if commit != was]
        if not left:
            return True
        return await on_git_thread(self._reads_hold, left)

    def _reads_hold(self, parts: list[tuple[str, str, Mapping[str, str]]]) -> bool:
        try:
            return all(Trace(read).holds(self._snapshot(folder, commit)) for folder, commit, read in parts)
        except GitRefused:
            return False

    def _snapshot(self, folder: str, commit: str) -> CommitSnapshot:
        key = (folder, commit)
        if key not in self._snapshots:
            self._snapshots[key] = open_snapshot(folder, commit)
            if len(self._snapshots) > _OPEN:
                self._snapshots.popitem(last=False)
        self._snapshots.move_to_end(key)
        return self._snapshots[key]

    def _written(self, writing: asyncio.Future[None]) -> None:
        error = writing.exception() if not writing.cancelled() else None
        if error is not None and not isinstance(error, WindlassError):
            raise error
        if error is not None and self._well:
            self._told(error)
        self._well = error is None


class Program:
    """A program by what it is, not by where it lies: its digest, taken again when the file is another one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._digest = b""

    def digest(self) -> bytes:
        """b"" without a program. Of one that can't be read it is its path's: whoever runs it tells what is wrong."""
        if not self._path:
            return b""
        try:
            info = os.stat(shutil.which(self._path) or self._path)
            seen = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
            if seen != self._seen:
                with open(shutil.which(self._path) or self._path, "rb") as file:
                    self._digest = hashlib.file_digest(file, "sha256").digest()
                self._seen = seen
        except OSError:
            self._seen = ()
            return self._path.encode()
        return self._digest


class Entry(NamedTuple):
    """A render, and a digest of what the cluster was like where that went into it."""

    rendered: Rendered
    facts: bytes = b""


class Entries:
    """The files, for one thread. ``seal`` is the key that they are sealed with."""

    def __init__(self, folder: Path, seal: bytes, size: int) -> None:
        self._folder = folder
        self._seal = seal
        self._size = size
        self._held: int | None = None
        self.refused = 0

    def read(self, name: str) -> Entry | None:
        """An entry whose seal is right, else None."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                data = file.read(MOST + 1)
        except OSError:
            return None
        start = len(_MAGIC) + _SEAL
        right = (
            len(data) <= MOST
            and data.startswith(_MAGIC)
            and hmac.compare_digest(data[len(_MAGIC) : start], self._sealed(name, memoryview(data)[start:]))
        )
        entry = _opened(data, start) if right else None
        if entry is None:
            self.refused += 1
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the time of a file is when it was used last
        return entry

    def write(self, name: str, entry: Entry) -> None:
        """Raises DiskFull, FileNotWritable."""
        body = b"".join([entry.facts.ljust(_FACTS, b"\0"), *answer(entry.rendered)])
        if len(body) > MOST - len(_MAGIC) - _SEAL:
            return
        path = self._path(name)
        with contextlib.suppress(OSError):  # what stands in the way is told by the write
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._held is None:
            self._held = sum(size for _, size, _ in self._all())
        # Not synced: what a power cut garbles is thrown away by its seal.
        write_atomic(path, _MAGIC + self._sealed(name, body) + body, durable=False)
        self._held += len(body)
        if self._held > self._size:
            self._make_room()

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def _sealed(self, name: str, body: bytes | memoryview) -> bytes:
        digest = hashlib.blake2b(name.encode(), key=self._seal, digest_size=_SEAL)
        digest.update(body)
        return digest.digest()

    def _all(self) -> list[tuple[float, int, str]]:
        found = []
        for folder, _, names in os.walk(self._folder):
            for name in names:
                with contextlib.suppress(OSError):
                    info = os.stat(os.path.join(folder, name))
                    found.append((info.st_mtime, info.st_size, os.path.join(folder, name)))
        return found

    def _make_room(self) -> None:
        entries = sorted(self._all())
        held = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if held <= self._size * _ROOM:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
                held -= size
        self._held = held


def _opened(data: bytes, start: int) -> Entry | None:
    """The frames of an entry, a slice at a time: no other thread waits for all of it."""
    answer = Answer()
    view, at = memoryview(data), start + _FACTS
    try:
        while at < len(data):
            length, letter = HEADER.unpack_from(view, at)
            at += HEADER.size
            if length > LARGEST or answer.take(letter, view[at : at + length]):
                return Entry(answer.rendered(), data[start : start + _FACTS]) if length <= LARGEST else None
            at += length
    except (ValueError, struct.error, msgspec.MsgspecError):
        # Sealed by another version of this program.
        pass
    return None


def _sorted(values: ClusterValues) -> list[tuple[str, list[tuple[str, bytes]]]]:
    return [(name, sorted(data.items())) for name, data in sorted(values.objects.items())]


def _digest_of(facts: ClusterFacts) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(facts), digest_size=_FACTS).digest()


@functools.cache
def version() -> bytes:
    """A mark of the program that renders: another release, or other code, makes every render anew."""
    digest = hashlib.blake2b(windlass.__version__.encode(), digest_size=20)
    root = Path(windlass.__file__).parent
    for part in ("adapters/git", "adapters/render", "core"):
        for folder, _, names in sorted(os.walk(root / part)):
            for name in sorted(names):
                if not name.endswith(".pyc"):
                    info = os.stat(os.path.join(folder, name))
                    digest.update(f"{name} {info.st_size} {info.st_mtime_ns}\n".encode())
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            digest.update(f"{name} {metadata.version(name)}\n".encode())
    return digest.digest()
