"""What differs between two folders of a repository, at the cost of what differs.

A folder that is the same on both sides is never opened, and of one with ten thousand names only the bytes around the
difference are read as names: libgit2's own comparison reads every name on both sides. Called by ``Store``. Synchronous.
The layout of a tree is Git's own: mode, space, name, NUL, then the id as 20 bytes.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import pygit2

_ID = 20
_FOLDER = b"40000"
_MODULE = b"160000"
DEEPEST = 100
"""Folders in folders. What lies deeper is not looked at."""


class Name(NamedTuple):
    """One name of a folder: its mode as Git writes it, and the id of what it names as bytes."""

    mode: bytes
    id: bytes

    @property
    def is_folder(self) -> bool:
        return self.mode.lstrip(b"0") == _FOLDER  # some old programs wrote 040000

    @property
    def is_module(self) -> bool:
        """Whether it is a commit of another repository, which is not here."""
        return self.mode == _MODULE


# The large trees that were read last: those of a commit are asked for again right after it was fetched, and once more
# when the next one comes. A tree's id says what is in it, whichever repository it was read from.
_LARGE = 4096
_KEPT = 8 * 1024 * 1024
_kept: dict[bytes, bytes] = {}


def read_folder(repository: pygit2.Repository, folder: bytes | None) -> bytes:
    """A tree as Git keeps it, ``b""`` for none.

    Raises KeyError where it is not here; one that was read a moment ago may be given all the same.
    """
    if folder is None:
        return b""
    tree = _kept.pop(folder, None)
    if tree is None:
        tree = repository.read(pygit2.Oid(raw=folder))[1]
    if _LARGE < len(tree) < _KEPT // 4:
        _kept[folder] = tree
        while sum(map(len, list(_kept.values()))) > _KEPT:
            _kept.pop(next(iter(_kept), b""), None)
    return tree


def differences(old: bytes, new: bytes) -> tuple[dict[bytes, Name], dict[bytes, Name]]:
    """Of two trees as Git keeps them the names that differ, on either side: a name that is on both sides is there with
    another mode or id."""
    start = _boundary(old, _common(old, new))
    end = _common_end(old, new, start)
    old_at = new_at = start
    old_names, new_names = dict[bytes, Name](), dict[bytes, Name]()
    while True:
        left, right = len(old) - old_at, len(new) - new_at
        if left == right and left <= end:
            break  # what is left is the same on both sides
        if left >= right:
            old_at = _take(old, old_at, old_names)
        if right >= left:
            new_at = _take(new, new_at, new_names)
    for name in old_names.keys() & new_names.keys():
        if old_names[name] == new_names[name]:
            del old_names[name], new_names[name]
    return old_names, new_names


def changed_paths(repository: pygit2.Repository, old: bytes | None, new: bytes | None) -> set[str]:
    """The paths of files, links and submodules that differ between two trees, by their ids as bytes; of one that is
    None every path of the other. Raises KeyError where a tree that differs is not here."""
    found: set[str] = set()
    waiting: list[tuple[bytes, bytes | None, bytes | None, int]] = [(b"", old, new, 0)]
    while waiting:
        folder, one, two, depth = waiting.pop()
        if one == two or depth > DEEPEST:
            continue
        before, after = differences(read_folder(repository, one), read_folder(repository, two))
        for name in before.keys() | after.keys():
            path = folder + name
            sides = [side.get(name) for side in (before, after)]
            if any(side is not None and not side.is_folder for side in sides):
                found.add(os.fsdecode(path))
            inner = [side.id if side is not None and side.is_folder else None for side in sides]
            waiting.append((path + b"/", inner[0], inner[1], depth + 1))
    return found


def _take(tree: bytes, at: int, names: dict[bytes, Name]) -> int:
    space, end = tree.index(b" ", at), tree.index(b"\0", at)
    after = end + 1 + _ID
    names[tree[space + 1 : end]] = Name(tree[at:space], tree[end + 1 : after])
    return after


def _boundary(tree: bytes, most: int) -> int:
    """Where the last name begins or ends that is whole before ``most``."""
    at = 0
    while at < len(tree):
        after = tree.index(b"\0", at) + 1 + _ID
        if after > most:
            break
        at = after
    return at


def _common(old: bytes, new: bytes) -> int:
    """How many bytes are the same from the start: by halves, so that the comparing is the processor's."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(old: bytes, new: bytes, start: int) -> int:
    """How many bytes are the same at the end, of those from ``start`` on."""
    low, high = 0, min(len(old), len(new)) - start
    while low < high:
        middle = (low + high + 1) // 2
        if old[len(old) - middle : len(old) - low] == new[len(new) - middle : len(new) - low]:
            low = middle
        else:
            high = middle - 1
    return low
