"""The story of ``windlass demo``: a repository becomes a running shop, people make mistakes, and each step is checked.

Every step does what a person would do, over Git's and Kubernetes' own protocols, and then looks at the cluster, not at
the controller's word, to see that it came true. A check that fails ends the story with exit code 1.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from windlass.adapters.git import Author, BranchMoved, PushUnknown, Store, commit_files, init_repository, on_git_thread
from windlass.adapters.git import push as push_commits
from windlass.core.words.plain import plain
from windlass.demo import recording, releasing, shop, turning_back
from windlass.demo.shop import ms
from windlass.demo.stack import REPOSITORY, Stack, Theirs, application_object, repository_object, running
from windlass.errors import WindlassError

Say = Callable[[str], None]
Named = tuple[str, str, str]
"""An object of the story's namespace: API version, kind, name."""
PATIENCE = 60.0
PUSHES = 5
"""So often a push is tried again that came second."""
STOPPED = 130
"""The exit code after Ctrl-C, as of every command that a person waits for."""
WEB = ("apps/v1", "Deployment", "web")


class CheckFailed(Exception):
    """A promise of the story did not come true."""


class Teller:
    """Counts checks and times, and waits for what has to come true."""

    def __init__(self, stack: Stack, say: Say) -> None:
        self.stack = stack
        self.say = say
        self.step = 0
        self.checks = 0
        self.deployments = 0  # that it waited for; there are more
        self.numbers: dict[str, Any] = {}  # what `windlass metrics` tells at the end
        self.commit = ""

    def title(self, text: str) -> None:
        self.step += 1
        self.say(f"{self.step}  {text}")

    def tell(self, did: str, came: str) -> None:
        self.say(f"     {did:<30} {came}")

    async def until(self, what: str, look: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
        """Looks until it gives something true; returns it with the seconds it took. Counts as a check."""
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := await look()):  # noqa: ASYNC110 - it looks at a cluster, as a person would
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise CheckFailed(f"{what}: not within {PATIENCE:.0f} s") from None
        self.checks += 1
        return found, asyncio.get_running_loop().time() - began

    def check(self, what: str, true: object) -> None:
        if not true:
            raise CheckFailed(what)
        self.checks += 1

    # --- what a person does ------------------------------------------------------------------------------------------

    async def push(self, files: dict[str, str | None], message: str) -> str:
        """A commit on the branch, pushed by the real git program to the devstack's Git server."""
        store = await on_git_thread(init_repository, str(self.stack.folder / "work.git"))
        edits = {path: text.encode() if text is not None else None for path, text in files.items()}
        author = Author("ada", "ada@acme.example", datetime.now(UTC))
        trouble = ""
        for _ in range(PUSHES):
            parent = self.commit or None
            made = await on_git_thread(commit_files, store, parent, edits, message, author, branch="main")
            try:
                await push_commits(store, self.stack.repository_url, {"refs/heads/main": made})
            except (BranchMoved, PushUnknown) as error:
                # As a person would: pull, and try again; a push whose answer was lost is found there.
                trouble = error.what
                await self.pull()
                if self.commit != made:
                    await asyncio.sleep(0.2)
                    continue
            self.commit = made
            return made
        raise CheckFailed(f"a push of {message!r} did not arrive, {PUSHES} times: {trouble}")

    async def pull(self) -> None:
        """The branch as it is on the server: what others pushed meanwhile is here then."""

        def bring() -> str:
            bare = Store(str(self.stack.folder / "git" / f"{REPOSITORY}.git"))
            own = Store(str(self.stack.folder / "work.git"))
            tip = bare.resolve("refs/heads/main")
            if tip is not None and not own.has(tip):
                remote = own.repository.remotes.create_anonymous(bare.repository.path)
                remote.fetch(["+refs/heads/main:refs/heads/main"])
            # A commit of ours that did not arrive is no part of the branch: the next one goes on from its tip, or from
            # nothing where no push has arrived yet.
            if tip is not None:
                own.set_ref("refs/heads/main", tip)
            elif own.resolve("refs/heads/main") is not None:
                own.repository.references.delete("refs/heads/main")
            return tip or ""

        self.commit = await on_git_thread(bring)

    async def patch(self, ref: Named, patch: Any, manager: str, form: str = "merge") -> None:
        """What somebody does by hand, with a tool of theirs."""
        from windlass.core.model import ObjectRef

        api_version, kind, name = ref
        resource = await self.stack.resource(api_version, kind)
        await self.stack.cluster.patch(
            resource, ObjectRef(resource.group, kind, self.stack.namespace, name), patch, form=form, manager=manager
        )

    # --- what a person sees ------------------------------------------------------------------------------------------

    async def read(self, ref: Named) -> dict[str, Any] | None:
        api_version, kind, name = ref
        return await self.stack.read(api_version, kind, self.stack.namespace, name)

    def application(self, name: str, path: str, **spec: Any) -> dict[str, Any]:
        return application_object(name, path, self.stack.namespace, **spec)

    def repository(self) -> dict[str, Any]:
        return repository_object(self.stack.repository_url, "main", namespace=self.stack.namespace)

    async def status(self) -> dict[str, Any]:
        found = await self.read(("windlass.dev/v1alpha1", "Application", "shop"))
        status: dict[str, Any] = (found or {}).get("status") or {}
        return status

    async def healthy_at(self, commit: str) -> dict[str, Any] | None:
        status = await self.status()
        well = (status.get("commit"), status.get("sync"), status.get("health")) == (commit, "Synced", "Healthy")
        return status if well else None

    async def told(self, words: str) -> str:
        """The Event on the Application that says so."""
        from windlass.flows.report import EVENTS

        events = await self.stack.cluster.select(EVENTS, self.stack.namespace)
        return next((one["message"] for one in events if words in one.get("message", "")), "")


