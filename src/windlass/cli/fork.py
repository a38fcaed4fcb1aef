"""``windlass fork``: the same Application once more, beside it, by a commit."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import (
    Until,
    cluster_options,
    namespace_option,
    output_option,
    reason_option,
    waiting_options,
)


@click.command("fork")
@click.argument("app")
@click.argument("name")
@click.option("--into", default="", metavar="NAMESPACE", help="Its destination namespace; NAME where none is named.")
@click.option("--set", "sets", multiple=True, metavar="FIELD=VALUE", help="A field of its spec: source.path=apps/next.")
@click.option("--until", type=Until(), default="", metavar="TIME", help="When it ends: a time, or 2h from now.")
@reason_option(required=True)
@waiting_options
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    name: str,
    into: str,
    sets: tuple[str, ...],
    until: str,
    reason: str,
    no_wait: bool,
    timeout: float,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Run APP once more as NAME, from the same source, into a namespace of its own.

    One commit with your own Git puts a file beside the Application's own. With --until the controller takes it out
    again, and its objects with it. The account that applies needs rights in the new namespace.
    """
    from windlass.cli import forking
    from windlass.cli.running import run_person

    asked = forking.Asked(app, namespace, name, into, sets, until, reason, None if no_wait else timeout, output)
    return run_person(lambda: forking.fork(asked, kubeconfig, context))
