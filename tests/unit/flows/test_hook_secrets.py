"""The secret of push hooks: a rotated one works soon, and strangers can't make the controller ask the cluster."""

from __future__ import annotations

import base64
from typing import Any, cast

from windlass.core.model import ObjectRef, Resource
from windlass.flows.fleet import Key
from windlass.flows.secrets import AGAIN, SecretReader
from windlass.ports import Clock, Cluster

SOURCE = Key("shop", "config")


class Hand:
    """A clock that is moved by hand, and a cluster that counts what it is asked."""

    def __init__(self) -> None:
        self.time = 100.0
        self.token: bytes | None = None
        self.asked = 0

    def monotonic(self) -> float:
        return self.time

    async def read(self, resource: Resource, ref: ObjectRef) -> dict[str, Any] | None:
        self.asked += 1
        return None if self.token is None else {"data": {"token": base64.b64encode(self.token).decode()}}


def reader(hand: Hand) -> SecretReader:
    return SecretReader(cast(Cluster, hand), cast(Clock, hand))


async def test_a_secret_that_is_missing_is_asked_for_seldom() -> None:
    hand = Hand()
    secrets = reader(hand)
    for _ in range(100):
        assert await secrets.hook(SOURCE, "hook") == b""
        assert await secrets.hook(SOURCE, "hook", again=True) == b""
    assert hand.asked == 1
    hand.token, hand.time = b"one", hand.time + AGAIN
    assert await secrets.hook(SOURCE, "hook") == b"one"


async def test_a_rotated_secret_is_read_again_when_the_old_one_does_not_fit() -> None:
    hand = Hand()
    hand.token = b"one"
    secrets = reader(hand)
    assert await secrets.hook(SOURCE, "hook") == b"one"
    hand.token, hand.time = b"two", hand.time + AGAIN
    assert await secrets.hook(SOURCE, "hook") == b"one", "at rest nothing is asked"
    assert await secrets.hook(SOURCE, "hook", again=True) == b"two"
    assert await secrets.hook(SOURCE, "hook") == b"two"
