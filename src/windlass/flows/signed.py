"""Whose signature a commit has, and whether that is one that ``spec.verify`` of its Repository names.

``sources`` asks before a commit is followed, and for the ledger; ``desires`` asks about a commit that is pinned. The
signatures themselves are checked by ``adapters/git``; here they are held against the keys. Nothing is asked where no
``verify`` is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from windlass.adapters.git import Mirror, Move, Seal, Store, fingerprint, on_git_thread, openpgp_signers, seals
from windlass.core.kinds.repository import Verify
from windlass.flows.fleet import SourceState
from windlass.flows.waiting import NotSigned

MOST = 1000
"""Commits that may come at once where each has to be signed."""
PIECE = 50
"""Commits that are looked at in one go: libgit2 has one thread for all."""


class Signed:
    """Remembers nothing but what a commit's signature came to, which never changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Seal] = {}

    async def check(self, mirror: Mirror, verify: Verify | None, old: str, new: str) -> str:
        """Who signed ``new``, where ``old`` was accepted before ("" none). Raises NotSigned, ProgramMissing."""
        if verify is None:
            return ""
        asked = [new]
        if verify.mode == "all" and old and old != new:
            came = await mirror.log(old, new, limit=MOST + 1)
            if len(came) > MOST:
                raise NotSigned(new, f"more than {MOST} commits came at once; say mode: head for this once", old)
            asked = [new, *(one.id for one in came if one.id != new)]
        found = await self._seals(mirror, verify, asked)
        for commit in asked:
            name = whose(verify, found[commit])
            if not name:
                why = trouble(found[commit])
                raise NotSigned(new, why if commit == new else f"{commit[:7]} before it: {why}", old)
        return whose(verify, found[new])

    async def acceptable(self, mirror: Mirror, verify: Verify | None, commit: str) -> str:
        """The commit, or "" where it is not signed as asked."""
        try:
            if commit:
                await self.check(mirror, verify, "", commit)
        except NotSigned:
            return ""
        return commit

    async def names(self, mirror: Mirror, verify: Verify | None, commits: Sequence[str]) -> dict[str, str]:
        """Who signed each, where that is known."""
        if verify is None:
            return {}
        found = await self._seals(mirror, verify, commits)
        return {commit: whose(verify, seal) for commit, seal in found.items()}

    async def _seals(self, mirror: Mirror, verify: Verify, commits: Sequence[str]) -> dict[str, Seal]:
        keys = [one.openpgp for one in verify.signers if one.openpgp]
        mark = hashlib.sha256("\0".join(keys).encode()).hexdigest()
        missing = [one for one in commits if (one, mark) not in self._known]
        store = await mirror.store()
        for first in range(0, len(missing), PIECE):
            piece = missing[first : first + PIECE]
            for commit, seal in (await on_git_thread(seals, store, piece)).items():
                if seal.form == "openpgp" and keys:
                    seal = await openpgp_signers(seal, keys)
                self._known[commit, mark] = seal
        found = {one: self._known[one, mark] for one in commits}
        if len(self._known) > 10 * MOST:
            self._known = {(one, mark): seal for one, seal in found.items()}
        return found


def whose(verify: Verify, seal: Seal) -> str:
    """The signer as people know it: the comment of the key and its fingerprint; "" where no key of ``verify`` made the
    signature."""
    if not seal.key:
        return ""
    if seal.form == "openpgp":
        return f"openpgp {seal.key}"  # only keys of ``verify`` were asked for
    for one in verify.signers:
        kind, _, rest = one.ssh.partition(" ")
        blob, _, comment = rest.partition(" ")
        if f"{kind} {blob}" == seal.key:
            return f"{comment.strip()} {fingerprint(seal.key)}".strip()
    return ""


def trouble(seal: Seal) -> str:
    """Why a signature is not one that may count."""
    if seal.form == "none":
        return "it is not signed"
    if seal.form not in ("ssh", "openpgp"):
        return f"its signature is of a form that is not known ({seal.form})"
    if seal.why:
        return seal.why
    if seal.form == "openpgp" and seal.payload:
        return "it is signed by OpenPGP, and no openpgp key is named in spec.verify.signers"
    if seal.key:
        return f"it is signed by {fingerprint(seal.key)}, which is none of spec.verify.signers"
    return "its signature does not hold"


async def check_pinned(source: SourceState, commit: str) -> None:
    """Raises NotSigned where a pin names a commit that no accepted commit leads to: what was fetched and not followed
    is in the mirror too."""
    verify = source.written.spec.verify if source.written is not None else None
    if verify is None or not source.commit or commit == source.commit:
        return
    accepted, folder = source.commit, source.folder
    if await on_git_thread(lambda: Store(folder).moved(commit, accepted)) is not Move.FORWARD:
        raise NotSigned(commit, f"it is pinned, and the accepted commit {accepted[:7]} does not lead back to it")
