"""Why another side could not be spoken to, in a sentence and a mend for people, out of what the HTTP client raises.

``http`` asks it. The client's own text is not shown: it names addresses and sockets, and some of it the whole URL,
which is a secret where it leads to a webhook.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import NamedTuple

import aiohttp
from yarl import URL

_NO_WAY = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}


class Why(NamedTuple):
    """A sentence, and what to look at."""

    what: str
    mend: str = ""


def why(error: BaseException, url: URL) -> Why:
    """Of any error that a request for ``url`` came to. Only the URL's host and port are named."""
    cause: BaseException = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = getattr(cause, "errno", None)
    if isinstance(cause, socket.gaierror):
        if cause.errno == socket.EAI_AGAIN:
            return Why(f"the name {url.host} can't be looked up now", "does the DNS of the cluster work?")
        return Why(f"no address is known for the name {url.host}", "is it written right, and known where this runs?")
    if isinstance(cause, ssl.SSLError) or isinstance(error, aiohttp.ClientConnectorSSLError):
        return Why(f"what answers on port {url.port} speaks no TLS that fits", "is it https, and this port?")
    if isinstance(cause, ConnectionRefusedError):
        return Why(f"nothing listens on port {url.port}", "does it run, and is that its port?")
    if number in _NO_WAY:
        return Why("no way leads there from here", "does a NetworkPolicy, a firewall or a proxy stand between?")
    if isinstance(error, TimeoutError) or number == errno.ETIMEDOUT:
        return Why("it does not answer in time", "does it run, and does a NetworkPolicy or a firewall stand between?")
    if isinstance(error, (aiohttp.ServerDisconnectedError, ConnectionError)) or isinstance(cause, ConnectionError):
        scheme = "http" if url.scheme == "https" else "https"
        return Why("it ended the connection without an answer", f"is {scheme} spoken there, or on another port?")
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientResponseError)):
        return Why("what it answers can't be read as HTTP", "is it the right address and port?")
    return Why(f"no connection came about ({type(cause).__name__})", "is it the right address and port?")
