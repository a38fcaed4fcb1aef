"""`make soak`: half an hour of commits, hand edits and faults, drawn from a seed, and an oracle at the end.

`ARGS="--minutes 5 --seed 7 --cluster real"`. While it runs, a controller looks after some twenty Applications; at drawn
times files change, people edit live objects, the controller is killed or paused, watches are cut or held, the API
server answers 409, 429, 500 or nothing, and the Git server fails. In between there is peace, and then everything has to
be as Git says. At the end: live equals Git, no object of others was touched, and memory, open files, threads and
children of the controller did not grow. Exit code 0 where all of that holds, else 1 with what did not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from e2e.team import Team
from faults.churn import Churn
from faults.githost import FaultyGit
from faults.ground import Ground, page
from faults.proxy import After, Answer, Drop, Request, Stall, Verdict
from real.cluster import Cluster
from real.controlplane import ControlPlane, missing
from real.devcluster import running_devcluster

PEACE = 12.0
"""Seconds without faults at the end of each round, within which everything has to be as Git says."""
GROWTH = 1.25
"""Times the memory of the first rounds that the last ones may have: the allocator keeps what was used once."""


MOST_PACKS = 256
"""Files of packs that libgit2 keeps open at most (`adapters/git/store.py`), over all repositories."""
SOCKETS = 16
"""More connections than in the first rounds that may be open: those of a burst stay for a while."""


class Held(NamedTuple):
    """What a controller holds at one moment. ``packs`` are files of Git's packs; ``files`` all other descriptors but
    sockets, and but the pipes to children, of which there are a few each."""

    pid: int
    kilobytes: int
    files: int
    packs: int
    sockets: int
    threads: int
    children: int


def held(pid: int) -> Held:
    """Read from /proc."""
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    targets = []
    for one in (folder / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            targets.append(os.readlink(one))
    packs = sum(".git/" in one or "/pack/pack-" in one or one.endswith((".pack", ".idx")) for one in targets)
    sockets = sum(one.startswith("socket:") for one in targets)
    pipes = sum(one.startswith("pipe:") for one in targets)
    children = len((folder / f"task/{pid}/children").read_text().split())
    files = len(targets) - packs - sockets - pipes
    return Held(pid, int(status["VmRSS"].split()[0]), files, packs, sockets, int(status["Threads"]), children)


class Usage:
    """What the controller holds, read after each round of peace, per life of the process."""

    def __init__(self) -> None:
        self.rounds: list[Held] = []

    def take(self, ground: Ground) -> str:
        assert ground.child is not None
        now = held(ground.child.pid)
        self.rounds.append(now)
        return (
            f"{now.kilobytes // 1024} MB, {now.files} files, {now.packs} packs, {now.sockets} sockets, "
            f"{now.threads} threads, {now.children} children"
        )

    def wrong(self) -> list[str]:
        """What grew from the first third to the last third of the longest life."""
        lives: dict[int, list[Held]] = {}
        for one in self.rounds:
            lives.setdefault(one.pid, []).append(one)
        packs = max((one.packs for one in self.rounds), default=0)
        found = [f"{packs} files of packs were open, more than {MOST_PACKS}"] if packs > MOST_PACKS else []
        life = max(lives.values(), key=len, default=[])
        if len(life) < 6:
            return found
        third = len(life) // 3
        # Threads and children are started when they are needed, up to a number; what is no socket is exact.
        for name, more in (("kilobytes", 0), ("files", 0), ("sockets", SOCKETS), ("threads", 4), ("children", 2)):
            first = sorted(getattr(one, name) for one in life[:third])[third // 2]
            last = sorted(getattr(one, name) for one in life[-third:])[third // 2]
            if last > first * (GROWTH if name == "kilobytes" else 1.0) + more:
                found.append(f"{name} grew from {first} to {last} in {len(life)} rounds of one process")
        return found


class Storm:
    """Faults of one round, drawn with the churn's own random numbers."""

    def __init__(self, ground: Ground, front: FaultyGit, draw: random.Random) -> None:
        self.ground, self.front, self.draw = ground, front, draw
        self.counts: dict[str, int] = {}
        self._rate = 0.0

    def rule(self, request: Request) -> Verdict:
        if "/leases" in request.path or self.draw.random() > self._rate:
            return None
        answers: list[Verdict] = [
            Answer(409, "Conflict"),
            Answer(429, "TooManyRequests", headers=(("Retry-After", "1"),)),
            Answer(500, "InternalError"),
            Answer(503, "ServiceUnavailable"),
            Drop(),
            Stall(2.0),
            After(Answer(504, "Timeout")),
            After(Drop()),
        ]
        return self.draw.choice(answers if request.writes else answers[2:6])

    def blow(self) -> None:
        """One fault."""
        faults: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "pause": self._pause,
            "watches cut": lambda: self.ground.proxy.cut(watches_only=True),
            "connections cut": self.ground.proxy.cut,
            "watches held": lambda: self.ground.proxy.hold_watches(True),
            "watches flow": lambda: self.ground.proxy.hold_watches(False),
            "bad answers": lambda: setattr(self, "_rate", self.draw.choice([0.05, 0.2, 0.5])),
            "good answers": lambda: setattr(self, "_rate", 0.0),
            "git fails": lambda: setattr(self.front, "fault", self.draw.choice(FaultyGit.FAULTS)),
            "git is well": lambda: setattr(self.front, "fault", ""),
        }
        # Kills are rarer than the rest, so that a process lives long enough to leak.
        weights = [1 if name == "kill" else 4 for name in faults]
        name = self.draw.choices(list(faults), weights)[0]
        self.counts[name] = self.counts.get(name, 0) + 1
        faults[name]()

    def calm(self) -> None:
        self._rate = 0.0
        self.front.fault = ""
        self.ground.proxy.hold_watches(False)
        if self.ground.dead():  # as its Deployment would: also where it gave the lead up by itself
            self.ground.restart()

    def _kill(self) -> None:
        self.ground.kill()
        self.ground.free_lease()
        self.ground.start(wait=False)

    def _pause(self) -> None:
        if self.ground.child is not None and not self.ground.dead():
            self.ground.child.signal(signal.SIGSTOP)  # type: ignore[attr-defined]
            time.sleep(self.draw.uniform(0.2, 3.0))
            self.ground.child.signal(signal.SIGCONT)  # type: ignore[attr-defined]


