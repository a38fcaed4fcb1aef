"""``windlass image list|check|update``: what image policies chose, why, and a look now."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, output_option


@click.group("image")
def command() -> None:
    """What image policies chose and why, and a look at the registry now.

    POLICY is the name of an ImagePolicy, or <namespace>/<name>.
    """


@command.command("list")
@click.option("-n", "--namespace", default="", help="Only the policies of this namespace.")
@cluster_options
@output_option
def list_(namespace: str, kubeconfig: Path | None, context: str | None, output: str) -> int:
    """The image policies: image, chosen tag, in how many places it stands, and what is wrong."""
    from windlass.cli import imaging
    from windlass.cli.running import run_person

    return run_person(lambda: imaging.list_policies(namespace, output, kubeconfig, context))


@command.command("check")
@click.argument("policy")
@click.option("-n", "--namespace", default="", help="The policy's namespace, where POLICY does not name it.")
@click.option("--current", default="", metavar="TAG", help="As if this tag were there now; else the chosen one.")
@click.option("--all", "every", is_flag=True, help="Every tag; else the 20 best ones.")
@cluster_options
@output_option
def check(
    policy: str,
    namespace: str,
    current: str,
    every: bool,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Ask the registry now, from here, and say of each tag why it would be taken or not. Nothing is written.

    It needs your own right to read the Secrets that the policy names. Exit code 2: another tag than the chosen one
    would be taken.
    """
    from windlass.cli import imaging
    from windlass.cli.running import run_person

    asked = imaging.Asked(policy, namespace, current, output, every=every)
    return run_person(lambda: imaging.check_policy(asked, kubeconfig, context))


@command.command("update")
@click.argument("policy")
@click.option("-n", "--namespace", default="", help="The policy's namespace, where POLICY does not name it.")
@cluster_options
@output_option
def update(policy: str, namespace: str, kubeconfig: Path | None, context: str | None, output: str) -> int:
    """Have the controller ask the registry now, with your own right to patch the policy.

    It decides as always: what is not better, is held or not signed is not taken.
    """
    from windlass.cli import imaging
    from windlass.cli.running import run_person

    asked = imaging.Asked(policy, namespace, "", output)
    return run_person(lambda: imaging.ask_for_look(asked, kubeconfig, context))
