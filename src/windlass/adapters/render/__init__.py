"""Turns a folder at a commit into the objects that Git wants, in processes of their own. ``ports.Renderer`` is here.

    Workers         child processes over pipes, for the controller: ``async with Workers() as renderer``
    CachedRenderer  before it: renders that outlast a restart, in a folder
    render_folder   the same in process, for the command line over a person's own files

``steps`` is the order of things, ``work`` says how a renderer is added. Imports are made when they are asked for: a
worker is a module of this package, and starts with no more than it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass.adapters.render.cache import CachedRenderer
    from windlass.adapters.render.folder import render_folder
    from windlass.adapters.render.workers import RenderFailed, RenderLost, RenderStopped, Workers

__all__ = ["CachedRenderer", "RenderFailed", "RenderLost", "RenderStopped", "Workers", "render_folder"]


def __getattr__(name: str) -> object:
    if name == "render_folder":
        from windlass.adapters.render.folder import render_folder

        return render_folder
    if name == "CachedRenderer":
        from windlass.adapters.render.cache import CachedRenderer

        return CachedRenderer
    if name in __all__:
        from windlass.adapters.render import workers

        return getattr(workers, name)
    raise AttributeError(name)
