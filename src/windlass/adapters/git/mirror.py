"""One remote repository, followed into a bare repository of our own.

``app.py`` makes one for each Repository and address; ``flows/sync`` asks ``fetch`` whenever it is time or a push was
told. Asking is cheap: one request for a branch over HTTP that was here before (``smart.py``), else one ``git fetch`` of
a branch or tag, which brings nothing while nothing has moved (HEAD and ranges of versions are asked for first, by
``ls-remote``). What was fetched stays, so that a branch that disappears,
is rewritten or is emptied takes nothing away from what runs. A mirror is used by one process.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pygit2

from windlass.adapters.git.credentials import Credentials
from windlass.adapters.git.errors import GitRefused, GitUnavailable, RefMissing
from windlass.adapters.git.program import Remote, Transport, argument
from windlass.adapters.git.refs import COMMIT, RefSpec, newest
from windlass.adapters.git.smart import MOST_HAVES, Smart, Unusual
from windlass.adapters.git.snapshot import CommitSnapshot
from windlass.adapters.git.store import CommitInfo, Move, Store, on_git_thread
from windlass.adapters.git.urls import parse_url

_PEELED = "^{}"
# Each fetch leaves a pack. At so many they become one; what no ref leads to any more is kept, for something may be
# pinned to it.
_MOST_PACKS = 50
_FOLDER = re.compile(r"[0-9a-f]{32}")
_log = logging.getLogger(__name__)
_DEFAULT = Transport()


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where a ref is. ``previous`` is the commit that the last fetch of the same ref found ("" the first time),
    ``move`` how it got from there; ``ref`` the full name that was followed (for a range of versions, the tag
    chosen)."""

    commit: str
    ref: str
    previous: str
    move: Move

    @property
    def changed(self) -> bool:
        return self.commit != self.previous


