"""Which deployment of an Application a commit tells of. `windlass bisect` and the delivery metrics ask it.

Pure. ``found`` are the deployments of one Application, oldest first, at least one; a commit may be there more than
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class OfCommit(Protocol):
    """A deployment, as far as this needs it."""

    @property
    def commit(self) -> str:
        """Its whole id."""
        ...


def is_of_last(found: Sequence[OfCommit], commit: str) -> bool:
    """Whether the last deployment is what ran at a commit: its own, or a later one that changed nothing of it."""
    return found[-1].commit == commit or all(one.commit != commit for one in found)


def goes_back(found: Sequence[OfCommit], pins: str) -> bool:
    """Whether a pin goes back from the last deployment, and not on to what was deployed first after it."""
    commits = [one.commit for one in found]
    return pins != commits[-1] and (pins not in commits or commits.index(pins) < commits.index(commits[-1]))
