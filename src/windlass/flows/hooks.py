"""Push hooks: a code host says that a branch moved, so that nobody waits for the next poll.

A hook decides nothing and brings nothing: its body is only checked, never used, and no address in it is ever asked. All
it does is have the Repository looked at now. A forged one is refused, a replayed or repeated one costs at most a look
at the remote each ``SPACING`` seconds. ``web`` calls this.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from windlass.flows.fleet import Fleet, Key
from windlass.flows.queue import WorkQueue
from windlass.flows.secrets import SecretReader
from windlass.ports import Clock

SPACING = 0.2
LIMIT = 1 << 20


class HookAnswer(msgspec.Struct, frozen=True):
    """An HTTP status and the words for the sender; nothing in them tells a stranger what exists."""

    status: int
    text: str


class Hooks:
    """Receives push hooks for the Repositories of the fleet."""

    def __init__(self, fleet: Fleet, secrets: SecretReader, sources: WorkQueue[Key], clock: Clock) -> None:
        self._fleet = fleet
        self._secrets = secrets
        self._sources = sources
        self._clock = clock
        self._looked: dict[Key, float] = {}
        self.received = 0
        self.refused = 0

    async def receive(self, key: Key, headers: Mapping[str, str], body: bytes) -> HookAnswer:
        """``headers`` have lower-case names. GitHub, Gitea, Forgejo: ``X-Hub-Signature-256``; GitLab:
        ``X-Gitlab-Token``.
        """
        state = self._fleet.sources.get(key)
        # The same answer for "no such Repository", "no hook secret" and "wrong signature".
        refusal = HookAnswer(403, "refused: no such hook, or its signature is wrong\n")
        if len(body) > LIMIT:
            return HookAnswer(413, f"refused: a hook is at most {LIMIT} bytes\n")
        if state is None or state.written is None or state.written.spec.hook is None:
            self.refused += 1
            return refusal
        name = state.written.spec.hook.secret
        secret = await self._secrets.hook(key, name)
        if not secret or not signed(secret, headers, body):
            secret = await self._secrets.hook(key, name, again=True)
            if not secret or not signed(secret, headers, body):
                self.refused += 1
                return refusal
        self.received += 1
        now = self._clock.monotonic()
        wait = self._looked.get(key, float("-inf")) + SPACING - now
        if wait > 0:
            self._sources.add_after(key, wait)
        else:
            self._looked[key] = now
            self._sources.add(key)
        return HookAnswer(202, "the repository is looked at now\n")


def signed(secret: bytes, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a hook was made by somebody who has the secret."""
    signature = headers.get("x-hub-signature-256", "")
    if signature:
        expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(signature.encode("latin-1", "replace"), expected.encode())
    token = headers.get("x-gitlab-token", "")
    return bool(token) and hmac.compare_digest(token.encode("latin-1", "replace"), secret)
