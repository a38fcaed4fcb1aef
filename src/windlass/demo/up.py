"""``windlass up``: a person's own repository or folder on the devstack, until they stop it.

A local folder is copied into a repository on the devstack's Git server (a repository's committed state, a plain folder
as it is); a URL is followed where it is. What changes is told a line at a time.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from windlass.adapters.git import (
    Author,
    BranchMoved,
    GitRefused,
    Move,
    Store,
    commit_files,
    folder_snapshot,
    on_git_thread,
    open_snapshot,
)
from windlass.adapters.git import push as push_commits
from windlass.core.kinds.kind import GROUP, VERSION
from windlass.core.model import Resource
from windlass.core.words.plain import count, plain
from windlass.demo.stack import REPOSITORY, Stack, application_object, repository_object, running
from windlass.errors import NeedsHuman

APPLICATIONS = Resource(GROUP, VERSION, "applications", "Application", True)
Say = Callable[[str], None]


class Wish(NamedTuple):
    """The command line's options."""

    repo: str
    path: str
    branch: str
    name: str
    data: Path | None
    port: int


async def up(wish: Wish, stop: asyncio.Event, say: Say) -> int:
    """Runs until ``stop`` is set. Returns the exit code."""
    wish = await asyncio.to_thread(checked, wish)
    async with AsyncExitStack() as stack:
        folder = wish.data
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="windlass-up-")))
        running_stack = await stack.enter_async_context(
            running(folder, port=wish.port, keep_state=wish.data is not None)
        )
        say("Everything runs on this machine, and nothing leaves it." if not is_url(wish.repo) else "Runs here.")
        say(f"  Kubernetes  {running_stack.cluster.client.access.server}")
        say(f"              kubectl --kubeconfig {running_stack.kubeconfig} get pods -A")
        say(f"  Registry    {running_stack.registry}, for images and charts: crane, skopeo, helm push")
        url, branch = await serve(running_stack, wish, say)
        name = wish.name or name_of(wish)
        await running_stack.apply(repository_object(url, branch, interval="30s"))
        await running_stack.apply(application_object(name, wish.path, sync={"prune": True}))
        say(f"  Application {name}, from {wish.path} of {url}, branch {branch}")
        say("")
        await first_of(stop, told(running_stack, say))
        say("stopped")
    return 0


def checked(wish: Wish) -> Wish:
    """The wish with its folder in full, or NeedsHuman before anything starts. ``file://`` is the folder it names."""
    if wish.path.startswith("/") or ".." in wish.path.split("/"):
        raise NeedsHuman(
            f"the path {wish.path} leaves the repository", hint="name a folder in the repository: --path deploy"
        )
    if not wish.repo or is_url(wish.repo):
        return wish
    folder = Path(wish.repo.removeprefix("file://")).resolve()
    if not folder.is_dir():
        raise NeedsHuman(f"there is no folder {wish.repo}", hint="name a repository or a folder of manifests")
    if repository_at(folder) is None and next(iter(folder_snapshot(str(folder))), None) is None:
        raise NeedsHuman(f"the folder {wish.repo} holds no files", hint="name a folder of manifests")
    return wish._replace(repo=str(folder))


async def first_of(stop: asyncio.Event, work: Any) -> None:
    """Runs until either ends."""
    one, other = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait([one, other], return_when=asyncio.FIRST_COMPLETED)
    for task in (one, other):
        task.cancel()
    if one.done() and not one.cancelled():
        one.result()


async def told(stack: Stack, say: Say) -> None:
    """A line for each change of an Application, with what a person needs to know."""
    seen: dict[str, str] = {}
    async for kind, content in stack.cluster.follow(APPLICATIONS):
        if kind in ("SYNCED", "DELETED"):
            continue
        line = status_line(content)
        key = content["metadata"]["name"]
        if line and seen.get(key) != line:
            seen[key] = line
            say(f"{datetime.now(UTC).astimezone():%H:%M:%S}  {line}")
            status = content.get("status") or {}
            if status.get("health") in ("Degraded", "Missing") or status.get("sync") == "OutOfSync":
                for message in status.get("messages", [])[:8]:
                    say(f"          {plain(message)}")


def status_line(content: dict[str, Any]) -> str:
    """``shop   Synced 3f2c1ab   Healthy   ...``; "" before there is a status."""
    status = content.get("status") or {}
    ready = next((one for one in status.get("conditions", []) if one["type"] == "Ready"), None)
    if ready is None:
        return ""
    commit = status.get("commit", "")[:7]
    head = (
        f"{content['metadata']['name']}   {status.get('sync', 'Unknown')} {commit}   {status.get('health', 'Unknown')}"
    )
    return plain(f"{head}   {ready['message']}")


