"""Which files of a folder are manifests: recursive, hidden names left out, include and exclude applied, the trace kept.

A folder with a kustomization inside is built as a whole, in its place, as Flux does it. What would be applied wrongly
as plain YAML is refused by name (charts, Jsonnet, links, submodules), with the mend. Called by ``plain``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from windlass.adapters.git.errors import GitRefused
from windlass.adapters.git.snapshot import Entry
from windlass.adapters.git.trace import digest_of_names, look
from windlass.core.documents.globs import matches_any

if TYPE_CHECKING:
    from windlass.adapters.render.work import Work

ENDINGS = (".yaml", ".yml", ".json")
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
DEEPEST = 64
GONE = "the file went away while it was read"


class File(NamedTuple):
    """A manifest file: its path in the repository and its blob id."""

    path: str
    id: str


class Kustomized(NamedTuple):
    """A folder that a kustomization builds."""

    folder: str


class Walk:
    """One walk. It keeps the trace itself, for it knows the ids already: path to blob id ("" for absent), folder (slash
    behind) to a digest of names."""

    def __init__(self, work: Work) -> None:
        self.tree = work.tree.inner
        self.read = work.tree.trace.read
        self.root = work.root
        self.include = work.request.include
        self.exclude = work.request.exclude
        self.found = work.found
        # Named in the Application: what kustomize and Jsonnet would read is no manifest, and is passed over.
        self.literal = work.request.settings.plain is not None

    def files(self) -> Iterator[File | Kustomized]:
        """The manifest files, folder by folder, sorted; a folder with a kustomization as a whole. What is refused is in
        the findings."""
        if self._list(self.root) is None:
            self._missing()
            return
        if self.found.problems:
            return
        self._note_links()
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            entries = self._list(folder)
            if entries is None:
                continue
            shown = [one for one in entries if not one.name.startswith(".") and self._selected(folder, one)]
            names = {one.name: one for one in shown}
            if self._refused(folder, names):
                continue
            if not self.literal and any(each in names for each in KUSTOMIZATIONS):
                yield Kustomized(folder)
                continue
            for one in shown:
                if one.kind == "file" and one.name.endswith(ENDINGS) and one.name not in KUSTOMIZATIONS:
                    yield self._file(folder, one)
            below = [join(folder, one.name) for one in shown if one.kind == "folder"]
            if below and folder.count("/") >= DEEPEST:
                self.found.problem(f"folders are more than {DEEPEST} deep", folder, hint="name a folder in source.path")
                continue
            waiting.extend(reversed(below))

    def _list(self, folder: str) -> Sequence[Entry] | None:
        try:
            entries = self.tree.entries(folder)
        except GitRefused as error:
            # A name or a link that leads out, somewhere in this folder.
            self.found.problem(error.what, error.where.file or folder, hint=error.hint, slug=error.slug)
            return ()
        self.read[f"{folder}/"] = "" if entries is None else digest_of_names(entries)
        return entries

    def _note_links(self) -> None:
        """The links in source.path itself are part of what was read."""
        for link in self.tree.hops(self.root):
            self.read[link] = look(self.tree, link)

    def _file(self, folder: str, one: Entry) -> File:
        path = join(folder, one.name)
        self.read[path] = one.id
        return File(path, one.id)

    def relative(self, path: str) -> str:
        """A path as the patterns see it: relative to the source's folder."""
        return path[len(self.root) + 1 :] if self.root else path

    def _selected(self, folder: str, one: Entry) -> bool:
        path = self.relative(join(folder, one.name))
        if self.exclude and matches_any(self.exclude, path):
            return False
        return one.kind == "folder" or not self.include or matches_any(self.include, path)

    def _missing(self) -> None:
        """Says which part of the path is not there, and what is."""
        above, _, name = self.root.rpartition("/")
        while above and self.tree.entries(above) is None:
            above, _, name = above.rpartition("/")
        beside = [one for one in self.tree.entries(above) or () if not one.name.startswith(".")]
        if any(one.name == name and one.kind == "file" for one in beside):
            self.found.problem(
                f"source.path names a file, {self.root}",
                self.root,
                hint=f'path: {above or "."}, include: ["{name}"]',
                slug="path-missing",
            )
            return
        folders = [one.name for one in beside if one.kind == "folder"]
        there = (
            f"in {above or 'the repository'} there are: {', '.join(folders[:20])}" if folders else "it has no folders"
        )
        self.found.problem(f"there is no folder {self.root}", self.root, hint=there, slug="path-missing")

    def _refused(self, folder: str, names: Mapping[str, Entry]) -> bool:
        """True where the folder as a whole is not plain YAML."""
        if "Chart.yaml" in names:
            self._apart(folder, "Chart.yaml", "a Helm chart", folder or ".")
            return True
        for name, one in names.items():
            path = join(folder, name)
            if name.endswith(".jsonnet") and not self.literal:
                self._apart(folder, name, "a Jsonnet file", path)
            elif one.kind == "module":
                self._unsupported(folder, name, "a submodule", path)
            elif one.kind == "link" and (name.endswith(ENDINGS) or "." not in name):
                self._unsupported(folder, name, "a symbolic link", path)
        return False

    def _apart(self, folder: str, name: str, what: str, leave_out: str) -> None:
        self.found.problem(
            f"{what} stands among plain manifests, and is not rendered with them",
            join(folder, name),
            hint=f"make an Application of its own for it, with source.path: {folder or '.'}, or "
            f"{self._leave_out(leave_out)}",
            slug="not-plain",
        )

    def _unsupported(self, folder: str, name: str, what: str, leave_out: str) -> None:
        self.found.problem(
            f"{name} is {what}, which is not rendered yet by this version",
            join(folder, name),
            hint=f"put the plain manifests in its place, or {self._leave_out(leave_out)}",
            slug="not-plain",
        )

    def _leave_out(self, path: str) -> str:
        inside = self.relative(path) if path not in (self.root, ".") else "**"
        return f'leave it out with source.exclude: ["{inside}"]'


def join(folder: str, name: str) -> str:
    """A path from its folder ("" is the root) and a name."""
    return f"{folder}/{name}" if folder else name
