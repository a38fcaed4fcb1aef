"""The one way into Git, against a real Git server that loses answers: all land, none is forced, none comes twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from windlass.adapters.git import (
    Author,
    GitRefused,
    GitUnavailable,
    MachineUpstream,
    SigningKey,
    Store,
    Transport,
    commit_files,
    init_repository,
)
from windlass.adapters.host.clock import SystemClock
from windlass.core.documents import read
from windlass.core.edits import Intent, PathFenced, PutFile, RemoveField, SetField, Target
from windlass.core.words.commits import intents_of
from windlass.devstack.gitserver import GitServer
from windlass.flows.write import Writer, Written

APP = Target("windlass.dev", "Application", "shop", "shop")
FILE = "apps/shop.yaml"
TEXT = b"# ours\napiVersion: windlass.dev/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n  values: {}\n"


class Lossy(GitServer):
    """A Git server whose network loses what ``lose`` says of each push: "" nothing, "request" or "answer"."""

    lose: Callable[[], str] = staticmethod(lambda: "")
    pushes = 0

    @override
    async def app(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not str(scope["path"]).endswith("/git-receive-pack"):
            await super().app(scope, receive, send)
            return
        lost = self.lose()
        if lost == "request":
            raise ConnectionError("lost on its way")
        self.pushes += 1

        async def nowhere(message: Any) -> None:
            pass

        await super().app(scope, receive, nowhere if lost == "answer" else send)
        if lost:
            raise ConnectionError("lost on its way back")


class Place:
    """A repository behind a server that may lose things."""

    def __init__(self, folder: Path, server: Lossy, url: str, store: Store) -> None:
        self.folder = folder
        self.server = server
        self.url = url
        self.store = store
        self.start = store.resolve("refs/heads/main") or ""

    def upstream(self, name: str, key: SigningKey | None = None) -> MachineUpstream:
        transport = Transport(allow_local=True, timeout=20)
        return MachineUpstream(
            str(self.folder / name),
            self.url,
            "main",
            name=name,
            email=f"{name}@x.example",
            key=key,
            transport=transport,
        )

    def writer(self, name: str = "one", allowed: list[str] | None = None, key: SigningKey | None = None) -> Writer:
        return Writer(self.upstream(name, key), SystemClock(), repository="shop/config", allowed=allowed)

    def history(self) -> list[Any]:
        store = Store(self.store.folder)
        return store.log(self.start, store.resolve("refs/heads/main") or "", limit=1000)

    def values(self) -> dict[str, Any]:
        tip = Store(self.store.folder).resolve("refs/heads/main")
        data = Store(self.store.folder).repository.revparse_single(f"{tip}:{FILE}")
        values: dict[str, Any] = read(data.data, FILE)[0].value["spec"]["values"]  # type: ignore[union-attr]
        return values


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    store = init_repository(str(tmp_path / "served/config.git"))
    author = Author("ada", "ada@x.example", SystemClock().now())
    commit_files(store, None, {FILE: TEXT, "README": b"x\n"}, "Start", author, branch="main")
    store.repository.config["http.receivepack"] = "true"
    server = Lossy(str(tmp_path / "served"))
    async with server.serve() as url:
        yield Place(tmp_path, server, f"{url}/config.git", store)


def setting(key: str, value: Any = 1, **more: Any) -> Intent:
    step = SetField(file=FILE, target=APP, path=("spec", "values", key), value=value)
    return Intent(id=f"id-{key}", verb="set", about="shop/shop", summary=f"Set {key}", steps=(step,), **more)


def check_whole(place: Place, keys: list[str]) -> None:
    """Nothing lost, nothing twice, nothing forced: one line of commits on the start."""
    history = place.history()
    carried = Counter(intent for commit in history for intent in intents_of(commit.message))
    assert carried == Counter(f"id-{key}" for key in keys)
    assert all(len(commit.parents) == 1 for commit in history)
    assert history[-1].parents == (place.start,)
    assert set(place.values()) == set(keys)
    tip = Store(place.store.folder).repository.revparse_single(f"refs/heads/main:{FILE}")
    assert tip.data.startswith(b"# ours\n")  # type: ignore[union-attr]


async def test_an_intent_becomes_one_commit_that_says_who_what_and_why(place: Place) -> None:
    intent = setting("a", reason="load\ntest", by="Ada <ada@x.example>", facts=(("Pins", "8e1f0c2"),))
    (written,) = await place.writer().write([intent])
    (commit,) = place.history()
    assert (written.result, written.commit, written.files) == ("written", commit.id, (FILE,))
    assert commit.message == (
        "Set a\n\nload test\n\nIntent-Id: id-a\nWindlass: set shop/shop\nPins: 8e1f0c2\n"
        "Co-authored-by: Ada <ada@x.example>\n"
    )
    assert (commit.author, commit.email) == ("one", "one@x.example")
    assert [one.result for one in await place.writer("two").write([intent])] == ["unchanged"]


async def test_several_intents_make_one_commit_and_one_that_is_refused_stops_no_other(place: Place) -> None:
    elsewhere = Intent(
        id="id-x", verb="set", about="a", summary="x", steps=(RemoveField(file="README", target=APP, path=("a",)),)
    )
    outside = Intent(id="id-o", verb="set", about="a", summary="x", steps=(PutFile(file="infra/x", data=b""),))
    done = await place.writer(allowed=["apps/*", "README"]).write([setting("a"), elsewhere, outside, setting("b")])
    assert [one.result for one in done] == ["written", "refused", "refused", "written"]
    assert isinstance(done[2].error, PathFenced)
    assert "infra/x" in str(done[2].error)
    assert "spec.write.paths" in done[2].error.hint
    check_whole(place, ["a", "b"])


async def test_without_allowed_paths_the_controller_writes_nothing(place: Place) -> None:
    (done,) = await place.writer(allowed=[]).write([setting("a")])
    assert done.result == "refused"
    assert place.server.pushes == 0


async def test_an_answer_that_was_lost_makes_no_second_commit(place: Place) -> None:
    lost = iter(["answer"])
    place.server.lose = lambda: next(lost, "")
    (written,) = await place.writer().write([setting("a")])
    assert written.result == "written"
    assert place.server.pushes == 1
    check_whole(place, ["a"])


async def test_after_a_kill_between_push_and_answer_the_next_process_finds_the_commit(place: Place) -> None:
    arrived = asyncio.Event()

    def lose() -> str:
        arrived.set()
        return "answer"

    place.server.lose = lose
    writing = asyncio.ensure_future(place.writer().write([setting("a")]))
    await arrived.wait()
    while place.history() == []:
        await asyncio.sleep(0.01)
    writing.cancel()
    await asyncio.wait([writing])
    place.server.lose = lambda: ""
    # Somebody took it back meanwhile: it is not made a second time.
    undo = Intent(
        id="undo", verb="undo", about="a", summary="Undo",
        steps=(RemoveField(file=FILE, target=APP, path=("spec", "values", "a")),),
    )  # fmt: skip
    await place.writer("two").write([undo])
    (found,) = await place.writer("three").write([setting("a")], once=True)
    assert found.result == "already"
    assert place.values() == {}


async def run_writers(place: Place, count: int, per: int, seed: int, lossy: float) -> None:
    dice = random.Random(seed)
    kinds = ["answer", "request"]
    place.server.lose = lambda: dice.choice(kinds) if dice.random() < lossy else ""

    async def one(number: int) -> list[Written]:
        writer = place.writer(f"w{number}")
        done = []
        for step in range(per):
            await asyncio.sleep(dice.random() * 0.05)
            done += await writer.write([setting(f"k{number}x{step}", dice.choice([1, "y", "1e3", [1, {"a": None}]]))])
        return done

    done = await asyncio.gather(*(one(number) for number in range(count)))
    assert {one.result for each in done for one in each} == {"written"}
    check_whole(place, [f"k{number}x{step}" for number in range(count) for step in range(per)])


@pytest.mark.parametrize("seed", [1, 2])
async def test_writers_at_once_on_a_line_that_loses_things_lose_nothing(place: Place, seed: int) -> None:
    await run_writers(place, 4, 1, seed, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_twenty_writers_on_one_branch_all_land(place: Place, seed: int) -> None:
    await run_writers(place, 20, 1, seed, 0.1)


async def test_a_branch_that_may_not_be_written_is_told_with_the_mend(place: Place) -> None:
    place.store.repository.config["receive.hideRefs"] = "refs/heads/main"
    with pytest.raises(GitRefused) as told:
        await place.writer().write([setting("a")])
    assert told.value.cause == "push"
    assert "protected" in told.value.hint
    assert place.history() == []


async def test_a_server_that_is_away_is_tried_later(place: Place) -> None:
    writer = Writer(
        MachineUpstream(
            str(place.folder / "w"), "http://127.0.0.1:9/x.git", "main", name="w", email="w@x", transport=Transport()
        ),
        SystemClock(),
        repository="config",
    )
    with pytest.raises(GitUnavailable):
        await writer.write([setting("a")])


@pytest.mark.parametrize("kind", [["ed25519"], ["ecdsa", "-b", "256"], ["rsa", "-b", "2048"]], ids=lambda kind: kind[0])
async def test_a_signed_commit_is_good_to_git(place: Place, kind: list[str], tmp_path: Path) -> None:
    file = tmp_path / "key"
    try:
        subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", str(file)], check=True)
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not installed")
    key = SigningKey.read(file.read_bytes())
    assert "PRIVATE" not in repr(key)
    (written,) = await place.writer(key=key).write([setting("ä")])
    (tmp_path / "allowed").write_text(f"one@x.example {key.public}\n")
    command = ["git", "-C", place.store.folder, "-c", "gpg.format=ssh"]
    command += ["-c", f"gpg.ssh.allowedSignersFile={tmp_path / 'allowed'}", "verify-commit", written.commit]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'Good "git" signature for one@x.example' in done.stderr
