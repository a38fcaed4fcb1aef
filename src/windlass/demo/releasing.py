"""Steps of the demo's story about images: one is pushed and taken by a commit, one is not signed, one is broken.

The registry is the devstack's, reached over its protocol; the rollback is the command that a person types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from windlass.adapters.git import Store, on_git_thread
from windlass.core.documents import write as yaml_text
from windlass.core.kinds.kind import API_VERSION
from windlass.demo import shop
from windlass.demo.pushing import Pusher
from windlass.demo.recording import shop_of, typed
from windlass.demo.shop import ms
from windlass.demo.stack import HOOK_SECRET, REPOSITORY, Stack

if TYPE_CHECKING:
    from windlass.demo.story import Teller

WEB = ("apps/v1", "Deployment", "web")
IMAGE = "acme/shop"
WRITE = {
    "secret": "config-write",
    "author": {"name": "windlass", "email": "windlass@acme.example"},
    "paths": ["shop", "clusters/demo"],
}


async def released(teller: Teller) -> None:
    """An image that was pushed runs, without a hand on anything but the registry."""
    stack = teller.stack
    teller.title("An image is pushed, and a commit takes it")
    async with aiohttp.ClientSession() as session:
        pusher = Pusher(session, stack.registry, IMAGE)
        await pusher.push("main-1", signed=True)
        await _prepare(teller, pusher)
        first = await teller.push(
            {
                "shop/web.yaml": _web(stack.registry, "main-1"),
                "clusters/demo/shop.yaml": yaml_text([teller.application("shop", "shop", health={"timeout": "2s"})]),
                "clusters/demo/policy.yaml": yaml_text([_policy(stack)]),
            },
            "Take images from the registry",
        )
        # The policy may be quicker than the sync: what it commits is looked for, not what was pushed before.
        await teller.until("the policy has pinned its digest", lambda: _tip_after(teller, first))
        await teller.until("the shop runs from the registry", lambda: _runs(teller, "main-1"))
        await teller.until("all is as Git says", lambda: teller.healthy_at(teller.commit))
        await _taken(teller, pusher, teller.commit)
        await _not_signed(teller, pusher)
        await _broken(teller, pusher)


async def _taken(teller: Teller, pusher: Pusher, before: str) -> None:
    await pusher.push("main-2", signed=True, labels={"org.opencontainers.image.revision": "9c1f0e2"})
    _, committed = await teller.until("a commit takes it", lambda: _tip_after(teller, before))
    _, live = await teller.until("it is live", lambda: _runs(teller, "main-2"))
    _, healthy = await teller.until("and Healthy", lambda: teller.healthy_at(teller.commit))
    teller.deployments += 1
    store = await on_git_thread(Store, str(teller.stack.folder / "work.git"))
    said = (await on_git_thread(store.describe, teller.commit)).message
    teller.check("the commit says what, from and to", said.startswith(f"Take {IMAGE} main-2 (was main-1)"))
    teller.check("and where the code is", "Image-Revision: 9c1f0e2" in said)
    teller.tell(
        "push acme/shop:main-2",
        f"committed after {ms(committed)}, Healthy {ms(committed + live + healthy)} after the push",
    )


async def _not_signed(teller: Teller, pusher: Pusher) -> None:
    await pusher.push("main-3", signed=False)

    async def refused() -> str:
        lines = (await typed(teller, "image", "check", shop_of(teller), codes=(0, 2))).splitlines()
        return next((line.strip() for line in lines if "main-3" in line), "")

    line, _ = await teller.until("it says why it is not taken", refused)
    teller.check("it is not signed", "has no signature" in line)
    teller.check("and does not run", await _runs(teller, "main-2"))
    teller.tell("push acme/shop:main-3", "not taken: it has no signature")


async def _broken(teller: Teller, pusher: Pusher) -> None:
    good = teller.commit
    await pusher.push("main-4-crash", signed=True)
    await teller.until("it is taken", lambda: _tip_after(teller, good))

    async def degraded() -> bool:
        return (await teller.status()).get("health") == "Degraded"

    _, took = await teller.until("it is told that it does not run", degraded)
    told = await typed(teller, "rollback", shop_of(teller), "--reason", "crash loop", "--timeout", "30s")
    teller.check("the command brings back what ran", "Healthy after" in told)
    teller.check("and holds the tag", f"holds main-4-crash of ImagePolicy {shop_of(teller)}" in told)
    status, _ = await teller.until("what ran before runs", lambda: teller.healthy_at(good))
    teller.check("pinned", any(one["reason"] == "Pinned" for one in status["conditions"]))
    teller.tell("push acme/shop:main-4-crash", f"taken, Degraded after {ms(took)}")
    for line in told.splitlines()[:3]:
        teller.say(f"       {line}")
    await teller.pull()
    before = teller.commit
    await pusher.push("main-5", signed=True)
    await teller.until("the next one is taken", lambda: _tip_after(teller, before))
    told = await typed(teller, "forward", shop_of(teller), "--timeout", "30s")
    teller.check("forward follows the branch again", "Healthy after" in told)
    _, took = await teller.until("the next one runs", lambda: _runs(teller, "main-5"))
    await teller.pull()
    await teller.until("all is as Git says", lambda: teller.healthy_at(teller.commit))
    teller.tell("push acme/shop:main-5", "taken; windlass forward shop: it runs, and main-4-crash stays held")


async def _prepare(teller: Teller, pusher: Pusher) -> None:
    """What the policy stands on: credentials for writing, and the key that images are signed with."""
    stack = teller.stack
    for name, data in (
        ("config-write", {"username": "windlass", "password": "any: the devstack asks nobody"}),
        ("cosign-pub", {"cosign.pub": pusher.public_key}),
    ):
        await stack.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": stack.namespace},
                "stringData": data,
            }
        )
    source = teller.repository()
    source["spec"]["write"] = WRITE
    await stack.apply(source)


def _policy(stack: Stack) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "ImagePolicy",
        "metadata": {"name": "shop", "namespace": stack.namespace},
        "spec": {
            "image": f"{stack.registry}/{IMAGE}",
            "insecure": True,
            "select": {"numeric": {"pattern": "^main-(?P<n>[0-9]+)"}},
            "pin": "tag+digest",
            "hook": {"secret": HOOK_SECRET},
            "verify": {"cosign": {"key": {"secret": "cosign-pub"}}},
            "update": {"repository": REPOSITORY, "paths": ["shop"]},
        },
    }


def _web(registry: str, tag: str) -> str:
    return shop.web(tag).replace("registry.example.com/acme/shop", f"{registry}/{IMAGE}")


async def _runs(teller: Teller, tag: str) -> bool:
    web = await teller.read(WEB)
    containers = web["spec"]["template"]["spec"]["containers"] if web is not None else [{"image": ""}]
    return f":{tag}@sha256:" in str(containers[0]["image"])


async def _tip_after(teller: Teller, before: str) -> bool:
    """Whether the branch has moved on; the story then goes on from there."""
    await teller.pull()
    return teller.commit != before
