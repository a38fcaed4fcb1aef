"""A controller that can be killed, paused and starved, behind a proxy; and the team whose applications it looks after.

`Ground` is `Installed` of the end-to-end tests, with three things changed: requests go through the `Proxy`, starts go
through the `zygote`, and each `git` that the controller starts is counted by a wrapper. Tests of faults use it through
the fixture `ground`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.team import LEASE, Installed, Team
from faults.proxy import Proxy
from real.cluster import Cluster
from real.processes import Child

ZYGOTE = Path(__file__).with_name("zygote.py")

# The wrapper decides by a file: "before N" or "after N" of the git commands that follow; its process is ended then.
WRAPPER = """#!/bin/sh
folder={folder}
if test -f $folder/slow; then sleep "$(cat $folder/slow)"; fi
echo "$*" >> $folder/git.count
if test -f $folder/git.wish; then
  read -r when number < $folder/git.wish
  if test "$(wc -l < $folder/git.count)" = "$number"; then
    test "$when" = after && {git} "$@"
    kill -9 "$(cat $folder/controller.pid)"
    exit 1
  fi
fi
exec {git} "$@"
"""


class Zygote:
    """The process that forks controllers."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ZYGOTE.parents[1])}
        self._process = subprocess.Popen(
            [sys.executable, str(ZYGOTE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def fork(self, wish: Mapping[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Forked:
    """A forked controller, with the part of `Child` that `Installed` uses."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid, self.log = pid, log

    def running(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def signal(self, number: signal.Signals) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait(10)

    def ask_to_end(self) -> None:
        self.signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        end = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > end:
                self.signal(signal.SIGKILL)
            time.sleep(0.005)
        return 0


class Ground(Installed):
    """See above. `start` begins a controller, `kill` ends it at once; `restart` is a start after a crash."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.proxy = Proxy(cluster, folder)
        self.proxy.__enter__()
        self.zygote = Zygote()
        self.count = folder / "disk.count"
        self._wrap_git(folder)
        super().__init__(cluster, folder)
        self.direct = folder / "direct.kubeconfig"
        self.direct.write_bytes(self.kubeconfig.read_bytes())
        self.proxy.kubeconfig(self.direct, self.kubeconfig)
        self.proxy.kill = self.crash

    def start(self, *options: str, wait: bool = True, disk: int = 0, **wish: Any) -> None:
        arguments = ["controller", "--kubeconfig", str(self.kubeconfig), "--data", str(self.folder / "data")]
        arguments += ["--port", str(self.port), *options]
        self.count.unlink(missing_ok=True)
        environment = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        pid = self.zygote.fork(
            {
                "arguments": arguments,
                "log": str(self.log),
                "environment": environment,
                "count": str(self.count) if disk else "",
                "disk": disk,
                **wish,
            }
        )
        (self.folder / "controller.pid").write_text(str(pid))
        self.child = Forked(pid, self.log)  # type: ignore[assignment]
        if wait:
            self.cluster.eventually(self.ready, "the controller is ready", 30)

    def crash(self) -> None:
        """Ends it at once, as the kernel or a power cut would. The proxy calls it, from its own thread."""
        if self.child is not None:
            self.child.kill()

    def kill(self, *, free: bool = False) -> None:
        super().kill(free=free)

    def restart(self, *options: str, **wish: Any) -> None:
        """A start after a crash, once the Lease has run out (it is taken away here: nobody waits 15 s for each)."""
        self.kill()
        self.proxy.settle()
        self.free_lease()
        self.start(*options, **wish)

    def dead(self) -> bool:
        return self.child is None or not self.child.running()

    def stop_at_git(self, when: str, number: int) -> None:
        """Ends the controller before or after the Nth `git` from now on."""
        (self.folder / "git.count").unlink(missing_ok=True)
        (self.folder / "git.wish").write_text(f"{when} {number}\n")

    def forget_git(self) -> None:
        (self.folder / "git.wish").unlink(missing_ok=True)

    def close(self) -> None:
        super().close()
        self.zygote.close()
        self.proxy.__exit__()

    @staticmethod
    def _wrap_git(folder: Path) -> None:
        program = shutil.which("git")
        wrapper = folder / "bin" / "git"
        wrapper.parent.mkdir()
        wrapper.write_text(WRAPPER.format(folder=folder, git=program))
        wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)


def page(ground: Ground, path: str) -> tuple[int, str]:
    """A page of the controller's own server."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{ground.port}{path}", timeout=5) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


__all__ = ["LEASE", "Child", "Forked", "Ground", "Team", "Zygote", "page"]
