"""``windlass log``: the timeline from the ledger."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from windlass.cli.options import Moment, cluster_options, ledger_options, namespace_option, output_option


@click.command("log")
@click.argument("app", required=False, default="")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only these: applied, health, drift, warning, ...")
@click.option("--since", type=Moment(), default=None, help="Not before this time, or this while ago: 36h, 7d.")
@click.option("--until", type=Moment(), default=None, help="Not after this time.")
@click.option("--actor", default="", help="Only what somebody did: a part of a name.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many, the newest.")
@click.option("--at", "at", type=Moment(), default=None, help="What ran at this time.")
@click.option("--commits", is_flag=True, help="The commits and people that led to what runs now.")
@click.option(
    "--changes", default="", metavar="A..B", help="What changed from one deployed commit or tag to another, rendered."
)
@click.option(
    "--trace",
    "trace",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[IMAGE]",
    help="Images from the push to Healthy, with times: of an image, a tag, a policy, a commit, a digest, or all.",
)
@namespace_option
@ledger_options
@cluster_options
@output_option
def command(
    app: str,
    kinds: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    actor: str,
    limit: int,
    at: datetime | None,
    commits: bool,
    changes: str,
    trace: str | None,
    namespace: str,
    ledger_url: str,
    cluster_name: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Tell what happened to an Application, or to all of them, the newest first.

    \b
    windlass log shop                         what happened to shop
    windlass log shop --kind drift --since 7d somebody's hand, in the last week
    windlass log --at 2026-11-28T14:00:00Z    what ran at that time
    windlass log shop --commits               the commits and people that led to what runs now
    windlass log shop --changes 3f2c1ab..8e1f0c2
    windlass log --trace acme/shop:1.4.2      pushed, verified, committed, applied, Healthy: when

    The ledger's ref is fetched with your own Git rights. Plans are left out unless they are asked for by --kind: what
    came of them is told. With --ledger no cluster is asked.
    """
    if sum((at is not None, commits, bool(changes), trace is not None)) > 1:
        raise click.UsageError("--at, --commits, --changes and --trace are one question each")
    if (commits or changes) and not app:
        raise click.UsageError("name the Application")
    first, dots, second = changes.partition("..")
    if changes and not (dots and first and second):
        raise click.UsageError("--changes names two commits: 3f2c1ab..8e1f0c2")
    from windlass.cli import timelines
    from windlass.cli.ledgers import Which
    from windlass.cli.running import run_person

    which = Which(ledger_url, cluster_name, kubeconfig, context)
    asked = timelines.Asked(app, namespace, kinds, since, until, actor, limit, output)
    if trace is not None:
        from windlass.cli import tracing

        return run_person(lambda: tracing.trace(which, asked, trace))
    if at is not None:
        return run_person(lambda: timelines.ran_at(which, asked, at))
    if commits:
        return run_person(lambda: timelines.commits(which, asked))
    if changes:
        return run_person(lambda: timelines.changes(which, asked, first, second))
    return run_person(lambda: timelines.log(which, asked))
