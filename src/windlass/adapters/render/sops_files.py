"""The formats of files that SOPS encrypts: YAML, JSON, dotenv, INI, and anything else as a whole. Bytes to bytes.

``opened`` is asked for every file that a render reads where the Application decrypts. What it gives back has the lines
of the file, so that the place of a mistake is still the place in Git: in YAML each value is put where its ciphertext
was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import yaml
from typing_extensions import override
from yaml._yaml import CParser

from windlass.adapters.git.snapshot import Entry, Snapshot
from windlass.adapters.render.sops import (
    Identities,
    NotDecrypted,
    Opener,
    Value,
    is_comment,
    metadata_of,
    plain_float,
    refused,
)
from windlass.adapters.render.sops_ini import ini_opened, metadata_in
from windlass.core.documents import DocumentError, read
from windlass.errors import Where

_YAML = re.compile(rb"^[\"\']?sops[\"\']?:", re.MULTILINE)
_DOTENV = re.compile(rb"^sops_mac=", re.MULTILINE)
_JSON = re.compile(rb'^\s*\{.*"sops"\s*:', re.DOTALL)
_LIST = re.compile(r"(.+?)__(?:list_([0-9]+)__)?map_(.+)")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_ESCAPED = re.compile("[<>&\u2028\u2029]")
# Go's YAML reads unquoted text so, and the MAC is over what it reads.
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")


class DecryptedSnapshot(Snapshot):
    """A snapshot in which encrypted files read as they were before. ``secrets`` are the values that were opened."""

    def __init__(self, inner: Snapshot, identities: Callable[[], Identities]) -> None:
        self.inner = inner
        self.commit = inner.commit
        self.secrets: set[str] = set()
        self._identities = identities

    @override
    def _list(self, folder: str) -> Mapping[str, Entry] | None:
        return self.inner._list(folder)

    @override
    def _read(self, folder: str, entry: Entry) -> bytes:
        data = self.inner._read(folder, entry)
        if entry.kind != "file":
            return data
        path = f"{folder}/{entry.name}" if folder else entry.name
        try:
            found = opened(data, path, self._identities)
        except NotDecrypted as error:
            raise error.at(Where(file=path)) from None
        if found is None:
            return data
        self.secrets |= found.secrets
        return found.data


class Opened(NamedTuple):
    """A file as it was before it was encrypted, and the values that were opened. Its text shows neither."""

    data: bytes
    secrets: set[str]

    @override
    def __repr__(self) -> str:
        return f"Opened({len(self.secrets)} values)"


def opened(data: bytes, path: str, identities: Callable[[], Identities]) -> Opened | None:
    """The file as it was before, None where it is not encrypted with SOPS. Raises NotDecrypted."""
    if b"sops" not in data:
        return None
    if _DOTENV.search(data):
        return _dotenv(data, identities())
    if _JSON.match(data):
        content = _parsed_json(data)
        if isinstance(content, dict) and _is_sops(content.get("sops")):
            return _json(content, path, identities())
        return None
    if _YAML.search(data):
        try:
            documents = read(data, path)
        except DocumentError:
            return None  # it is told where the file is read for what it says
        block = next(
            (one.value["sops"] for one in documents if isinstance(one.value, dict) and "sops" in one.value), None
        )
        if _is_sops(block):
            return _yaml(data.decode(), block, identities())
    if b"[sops]" in data:
        return _ini(data, identities)
    return None


def _is_sops(block: object) -> bool:
    return isinstance(block, dict) and "mac" in block and "lastmodified" in block


# --- JSON and whole files -------------------------------------------------------------------------------------------


def _parsed_json(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _json(content: dict[str, Any], path: str, identities: Identities) -> Opened:
    metadata = metadata_of(content.pop("sops"))
    opener = Opener(metadata, identities.data_key(metadata))
    if list(content) == ["data"] and not path.endswith((".json", ".yaml", ".yml")):
        whole = opener.take_bytes(str(content["data"]), ["data"])
        opener.check()
        return Opened(whole, opener.taken)
    plain = _walk(content, [], opener)
    opener.check()
    return Opened(f"{_json_text(plain)}\n".encode(errors="surrogatepass"), opener.taken)


def _json_text(value: Any, indent: str = "") -> str:
    """As ``sops`` prints it, which is as Go does: what a generator makes of a file is its bytes."""
    inner, end = f"\n{indent}\t", f"\n{indent}"
    if isinstance(value, dict) and value:
        return "{" + ",".join(f"{inner}{_go(k)}: {_json_text(v, inner[1:])}" for k, v in value.items()) + end + "}"
    if isinstance(value, list) and value:
        return "[" + ",".join(f"{inner}{_json_text(one, inner[1:])}" for one in value) + end + "]"
    if isinstance(value, float):
        if 1e-6 <= abs(value) < 1e21 or value == 0:
            return plain_float(value)
        return re.sub("e-0", "e-", repr(value))
    return _go(value)


def _go(value: Any) -> str:
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _walk(value: Any, path: list[str], opener: Opener) -> Any:
    if isinstance(value, dict):
        return {key: _walk(one, [*path, key], opener) for key, one in value.items()}
    if isinstance(value, list):
        return [_walk(one, path, opener) for one in value]
    return _leaf(value, path, opener, 0)


def _leaf(value: Value | None, path: Sequence[str], opener: Opener, line: int) -> Value | None:
    if value is None:
        return None
    if not opener.sealed(path):
        opener.pass_by(value)
        return value
    if not isinstance(value, str):
        shown = ".".join(path)[:200]
        raise refused(f"{shown} is not encrypted, and should be", "encrypt the file anew: sops --encrypt", line)
    return opener.take(value, path, line)


# --- dotenv ---------------------------------------------------------------------------------------------------------


def _dotenv(data: bytes, identities: Identities) -> Opened:
    lines = data.decode(errors="replace").split("\n")
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    flat = {key.removeprefix("sops_"): value.replace("\\n", "\n") for key, value in pairs if key.startswith("sops_")}
    metadata = metadata_of(_unflattened(flat))
    opener = Opener(metadata, identities.data_key(metadata))
    made = []
    for number, line in enumerate(lines, 1):
        key, mark, text = line.partition("=")
        if line.startswith("sops_"):
            continue
        if not mark and line and not line.startswith("#"):
            raise refused("a line is no NAME=value", "edit the file with sops", number)
        if not mark or line.startswith("#"):
            # An encrypted comment says nothing to a program.
            made.append("" if line.startswith("#ENC[") else line)
            continue
        value = text.replace("\\n", "\n")
        shown = str(_leaf(value, [key], opener, 0))
        made.append(f"{key}={shown}".replace("\n", "\\n"))
    opener.check()
    return Opened("\n".join(made).encode(), opener.taken)


def _unflattened(flat: Mapping[str, str]) -> dict[str, Any]:
    """``age__list_0__map_enc`` to ``age: [{enc: ...}]``, as far as it is needed here."""
    made: dict[str, Any] = {}
    for key, value in flat.items():
        found = _LIST.fullmatch(key)
        if found is None:
            made[key] = value
            continue
        name, index, inner = found[1], int(found[2] or 0), found[3]
        items = made.setdefault(name, [])
        if not isinstance(items, list) or index > 100:
            raise refused("what stands in sops_... is not as sops writes it", "encrypt the file anew")
        items.extend({} for _ in range(index + 1 - len(items)))
        items[index][inner] = value
    return made


# --- INI ------------------------------------------------------------------------------------------------------------


def _ini(data: bytes, identities: Callable[[], Identities]) -> Opened | None:
    text = data.decode(errors="replace").replace("\r\n", "\n")
    flat = metadata_in(text)
    if flat is None:
        return None
    metadata = metadata_of(_unflattened(flat))
    opener = Opener(metadata, identities().data_key(metadata))
    made = ini_opened(text, opener)
    opener.check()
    return Opened(made.encode(), opener.taken)


# --- YAML -----------------------------------------------------------------------------------------------------------


class _Splice(NamedTuple):
    """What stands in place of a piece of the text."""

    start: int
    end: int
    text: str


def _yaml(text: str, block: object, identities: Identities) -> Opened:
    metadata = metadata_of(block)
    opener = Opener(metadata, identities.data_key(metadata))
    try:
        splices = list(_splices(text, opener))
    except yaml.YAMLError:
        raise refused("the file can't be read as YAML", "mend the file") from None
    opener.check()
    made, at = [], 0
    for one in splices:
        made += [text[at : one.start], one.text]
        at = one.end
    return Opened("".join([*made, text[at:]]).encode(), opener.taken)


def _splices(text: str, opener: Opener) -> Iterator[_Splice]:
    """One for each value, and one that takes each ``sops`` block out, as many lines left where more follows."""
    parser: Any = CParser(text)
    # For each open collection: whether it is a mapping, the key it is at, whether a key comes next.
    stack: list[list[Any]] = []
    cut: tuple[int, int] | None = None  # where the sops block begins, and how deep its value is
    while (kind := (event := parser.get_event()).__class__) is not yaml.StreamEndEvent:
        if kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            stack.pop()
            _next(stack)
            if cut is not None and len(stack) == cut[1]:
                yield _block(text, cut[0], event.end_mark.index)
                cut = None
        elif kind is yaml.AliasEvent:
            raise refused("an alias stands in an encrypted file", "write the value itself", event.start_mark.line + 1)
        elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
            if not stack and event.flow_style:
                raise refused("the file is YAML on one line", "write it in lines, or as JSON")
            mapping = kind is yaml.MappingStartEvent
            stack.append([mapping, "", mapping])
        elif kind is yaml.ScalarEvent:
            if stack and stack[-1][0] and stack[-1][2]:
                stack[-1][1], stack[-1][2] = event.value, False
                if len(stack) == 1 and event.value == "sops":
                    cut = event.start_mark.index, 1
                continue
            if cut is None:
                path = [frame[1] for frame in stack if frame[0]]
                comment = bool(stack) and not stack[-1][0] and is_comment(event.value) and opener.sealed(path)
                made = _comment(text, event, path, opener) if comment else _value(text, event, path, opener)
                if made is not None:
                    yield made
            _next(stack)


def _next(stack: list[list[Any]]) -> None:
    """After a value of a mapping comes a key."""
    if stack and stack[-1][0]:
        stack[-1][2] = True


def _value(text: str, event: Any, path: Sequence[str], opener: Opener) -> _Splice | None:
    quoted = not event.implicit[0]
    value: Value | None = event.value if quoted else _resolved(event.value)
    if not opener.sealed(path):
        if value is not None:
            opener.pass_by(value)
        return None
    if value is None:
        return None
    line = event.start_mark.line + 1
    plain = _leaf(event.value if not quoted and isinstance(value, str) else value, path, opener, line)
    start, end = event.start_mark.index, event.end_mark.index
    return _Splice(start, end, _written(plain) + "\n" * text.count("\n", start, end))


def _comment(text: str, event: Any, path: Sequence[str], opener: Opener) -> _Splice:
    """An item of a list that was a comment before: the item goes, with its dash."""
    opener.take_comment(event.value, path, event.start_mark.line + 1)
    start = event.start_mark.index
    dash = text.rfind("-", 0, start)
    return _cut(text, dash if dash >= 0 and not text[dash + 1 : start].strip() else start, event.end_mark.index)


def _cut(text: str, start: int, end: int) -> _Splice:
    return _Splice(start, end, "\n" * text.count("\n", start, end))


def _block(text: str, start: int, end: int) -> _Splice:
    """The ``sops`` block. Empty lines in its place would belong to a text before it that keeps them (``|+``)."""
    if not text[end:].strip():
        return _Splice(start, len(text), "")
    return _Splice(start, end, "#\n" * text.count("\n", start, end))


def _written(value: Value | None) -> str:
    """A value as YAML on one line, whatever is around it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return plain_float(value)
    if isinstance(value, int):
        return str(value)
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _resolved(text: str) -> Value | None:
    """Unquoted text as the program that made the MAC reads it."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(text):
        try:
            return int(digits, 8 if re.fullmatch("[-+]?0[0-7]+", digits) else 0)
        except ValueError:
            pass
    if _FLOAT.fullmatch(digits):
        return float(digits)
    return _time(text) if _DAY.fullmatch(text) else text


def _time(text: str) -> str:
    """A time as it is written anew; text that is none stays itself."""
    try:
        found = datetime.fromisoformat(text.replace("t", "T").replace(" ", "T", 1))
    except ValueError:
        return text
    offset = found.utcoffset()
    made = (found if offset is not None else found.replace(tzinfo=UTC)).isoformat()
    return made.removesuffix("+00:00") + "Z" if made.endswith("+00:00") else made
