"""A branch that a person writes to, with their own Git: its rights, its name and address, its signature if it signs.

Commands that change something in Git give this to ``flows/write``. Nothing is committed in anybody's name but the
person's, and no credential is asked for or kept: what ``git push`` by hand can do, this can.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from windlass import settings
from windlass.adapters.git import (
    Author,
    CommitInfo,
    CommitSnapshot,
    GitRefused,
    PushUnknown,
    Store,
    commit_files,
    parse_url,
)
from windlass.adapters.git.program import argument
from windlass.adapters.git.write import PUSH, pushed
from windlass.adapters.host.children import ChildTimeout
from windlass.cli import fetching
from windlass.core.kinds.repository import Ref
from windlass.errors import NeedsHuman

_IDENTITY = re.compile(r"(?P<name>.*) <(?P<email>[^>]*)> [0-9]+ (?P<sign>[-+])(?P<hours>[0-9]{2})(?P<minutes>[0-9]{2})")
_NAMES = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL")
_SIGNING = ("GNUPGHOME", "GPG_TTY", "SSH_AUTH_SOCK")


class Person:
    """Who types, as their Git knows them."""

    def __init__(self, name: str, email: str, zone: timezone) -> None:
        self.name = name
        self.email = email
        self.zone = zone

    @property
    def by(self) -> str:
        """How they stand in the ``by`` of an exception."""
        return self.email


async def person() -> Person:
    """Asks the person's Git, in the folder where they stand. Raises NeedsHuman where it does not know."""
    done = await fetching.own_git("var", "GIT_AUTHOR_IDENT", cwd=str(Path.cwd()), extra=_own(_NAMES))
    found = _IDENTITY.fullmatch(done.stdout.decode(errors="replace").strip())
    if done.code != 0 or found is None or not found["name"] or not found["email"]:
        raise NeedsHuman(
            "Git does not know who you are, and a commit has an author",
            hint='git config --global user.name "..." and git config --global user.email ...',
        )
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return Person(found["name"], found["email"], timezone(-offset if found["sign"] == "-" else offset))


class PersonUpstream:
    """One branch of one remote, for ``flows/write``."""

    def __init__(self, url: str, branch: str, who: Person) -> None:
        self._url = parse_url(url, allow_local=True)
        self._branch = branch
        self._who = who
        self._folder = fetching.cache(url)

    async def tip(self) -> str:
        return (await fetching.fetch(self._url.text, Ref(branch=self._branch))).commit

    async def files(self, commit: str) -> CommitSnapshot:
        return await asyncio.to_thread(lambda: CommitSnapshot(Store(self._folder), commit))

    async def log(self, old: str | None, new: str, limit: int) -> Sequence[CommitInfo]:
        return await asyncio.to_thread(lambda: Store(self._folder).log(old, new, limit=limit))

    async def commit(self, parent: str, edits: Mapping[str, bytes | None], message: str, when: datetime) -> str:
        author = Author(self._who.name, self._who.email, when.astimezone(self._who.zone))
        made = await asyncio.to_thread(lambda: commit_files(Store(self._folder), parent, edits, message, author))
        wish = await fetching.own_git("config", "--type=bool", "commit.gpgSign", cwd=str(Path.cwd()))
        return made if wish.stdout.strip() != b"true" else await self._signed(made, parent, message, author)

    async def _signed(self, made: str, parent: str, message: str, author: Author) -> str:
        """The same commit once more, signed by the person's Git as it always signs."""
        stamp = f"{int(author.when.timestamp())} {author.when.strftime('%z')}"
        extra = {
            "GIT_AUTHOR_NAME": author.name, "GIT_AUTHOR_EMAIL": author.email, "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_NAME": author.name, "GIT_COMMITTER_EMAIL": author.email, "GIT_COMMITTER_DATE": stamp,
        }  # fmt: skip
        tree = f"{made}^{{tree}}"
        done = await fetching.own_git(
            "--git-dir", self._folder, "commit-tree", "-S", "-p", parent, "-m", message.rstrip("\n"), tree,
            cwd=str(Path.cwd()), extra=_own(_SIGNING) | extra,
        )  # fmt: skip
        if done.code != 0:
            raise NeedsHuman(
                "your Git signs its commits (commit.gpgSign), and could not sign this one",
                hint="see that git commit -S works by itself: is the agent running, is user.signingKey right?",
            )
        return done.stdout.decode().strip()

    async def push(self, commit: str) -> None:
        ref = f"refs/heads/{self._branch}"
        where = argument([self._url.text, f"{commit}:{ref}"])
        try:
            done = await fetching.own_git("--git-dir", self._folder, "push", *PUSH, *where)
            pushed(self._url, [ref], done, [])
        except GitRefused as error:
            if error.cause == "push":
                error.hint = (
                    f"is {self._branch} protected? the commit is made: push it to a branch and propose that: "
                    f"git --git-dir {self._folder} push {self._url.text} {commit}:refs/heads/<name>"
                )
            else:
                error.hint = f"git push {self._url.text} has to work by itself, for it is your own Git that pushes"
            raise
        except ChildTimeout:
            raise PushUnknown(
                f"{self._url.origin} did not finish: whether the push arrived is not known", cause="timeout"
            ) from None


def _own(names: Sequence[str]) -> dict[str, str]:
    return {name: value for name in names if (value := settings.variable(name))}