def rounds(ground: Ground, team: Team, front: FaultyGit, *, minutes: float, seed: int, applications: int) -> list[str]:
    """All of it. Returns what was wrong."""
    draw = random.Random(seed)
    url = f"{front.url}/{team.namespace}.git"
    churn = Churn(team, applications, seed, url=url)
    churn.finish()
    storm, usage = Storm(ground, front, draw), Usage()
    ground.proxy.rule = storm.rule
    end = time.monotonic() + minutes * 60
    number = 0
    while time.monotonic() < end:
        number += 1
        for _ in range(draw.randrange(4, 10)):
            churn.change()
            storm.blow()
            time.sleep(draw.uniform(0.05, 0.8))
        storm.calm()
        begun = time.monotonic()
        churn.finish(seconds=PEACE * 10)
        ground.proxy.seen.clear()
        took = time.monotonic() - begun
        print(f"round {number}: {churn.turn} commits, as Git says after {took:.1f} s; {usage.take(ground)}", flush=True)
    print(f"faults: {', '.join(f'{count} x {name}' for name, count in sorted(storm.counts.items()))}")
    wrong = usage.wrong()
    bugs = ground.decisions("bug")
    wrong += [f"a bug was told in the log: {one.get('exception', one)}" for one in bugs[:3]]
    code, words = page(ground, "/healthz")
    if code != 200:
        wrong.append(f"it is not alive: {words}")
    return wrong


@contextlib.contextmanager
def cluster_named(name: str, folder: Path) -> Iterator[Cluster]:
    """`devcluster`, `real`, or the kubeconfig of any cluster that may be shaken."""
    folder.mkdir()
    if name == "devcluster":
        with running_devcluster(folder) as cluster:
            yield cluster
    elif name == "real":
        if absent := missing():
            raise SystemExit(f"not on this machine: {', '.join(absent)} (`make real` builds them)")
        with ControlPlane(folder) as plane:
            yield Cluster(plane.kubeconfig, "real", plane)
    else:
        yield Cluster(Path(name).resolve(), "real")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--cluster", default="devcluster", help="devcluster, real, or a kubeconfig")
    parser.add_argument("--applications", type=int, default=20)
    said = parser.parse_args()
    print(f"soak on {said.cluster} for {said.minutes:g} minutes, seed {said.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="windlass-soak-") as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        cluster = stack.enter_context(cluster_named(said.cluster, folder / "cluster"))
        (folder / "ground").mkdir()
        ground = Ground(cluster, folder / "ground")
        stack.callback(ground.close)
        ground.restart()
        front = stack.enter_context(FaultyGit(ground.git.url))
        namespace = f"soak-{secrets.token_hex(3)}"
        assert cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}).code == 201
        (folder / "team").mkdir()
        team = Team(ground, namespace, folder / "team")
        try:
            wrong = rounds(ground, team, front, minutes=said.minutes, seed=said.seed, applications=said.applications)
        except AssertionError as error:
            wrong = [str(error)]
        if wrong:
            kept = Path(tempfile.gettempdir()) / f"windlass-soak-{said.seed}.log"
            kept.write_bytes(ground.log.read_bytes())
            print(f"WRONG (again with --seed {said.seed}; the controller's log is {kept}):", *wrong, sep="\n- ")
            return 1
    print("live equals Git, nothing of others was touched, nothing grew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
