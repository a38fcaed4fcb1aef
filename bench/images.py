"""The Automator: from a tag in a registry to a commit on the branch; what it costs to look, choose and edit.

The registry and the Git server are those of the devstack, in a child process; the controller is in this one.
What is asked of a registry is counted at the registry.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from bench.figures import Result
from bench.world import Options
from windlass.adapters.git import Author, Store, commit_files, init_repository, on_git_thread
from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.http import Http
from windlass.adapters.registry.images import ImageStore
from windlass.core.documents import write as yaml_text
from windlass.core.edits import Intent
from windlass.core.edits.steps import apply
from windlass.core.images import Goal, Move, Semver, Wanted, choose, rank
from windlass.core.kinds.kind import API_VERSION
from windlass.demo.pushing import Pusher
from windlass.demo.stack import HOOK_SECRET, REPOSITORY, Stack, repository_object, running
from windlass.devstack.ociserver import OciServer
from windlass.ports import ImageWanted

TURNS = 10
IMAGES = 1000
FILES = 300
TAGS = 10_000
PATH = "apps/shop/web.yaml"


def cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def images(options: Options) -> Result:
    """All of it, without a cluster of its own."""
    result = Result("images", "devstack", 1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="windlass-bench-images-") as folder:
        await _committed(result, Path(folder))
    with tempfile.TemporaryDirectory(prefix="windlass-bench-images-") as folder:
        await _polled(result, Path(folder))
    _chosen(result)
    _edited(result)
    return result


# --- a tag to a commit ------------------------------------------------------------------------------------------------


async def _committed(result: Result, folder: Path) -> None:
    async with running(folder) as stack, aiohttp.ClientSession() as session:
        pusher = Pusher(session, stack.registry, "acme/shop")
        await pusher.push("1.0.0", signed=False)
        await _first_commit(stack)
        await stack.apply(_object("Secret", "config-write", api="v1", stringData={"username": "w", "password": "any"}))
        source = repository_object(stack.repository_url, "main")
        source["spec"]["write"] = {"secret": "config-write", "paths": ["apps"]}
        await stack.apply(source)
        for hook, interval in ((True, "10m"), (False, "1s")):
            await stack.apply(_policy(stack, interval, hook=hook))
            await _until_chosen(stack)
            # The second run's versions are above those of the first.
            took = [await _one(stack, pusher, f"1.{1 if hook else 2}.{turn}") for turn in range(TURNS)]
            way = "with the hook" if hook else "polled each second"
            result.add(f"tag pushed to commit pushed, {way}, median", statistics.median(took) * 1000, "ms")
            result.add("of these the slowest", max(took) * 1000, "ms")


async def _first_commit(stack: Stack) -> None:
    container = {"name": "web", "image": f"{stack.registry}/acme/shop:1.0.0"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [container]}}
    author = Author("ada", "ada@acme.example", datetime.now(UTC))
    store = await on_git_thread(init_repository, str(stack.folder / "git" / f"{REPOSITORY}.git"))
    files: dict[str, bytes | None] = {PATH: yaml_text([pod]).encode()}
    await on_git_thread(commit_files, store, None, files, "First", author, branch="main")


def _policy(stack: Stack, interval: str, *, hook: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "image": f"{stack.registry}/acme/shop",
        "insecure": True,
        "select": {"semver": "1.x"},
        "interval": interval,
        "update": {"repository": REPOSITORY, "paths": ["apps"]},
    }
    if hook:
        spec["hook"] = {"secret": HOOK_SECRET}
    return _object("ImagePolicy", "shop", spec=spec)


def _object(kind: str, name: str, *, api: str = API_VERSION, **content: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "default"}, **content}


async def _until_chosen(stack: Stack) -> None:
    async with asyncio.timeout(30):
        while True:
            found = await stack.read(API_VERSION, "ImagePolicy", "default", "shop") or {}
            status = found.get("status") or {}
            if status.get("tag") and status.get("observedGeneration") == found["metadata"]["generation"]:
                return
            await asyncio.sleep(0.05)


async def _one(stack: Stack, pusher: Pusher, tag: str) -> float:
    """Seconds from the tag's push to its commit on the branch."""
    bare = Store(str(stack.folder / "git" / f"{REPOSITORY}.git"))
    before = bare.resolve("refs/heads/main")
    await pusher.push(tag, signed=False)
    began = time.perf_counter()
    async with asyncio.timeout(30):
        while bare.resolve("refs/heads/main") == before:
            await asyncio.sleep(0.002)
    took = time.perf_counter() - began
    await asyncio.sleep(0.3)
    return took


