"""Following a repository: what is fetched when, what a rewritten, deleted or broken remote means, and how each trouble
is told."""

from __future__ import annotations

import asyncio
import os
import traceback
from pathlib import Path

import pytest

from unit.git.conftest import ADA, Origin, serving
from windlass.adapters.git import (
    Credentials,
    GitRefused,
    GitUnavailable,
    Mirror,
    Move,
    RefMissing,
    RefSpec,
    Transport,
    commit_files,
    open_snapshot,
)

MAIN = RefSpec(branch="main")


async def test_a_branch_is_followed_and_nothing_is_fetched_while_it_stands(
    tmp_path: Path, origin: Origin, url: str
) -> None:
    mirror = Mirror(str(tmp_path / "mirror"), url)
    first = await mirror.fetch(MAIN)
    assert (first.commit, first.ref, first.previous, first.move, first.changed) == (
        origin.tip,
        "refs/heads/main",
        "",
        Move.FORWARD,
        True,
    )
    packs = sorted(os.listdir(tmp_path / "mirror/objects/pack"))
    again = await mirror.fetch(MAIN)
    assert (again.commit, again.move, again.changed) == (first.commit, Move.SAME, False)
    assert sorted(os.listdir(tmp_path / "mirror/objects/pack")) == packs
    tip = origin.commit({"apps/web.yaml": b"kind: B\n"})
    moved = await mirror.fetch(MAIN)
    assert (moved.commit, moved.previous, moved.move) == (tip, first.commit, Move.FORWARD)
    assert (await mirror.snapshot(tip))["apps/web.yaml"] == b"kind: B\n"
    assert open_snapshot(mirror.folder, tip)["apps/web.yaml"] == b"kind: B\n"


async def test_the_default_branch_a_tag_a_range_and_a_commit_are_followed(
    tmp_path: Path, origin: Origin, url: str
) -> None:
    import pygit2

    one = origin.tip
    assert one
    for tag in ("v1.4.0", "v1.10.0", "v2.0.0", "v1.11.0-rc.1", "nightly", "v1.x"):
        tip = origin.commit({"tag": tag.encode()})
        origin.store.repository.create_tag(tag, tip, pygit2.enums.ObjectType.COMMIT, ADA.signature(), "a tag")
    lone = commit_files(origin.store, one, {"lone": b"1"}, "Lone", ADA)
    origin.store.set_ref("refs/heads/side", lone)
    mirror = Mirror(str(tmp_path / "mirror"), url)
    assert (await mirror.fetch()).commit == origin.tip
    chosen = await mirror.fetch(RefSpec(semver=">=1.4, <2"))
    assert chosen.ref == "refs/tags/v1.10.0"
    assert chosen.commit == origin.store.resolve("refs/tags/v1.10.0")
    assert (await mirror.fetch(RefSpec(tag="v2.0.0"))).commit == origin.store.resolve("refs/tags/v2.0.0")
    assert (await mirror.fetch(RefSpec(commit=lone))).commit == lone
    with pytest.raises(RefMissing, match=r"no tag in 3\.x"):
        await mirror.fetch(RefSpec(semver="3.x"))
    with pytest.raises(RefMissing):
        await mirror.fetch(RefSpec(commit="1" * 40))


async def test_a_rewritten_branch_is_told_and_the_old_commit_stays(tmp_path: Path, origin: Origin, url: str) -> None:
    mirror = Mirror(str(tmp_path / "mirror"), url)
    origin.commit({"a": b"1"})
    old = await mirror.fetch(MAIN)
    first = origin.store.describe(old.commit).parents[0]
    origin.force(commit_files(origin.store, first, {"a": b"2"}, "Other", ADA))
    new = await mirror.fetch(MAIN)
    assert (new.move, new.previous) == (Move.REWRITTEN, old.commit)
    assert (await mirror.snapshot(old.commit))["a"] == b"1"
    origin.force(first)
    assert (await mirror.fetch(MAIN)).move is Move.REWRITTEN


