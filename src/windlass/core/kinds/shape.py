"""What a struct of a kind says about itself: checked on reading, written into the CRD, printed in the docs.

The structs of ``installation``, ``repository`` and ``application`` are the only place where a field is described; this
module reads their annotations and derives the rest: ``check`` (the first mistake in an object, with its mend),
``schema`` (OpenAPI v3, structural) and ``rows`` (the tables of ``docs/kinds``). It knows no kind by name.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from windlass.errors import NeedsHuman, Where


class BadSpec(NeedsHuman):
    """A field of one of our own kinds is unknown, missing, or holds what it can't. Names the field and the mend."""

    slug: ClassVar[str] = "bad-spec"
    reason: ClassVar[str] = "BadSpec"


@dataclass(frozen=True, slots=True)
class Says:
    """What a field is for, in a sentence or two; ``example`` is a value as it would be written in YAML."""

    text: str
    example: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """How a string has to look: ``words`` finish the sentence "must be ..."; the pattern matches the whole string."""

    pattern: str
    words: str
    example: str
    longest: int = 253


@dataclass(frozen=True, slots=True)
class Least:
    """The smallest value of an integer."""

    value: int


@dataclass(frozen=True, slots=True)
class Unordered:
    """A list without an order: each value once, every writer owns its own."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A list of objects that are told apart by these fields."""

    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule of the CRD; ``message`` says the mend. The kind's own reading holds the same rule in Python."""

    cel: str
    message: str


class Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A part of a kind: an object of named fields. ``rules`` go into the CRD."""

    rules: ClassVar[tuple[Rule, ...]] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a docs table. ``default`` is "" where the field is required or has none worth telling."""

    path: str
    form: str
    default: str
    text: str
    required: bool


@dataclass(frozen=True, slots=True)
class _Typed:
    """A field's type, taken apart."""

    base: Any
    says: Says
    form: Form | None
    least: int | None
    marks: tuple[Any, ...]


def _typed(annotation: Any) -> _Typed:
    marks: tuple[Any, ...] = ()
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            marks = (*more, *marks)
        elif origin in (Union, UnionType):
            (annotation,) = [one for one in get_args(annotation) if one is not NoneType]
        else:
            break
    says = [mark for mark in marks if isinstance(mark, Says)]
    forms = [mark for mark in marks if isinstance(mark, Form)]
    least = [mark for mark in marks if isinstance(mark, Least)]
    return _Typed(
        annotation,
        says[-1] if says else Says(""),
        forms[-1] if forms else None,
        least[-1].value if least else None,
        marks,
    )


_FIELDS: dict[type[Part], list[tuple[str, _Typed, Any, bool]]] = {}


def _fields(part: type[Part]) -> list[tuple[str, _Typed, Any, bool]]:
    """(name in YAML, type, default or NODEFAULT, required) of each field, in order."""
    if part not in _FIELDS:
        hints = get_type_hints(part, include_extras=True)
        _FIELDS[part] = [
            (field.encode_name, _typed(hints[field.name]), _default(field), field.required)
            for field in msgspec.structs.fields(part)
        ]
    return _FIELDS[part]


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return msgspec.NODEFAULT


def _is_part(base: Any) -> bool:
    return isinstance(base, type) and issubclass(base, Part)


# --- reading --------------------------------------------------------------------------------------------------------


