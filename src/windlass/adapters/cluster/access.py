"""Where an API server is and who asks: `Access`, with its kinds of credentials, and the Pod's own access.

`kubeconfig.py` makes it from a person's file, `in_cluster` from what a Pod is given; `client.py` uses it. Nothing here
reads the environment (`settings.py` passes paths and addresses in), and no credential is ever part of a message.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from typing_extensions import override

from windlass.errors import Where
from windlass.ports import NotAllowed

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REREAD = 60.0  # seconds until a token file is read again; the kubelet renews it long before it runs out
LARGEST = 10_000_000  # bytes of a file of credentials


class AccessUnusable(NotAllowed):
    """The kubeconfig, or what a Pod is given, can't be used: what is wrong, where, and the mend."""

    slug: ClassVar[str] = "access-unusable"
    reason: ClassVar[str] = "AccessUnusable"


class Credentials(Protocol):
    """Where the `Authorization` header comes from."""

    async def header(self) -> str:
        """The value of the header; empty where a client certificate, or nothing, says who asks."""
        ...

    def refused(self) -> None:
        """The API server answered 401: what is remembered is not to be used again."""
        ...

    @property
    def renewable(self) -> bool:
        """Whether asking again after `refused` can bring something else."""
        ...


@dataclass(frozen=True)
class FixedToken:
    """A token that stays as it is; empty for none."""

    token: str = field(default="", repr=False)

    async def header(self) -> str:
        return f"Bearer {self.token}" if self.token else ""

    def refused(self) -> None:
        """Nothing else can be had."""

    @property
    def renewable(self) -> bool:
        return False


class TokenFile:
    """A token that is replaced in its file: read again each minute, and at once when it is refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._header = ""
        self._due = 0.0

    async def header(self) -> str:
        now = asyncio.get_running_loop().time()
        if now >= self._due:
            # A few hundred bytes of a memory file system: a thread would cost more than the read.
            self._header = f"Bearer {read_text(self.path, 'the token file')}"
            self._due = now + REREAD
        return self._header

    def refused(self) -> None:
        self._due = 0.0

    @property
    def renewable(self) -> bool:
        return True

    @override
    def __repr__(self) -> str:
        return f"TokenFile({str(self.path)!r})"


@dataclass(frozen=True)
class Access:
    """How to reach one API server. `server` is an https URL without a trailing slash; `name` is what a person calls it
    (the context); `namespace` the default one; `server_name` the name in its certificate where that is not the host;
    `impersonate` whom requests are made as where they do not say themselves (`as` of a kubeconfig).
    """

    server: str
    tls: ssl.SSLContext = field(repr=False)
    credentials: Credentials = field(default_factory=FixedToken, repr=False)
    namespace: str = "default"
    name: str = ""
    server_name: str = ""
    impersonate: str = ""


def in_cluster(host: str, port: str, folder: Path = SERVICE_ACCOUNT) -> Access:
    """The access of a Pod: `host` and `port` are its KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.

    Raises AccessUnusable where this is no Pod, or one without a service account's token.
    """
    if not host or not port.isdigit():
        raise AccessUnusable(
            "not running in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set",
            hint="name a kubeconfig, or run it as a Pod",
        )
    token, authority, namespace = folder / "token", folder / "ca.crt", folder / "namespace"
    read_text(token, "the service account's token")
    tls = tls_context(read_text(authority, "the cluster's certificate authority"), str(authority))
    home = read_text(namespace, "the Pod's namespace") if namespace.exists() else "default"
    address = f"[{host}]" if ":" in host else host
    return Access(f"https://{address}:{port}", tls, TokenFile(token), home, name="in-cluster")


def tls_context(authority: str, source: str) -> ssl.SSLContext:
    """A verifying context that trusts `authority` (PEM text; empty: the machine's own). `source` is named in errors."""
    try:
        context = ssl.create_default_context(cadata=authority or None)
    except (ssl.SSLError, ValueError) as error:
        raise AccessUnusable(
            "the certificate authority can't be read as PEM", where=Where(file=source), hint="it begins with -----BEGIN"
        ) from error
    # Python 3.13 and later ask of certificates what many clusters' own authorities do not have (key identifiers).
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", ssl.VerifyFlags(0))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def read_text(path: Path, what: str) -> str:
    """A small text file, stripped. Raises AccessUnusable with its name."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        words = error.strerror or type(error).__name__
        hint = "a Pod with automountServiceAccountToken: false has none" if path.parent == SERVICE_ACCOUNT else ""
        raise AccessUnusable(f"can't read {what}: {words}", where=Where(file=str(path)), hint=hint) from error
    if len(content) > LARGEST:
        raise AccessUnusable(f"{what} is larger than 10 MB", where=Where(file=str(path)))
    try:
        text = content.decode().strip()
    except UnicodeDecodeError as error:
        raise AccessUnusable(f"{what} is not text", where=Where(file=str(path))) from error
    if not text:
        raise AccessUnusable(f"{what} is empty", where=Where(file=str(path)))
    return text
