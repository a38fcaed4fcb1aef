"""Rendering in process, for the command line: a person's own files, on their own machine, need no worker around them.

Called by ``cli``. The controller never calls it: what it renders comes from people it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from windlass.adapters.git.snapshot import folder_snapshot
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.steps import Explain, render
from windlass.adapters.render.trees import Trees
from windlass.core.model import Rendered
from windlass.ports import RenderRequest


def render_folder(request: RenderRequest, explain: Explain | None = None) -> Rendered:
    """What ``request.path`` renders to; ``explain`` as in ``steps.render``. Without a ``commit``, ``request.folder`` is
    a folder on disk, taken as it is now; with one, a Git repository. Raises GitRefused, BadPath; what is wrong with
    manifests is in ``problems``.
    """
    trees = Trees()
    others = {
        name: trees.at(other.folder, other.commit).snapshot if other.commit else folder_snapshot(other.folder)
        for name, other in request.others.items()
    }
    if request.commit:
        tree = trees.at(request.folder, request.commit)
        return render(request, tree.snapshot, Documents(), tree.last_changed, others, explain)
    return render(request, folder_snapshot(request.folder), Documents(), _unknown, others, explain)


def _unknown(paths: Sequence[str]) -> Mapping[str, str]:
    return {}
