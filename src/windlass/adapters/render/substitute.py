"""Variables in rendered objects: ``${REGION}`` to its value, where the Application asks for it. Called by ``steps``.

It works on values that were parsed already, so that no value can become structure: whatever is put in stays one scalar,
or one key. Whole scalars take the type that their field has; what a person wrote as a number stays one. A variable that
is not known is a problem with file and line, never an empty text. ``docs/render/substitution.md`` says the forms.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from windlass.adapters.render.notes import SUBSTITUTE
from windlass.adapters.render.objects import Raw, line_of
from windlass.adapters.render.work import Work
from windlass.core.manifests.schemas import Schema, Schemas

OPT_OUT = {SUBSTITUTE: "false", "kustomize.toolkit.fluxcd.io/substitute": "disabled"}
"""Annotations (Flux' one also as a label) of objects in which nothing is substituted."""

MOST = 16 * 1024 * 1024
"""Characters that all substitutions of a render may come to."""

_OPEN = re.compile(r"\$\$\{|\$\{")
_FORM = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::[=-](?P<default>[^$]*))?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METADATA = "apimachinery.pkg.apis.meta.v1.ObjectMeta"
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})|true|false")


class _Written(str):
    """Text that a person wrote as text, in the Application: never taken for a number."""

    __slots__ = ()


class Variable(NamedTuple):
    """``value`` is text, a number, true or false. ``source`` tells where it came from; ``secret``: from a Secret."""

    value: str | int | float | bool
    source: str
    secret: bool = False


class _Wrong(Exception):
    """What is wrong with a text, and the mend."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


def variables(work: Work) -> Mapping[str, Variable]:
    """Those of ``spec.render.substitute``: the objects of ``from`` in their order, then ``values`` over them all."""
    settings = work.request.settings.substitute
    found: dict[str, Variable] = {}
    if settings is None:
        return found
    for one in settings.from_:
        kind, name = ("ConfigMap", one.config_map) if one.config_map else ("Secret", one.secret)
        for key, data in work.request.values.objects.get(f"{kind}/{name}", {}).items():
            if _NAME.fullmatch(key):
                # A file's last newline belongs to the file.
                text = data.decode(errors="replace").removesuffix("\n")
                found[key] = Variable(text, f"{kind} {name}", kind == "Secret")
    for key, value in settings.values.items():
        written = _Written(value) if isinstance(value, str) else value
        found[key] = Variable(written, "spec.render.substitute.values")
    return found


def substitute(raws: Sequence[Raw], work: Work) -> list[Raw]:
    """The objects with their variables filled in. What can't be is in the findings."""
    known = variables(work)
    filler = _Filler(work, known)
    work.private = work.private or any(one.secret for one in known.values())
    return [filler.fill(raw) for raw in raws]


