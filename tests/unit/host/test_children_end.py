"""A child that is stopped in the middle of talking ends, and nobody waits for it for ever."""

from __future__ import annotations

import asyncio

import pytest

from windlass.adapters.host.children import ChildOutput, ChildTimeout, Limits, find_program, run_child


async def test_a_child_that_prints_without_an_end_is_stopped() -> None:
    async with asyncio.timeout(10):
        with pytest.raises(ChildOutput):
            await run_child([find_program("yes")], limits=Limits(output=1000))


async def test_a_child_that_takes_too_long_while_its_pipes_are_full_is_stopped() -> None:
    async with asyncio.timeout(10):
        with pytest.raises(ChildTimeout):
            await run_child([find_program("yes")], limits=Limits(timeout=0.3, output=1 << 40))
