"""``spec.render`` of an Application: what differs from what the folder itself says. Every field is optional.

A folder says by its files what it is (``docs/render/README.md``). ``plain``, and the other renderers by their names,
decide where two readings are possible; their fields are that renderer's settings.
"""

from __future__ import annotations

from typing import Annotated

from windlass.core.kinds.shape import Part, Rule, Says, mistake

RENDERERS = ("plain",)
"""The fields of ``Render`` that name a renderer, of which one can be meant."""


class Plain(Part, frozen=True):
    """The manifests as they are."""


class Render(Part, frozen=True):
    """How the source becomes objects. A renderer that is named here is taken, whatever else is in the folder."""

    plain: Annotated[
        Plain | None, Says("Take the manifests as they are, and leave files of kustomize and Jsonnet out.", "{}")
    ] = None

    rules = (
        Rule(
            " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in RENDERERS) + " <= 1",
            f"one renderer can be meant: name one of {', '.join(RENDERERS)}",
        ),
    )

    @property
    def renderer(self) -> str:
        """The renderer that is named, "" where the folder decides."""
        return next((name for name in RENDERERS if getattr(self, name) is not None), "")


def check_render(render: Render) -> None:
    """Raises BadSpec for what the fields alone can't tell."""
    named = [name for name in RENDERERS if getattr(render, name) is not None]
    if len(named) > 1:
        raise mistake("spec.render", f"names {' and '.join(named)}: one renderer can be meant", f"{named[0]}: {{}}")
