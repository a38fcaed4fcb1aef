"""A Repository of the cluster, fetched with the person's own Git rights into a cache folder.

``plan`` and ``diff`` call it. The credentials of the cluster are not asked for: whoever may read the repository reads
it with their own credential helper, SSH agent and settings, as ``git fetch`` by hand does. The address comes from the
cluster, so it is checked, may be no program, and hooks are off. Nothing is asked of the person in the middle.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

import pygit2

from windlass import settings
from windlass.adapters.git import CommitInfo, GitRefused, GitUnavailable, GitUrl, RefMissing, RefSpec, Store, parse_url
from windlass.adapters.git.mirror import mirror_folder
from windlass.adapters.git.program import argument
from windlass.adapters.git.refs import newest
from windlass.adapters.git.words import told
from windlass.adapters.host.children import Finished, Limits, find_program, run_child
from windlass.core.kinds.repository import Ref

_OWN = (
    "SSH_AUTH_SOCK", "SSH_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
    "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "USER", "LOGNAME",
)  # fmt: skip
"""What a person's own Git stands on, besides their home and PATH."""
_GUARDS = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "https:http:ssh:file",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
_SETTINGS = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "fetch.fsckObjects=true",
    "-c", "fetch.recurseSubmodules=false",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
)  # fmt: skip
_LIMITS = Limits(timeout=300.0, file_size=1 << 30, output=32 << 20)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A bare repository on this machine, and the commit in it that the Repository's ref is at now."""

    folder: str
    commit: str


async def fetch(url: str, ref: Ref) -> Fetch:
    """Brings what a Repository follows here. Raises GitUnavailable, GitRefused, RefMissing."""
    checked = parse_url(url, allow_local=True)
    folder = cache(url)
    await asyncio.to_thread(_prepare, folder)
    spec = RefSpec(branch=ref.branch, tag=ref.tag, semver=ref.semver, commit=ref.commit)
    if spec.commit:
        if not Store(folder).has(spec.commit):
            await _bring(checked, folder, f"+{spec.commit}:{_ours(spec)}")
        return Fetch(folder, spec.commit)
    name = spec.ref or await _newest(checked, spec)
    await _bring(checked, folder, f"+{name}:{_ours(spec)}")
    commit = Store(folder).resolve(_ours(spec))
    if commit is None:
        raise GitRefused(f"{name} is not a commit", cause="ref", hint="name a branch, or a tag of a commit")
    return Fetch(folder, commit)


async def fetch_tags(url: str) -> None:
    """Brings the tags of a repository here, those that were deleted there taken away. Raises as ``fetch`` does."""
    checked = parse_url(url, allow_local=True)
    await asyncio.to_thread(_prepare, cache(url))
    await _bring(checked, cache(url), "+refs/tags/*:refs/tags/*", "--prune")


async def ask_tags(url: str) -> str:
    """The tags that a repository has now, as ``git ls-remote`` tells them. Raises as ``fetch`` does."""
    checked = parse_url(url, allow_local=True)
    listed = await _git(checked, "ls-remote", "--tags", *argument([checked.text]))
    return listed.decode(errors="replace")


async def fetch_refs(url: str, pattern: str) -> str:
    """Brings the refs that fit (``refs/windlass/ledger/*``) here under their own names, wherever they were; returns the
    folder. One that is gone on the remote stays here. Raises as ``fetch`` does."""
    checked = parse_url(url, allow_local=True)
    await asyncio.to_thread(_prepare, cache(url))
    await _bring(checked, cache(url), f"+{pattern}:{pattern}")
    return cache(url)


def cache(url: str) -> str:
    """The folder for a repository: ``~/.cache/windlass/git/<hash of its address>``."""
    return mirror_folder(str(settings.cache_folder() / "git"), "own", url)


def known(url: str, commit: str) -> CommitInfo | None:
    """What a commit says, where it is on this machine already: asks nobody."""
    if not commit:
        return None
    here = [cache(url), *([url.removeprefix("file://")] if url.startswith("file:///") else [])]
    for folder in here:
        if not os.path.isdir(folder):
            continue
        try:
            store = Store(folder)
            if store.has(commit):
                return store.describe(commit)
        except GitRefused:
            continue
    return None


async def _newest(url: GitUrl, spec: RefSpec) -> str:
    listed = await _git(url, "ls-remote", "--tags", "--refs", *argument([url.text]))
    tags = [line.partition(b"refs/tags/")[2].decode(errors="replace") for line in listed.splitlines()]
    found = newest(tags, spec.semver)
    if found is None:
        raise RefMissing(f"the repository on {url.origin} has no {spec}", cause="ref-missing", hint="push a tag")
    return f"refs/tags/{found}"


async def _bring(url: GitUrl, folder: str, refspec: str, *more: str) -> None:
    options = (*more, "--quiet", "--no-tags", "--no-auto-gc", "--no-recurse-submodules", "--no-write-fetch-head")
    await _git(url, f"--git-dir={folder}", "fetch", *options, *argument([url.text, refspec]))


async def own_git(*arguments: str, cwd: str = "/", extra: Mapping[str, str] | None = None) -> Finished:
    """The person's own Git, with its exit code. ``extra`` are variables beside those that it stands on."""
    own = {name: value for name in _OWN if (value := settings.variable(name))}
    program = await asyncio.to_thread(find_program, "git")
    environment = settings.child_environment(own | _GUARDS | dict(extra or {}))
    return await run_child([program, *_SETTINGS, *arguments], env=environment, cwd=cwd, limits=_LIMITS)


async def _git(url: GitUrl, *arguments: str) -> bytes:
    done = await own_git(*arguments)
    if done.code == 0:
        return done.stdout
    error = told(url, done, [])
    # Those hints are for the Secret of a controller; here it is the person's own Git that has to be able to.
    if isinstance(error, GitUnavailable):
        raise error
    error.hint = f"git ls-remote {url.text} has to work by itself, for it is read with your own Git settings"
    raise error


def _prepare(folder: str) -> None:
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=0o700)
        pygit2.init_repository(folder, bare=True)


def _ours(spec: RefSpec) -> str:
    return "refs/windlass/own/" + hashlib.sha256(str(spec).encode()).hexdigest()[:32]
