"""The ledger that a person means, fetched with their own Git rights, and the index over it.

``log``, ``metrics``, ``export`` and ``ledger`` begin here. Which repository holds it says the cluster's Installation,
or the person (``--ledger``), who then needs no cluster at all. Where the repository can't be reached, what was fetched
before is shown, and that it is old is said.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from windlass.adapters.git import GitRefused, GitUnavailable, RefMissing, Store
from windlass.adapters.ledger import chain
from windlass.adapters.ledger.index import Index, on_index_thread
from windlass.cli import fetching
from windlass.cli.reaching import Reach, reach
from windlass.cli.telling import say
from windlass.core.kinds import installation, repository
from windlass.core.model import ObjectRef
from windlass.core.record import layout
from windlass.core.words.plain import plain
from windlass.errors import NeedsHuman
from windlass.flows.informers import INSTALLATIONS, REPOSITORIES
from windlass.ports import NotAllowed


@dataclass(frozen=True, slots=True)
class Which:
    """What was typed."""

    url: str
    cluster: str
    kubeconfig: Path | None
    context: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger is. ``ref`` and ``tip`` are what the Installation remembers outside of Git, "" without a
    cluster."""

    url: str
    cluster: str
    ref: str = ""
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A ledger on this machine."""

    place: Place
    folder: str
    cluster: str

    @property
    def index_path(self) -> Path:
        return Path(self.folder).with_suffix(f".{self.cluster}.sqlite")


async def fetched(which: Which) -> Opened:
    """The ledger, brought here. Raises NeedsHuman where there is none."""
    place = Place(which.url, which.cluster) if which.url else await _named(which)
    pattern = layout.ref_of(place.cluster, "*") if place.cluster else f"{layout.ROOT}*"
    try:
        folder = await fetching.fetch_refs(place.url, pattern)
    except (GitUnavailable, GitRefused) as error:
        folder = fetching.cache(place.url)
        if isinstance(error, RefMissing) or not await asyncio.to_thread(Path(folder).is_dir):
            raise
        say(f"note: as it was fetched last, for {plain(error.what)}\n", sys.stderr)
    here = await on_index_thread(lambda: chain.clusters(Store(folder)))
    if place.cluster and place.cluster not in here:
        known = f"; it holds those of {', '.join(map(plain, here))}" if here else ""
        raise NeedsHuman(
            f"the repository holds no ledger of cluster {place.cluster}{known}",
            hint="events are pushed a while after they happen: is condition Recorded of the Installation True?",
        )
    if not here:
        raise NeedsHuman("the repository holds no ledger", hint="its refs are refs/windlass/ledger/<cluster>/<year>")
    if not place.cluster and len(here) > 1:
        raise NeedsHuman(f"the repository holds ledgers of {', '.join(map(plain, here))}", hint="name one: --cluster")
    return Opened(place, folder, place.cluster or here[0])


@asynccontextmanager
async def opened(which: Which) -> AsyncIterator[Index]:
    """The index over the ledger, with everything that was pushed by now. Use it through ``on_index_thread``."""
    found = await fetched(which)
    index = await on_index_thread(_followed, found)
    try:
        yield index
    finally:
        await on_index_thread(index.close)


def _followed(found: Opened) -> Index:
    index = Index(found.index_path, Store(found.folder), found.cluster)
    index.follow()
    return index


async def _named(which: Which) -> Place:
    async with reach(which.kubeconfig, which.context) as to:
        try:
            made = await _installation(to)
        except NotAllowed as error:
            error.hint = "name the ledger's repository with --ledger or WINDLASS_LEDGER: then no cluster is asked"
            raise
        named = made.spec.ledger
        if named is None:
            raise NeedsHuman(
                "the Installation of this cluster names no ledger: what happens is not recorded in Git",
                hint="spec.ledger: {repository: ledger}, see docs/ledger.md",
            )
        ref = ObjectRef(REPOSITORIES.group, repository.KIND, to.system, named.repository)
        content = await to.cluster.read(REPOSITORIES, ref)
        if content is None:
            raise NeedsHuman(
                f"there is no Repository {named.repository} in namespace {to.system}",
                hint="the ledger's Repository is in the controller's own namespace",
            )
        kept = made.status.ledger
        return Place(repository.decode(content).spec.url, made.spec.name, kept.ref, kept.commit)


async def _installation(to: Reach) -> installation.Installation:
    content = await to.cluster.read(INSTALLATIONS, ObjectRef(INSTALLATIONS.group, installation.KIND, "", "windlass"))
    if content is None:
        raise NeedsHuman(
            "there is no Installation named windlass in this cluster", hint="name the ledger's repository: --ledger"
        )
    return installation.decode(content)
