"""Commits without a work tree, and pushes that never force. Used by the demo and tests, and by whatever writes into Git
for somebody.

Author and time are the caller's to name; nothing is read from the settings of the person or the machine. Which branch
moves is decided here only by compare-and-swap: a commit on a tip that is not the tip any more, and a push that comes
second, are :class:`BranchMoved`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pygit2
from pygit2.enums import FileMode

from windlass.adapters.git.credentials import Credentials
from windlass.adapters.git.errors import BranchMoved, GitRefused, GitUnavailable, PushUnknown
from windlass.adapters.git.paths import clean_path, refused
from windlass.adapters.git.program import Remote, Transport, argument
from windlass.adapters.git.refs import COMMIT, check_name
from windlass.adapters.git.signatures import SigningKey
from windlass.adapters.git.store import Store
from windlass.adapters.git.urls import GitUrl, parse_url
from windlass.adapters.git.words import hidden, told
from windlass.adapters.host.children import Finished

_SECOND = re.compile(
    r"non-fast-forward|fetch first|stale info|cannot lock ref|failed to update ref|incorrect old value", re.IGNORECASE
)
PUSH = ("--porcelain", "--atomic", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no")
"""How a push is made: all or none, never forced, nothing along with it."""
_DEFAULT = Transport()


@dataclass(frozen=True, slots=True)
class Author:
    """Who commits, and when (aware)."""

    name: str
    email: str
    when: datetime

    def signature(self) -> pygit2.Signature:
        for value in (self.name, self.email):
            if not value.strip() or any(ord(char) < 32 or char in "<>" for char in value):
                raise GitRefused(
                    "the name or email of an author is empty or has odd characters",
                    cause="author",
                    hint="write a name and an address",
                )
        offset = self.when.utcoffset()
        if offset is None:
            raise AssertionError("the time of a commit has a zone")
        return pygit2.Signature(self.name, self.email, int(self.when.timestamp()), int(offset.total_seconds() // 60))


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did: per ref of the remote, "new", "moved" or "same"."""

    refs: Mapping[str, str]


def init_repository(folder: str, *, branch: str = "main") -> Store:
    """Make a bare repository, or open the one that is there."""
    check_name(branch)
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(os.path.join(folder, "HEAD")):
        pygit2.init_repository(folder, bare=True, initial_head=branch)
    return Store(folder)


def commit_files(
    store: Store | str,
    parent: str | None,
    edits: Mapping[str, bytes | None],
    message: str,
    author: Author,
    *,
    branch: str | None = None,
    committer: Author | None = None,
    key: SigningKey | None = None,
) -> str:
    """Commit files (None takes one out) into a store or the bare repository of that folder, on top of ``parent`` (None:
    a first commit) and return the commit's id, or ``parent`` where nothing differs.

    With ``branch``, that branch moves there, if it still is at ``parent``; with ``key`` the commit is signed.
    Raises BadPath, BranchMoved, GitRefused; then nothing has moved.
    """
    store = store if isinstance(store, Store) else Store(store)
    base = store.commit(parent) if parent is not None else None
    index = pygit2.Index()
    if base is not None:
        index.read_tree(base.tree)
    for path, data in edits.items():
        _edit(store, index, path, data)
    tree = index.write_tree(store.repository)
    if base is not None and tree == base.tree.id:
        return str(base.id)
    parents: list[str | pygit2.Oid] = [str(base.id)] if base is not None else []
    written = store.repository[tree]
    assert isinstance(written, pygit2.Tree)
    made = create_commit(store.repository, written, parents, message, author, committer=committer, key=key)
    if branch is not None:
        _advance(store, f"refs/heads/{check_name(branch)}", parent, str(made))
    return str(made)


def add_files(
    store: Store,
    parent: str | None,
    files: Mapping[str, bytes],
    message: str,
    author: Author,
    *,
    key: SigningKey | None = None,
) -> str:
    """Commit new files on top of ``parent`` and return the commit's id; no ref moves. Only the folders on their way are
    read: it costs the same in a repository of a million files. Raises BadPath where one is there already."""
    base = store.commit(parent) if parent is not None else None
    tree = base.tree if base is not None else None
    for path, data in files.items():
        made = _added(store.repository, tree, clean_path(path).split("/"), store.repository.create_blob(data), path)
        found = store.repository[made]
        assert isinstance(found, pygit2.Tree)
        tree = found
    if tree is None:
        raise AssertionError("a commit adds something")
    parents: list[str | pygit2.Oid] = [str(base.id)] if base is not None else []
    return create_commit(store.repository, tree, parents, message, author, key=key)


def create_commit(
    repository: pygit2.Repository,
    tree: pygit2.Tree,
    parents: list[str | pygit2.Oid],
    message: str,
    author: Author,
    *,
    committer: Author | None = None,
    key: SigningKey | None = None,
) -> str:
    """A commit of a tree, signed where there is a key. No ref moves."""
    who, by = author.signature(), (committer or author).signature()
    if key is None:
        return str(repository.create_commit(None, who, by, message, tree.id, parents))
    content = str(repository.create_commit_string(who, by, message, tree.id, parents))
    return str(repository.create_commit_with_signature(content, key.sign(content.encode()), "gpgsig"))


