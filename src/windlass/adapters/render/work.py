"""One render under way, as a renderer sees it, and how a renderer is added.

A renderer is a function from a ``Work`` to the objects that it makes, each a ``Raw`` with its place in Git:

    def helm(work: Work) -> Iterable[Raw]: ...

It reads files through ``work.tree`` alone (and ``work.others`` for other repositories): whatever is asked of it, also
in vain, is in the trace, and a later commit that changes none of it needs no render. What else it uses is in
``work.request``: ``settings`` (``spec.render`` of the Application), ``values`` (read from the cluster). What is wrong
with the input goes into ``work.found``, with file and line; then it may end early. It starts no program, opens no file
and no connection, and runs in a worker whose time and memory are bounded. ``steps.render`` does what comes after, for
all renderers alike: substitution, names and namespaces, types, notes, digests, order.

To add one: a module here with the function, its line in ``steps.RENDERERS``, the file by which a folder is recognised
in ``recognise.MARKS``, its settings in ``core/kinds/rendering.py``. Import its libraries inside the function: a worker
that renders plain YAML does not pay for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from windlass.adapters.git.trace import TracedSnapshot
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.findings import Findings
from windlass.adapters.render.objects import Raw
from windlass.ports import ChartWanted, RenderRequest


@dataclass(slots=True)
class Work:
    """``tree`` is the commit, traced; ``root`` the folder to render, "" the whole repository; ``others`` further
    repositories by the name that the source gives them. ``private`` is set by whoever put a secret into what comes out:
    then nothing of the render is kept on a disk. ``sealed`` is the commit as it is in Git: what is read there is not
    decrypted, and may be kept by its blob id; what ``tree`` reads may not where the Application decrypts. ``asked`` is
    set by whoever used ``request.facts``; ``secrets`` are texts that were taken out of Secrets, and are told nobody;
    ``wants`` are charts that are missing and could be fetched; ``given`` the sources of a chart's values, by name, the
    lowest first.
    """

    request: RenderRequest
    tree: TracedSnapshot
    root: str
    documents: Documents
    found: Findings
    others: Mapping[str, TracedSnapshot]
    sealed: TracedSnapshot
    private: bool = False
    asked: bool = False
    secrets: set[str] = field(default_factory=set)
    wants: list[ChartWanted] = field(default_factory=list)
    given: list[tuple[str, str]] = field(default_factory=list)

    def data(self, file: str) -> bytes:
        """A file's bytes once more, for the line of a mistake: it is in the trace already."""
        return self.tree.inner.read(file)

    @property
    def decrypts(self) -> bool:
        """Whether files that are encrypted are opened."""
        return self.request.settings.decrypt is not None


Renderer = Callable[[Work], Iterable[Raw]]
