"""Jsonnet: each ``*.jsonnet`` file of a folder to the objects that it evaluates to. A renderer, as ``work`` has them.

A file may come to one object, to a list, to a ``List``, or to an object of objects, however deep; null is nothing.
Imports are looked for beside the importing file and then in ``libs``, the last of them first, and never outside the
repositories of the Application: every name that was looked for is in the trace. Evaluation is in a thread with a stack
of its own; code that goes deeper than ``DEEPEST`` brackets or ``STACK`` calls is refused, and time and memory are
bounded by the worker.
"""

from __future__ import annotations

import posixpath
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from windlass.adapters.git.errors import GitRefused
from windlass.adapters.git.trace import TracedSnapshot
from windlass.adapters.render.jsonnet_std import with_std
from windlass.adapters.render.objects import Raw
from windlass.adapters.render.places import Place, place_of
from windlass.adapters.render.plain import expanded
from windlass.adapters.render.walk import join
from windlass.adapters.render.work import Work
from windlass.core.documents import Budget, DocumentError, json_text
from windlass.core.documents.globs import matches_any
from windlass.core.words.plain import plain

DEEPEST = 1000
"""Brackets inside each other in one file, and levels of what it evaluates to."""

STACK = 500
"""Calls inside each other: Jsonnet's own bound."""

_THREAD = 64 * 1024 * 1024
_LEVELS = 32
_PLACE = re.compile(r"^ *(/[0-9]+/[^:\n]+):([0-9]+)", re.MULTILINE)
_ENTRY = "entry"
_WITHOUT_VALUES = ("syntax error", "stack overflow", "external variable", "function argument")


def jsonnet(work: Work) -> Iterator[Raw]:
    """Every object that the folder's files come to."""
    libs = _libs(work)
    arguments = _arguments(work)
    for name in _files(work):
        path = join(work.root, name)
        text = _evaluated(work, path, libs, arguments)
        if text is None:
            continue
        try:
            # Read as JSON and nothing else: `inf` would be text in YAML.
            documents = json_text.read(text.encode(), path, Budget())
        except (DocumentError, json_text.NotJson) as error:
            told = error.told(path) if isinstance(error, json_text.NotJson) else error
            work.found.problem(f"what it evaluates to can't be read: {told.what}", path, hint=told.hint, slug="jsonnet")
            continue
        for document in documents:
            yield from _objects(Raw(document.value, path, 1, 0, exact=False), work, _LEVELS)


def _files(work: Work) -> Sequence[str]:
    request = work.request
    names = [one.name for one in work.tree.entries(work.root) or () if one.kind != "folder"]
    return [
        name
        for name in names
        if name.endswith(".jsonnet")
        and not name.startswith(".")
        and not matches_any(request.exclude, name)
        and (not request.include or matches_any(request.include, name))
    ]


def _libs(work: Work) -> Sequence[Place]:
    settings = work.request.settings.jsonnet
    places = [
        place_of(work, text, f"spec.render.jsonnet.libs[{index}]")
        for index, text in enumerate(settings.libs if settings else ())
    ]
    return [place for place in reversed(places) if place is not None]


class _Arguments(NamedTuple):
    """Text is handed over as text, everything else as the code of its value."""

    tla_vars: dict[str, str]
    tla_codes: dict[str, str]
    ext_vars: dict[str, str]
    ext_codes: dict[str, str]


def _arguments(work: Work) -> _Arguments:
    settings = work.request.settings.jsonnet
    split: list[dict[str, str]] = []
    for given in (settings.top_level, settings.external) if settings else ({}, {}):
        split.append({name: value for name, value in given.items() if isinstance(value, str)})
        coded = {name: value for name, value in given.items() if not isinstance(value, str)}
        split.append({name: msgspec.json.encode(value).decode() for name, value in coded.items()})
    return _Arguments(*split)


# --- evaluation -----------------------------------------------------------------------------------------------------


