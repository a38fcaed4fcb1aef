"""Tells a URL of each manifest that was pushed, in the form of distribution's notifications, with a token it knows.

Told after the client has its answer; a few tries, then the notice is dropped and logged: whoever was away asks itself.
"""

from __future__ import annotations

import json
import logging
import ssl
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from windlass.devstack.ociserver.names import digest_of
from windlass.devstack.posting import post

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/vnd.docker.distribution.events.v1+json"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest that was pushed. ``tag`` is "" where it was pushed by digest; ``url`` is where it is."""

    repository: str
    tag: str
    media_type: str
    content: bytes
    url: str
    host: str

    @property
    def event(self) -> dict[str, Any]:
        """One event of the envelope."""
        target: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": digest_of(self.content),
            "size": len(self.content),
            "length": len(self.content),
            "repository": self.repository,
            "url": self.url,
        }
        if self.tag:
            target["tag"] = self.tag
        return {
            "id": str(uuid.uuid4()),
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "action": "push",
            "target": target,
            "request": {"host": self.host, "method": "PUT"},
            "source": {"addr": self.host},
        }


@dataclass(frozen=True, slots=True)
class Notifier:
    """Where pushes are told. ``token`` is sent as a bearer token; ``tls`` for a listener with a private CA."""

    url: str
    token: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None

    async def tell(self, pushed: Pushed) -> None:
        """POST one push. Never raises but when cancelled."""
        headers = {"Content-Type": MEDIA_TYPE, "User-Agent": "Go-http-client/1.1"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = json.dumps({"events": [pushed.event]}).encode()
        trouble = await post(self.url, body, headers, self.tls)
        if trouble:
            _log.warning("a push to %s was not told to its listener: %s", pushed.repository, trouble)
