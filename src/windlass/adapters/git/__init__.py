"""Git: the only room that knows libgit2 and the ``git`` program.

``Mirror`` follows one remote repository into a bare one of our own; ``Snapshot`` is the files of a commit (or of a
folder) as a read-only mapping; history is asked of a ``Store``; ``commit_files`` and ``push`` write. Everything that
goes over the network is the ``git`` program as a limited child that sees no settings of this machine; everything that
reads or makes objects is libgit2, on one thread where there is a loop.

Nothing here decides what to follow or to write, and no credential leaves it: not in arguments, URLs, errors or logs.
"""

from windlass.adapters.git.credentials import Credentials
from windlass.adapters.git.errors import BadPath, BranchMoved, GitRefused, GitUnavailable, PushUnknown, RefMissing
from windlass.adapters.git.mirror import Fetched, Mirror, mirror_folder
from windlass.adapters.git.program import Transport
from windlass.adapters.git.refs import RefSpec
from windlass.adapters.git.seals import Seal, openpgp_signers, seals
from windlass.adapters.git.signatures import SigningKey, fingerprint, signer
from windlass.adapters.git.snapshot import (
    CommitSnapshot,
    Entry,
    FolderSnapshot,
    Snapshot,
    folder_snapshot,
    open_snapshot,
)
from windlass.adapters.git.store import CommitInfo, Move, Store, on_git_thread
from windlass.adapters.git.trace import Trace, TracedSnapshot
from windlass.adapters.git.upstream import MachineUpstream, Upstream
from windlass.adapters.git.urls import GitUrl, masked, parse_url
from windlass.adapters.git.write import Author, Pushed, add_files, commit_files, create_commit, init_repository, push

__all__ = [
    "Author",
    "BadPath",
    "BranchMoved",
    "CommitInfo",
    "CommitSnapshot",
    "Credentials",
    "Entry",
    "Fetched",
    "FolderSnapshot",
    "GitRefused",
    "GitUnavailable",
    "GitUrl",
    "MachineUpstream",
    "Mirror",
    "Move",
    "PushUnknown",
    "Pushed",
    "RefMissing",
    "RefSpec",
    "Seal",
    "SigningKey",
    "Snapshot",
    "Store",
    "Trace",
    "TracedSnapshot",
    "Transport",
    "Upstream",
    "add_files",
    "commit_files",
    "create_commit",
    "fingerprint",
    "folder_snapshot",
    "init_repository",
    "masked",
    "mirror_folder",
    "on_git_thread",
    "open_snapshot",
    "openpgp_signers",
    "parse_url",
    "push",
    "seals",
    "signer",
]
