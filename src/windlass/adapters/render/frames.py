"""What a worker and its parent say to each other: a length, a letter, and MessagePack; an answer comes in slices.

No frame holds much more than ``SLICE`` bytes but for a single object that is larger, so that the parent's loop never
decodes long at a time. Used by ``worker`` and ``workers``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import msgspec

from windlass.core.model import Desired, OtherRead, Problem, Rendered

HEADER = struct.Struct(">IB")
"""Length of the payload, and the letter."""

SLICE = 128 * 1024
LARGEST = 64 * 1024 * 1024

READY, REQUEST, OBJECTS, PROBLEMS, INVALID, WARNINGS, TRACE, END, FAILURE = b"HROPIWTEF"

_encode = msgspec.msgpack.Encoder().encode


class Failure(msgspec.Struct, frozen=True):
    """A render that came to nothing. ``family``: "human", "later", "memory", "broken" (a mistake of the renderer)."""

    family: str
    what: str
    hint: str = ""


class End(msgspec.Struct, frozen=True):
    """What ends an answer: the commits of the source and of further repositories, whether a secret is in it, whether
    what the cluster is like went into it, the answers about custom kinds that were used, missing charts, and images."""

    commit: str
    others: dict[str, str] = {}
    private: bool = False
    asked: bool = False
    scopes: dict[str, bool] = {}
    wants: list[tuple[str, str, str]] = []
    images: list[str] = []


def frame(letter: int, payload: bytes) -> bytes:
    """One frame."""
    return HEADER.pack(len(payload), letter) + payload


def answer(rendered: Rendered) -> Iterator[bytes]:
    """The frames of a render, the end last."""
    yield from _sliced(OBJECTS, rendered.objects)
    yield from _sliced(PROBLEMS, rendered.problems)
    yield from _sliced(INVALID, rendered.invalid)
    yield from _sliced(WARNINGS, rendered.warnings)
    yield from _sliced(TRACE, (("", path, seen) for path, seen in rendered.read.items()))
    for name, other in rendered.others.items():
        yield from _sliced(TRACE, ((name, path, seen) for path, seen in other.read.items()))
    commits = {name: other.commit for name, other in rendered.others.items()}
    end = End(
        rendered.commit, commits, rendered.private, rendered.asked, rendered.scopes, rendered.wants, rendered.images
    )
    yield frame(END, _encode(end))


def _sliced(letter: int, items: Iterable[object]) -> Iterator[bytes]:
    parts: list[bytes] = []
    size = 0
    for item in items:
        part = _encode(item)
        if parts and size + len(part) > SLICE:
            yield frame(letter, _array(parts))
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    if parts:
        yield frame(letter, _array(parts))


def _array(parts: list[bytes]) -> bytes:
    """A MessagePack array of values that are encoded already."""
    return b"\xdd" + len(parts).to_bytes(4, "big") + b"".join(parts)


class Answer:
    """Puts the slices of an answer together. ``take`` returns True when the end is in."""

    _objects = msgspec.msgpack.Decoder(list[Desired]).decode
    _problems = msgspec.msgpack.Decoder(list[Problem]).decode
    _trace = msgspec.msgpack.Decoder(list[tuple[str, str, str]]).decode
    _end = msgspec.msgpack.Decoder(End).decode

    def __init__(self) -> None:
        self.objects: list[Desired] = []
        self.told: dict[int, list[Problem]] = {PROBLEMS: [], INVALID: [], WARNINGS: []}
        self.read: dict[str, dict[str, str]] = {"": {}}
        self.end = End("")

    def take(self, letter: int, payload: bytes | memoryview) -> bool:
        """One frame. Raises msgspec.DecodeError or ValueError for what no worker says."""
        if letter == OBJECTS:
            self.objects += self._objects(payload)
        elif letter in self.told:
            self.told[letter] += self._problems(payload)
        elif letter == TRACE:
            for name, path, seen in self._trace(payload):
                self.read.setdefault(name, {})[path] = seen
        elif letter == END:
            self.end = self._end(payload)
            return True
        else:
            raise ValueError(f"no worker says {letter}")
        return False

    def rendered(self) -> Rendered:
        """All of it."""
        end, told = self.end, self.told
        others = {name: OtherRead(commit, self.read.get(name, {})) for name, commit in end.others.items()}
        return Rendered(
            end.commit,
            self.objects,
            told[PROBLEMS],
            told[INVALID],
            told[WARNINGS],
            self.read[""],
            others,
            end.private,
            end.asked,
            end.scopes,
            end.wants,
            end.images,
        )
