"""What can go wrong with Git, in the two families. Raised by this room alone; ``cause`` says in a word what it was, for
conditions and tests.

    GitUnavailable  TryLater    the host, the network, or the server's mood
      BranchMoved               a push or commit came second: compute the edit again from the new tip
      PushUnknown               the connection broke while pushing: look for the commit before pushing again
    GitRefused      NeedsHuman  an address, a right, a key, a certificate, a limit
      RefMissing                the branch, tag, version or commit is not there
      BadPath                   a path or link that leads out, a submodule, a file that Git LFS holds
"""

from __future__ import annotations

from typing import ClassVar

from windlass.errors import NeedsHuman, TryLater, Where


class GitUnavailable(TryLater):
    slug: ClassVar[str] = "git-unavailable"
    reason: ClassVar[str] = "GitUnavailable"

    def __init__(self, what: str, *, cause: str = "unreachable", hint: str = "", after: float = 0.0) -> None:
        super().__init__(what, hint=hint, after=after)
        self.cause = cause


class BranchMoved(GitUnavailable):
    slug: ClassVar[str] = "branch-moved"
    reason: ClassVar[str] = "BranchMoved"


class PushUnknown(GitUnavailable):
    slug: ClassVar[str] = "push-unknown"
    reason: ClassVar[str] = "PushUnknown"


class GitRefused(NeedsHuman):
    slug: ClassVar[str] = "git-refused"
    reason: ClassVar[str] = "GitRefused"

    def __init__(self, what: str, *, cause: str, hint: str = "", where: Where | None = None) -> None:
        super().__init__(what, hint=hint, where=where)
        self.cause = cause


class RefMissing(GitRefused):
    slug: ClassVar[str] = "ref-missing"
    reason: ClassVar[str] = "RefMissing"


class BadPath(GitRefused):
    slug: ClassVar[str] = "bad-path"
    reason: ClassVar[str] = "BadPath"
