"""The work of ``windlass ledger``: the chain proven against the tips that are kept outside of Git."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from windlass.adapters.git import Store
from windlass.adapters.host.files import write_atomic
from windlass.adapters.ledger import chain
from windlass.adapters.ledger.index import on_index_thread, rebuilt
from windlass.cli.ledgers import Opened, Which, fetched
from windlass.cli.telling import DIFFERS, emit, say
from windlass.core.record import layout
from windlass.core.words.plain import count, plain
from windlass.errors import NeedsHuman


async def verify(which: Which, signers: tuple[str, ...], output: str) -> int:
    """Proves every ref of the ledger. Returns the exit code."""
    allowed = frozenset(_key(one) for one in signers)
    found = await fetched(which)
    proofs = await on_index_thread(prove_all, found, allowed)
    wrong = any(one.problems for one in proofs)
    if output != "human":
        emit([_data(one) for one in proofs], output)
    else:
        for proof in proofs:
            _tell(proof)
    if not wrong:
        await asyncio.to_thread(_keep, found, proofs)
    return DIFFERS if wrong else 0


async def rebuild(which: Which, output: str) -> int:
    """The index made from nothing."""
    found = await fetched(which)

    def make() -> int:
        index = rebuilt(found.index_path, Store(found.folder), found.cluster)
        try:
            return index.count()
        finally:
            index.close()

    number = await on_index_thread(make)
    if output != "human":
        emit({"events": number, "index": str(found.index_path)}, output)
    else:
        say(f"{count(number, 'event')} in {found.index_path}\n")
    return 0


def prove_all(found: Opened, allowed: frozenset[str]) -> list[chain.Proof]:
    """The proof of each ref, and that each year goes on where the one before ended."""
    store = Store(found.folder)
    here = chain.refs(store, found.cluster)
    known: dict[str, dict[str, str]] = {ref: {} for ref in here}
    for ref, tip in _kept(found).items():
        known.setdefault(ref, {})[tip] = "the last check on this machine"
    if found.place.tip:
        known.setdefault(found.place.ref, {})[found.place.tip] = "what the Installation remembers"
    proofs = [chain.prove(store, ref, tip, known=known[ref], allowed=allowed) for ref, tip in here.items()]
    for ref in known.keys() - here.keys():
        proof = chain.Proof(ref, "")
        proof.problems.append(f"the ref is gone; its tip was {', '.join(one[:12] for one in known[ref])}")
        proofs.append(proof)
    for proof in proofs:
        _check_year(store, proof, here)
    return proofs


def _check_year(store: Store, proof: chain.Proof, here: dict[str, str]) -> None:
    """A new year names the last commit of the old one; where that ref goes on or ends before, something is wrong."""
    before = proof.previous
    if before is None:
        cluster, _, shard = proof.ref.removeprefix(layout.ROOT).partition("/")
        older = layout.older(list(here), cluster, shard)
        if older and shard.isdigit():
            proof.problems.append(f"its first commit does not say that it goes on from {older}")
    elif before.ref not in here:
        proof.problems.append(f"{before.ref}, from which it goes on at {before.commit[:12]}, is not there")
    elif here[before.ref] != before.commit:
        ends = here[before.ref]
        rest = len(store.log(before.commit, ends, limit=1000)) if store.has(before.commit) else 0
        # Events of the old year that had waited on a disk may have come after the first ones of the new.
        if not rest:
            proof.problems.append(
                f"{before.ref} ends at {ends[:12]}, and not at {before.commit[:12]}: it was rewritten"
            )


def _tell(proof: chain.Proof) -> None:
    mark = "!" if proof.problems else "="
    span = f", {plain(proof.first)} to {plain(proof.last)}" if proof.first else ""
    say(f"{mark} {plain(proof.ref)}   {count(proof.events, 'event')} in {count(proof.commits, 'commit')}{span}\n")
    for who, number in proof.signers.items():
        say(f"    signed by {who}: {number} of {proof.commits}\n")
    if proof.lost:
        say(f"    it tells itself of {count(proof.lost, 'event')} that found no room: windlass log --kind lost\n")
    for problem in proof.problems:
        say(f"    {plain(problem)}\n")
    if not proof.problems:
        say("    whole: each commit adds one file, nothing was changed, no known tip is missing\n")


def _data(proof: chain.Proof) -> dict[str, Any]:
    return {
        **{key: value for key, value in asdict(proof).items() if key != "previous"},
        "whole": not proof.problems,
    }


def _key(text: str) -> str:
    words = text.split()
    if len(words) < 2 or not words[0].startswith(("ssh-", "ecdsa-")):
        raise NeedsHuman(f"{plain(text)[:60]!r} is not a public key", hint='as in a .pub file: "ssh-ed25519 AAAA..."')
    return f"{words[0]} {words[1]}"


def _tips(found: Opened) -> Path:
    return found.index_path.with_suffix(".tips.json")


def _kept(found: Opened) -> dict[str, str]:
    try:
        return msgspec.json.decode(_tips(found).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}


def _keep(found: Opened, proofs: list[chain.Proof]) -> None:
    write_atomic(_tips(found), msgspec.json.encode({one.ref: one.tip for one in proofs}))