class _Filler:
    def __init__(self, work: Work, known: Mapping[str, Variable]) -> None:
        self.work = work
        self.known = known
        self.schemas = Schemas.builtin()
        self.metadata = self.schemas.definition(_METADATA)
        self.left = MOST
        self.raw = Raw(None, "", 0, 0)
        self.secret = False
        self.used: dict[str, str] = {}

    def fill(self, raw: Raw) -> Raw:
        if not _mentions(raw.value) or _opted_out(raw.value):
            return raw
        api_version, kind = raw.value.get("apiVersion"), raw.value.get("kind")
        schema = (
            self.schemas.kind(api_version, kind) if isinstance(kind, str) and isinstance(api_version, str) else None
        )
        self.raw, self.secret, self.used = raw, False, {}
        value = self._value(raw.value, schema, ())
        if self.secret and (kind, api_version) != ("Secret", "v1"):
            self.work.found.warning(
                f"a value of a Secret is put into this {kind}, where it is no secret any more", raw.file, raw.line
            )
        steps = tuple((source, f"${{{name}}}") for name, source in sorted(self.used.items()))
        return replace(raw, value=value, steps=(*raw.steps, *steps))

    def _value(self, value: Any, schema: Schema | None, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, str):
            return self._scalar(value, schema, path) if "${" in value else value
        if isinstance(value, list):
            items = schema.items if schema is not None else None
            return [self._value(one, items, (*path, index)) for index, one in enumerate(value)]
        if not isinstance(value, dict):
            return value
        made: dict[str, Any] = {}
        for key, one in value.items():
            field = schema.field(key) if schema is not None else None
            if field is None and not path and key == "metadata":
                field = self.metadata  # also of a kind that is not known
            name = str(self._scalar(key, None, (*path, key), text_only=True)) if "${" in key else key
            if name != key and (name in made or name in value):
                self._problem(f"the key {key} comes to {name}, which is there already", (*path, key), "rename one")
            made[name] = self._value(one, field, (*path, key))
        return made

    def _scalar(self, text: str, schema: Schema | None, path: tuple[str | int, ...], *, text_only: bool = False) -> Any:
        try:
            whole = self._whole(text)
            value = whole if whole is not None else self._parts(text)
        except _Wrong as error:
            self._problem(str(error), path, error.hint)
            return text
        self.left -= len(str(value))
        if self.left < 0:
            self._problem("what is put in comes to more than 16 MB", path, "put less in")
            self.left = MOST
            return text
        if text_only or whole is None:
            return _text(value)
        fitting = _fitting(value, schema)
        return str(fitting) if isinstance(fitting, str) else fitting

    def _whole(self, text: str) -> str | int | float | bool | None:
        """The value of a text that is one variable and nothing else; None where it is not."""
        if not (text.startswith("${") and text.find("}") == len(text) - 1):
            return None
        return self._lookup(text[2:-1])

    def _parts(self, text: str) -> str:
        made: list[str] = []
        at = 0
        while (found := _OPEN.search(text, at)) is not None:
            made.append(text[at : found.start()])
            at = found.end()
            if found[0] == "$${":
                made.append("${")
                continue
            end = text.find("}", at)
            if end < 0:
                raise _Wrong("a variable is not closed: ${ without a }", "write $${ for a literal ${")
            made.append(_text(self._lookup(text[at:end])))
            at = end + 1
        return "".join([*made, text[at:]])

    def _lookup(self, inside: str) -> str | int | float | bool:
        form = _FORM.fullmatch(inside)
        if form is None:
            shown = inside if len(inside) <= 40 else inside[:37] + "..."
            raise _Wrong(
                f"${{{shown}}} is no variable that is known here: ${{NAME}} and ${{NAME:=default}} are",
                "write $${ for a literal ${",
            )
        name, default = form["name"], form["default"]
        known = self.known.get(name)
        if known is not None and (known.value != "" or default is None):
            self.secret = self.secret or known.secret
            self.used[name] = known.source
            return known.value
        if default is not None:
            self.used[name] = "the default beside it"
            return default
        near = difflib.get_close_matches(name, sorted(self.known), 1, 0.8)
        guess = f"did you mean {near[0]}? or write" if near else "give it in spec.render.substitute, or write"
        raise _Wrong(f"the variable {name} is not known", f"{guess} ${{{name}:=default}}, or $${{{name}}} for the text")

    def _problem(self, what: str, path: tuple[str | int, ...], hint: str) -> None:
        raw = self.raw
        line = line_of(raw, path, self.work.data)
        self.work.found.problem(what, raw.file, line, hint=hint, slug="substitution")


def _mentions(value: Any) -> bool:
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any("${" in key or _mentions(one) for key, one in value.items())
    return isinstance(value, list) and any(_mentions(one) for one in value)


def _opted_out(value: dict[str, Any]) -> bool:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict):
        return not isinstance(value, dict)
    notes = [metadata.get("annotations"), metadata.get("labels")]
    return any(isinstance(note, dict) and note.get(key) == word for note in notes for key, word in OPT_OUT.items())


def _text(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _fitting(value: str | int | float | bool, schema: Schema | None) -> str | int | float | bool:
    """A whole scalar as its field wants it. Where the kind is not known, what looks like an integer, true or false is
    one, unless it was written as text in the Application: ``1.10`` is a version oftener than a number."""
    if schema is None or (not schema.type and not schema.traits.special):
        return _plainly(value)
    if schema.int_or_string:
        return _plainly(value)
    if schema.quantity or schema.type == "string":
        return _text(value)
    if isinstance(value, str) and schema.type in ("integer", "number", "boolean"):
        word = value.strip()
        if _WHOLE.fullmatch(word):
            return word == "true" if word in ("true", "false") else int(word)
        try:
            return float(word) if schema.type == "number" else value
        except ValueError:
            return value
    return value


def _plainly(value: str | int | float | bool) -> str | int | float | bool:
    if isinstance(value, str) and not isinstance(value, _Written) and _WHOLE.fullmatch(value):
        return value == "true" if value in ("true", "false") else int(value)
    return value
