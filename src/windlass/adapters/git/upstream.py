"""A branch of a remote repository as one who writes to it needs it: where it is, a commit on top, a push of that.

``flows/write`` works on an ``Upstream``. ``MachineUpstream`` is the controller's, with the credentials, author and key
that a Repository names under ``write``; the command line has one of a person's own Git. Neither decides what is
written, and neither ever forces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from windlass.adapters.git.credentials import Credentials
from windlass.adapters.git.errors import RefMissing
from windlass.adapters.git.mirror import Mirror
from windlass.adapters.git.program import Transport
from windlass.adapters.git.refs import RefSpec
from windlass.adapters.git.signatures import SigningKey
from windlass.adapters.git.snapshot import CommitSnapshot
from windlass.adapters.git.store import CommitInfo, Move, Store, on_git_thread
from windlass.adapters.git.write import Author, commit_files, push

_DEFAULT = Transport()


class Upstream(Protocol):
    """One branch of one remote. Raises the errors of this room."""

    async def tip(self) -> str:
        """Where the branch is now, asked of the remote."""
        ...

    async def files(self, commit: str) -> Mapping[str, bytes]:
        """The files of a commit that is here."""
        ...

    async def log(self, old: str | None, new: str, limit: int) -> Sequence[CommitInfo]:
        """The commits in ``new`` that are not in ``old``, newest first."""
        ...

    async def commit(self, parent: str, edits: Mapping[str, bytes | None], message: str, when: datetime) -> str:
        """A commit here, on top of ``parent``; nothing moves."""
        ...

    async def push(self, commit: str) -> None:
        """The branch moves to the commit, if that stands on where it is. Raises BranchMoved, PushUnknown."""
        ...


class MachineUpstream:
    """The controller's: ``folder`` is a mirror of its own. ``name`` and ``email`` are the author of its commits.
    ``start`` is the branch that this one is made from where it is not there, "" for none."""

    def __init__(
        self,
        folder: str,
        url: str,
        branch: str,
        *,
        name: str,
        email: str,
        credentials: Credentials | None = None,
        key: SigningKey | None = None,
        transport: Transport = _DEFAULT,
        start: str = "",
    ) -> None:
        self._start = start
        self._mirror = Mirror(folder, url, credentials, transport)
        self._url = url
        self._branch = branch
        self._name = name
        self._email = email
        self._credentials = credentials
        self._key = key
        self._transport = transport

    async def tip(self) -> str:
        if not self._start:
            return (await self._mirror.fetch(RefSpec(branch=self._branch))).commit
        start = (await self._mirror.fetch(RefSpec(branch=self._start))).commit
        try:
            own = (await self._mirror.fetch(RefSpec(branch=self._branch))).commit
        except RefMissing:
            return start
        # What was merged is begun again from where the other branch is now.
        return start if await self._mirror.moved(own, start) in (Move.SAME, Move.FORWARD) else own

    async def files(self, commit: str) -> CommitSnapshot:
        return await self._mirror.snapshot(commit)

    async def log(self, old: str | None, new: str, limit: int) -> Sequence[CommitInfo]:
        return await self._mirror.log(old, new, limit=limit)

    async def commit(self, parent: str, edits: Mapping[str, bytes | None], message: str, when: datetime) -> str:
        author = Author(self._name, self._email, when)
        return await on_git_thread(
            lambda: commit_files(Store(self._mirror.folder), parent, edits, message, author, key=self._key)
        )

    async def push(self, commit: str) -> None:
        refs = {f"refs/heads/{self._branch}": commit}
        await push(self._mirror.folder, self._url, refs, self._credentials, self._transport)