class Mirror:
    """``folder`` is made when needed and belongs to this mirror alone; made from nothing when it is broken. Raises
    GitRefused for a bad address or missing credentials."""

    def __init__(
        self, folder: str, url: str, credentials: Credentials | None = None, transport: Transport = _DEFAULT
    ) -> None:
        self.folder = os.path.abspath(folder)
        self.remote = Remote(parse_url(url, allow_local=transport.allow_local), credentials, transport)
        self._smart = Smart(self.remote)
        self._store: Store | None = None
        self._busy = asyncio.Lock()

    async def fetch(self, spec: RefSpec | None = None) -> Fetched:
        """Bring the commit of a ref here and say where it is. None is the default branch.

        Raises GitUnavailable, RefMissing, GitRefused; whatever it raises, what was here before is still here.
        """
        spec = spec or RefSpec()
        async with self._busy:
            store = await self._open()
            if spec.commit:
                return await self._fetch_commit(store, spec.commit)
            ours = _ours(spec)
            previous = await on_git_thread(store.resolve, ours) or ""
            if spec.branch and previous and self._smart.usable:
                with contextlib.suppress(Unusual):
                    return await self._fetch_new(spec, ours, previous)
            if spec.branch or spec.tag or spec.name:
                return await self._fetch_named(spec, ours, previous)
            ref, target = await self._ask(spec)
            if not await on_git_thread(store.has, target):
                await self._bring(f"+{ref}:{ours}")
                found = await on_git_thread(store.resolve, ours)
                if found is None:
                    raise GitRefused(f"{ref} is not a commit", cause="ref", hint="name a branch, or a tag of a commit")
                target = found
            elif target != previous:
                await on_git_thread(store.set_ref, ours, target)
            return await self._fetched(target, ref, previous)

    async def listed(self, pattern: str) -> dict[str, str]:
        """The refs of the remote that fit (``refs/windlass/ledger/prod/*``), by full name, to the ids they are at."""
        done = await self.remote.git("ls-remote", *argument([self.remote.url.text, pattern]), asking=True)
        lines = (line.partition("\t") for line in done.stdout.decode(errors="replace").splitlines())
        return {name: identity for identity, _, name in lines if COMMIT.fullmatch(identity)}

    async def store(self) -> Store:
        """What is here, for whoever writes into it: go through ``on_git_thread``. Asked for anew after each fetch."""
        return await self._open()

    async def pushed(self, spec: RefSpec, commit: str) -> None:
        """A push of ours moved the ref: the next fetch compares with that."""
        await on_git_thread((await self._open()).set_ref, _ours(spec), commit)

    async def known(self, spec: RefSpec) -> str:
        """Where the ref was when it was fetched or pushed last, "" where it never was."""
        return await on_git_thread((await self._open()).resolve, _ours(spec)) or ""

    async def tidy(self) -> None:
        """Makes a pack of the objects that were written here one by one."""
        try:
            await self.remote.git("repack", "-d", "-q", folder=self.folder)
        except (GitRefused, GitUnavailable) as error:
            _log.warning("the objects of %s could not become a pack: %s", self.folder, error.what)

    async def snapshot(self, commit: str) -> CommitSnapshot:
        """The files of a commit that was fetched. Raises GitRefused. Workers use ``open_snapshot(mirror.folder,
        commit)``."""
        await self._open()
        return await on_git_thread(lambda: CommitSnapshot(Store(self.folder), commit))

    async def last(self, spec: RefSpec) -> str:
        """Where the ref was when it was fetched last, "" where it never was. Asks nobody."""
        return await on_git_thread((await self._open()).resolve, _ours(spec)) or ""

    async def has(self, commit: str) -> bool:
        """Whether a commit is here."""
        return await on_git_thread((await self._open()).has, commit)

    async def moved(self, old: str, new: str) -> Move:
        """How a branch that was at ``old`` got to ``new``."""
        return await on_git_thread((await self._open()).moved, old, new)

    async def describe(self, commit: str) -> CommitInfo:
        """Who wrote a commit, when, and what it says. Raises GitRefused."""
        return await on_git_thread((await self._open()).describe, commit)

    async def log(self, old: str | None, new: str, *, limit: int = 100) -> list[CommitInfo]:
        """The commits in ``new`` that are not in ``old``, newest first."""
        return await on_git_thread((await self._open()).log, old, new, limit=limit)

    async def changed_paths(self, old: str | None, new: str) -> list[str]:
        """The paths that differ between two commits, sorted."""
        return await on_git_thread((await self._open()).changed_paths, old, new)

    async def last_changed(self, commit: str, paths: list[str]) -> dict[str, str]:
        """Per file, the commit that made it what it is (see ``Store.last_changed``)."""
        return await on_git_thread((await self._open()).last_changed, commit, paths)

    async def remove(self) -> None:
        """Take the folder away, when the Repository is gone."""
        async with self._busy:
            self._store = None
            await asyncio.to_thread(remove_folder, self.folder)

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _open(self) -> Store:
        if self._store is None:
            self._store = await on_git_thread(_prepare, self.folder)
        return self._store

    async def _ask(self, spec: RefSpec) -> tuple[str, str]:
        """The full name and the commit of a ref, by ls-remote."""
        patterns = ["refs/tags/*"] if spec.semver else [spec.ref, *([spec.ref + _PEELED] if spec.tag else [])]
        done = await self.remote.git("ls-remote", *argument([self.remote.url.text, *patterns]), asking=True)
        there: dict[str, str] = {}
        for line in done.stdout.decode(errors="replace").splitlines():
            identity, _, name = line.partition("\t")
            if COMMIT.fullmatch(identity):
                there[name] = identity
        ref = spec.ref
        if spec.semver:
            tags = [name.removeprefix("refs/tags/") for name in there if not name.endswith(_PEELED)]
            chosen = await asyncio.to_thread(newest, tags, spec.semver)
            ref = f"refs/tags/{chosen}" if chosen else ""
        target = there.get(ref + _PEELED) or there.get(ref)
        if target is None:
            raise self._missing(spec, empty=not there)
        return ref, target

    def _missing(self, spec: RefSpec, *, empty: bool) -> RefMissing:
        host = self.remote.url.origin
        if spec.ref == "HEAD":
            return RefMissing(f"the repository on {host} is empty", cause="ref-missing", hint="push a first commit")
        if spec.semver:
            what = "no tags" if empty else f"no tag in {spec.semver}"
            return RefMissing(
                f"the repository on {host} has {what}", cause="ref-missing", hint="push a tag such as v1.4.2"
            )
        return RefMissing(
            f"the repository on {host} has no {spec}",
            cause="ref-missing",
            hint="is it misspelt, was it deleted, or not pushed yet?",
        )

    async def _fetch_new(self, spec: RefSpec, ours: str, previous: str) -> Fetched:
        """A branch that was here before, without the program but for what checks a pack. Raises Unusual for whatever
        does not go as it should: then nothing has changed but for objects that no ref leads to."""
        try:
            async with self._smart.talk() as talk:
                target = await talk.tip(spec.ref)
                if target != previous:
                    store = await self._open()
                    if not await on_git_thread(store.has, target):
                        haves = await on_git_thread(store.tips, MOST_HAVES)
                        await self._index(await talk.pack(target, haves))
                        store = await self._open()
                    # What git fetch would ask rev-list: a pack may leave out what it says is known.
                    if not await on_git_thread(store.whole, target):
                        raise Unusual
                    await on_git_thread(store.set_ref, ours, target)
        except (Unusual, GitRefused, GitUnavailable) as error:
            self._smart.rest()
            raise Unusual from error
        return await self._fetched(target, spec.ref, previous)

    async def _index(self, pack: bytes) -> None:
        """Takes a pack in, each object of it checked."""
        limit = f"--max-input-size={self.remote.transport.size}"
        command = ["index-pack", "--stdin", "--fix-thin", "--strict", limit]
        try:
            await self.remote.git(*command, folder=self.folder, asking=True, stdin=pack)
        finally:
            self._store = await on_git_thread(Store, self.folder)
        await self._tidy()

    async def _fetch_named(self, spec: RefSpec, ours: str, previous: str) -> Fetched:
        """A branch or a tag, by one command: to ask first where it is would be another program, and two more requests
        on the way of every commit."""
        try:
            await self._bring(f"+{spec.ref}:{ours}")
        except RefMissing:
            await self._ask(spec)  # says what there is in its place, which the other does not know
            raise
        target = await on_git_thread((await self._open()).resolve, ours)
        if target is None:
            raise GitRefused(f"{spec.ref} is not a commit", cause="ref", hint="name a branch, or a tag of a commit")
        return await self._fetched(target, spec.ref, previous)

    async def _fetched(self, target: str, ref: str, previous: str) -> Fetched:
        store = await self._open()
        move = await on_git_thread(store.moved, previous, target) if previous else Move.FORWARD
        return Fetched(target, ref, previous, move)

    async def _fetch_commit(self, store: Store, commit: str) -> Fetched:
        if not await on_git_thread(store.has, commit):
            ours = _ours(RefSpec(commit=commit))
            try:
                await self._bring(f"+{commit}:{ours}")
            except RefMissing:
                # Some servers give only what a branch or tag leads to.
                await self._bring("+refs/heads/*:refs/windlass/all/heads/*", "+refs/tags/*:refs/windlass/all/tags/*")
            if not await on_git_thread(store.has, commit):
                raise RefMissing(
                    f"the repository on {self.remote.url.origin} has no commit {commit[:7]}",
                    cause="ref-missing",
                    hint="name a commit that a branch or tag leads to",
                )
        return Fetched(commit, commit, commit, Move.SAME)

    async def _bring(self, *refspecs: str) -> None:
        options = [
            "--quiet",
            "--no-tags",
            "--no-auto-gc",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--prune",
        ]
        try:
            await self.remote.git("fetch", *options, *argument([self.remote.url.text, *refspecs]), folder=self.folder)
        except GitUnavailable:
            # A git that the kernel stopped at the size limit has no time to say so: what it leaves behind tells.
            if await asyncio.to_thread(_clear_packs, Path(self.folder)) >= self.remote.transport.size:
                raise GitRefused(
                    f"the repository on {self.remote.url.origin} is larger than is accepted",
                    cause="too-large",
                    hint="keep manifests in a repository of their own",
                ) from None
            raise
        finally:
            # libgit2 looks for packs anew only when it is told.
            if self._store is not None:
                self._store = await on_git_thread(Store, self.folder)
        await self._tidy()

    async def _tidy(self) -> None:
        """Makes one pack of many."""
        if await asyncio.to_thread(_packs, self.folder) > _MOST_PACKS:
            try:
                await self.remote.git("repack", "-a", "-d", "-k", "-q", folder=self.folder)
            except (GitRefused, GitUnavailable) as error:
                _log.warning("the packs of %s could not become one: %s", self.folder, error.what)


