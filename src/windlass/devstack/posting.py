"""One POST to somebody who listens, tried a few times: how ``gitserver`` and ``ociserver`` tell of a push.

Whoever listens, and whether anybody does, is never the pusher's trouble: nothing here raises.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp

TRIES = (0.0, 0.2, 1.0, 5.0)


async def post(url: str, body: bytes, headers: Mapping[str, str], tls: ssl.SSLContext | None = None) -> str:
    """Returns "" once it was taken, or what stood in the way of the last try. ``tls`` for a listener with a private
    CA."""
    trouble = ""
    options: dict[str, Any] = {"ssl": tls} if tls else {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        for pause in TRIES:
            await asyncio.sleep(pause)
            try:
                async with session.post(url, data=body, headers=headers, allow_redirects=False, **options) as answer:
                    if answer.status < 300:
                        return ""
                    trouble = f"status {answer.status}"
                    if answer.status < 500 and answer.status != 429:
                        return trouble
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                trouble = type(error).__name__
    return trouble
