"""Applications that change all the time: commits, edits by hand, and the objects of others that must stay as they are.

The tests of crashes and the soak run drive it; what it draws comes from a seed.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from e2e.team import Team, config_map
from faults import oracle

QUICK: dict[str, Any] = {
    "sync": {"retry": {"backoff": "1s", "max": "5s"}, "pruneBudget": {"count": 1000, "share": "100%"}}
}
OTHERS = ("ConfigMap/precious", "ConfigMap/forged")


class Churn:
    """So many Applications of one repository, whose files a seeded hand changes, adds and removes."""

    def __init__(self, team: Team, applications: int, seed: int, *, url: str = "") -> None:
        self.team = team
        self.random = random.Random(seed)
        self.names = [f"app-{number}" for number in range(applications)]
        self.turn = 0
        team.repository(interval="2s", **({"url": url} if url else {}))
        for name in self.names:
            team.application(name, name, **QUICK)
        first = {f"{name}/{one}.yaml": config_map(f"{name}-{one}", turn="0") for name in self.names for one in "abc"}
        team.put("v1", "ConfigMap", "precious", data={"keep": "me"})
        labels = {oracle.LABEL: f"{team.namespace}.app-0"}
        team.put("v1", "ConfigMap", "forged", data={"keep": "me"})
        team.patch("v1/configmaps/forged", {"metadata": {"labels": labels}}, manager="somebody")
        self.commit = team.commit(first)
        self.before = oracle.live(team)

    def change(self) -> None:
        """One commit that touches a few Applications (of many, one in twenty), and an edit by hand."""
        self.turn += 1
        files: dict[str, str | None] = {}
        for name in self.random.sample(self.names, k=min(max(3, len(self.names) // 20), len(self.names))):
            files[f"{name}/a.yaml"] = config_map(f"{name}-a", turn=str(self.turn))
            extra = f"{name}/x{self.random.randrange(3)}.yaml"
            there = (self.team.work / extra).exists()
            files[extra] = None if there else config_map(f"{name}-{Path(extra).stem}", turn=str(self.turn))
        self.commit = self.team.commit(files, told=False)
        name = self.random.choice(self.names)
        path = f"v1/configmaps/{name}-b"
        if self.team.get(path) is not None:
            self.team.patch(path, {"data": {"turn": f"hand {self.turn}"}}, manager=f"hand-{self.turn}")

    def check(self) -> None:
        oracle.unharmed(self.team, self.before, others=OTHERS)

    def right(self) -> bool:
        now = oracle.live(self.team)
        try:
            for name in self.names:
                oracle.equals_git(self.team, name, name, others=("ConfigMap/forged",), now=now)
        except AssertionError as error:
            self.wrong = str(error)
            return False
        return True

    def finish(self, seconds: float = 60) -> None:
        self.wrong = ""
        end = time.monotonic() + seconds
        while True:
            begun = time.monotonic()
            if self.right():
                break
            assert time.monotonic() < end, f"{self.wrong}\n{self.team.windlass.child.tail(30)}"  # type: ignore[union-attr]
            time.sleep(max(0.2, time.monotonic() - begun))  # of many Applications a look costs the server something
        self.check()
