"""The files of a chart, from a folder of a snapshot or from an archive, and as the archive that Helm's library loads.

A folder is read through the snapshot: links are followed inside the repository and only there, and ``.helmignore`` is
honoured as Helm does. An archive is taken apart in memory with bounds on count and size; names that lead out, links and
devices are refused, so nothing of it ever touches the disk. Schemas that would be fetched from somewhere are refused:
Helm would ask any address for them. Called by ``helm`` in the render worker.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from windlass.adapters.git.paths import refused
from windlass.adapters.git.snapshot import Snapshot
from windlass.adapters.git.trace import TracedSnapshot
from windlass.errors import NeedsHuman, Where

LARGEST_FILE = 5 * 1024 * 1024
"""Helm's own bound for one file of a chart."""

LARGEST_CHART = 100 * 1024 * 1024
_MOST_FILES = 20_000
_DEEPEST = 32
_NESTED = 4
_SCHEMA = "values.schema.json"
_DRAFTS = re.compile(r"https?://json-schema\.org/(?:draft-0[4-7]|draft/2019-09|draft/2020-12)/schema#?")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class ChartRefused(NeedsHuman):
    """A chart that is not taken: it leads out, is too large, or wants something from elsewhere."""

    slug: ClassVar[str] = "chart-refused"


@dataclass(frozen=True, slots=True)
class ChartFiles:
    """A chart. ``place`` is what stands before a path in messages, ``key`` names the content: equal keys, equal files.
    ``load`` reads them, by their path below the chart's folder; it raises ChartRefused, BadPath, GitRefused."""

    place: str
    key: str
    load: Callable[[], dict[str, bytes]]

    def where(self, path: str) -> str:
        """A file of the chart, for a message."""
        return f"{self.place}/{path}" if self.place and self.place != "." else path


# --- a folder of a snapshot -----------------------------------------------------------------------------------------


def chart_folder(snapshot: Snapshot, folder: str) -> ChartFiles:
    """The chart in a folder: only names and ids are looked at. Raises ChartRefused, BadPath, GitRefused."""
    ids = sorted(_Walk(snapshot, folder, _ignored(snapshot, folder)).files())
    mark = hashlib.sha256("".join(f"{path}\0{ident}\0" for path, ident in ids).encode())
    return ChartFiles(folder, mark.hexdigest(), lambda: _loaded(snapshot, folder, [path for path, _ in ids]))


