"""``windlass hold``: an image policy does not take a tag, by a commit."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import Until, cluster_options, output_option, reason_option


@click.command("hold")
@click.argument("policy")
@click.argument("tag")
@click.option(
    "--until", type=Until(), default="", metavar="TIME", help="When it ends: a time, or 2h from now. Else never."
)
@click.option("--remove", is_flag=True, help="Let the tag be taken again.")
@reason_option(required=False)
@click.option("-n", "--namespace", default="", help="The policy's namespace, where POLICY does not name it.")
@cluster_options
@output_option
def command(
    policy: str,
    tag: str,
    until: str,
    remove: bool,
    reason: str,
    namespace: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Keep the image policy POLICY from taking TAG, by one commit of your own to the policy's file.

    What is in Git already stays there: go back with windlass rollback, or revert the commit.
    """
    if not remove and not reason:
        raise click.UsageError("--reason says why; it becomes part of the commit")
    from windlass.cli import holding
    from windlass.cli.running import run_person

    asked = holding.Asked(policy, namespace, tag, until, reason, output, remove=remove)
    return run_person(lambda: holding.hold(asked, kubeconfig, context))
