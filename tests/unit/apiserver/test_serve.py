"""The process: it starts, answers over TLS, keeps what it acknowledged, and ends cleanly."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sqlite3
import ssl
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from windlass.devstack.apiserver.journal import SqliteJournal
from windlass.devstack.apiserver.store import Store


class Process:
    """``python -m windlass.devstack.serve`` on a port of its own."""

    def __init__(self, folder: Path, data: Path | None) -> None:
        self.file = folder / "kubeconfig"
        self.file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "windlass.devstack.serve", "--port", "0", "--kubeconfig", str(self.file)]
        command += ["--no-workloads", *(["--data", str(data)] if data else [])]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while not self.file.exists():
            assert self.process.poll() is None, "it ended at once"
            assert time.monotonic() < deadline, "it did not start"
            time.sleep(0.02)
        config = yaml.safe_load(self.file.read_text())
        cluster = config["clusters"][0]["cluster"]
        self.url, self.token = cluster["server"], config["users"][0]["user"]["token"]
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=ca)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        raw = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, raw, headers, method=method)
        with urllib.request.urlopen(request, context=self.context, timeout=10) as answer:
            return json.loads(answer.read())

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)


MAPS = "/api/v1/namespaces/default/configmaps"


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "windlass.devstack.serve", "--kubeconfig", str(file), "--end-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 20
        while not file.exists():
            assert process.poll() is None, "it ended at once"
            assert time.monotonic() < deadline, "it did not start"
            time.sleep(0.02)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_keeps_what_was_acknowledged(tmp_path: Path, ending: int) -> None:
    data = tmp_path / "data"
    first = Process(tmp_path, data)
    assert stat.S_IMODE(first.file.stat().st_mode) == 0o600
    made = [first.ask("POST", MAPS, {"metadata": {"name": f"n{number}"}}) for number in range(20)]
    code = first.end(ending)
    assert code == (0 if ending == signal.SIGTERM else -signal.SIGKILL)
    second = Process(tmp_path, data)
    assert second.token == first.token
    found = second.ask("GET", MAPS)
    assert [item["metadata"] for item in found["items"]] == sorted(
        (obj["metadata"] for obj in made), key=lambda metadata: metadata["name"]
    )
    after = second.ask("POST", MAPS, {"metadata": {"name": "later"}})
    assert int(after["metadata"]["resourceVersion"]) > int(made[-1]["metadata"]["resourceVersion"])
    assert second.end(signal.SIGINT) == 0


async def written(store: Store, name: str) -> None:
    item = store.write("configmaps", "a", name, {"metadata": {"name": name, "namespace": "a"}})
    await asyncio.wait_for(store.durable(item.rv), 5)


async def test_a_write_that_fails_is_told_and_made_good_when_it_can(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    revision, _ = journal.read()
    store = Store(revision=revision, journal=journal)
    journal.open()
    await written(store, "before")
    other = sqlite3.connect(tmp_path / "objects.sqlite", isolation_level=None)
    other.execute("CREATE TRIGGER full BEFORE INSERT ON objects BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(OSError, match="could not be written"):
        await written(store, "during")
    other.execute("DROP TRIGGER full")
    other.close()
    await written(store, "after")
    await journal.close()
    _, rows = SqliteJournal(tmp_path).read()
    assert sorted(row[2] for row in rows) == ["after", "before", "during"]
