"""Starts the devcluster as a child process of its own, as a person's `windlass devcluster` is one.

Used by the fixtures, by tests of its restart, and by benchmarks.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from real.cluster import Cluster
from real.processes import Child


class running_devcluster:  # noqa: N801 (a context manager, read as a verb)
    """Runs a devcluster whose state, where asked for, is in `data`, so that a second one may find it again."""

    def __init__(self, folder: Path, *, data: Path | None = None) -> None:
        self.kubeconfig, self.log = folder / "kubeconfig", folder / "devcluster.log"
        self.command = [
            sys.executable,
            "-m",
            "windlass.devstack.serve",
            "--port",
            "0",
            "--kubeconfig",
            str(self.kubeconfig),
        ]
        if data is not None:
            self.command += ["--data", str(data)]

    def __enter__(self) -> Cluster:
        self.kubeconfig.unlink(missing_ok=True)
        self.child = Child("devcluster", self.command, self.log)
        try:
            self.cluster = self._ready(time.monotonic() + 30)
        except BaseException:
            self.child.kill()
            raise
        return self.cluster

    def __exit__(self, *error: object) -> None:
        self.cluster.close()
        self.child.ask_to_end()
        self.child.wait(10)

    def _ready(self, end: float) -> Cluster:
        while time.monotonic() < end:
            if not self.child.running():
                raise AssertionError(f"the devcluster ended:\n{self.child.tail()}")
            if self.kubeconfig.exists() and self.kubeconfig.read_text().endswith("\n"):
                cluster = Cluster(self.kubeconfig, "devcluster")
                try:
                    if cluster.request("GET", "/readyz").body == b"ok":
                        return cluster
                except OSError:
                    pass  # it does not listen yet
                cluster.close()
            time.sleep(0.02)
        raise AssertionError(f"the devcluster did not become ready:\n{self.child.tail()}")
