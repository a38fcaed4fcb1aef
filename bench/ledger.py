"""A ledger of a million events: how soon `windlass log` answers over it, and how long it takes to prove.

The ledger is made in the format of `docs/ledger.md` by `git fast-import`: a year with 1,000 events of each Application,
20 to a push. What is measured is the command as a person types it, with the repository on the same machine.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.figures import Result
from bench.world import Options
from windlass.core.model import events
from windlass.core.record import layout

EACH = 1000
BATCH = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
CLUSTER = "bench"


def told(applications: int) -> Iterator[events.Event]:
    """Deployments that mostly get healthy, and now and then somebody's hand."""
    total = applications * EACH
    step = timedelta(days=364) / total
    for number in range(total):
        when, app, turn = START + step * number, number % applications, number // applications
        subject, commit = f"team-{app % 20}/app-{app}", f"{turn // 4 * applications + app:040x}"
        data: events.Data
        match turn % 4:
            case 0:
                change = events.PlannedChange(action="configure", object=f"Deployment.apps/team-{app % 20}/web")
                data = events.Planned(
                    commit=commit, repository="team/config", counts={"configure": 1}, changes=[change]
                )
            case 1:
                author = events.Commit(
                    commit, f"Change {turn} of it", f"person-{app % 50}", "p@acme.example", events.stamp(when)
                )
                outcome = events.RecordedOutcome(object=f"Deployment.apps/team-{app % 20}/web", result="configured")
                data = events.Applied(
                    commit=commit, result="applied", repository="team/config", path=f"apps/{app}",
                    counts={"configured": 1, "unchanged": 9}, outcomes=[outcome], commits=[author],
                    health="Progressing", seconds=0.2, actor=author.author, team=f"team-{app % 20}",
                )  # fmt: skip
            case 2:
                data = events.HealthChanged(health="Degraded" if number % 97 == 0 else "Progressing", was="Healthy")
            case _:
                data = events.HealthChanged(health="Healthy", was="Progressing", message="10 healthy", commit=commit)
        yield events.make(CLUSTER, subject, data, when)


def make(folder: Path, applications: int) -> None:
    """The repository with the whole ledger."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    ref = layout.ref_of(CLUSTER, str(START.year))
    with subprocess.Popen(
        ["git", f"--git-dir={folder}", "fast-import", "--quiet", "--force"], stdin=subprocess.PIPE
    ) as importer:
        assert importer.stdin is not None
        out, total, lines = importer.stdin, 0, bytearray()
        for number, event in enumerate(told(applications), 1):
            lines += events.encode(event)
            if number % BATCH == 0:
                content = bytes(lines)
                lines.clear()
                message = layout.message(CLUSTER, content, total).encode()
                when = int(event.when.timestamp())
                out.write(b"commit %s\ncommitter windlass <w@acme.example> %d +0000\n" % (ref.encode(), when))
                out.write(b"data %d\n%s" % (len(message), message))
                if total == 0:
                    first = layout.descriptor(CLUSTER, str(START.year), None)
                    out.write(b"M 100644 inline %s\ndata %d\n%s\n" % (layout.DESCRIPTOR.encode(), len(first), first))
                path = layout.path_of(content).encode()
                out.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(content), content))
                total += BATCH
        out.close()
    assert importer.returncode == 0


class Typed:
    """Commands of a person with a cache of their own: seconds and CPU seconds of each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *arguments: str) -> tuple[float, float, str]:
        command = [sys.executable, "-m", "windlass", *arguments, "--ledger", f"file://{self._folder}/ledger.git"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(self._folder / "cache")}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stdout + done.stderr
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return seconds, spent, done.stdout


async def ledger(options: Options) -> Result:
    """A year's ledger of a fleet, read and proven by the command line."""
    result = Result("ledger", "no cluster", options.applications)
    with tempfile.TemporaryDirectory(prefix="windlass-bench-ledger-") as temporary:
        folder = Path(temporary)
        make(folder / "ledger.git", options.applications)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        result.add("events", options.applications * EACH)
        result.add("the repository", size / 1e6, "MB")
        typed = Typed(folder)
        seconds, spent, _ = typed("ledger", "rebuild")
        result.add("fetched and indexed from nothing", seconds, "s", note=f"{spent:.1f} s of CPU")
        index = next((folder / "cache").rglob("*.sqlite"))
        result.add("the index", index.stat().st_size / 1e6, "MB")
        name = "team-7/app-7"
        for what, arguments, aim in (
            ("windlass log APP", ("log", name), 1.0),
            ("windlass log", ("log",), 1.0),
            ("windlass log --actor", ("log", "--actor", "person-7"), 1.0),
            ("windlass log APP --at", ("log", name, "--at", "2026-06-01"), 1.0),
            ("windlass log --at", ("log", "--at", "2026-06-01"), None),
            ("windlass log APP --commits", ("log", name, "--commits"), None),
            ("windlass metrics APP", ("metrics", name, "--since", "2026-01-01"), None),
            ("windlass metrics", ("metrics", "--since", "2026-01-01"), None),
            ("windlass ledger verify", ("ledger", "verify"), None),
        ):
            best = min(typed(*arguments)[:2] for _ in range(1 if aim is None else 3))
            result.add(what, best[0], "s", aim=aim, note=f"{best[1]:.1f} s of CPU")
    return result