async def test_a_branch_that_is_gone_takes_nothing_away(tmp_path: Path, origin: Origin, url: str) -> None:
    mirror = Mirror(str(tmp_path / "mirror"), url)
    tip = (await mirror.fetch(MAIN)).commit
    origin.store.repository.references.delete("refs/heads/main")
    with pytest.raises(RefMissing, match="no branch main"):
        await mirror.fetch(MAIN)
    with pytest.raises(RefMissing, match="is empty"):
        await mirror.fetch()
    assert await mirror.has(tip)
    origin.branch = "main/next"
    origin.commit({"a": b"1"})
    assert (await mirror.fetch(RefSpec(branch="main/next"))).commit == origin.tip


async def test_over_tls_with_a_private_ca_and_a_token(tmp_path: Path, origin: Origin, tls: dict[str, str]) -> None:
    ca = tls["ca"].encode()
    async with serving(origin, token="s3cret-token", tls=tls) as url:
        for good in (
            Credentials(bearer_token="s3cret-token", ca=ca),
            Credentials(username="any", password="s3cret-token", ca=ca),
        ):
            assert (await Mirror(str(tmp_path / "good"), url, good).fetch(MAIN)).commit == origin.tip
        for credentials, cause in [
            (Credentials(bearer_token="s3cret-token"), "tls"),
            (Credentials(bearer_token="wr0ng-token", ca=ca), "authentication"),
            (Credentials(username="any", password="wr0ng-token", ca=ca), "authentication"),
            (Credentials(ca=ca), "authentication"),
            (Credentials(bearer_token="s3cret-token", ca=b"no certificate"), "tls"),
        ]:
            with pytest.raises(GitRefused) as caught:
                await Mirror(str(tmp_path / "bad"), url, credentials).fetch(MAIN)
            assert caught.value.cause == cause
            assert caught.value.hint
            shown = "".join(traceback.format_exception(caught.value)) + repr(credentials)
            assert "s3cret" not in shown
            assert "wr0ng" not in shown


async def test_credentials_are_in_no_argument_and_leave_no_file(
    tmp_path: Path, origin: Origin, tls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    from windlass.adapters.git import program

    real = program.run_child

    async def watched(argv: list[str], **options: object) -> object:
        seen.extend(argv)
        return await real(argv, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(program, "run_child", watched)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    async with serving(origin, token="s3cret-token", tls=tls) as url:
        await Mirror(
            str(tmp_path / "mirror"), url, Credentials(bearer_token="s3cret-token", ca=tls["ca"].encode())
        ).fetch(MAIN)
    assert seen
    assert "s3cret" not in " ".join(seen)
    assert os.listdir(tmp_path / "tmp") == []
    for path in (tmp_path / "mirror").rglob("*"):
        assert path.is_dir() or b"s3cret" not in path.read_bytes()


async def test_who_is_away_slow_or_not_there_is_told_apart(tmp_path: Path, origin: Origin, url: str) -> None:
    with pytest.raises(GitUnavailable):
        await Mirror(str(tmp_path / "a"), "http://127.0.0.1:9/config.git").fetch(MAIN)
    with pytest.raises(GitUnavailable) as unknown:
        await Mirror(str(tmp_path / "b"), "https://no-such-host.invalid/config.git").fetch(MAIN)
    assert unknown.value.cause == "dns"
    with pytest.raises(GitRefused) as missing:
        await Mirror(str(tmp_path / "c"), url.replace("config", "nothing")).fetch(MAIN)
    assert missing.value.cause == "repository-missing"


@pytest.mark.parametrize(
    "transport",
    [
        Transport(timeout=0.5),
        # Git itself gives up after 20 s of silence, which is long before our own deadline.
        pytest.param(Transport(), marks=pytest.mark.slow),
    ],
    ids=["our-deadline", "silence"],
)
async def test_who_says_nothing_is_told_to_be_slow(tmp_path: Path, transport: Transport) -> None:
    held = await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), "127.0.0.1", 0)
    port = held.sockets[0].getsockname()[1]
    with pytest.raises(GitUnavailable) as slow:
        await Mirror(str(tmp_path / "d"), f"http://127.0.0.1:{port}/x.git", transport=transport).fetch(MAIN)
    assert slow.value.cause == "timeout"
    held.close()


async def test_a_redirect_is_not_followed_with_credentials(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        port = other.sockets[0].getsockname()[1]
        place = f"http://127.0.0.1:{port}/x.git/info/refs"
        writer.write(f"HTTP/1.1 301 Moved\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def caught(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(b"leaked")
        writer.close()

    other = await asyncio.start_server(caught, "127.0.0.1", 0)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(GitRefused) as refused:
        await Mirror(str(tmp_path / "m"), f"http://127.0.0.1:{port}/x.git", Credentials(bearer_token="s3cret")).fetch(
            MAIN
        )
    assert refused.value.cause == "redirect"
    assert b"leaked" not in heard
    server.close()
    other.close()


async def test_a_repository_over_the_size_limit_is_refused(tmp_path: Path, origin: Origin, url: str) -> None:
    origin.commit({"big": os.urandom(400_000)})
    with pytest.raises(GitRefused) as caught:
        await Mirror(str(tmp_path / "m"), url, transport=Transport(size=100_000)).fetch(MAIN)
    assert caught.value.cause == "too-large"


async def test_objects_made_to_hurt_are_not_taken(tmp_path: Path, origin: Origin, url: str) -> None:
    """A tree with a `.git` entry, as used to plant hooks, is stopped by fsck."""
    repository = origin.store.repository
    blob = repository.create_blob(b"x")
    tree = repository.odb.write(2, b"100644 .git\0" + blob.raw)
    commit = repository.create_commit(None, ADA.signature(), ADA.signature(), "evil", tree, [])
    origin.force(str(commit))
    with pytest.raises(GitRefused) as caught:
        await Mirror(str(tmp_path / "m"), url).fetch(MAIN)
    assert caught.value.cause == "objects"


async def test_a_broken_mirror_is_made_anew_and_leftovers_of_a_kill_do_not_hold(
    tmp_path: Path, origin: Origin, url: str
) -> None:
    folder = tmp_path / "m"
    await Mirror(str(folder), url).fetch(MAIN)
    (folder / "packed-refs.lock").write_text("")
    (folder / "refs/windlass/followed").mkdir(parents=True, exist_ok=True)
    for ref in (folder / "refs/windlass/followed").iterdir():
        (folder / f"refs/windlass/followed/{ref.name}.lock").write_text("")
    origin.commit({"a": b"1"})
    assert (await Mirror(str(folder), url).fetch(MAIN)).commit == origin.tip
    (folder / "HEAD").unlink()
    assert (await Mirror(str(folder), url).fetch(MAIN)).commit == origin.tip
    mirror = Mirror(str(folder), url)
    await mirror.remove()
    assert not folder.exists()


async def test_a_folder_is_followed_only_where_allowed(tmp_path: Path, origin: Origin) -> None:
    with pytest.raises(GitRefused, match="folders of this machine"):
        Mirror(str(tmp_path / "m"), origin.folder)
    local = Transport(allow_local=True)
    assert (await Mirror(str(tmp_path / "m"), origin.folder, transport=local).fetch(MAIN)).commit == origin.tip
    assert (
        await Mirror(str(tmp_path / "n"), f"file://{origin.folder}", transport=local).fetch(MAIN)
    ).commit == origin.tip


async def test_settings_of_this_machine_are_not_read(
    tmp_path: Path, origin: Origin, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(
        f'[core]\n\thooksPath = {tmp_path}\n[url "ext::touch {marker}"]\n\tinsteadOf = http://\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'protocol.allow=always'")
    assert (await Mirror(str(tmp_path / "m"), url).fetch(MAIN)).commit == origin.tip
    assert not marker.exists()


async def test_many_fetches_leave_few_packs_and_lose_nothing(
    tmp_path: Path, origin: Origin, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.adapters.git.mirror._MOST_PACKS", 3)
    mirror = Mirror(str(tmp_path / "m"), url)
    start = (await mirror.fetch(MAIN)).commit
    lost = origin.commit({"a": b"lost"})
    await mirror.fetch(MAIN)
    reader = open_snapshot(mirror.folder, lost)
    origin.force(start)
    for index in range(6):
        origin.commit({"a": str(index).encode()})
        await mirror.fetch(MAIN)
    packs = [name for name in os.listdir(tmp_path / "m/objects/pack") if name.endswith(".pack")]
    assert len(packs) <= 4
    assert reader["a"] == b"lost"
    assert (await mirror.snapshot(lost))["a"] == b"lost"
    assert (await mirror.snapshot(str(origin.tip)))["a"] == b"5"
