"""What the HTTP client raises, in words for people."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from yarl import URL

from windlass.adapters.host.unreached import why

HERE = URL("https://hooks.example.com:8443/s3cret?key=s3cret")


def connecting(error: OSError) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(cast(Any, SimpleNamespace(host="h", port=1, ssl=True)), error)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (connecting(socket.gaierror(socket.EAI_NONAME, "?")), "no address is known for the name hooks.example.com"),
        (connecting(socket.gaierror(socket.EAI_AGAIN, "?")), "the name hooks.example.com can't be looked up now"),
        (connecting(OSError(errno.ECONNREFUSED, "?")), "nothing listens on port 8443"),
        (connecting(OSError(errno.ENETUNREACH, "?")), "no way leads there from here"),
        (connecting(OSError(errno.ETIMEDOUT, "?")), "it does not answer in time"),
        (aiohttp.ConnectionTimeoutError(f"timeout to host {HERE}"), "it does not answer in time"),
        (aiohttp.ServerDisconnectedError(), "it ended the connection without an answer"),
        (aiohttp.ClientPayloadError(f"bad {HERE}"), "what it answers can't be read as HTTP"),
        (ValueError(f"bad {HERE}"), "no connection came about (ValueError)"),
    ],
)
def test_why_nothing_was_reached_is_a_sentence_with_a_mend_and_shows_no_path(error: Exception, told: str) -> None:
    found = why(error, HERE)
    assert found.what == told
    assert found.mend.endswith("?")
    assert "s3cret" not in found.what + found.mend