def _added(
    repository: pygit2.Repository, tree: pygit2.Tree | None, parts: list[str], blob: pygit2.Oid, path: str
) -> pygit2.Oid:
    builder = repository.TreeBuilder(tree) if tree is not None else repository.TreeBuilder()
    name = parts[0]
    there = builder.get(name)
    if len(parts) == 1:
        if there is not None:
            raise refused("the file is there already", path, "a file of the ledger is written once")
        builder.insert(name, blob, FileMode.BLOB)
        return builder.write()
    if there is not None and not isinstance(there, pygit2.Tree):
        raise refused("a file stands where a folder is needed", path, "take that file out first")
    below = repository[there.id] if there is not None else None
    assert below is None or isinstance(below, pygit2.Tree)
    builder.insert(name, _added(repository, below, parts[1:], blob, path), FileMode.TREE)
    return builder.write()


async def push(
    store: Store | str,
    url: str,
    commits: Mapping[str, str],
    credentials: Credentials | None = None,
    transport: Transport = _DEFAULT,
) -> Pushed:
    """Push commits to refs (full name to commit id), all or none, never forced.

    Raises BranchMoved when a ref is not an ancestor any more, PushUnknown when it is not known whether it arrived, else
    GitRefused.
    """
    for ref, commit in commits.items():
        if not ref.startswith("refs/") or not COMMIT.fullmatch(commit):
            raise AssertionError("a push names full refs and commit ids")
        check_name(ref.removeprefix("refs/"))
    folder = store.folder if isinstance(store, Store) else store
    remote = Remote(parse_url(url, allow_local=transport.allow_local), credentials, transport)
    refspecs = [f"{commit}:{ref}" for ref, commit in commits.items()]
    try:
        done = await remote.git("push", *PUSH, *argument([remote.url.text, *refspecs]), folder=folder)
    except GitUnavailable as error:
        raise PushUnknown(f"{error.what}: whether the push arrived is not known", cause=error.cause) from None
    return pushed(remote.url, commits, done, remote.credentials.secrets())


def pushed(url: GitUrl, commits: Iterable[str], done: Finished, secrets: Sequence[str]) -> Pushed:
    """What ``git push --porcelain`` says it did to the refs ``commits``. Raises as ``push`` does."""
    states = dict(_states(done.stdout.decode(errors="replace")))
    if done.code == 0:
        return Pushed({ref: _STATES.get(states.get(ref, ("=", ""))[0], "moved") for ref in commits})
    rejected = {ref: why for ref, (flag, why) in states.items() if flag == "!"}
    if rejected:
        raise _rejected(url, rejected, done.stderr.decode(errors="replace"), secrets)
    trouble = told(url, done, secrets)
    if isinstance(trouble, GitUnavailable):
        what = f"{trouble.what}: whether the push arrived is not known"
        raise PushUnknown(what, cause=trouble.cause) from trouble.__cause__
    raise trouble


_STATES = {"*": "new", "=": "same", " ": "moved"}


def _edit(store: Store, index: pygit2.Index, path: str, data: bytes | None) -> None:
    clean = clean_path(path)
    if not clean:
        raise refused("a file needs a name", path, "name the file")
    if data is None:
        try:
            index.remove(clean)
        except (OSError, KeyError):
            raise refused(
                "there is no such file to take out", path, "name a file that is in the parent commit"
            ) from None
        return
    mode = FileMode.BLOB
    if clean in index:
        mode = FileMode(index[clean].mode)
        if mode not in (FileMode.BLOB, FileMode.BLOB_EXECUTABLE):
            raise refused(
                "a link or submodule stands where a file should be written",
                path,
                "write the file that the link leads to",
            )
    parts = clean.split("/")
    if any("/".join(parts[:count]) in index for count in range(1, len(parts))):
        raise refused("a file stands where a folder is needed", path, "take that file out first")
    index.add(pygit2.IndexEntry(clean, store.repository.create_blob(data), mode))


def _advance(store: Store, ref: str, parent: str | None, made: str) -> None:
    now = store.resolve(ref)
    if now != parent:
        raise BranchMoved(
            f"{ref.removeprefix('refs/heads/')} is not at {(parent or 'nothing')[:7]} any more", cause="moved"
        )
    try:
        if parent is None:
            store.repository.references.create(ref, made)
        else:
            store.repository.references[ref].set_target(made)
    except (KeyError, ValueError, pygit2.GitError):
        raise BranchMoved(f"{ref.removeprefix('refs/heads/')} was moved by somebody else", cause="moved") from None


def _states(text: str) -> list[tuple[str, tuple[str, str]]]:
    """The lines of --porcelain: a flag, from:to, and a summary with the reason."""
    found = []
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) == 3:
            found.append((parts[1].partition(":")[2], (parts[0], parts[2])))
    return found


def _rejected(
    url: GitUrl, rejected: Mapping[str, str], stderr: str, secrets: Sequence[str]
) -> GitRefused | GitUnavailable:
    host = url.origin
    reasons = " ".join(rejected.values())
    names = ", ".join(sorted(ref.removeprefix("refs/heads/") for ref in rejected))
    cause = Exception(hidden(f"{reasons}\n{stderr}", secrets))
    error: GitRefused | GitUnavailable
    # Two pushes at the very same time: the server says which lost only on its error output.
    if _SECOND.search(reasons) or ("atomic transaction failed" in reasons and _SECOND.search(stderr)):
        error = BranchMoved(f"{names} on {host} has moved on", cause="moved")
    else:
        error = GitRefused(
            f"{host} does not take the push to {names}",
            cause="push",
            hint="is the branch protected, or does a hook refuse it? let this key push there, or propose the change",
        )
    error.__cause__ = cause
    return error