def shown(value: object) -> str:
    """A value as a person wrote it, on one line, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, known: list[str]) -> str:
    """The known name that was probably meant, or ""."""
    lowered = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), list(lowered), 1, 0.6)
    return lowered[found[0]] if found else ""


def mistake(path: str, what: str, hint: str) -> BadSpec:
    """The error for one field; ``path`` reads like ``spec.sync.mode``."""
    return BadSpec(f"{path} {what}", where=Where(field=path), hint=hint)


def check(value: object, part: type[Part], path: str) -> None:
    """Raises BadSpec for the first field of ``value`` that ``part`` does not allow, in the order of the schema."""
    if not isinstance(value, dict):
        raise mistake(path, f"must be an object, not {shown(value)}", f"see {part.__name__} in docs/kinds")
    fields = _fields(part)
    known = [name for name, _, _, _ in fields]
    for name in value:
        if name not in known:
            guess = nearest(str(name), known)
            hint = f"did you mean {guess}?" if guess else f"known here: {', '.join(sorted(known))}"
            raise mistake(f"{path}.{name}", "is not a known field", hint)
    for name, typed, _, required in fields:
        if value.get(name) is not None:
            _check_value(value[name], typed, f"{path}.{name}", name)
        elif required:
            raise mistake(f"{path}.{name}", "is missing", f"{name}: {_example(typed)}")


def _check_value(value: object, typed: _Typed, path: str, name: str) -> None:
    base, origin = typed.base, get_origin(typed.base)
    if base is Any:
        return
    if _is_part(base):
        check(value, base, path)
    elif origin is list:
        if not isinstance(value, list):
            raise mistake(
                path, f"must be a list, not {shown(value)}", f"{name}: [{_example(_typed(get_args(base)[0]))}]"
            )
        inner = _typed(get_args(base)[0])
        for index, one in enumerate(value):
            _check_value(one, inner, f"{path}[{index}]", name)
    elif origin is dict:
        if not isinstance(value, dict):
            raise mistake(path, f"must be an object, not {shown(value)}", f"{name}: {{}}")
        inner = _typed(get_args(base)[1])
        for key, one in value.items():
            _check_value(one, inner, f"{path}.{key}", str(key))
    elif not _fits(value, typed):
        raise mistake(path, f"must be {_words(typed)}, not {shown(value)}", f"{name}: {_example(typed)}")


def _fits(value: object, typed: _Typed) -> bool:
    if get_origin(typed.base) is Literal:
        return value in get_args(typed.base)
    if typed.base is bool:
        return isinstance(value, bool)
    if typed.base is int:
        return isinstance(value, int) and not isinstance(value, bool) and (typed.least is None or value >= typed.least)
    if not isinstance(value, str):
        return False
    form = typed.form
    return form is None or (len(value) <= form.longest and re.fullmatch(form.pattern, value) is not None)


def _words(typed: _Typed) -> str:
    if get_origin(typed.base) is Literal:
        return " or ".join(get_args(typed.base))
    if typed.base is bool:
        return "true or false"
    if typed.base is int:
        return "an integer" if typed.least is None else f"an integer of at least {typed.least}"
    return typed.form.words if typed.form else "a string"


def _example(typed: _Typed) -> str:
    if typed.says.example:
        return typed.says.example
    if typed.form:
        return typed.form.example
    if get_origin(typed.base) is Literal:
        return str(get_args(typed.base)[0])
    if _is_part(typed.base):
        inner = ", ".join(f"{name}: {_example(one)}" for name, one, _, required in _fields(typed.base) if required)
        return f"{{{inner}}}"
    return {bool: "true", int: str(typed.least if typed.least is not None else 1)}.get(typed.base, "...")


def dense(value: object, part: type[Part]) -> dict[str, Any]:
    """A checked object without nulls: an explicit null says the same as nothing. Not so in a field that may hold any
    value (the values of a chart): there it is one."""
    assert isinstance(value, dict)
    typed = {name: one for name, one, _, _ in _fields(part)}
    return {name: _dense_value(one, typed[name]) for name, one in value.items() if one is not None}


def _dense_value(value: Any, typed: _Typed) -> Any:
    base, origin = typed.base, get_origin(typed.base)
    if _is_part(base):
        return dense(value, base)
    if origin is list:
        inner = _typed(get_args(base)[0])
        return [_dense_value(one, inner) for one in value]
    if origin is dict:
        inner = _typed(get_args(base)[1])
        return {key: _dense_value(one, inner) for key, one in value.items() if one is not None or inner.base is Any}
    return value


# --- the CRD --------------------------------------------------------------------------------------------------------


def schema(part: type[Part], text: str = "") -> dict[str, Any]:
    """The structural OpenAPI v3 schema of a part."""
    fields = _fields(part)
    made: dict[str, Any] = {"type": "object"}
    if text:
        made["description"] = text
    made["properties"] = {name: _schema_of(typed) for name, typed, _, _ in fields}
    required = [name for name, _, _, required in fields if required]
    if required:
        made["required"] = required
    if part.rules:
        made["x-kubernetes-validations"] = [{"rule": rule.cel, "message": rule.message} for rule in part.rules]
    return made


def _schema_of(typed: _Typed) -> dict[str, Any]:
    base, origin = typed.base, get_origin(typed.base)
    if _is_part(base):
        return schema(base, typed.says.text)
    made: dict[str, Any] = {}
    if typed.says.text:
        made["description"] = typed.says.text
    if origin is list:
        made |= {"type": "array", "items": _schema_of(_typed(get_args(base)[0])), "x-kubernetes-list-type": "atomic"}
        for mark in typed.marks:
            if isinstance(mark, Unordered):
                made["x-kubernetes-list-type"] = "set"
            elif isinstance(mark, Keyed):
                made |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(mark.by)}
    elif origin is dict:
        made |= {"type": "object", "additionalProperties": _schema_of(_typed(get_args(base)[1]))}
    elif origin is Literal:
        made |= {"type": "string", "enum": list(get_args(base))}
    elif base is Any:
        made |= {"x-kubernetes-preserve-unknown-fields": True}
    elif base is bool:
        made |= {"type": "boolean"}
    elif base is int:
        made |= {"type": "integer", "format": "int64"}
        if typed.least is not None:
            made["minimum"] = typed.least
    else:
        made |= {"type": "string"}
        if typed.form:
            made |= {"pattern": f"^(?:{typed.form.pattern})$", "maxLength": typed.form.longest}
    return made


# --- the docs -------------------------------------------------------------------------------------------------------


def rows(part: type[Part], path: str) -> Iterator[Row]:
    """A row for each field, parents before their children."""
    for name, typed, default, required in _fields(part):
        base, origin, here = typed.base, get_origin(typed.base), f"{path}.{name}"
        inner = _typed(get_args(base)[0]) if origin is list else None
        if _is_part(base):
            yield Row(here, "object", "", typed.says.text, required)
            yield from rows(base, here)
        elif inner is not None and _is_part(inner.base):
            yield Row(here, "list of objects", "", typed.says.text, required)
            yield from rows(inner.base, f"{here}[]")
        else:
            plain = not isinstance(default, list | dict) and default not in (msgspec.NODEFAULT, None, "")
            told = json.dumps(default) if isinstance(default, bool) else str(default)
            yield Row(here, _form(typed), told if plain else "", typed.says.text, required)


def _form(typed: _Typed) -> str:
    base, origin = typed.base, get_origin(typed.base)
    if origin is list:
        return f"list of {_form(_typed(get_args(base)[0]))}s"
    if origin is dict:
        return f"map of {_form(_typed(get_args(base)[1]))}s"
    if origin is Literal:
        return " \\| ".join(f"`{one}`" for one in get_args(base))
    return {bool: "boolean", int: "integer", Any: "value"}.get(base, "string")
