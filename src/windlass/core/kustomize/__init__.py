"""Kustomize v5, whole, over the read-only files of a commit: what ``kustomize build`` 5.8.2 prints, byte for byte.

    built = build(files, "apps/shop", Options(inflate=charts))
    built.objects   # in output order: content as JSON, the file and line it came from, what changed it
    built.text()    # what `kustomize build` prints

``files`` gives bytes and names by repository path (see ``Files``); nothing else is read, and nothing is run or fetched.
A base may lie anywhere in the repository. What can't be built is refused with ``KustomizeError``, which names file,
field and mend; URLs, programs and containers with its kind ``NotSupported``. Called by ``adapters/render``.

How it is cut: ``reading`` (YAML to ``nodes``), ``kustomization`` (the file as a struct), ``loading`` (paths),
``target`` (one kustomization), ``steps`` (its transformers in order, each in its own module), ``building`` (the root),
``printing`` (JSON to YAML).
"""

from windlass.core.kustomize.building import Built, BuiltObject, Options, build
from windlass.core.kustomize.errors import KustomizeError, NotSupported
from windlass.core.kustomize.helm import Chart, Inflate
from windlass.core.kustomize.kustomization import FILE_NAMES, Image
from windlass.core.kustomize.loading import Files, Parsing
from windlass.core.kustomize.resource import Change

__all__ = [
    "FILE_NAMES",
    "Built",
    "BuiltObject",
    "Change",
    "Chart",
    "Files",
    "Image",
    "Inflate",
    "KustomizeError",
    "NotSupported",
    "Options",
    "Parsing",
    "build",
]