def mirror_folder(root: str, name: str, url: str) -> str:
    """A folder for the mirror of a repository. Another address is another folder: nothing of the old one can be reached
    by the new."""
    return os.path.join(root, hashlib.sha256(f"{name}\0{url}".encode()).hexdigest()[:32])


def mirror_folders(root: str) -> list[str]:
    """The folders of mirrors that are there, by their names as ``mirror_folder`` gives them."""
    try:
        names = os.listdir(root)
    except OSError:
        return []
    return sorted(os.path.join(root, name) for name in names if _FOLDER.fullmatch(name))


def remove_folder(folder: str) -> None:
    """Takes a mirror away. What can't be removed now is left for the next start."""
    shutil.rmtree(folder, ignore_errors=True)


def _ours(spec: RefSpec) -> str:
    """The ref that keeps what a spec came to. Hashed, for Git can't have both ``a`` and ``a/b``."""
    return "refs/windlass/followed/" + hashlib.sha256(str(spec).encode()).hexdigest()[:32]


def _prepare(folder: str) -> Store:
    """Open the mirror, with what a killed git left behind cleared away; make it from nothing where there is none or it
    can't be opened."""
    if os.path.isdir(folder):
        try:
            store = Store(folder)
            store.resolve("HEAD")
            _clear(Path(folder))
            return store
        except (GitRefused, pygit2.GitError, OSError):
            shutil.rmtree(folder, ignore_errors=True)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        pygit2.init_repository(folder, bare=True)
    except (pygit2.GitError, OSError) as error:
        raise GitUnavailable(f"a repository can't be made in {folder}", cause="disk", hint=str(error)) from error
    return Store(folder)


def _packs(folder: str) -> int:
    return sum(1 for name in os.listdir(os.path.join(folder, "objects/pack")) if name.endswith(".pack"))


def _clear(folder: Path) -> None:
    for path in [*folder.glob("*.lock"), *folder.glob("refs/**/*.lock"), *folder.glob("objects/tmp_*")]:
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _clear_packs(folder)


def _clear_packs(folder: Path) -> int:
    """Take packs away that were never finished, and say how large the largest was."""
    largest = 0
    for path in folder.glob("objects/pack/tmp_*"):
        with contextlib.suppress(OSError):
            largest = max(largest, path.stat().st_size)
            path.unlink()
    return largest
