"""``windlass ignore``: fields of an object are left to others until a time, by a commit."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import Until, cluster_options, namespace_option, output_option, reason_option, waiting_options


@click.command("ignore")
@click.argument("app")
@click.argument("object_", metavar="KIND/NAME")
@click.argument("fields", metavar="FIELD...", nargs=-1, required=True)
@click.option(
    "--until", type=Until(), default="", metavar="TIME", help="When it ends by itself: a time, or 2h from now."
)
@click.option("--remove", is_flag=True, help="Take the fields back before their time.")
@reason_option(required=False)
@waiting_options
@namespace_option
@cluster_options
@output_option
def command(
    app: str,
    object_: str,
    fields: tuple[str, ...],
    until: str,
    remove: bool,
    reason: str,
    no_wait: bool,
    timeout: float,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Leave FIELDs of an object of APP to others until a time. A FIELD is a JSON pointer, such as /spec/replicas.

    Their live values stay as they are when it begins, others may change them, and that is no drift. When it ends, they
    are as Git says again. One commit with your own Git writes spec.ignore into the Application's own file.
    """
    kind, slash, name = object_.partition("/")
    if not (kind and slash and name) or "/" in name:
        raise click.UsageError(f"KIND/NAME, such as Deployment/web, not {object_!r}")
    if any(not field.startswith("/") for field in fields):
        raise click.UsageError("a FIELD is a JSON pointer and begins with a slash: /spec/replicas")
    if not remove and not (until and reason):
        raise click.UsageError("an exception has an end and a reason: --until 2h --reason ...")
    from windlass.cli import excepting
    from windlass.cli.running import run_person

    asked = excepting.Asked(app, namespace, reason, "" if remove else until, None if no_wait else timeout, output)
    return run_person(lambda: excepting.leave(excepting.Named(kind, name, fields, remove), asked, kubeconfig, context))
