"""Real git clients clone and push, and pushes are told as GitHub tells them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from windlass.adapters.host.children import Finished, find_program, open_child, run_child
from windlass.devstack.gitserver import GitServer, Notifier
from windlass.devstack.gitserver.backend import _feed
from windlass.errors import NeedsHuman

GIT = find_program("git")
ENV = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@acme.example",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@acme.example",
}


async def run(*arguments: str, cwd: Path, check: bool = True) -> Finished:
    done = await run_child([GIT, *arguments], env=ENV, cwd=str(cwd))
    assert done.code == 0 or not check, done.stderr.decode()
    return done


async def commit(work: Path, name: str, text: str) -> str:
    (work / name).write_text(text)
    await run("add", ".", cwd=work)
    await run("commit", "-qm", f"Add {name}", cwd=work)
    return (await run("rev-parse", "HEAD", cwd=work)).stdout.decode().strip()


@contextlib.asynccontextmanager
async def listener(answers: list[int]) -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    heard: list[tuple[dict[str, str], bytes]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=answers.pop(0) if answers else 200)

    app = web.Application()
    app.router.add_post("/hook", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/hook", heard
    finally:
        await runner.cleanup()


async def wait_for(heard: list[Any], count: int) -> None:
    async with asyncio.timeout(10):
        while len(heard) < count:
            await asyncio.sleep(0.01)


async def test_a_client_pushes_and_another_clones_it(tmp_path: Path) -> None:
    server = GitServer(str(tmp_path / "repositories"))
    async with server.serve() as url:
        await server.create("acme/config")
        await run("clone", "-q", f"{url}/acme/config.git", "one", cwd=tmp_path)
        one = tmp_path / "one"
        tip = await commit(one, "a.yaml", "a: 1\n")
        await commit(one, "big.bin", "x" * 3_000_000)
        await run("push", "-q", "origin", "HEAD:main", cwd=one)
        done = await run("clone", "-q", f"{url}/acme/config.git", "two", cwd=tmp_path)
        assert done.stderr == b""
        assert (tmp_path / "two/a.yaml").read_text() == "a: 1\n"
        await run("clone", "-q", "--depth=1", "--filter=blob:none", f"{url}/acme/config.git", "three", cwd=tmp_path)
        heads = await run("ls-remote", f"{url}/acme/config.git", "refs/heads/main", cwd=tmp_path)
        assert heads.stdout.decode().split()[0] != tip
        again = await server.create("acme/config")
        assert Path(again).is_dir()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("body", [b"", b"0000"])
def test_a_program_that_has_answered_and_ended_is_not_fed_any_more(
    loop: Callable[[], asyncio.AbstractEventLoop], body: bytes
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield body

    async def late() -> bytes:
        # As http-backend on a busy machine: of a GET it reads nothing, and it ends while the server does other work.
        async with open_child([find_program("echo"), "answer"], env=ENV) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            await child.wait()
            async with asyncio.timeout(60):
                while not child.stdin.is_closing():
                    await asyncio.sleep(0.01)
            await _feed(child, parts())
            return await child.stdout.read()

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(late()) == b"answer\n"


async def test_a_large_negotiation_is_sent_compressed_and_understood(tmp_path: Path) -> None:
    server = GitServer(str(tmp_path / "repositories"))
    async with server.serve() as url:
        await server.create("config")
        await run("clone", "-q", f"{url}/config.git", "one", cwd=tmp_path)
        one = tmp_path / "one"
        await commit(one, "a", "1")
        for index in range(60):
            await run("commit", "-q", "--allow-empty", "-m", str(index), cwd=one)
        await run("push", "-q", "origin", "HEAD:main", cwd=one)
        await run("clone", "-q", f"{url}/config.git", "two", cwd=tmp_path)
        for index in range(60):
            await run("commit", "-q", "--allow-empty", "-m", f"two {index}", cwd=tmp_path / "two")
        await commit(one, "b", "2")
        await run("push", "-q", "origin", "HEAD:main", cwd=one)
        await run("-c", "protocol.version=0", "fetch", "-q", "origin", cwd=tmp_path / "two")
        assert (await run("log", "-1", "--format=%s", "origin/main", cwd=tmp_path / "two")).stdout == b"Add b\n"


async def test_without_the_token_nothing_is_given(tmp_path: Path) -> None:
    server = GitServer(str(tmp_path / "repositories"), token="s3cret")
    async with server.serve() as url:
        await server.create("config")
        refused = await run("ls-remote", f"{url}/config.git", cwd=tmp_path, check=False)
        assert refused.code != 0
        good = url.replace("http://", "http://any:s3cret@")
        assert (await run("ls-remote", f"{good}/config.git", cwd=tmp_path)).code == 0
        bad = url.replace("http://", "http://any:wrong@")
        assert (await run("ls-remote", f"{bad}/config.git", cwd=tmp_path, check=False)).code != 0
        bearer = "http.extraHeader=Authorization: Bearer s3cret"
        assert (await run("-c", bearer, "ls-remote", f"{url}/config.git", cwd=tmp_path)).code == 0


async def test_a_push_is_told_with_its_commit_and_signature(tmp_path: Path) -> None:
    async with listener([500]) as (hook, heard):
        server = GitServer(str(tmp_path / "repositories"), notify=Notifier(hook, b"key"))
        async with server.serve() as url:
            await server.create("acme/config")
            await run("clone", "-q", f"{url}/acme/config.git", "one", cwd=tmp_path)
            one = tmp_path / "one"
            first = await commit(one, "a", "1")
            await run("push", "-q", "origin", "HEAD:main", cwd=one)
            # The first try was answered by 500 and is made again.
            await wait_for(heard, 2)
            headers, body = heard[1]
            assert headers["x-hub-signature-256"] == "sha256=" + hmac.new(b"key", body, hashlib.sha256).hexdigest()
            assert headers["x-github-event"] == "push"
            told = json.loads(body)
            assert (told["ref"], told["before"], told["after"]) == ("refs/heads/main", "0" * 40, first)
            assert told["repository"]["full_name"] == "acme/config"
            assert told["repository"]["clone_url"] == f"{url}/acme/config.git"
            assert told["head_commit"]["message"] == "Add a"
            assert told["head_commit"]["author"] == {"name": "Ada", "email": "ada@acme.example"}
            await run("push", "-q", "origin", "HEAD:main", cwd=one)
            await run("push", "-q", "origin", "HEAD:other", cwd=one)
            await wait_for(heard, 3)
            assert json.loads(heard[2][1])["ref"] == "refs/heads/other"
            await run("push", "-q", "origin", ":other", cwd=one)
            await wait_for(heard, 4)
            assert json.loads(heard[3][1])["deleted"] is True


async def test_of_many_pushes_at_once_each_is_told_once(tmp_path: Path) -> None:
    async with listener([]) as (hook, heard):
        server = GitServer(str(tmp_path / "repositories"), notify=Notifier(hook))
        async with server.serve() as url:
            await server.create("config")
            await run("clone", "-q", f"{url}/config.git", "one", cwd=tmp_path)
            await commit(tmp_path / "one", "a", "1")
            branches = [f"b{index}" for index in range(8)]
            async with asyncio.TaskGroup() as tasks:
                for branch in branches:
                    tasks.create_task(run("push", "-q", "origin", f"HEAD:refs/heads/{branch}", cwd=tmp_path / "one"))
            await wait_for(heard, len(branches))
            await asyncio.sleep(0.2)
            assert sorted(json.loads(body)["ref"] for _, body in heard) == [f"refs/heads/{name}" for name in branches]


async def test_a_listener_that_is_away_is_not_the_pushers_trouble(tmp_path: Path) -> None:
    server = GitServer(str(tmp_path / "repositories"), notify=Notifier("http://127.0.0.1:9/hook"))
    async with asyncio.timeout(15), server.serve() as url:
        await server.create("config")
        await run("clone", "-q", f"{url}/config.git", "one", cwd=tmp_path)
        await commit(tmp_path / "one", "a", "1")
        await run("push", "-q", "origin", "HEAD:main", cwd=tmp_path / "one")


@pytest.mark.parametrize("name", ["../x", "a/../b", ".hidden", "-x", "a//b", "", "a b", "a\n", "a/.git", "x.lock"])
async def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NeedsHuman):
        await GitServer(str(tmp_path)).create(name)


async def test_only_repositories_are_served(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    server = GitServer(str(tmp_path / "repositories"))
    async with server.serve() as url, aiohttp.ClientSession() as session:
        await server.create("config")
        for path, status in [
            ("/", 404), ("/config.git/config", 404), ("/config.git/../../secret", 404),
            ("/config.git/%2e%2e/%2e%2e/secret", 404),
            ("/config.git/objects/../../../secret", 404), ("/none.git/info/refs?service=git-upload-pack", 404),
            ("/config.git/info/refs?service=git-upload-pack", 200), ("/config.git/HEAD", 200),
        ]:  # fmt: skip
            async with session.get(aiohttp.client.URL(url + path, encoded=True)) as answer:
                assert answer.status == status, path
        async with session.delete(f"{url}/config.git/info/refs") as answer:
            assert answer.status == 405
