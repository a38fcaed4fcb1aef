"""A running cluster without containers for the tests of the workloads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from simulated import World

from windlass.devstack.workloads import run


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    task = asyncio.ensure_future(run(made.api, clock=made.api.clock, root_ca="PEM"))
    await made.until(lambda: made.get("v1/serviceaccounts", "default"))
    yield made
    assert not task.done(), task
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
