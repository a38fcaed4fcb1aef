"""One manifest to one object: what it is called, whether its types are right, and how it looks when it is applied.

Called by ``plain`` for each document. It never changes a document (they are cached) and it tells no value of a Secret.
What a person got wrong comes back as findings: identity and types stop the render, labels and annotations their object.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from windlass.adapters.render import notes
from windlass.adapters.render.applied import clean_metadata, content
from windlass.adapters.render.findings import Findings
from windlass.adapters.render.notes import BadNote, Notes
from windlass.adapters.render.typing_of import mistakes, shown
from windlass.core import kinds
from windlass.core.documents import DocumentError, locate, read
from windlass.core.manifests import resources
from windlass.core.manifests.schemas import Schemas
from windlass.core.model import ObjectRef, Problem
from windlass.core.model.references import split_api_version

SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
QUALIFIED = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
API_VERSION = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*")
KIND = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")

# Kinds whose names may hold more than a DNS name does: the server takes any path segment.
_FREE_NAMES = frozenset({("rbac.authorization.k8s.io", ""), ("networking.k8s.io", "IPAddress")})
_READERS: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "Application": kinds.application.decode,
    "Alert": kinds.alerts.decode_alert,
    "Channel": kinds.alerts.decode_channel,
    "ImagePolicy": kinds.image_policy.decode,
    "Repository": kinds.repository.decode,
    "Installation": kinds.installation.decode,
}
_MOST_MISTAKES = 10

FIND = -1
"""The index of a document of which only the line is known."""


@dataclass(frozen=True, slots=True)
class Raw:
    """One object as a renderer made it: ``value`` is no List any more; ``path`` leads to it inside its document.

    ``exact``: it stands so in the file, and the line of each of its fields can be looked up there. What is generated,
    patched or evaluated is not: then ``line`` is all that is known of its place. ``tracked``: ``file`` is in the
    repository, and the commit that changed it last can be looked up. ``steps``: what made or changed it, for people:
    the place that says so, and what it says.
    """

    value: Any
    file: str
    line: int
    index: int
    path: tuple[str | int, ...] = ()
    exact: bool = True
    tracked: bool = True
    steps: tuple[tuple[str, str], ...] = ()


class Prepared(NamedTuple):
    """One object, checked. ``content`` is what is applied, but for namespace and the marks of Windlass."""

    raw: Raw
    ref: ObjectRef
    api_version: str
    content: dict[str, Any]
    metadata: dict[str, Any]
    notes: Notes


class Preparer:
    """Prepares the objects of one render. ``data`` gives a file's bytes again, for the line of a mistake."""

    def __init__(self, found: Findings, data: Callable[[str], bytes], scope: Callable[[str, str], bool]) -> None:
        self.found = found
        self.data = data
        self.scope = scope
        self.schemas = Schemas.builtin()

    def prepare(self, raw: Raw, namespace: str) -> Prepared | None:
        """The object, or None where it is wrong: then the findings tell why."""
        identity = self._identity(raw)
        if identity is None:
            return None
        api_version, kind, metadata = identity
        group, _ = split_api_version(api_version)
        name = self._name(raw, group, kind, metadata)
        given = self._namespace(raw, metadata)
        if name is None or given is None:
            return None
        namespaced = self.scope(group, kind)
        if given and not namespaced:
            self._warn(
                raw, f"{kind}/{name} belongs to no namespace: metadata.namespace is left out", "metadata.namespace"
            )
        ref = ObjectRef(group, kind, (given or namespace) if namespaced else "", name)
        read = self._metadata(raw, ref, metadata)
        if isinstance(read, Problem):
            self.found.add(read, invalid=True)
            return None
        if not self._content(raw, ref, api_version):
            return None
        builtin = self.schemas.kind(api_version, ref.kind) is not None
        applied = content(raw.value, ref, builtin=builtin)
        cleaned = clean_metadata(metadata, ref)
        for words, field in (*applied.left_out, *cleaned.left_out):
            self._warn(raw, f"{ref}: {words}", field)
        return Prepared(raw, ref, api_version, applied.value, cleaned.value, read)

    # --- what it is called ------------------------------------------------------------------------------------------

    def _identity(self, raw: Raw) -> tuple[str, str, dict[str, Any]] | None:
        value = raw.value
        if not isinstance(value, dict) or ("apiVersion" not in value and "kind" not in value):
            self._bad(
                raw, "this is not a Kubernetes object: it has no apiVersion and no kind", (), self._leave_out(raw)
            )
            return None
        api_version, kind, metadata = value.get("apiVersion"), value.get("kind"), value.get("metadata")
        if not isinstance(kind, str) or KIND.fullmatch(kind) is None:
            self._bad(
                raw, _missing("kind", kind, "the name of a kind, such as Deployment"), ("kind",), "kind: Deployment"
            )
        elif not isinstance(api_version, str) or API_VERSION.fullmatch(api_version) is None:
            self._bad(
                raw,
                _missing("apiVersion", api_version, "<group>/<version>, such as apps/v1"),
                ("apiVersion",),
                f"apiVersion: {_usual_version(kind)}",
            )
        elif api_version.startswith("kustomize.config.k8s.io/"):
            self._bad(
                raw,
                f"a {kind} is read by kustomize and is no object of a cluster",
                ("kind",),
                self._leave_out(raw),
                "not-plain",
            )
        elif isinstance(value.get("sops"), dict):
            self._bad(
                raw,
                "this file is encrypted with SOPS, and the Application does not say how it is opened",
                ("sops",),
                "decrypt: {secret: sops-age} in spec.render",
                "not-decrypted",
            )
        elif not isinstance(metadata, dict):
            what = "metadata is missing" if metadata is None else f"metadata must be an object, not {shown(metadata)}"
            self._bad(
                raw,
                what,
                ("metadata",) if "metadata" in value else (),
                f"metadata: {{name: my-{kind.lower()}}}; {self._leave_out(raw)}",
            )
        else:
            return api_version, kind, metadata
        return None

    def _name(self, raw: Raw, group: str, kind: str, metadata: dict[str, Any]) -> str | None:
        name = metadata.get("name")
        path = ("metadata", "name")
        if name is None or name == "":
            if metadata.get("generateName"):
                self._bad(
                    raw,
                    "metadata.generateName would make a new object at every apply",
                    ("metadata", "generateName"),
                    f"name: {str(metadata['generateName']).rstrip('-')}  (in place of generateName)",
                )
            else:
                self._bad(raw, "metadata.name is missing", ("metadata",), f"name: my-{kind.lower()}")
        elif not isinstance(name, str):
            self._bad(
                raw, f"metadata.name must be a string, not {shown(name)}", path, f'name: "{shown(name)}"', "wrong-type"
            )
        elif (group, "") in _FREE_NAMES or (group, kind) in _FREE_NAMES:
            if "/" in name or "%" in name or name in (".", "..") or len(name) > 253 or not name.isprintable():
                self._bad(
                    raw, f"metadata.name must have no / and no %, not {shown(name)}", path, f"name: {_mended(name)}"
                )
            else:
                return name
        elif len(name) > 253 or SUBDOMAIN.fullmatch(name) is None:
            what = f"metadata.name must be lower-case letters, digits, - and ., not {shown(name)}"
            self._bad(raw, what, path, f"name: {_mended(name)}")
        else:
            return name
        return None

    def _namespace(self, raw: Raw, metadata: dict[str, Any]) -> str | None:
        given = metadata.get("namespace")
        if given is None or given == "":
            return ""
        path = ("metadata", "namespace")
        if not isinstance(given, str):
            what = f"metadata.namespace must be a string, not {shown(given)}"
            self._bad(raw, what, path, f'namespace: "{shown(given)}"', "wrong-type")
            return None
        if DNS_LABEL.fullmatch(given) is None:
            what = f"metadata.namespace must be lower-case letters, digits and -, at most 63, not {shown(given)}"
            self._bad(raw, what, path, f"namespace: {_mended(given).replace('.', '-')[:63]}")
            return None
        return given

    # --- labels and annotations: wrong ones leave this one object out -----------------------------------------------

    def _metadata(self, raw: Raw, ref: ObjectRef, metadata: dict[str, Any]) -> Notes | Problem:
        for word, one in (("labels", "label"), ("annotations", "annotation")):
            given = metadata.get(word)
            if given is None:
                continue
            if not isinstance(given, dict):
                what = f"metadata.{word} must be an object, not {shown(given)}"
                return self._problem(raw, what, ("metadata", word), f'{word}: {{name: "value"}}', ref, "wrong-type")
            for key, value in given.items():
                wrong = self._pair(raw, ref, one, key, value)
                if wrong:
                    return wrong
        read = notes.read(
            {key: value for key, value in (metadata.get("annotations") or {}).items() if value is not None}
        )
        if isinstance(read, BadNote):
            return self._problem(
                raw, read.what, ("metadata", "annotations", read.key), read.hint, ref, "bad-annotation"
            )
        return read

    def _pair(self, raw: Raw, ref: ObjectRef, one: str, key: str, value: Any) -> Problem | None:
        path = ("metadata", f"{one}s", key)
        if QUALIFIED.fullmatch(key) is None:
            what = f"the {one} {shown(key)} is no name: letters, digits, - _ . with an optional prefix and one /"
            return self._problem(raw, what, path, f"{one}s: {{app.example.com/name: ...}}", ref, f"bad-{one}")
        if value is None:
            return None
        if not isinstance(value, str):
            secret = ref.kind == "Secret" and not ref.group
            what = f"the {one} {key} must be a string, not {shown(value, secret=secret)}"
            hint = f'{key}: "..."' if secret or isinstance(value, dict | list) else f'{key}: "{shown(value)}"'
            return self._problem(raw, what, path, hint, ref, "wrong-type")
        if one == "label" and LABEL_VALUE.fullmatch(value) is None:
            what = f"the value of the label {key} must be at most 63 letters, digits, - _ and ., not {shown(value)}"
            return self._problem(
                raw, what, path, f"put it into an annotation, or write {key}: {_mended(value, 63)}", ref, "bad-label"
            )
        return None

    # --- its fields -------------------------------------------------------------------------------------------------

    def _content(self, raw: Raw, ref: ObjectRef, api_version: str) -> bool:
        if api_version == kinds.API_VERSION and ref.kind in _READERS:
            return self._own(raw, ref)
        schema = self.schemas.kind(api_version, ref.kind)
        if schema is None:
            return True
        secret = ref.kind == "Secret"
        right = True
        for number, wrong in enumerate(mistakes(raw.value, schema, secret=secret)):
            right = False
            if number >= _MOST_MISTAKES:
                break
            self.found.add(self._problem(raw, wrong.what, wrong.path, wrong.hint, ref, "wrong-type", wrong.field))
        return right and (not secret or self._base64(raw, ref))

    def _own(self, raw: Raw, ref: ObjectRef) -> bool:
        """Our own kinds are read as the controller reads them; one that is wrong stops itself alone."""
        try:
            _READERS[ref.kind](raw.value)
        except kinds.BadSpec as error:
            path = tuple(
                int(part[1:]) if part[0] == "[" else part
                for part in re.findall(r"\[[0-9]+|[^.\[\]]+", error.where.field)
            )
            problem = self._problem(raw, error.what, path, error.hint, ref, error.slug, error.where.field)
            self.found.add(problem, invalid=True)
            return False
        return True

    def _base64(self, raw: Raw, ref: ObjectRef) -> bool:
        for key, value in (raw.value.get("data") or {}).items():
            if not isinstance(value, str):
                continue
            try:
                base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
            except ValueError:
                what = f"data.{key} of a Secret must be base64"
                self._bad(raw, what, ("data", key), f"stringData: {{{key}: ...}} takes it as it is", "wrong-type", ref)
                return False
        return True

    # --- findings ---------------------------------------------------------------------------------------------------

    def _problem(
        self,
        raw: Raw,
        what: str,
        path: tuple[str | int, ...],
        hint: str,
        ref: ObjectRef | None,
        slug: str,
        field: str = "",
    ) -> Problem:
        line = line_of(raw, path, self.data) or raw.line
        if raw.exact and path:
            hint = _as_written(hint, raw, path, self.data(raw.file), line)
        return Problem(what, raw.file, line, field or _field(path), hint, slug, ref)

    def _bad(
        self,
        raw: Raw,
        what: str,
        path: tuple[str | int, ...],
        hint: str,
        slug: str = "bad-manifest",
        ref: ObjectRef | None = None,
    ) -> None:
        self.found.add(self._problem(raw, what, path, hint, ref, slug))

    def _warn(self, raw: Raw, what: str, field: str) -> None:
        self.found.warning(what, raw.file, raw.line, field=field)

    @staticmethod
    def _leave_out(raw: Raw) -> str:
        if not raw.exact:
            return "mend what makes it, or take it out there"
        return f'if it is meant for another program, leave it out: source.exclude: ["{raw.file.rpartition("/")[2]}"]'


