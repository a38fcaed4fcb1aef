"""Files that are either the old ones or the new ones, whatever happens: written beside, synced, renamed over.

Whoever keeps local state calls it (in a thread where the loop must not wait for a disk). Writing makes no folders,
follows no link at the target's place, and leaves nothing half written: on a failure the old file is as it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path
from typing import ClassVar

from windlass.errors import NeedsHuman, TryLater


class DiskFull(TryLater):
    """There is no room (or no quota left) for a file. It works again by itself when there is."""

    slug: ClassVar[str] = "disk-full"
    reason: ClassVar[str] = "DiskFull"


class FileNotWritable(NeedsHuman):
    """A file can't be written: a read-only file system, a missing right, a missing folder."""

    slug: ClassVar[str] = "file-not-writable"
    reason: ClassVar[str] = "FileNotWritable"


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_HINTS = {
    errno.EROFS: "the file system is read-only: mount it writable, or name another folder",
    errno.EACCES: "this user may not write there: change its rights, or name another folder",
    errno.EPERM: "this user may not write there: change its rights, or name another folder",
    errno.ENOENT: "the folder does not exist: make it, or name another one",
    errno.ENOTDIR: "a part of the path is a file: name another folder",
    errno.EEXIST: "a file is in the place of the folder: name another folder",
    errno.EISDIR: "a folder is in the place of the file: name another file",
}


def write_atomic(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Puts `content` at `path` so that a reader, and a machine after a power cut, sees the old bytes or all of the new.

    Not `durable`, a power cut may leave anything: for what is checked as it is read, and can be made anew.
    `mode` is that of the new file, whatever the umask and the old file's. Raises DiskFull or FileNotWritable; then the
    old file stands untouched and the temporary one is gone.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        try:
            _write(temporary, content, mode, durable=durable)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise explain(error, path) from error


def check_folder(folder: Path) -> None:
    """Whether files can be kept in a folder, which is made where it is not there. A full disk is no reason against it:
    that goes by. Raises FileNotWritable."""
    probe = folder / f".{secrets.token_hex(4)}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        probe.unlink()
    except OSError as error:
        found = explain(error, folder)
        if isinstance(found, FileNotWritable):
            raise found from error


def sync_folder(folder: Path) -> None:
    """Makes renames and removals in a folder outlast a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):  # file systems that can't sync a folder say so like this
            raise
    finally:
        os.close(descriptor)


def explain(error: OSError, path: Path) -> DiskFull | FileNotWritable:
    """The error to raise for a failed write at `path`, with what to do about it."""
    if error.errno in _FULL:
        return DiskFull(f"no room on the disk to write {path}", hint="free some space there: it goes on by itself")
    words = os.strerror(error.errno) if error.errno else type(error).__name__
    return FileNotWritable(f"can't write {path}: {words}", hint=_HINTS.get(error.errno or 0, ""))


def _write(temporary: Path, content: bytes, mode: int, *, durable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        os.fchmod(descriptor, mode)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
