"""Protobuf bodies of built-in kinds, read into the JSON form. ``kubectl create`` and other typed Go clients send them.

Called by ``request.py``. Only reading: answers are JSON, which those clients accept as well. The table of fields is
made by ``tools/make_protobuf.py``. What it does not know is skipped, as protobuf asks.
"""

from __future__ import annotations

import base64
import datetime
import gzip
import struct
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from windlass.core.manifests.schemas import Schemas

MAGIC = b"k8s\0"
_META = "apimachinery.pkg.apis.meta.v1."
_DEPTH = 64
_Field = tuple[str, str, str]


class ProtobufError(ValueError):
    """A body that is no protobuf of a kind that is known here."""


def decode(body: bytes) -> dict[str, Any]:
    """The object in an envelope. Raises `ProtobufError`."""
    if not body.startswith(MAGIC):
        raise ProtobufError("the body has no protobuf envelope")
    try:
        envelope = dict(_pairs(body[len(MAGIC) :]))
        kind = {number: value.decode() for number, value in _pairs(envelope.get(1, b""))}
        api_version, name = kind.get(1, ""), kind.get(2, "")
        message = _kinds().get((api_version, name))
        if message is None:
            raise ProtobufError(f"{api_version} {name} can't be read as protobuf here: send JSON")
        value = _message(envelope.get(2, b""), message, 0)
    except (IndexError, UnicodeDecodeError, struct.error, AttributeError, TypeError, msgspec.DecodeError) as error:
        raise ProtobufError(f"the body can't be read as protobuf: {error}") from error
    return {"kind": name, "apiVersion": api_version, **value}


@cache
def _kinds() -> dict[tuple[str, str], str]:
    return {(api_version, kind): definition for api_version, kind, definition in Schemas.builtin().kinds()}


@cache
def _table() -> dict[str, dict[int, _Field]]:
    packed = (resources.files(__package__) / "data" / "protobuf.json.gz").read_bytes()
    raw = msgspec.json.decode(gzip.decompress(packed))
    return {
        name: {number: (field, kind, label) for number, field, kind, label in fields} for name, fields in raw.items()
    }


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ProtobufError("a number is too long")


def _pairs(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and raw values: bytes, or the number of a varint or fixed field."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
        elif wire == 2:
            size, place = _varint(data, place)
            if place + size > len(data):
                raise ProtobufError("the body ends too early")
            yield number, data[place : place + size]
            place += size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield number, struct.unpack("<d" if wire == 1 else "<f", data[place : place + size])[0]
            place += size
        else:
            raise ProtobufError(f"wire type {wire} is not used by Kubernetes")


def _message(data: bytes, name: str, depth: int) -> dict[str, Any]:
    if depth > _DEPTH:
        raise ProtobufError("the body is nested too deeply")
    fields, made = _table()[name], {}
    for number, raw in _pairs(data):
        field = fields.get(number)
        if field is None:
            continue
        key, kind, label = field
        if label == "n":
            made.update(_message(raw, kind, depth + 1))
        elif label == "m":
            entry = dict(_pairs(raw))
            made.setdefault(key, {})[entry.get(1, b"").decode()] = _value(entry.get(2, b""), kind, depth + 1)
        elif label == "r":
            made.setdefault(key, []).append(_value(raw, kind, depth + 1))
        else:
            made[key] = _value(raw, kind, depth + 1)
    return made


def _value(raw: Any, kind: str, depth: int) -> Any:
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple(raw)
    if kind.rpartition(".")[2] in ("ExtraValue", "Verbs"):
        return [value.decode() for number, value in _pairs(raw) if number == 1]
    return _message(raw, kind, depth)


def _signed(raw: int) -> int:
    return raw - (1 << 64) if raw >= 1 << 63 else raw


def _numbers(raw: bytes) -> dict[int, Any]:
    return dict(_pairs(raw))


def _time(raw: bytes, digits: int = 0) -> str | None:
    found = _numbers(raw)
    if not found or (not found.get(1) and not found.get(2)):
        return None
    moment = datetime.datetime.fromtimestamp(_signed(found.get(1, 0)), datetime.UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{found.get(2, 0) // 1000:06d}Z" if digits else f"{text}Z"


def _int_or_string(raw: bytes) -> int | str:
    found = _numbers(raw)
    return found.get(3, b"").decode() if found.get(1) else _signed(found.get(2, 0))


def _json(raw: bytes) -> Any:
    found = _numbers(raw).get(1)
    return msgspec.json.decode(found) if found else None


def _text(raw: bytes) -> str:
    value: bytes = _numbers(raw).get(1, b"")
    return value.decode()


_SIMPLE: dict[str, Callable[[Any], Any]] = {
    "s": lambda raw: raw.decode(),
    "b": lambda raw: base64.b64encode(raw).decode(),
    "B": bool,
    "i": _signed,
    "d": float,
    _META + "Time": _time,
    _META + "MicroTime": lambda raw: _time(raw, 6),
    _META + "FieldsV1": _json,
    "apimachinery.pkg.api.resource.Quantity": _text,
    "apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "apimachinery.pkg.runtime.RawExtension": _json,
}
