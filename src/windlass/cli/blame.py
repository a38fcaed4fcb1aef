"""``windlass blame``: the commit and the line behind a live field."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, namespace_option, output_option


@click.command("blame")
@click.argument("app")
@click.argument("object_", metavar="KIND/NAME")
@click.argument("field", required=False, default="")
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    object_: str,
    field: str,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Tell which commit and line an object of APP, or one FIELD of it, comes from.

    FIELD is spec.replicas, /spec/replicas, or spec.template.spec.containers[name=web].image. Through overlays and
    values it is told as far as it can be. Exit code 2: the live value is not what Git says, and by whom it is told.
    """
    kind, slash, name = object_.partition("/")
    if not (kind and slash and name):
        raise click.UsageError(f"KIND/NAME, such as Deployment/web, not {object_!r}")
    from windlass.cli import blaming
    from windlass.cli.running import run_person

    asked = blaming.Asked(app, namespace, object_, field, output)
    return run_person(lambda: blaming.blame(asked, kubeconfig, context))
