"""What a rollback does not bring back: what came from outside Git with the good deployment, held against now.

``rolling`` calls it before anything is written. The status of the Application has it for the last deployments, the
ledger for those before. Nothing is guessed: where it was not noted, that is said.
"""

from __future__ import annotations

from pathlib import Path

from windlass.adapters.ledger.index import Index, Wish, on_index_thread
from windlass.cli.ledgers import Which, opened
from windlass.cli.reaching import Found
from windlass.core.kinds.application_status import ApplicationStatus, outside_of
from windlass.core.model import Outside
from windlass.core.model.events import Applied
from windlass.core.words.outside import compared, movable, told
from windlass.core.words.plain import plain, short
from windlass.errors import WindlassError

SHOWN = 10
"""So many lines; of more, how many there are."""


async def differences(
    found: Found, status: ApplicationStatus, commit: str, kubeconfig: Path | None, context: str | None
) -> list[str]:
    """Lines, nothing where all is as it was: what differs now from what the commit ran with."""
    if status.outside is None:
        return []
    now = outside_of(status.outside)
    kept = next((one.outside for one in status.history if one.commit == commit and one.outside is not None), None)
    then = outside_of(kept) if kept is not None else await _in_ledger(found, commit, kubeconfig, context)
    if then is None:
        comes = told(now)
        return [f"what {short(commit)} got from outside Git was not noted: {', '.join(comes)}"] if comes else []
    lines = compared(then, now)
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], f"and {more} more"] if more > 0 else lines


def remarks(status: ApplicationStatus, commit: str) -> list[str]:
    """What nobody can see from here: images by tag."""
    kept = next((one.outside for one in status.history if one.commit == commit and one.outside is not None), None)
    tags = movable(outside_of(kept)) if kept is not None else []
    if not tags:
        return []
    more = f" and {len(tags) - 3} more" if len(tags) > 3 else ""
    names = ", ".join(plain(one) for one in tags[:3])
    return [f"{names}{more}: named by tag, without a digest; whether a tag was moved since is not seen here"]


async def _in_ledger(found: Found, commit: str, kubeconfig: Path | None, context: str | None) -> Outside | None:
    """What the ledger tells of the newest deployment of the commit; None where there is no ledger, or it does not."""
    subject = f"{found.namespace}/{found.name}"

    def look(index: Index) -> Outside | None:
        for event in index.events(Wish((subject,), ("applied",), limit=10_000)):
            data = event.data
            if isinstance(data, Applied) and (data.commit, data.result) == (commit, "applied"):
                return data.outside
        return None

    try:
        async with opened(Which("", "", kubeconfig, context)) as index:
            return await on_index_thread(look, index)
    except WindlassError:
        return None
