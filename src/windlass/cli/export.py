"""``windlass export``: evidence for an auditor, from the ledger."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from windlass.cli.options import Moment, cluster_options, ledger_options, namespace_option


@click.command("export")
@click.argument("what", type=click.Choice(["audit"]))
@click.option("--since", type=Moment(), required=True, help="From this time on, or a while ago: 90d.")
@click.option("--until", type=Moment(), default=None, help="Not after this time.")
@click.option(
    "-o", "--output", type=click.Choice(["csv", "json", "yaml"]), default="csv", show_default=True, help="The form."
)
@namespace_option
@ledger_options
@cluster_options
def command(
    what: str,
    since: datetime,
    until: datetime | None,
    output: str,
    namespace: str,
    ledger_url: str,
    cluster_name: str,
    kubeconfig: Path | None,
    context: str | None,
) -> int:
    """Print what was deployed, changed by hand, asked for and refused, a row each, with its evidence.

    \b
    windlass export audit --since 90d > audit.csv

    Evidence is the commit with its author, whoever asked, the outcome, and the id of the event in the ledger. Signers
    are told where a signature was verified. `windlass ledger verify` proves the ledger itself.
    """
    from windlass.cli import delivering
    from windlass.cli.ledgers import Which
    from windlass.cli.running import run_person

    which = Which(ledger_url, cluster_name, kubeconfig, context)
    return run_person(lambda: delivering.audit(which, namespace, since, until, output))
