"""The servers and the clock of this folder's tests; it lets them import ``sites``."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sites import HandClock, Site, served

from windlass.adapters.host.http import Http


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    runner = await served(made)
    yield made
    await runner.cleanup()


@pytest.fixture
async def other() -> AsyncIterator[Site]:
    """A second server, on another port."""
    made = Site()
    runner = await served(made)
    yield made
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http(local=True, timeout=5.0) as made:
        yield made


@pytest.fixture
def clock() -> HandClock:
    return HandClock()
