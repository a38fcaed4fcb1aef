"""``windlass render``: what a path renders to, as YAML in apply order, without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from windlass.cli.options import output_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from windlass.cli.trees import Place
    from windlass.core.kinds.application import Application
    from windlass.core.model import Explained, Rendered
    from windlass.ports import ClusterValues, OtherSource


@click.command("render")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--commit", default="", help="At this commit of the repository around PATH, not the work tree.")
@click.option(
    "--app",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="An Application's file: its render, include, exclude and namespace count.",
)
@click.option(
    "--values",
    "values_files",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    help="A file with values of a Helm chart, over all others; the last one wins.",
)
@click.option(
    "--values-from",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    help="A file with ConfigMaps and Secrets that stand for those of the cluster.",
)
@click.option(
    "--source", "sources", multiple=True, metavar="NAME=FOLDER", help="A further repository of the Application."
)
@click.option(
    "--against",
    type=click.Choice(["kustomize", "helm"]),
    help="Compare with what your own program of that name makes of PATH; exit code 2 where they differ.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Print, in place of the objects, what made and changed each of them, and which files were read.",
)
@output_option
def command(
    path: Path,
    commit: str,
    app: Path | None,
    values_files: tuple[Path, ...],
    values_from: tuple[Path, ...],
    sources: tuple[str, ...],
    against: str | None,
    explain: bool,
    output: str,
) -> int:
    """Print what PATH (a folder of manifests, or one file) renders to, in the order in which it is applied.

    It is what a controller would send, without the marks that Windlass adds. Nothing is asked of a cluster. Secrets in
    the files are printed as they are. Mistakes are told on standard error; then nothing is printed, and the exit code
    is 1.

    A chart that the Application's source names is fetched from its repository, without the Application's Secret.

    With --against, your own program on the PATH renders the same folder, and the differences are printed instead: what
    Windlass makes stands left of the arrow, what your program makes right of it.
    """
    if against and (commit or path.is_file()):
        raise click.UsageError("--against runs your program on a folder as it is now: no --commit, and no single file")
    import sys
    from dataclasses import replace

    import msgspec

    from windlass.adapters.render import render_folder
    from windlass.cli.inputs import fetched_chart, given_keyring, given_sources, given_values
    from windlass.cli.running import run_person
    from windlass.cli.telling import ERROR, emit, say, width_of
    from windlass.cli.trees import local, of_application, request_of
    from windlass.core.documents import write
    from windlass.core.words.errors import problems_text

    place = local(path, commit)
    namespace = ""
    if app is not None:
        written = read_application(app)
        place, namespace = of_application(written, replace(place, include=())), written.namespace
        check_inputs(written, given_values(values_from), given_sources(sources))
        if written.spec.source.chart is not None:
            keyring = given_keyring(written, given_values(values_from))
            place = replace(place, chart=run_person(lambda: fetched_chart(written, keyring=keyring)))
    place = replace(place, others=given_sources(sources), values=given_values(values_from))
    place = replace(place, given=tuple((str(file), file.read_bytes()) for file in values_files))
    if against:
        from windlass.cli.against import compare_with

        return compare_with(against, place, namespace=namespace, output=output)
    told: list[tuple[str, list[Explained], list[tuple[str, str]]]] = []
    rendered = render_folder(request_of(place, namespace=namespace), lambda *each: told.append(each))
    code = tell_problems(rendered, place.commit, place.repository)
    if rendered.warnings:
        say(problems_text(rendered.warnings, width=width_of(sys.stderr)).replace("error: ", "warning: "), sys.stderr)
    if explain and told:
        show_explained(*told[0], rendered, place, output)
        return code
    if rendered.problems:
        return code
    objects = [msgspec.json.decode(one.body) for one in rendered.objects]
    if output == "json":
        emit({"apiVersion": "v1", "kind": "List", "items": objects}, output)
    else:
        click.echo(write(objects), nl=False)
    if not objects and not rendered.invalid:
        say(f"nothing to render in {place.path or place.folder}\n", sys.stderr)
        return ERROR
    return code


def show_explained(
    renderer: str,
    objects: list[Explained],
    fields: list[tuple[str, str]],
    rendered: Rendered,
    place: Place,
    output: str,
) -> None:
    """How the render came to be, as text or as data."""
    import msgspec

    from windlass.cli.telling import emit
    from windlass.core.words.explains import explain_text

    if output == "human":
        where = place.path or place.folder
        text = explain_text(renderer, objects, rendered, place=where, values=values_of(place), fields=fields)
        click.echo(text, nl=False)
        return
    read = {"": rendered.read, **{name: other.read for name, other in rendered.others.items()}}
    content = {
        "renderer": renderer,
        "values": dict(fields),
        "objects": [
            {
                "object": str(one.ref),
                "file": one.file,
                "line": one.line,
                "steps": [{"place": file, "says": field} for file, field in one.steps],
            }
            for one in objects
        ],
        "read": {name: {path: seen or None for path, seen in sorted(each.items())} for name, each in read.items()},
    }
    emit(msgspec.to_builtins(content), output)


def values_of(place: Place) -> list[str]:
    """Where the values of a chart come from, the lowest first."""
    settings = place.settings.helm
    if settings is None:
        return []
    found = ["values.yaml of the chart", *settings.values_files]
    found += [f"{one.named.kind} {one.named.name}" for one in settings.values_from]
    return [*found, *(["spec.render.helm.values"] if settings.values else [])]


def read_application(file: Path) -> Application:
    """The one Application in a file. Raises NeedsHuman, DocumentError."""
    from windlass.adapters.cluster.access import read_text
    from windlass.core.documents import read
    from windlass.core.kinds import application
    from windlass.errors import NeedsHuman, Where

    documents = read(read_text(file, "the Application").encode(), str(file))
    found = [one for one in documents if isinstance(one.value, dict) and one.value.get("kind") == application.KIND]
    if len(found) != 1:
        raise NeedsHuman(
            f"the file holds {len(found) or 'no'} Application{'s' if len(found) != 1 else ''}",
            where=Where(file=str(file)),
            hint="name a file with one Application",
        )
    content = found[0].value
    metadata = content.get("metadata")
    if isinstance(metadata, dict):
        metadata.setdefault("namespace", "default")
    try:
        return application.decode(content)
    except NeedsHuman as error:
        error.at(Where(file=str(file), line=found[0].line))
        raise


def check_inputs(written: Application, values: ClusterValues, others: Mapping[str, OtherSource]) -> None:
    """Raises NeedsHuman where the Application names something that was not given on the command line."""
    from windlass.errors import NeedsHuman

    for named in written.spec.render.named:
        if not named.optional and named.key not in values.objects:
            raise NeedsHuman(
                f"the render needs the {named.kind} {named.name}, and nothing is asked of a cluster here",
                hint="name a file with it: --values-from FILE",
            )
    for one in written.spec.sources:
        if one.name not in others:
            raise NeedsHuman(
                f"the render may read the repository {one.repository}, which is named {one.name}",
                hint=f"name a folder with it: --source {one.name}=FOLDER",
            )


def tell_problems(rendered: Rendered, commit: str, repository: str, then: str = "") -> int:
    """What is wrong in a render, on standard error; the exit code that follows from it."""
    import sys

    from windlass.cli.telling import ERROR, say, width_of
    from windlass.core.words.errors import problems_text

    wrong = [*rendered.problems, *(rendered.invalid if not rendered.problems else ())]
    if not wrong:
        return 0
    place = repository if commit else ""
    say(problems_text(wrong, commit=commit, repository=place, then=then, width=width_of(sys.stderr)), sys.stderr)
    return ERROR
