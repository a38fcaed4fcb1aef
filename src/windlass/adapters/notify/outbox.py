"""Notices that wait for a receiver, and what is open, on disk: a file each, so that a restart loses none.

    <folder>/<channel>/<time>-<number>.json    one notice, oldest first
    <folder>/open.json                         what each Alert has told and not ended

A Channel keeps at most ``MOST`` notices; of more the oldest go, and how many is told. Full or read-only disks cost what
could not be written, and are told once. Blocking: called in a thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from windlass.adapters.host.files import write_atomic
from windlass.core.alerts import Notice, Open

MOST = 1000


class Waiting(msgspec.Struct, frozen=True):
    """One notice and where it lies."""

    file: Path
    notice: Notice


class Outbox:
    """``folder`` is made. Names of channels are ``<namespace>/<name>``, checked by the API server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def add(self, channel: str, notice: Notice, stamp: str) -> int:
        """Keeps a notice. Returns how many older ones had to go. Raises DiskFull, FileNotWritable."""
        place = self._place(channel)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._number += 1
        name = f"{stamp.replace(':', '')}-{self._number:06d}.json"
        write_atomic(place / name, msgspec.json.encode(notice))
        kept = _files(place)
        for old in kept[: max(0, len(kept) - MOST)]:
            with contextlib.suppress(FileNotFoundError):
                (place / old).unlink()
        return max(0, len(kept) - MOST)

    def first(self, channel: str) -> Waiting | None:
        """The oldest notice that waits. What can't be read is taken out of the way."""
        place = self._place(channel)
        for name in _files(place):
            path = place / name
            try:
                return Waiting(path, msgspec.json.decode(path.read_bytes(), type=Notice))
            except (msgspec.MsgspecError, FileNotFoundError):
                path.unlink(missing_ok=True)
        return None

    def done(self, waiting: Waiting) -> None:
        """It was taken."""
        waiting.file.unlink(missing_ok=True)

    def channels(self) -> Sequence[str]:
        """Those for which something waits."""
        found = []
        for namespace in _folders(self._folder):
            found += [
                f"{namespace}/{name}"
                for name in _folders(self._folder / namespace)
                if _files(self._folder / namespace / name)
            ]
        return found

    def forget(self, channel: str) -> None:
        """The Channel is no more."""
        place = self._place(channel)
        for name in _files(place):
            (place / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            place.rmdir()

    def load(self) -> dict[str, dict[str, Open]]:
        """What is open, by Alert; nothing where nothing can be read."""
        try:
            return msgspec.json.decode((self._folder / "open.json").read_bytes(), type=dict[str, dict[str, Open]])
        except (OSError, msgspec.MsgspecError):
            return {}

    def save(self, open_: dict[str, dict[str, Open]]) -> None:
        """Raises DiskFull, FileNotWritable."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self._folder / "open.json", msgspec.json.encode(open_))

    def _place(self, channel: str) -> Path:
        namespace, _, name = channel.partition("/")
        return self._folder / namespace / name


def _files(place: Path) -> list[str]:
    try:
        return sorted(one for one in os.listdir(place) if one.endswith(".json") and not one.startswith("."))
    except FileNotFoundError:
        return []


def _folders(place: Path) -> list[str]:
    try:
        return sorted(one.name for one in os.scandir(place) if one.is_dir())
    except FileNotFoundError:
        return []