def line_of(raw: Raw, path: tuple[str | int, ...], data: Callable[[str], bytes]) -> int:
    """The line of a field of an object, as near as it can be told."""
    if not raw.exact or not (path or raw.path):
        return raw.line
    text, index = data(raw.file), raw.index
    if index == FIND:
        try:
            index = next(one.index for one in read(text, raw.file) if one.line == raw.line)
        except (DocumentError, StopIteration):
            # kustomize reads some files that Kubernetes does not.
            return raw.line
    return locate(text, index, [*raw.path, *path]) or raw.line


def _as_written(hint: str, raw: Raw, path: tuple[str | int, ...], data: bytes, line: int) -> str:
    """A mend that quotes ``true`` or a number, with the word that stands in the file (``yes``, ``1.10``)."""
    value = raw.value
    try:
        for part in path:
            value = value[part]
    except (KeyError, IndexError, TypeError):
        return hint
    start = "-" if isinstance(path[-1], int) else f"{path[-1]}:"
    if not isinstance(value, bool | int | float) or hint != f'{start} "{shown(value)}"':
        return hint
    text = data.splitlines()[line - 1].decode(errors="replace")
    found = re.findall(rf"(?<![\w.-]){re.escape(start)} +([\w.+-]+)", text)
    return f'{start} "{found[0]}"' if len(found) == 1 else hint


def _field(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        if isinstance(part, int) or not re.fullmatch("[A-Za-z0-9_-]+", part):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _missing(name: str, value: Any, words: str) -> str:
    return f"{name} is missing" if value is None else f"{name} must be {words}, not {shown(value)}"


def _usual_version(kind: str) -> str:
    return next((one.api_version for one in resources.builtin() if one.kind == kind), "v1")


def _mended(name: str, longest: int = 253) -> str:
    lowered = name if longest == 63 else name.lower()
    return re.sub(r"[^A-Za-z0-9.-]+", "-", lowered)[:longest].strip("-.") or "my-name"
