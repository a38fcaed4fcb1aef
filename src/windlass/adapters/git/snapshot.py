"""The files of a commit, or of a folder on disk, as a read-only mapping from path to bytes. Links are followed inside
the root, and only there.

``open_snapshot`` needs no loop and is made for worker processes; ``folder_snapshot`` is for ``windlass render PATH``.
Both are one interface with the same ids (Git's blob hashes), so what is rendered from a work tree and from its commit
is the same. Submodules and files that Git LFS holds are refused by name: their content is not here.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pygit2
from typing_extensions import override

from windlass.adapters.git.errors import BadPath
from windlass.adapters.git.paths import check_part, clean_path, leads_out, refused, target_parts
from windlass.adapters.git.store import Store

LARGEST_FILE = 64 * 1024 * 1024
_MOST_LINKS = 40
_LFS = b"version https://git-lfs.github.com/spec/"


class Entry(NamedTuple):
    """One name in a folder. ``kind``: "file", "folder", "link" or "module" (a submodule). ``id`` is the blob's hash, ""
    for folders on disk."""

    name: str
    kind: str
    id: str


class Snapshot(Mapping[str, bytes]):
    """Paths are relative to the root, with slashes. A missing path is a KeyError; a path that leads out, a submodule
    and an LFS pointer raise :class:`BadPath`. ``commit`` is "" for a folder on disk."""

    commit: str = ""

    # --- what the two kinds of snapshot know: folders and files by their true path, no links followed ---------------

    @abstractmethod
    def _list(self, folder: str) -> Mapping[str, Entry] | None:
        """The names in a folder; None where there is none. No part of ``folder`` is a link."""

    def _one(self, folder: str, name: str) -> Entry | None:
        """One name of a folder; None where it is not there."""
        return (self._list(folder) or {}).get(name)

    @abstractmethod
    def _read(self, folder: str, entry: Entry) -> bytes:
        """The content of a file, or the target of a link."""

    # --- what everybody uses ----------------------------------------------------------------------------------------

    def entries(self, folder: str = "") -> tuple[Entry, ...] | None:
        """What is in a folder, sorted by name; None where there is no such folder."""
        _, true, found = self._find(clean_path(folder))
        names = self._list(true) if found is None or found.kind == "folder" else None
        return None if names is None else tuple(names[name] for name in sorted(names))

    def names(self, folder: str = "") -> Mapping[str, Entry]:
        """What is in a folder by name, in no order; empty where there is no such folder. Links are followed."""
        _, true, found = self._find(clean_path(folder))
        return (self._list(true) if found is None or found.kind == "folder" else None) or {}

    def tree(self, prefix: str = "") -> tuple[str, ...]:
        """The names in a folder, those of folders with a slash behind, sorted; empty where there is no such folder."""
        return tuple(entry.name + ("/" if entry.kind == "folder" else "") for entry in self.entries(prefix) or ())

    def read(self, path: str) -> bytes:
        """The content of a file. Raises KeyError, BadPath."""
        path = clean_path(path)
        _, folder, found = self._find(path)
        if found is None or found.kind == "folder":
            raise KeyError(path)
        data = self._read(folder, found)
        if data.startswith(_LFS) and len(data) < 1024:
            raise refused(
                "the file is a Git LFS pointer: its content is not in Git",
                path,
                "take it out of LFS; manifests are small",
            )
        return data

    def blob_id(self, path: str) -> str:
        """The hash of a file's content, "" where there is no such file. Links are followed."""
        _, _, found = self._find(clean_path(path))
        return found.id if found is not None and found.kind == "file" else ""

    def hops(self, path: str) -> tuple[str, ...]:
        """The links that lead to a path, each by its true path, for whoever keeps a trace."""
        return tuple(self._find(clean_path(path))[0])

    def true_path(self, path: str) -> str:
        """Where a path is when every link has been followed, there or not."""
        _, folder, found = self._find(clean_path(path))
        return folder if found is None or found.kind == "folder" else _join(folder, found.name)

    def _find(self, path: str) -> tuple[list[str], str, Entry | None]:
        """Walk a clean path as a file system does: the links passed, the true folder, and what is there.

        For the root, and where nothing is, there is no entry: the folder is then the root, or one that ``_list`` does
        not know.
        """
        links: list[str] = []
        waiting = path.split("/")[::-1] if path else []
        folder = ""
        found: Entry | None = None
        while waiting:
            name = waiting.pop()
            if name == "..":
                if not folder:
                    raise leads_out(links[-1])
                folder, found = folder.rpartition("/")[0], None
                continue
            true = _join(folder, name)
            found = self._one(folder, name)
            if found is None or (found.kind == "file" and waiting):
                return links, "/".join([true, *waiting[::-1]]), None
            if found.kind == "module":
                hint = "copy what is needed into the repository, or make it one of its own"
                raise refused("this is a submodule: its content is not here", true, hint)
            if found.kind == "link":
                links.append(true)
                if len(links) > _MOST_LINKS:
                    raise refused("the link leads round in a circle", path, "let it lead to a file or folder")
                target = self._read(folder, found).decode(errors="replace")
                waiting.extend(target_parts(target, true)[::-1])
                found = None
            elif found.kind == "folder":
                folder = true
        return links, folder, found

    # --- a mapping of files -----------------------------------------------------------------------------------------

    @override
    def __getitem__(self, path: str) -> bytes:
        return self.read(path)

    @override
    def __contains__(self, path: object) -> bool:
        if not isinstance(path, str):
            return False
        try:
            return self.blob_id(path) != ""
        except BadPath:
            return False

    @override
    def __iter__(self) -> Iterator[str]:
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            for name, entry in sorted((self._list(folder) or {}).items()):
                path = _join(folder, name)
                if entry.kind == "folder":
                    waiting.append(path)
                elif entry.kind == "file":
                    yield path

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)


