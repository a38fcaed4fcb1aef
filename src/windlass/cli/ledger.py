"""``windlass ledger``: proves the ledger, or makes the local index over it again."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.options import cluster_options, ledger_options, output_option


@click.command("ledger")
@click.argument("what", type=click.Choice(["verify", "rebuild"]))
@click.option(
    "--signer",
    "signers",
    multiple=True,
    metavar="KEY",
    help='Each commit has to be signed by it: "ssh-ed25519 AAAA...".',
)
@ledger_options
@cluster_options
@output_option
def command(
    what: str,
    signers: tuple[str, ...],
    ledger_url: str,
    cluster_name: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Prove that the ledger is whole (verify), or make the local index over it from nothing (rebuild).

    \b
    windlass ledger verify
    windlass ledger verify --signer "$(cat windlass-signing.pub)"

    verify reads every commit of the ledger's refs: each follows the one before, adds the one file that it names and
    changes none; each file holds what its name says. The tips that the Installation and the last check on this machine
    remember have to be in the history: what was rewritten shows, and what is missing is told. Exit code 2 where
    something is wrong.
    """
    from windlass.cli import proving
    from windlass.cli.ledgers import Which
    from windlass.cli.running import run_person

    which = Which(ledger_url, cluster_name, kubeconfig, context)
    if what == "rebuild":
        return run_person(lambda: proving.rebuild(which, output))
    return run_person(lambda: proving.verify(which, signers, output))
