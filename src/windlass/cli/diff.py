"""``windlass diff``: the live objects of an Application against Git now, with who changed what when."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, namespace_option, output_option


@click.command("diff")
@click.argument("app")
@namespace_option
@cluster_options
@output_option
def command(app: str, namespace: str, kubeconfig: Path | None, context: str | None, output: str) -> int:
    """Show what somebody changed on live objects of APP, who (as far as an API server tells), when, and what follows.

    Live objects are read with your own rights, one by one, and compared with the commit that is applied. A newer commit
    that would change something of APP and is not applied yet is told; `windlass plan APP` shows what. Values of Secrets
    are not read: which of their keys were changed is told. Exit code 2 where there are differences.
    """
    from windlass.cli.differing import differences
    from windlass.cli.running import run_person

    return run_person(lambda: differences(app, namespace, kubeconfig, context, output))
