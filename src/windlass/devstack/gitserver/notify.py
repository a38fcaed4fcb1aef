"""Tells a URL of each ref that a push moved, in the form of GitHub's push webhook, signed with a secret.

Used by ``server.py`` after the client has its answer: whoever listens, and whether anybody does, is never the pusher's
trouble. A few tries, then the notice is dropped and logged: a listener that was away asks the repository itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import ssl
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.devstack.posting import post

_ZERO = "0" * 40
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Push:
    """One ref that moved. ``before`` and ``after`` are commit ids, forty zeros where there was or is none; ``head``
    tells of ``after``."""

    ref: str
    before: str
    after: str
    repository: str
    clone_url: str
    head: Mapping[str, Any] | None

    @property
    def payload(self) -> dict[str, Any]:
        created, deleted = self.before == _ZERO, self.after == _ZERO
        return {
            "ref": self.ref,
            "before": self.before,
            "after": self.after,
            "created": created,
            "deleted": deleted,
            "repository": {
                "name": self.repository.rsplit("/", 1)[-1],
                "full_name": self.repository,
                "clone_url": self.clone_url,
                "html_url": self.clone_url.removesuffix(".git"),
            },
            "pusher": {"name": "git"},
            "head_commit": dict(self.head) if self.head else None,
            "commits": [dict(self.head)] if self.head else [],
        }


@dataclass(frozen=True, slots=True)
class Notifier:
    """Where pushes are told, and the secret of the ``X-Hub-Signature-256``. ``tls`` for a listener with a private
    CA."""

    url: str
    secret: bytes = b""
    tls: ssl.SSLContext | None = None

    async def tell(self, pushes: Sequence[Push]) -> None:
        """POST each push. Never raises but when cancelled."""
        for push in pushes:
            body = json.dumps(push.payload, separators=(",", ":")).encode()
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "GitHub-Hookshot/windlass",
                "X-GitHub-Event": "push",
                "X-GitHub-Delivery": str(uuid.uuid4()),
            }
            if self.secret:
                headers["X-Hub-Signature-256"] = "sha256=" + hmac.new(self.secret, body, hashlib.sha256).hexdigest()
            trouble = await post(self.url, body, headers, self.tls)
            if trouble:
                _log.warning("a push to %s was not told to its listener: %s", push.repository, trouble)