def _loaded(snapshot: Snapshot, folder: str, paths: Sequence[str]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    size = 0
    for path in paths:
        data = _read(snapshot, _join(folder, path))
        size += len(data)
        if size > LARGEST_CHART:
            raise ChartRefused("the chart is larger than 100 MB", where=Where(folder), hint="split it")
        if len(data) > LARGEST_FILE:
            hint = f"leave it out: a line in {_join(folder, '.helmignore')}"
            raise ChartRefused("a file of the chart is larger than 5 MB", where=Where(_join(folder, path)), hint=hint)
        files[path] = data.removeprefix(b"\xef\xbb\xbf")
    return files


class _Walk:
    """One walk over a chart's folder. Links lead anywhere inside the repository, also round in circles: what is looked
    at is counted."""

    def __init__(self, snapshot: Snapshot, folder: str, ignored: Ignored) -> None:
        self._snapshot = snapshot
        self._folder = folder
        self._ignored = ignored
        self._left = _MOST_FILES
        # Files are noted by the ids that the folder tells: to look each up again would cost more than the render.
        self._seen = snapshot.trace.read if isinstance(snapshot, TracedSnapshot) else {}

    def files(self, below: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
        """Path below the folder, and blob id, of each file."""
        here = _join(self._folder, below)
        if depth > _DEEPEST:
            raise ChartRefused(
                "folders of the chart are more than 32 deep", where=Where(here), hint="is a link a circle?"
            )
        true = self._snapshot.true_path(here)
        for entry in self._snapshot.entries(here) or ():
            self._left -= 1
            if self._left < 0:
                hint = "split it, or see whether a link leads round in a circle"
                raise ChartRefused("the chart has more than 20,000 files", where=Where(self._folder), hint=hint)
            path, kind = _join(below, entry.name), entry.kind
            whole = _join(self._folder, path)
            if kind == "link":
                kind = "folder" if self._snapshot.entries(whole) is not None else "file"
            if self._ignored.leaves_out(path, folder=kind == "folder"):
                continue
            if kind == "folder":
                yield from self.files(path, depth + 1)
            elif entry.kind == "file":
                self._seen[_join(true, entry.name)] = entry.id
                yield path, entry.id
            elif kind == "file":
                yield path, self._snapshot.blob_id(whole)
            else:
                hint = "copy the chart into the repository, or name its own repository in source.chart"
                raise ChartRefused("a part of the chart is a submodule", where=Where(whole), hint=hint)


def _read(snapshot: Snapshot, path: str) -> bytes:
    try:
        return snapshot.read(path)
    except KeyError:
        raise refused("the link leads to nothing", path, "mend the link, or take it out") from None


class Ignored:
    """``.helmignore``: one pattern a line, ``!`` for all but, a slash behind for folders; what Helm leaves out."""

    def __init__(self, text: str, file: str = "") -> None:
        self._rules: list[tuple[bool, bool, bool, re.Pattern[str]]] = []
        for number, line in enumerate([*text.removeprefix("\ufeff").splitlines(), "templates/.?*"], 1):
            rule = line.strip()
            if not rule or rule.startswith("#"):
                continue
            if "**" in rule:
                raise ChartRefused("** is not known here", where=Where(file, number), hint="name each folder")
            negated, rule = rule.startswith("!"), rule.removeprefix("!")
            only_folders, rule = rule.endswith("/"), rule.removesuffix("/")
            whole = "/" in rule
            self._rules.append((negated, only_folders, whole, _pattern(rule.removeprefix("/"))))

    def leaves_out(self, path: str, *, folder: bool) -> bool:
        for negated, only_folders, whole, pattern in self._rules:
            fits = pattern.fullmatch(path if whole else path.rpartition("/")[2]) is not None
            if negated:
                if (only_folders and not folder) or not fits:
                    return True
            elif fits and (folder or not only_folders):
                return True
        return False


def _pattern(rule: str) -> re.Pattern[str]:
    """A shell pattern as Helm reads it: ``*`` and ``?`` stop at a slash. Few stars, so that nothing makes it slow."""
    if rule.count("*") > 8 or len(rule) > 256:
        raise ChartRefused("a pattern of .helmignore is too long or has too many stars", hint="write it simpler")
    made, at = "", 0
    while at < len(rule):
        letter = rule[at]
        end = rule.find("]", at + 2) if letter == "[" else -1
        if letter == "*":
            made += "[^/]*"
        elif letter == "?":
            made += "[^/]"
        elif letter == "\\" and at + 1 < len(rule):
            at += 1
            made += re.escape(rule[at])
        elif end > 0:
            inside = rule[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            made += f"[{inside}]"
            at = end
        else:
            made += re.escape(letter)
        at += 1
    try:
        return re.compile(made)
    except re.error:
        raise ChartRefused(f"a pattern of .helmignore can't be read: {rule[:80]}", hint="write it simpler") from None


def _ignored(snapshot: Snapshot, folder: str) -> Ignored:
    file = _join(folder, ".helmignore")
    try:
        text = snapshot.read(file).decode(errors="replace")
    except KeyError:
        text = ""
    return Ignored(text, file)


# --- an archive -----------------------------------------------------------------------------------------------------


def chart_archive(data: bytes, place: str) -> ChartFiles:
    """The chart in a ``.tgz``. Its one folder at the top is taken off. Raises ChartRefused."""
    return ChartFiles(place, hashlib.sha256(data).hexdigest(), lambda: dict(_unpacked(data, place)))


def _unpacked(data: bytes, place: str) -> Iterator[tuple[str, bytes]]:
    count = 0
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(_inflated(data, place)), mode="r:") as archive:
            for member in archive:
                count += 1
                if count > _MOST_FILES:
                    raise ChartRefused("the archive has more than 20,000 files", where=Where(place))
                path = _inside(member, place)
                if path is None:
                    continue
                if member.size > LARGEST_FILE:
                    raise ChartRefused("a file in the archive is larger than 5 MB", where=Where(f"{place}/{path}"))
                opened = archive.extractfile(member)
                if path not in seen and opened is not None:
                    seen.add(path)
                    yield path, opened.read().removeprefix(b"\xef\xbb\xbf")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise ChartRefused("the archive can't be read", where=Where(place), hint="publish the chart again") from error
    if not seen:
        raise ChartRefused("the archive is empty", where=Where(place))


def _inflated(data: bytes, place: str) -> bytes:
    """Never more than Helm's own bound, whatever the archive claims."""
    stream = zlib.decompressobj(wbits=31)
    try:
        made = stream.decompress(data, LARGEST_CHART + 1)
    except zlib.error as error:
        raise ChartRefused("the archive can't be read", where=Where(place), hint="publish the chart again") from error
    if len(made) > LARGEST_CHART or stream.unconsumed_tail:
        raise ChartRefused("the archive unpacks to more than 100 MB", where=Where(place))
    return made


def _inside(member: tarfile.TarInfo, place: str) -> str | None:
    """The path of a file below the archive's one folder; None for what holds no content."""
    name = member.name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name or re.match("[A-Za-z]:/", "/".join(parts[1:])):
        raise ChartRefused(f"a name in the archive leads out of it: {member.name[:120]!r}", where=Where(place))
    if member.isdir() or (member.isfile() and len(parts) < 2):
        return None
    if not member.isfile():
        # Helm leaves links out silently; a chart with one would be another chart than its author meant.
        raise ChartRefused(f"the archive holds a link or a device: {member.name[:120]!r}", where=Where(place))
    return "/".join(parts[1:])


# --- what Helm's library loads --------------------------------------------------------------------------------------


def packed(chart: ChartFiles, files: Mapping[str, bytes], *, schemas: bool) -> bytes:
    """The archive for the library: schemas checked, or taken out where they are not wanted. Raises ChartRefused."""
    return _archive(_schemas_checked(files, chart, schemas=schemas, depth=0), "chart")


def _archive(files: Mapping[str, bytes], name: str) -> bytes:
    made = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, data in files.items():
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def _schemas_checked(
    files: Mapping[str, bytes], chart: ChartFiles, *, schemas: bool, depth: int, inside: str = ""
) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    for path, data in files.items():
        name = path.rpartition("/")[2]
        if name == _SCHEMA and _is_root(path):
            if not schemas:
                continue
            _check_schema(data, chart.where(inside + path))
        elif path.endswith(".tgz") and _is_subchart(path):
            # A subchart that is packed: its schemas count as well.
            if depth >= _NESTED:
                raise ChartRefused("charts stand inside each other too deeply", where=Where(chart.where(inside + path)))
            inner = dict(_unpacked(data, chart.where(inside + path)))
            checked = _schemas_checked(inner, chart, schemas=schemas, depth=depth + 1, inside=f"{inside}{path}/")
            if checked.keys() != inner.keys():
                data = _archive(checked, name.removesuffix(".tgz"))
        made[path] = data
    return made


def _is_root(path: str) -> bool:
    """Whether a file stands in a chart's own folder: the chart's, or that of one below ``charts``."""
    return re.fullmatch(r"(?:charts/[^/]+/)*[^/]+", path) is not None


def _is_subchart(path: str) -> bool:
    return re.fullmatch(r"(?:charts/[^/]+/)*charts/[^/]+", path) is not None


def _check_schema(data: bytes, file: str) -> None:
    """Refuses what would be fetched: Helm's validator asks any address, and reads any file, that a schema names."""
    try:
        schema = json.loads(data)
    except (ValueError, RecursionError) as error:
        # What can't be read here, the library might read: nothing goes past this look.
        hint = "write it as JSON; or render.helm.skipSchemaValidation: true"
        raise ChartRefused("the schema can't be read as JSON", where=Where(file), hint=hint) from error
    waiting: list[Any] = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())
            _check_references(one, file)


def _check_references(one: Mapping[str, Any], file: str) -> None:
    for word in _REFERENCES:
        target = one.get(word)
        if isinstance(target, str) and not target.startswith("#"):
            hint = f"copy what it names into the file, under $defs, and write {word}: #/$defs/<name>; or "
            raise ChartRefused(
                f"the schema takes a part from elsewhere, which is never fetched: {word}: {target[:200]}",
                where=Where(file),
                hint=hint + "render.helm.skipSchemaValidation: true",
            )
    draft = one.get("$schema")
    if isinstance(draft, str) and _DRAFTS.fullmatch(draft) is None:
        raise ChartRefused(
            f"the schema follows rules from elsewhere, which are never fetched: $schema: {draft[:200]}",
            where=Where(file),
            hint="$schema: https://json-schema.org/draft/2020-12/schema; or render.helm.skipSchemaValidation: true",
        )


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


__all__ = ["ChartFiles", "ChartRefused", "chart_archive", "chart_folder", "packed"]