# --- a thousand images ------------------------------------------------------------------------------------------------


async def _polled(result: Result, folder: Path) -> None:
    """Every image has a repository with twenty tags."""
    asked = 0
    server = OciServer(str(folder))
    inner = server.app

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked += scope["type"] == "http"
        await inner(scope, receive, send)

    server.app = counted  # type: ignore[method-assign]
    for number in range(IMAGES):
        tags = folder / "repositories" / f"acme/app-{number}" / "_tags"
        tags.mkdir(parents=True)
        for tag in range(20):
            (tags / f"1.{tag}.0").write_text("sha256:" + "0" * 64)
    async with server.serve() as url, Http(local=True) as http:
        host = url.removeprefix("http://")
        store = ImageStore(http, SystemClock())
        wanted = [ImageWanted(host, f"acme/app-{number}", plain=True) for number in range(IMAGES)]
        for what in ("first", "again, nothing new"):
            asked, before, began = 0, cpu(), time.perf_counter()
            # Each of three policies: what the first of them asked for is fresh enough for the others.
            await asyncio.gather(*(store.tags(one, {}, fresh=1.0) for one in wanted for _ in range(3)))
            seconds = time.perf_counter() - began
            note = f"for {IMAGES * 3} policies; {cpu() - before:.1f} s of CPU, the registry's own among it"
            result.add(f"{IMAGES} images polled, {what}: requests", asked, note=note)
            result.add(f"{IMAGES} images polled, {what}", seconds, "s")
            await asyncio.sleep(1.5)


# --- choosing and editing ---------------------------------------------------------------------------------------------


def _chosen(result: Result) -> None:
    tags = [f"{major}.{minor}.{patch}" for major in range(10) for minor in range(10) for patch in range(TAGS // 100)]
    began = time.perf_counter()
    rule, now = Semver(">=1.4 <8"), datetime.now(UTC)
    found = choose(rule, rank(rule, tags, (), now, current="1.4.0"), {}, current="1.4.0")
    assert found.tag == f"7.9.{TAGS // 100 - 1}"
    result.add(f"the best of {TAGS} tags, with why of each", (time.perf_counter() - began) * 1000, "ms")


def _edited(result: Result) -> None:
    wanted = Wanted(key="shop/shop", image=("registry.example.com", "acme/shop"))
    goal = Goal(wanted=wanted, tag="1.4.2", seen=frozenset({"registry.example.com/acme/shop:1.4.1"}))
    container = {
        "name": "web",
        "image": "registry.example.com/acme/shop:1.4.1",
        "env": [{"name": "A", "value": "b"}] * 10,
    }
    content = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [container]}}
    files = {f"apps/{number}/web.yaml": yaml_text([content]).encode() for number in range(FILES)}
    steps = tuple(Move(file=file, goals=(goal,)) for file in files)
    intent = Intent(id="x", verb="image", about="shop/shop", summary="Take it", steps=steps)
    began = time.perf_counter()
    edits = apply(intent, files)
    seconds = time.perf_counter() - began
    assert len(edits) == FILES
    assert json.dumps(sorted(edits)) == json.dumps(sorted(files))
    with tempfile.TemporaryDirectory(prefix="windlass-bench-images-") as folder:
        store = init_repository(str(Path(folder) / "bare.git"))
        author = Author("ada", "ada@acme.example", datetime.now(UTC))
        first = commit_files(store, None, dict(files), "First", author, branch="main")
        began = time.perf_counter()
        commit_files(store, first, edits, "Take it", author, branch="main")
        result.add(f"{FILES} files edited", seconds * 1000, "ms", note="found, changed, read back and compared")
        result.add("and committed", (time.perf_counter() - began) * 1000, "ms")