async def serve(stack: Stack, wish: Wish, say: Say) -> tuple[str, str]:
    """Where the repository is that the Application follows: (URL, branch)."""
    if is_url(wish.repo):
        return wish.repo, wish.branch
    bare = str(stack.folder / "git" / f"{REPOSITORY}.git")
    say(f"  Git         {stack.repository_url}")
    if not wish.repo:
        say(f"              git push {stack.repository_url} HEAD:main")
        return stack.repository_url, "main"
    own = await on_git_thread(repository_at, Path(wish.repo))
    if own is None:
        commit = await on_git_thread(copy_folder, wish.repo, bare)
        say(f"              the files of {wish.repo} as they are, commit {commit[:7]}")
    else:
        commit, more = await copy_head(own, bare, stack.repository_url)
        say(f"              {wish.repo} at its commit {commit[:7]}; what is not committed is not served")
        if more:
            after = f"{count(more, 'commit')} that came after it here"
            say(f"              and {after}: git pull {stack.repository_url} main")
    say(f"              next change: git push {stack.repository_url} HEAD:main")
    return stack.repository_url, "main"


def is_url(text: str) -> bool:
    return ("://" in text and not text.startswith("file://")) or re.match(r"[\w.-]+@[\w.-]+:", text) is not None


def name_of(wish: Wish) -> str:
    """A name for the Application from the path, or the repository."""
    for text in (wish.path, wish.repo):
        last = text.rstrip("/").removesuffix(".git").rpartition("/")[2]
        name = re.sub(r"[^a-z0-9-]+", "-", last.lower()).strip("-")
        if name:
            return name[:50]
    return "app"


def repository_at(folder: Path) -> Store | None:
    """The Git repository that a folder is the root of, bare or not; None for a plain folder, or before the first commit
    of a work tree. Raises NeedsHuman for one whose history can't be pushed.
    """
    work_tree = (folder / ".git").exists()
    if not work_tree and not (folder / "HEAD").exists():
        return None
    try:
        # The folder of Git itself: the git program is told it, and a work tree is none.
        store = Store(Store(str(folder)).repository.path)
    except GitRefused:
        return None
    if store.resolve("HEAD") is None:
        if work_tree:
            return None
        raise NeedsHuman(f"the repository {folder} has no commit", hint="name one with a commit that HEAD stands for")
    if store.repository.is_shallow:
        raise NeedsHuman(
            f"the repository {folder} is a shallow clone", hint=f"git -C {folder} fetch --unshallow, and try again"
        )
    return store


def copy_folder(folder: str, bare: str) -> str:
    """Commits a plain folder's files into the bare repository, in place of what is there."""
    snapshot = folder_snapshot(folder)
    files: dict[str, bytes | None] = {path: snapshot[path] for path in snapshot}
    store = Store(bare)
    parent = store.resolve("refs/heads/main")
    if parent is not None:
        # What was in the folder at the last start, and is not any more.
        files.update(dict.fromkeys(path for path in open_snapshot(bare, parent) if path not in files))
    name = os.path.basename(folder) or "folder"
    author = Author("windlass up", "up@windlass.invalid", datetime.now(UTC))
    return commit_files(store, parent, files, f"The files of {name}", author, branch="main")


async def copy_head(store: Store, bare: str, url: str) -> tuple[str, int]:
    """Pushes the repository's HEAD to the devstack. Returns it, and how many commits are served that came after it:
    what a rollback or a push wrote while an earlier ``up`` kept them in ``--data``. Raises NeedsHuman where HEAD and
    what is served have gone different ways.
    """
    commit = await on_git_thread(store.resolve, "HEAD")
    assert commit is not None, "checked before"
    more = await on_git_thread(beyond, Store(bare), commit)
    if more is None:
        try:
            await push_commits(store, url, {"refs/heads/main": commit})
        except BranchMoved:
            raise NeedsHuman(
                "what is kept in --data and the repository have gone different ways",
                hint=f"take over what was written there, and try again: git pull --rebase {bare} main",
            ) from None
    return commit, more or 0


def beyond(served: Store, commit: str) -> int | None:
    """How many commits are served on top of ``commit``, at most 100; None where it is not in what is served."""
    tip = served.resolve("refs/heads/main")
    if tip is None or served.moved(commit, tip) is Move.REWRITTEN:
        return None
    return len(served.log(commit, tip))