async def tell(stop: asyncio.Event, say: Say, *, keep: bool, folder: Path | None, theirs: Theirs | None = None) -> int:
    """The whole story, on the devstack or on a person's own cluster (``theirs``). 0 when every check passed, 130 when
    it was stopped, else 1."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with AsyncExitStack() as context:
        if folder is None:
            folder = Path(context.enter_context(tempfile.TemporaryDirectory(prefix="windlass-demo-")))
        stack = await context.enter_async_context(running(folder, theirs=theirs))
        kubectl = f"--kubeconfig {stack.kubeconfig}"
        if theirs is not None:
            kubectl += (f" --context {theirs.context}" if theirs.context else "") + f" -n {stack.namespace}"
        if theirs is None:
            say("Everything runs on this machine, and nothing leaves it.")
        else:
            say(f"It plays in namespace {stack.namespace} of your cluster; Git, registry and controller run here.")
        say(f"  Kubernetes  {stack.cluster.client.access.server}")
        say(f"              try: kubectl {kubectl} get all")
        say(f"  Git         {stack.repository_url}")
        say(f"  Registry    {stack.registry}")
        teller = Teller(stack, say)
        code = await _until_stopped(teller, stop)
        took = loop.time() - began
        if code == 0:
            say("")
            say(summary(teller, took))
            say("Next: windlass up --repo <your repository>, docs/tour.md")
        if keep and not stop.is_set():
            say(f"It goes on until Ctrl-C. kubectl {kubectl} get applications -A")
            await stop.wait()
    return code


async def _until_stopped(teller: Teller, stop: asyncio.Event) -> int:
    """The story, or as much of it as is told when Ctrl-C comes."""
    story, asked = asyncio.ensure_future(_told(teller)), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([story, asked], return_when=asyncio.FIRST_COMPLETED)
        if story.done():
            return story.result()
        teller.say("stopped")
        return STOPPED
    finally:
        asked.cancel()
        story.cancel()
        await asyncio.wait([story, asked])


async def _told(teller: Teller) -> int:
    steps = (
        first_commit,
        next_commit,
        by_hand,
        addition,
        deleted,
        broken,
        broken_image,
        removed,
        turning_back.rolled_back,
        turning_back.exception,
        releasing.released,
        recording.recorded,
    )
    try:
        for step in steps:
            await step(teller)
    except CheckFailed as error:
        status = await teller.status()
        ready: dict[str, Any] = next((one for one in status.get("conditions", []) if one["type"] == "Ready"), {})
        teller.say(f"check failed: {error}")
        teller.say(f"   the Application says: {plain(str(ready.get('message', 'nothing')))}")
        return 1
    except WindlassError as error:
        teller.say(f"failed: {plain(str(error))}")
        return 1
    return 0


async def first_commit(teller: Teller) -> None:
    teller.title("A commit becomes the running state")
    await teller.stack.apply(teller.repository())
    await teller.stack.apply(teller.application("shop", "shop"))
    commit = await teller.push(shop.files("1.4.0"), "Shop 1.4.0")
    _, live = await teller.until("the Deployment is created", lambda: teller.read(WEB))
    status, healthy = await teller.until("the shop is Healthy", lambda: teller.healthy_at(commit))
    teller.deployments += 1
    web = await teller.read(WEB)
    assert web is not None
    origin = web["metadata"]["annotations"]["windlass.dev/origin"]
    teller.check("the live object says where it comes from", origin == f"config@{commit}:shop/web.yaml")
    teller.check("two replicas are ready", web["status"].get("readyReplicas") == 2)
    made = status["counts"].get("created", 0)
    teller.check("every object was created once", made == 4)
    teller.tell('git push "Shop 1.4.0"', f"live in {ms(live)}, {made} created, Healthy after {ms(live + healthy)}")


async def next_commit(teller: Teller) -> None:
    teller.title("The next commit changes what it changes, and nothing else")
    before = await teller.read(("v1", "ConfigMap", "settings"))
    commit = await teller.push({"shop/web.yaml": shop.web("1.4.1")}, "Shop 1.4.1")

    async def rolled() -> bool:
        web = await teller.read(WEB)
        return web is not None and image(web).endswith(":1.4.1")

    _, live = await teller.until("the new image is live", rolled)
    status, healthy = await teller.until("the shop is Healthy again", lambda: teller.healthy_at(commit))
    teller.deployments += 1
    teller.check("one object was configured", status["counts"] == {"configured": 1, "unchanged": 3})
    after = await teller.read(("v1", "ConfigMap", "settings"))
    assert before is not None
    assert after is not None
    untouched = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    teller.check("what did not change was not touched", untouched)
    teller.tell(
        'git push "Shop 1.4.1"', f"live in {ms(live)}, 1 configured, 3 unchanged, Healthy after {ms(live + healthy)}"
    )


async def by_hand(teller: Teller) -> None:
    teller.title("Somebody edits by hand")
    await teller.patch(WEB, {"spec": {"replicas": 7}}, "kubectl-edit")

    async def back() -> bool:
        web = await teller.read(WEB)
        return web is not None and web["spec"]["replicas"] == 2

    _, took = await teller.until("the field is put back", back)
    line, _ = await teller.until("it is told", lambda: teller.told("spec.replicas"))
    teller.check("with the manager", "kubectl-edit" in line)
    teller.check("with both values", "2 -> 7" in line)
    teller.tell("replicas 2 -> 7 (kubectl-edit)", f"put back after {ms(took)}")
    teller.say(f"       {plain(line)}")


async def addition(teller: Teller) -> None:
    teller.title("Somebody adds what Git does not name")
    container = [{"op": "add", "path": "/spec/template/spec/hostPID", "value": True}]
    await teller.patch(WEB, container, "debugger", form="json")

    async def reported() -> dict[str, Any] | None:
        items = (await teller.status()).get("drift", {}).get("items", [])
        return items[0] if items else None

    item, took = await teller.until("the addition is reported", reported)
    teller.check("it is severe", item.get("severe") is True)
    teller.check("it says who", item["manager"] == "debugger")
    teller.check("it says what happens", item["response"] == "report")
    teller.tell("hostPID: true (debugger)", f"reported after {ms(took)}, severe; it stays, as drift.additions says")
    await teller.patch(WEB, [{"op": "remove", "path": "/spec/template/spec/hostPID"}], "debugger", form="json")

    async def closed() -> bool:
        return not (await teller.status()).get("drift", {}).get("items")

    await teller.until("taken away again, it is closed", closed)


async def deleted(teller: Teller) -> None:
    teller.title("Somebody deletes an object")
    ref = ("v1", "Service", "web")
    found = await teller.read(ref)
    assert found is not None
    from windlass.core.model import ObjectRef

    resource = await teller.stack.resource("v1", "Service")
    await teller.stack.cluster.delete(
        resource, ObjectRef("", "Service", teller.stack.namespace, "web"), uid=found["metadata"]["uid"]
    )

    async def again() -> bool:
        now = await teller.read(ref)
        return now is not None and now["metadata"]["uid"] != found["metadata"]["uid"]

    _, took = await teller.until("it is created again", again)
    teller.tell("kubectl delete service web", f"created again after {ms(took)}")


async def broken(teller: Teller) -> None:
    teller.title("A broken manifest is refused, and what runs keeps running")
    good = teller.commit
    web = await teller.read(WEB)
    commit = await teller.push(
        {"shop/web.yaml": shop.web("1.4.2", replicas="three"), "shop/settings.yaml": shop.settings("debug")}, "Oops"
    )

    async def refused() -> str:
        status = await teller.status()
        ready = next(one for one in status["conditions"] if one["type"] == "Ready")
        return str(ready["message"]) if ready["reason"] == "BadManifest" else ""

    message, took = await teller.until("it is refused", refused)
    teller.check("with the file and line", "shop/web.yaml:" in message)
    teller.check("with the commit", commit[:7] in message)
    now, settings = await teller.read(WEB), await teller.read(("v1", "ConfigMap", "settings"))
    assert now is not None
    assert web is not None
    assert settings is not None
    same = web["metadata"]["generation"] <= now["metadata"]["generation"] and image(now).endswith(":1.4.1")
    teller.check("the running state is untouched", same)
    teller.check("also where the commit was right", settings["data"]["level"] == "info")
    teller.check("the status says what still runs", (await teller.status())["commit"] == good)
    teller.tell("git push (replicas: three)", f"refused after {ms(took)}, {good[:7]} keeps running")
    teller.say(f"       {plain(message)}")
    mended = await teller.push(
        {"shop/web.yaml": shop.web("1.4.1"), "shop/settings.yaml": shop.settings("info")}, "Mend"
    )
    await teller.until("mended, it is in sync", lambda: teller.healthy_at(mended))


async def broken_image(teller: Teller) -> None:
    teller.title("A commit that can't run says why")
    await teller.push({"shop/web.yaml": shop.web("does-not-exist")}, "Shop, a tag nobody pushed")

    async def reason() -> str:
        messages = (await teller.status()).get("messages", [])
        return next((line.strip() for line in messages if "ImagePullBackOff" in line or "ErrImagePull" in line), "")

    line, took = await teller.until("the reason is told", reason)
    web = await teller.read(WEB)
    assert web is not None
    teller.check("the old Pods still serve", web["status"].get("availableReplicas", 0) >= 1)
    teller.tell("git push (a missing image)", f"told after {ms(took)}; the old Pods go on")
    teller.say(f"       {plain(line)}")
    mended = await teller.push({"shop/web.yaml": shop.web("1.4.2")}, "Shop 1.4.2")
    _, back = await teller.until("the next commit is Healthy", lambda: teller.healthy_at(mended))
    teller.deployments += 1
    teller.tell('git push "Shop 1.4.2"', f"Healthy after {ms(back)}")


async def removed(teller: Teller) -> None:
    teller.title("What leaves Git leaves the cluster, and nothing else")
    foreign = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "theirs", "namespace": teller.stack.namespace},
    }
    await teller.stack.apply(foreign, manager="somebody-else")
    commit = await teller.push({"shop/extra.yaml": None}, "Take the extra out")

    async def gone() -> bool:
        return await teller.read(("v1", "ConfigMap", "extra")) is None

    _, took = await teller.until("it is pruned", gone)
    status, _ = await teller.until("in sync", lambda: teller.healthy_at(commit))
    teller.check("one object was pruned", status["counts"].get("pruned") == 1)
    theirs = await teller.read(("v1", "ConfigMap", "theirs"))
    teller.check("what is somebody else's is still there", theirs is not None)
    teller.tell("git rm shop/extra.yaml", f"pruned after {ms(took)}")


def image(deployment: dict[str, Any]) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def summary(teller: Teller, took: float) -> str:
    numbers = teller.numbers
    return (
        f"{teller.step} steps, {teller.checks} checks passed in {took:.0f} s. "
        f"{numbers['deployments']} deployments, median lead time {ms(numbers['leadTimeMedian'])}, "
        f"mean recovery {ms(numbers['timeToRecovery'])}."
    )
