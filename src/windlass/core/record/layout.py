"""Where the ledger lies in Git, and in which form: names of refs and files, messages of commits.

``docs/ledger.md`` tells the same for other programs. One ref for a cluster and a year, one commit for a push, one new
file in a commit, one event on a line. All of it follows from the lines alone: whoever pushes them again makes the same
file, and finds it there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from windlass.core.model.events import Event, decode

FORMAT = 1
ROOT = "refs/windlass/ledger/"
DESCRIPTOR = "ledger.json"
"""The file of the first commit of a ref: what this is, and which ref it goes on from."""
PATH = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})/([0-9]{2})/([0-9]{4})\.([0-9]{3})-([0-9a-f]{16})\.jsonl")
_NUMBER = re.compile(r"[0-9]{1,18}")
_FILE, _EVENTS, _TOTAL, _PREVIOUS = "Windlass-File", "Windlass-Events", "Windlass-Total", "Windlass-Previous"


class Previous(msgspec.Struct, frozen=True):
    """The ref that a ref goes on from, and its last commit."""

    ref: str
    commit: str


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The content of ``ledger.json``."""

    format: int
    cluster: str
    shard: str
    previous: Previous | None = None


class Trailers(msgspec.Struct, frozen=True):
    """What a commit of the ledger says of itself. ``total``: events in the ref with this commit."""

    file: str
    events: int
    total: int


def ref_of(cluster: str, shard: str) -> str:
    return f"{ROOT}{cluster}/{shard}"


def shard_of(content: bytes) -> str:
    """The shard that a batch belongs to: the year of its first event, so that it is the same whenever it is pushed."""
    return _first(content).time[:4]


def path_of(content: bytes) -> str:
    """``2026/11/28/14/2102.123-<digest>.jsonl``: the time of the first event, and the digest of the whole."""
    time = _first(content).time
    day, hour, minute = time[:10].replace("-", "/"), time[11:13], time[14:16] + time[17:19]
    return f"{day}/{hour}/{minute}.{time[20:23]}-{digest(content)}.jsonl"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def descriptor(cluster: str, shard: str, previous: Previous | None) -> bytes:
    made = Descriptor(FORMAT, cluster, shard, previous)
    return msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"


def message(cluster: str, content: bytes, total: int, previous: Previous | None = None) -> str:
    """The message of a commit: for people first, then for whoever checks. ``total`` is that of the commit before."""
    told = events_of(content)
    counts: dict[str, int] = {}
    for event in told:
        counts[event.kind] = counts.get(event.kind, 0) + 1
    number = f"{len(told)} event{'s' if len(told) != 1 else ''}"
    first, last = told[0].time[11:19], told[-1].time[11:19]
    times = first if first == last else f"{first} to {last}"
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    lines = [f"{number} of {cluster}, {times}", "", kinds, ""]
    lines += [f"{_FILE}: {path_of(content)}", f"{_EVENTS}: {len(told)}", f"{_TOTAL}: {total + len(told)}"]
    if previous is not None:
        lines.append(f"{_PREVIOUS}: {previous.ref} {previous.commit}")
    return "\n".join(lines) + "\n"


def trailers(text: str) -> Trailers | None:
    """What ``message`` wrote, read back; None for a commit of somebody else."""
    found = dict(re.findall(r"^(Windlass-[A-Z][a-z]+): (.+)$", text, re.MULTILINE))
    file, number, total = found.get(_FILE, ""), found.get(_EVENTS, ""), found.get(_TOTAL, "")
    if PATH.fullmatch(file) is None or not _NUMBER.fullmatch(number) or not _NUMBER.fullmatch(total):
        return None
    return Trailers(file, int(number), int(total))


def events_of(content: bytes) -> list[Event]:
    """The events of a file. Raises ValueError for a line that is none."""
    return [decode(line) for line in content.splitlines() if line]


def older(refs: Sequence[str], cluster: str, shard: str) -> str:
    """Of the refs of a cluster, the one that a new shard goes on from; "" where it is the first."""
    before = ref_of(cluster, "")
    shards = [ref.removeprefix(before) for ref in refs if ref.startswith(before)]
    found = [one for one in shards if re.fullmatch(r"\d{4}", one) and one < shard]
    return ref_of(cluster, max(found)) if found else ""


def _first(content: bytes) -> Event:
    return decode(content[: content.index(b"\n") + 1])
