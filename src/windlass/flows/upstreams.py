"""What the controller writes to: a Repository's branch, with the credentials, author and key that it names for writing.

Automatic rollback, the expiry of exceptions, image policies and the ledger ask here. A Repository without ``write`` is
never pushed to, and reading credentials are never used for it.
"""

from __future__ import annotations

from pathlib import Path

from windlass.adapters.git import Credentials, MachineUpstream, SigningKey, Transport
from windlass.adapters.git.mirror import mirror_folder
from windlass.core.kinds.repository import Repository, Write
from windlass.errors import NeedsHuman, Where
from windlass.flows.fleet import Key
from windlass.flows.secrets import SecretReader
from windlass.flows.write import Writer
from windlass.ports import Clock


class Upstreams:
    """``folder`` holds mirrors for writing, apart from those for reading; it may be lost at any time."""

    def __init__(self, secrets: SecretReader, clock: Clock, folder: Path, *, local: bool) -> None:
        self._secrets = secrets
        self._clock = clock
        self._folder = folder
        self._local = local

    async def writer(self, written: Repository, *, fresh: bool = False, branch: str = "") -> Writer:
        """The writer for a Repository's branch, inside its ``write.paths``. Raises NeedsHuman where it has none.

        ``fresh``: the Secrets were refused, they may have been rotated. ``branch``: another than the one that is
        followed, made from that where it is not there.
        """
        spec = writing(written)
        upstream = await self.upstream(written, fresh=fresh, branch=branch)
        name = f"{written.metadata.namespace}/{written.metadata.name}"
        return Writer(upstream, self._clock, repository=name, allowed=tuple(spec.paths))

    async def upstream(self, written: Repository, *, fresh: bool = False, branch: str = "") -> MachineUpstream:
        """The branch itself. Raises NeedsHuman, GitRefused."""
        spec = writing(written)
        namespace = written.metadata.namespace
        secret = await self._secrets.read(namespace, spec.secret, fresh=fresh)
        key = None
        if spec.signing_key is not None:
            signing = await self._secrets.read(namespace, spec.signing_key.secret, fresh=fresh)
            key = SigningKey.read(signing.get("identity", b""))
        name = str(Key(namespace, written.metadata.name))
        followed = branch_of(written)
        other = branch if branch != followed else ""
        return MachineUpstream(
            mirror_folder(str(self._folder), f"{name}#write{f'#{other}' if other else ''}", written.spec.url),
            written.spec.url,
            other or followed,
            name=spec.author.name,
            email=spec.author.email,
            credentials=Credentials.from_secret(secret),
            key=key,
            transport=Transport(allow_local=self._local),
            start=followed if other else "",
        )


def writing(written: Repository) -> Write:
    """The ``write`` of a Repository. Raises NeedsHuman where it has none."""
    if written.spec.write is None:
        raise NeedsHuman(
            f"Repository {written.metadata.name} has no credentials for writing: nothing is pushed to it",
            where=Where(field="spec.write"),
            hint="name a Secret in spec.write.secret and the paths in spec.write.paths",
        )
    return written.spec.write


def branch_of(written: Repository) -> str:
    """The branch that a Repository follows by name. Raises NeedsHuman where it follows something else."""
    if not written.spec.ref.branch:
        raise NeedsHuman(
            f"Repository {written.metadata.name} follows {written.spec.ref}, and a commit needs a branch by name",
            where=Where(field="spec.ref.branch"),
            hint="name it: ref: {branch: main}",
        )
    return written.spec.ref.branch
