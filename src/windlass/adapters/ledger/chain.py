"""A ledger's ref as a chain of commits: read in order, and proven.

``index.py`` reads new files by it, ``windlass ledger verify`` proves by it that each commit adds the one file that it
names and changes nothing, that files hold what their names say, and that no tip which was known from outside is
missing. Synchronous, and over a repository on this machine: who fetched it is not its business. Nothing is changed.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pygit2
from pygit2.enums import SortMode

from windlass.adapters.git import Store, fingerprint, signer
from windlass.core.model import events
from windlass.core.model.foreign import UNREADABLE
from windlass.core.record import layout


@dataclass(frozen=True, slots=True)
class File:
    """One file of the ledger, and the commit that added it."""

    commit: str
    path: str
    blob: pygit2.Oid
    content: bytes


@dataclass(slots=True)
class Proof:
    """What a ref was found to be. ``problems`` are sentences, oldest first; empty: it is whole."""

    ref: str
    tip: str
    commits: int = 0
    events: int = 0
    first: str = ""
    last: str = ""
    lost: int = 0
    signers: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    previous: layout.Previous | None = None


MOST_PROBLEMS = 100


def refs(store: Store, cluster: str = "*") -> dict[str, str]:
    """The ledgers that are here, oldest first: by name, with their tips."""
    pattern = layout.ref_of(cluster, "") if cluster != "*" else layout.ROOT
    names = sorted(name for name in store.repository.references if name.startswith(pattern))
    return {name: tip for name in names if (tip := store.resolve(name)) is not None}


def clusters(store: Store) -> list[str]:
    """The clusters whose ledgers are here."""
    return sorted({name.removeprefix(layout.ROOT).split("/")[0] for name in refs(store)})


def files(store: Store, tip: str, since: str = "") -> Iterator[File]:
    """The files that were added after ``since``, oldest first, by what the commits say of themselves. A commit that
    says nothing that can be read is passed over: ``prove`` is who tells of it."""
    walker = store.repository.walk(pygit2.Oid(hex=tip), SortMode.TOPOLOGICAL | SortMode.REVERSE)
    if since:
        walker.hide(pygit2.Oid(hex=since))
    for commit in walker:
        told = layout.trailers(commit.message)
        if told is None:
            continue
        try:
            blob = commit.tree[told.file]
        except KeyError:
            continue
        if isinstance(blob, pygit2.Blob):
            yield File(str(commit.id), told.file, blob.id, blob.data)


def prove(store: Store, ref: str, tip: str, *, known: dict[str, str], allowed: frozenset[str] = frozenset()) -> Proof:
    """Checks a ref from its first commit on. ``known`` are tips that were seen before, with who says so; ``allowed``
    the public keys one of which must have signed each commit, empty where nothing is asked."""
    proof = Proof(ref, tip)
    seen: set[bytes] = set()
    commits: set[str] = set()
    tree = _Trees(store.repository)
    before: pygit2.Commit | None = None
    for commit in store.repository.walk(pygit2.Oid(hex=tip), SortMode.TOPOLOGICAL | SortMode.REVERSE):
        commits.add(str(commit.id))
        proof.commits += 1
        if len(proof.problems) < MOST_PROBLEMS:
            _check(store, proof, tree, before, commit, seen)
            _check_signature(proof, commit, allowed)
        before = commit
    for one, says in known.items():
        if one not in commits:
            proof.problems.append(_missing(store, proof, one, says))
    if len(proof.problems) >= MOST_PROBLEMS:
        proof.problems.append("and more: only the first are told")
    return proof


def _check(
    store: Store, proof: Proof, trees: _Trees, before: pygit2.Commit | None, commit: pygit2.Commit, seen: set[bytes]
) -> None:
    short = str(commit.id)[:12]
    parents = [str(one) for one in commit.parent_ids]
    if parents != ([str(before.id)] if before is not None else []):
        proof.problems.append(f"{short} does not follow the commit before it: histories were merged or grafted")
        trees.forget()
    told = layout.trailers(commit.message)
    if told is None:
        first = commit.message.partition("\n")[0]
        proof.problems.append(f"{short} was not written by the ledger: {first[:60]!r}")
        trees.forget()
        return
    new = [told.file] if before is not None else [told.file, layout.DESCRIPTOR]
    if not trees.only_adds(before.tree_id if before is not None else None, commit.tree_id, new):
        proof.problems.append(f"{short} changes or removes files, or adds others than {told.file}")
    try:
        content = commit.tree[told.file].read_raw()
        found = layout.events_of(content)
        path = layout.path_of(content)
    except (KeyError, ValueError, pygit2.GitError):
        proof.problems.append(f"{short}: {told.file} can't be read as events")
        return
    if path != told.file:
        proof.problems.append(f"{short}: the content of {told.file} is not what its name says")
    if before is None:
        proof.previous = _previous(commit)
    proof.events += len(found)
    if told.events != len(found) or told.total != proof.events:
        proof.problems.append(
            f"{short} says {told.events} of {told.total} events, and there are {len(found)} of {proof.events}"
        )
        proof.events = told.total
    proof.first = proof.first or found[0].time
    proof.last = found[-1].time
    for event in found:
        mark = identity(event.id)
        if mark in seen:
            proof.problems.append(f"{short}: event {event.id} is told twice")
        seen.add(mark)
        if isinstance(event.data, events.Lost):
            proof.lost += event.data.count


def _check_signature(proof: Proof, commit: pygit2.Commit, allowed: frozenset[str]) -> None:
    signature, payload = commit.gpg_signature
    key = signer(payload, signature.decode(errors="replace")) if signature and payload else ""
    if signature and not key:
        proof.problems.append(f"{str(commit.id)[:12]}: its signature does not hold")
    elif allowed and key not in allowed:
        who = fingerprint(key) if key else "nobody"
        proof.problems.append(f"{str(commit.id)[:12]} is signed by {who}, not by a key that may")
    if key:
        proof.signers[fingerprint(key)] = proof.signers.get(fingerprint(key), 0) + 1


def _missing(store: Store, proof: Proof, commit: str, says: str) -> str:
    """What is gone with a tip that is not in the chain any more, as far as it is still on this machine."""
    told = f"{commit[:12]}, its tip by {says}, is not in the history any more: it was rewritten"
    if not store.has(commit):
        return told + "; what it held is not on this machine"
    base = store.repository.merge_base(pygit2.Oid(hex=commit), pygit2.Oid(hex=proof.tip))
    gone = list(files(store, commit, str(base) if base is not None else ""))
    number = sum(one.content.count(b"\n") for one in gone)
    if not gone:
        return told
    first, last = (layout.events_of(one.content) for one in (gone[0], gone[-1]))
    return f"{told}; missing are {number} events from {first[0].time} to {last[-1].time}, still on this machine"


def _previous(commit: pygit2.Commit) -> layout.Previous | None:
    try:
        content = commit.tree[layout.DESCRIPTOR].read_raw()
        return msgspec.json.decode(content, type=layout.Descriptor).previous
    except (KeyError, *UNREADABLE):
        return None


def identity(text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except ValueError:
        return text.encode()


class _Trees:
    """Whether a tree is another one with a file added, by the entries of the folders on its way: what else is in them
    need not be read."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._repository = repository
        self._kept: dict[bytes, dict[bytes, bytes]] = {}

    def forget(self) -> None:
        self._kept.clear()

    def only_adds(self, old: pygit2.Oid | None, new: pygit2.Oid, paths: list[str]) -> bool:
        kept, self._kept = self._kept, {}
        try:
            if old is None:
                return set(self._entries(kept, new.raw)) == {path.split("/")[0].encode() for path in paths}
            return self._adds(kept, old.raw, new.raw, paths[0].split("/"))
        except (KeyError, ValueError, pygit2.GitError):
            return False

    def _adds(self, kept: dict[bytes, dict[bytes, bytes]], old: bytes | None, new: bytes, parts: list[str]) -> bool:
        had = self._entries(kept, old) if old is not None else {}
        has = self._entries(kept, new)
        name = parts[0].encode()
        before, after = had.get(name), has.get(name)
        if after is None or {**had, name: after} != has:
            return False
        if len(parts) == 1:
            return before is None and after.startswith(b"100644 ")
        below = before[-20:] if before is not None and before.startswith(b"40000 ") else None
        return after.startswith(b"40000 ") and self._adds(kept, below, after[-20:], parts[1:])

    def _entries(self, kept: dict[bytes, dict[bytes, bytes]], identity: bytes) -> dict[bytes, bytes]:
        """The entries of a tree by name: mode, blank, name, NUL, twenty bytes."""
        found = kept.get(identity)
        if found is None:
            raw, at, found = self._repository[pygit2.Oid(raw=identity)].read_raw(), 0, {}
            while at < len(raw):
                end = raw.index(b"\0", at)
                found[raw[raw.index(b" ", at) + 1 : end]] = raw[at : end + 21]
                at = end + 21
        self._kept[identity] = found
        return found
