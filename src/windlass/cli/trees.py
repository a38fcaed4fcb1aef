"""What is rendered: a folder of a work tree as it is now, or of a commit; and the render for the command line.

``render``, ``plan`` and ``diff`` call it. A person's own files are rendered in this process; what comes from a
Repository of the cluster is rendered by a worker, with the limits that the controller has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from windlass.adapters.git import Store
from windlass.adapters.render import Workers, render_folder
from windlass.adapters.render.walk import KUSTOMIZATIONS
from windlass.core.kinds.application import Application
from windlass.core.kinds.rendering import Render
from windlass.core.model import Rendered
from windlass.core.plan.ownership import Claim
from windlass.errors import NeedsHuman
from windlass.flows.inventory import Inventory
from windlass.ports import ChartFound, ClusterFacts, ClusterValues, OtherSource, RenderRequest


@dataclass(frozen=True, slots=True)
class Place:
    """A folder to render. ``folder`` is the root that paths in messages are told from: a repository, or ``path``'s own
    folder; ``commit`` "" is the work tree. ``own``: the person's own files, which need no worker around them.
    ``application`` ("namespace/name") names a release; "" where none is known. ``chart``: that of ``source.chart``;
    ``given``: values files of the command line."""

    folder: str
    path: str
    commit: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    repository: str = ""
    own: bool = True
    settings: Render = field(default_factory=Render)
    others: Mapping[str, OtherSource] = field(default_factory=dict)
    values: ClusterValues = field(default_factory=ClusterValues)
    application: str = ""
    chart: ChartFound | None = None
    given: tuple[tuple[str, bytes], ...] = ()

    def at(self, commit: str) -> Place:
        """The same folder at a commit: a branch, a tag, an id or its beginning, ``HEAD~1``. Raises NeedsHuman."""
        store = Store(self.folder)
        found = store.resolve(commit)
        if found is None:
            raise NeedsHuman(
                f"there is no commit {commit!r} in {self.folder}",
                hint="git log --oneline lists them; a branch of a remote is origin/<name>",
            )
        return replace(self, commit=found)

    @property
    def words(self) -> str:
        """``3f2c1ab``, or "the work tree"."""
        return self.commit[:7] or "the work tree"


def local(path: Path, commit: str = "") -> Place:
    """A folder (or one file) of this machine, in the repository around it where there is one. Raises NeedsHuman."""
    whole = path.absolute()
    # Not resolved: a link to a folder of manifests is the person's own choice of a root, and none inside is followed.
    whole = Path(*[part for part in whole.parts if part != "."])
    if whole.name in (*KUSTOMIZATIONS, "Chart.yaml") and whole.is_file():
        # Such a file speaks for its folder.
        whole = whole.parent
    root = _repository(whole)
    if not commit and not whole.exists():
        raise NeedsHuman(f"there is no {path}", hint="name a folder of manifests, or with --commit one that was there")
    if root is None:
        if commit:
            raise NeedsHuman(
                f"{path} is in no Git repository, so it has no commit {commit!r}", hint="leave --commit out"
            )
        if whole.is_file():
            return Place(str(whole.parent), "", include=(f"./{_pattern(whole.name)}",))
        here = Path.cwd()
        if whole != here and whole.is_relative_to(here) and any((whole / name).is_file() for name in KUSTOMIZATIONS):
            # Its bases lie beside it: below the folder that the person stands in they are found.
            return Place(str(here), whole.relative_to(here).as_posix())
        return Place(str(whole), "")
    inside = whole.relative_to(root).as_posix() if whole != root else ""
    place = Place(str(root), inside, repository=root.name)
    if whole.is_file():
        folder, _, name = inside.rpartition("/")
        place = replace(place, path=folder, include=(f"./{_pattern(name)}",))
    return place.at(commit) if commit else place


def _repository(path: Path) -> Path | None:
    """The root of the repository around a path, which need not exist any more."""
    for folder in (path, *path.parents):
        if (folder / ".git").exists():
            return folder
        if (folder / "objects").is_dir() and (folder / "refs").is_dir() and (folder / "HEAD").is_file():
            return folder
    return None


def _pattern(name: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)


def request_of(
    place: Place,
    *,
    namespace: str = "",
    claim: Claim | None = None,
    digest_key: bytes = b"",
    facts: ClusterFacts | None = None,
) -> RenderRequest:
    """The render of a place. Without a ``claim`` the marks of Windlass are left out; without ``facts`` a chart sees a
    cluster of the version that this one was made for."""
    return RenderRequest(
        folder=place.folder,
        commit=place.commit,
        repository=place.repository,
        path=place.path,
        application=claim.application if claim else place.application,
        label=claim.label if claim else "",
        namespace=namespace,
        include=place.include,
        exclude=place.exclude,
        digest_key=digest_key,
        settings=place.settings,
        others=dict(place.others),
        values=place.values,
        chart=place.chart,
        facts=facts or ClusterFacts(),
        given=place.given,
    )


def of_application(app: Application, place: Place) -> Place:
    """A place with what an Application says of its files."""
    spec = app.spec
    return replace(
        place,
        include=tuple(spec.source.include),
        exclude=tuple(spec.source.exclude),
        settings=spec.render,
        application=f"{app.metadata.namespace}/{app.metadata.name}",
    )


async def render_for(app: Application, claim: Claim, place: Place, inventory: Inventory, digest_key: bytes) -> Rendered:
    """What an Application's folder renders to, as the controller would: asked twice where the cluster says that a kind
    has no namespace."""
    facts = await inventory.facts()
    request = request_of(place, namespace=app.namespace, claim=claim, digest_key=digest_key, facts=facts)
    if place.own:
        rendered = render_folder(request)
        again = await _scoped(rendered, inventory)
        return render_folder(msgspec.structs.replace(request, namespaced=again)) if again else rendered
    async with Workers(count=1) as renderer:
        rendered = await renderer.render(request)
        again = await _scoped(rendered, inventory)
        return await renderer.render(msgspec.structs.replace(request, namespaced=again)) if again else rendered


async def _scoped(rendered: Rendered, inventory: Inventory) -> dict[str, bool]:
    """What a second render has to know; empty where the first one took it right."""
    found = await inventory.scopes(rendered.objects)
    wide = {name for name, namespaced in found.items() if not namespaced}
    wrong = any(one.ref.namespace and f"{one.ref.group}/{one.ref.kind}" in wide for one in rendered.objects)
    return found if wrong else {}
