"""Steps of the demo's story about going back: a rollback while sync goes on, and an exception that ends by itself.

They write into Git by the same intents as the commands of a person do, through ``flows/write``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from windlass.adapters.git import Author, CommitInfo, CommitSnapshot, Store, commit_files, on_git_thread
from windlass.adapters.git import push as push_commits
from windlass.adapters.host.clock import SystemClock
from windlass.core.documents import write as yaml_text
from windlass.core.edits import Intent, Target
from windlass.core.edits.intents import Home, ignore, pin, unpin
from windlass.core.kinds.fields import stamp
from windlass.core.kinds.kind import GROUP
from windlass.core.plan.ownership import RELEASED_MANAGER
from windlass.demo import shop
from windlass.demo.shop import ms
from windlass.flows.write import Writer

if TYPE_CHECKING:
    from windlass.demo.story import Teller

FILE = "clusters/demo/shop.yaml"
WEB = ("apps/v1", "Deployment", "web")
LASTS = 3


class Desk:
    """The branch of the demo's repository, as the person of the story writes to it."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._folder = str(teller.stack.folder / "work.git")

    async def tip(self) -> str:
        await self._teller.pull()
        return self._teller.commit

    async def files(self, commit: str) -> CommitSnapshot:
        return await on_git_thread(lambda: CommitSnapshot(Store(self._folder), commit))

    async def log(self, old: str | None, new: str, limit: int) -> Sequence[CommitInfo]:
        return await on_git_thread(lambda: Store(self._folder).log(old, new, limit=limit))

    async def commit(self, parent: str, edits: Mapping[str, bytes | None], message: str, when: datetime) -> str:
        author = Author("ada", "ada@acme.example", when)
        return await on_git_thread(commit_files, self._folder, parent, edits, message, author, branch="main")

    async def push(self, commit: str) -> None:
        await push_commits(self._folder, self._teller.stack.repository_url, {"refs/heads/main": commit})
        self._teller.commit = commit


def home(teller: Teller) -> Home:
    """Where the shop's Application is written."""
    return Home(FILE, Target(GROUP, "Application", teller.stack.namespace, "shop"))


async def carry_out(teller: Teller, intent: Intent) -> str:
    """One intent as one commit; its id."""
    (done,) = await Writer(Desk(teller), SystemClock(), repository="config").write([intent])
    teller.check("the intent is one commit", done.result == "written")
    return done.commit


async def rolled_back(teller: Teller) -> None:
    """A pin holds one Application where it was; the branch goes on."""
    teller.title("What ran before comes back, while sync goes on")
    before = teller.commit
    own = yaml_text([teller.application("shop", "shop")])
    await teller.push({FILE: own, "shop/web.yaml": shop.web("1.5.0")}, "Shop 1.5.0, and the Application in Git")
    await teller.stack.apply(teller.application("root", "clusters/demo", sync={"adopt": "all"}))
    await teller.until("the new version is live", lambda: _image(teller, "1.5.0"))
    await teller.until("and Healthy", lambda: teller.healthy_at(teller.commit))
    await teller.until("the Application itself comes from Git", lambda: _labelled(teller))
    intent = pin(home(teller), before, identity=uuid.uuid4().hex, reason="the new version is slow", was=teller.commit)
    made = await carry_out(teller, intent)
    status, took = await teller.until("what ran before runs again", lambda: teller.healthy_at(before))
    teller.check("it says so", any(one["reason"] == "Pinned" for one in status["conditions"]))
    teller.check("with the image of then", await _image(teller, "1.4.2"))
    teller.tell("windlass rollback shop", f"{made[:7]} pins {before[:7]}, Healthy after {ms(took)}")
    await teller.push({"shop/web.yaml": shop.web("1.5.1")}, "Shop 1.5.1")
    await carry_out(teller, unpin(home(teller), identity=uuid.uuid4().hex, was=before))
    _, took = await teller.until("forward again, the newest version is live", lambda: _image(teller, "1.5.1"))
    await teller.until("and Healthy", lambda: teller.healthy_at(teller.commit))
    teller.deployments += 1
    teller.tell("windlass forward shop", f"1.5.1 is live after {ms(took)}")


async def exception(teller: Teller) -> None:
    """A field is left to others for a moment, and comes back by itself."""
    teller.title("An exception ends by itself")
    until = stamp(SystemClock().now() + timedelta(seconds=LASTS + 1))
    item = {
        "kind": "Deployment", "name": "web", "fields": ["/spec/replicas"],
        "until": until, "reason": "load test", "by": "ada@acme.example",
    }  # fmt: skip
    await carry_out(teller, ignore(home(teller), item, identity=uuid.uuid4().hex))

    async def released() -> bool:
        web = await teller.read(WEB)
        entries: list[dict[str, Any]] = web["metadata"].get("managedFields", []) if web is not None else []
        return any(one["manager"] == RELEASED_MANAGER for one in entries)

    await teller.until("the field is handed over", released)
    await teller.patch(WEB, {"spec": {"replicas": 4}}, "load-test")
    teller.check("nobody puts it back", await _replicas(teller) == 4)
    teller.check("nor calls it drift", not (await teller.status())["drift"].get("items"))
    _, took = await teller.until("when it ends it is as Git says", lambda: _as_in_git(teller))
    told, _ = await teller.until("its end is told", lambda: teller.told("ignore Deployment/web"))
    teller.check("with whose it was", "ada@acme.example" in told)
    teller.tell("windlass ignore shop ...", f"replicas 4 for {ms(took)} more, then 2 again")


async def _image(teller: Teller, version: str) -> bool:
    web = await teller.read(WEB)
    containers = web["spec"]["template"]["spec"]["containers"] if web is not None else [{"image": ""}]
    return str(containers[0]["image"]).endswith(f":{version}")


async def _labelled(teller: Teller) -> bool:
    found = await teller.read((f"{GROUP}/v1alpha1", "Application", "shop"))
    return found is not None and "windlass.dev/application" in (found["metadata"].get("labels") or {})


async def _replicas(teller: Teller) -> int:
    web = await teller.read(WEB)
    return int(web["spec"]["replicas"]) if web is not None else 0


async def _as_in_git(teller: Teller) -> bool:
    return await _replicas(teller) == 2