class CommitSnapshot(Snapshot):
    """The files of a commit, read from Git objects. Raises GitRefused where the commit is not in the store."""

    def __init__(self, store: Store, commit: str) -> None:
        found = store.commit(commit)
        self.store = store
        self.commit = str(found.id)
        self._trees: dict[str, pygit2.Tree | None] = {"": found.tree}
        self._listed: dict[str, Mapping[str, Entry] | None] = {}

    def last_changed(self, paths: Iterable[str]) -> dict[str, str]:
        """Per file, the commit that made it what it is (see ``Store.last_changed``)."""
        return self.store.last_changed(self.commit, paths)

    @override
    def _list(self, folder: str) -> Mapping[str, Entry] | None:
        if folder not in self._listed:
            self._listed[folder] = self._names(folder)
        return self._listed[folder]

    @override
    def _one(self, folder: str, name: str) -> Entry | None:
        # Not by the list: a folder of ten thousand others costs a tenth of a second to list.
        tree = self._tree(folder)
        try:
            return None if tree is None else _entry(tree[name], folder)
        except KeyError:
            return None

    def _names(self, folder: str) -> Mapping[str, Entry] | None:
        tree = self._tree(folder)
        return None if tree is None else {entry.name: entry for entry in (_entry(item, folder) for item in tree)}

    def _tree(self, folder: str) -> pygit2.Tree | None:
        if folder not in self._trees:
            above, _, name = folder.rpartition("/")
            tree = self._tree(above)
            found = tree[name] if tree is not None and name in tree else None
            self._trees[folder] = found if isinstance(found, pygit2.Tree) else None
        return self._trees[folder]

    @override
    def _read(self, folder: str, entry: Entry) -> bytes:
        path = _join(folder, entry.name)
        try:
            _, size = self.store.repository.odb.read_header(entry.id)
            if size > LARGEST_FILE:
                raise _too_large(path, size)
            blob = self.store.repository.get(entry.id)
        except KeyError:
            blob = None
        if not isinstance(blob, pygit2.Blob):
            raise refused(
                "the content of the file is missing in the repository",
                path,
                "fetch it again; if that does not help, git fsck at its origin",
            )
        return blob.data


