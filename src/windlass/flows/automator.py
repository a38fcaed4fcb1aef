"""The Automator put together: policies looked at, what they decide handed to the writer, hooks of registries received.

``app`` makes one and starts it. It holds no logic of its own but who may send a hook: whoever shows the token that the
policy's ``hook`` Secret holds, in the way that its registry can.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping

from windlass.core.images import pushed
from windlass.flows.commits import Commits
from windlass.flows.fleet import Fleet, Key, SourceState
from windlass.flows.hooks import LIMIT, HookAnswer, signed
from windlass.flows.image_commits import ImageCommits
from windlass.flows.image_search import ImageSearch
from windlass.flows.images import POLICIES, ImageFlow
from windlass.flows.queue import WorkQueue
from windlass.flows.record import Recorder
from windlass.flows.secrets import SecretReader
from windlass.flows.supervise import Supervisor
from windlass.ports import Clock, Cluster

BOUND = 180.0
REFUSAL = HookAnswer(403, "refused: no such hook, or its token is wrong\n")


class Automator:
    """What it writes goes through ``commits``, as all that the controller writes into Git."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        secrets: SecretReader,
        search: ImageSearch,
        commits: Commits,
        clock: Clock,
        record: Recorder,
    ) -> None:
        self._cluster = cluster
        self._secrets = secrets
        self._at: dict[Key, str] = {}
        self.queue: WorkQueue[Key] = WorkQueue(base=1.0, cap=300.0)
        own = ImageCommits(commits, clock, record)
        self.flow = ImageFlow(fleet, cluster, secrets, search, clock, self.queue, own)

    def start(self, supervisor: Supervisor) -> None:
        """Watches the policies and serves their queue."""
        supervisor.keep(self._follow, "image policies")
        supervisor.workers(self.queue, self.flow.look, "image policy", count=8, bound=BOUND)

    async def _follow(self) -> None:
        async for kind, content in self._cluster.follow(POLICIES):
            if kind != "SYNCED":
                self.flow.take(kind, content)

    def source_changed(self, state: SourceState) -> None:
        """Called after each look at a Repository: where it came to another commit, its policies look again."""
        if state.commit and self._at.get(state.key) != state.commit:
            self._at[state.key] = state.commit
            self.flow.moved(state)

    async def hook(self, key: Key, headers: Mapping[str, str], query: str, body: bytes) -> HookAnswer:
        """A push hook of a registry, sent for a policy. ``headers`` have lower-case names."""
        if len(body) > LIMIT:
            return HookAnswer(413, f"refused: a hook is at most {LIMIT} bytes\n")
        state = self.flow.policies.get(key)
        if state is None or state.written is None or state.written.spec.hook is None:
            return REFUSAL
        name = state.written.spec.hook.secret
        for again in (False, True):
            token = await self._secrets.hook(key, name, again=again)
            if token and shown(token, headers, query, body):
                self.flow.pushed(key, pushed(body))
                return HookAnswer(202, "the image is looked at now\n")
        return REFUSAL


def shown(token: bytes, headers: Mapping[str, str], query: str, body: bytes) -> bool:
    """Whether a hook shows the token: by a signature over its body (GitHub, Gitea), in a header (GitLab, Harbor,
    distribution), or in the address (Docker Hub and Quay can't do better)."""
    if headers.get("x-hub-signature-256") or headers.get("x-gitlab-token"):
        return signed(token, headers, body)
    if gitea := headers.get("x-gitea-signature", ""):
        expected = hmac.new(token, body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(gitea.encode("latin-1", "replace"), expected.encode())
    if authorization := headers.get("authorization", ""):
        return any(hmac.compare_digest(one, token) for one in _given(authorization))
    given = urllib.parse.parse_qs(query, max_num_fields=20).get("token", [""])[0] if len(query) < 4096 else ""
    return bool(given) and hmac.compare_digest(given.encode(), token)


def _given(authorization: str) -> list[bytes]:
    """What an ``Authorization`` header may mean: a bearer token, a password, or the token as it is."""
    whole = authorization.strip().encode("latin-1", "replace")
    scheme, _, rest = whole.partition(b" ")
    if scheme.lower() == b"bearer":
        return [rest.strip()]
    if scheme.lower() == b"basic":
        try:
            return [base64.b64decode(rest.strip(), validate=True).partition(b":")[2]]
        except ValueError:
            return []
    return [whole]