class _Imports:
    """What the evaluator asks for a file. Paths are ``/<number of the repository>/<path>``, so that each import knows
    where the file that it stands in is. ``trouble`` is why the last one failed: text, file, line, mend."""

    def __init__(self, work: Work, entry: str, libs: Sequence[Place]) -> None:
        names = ["", *sorted(work.others)]
        self.trees = [work.others[name] if name else work.tree for name in names]
        self.entry = f"/0/{entry}"
        self.libs = [f"/{names.index(one.source)}/{one.path}" for one in libs]
        self.loaded: dict[str, str] = {}
        self.trouble: tuple[str, str, int, str] | None = None

    def __call__(self, base: str, name: str) -> tuple[str, str]:
        if name == _ENTRY:
            return self.entry, self._text(self.entry, self.entry, 0)
        file, line = self._importing(base, name)
        if name.startswith("/"):
            raise self._failed(f"an import by the absolute path {name}", file, line, "imports stay in the repository")
        for folder in (base, *self.libs):
            path = posixpath.normpath(posixpath.join(folder, name))
            root = f"/{folder.split('/')[1]}/"
            if not path.startswith(root):
                raise self._failed(f"the import of {name} leads out of the repository", file, line, "keep it inside")
            try:
                there = self._tree(path).blob_id(path.removeprefix(root))
            except GitRefused as error:
                raise self._failed(error.what, file, line, error.hint) from error
            if there:
                return path, self._text(path, file, line)
        libs = ", ".join(self.shown(lib) for lib in self.libs)
        hint = f"it was looked for beside the file and in {libs}" if libs else "name its folder in jsonnet.libs"
        raise self._failed(f"there is no file {name} to import", file, line, hint)

    def _tree(self, path: str) -> TracedSnapshot:
        return self.trees[int(path.split("/")[1])]

    def _text(self, path: str, file: str, line: int) -> str:
        tree, inside = self._tree(path), path.split("/", 2)[2]
        try:
            text = tree.read(inside).decode()
        except UnicodeDecodeError:
            raise self._failed(f"{inside} is not UTF-8 text", file, line, "Jsonnet imports text only here") from None
        except (KeyError, GitRefused) as error:
            what = error.what if isinstance(error, GitRefused) else f"{inside} can't be read"
            raise self._failed(what, file, line, "mend the file") from error
        if path.endswith(("sonnet", ".json")) and _depth(text) > DEEPEST:
            raise self._failed(f"{inside} has more than {DEEPEST} brackets inside each other", file, line, "split it")
        self.loaded[path] = text
        return with_std(text, inside) if path.endswith("sonnet") else text

    def _importing(self, base: str, name: str) -> tuple[str, int]:
        """The file and line of an import: the evaluator tells only the folder."""
        for path, text in self.loaded.items():
            at = text.find(name)
            if posixpath.dirname(path) == base and at >= 0:
                return path, text.count("\n", 0, at) + 1
        return self.entry, 0

    def _failed(self, what: str, file: str, line: int, hint: str) -> KeyError:
        self.trouble = what, self.shown(file), line, hint
        return KeyError(what)

    def shown(self, path: str) -> str:
        """A path as people know it."""
        parts = path.split("/", 2)
        return parts[2] if len(parts) > 2 else "the repository's root"


def _depth(text: str) -> int:
    """How deep the brackets of a text go at most; those in strings count too."""
    deep = most = 0
    for bracket in re.findall(r"[\[\](){}]", text):
        if bracket in "[({":
            deep += 1
            most = max(most, deep)
        else:
            deep = max(0, deep - 1)
    return most


def _evaluated(work: Work, path: str, libs: Sequence[Place], arguments: _Arguments) -> str | None:
    """The JSON text of one file, None where it has none: then the findings tell why."""
    imports = _Imports(work, path, libs)
    answer = _with_stack(imports, arguments)
    if isinstance(answer, str):
        return answer
    if imports.trouble is not None:
        what, file, line, hint = imports.trouble
        work.found.problem(what, file, line, hint=hint, slug="jsonnet")
        return None
    text = str(answer)
    place = _PLACE.search(text)
    file, line = (imports.shown(place[1]), int(place[2])) if place else (path, 0)
    what = plain(text.split("\n", 1)[0])[:300].removeprefix("runtime error: ")
    if work.decrypts and not what.startswith(_WITHOUT_VALUES):
        # Its words may be made of what was decrypted, in any form.
        what = "the code ends with an error of its own, whose words may hold decrypted values and are not shown"
    work.found.problem(f"Jsonnet: {what}", file, line, hint=_hint(what), slug="jsonnet")
    return None


def _with_stack(imports: _Imports, arguments: _Arguments) -> str | RuntimeError:
    """Evaluates in a thread whose stack is deep enough for what is let through."""
    import rjsonnet

    answer: list[str | BaseException] = []

    def run() -> None:
        try:
            made = rjsonnet.evaluate_snippet(
                "entry.jsonnet",
                f"import {_ENTRY!r}",
                max_stack=STACK,
                max_trace=10,
                import_callback=imports,
                tla_vars=arguments.tla_vars,
                tla_codes=arguments.tla_codes,
                ext_vars=arguments.ext_vars,
                ext_codes=arguments.ext_codes,
            )
            answer.append(made)
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for it
            answer.append(error)

    before = threading.stack_size(_THREAD)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    (made,) = answer
    if isinstance(made, str | RuntimeError):
        return made
    if type(made).__name__ == "PanicException":
        return RuntimeError("the evaluator can't cope with this code")
    raise made


def _hint(what: str) -> str:
    if "external variable" in what:
        return "external: {name: value} in spec.render.jsonnet"
    if "argument is not passed" in what:
        return "topLevel: {name: value} in spec.render.jsonnet"
    if "stack overflow" in what:
        return f"{STACK} calls inside each other are the most"
    return ""


# --- what came out --------------------------------------------------------------------------------------------------


def _objects(raw: Raw, work: Work, levels: int) -> Iterator[Raw]:
    value: Any = raw.value
    if value is None:
        return
    if not isinstance(value, dict | list) or not levels:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in raw.path).lstrip(".")
        what = "is no Kubernetes object" if levels else "is nested too deeply to be one"
        work.found.problem(
            f"{plain(where)[:200] or 'what it evaluates to'} {what}",
            raw.file,
            raw.line,
            hint="let the file come to an object, a list of objects, or an object of objects",
            slug="jsonnet",
        )
        return
    if isinstance(value, dict) and ("apiVersion" in value or "kind" in value):
        yield from expanded(raw, work)
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _objects(Raw(inner, raw.file, raw.line, 0, (*raw.path, key), exact=False), work, levels - 1)
