"""``windlass metrics``: delivery metrics from the ledger."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from windlass.cli.options import Moment, cluster_options, ledger_options, namespace_option, output_option


@click.command("metrics")
@click.argument("app", required=False, default="")
@click.option("--since", type=Moment(), default="30d", show_default=True, help="From this time on, or a while ago.")
@click.option("--by", type=click.Choice(["application", "team"]), default="application", show_default=True)
@namespace_option
@ledger_options
@cluster_options
@output_option
def command(
    app: str,
    since: datetime,
    by: str,
    namespace: str,
    ledger_url: str,
    cluster_name: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Tell how often, how fast and how well changes reach the cluster, for each Application or team, and for all.

    A deployment is a sync of another commit that came to its end. Lead time is from the commit to Healthy; recovery
    from Degraded to Healthy. A deployment failed where its sync was refused or partly applied first, or where the
    Application was Degraded within an hour of it. Means; the median of the lead time too. The label windlass.dev/team
    of an Application says whose it is.
    """
    from windlass.cli import delivering
    from windlass.cli.ledgers import Which
    from windlass.cli.running import run_person

    which = Which(ledger_url, cluster_name, kubeconfig, context)
    return run_person(lambda: delivering.metrics(which, app, namespace, since, by, output))
