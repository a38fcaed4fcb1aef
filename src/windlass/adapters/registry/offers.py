"""What a chart repository offers: its ``index.yaml`` made short, in a child of its own.

    python -m windlass.adapters.registry.offers < index.yaml

Indexes are large (tens of megabytes, tens of thousands of versions) and written by strangers: to parse one on the
controller's loop would hold everything else for seconds. The child reads it whole and writes a line for each chart: its
name, a tab, and a JSON list of ``Offer``. Entries that are no charts are left out. ``shorten`` runs it, with limits.
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import msgspec

from windlass.adapters.host.children import Limits, run_child
from windlass.core.charts.ranges import newest, read_range, version
from windlass.core.documents import Budget, DocumentError, read
from windlass.errors import NeedsHuman

LARGEST = 64 * 1024 * 1024
_BUDGET = Budget(size=LARGEST, nodes=8_000_000, depth=64, text=LARGEST)
_LIMITS = Limits(timeout=120.0, output=LARGEST, data=768 << 20, cpu=120, file_size=0)
_MOST_URLS = 4


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """One version: ``digest`` is the archive's SHA-256 in hexadecimal, "" where the index does not say it."""

    version: str
    digest: str
    urls: list[str]


class IndexWrong(NeedsHuman):
    """What a chart repository offers can't be read."""

    slug: ClassVar[str] = "chart-index"
    reason: ClassVar[str] = "ChartIndex"


async def shorten(index: bytes, place: str) -> dict[str, bytes]:
    """Per chart, the JSON list of its offers. Raises IndexWrong, TryLater."""
    flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
    argv = [sys.executable, *flags, "-m", "windlass.adapters.registry.offers"]
    finished = await run_child(argv, env={}, stdin=index, limits=_LIMITS)
    if finished.code == 2:
        words = finished.stderr.decode(errors="replace").strip()[:300]
        raise IndexWrong(f"the index of {place} can't be read: {words}", hint="helm repo index makes it anew")
    if finished.code != 0:
        raise IndexWrong(f"the index of {place} needs more time or memory than it may")
    lines = (line.partition(b"\t") for line in finished.stdout.split(b"\n") if line)
    return {name.decode(): offers for name, _, offers in lines}


def choose(offers: list[Offer], wanted: str) -> Offer | None:
    """The version that a range means, as Helm takes it: the text itself where it is offered, else the highest."""
    exact = next((one for one in offers if one.version == wanted), None)
    if exact is not None:
        return exact
    reading = read_range(wanted)
    found = newest(reading, (one.version for one in offers)) if reading is not None else None
    return next((one for one in offers if one.version == found), None)


def short(content: Any) -> dict[str, list[Offer]]:
    """The offers in a parsed index. Raises IndexWrong where it is none."""
    entries = content.get("entries") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise IndexWrong("it has no entries")
    made: dict[str, list[Offer]] = {}
    for name, versions in entries.items():
        found = [offer for one in versions if (offer := _offer(one)) is not None] if isinstance(versions, list) else []
        if found and not any(one in name for one in "\t\n\r"):
            made[name] = found
    return made


def _offer(one: Any) -> Offer | None:
    if not isinstance(one, dict):
        return None
    text, urls, digest = one.get("version"), one.get("urls"), one.get("digest") or ""
    if not isinstance(text, str) or version(text) is None or not isinstance(urls, list) or not isinstance(digest, str):
        return None
    good = [url for url in urls[:_MOST_URLS] if isinstance(url, str) and url]
    return Offer(text, digest.removeprefix("sha256:").lower(), good) if good else None


def main() -> int:
    """Reads the index from the input. Ends with 2 where it is none."""
    try:
        documents = read(sys.stdin.buffer.read(LARGEST + 1), "index.yaml", _BUDGET)
        made = short(documents[0].value if documents else None)
    except (DocumentError, IndexWrong) as error:
        sys.stderr.write(str(error))
        return 2
    encode = msgspec.json.Encoder().encode
    for name, offers in made.items():
        sys.stdout.buffer.write(name.encode() + b"\t" + encode(offers) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
