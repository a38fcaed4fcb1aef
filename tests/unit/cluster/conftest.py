"""A scripted server for faults; API servers (the embedded one, the real one) for everything that they can be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .scripted import Scripted


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted
