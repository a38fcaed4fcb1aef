"""A scripted server for faults; API servers (the embedded one, the real one) for everything that they can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from real.certificates import write_all

from .rude import Rude
from .scripted import Scripted


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What is said to the bytes of a connection holds on both event loops: uvloop has a TLS of its own."""
    both = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return both if item.path.name in ("test_wire.py", "test_streams.py") else {"asyncio": both["asyncio"]}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    write_all(folder)
    return folder


@pytest.fixture
async def rude(certificates: Path) -> AsyncIterator[Rude]:
    async with Rude(certificates).listening() as server:
        yield server


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted
