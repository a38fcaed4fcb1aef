"""Faults 8, and a render that is killed: a disk that is full, read-only or slow, and memory that runs out.

No half file is left and believed, what runs keeps running, and it goes on by itself when there is room again. The data
folder is a small file system of its own, which only root can make: for others these tests are skipped by name.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.team import Team, config_map
from e2e.test_flow_ledger import Book
from faults import oracle
from faults.ground import Ground, page
from windlass.adapters.git import Store
from windlass.adapters.ledger import chain
from windlass.core.model import events

pytestmark = pytest.mark.parametrize("cluster", ["devcluster"], indirect=True)
MAPS = {f"shop/{name}.yaml": config_map(name, level="info") for name in "abc"}


def start(team: Team) -> None:
    team.repository(interval="2s")
    team.application()
    team.until_synced(team.commit(MAPS))


@pytest.fixture
def disk(ground: Ground, tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB with the controller's data on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("a disk of one's own needs the right to mount")
    ground.restart("--data", str(folder))
    try:
        yield folder
    finally:
        ground.kill()
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Takes every byte that is left."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(descriptor, b"\0" * 4096):
            pass
    except OSError:
        os.close(descriptor)
    return ballast


def test_a_full_disk_keeps_what_runs_and_goes_on_when_there_is_room(ground: Ground, team: Team, disk: Path) -> None:
    start(team)
    before = oracle.live(team)
    ballast = fill(disk)
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug", big=secrets.token_hex(50_000))})
    path = "windlass.dev/v1alpha1/repositories/config"

    def told() -> str:
        conditions = (team.get(path) or {}).get("status", {}).get("conditions", [])
        return next((one["message"] for one in conditions if one["type"] == "Ready" and one["status"] == "False"), "")

    team.until(told, "it is told", 30)
    assert "no room" in told()
    team.patch("v1/configmaps/b", {"data": {"level": "hand"}})
    team.until(lambda: oracle.contains(team.get("v1/configmaps/b"), {"data": {"level": "info"}}), "drift goes back", 10)
    oracle.unharmed(team, before, wanted=[f"ConfigMap/{name}" for name in "abc"])
    assert page(ground, "/healthz")[0] == 200
    ballast.unlink()
    team.until_synced(commit, seconds=40)
    oracle.equals_git(team)


def test_a_start_on_a_full_disk_gets_well_by_itself(ground: Ground, team: Team, disk: Path) -> None:
    start(team)
    ballast = fill(disk)
    ground.kill()
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug", big=secrets.token_hex(50_000))}, told=False)
    ground.restart("--data", str(disk))
    time.sleep(1)
    ballast.unlink()
    team.until_synced(commit, seconds=40)
    oracle.equals_git(team)


@pytest.mark.slow
def test_a_read_only_disk_keeps_what_runs_and_goes_on_when_it_is_writable(
    ground: Ground, team: Team, disk: Path
) -> None:
    start(team)
    before = oracle.live(team)
    done = subprocess.run(["mount", "-o", "remount,ro", str(disk)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("remounting is not allowed here")
    commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
    time.sleep(3)
    oracle.unharmed(team, before, wanted=[f"ConfigMap/{name}" for name in "abc"])
    assert page(ground, "/healthz")[0] == 200
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    team.until_synced(commit, seconds=40)
    oracle.equals_git(team)


def test_a_slow_disk_delays_its_own_repository_and_nothing_else(ground: Ground, team: Team) -> None:
    start(team)
    slow = ground.folder / "slow"
    slow.write_text("4")
    try:
        commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
        time.sleep(0.2)
        team.patch("v1/configmaps/b", {"data": {"level": "hand"}})
        team.until(lambda: oracle.contains(team.get("v1/configmaps/b"), {"data": {"level": "info"}}), "put back", 5)
        waits = not oracle.contains(team.get("v1/configmaps/a"), {"data": {"level": "debug"}})
        assert waits, "drift does not wait for a disk, on which the commit is still"
        assert page(ground, "/healthz")[0] == 200
        team.until_synced(commit, seconds=60)
    finally:
        slow.unlink()


# --- the ledger ------------------------------------------------------------------------------------------------------


@pytest.fixture
def book(ground: Ground, disk: Path) -> Iterator[Book]:
    made = Book(ground)
    ground.cluster.eventually(lambda: made.recorded().get("status") == "True", "the ledger is written", 60)
    yield made
    made.installation()


def recorded(book: Book, team: Team) -> list[str]:
    """The commits whose apply is in the ledger, in its order."""
    found = book.events(f"{team.namespace}/shop")
    return [one.data.commit for one in found if isinstance(one.data, events.Applied)]


def whole(book: Book) -> None:
    store = Store(book.bare)
    for ref, tip in book.refs().items():
        assert chain.prove(store, ref, tip, known={}).problems == []


@pytest.mark.slow
def test_a_ledger_on_a_full_disk_loses_nothing(ground: Ground, team: Team, disk: Path, book: Book) -> None:
    start(team)
    first = team.head()
    team.until(lambda: recorded(book, team) == [first], "it is recorded", 60)
    ballast = fill(disk)
    before = len(ground.decisions("drift"))
    team.patch("v1/configmaps/b", {"data": {"level": "hand"}})
    team.until(lambda: oracle.contains(team.get("v1/configmaps/b"), {"data": {"level": "info"}}), "drift goes back", 60)
    team.until(lambda: len(ground.decisions("drift")) > before, "it is told", 60)
    assert page(ground, "/healthz")[0] == 200
    ballast.unlink()
    second = team.commit({"shop/a.yaml": config_map("a", level="debug")})
    team.until_synced(second, seconds=60)
    team.until(lambda: recorded(book, team) == [first, second], "what came later is recorded", 60)
    kinds = [one.kind for one in book.events(f"{team.namespace}/shop")]
    assert "drift" in kinds, f"what could not be written was held, and is in the ledger: {kinds}"
    whole(book)


@pytest.mark.slow
def test_a_ledger_on_a_slow_disk_delays_no_drift_and_no_sync(
    ground: Ground, team: Team, disk: Path, book: Book
) -> None:
    start(team)
    first = team.head()
    slow = ground.folder / "slow"
    slow.write_text("2")
    try:
        commit = team.commit({"shop/a.yaml": config_map("a", level="debug")})
        team.patch("v1/configmaps/b", {"data": {"level": "hand"}})
        team.until(lambda: oracle.contains(team.get("v1/configmaps/b"), {"data": {"level": "info"}}), "put back", 60)
        team.until_synced(commit, seconds=60)
        assert page(ground, "/healthz")[0] == 200
    finally:
        slow.unlink()
    team.until(lambda: recorded(book, team) == [first, commit], "all is recorded, in its order", 60)
    whole(book)


class Shelf:
    """The disk of the ledger alone, which turns read-only and back: a mount over it, for it is written to all the time.
    What is open on it refuses too (`zygote.breaking`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.over = False

    def read_only(self) -> None:
        for options in (["--bind", str(self.folder)], ["-o", "remount,bind,ro"]):
            subprocess.run(["mount", *options, str(self.folder)], check=True)
        self.over = True

    def writable(self) -> None:
        if self.over:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
        self.over = False


@pytest.fixture
def shelf(ground: Ground, tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path / "data" / "ledger")
    made.folder.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(made.folder)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("a disk of one's own needs the right to mount")
    ground.restart("--data", str(made.folder.parent), breaking=str(made.folder))
    try:
        yield made
    finally:
        ground.kill()
        made.writable()
        subprocess.run(["umount", "-l", str(made.folder)], check=True)


@pytest.mark.slow
def test_a_ledger_on_a_read_only_disk_is_told_once_stops_nothing_and_goes_on_when_it_is_writable(
    ground: Ground, team: Team, shelf: Shelf
) -> None:
    book = Book(ground)
    try:
        ground.cluster.eventually(lambda: book.recorded().get("status") == "True", "the ledger is written", 60)
        start(team)
        commits = [team.head()]
        team.until(lambda: recorded(book, team) == commits, "it is recorded", 60)
        told = len(ground.decisions("ledger not on disk"))
        shelf.read_only()
        commits.append(_works(ground, team, level="debug"))
        _is_told(ground, book)
        assert len(ground.decisions("ledger not on disk")) == told + 1, "once"
        assert recorded(book, team) == commits[:1]
        shelf.writable()
        team.until(lambda: recorded(book, team) == commits, "what was held is recorded, though nothing is new", 60)
        team.until(lambda: book.recorded().get("status") == "True", "that it is well is told", 60)
        assert ground.metrics()["windlass_ledger_recorded"] == 1
        before = team.until(lambda: _drifts(book, team), "so is the drift", 60)
        team.until(lambda: not team.status().get("drift", {}).get("items"), "the status says that it is over", 60)

        shelf.read_only()
        ground.restart("--data", str(shelf.folder.parent), breaking=str(shelf.folder))
        commits.append(_works(ground, team, level="trace"))
        _is_told(ground, book)
        assert len(ground.decisions("ledger not on disk")) == told + 2, "once by each process"
        shelf.writable()
        team.until(lambda: recorded(book, team) == commits, "what came after a start like this is recorded", 60)
        team.until(lambda: book.recorded().get("status") == "True", "that it is well is told", 60)
        team.until(lambda: _drifts(book, team) > before, "so is the drift", 60)
        found = book.events(f"{team.namespace}/shop")
        assert len({one.id for one in found}) == len(found), "nothing is twice"
        whole(book)
        oracle.equals_git(team)
    finally:
        book.installation()


def _drifts(book: Book, team: Team) -> int:
    return sum(one.kind == "drift" for one in book.events(f"{team.namespace}/shop"))


def _works(ground: Ground, team: Team, level: str) -> str:
    """A commit is synced and drift is put back, and both are told."""
    commit = team.commit({"shop/a.yaml": config_map("a", level=level)})
    team.until_synced(commit, seconds=60)
    before = len(ground.decisions("drift"))
    team.patch("v1/configmaps/b", {"data": {"level": "hand"}})
    team.until(lambda: oracle.contains(team.get("v1/configmaps/b"), {"data": {"level": "info"}}), "drift goes back", 60)
    team.until(lambda: len(ground.decisions("drift")) > before, "it is told", 60)
    assert page(ground, "/healthz")[0] == 200
    return commit


def _is_told(ground: Ground, book: Book) -> None:
    """That events are in memory only: by the condition and by the metric."""
    message = lambda: book.recorded().get("message", "")  # noqa: E731
    ground.cluster.eventually(lambda: "events wait in memory" in message(), "the condition says so", 60)
    assert book.recorded()["reason"] == "FileNotWritable"
    assert "mount it writable" in message()
    found = ground.metrics()
    assert found["windlass_ledger_recorded"] == 0
    assert found["windlass_ledger_waiting_bytes"] > 0


@pytest.mark.slow
def test_a_kill_at_any_change_of_a_file_leaves_data_that_works(ground: Ground, team: Team) -> None:
    start(team)
    data = ground.folder / f"data-{team.namespace}"
    for number in range(1, 60):
        commit = team.commit({"shop/a.yaml": config_map("a", turn=str(number))}, told=False)
        ground.kill()
        ground.free_lease()
        ground.start("--data", str(data), wait=False, disk=number)
        ground.cluster.eventually(
            lambda commit=commit: ground.dead() or team.status().get("commit") == commit, "killed, or done", 20
        )
        if not ground.dead():
            assert number > 4, "it was to be killed"
            break
        ground.restart("--data", str(data))
        team.until_synced(commit)
    ground.restart()  # without a counter
    team.until_synced(commit)
    oracle.equals_git(team)


# --- renders ---------------------------------------------------------------------------------------------------------


def workers(ground: Ground) -> list[int]:
    """The render workers of the controller that runs."""
    assert ground.child is not None
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == ground.child.pid and b"render.worker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_render_that_is_killed_costs_that_render_only(ground: Ground, team: Team) -> None:
    start(team)
    for turn in range(3):
        for pid in workers(ground):
            os.kill(pid, signal.SIGKILL)  # as the kernel does where memory runs out
        commit = team.commit({"shop/a.yaml": config_map("a", turn=str(turn))})
        for pid in workers(ground):
            os.kill(pid, signal.SIGKILL)
        team.until_synced(commit, seconds=30)


def test_a_render_that_needs_more_memory_than_it_may_is_refused_and_the_others_go_on(
    ground: Ground, team: Team
) -> None:
    start(team)
    team.application("huge", "huge")
    entries = "".join(f"  k{number}: [{'x, ' * 40}]\n" for number in range(60_000))
    huge = f"apiVersion: example.test/v1\nkind: Huge\nmetadata: {{name: huge}}\nspec:\n{entries}"
    commit = team.commit({"huge/a.yaml": huge, "shop/a.yaml": config_map("a", level="debug")})
    team.until_synced(commit, seconds=20)
    team.until(lambda: team.ready("huge").get("status") == "False", "the other is refused", 60)
    assert page(ground, "/healthz")[0] == 200
    team.until_synced(team.commit({"shop/a.yaml": config_map("a", level="trace")}), seconds=20)