def _entry(item: pygit2.Object, folder: str) -> Entry:
    raw = item.raw_name or b""
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise refused("the name of a file is not UTF-8", _join(folder, repr(raw)), "rename it") from None
    check_part(name, _join(folder, name))
    return Entry(name, _KINDS.get(int(item.filemode) & 0o170000, "file"), str(item.id))


_KINDS = {0o040000: "folder", 0o120000: "link", 0o160000: "module"}


class FolderSnapshot(Snapshot):
    """A folder on disk as it is now, Git's own folder left out. Each part of a path is opened without following links,
    so that a link made between look and use leads nowhere."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        if not os.path.isdir(self.root):
            raise refused("there is no such folder", root, "name a folder that is there")
        self._ids: dict[tuple[int, int, int, int], str] = {}

    @override
    def _list(self, folder: str) -> Mapping[str, Entry] | None:
        handle = self._open_folder(folder)
        if handle is None:
            return None
        try:
            found: dict[str, Entry] = {}
            with os.scandir(handle) as items:
                for item in items:
                    if item.name == ".git" or not _is_text(item.name):
                        continue
                    entry = self._entry(handle, item.name, _join(folder, item.name))
                    if entry is not None:
                        found[item.name] = entry
            return found
        finally:
            os.close(handle)

    def _entry(self, handle: int, name: str, path: str) -> Entry | None:
        try:
            check_part(name, path)
            info = os.stat(name, dir_fd=handle, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(info.st_mode):
            return Entry(name, "folder", "")
        if stat.S_ISLNK(info.st_mode):
            return Entry(name, "link", _blob_hash(os.fsencode(os.readlink(name, dir_fd=handle))))
        if not stat.S_ISREG(info.st_mode):
            return None
        version = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
        if version not in self._ids:
            data = _content(handle, name, path)
            if data is None:
                return None
            self._ids[version] = _blob_hash(data)
        return Entry(name, "file", self._ids[version])

    @override
    def _read(self, folder: str, entry: Entry) -> bytes:
        path = _join(folder, entry.name)
        handle = self._open_folder(folder)
        if handle is None:
            raise KeyError(path)
        try:
            if entry.kind == "link":
                return os.fsencode(os.readlink(entry.name, dir_fd=handle))
            data = _content(handle, entry.name, path)
        except OSError:
            data = None
        finally:
            os.close(handle)
        if data is None:
            raise KeyError(path)
        return data

    def _open_folder(self, folder: str) -> int | None:
        """A handle of a folder, opened part by part and never through a link; None where there is none."""
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        for part in folder.split("/") if folder else ():
            try:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            except OSError:
                return None
            finally:
                os.close(handle)
            handle = inner
        return handle


def open_snapshot(folder: str, commit: str) -> CommitSnapshot:
    """The files of a commit of the bare repository in ``folder``. Synchronous, for worker processes. Raises
    GitRefused."""
    return CommitSnapshot(_store(folder), commit)


def folder_snapshot(path: str) -> FolderSnapshot:
    """The files of a folder on disk. Raises BadPath where there is no such folder."""
    return FolderSnapshot(path)


@functools.lru_cache(maxsize=32)
def _store(folder: str) -> Store:
    return Store(folder)


def _content(handle: int, name: str, path: str) -> bytes | None:
    try:
        # Not blocking, so that a named pipe put in the file's place can't hold the reader.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    except FileNotFoundError:
        return None
    with os.fdopen(file, "rb") as opened:
        info = os.fstat(file)
        if not stat.S_ISREG(info.st_mode):
            return None
        if info.st_size > LARGEST_FILE:
            raise _too_large(path, info.st_size)
        return opened.read(LARGEST_FILE + 1)


def _blob_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_large(path: str, size: int) -> BadPath:
    return refused(
        f"the file has {size} bytes, more than {LARGEST_FILE}", path, "keep large files out of the folders of manifests"
    )
