"""``spec.render`` of an Application: what differs from what the folder itself says. Every field is optional.

A folder says by its files what it is (``docs/render/README.md``). ``plain``, and the other renderers by their names,
decide where two readings are possible; their fields are that renderer's settings.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from windlass.core.kinds.shape import Form, Part, Rule, Says, mistake

PLACE = Form(
    r"[^\x00-\x1f\x7f\\]+", "a path: relative to source.path, /from/the/root, or $source/path", "/vendor", 1024
)

RENDERERS = ("jsonnet", "plain")
"""The fields of ``Render`` that name a renderer, of which one can be meant."""


class Plain(Part, frozen=True):
    """The manifests as they are."""


class Jsonnet(Part, frozen=True):
    """How Jsonnet is evaluated."""

    top_level: Annotated[
        dict[str, Any],
        Says("Top-level arguments. Text is handed over as text, any other value as it is.", "{env: prod, replicas: 3}"),
    ] = msgspec.field(default_factory=dict)
    external: Annotated[dict[str, Any], Says("External variables (`std.extVar`), alike.", "{env: prod}")] = (
        msgspec.field(default_factory=dict)
    )
    libs: Annotated[
        list[Annotated[str, PLACE]],
        Says(
            "Folders in which imports are looked for, the last one first: relative to `source.path`, or from the root "
            "of the repository with a slash in front.",
            '["/vendor"]',
        ),
    ] = msgspec.field(default_factory=list)


class Render(Part, frozen=True):
    """How the source becomes objects. A renderer that is named here is taken, whatever else is in the folder."""

    jsonnet: Annotated[Jsonnet | None, Says("Evaluate the `*.jsonnet` files of the folder.", "{}")] = None

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
