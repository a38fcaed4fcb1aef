"""A root of trust of Sigstore: whom keyless signatures may come from, which logs and which clocks are believed.

``trusted_root.json`` (TrustedRoot of Sigstore's protobuf-specs, in JSON): certificate authorities, certificate
transparency logs, transparency logs, timestamp authorities, each with the time in which it counts. It is the person's
to give; nothing is built in and nothing is fetched. A root that could never show a good signature is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from windlass.core.model.foreign import UNREADABLE
from windlass.errors import NeedsHuman

LogKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
LARGEST_ROOT = 1 << 20
BROKEN = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)
"""What ``cryptography`` raises about certificates that are none, or are of a kind that it does not know."""

MOST = 64
_MEDIA = ("application/vnd.dev.sigstore.trustedroot+json;version=0.1", "application/vnd.dev.sigstore.trustedroot.v0.")
_EDGE = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


class BadRoot(NeedsHuman):
    """The root that keyless signatures are held against can't be read, or lacks what no signature does without."""

    slug: ClassVar[str] = "bad-root"
    reason: ClassVar[str] = "BadRoot"


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` to ``end``, both included; None is without an end."""

    start: datetime
    end: datetime | None = None

    def covers(self, when: datetime) -> bool:
        return self.start <= when and (self.end is None or when <= self.end)


@dataclass(frozen=True, slots=True)
class Log:
    """A log and its key. ``name`` is the host it is at, which newer logs sign by."""

    id: bytes
    key: LogKey
    period: Period
    name: str = ""


@dataclass(frozen=True, slots=True)
class Authority:
    """Certificates from the one that issues to the one that is trusted, which is the last."""

    certificates: tuple[x509.Certificate, ...]
    period: Period


@dataclass(frozen=True, slots=True)
class Root:
    """What is trusted. Only ``clocks`` (timestamp authorities, their own certificate first) may be empty."""

    authorities: tuple[Authority, ...]
    certificate_logs: tuple[Log, ...]
    logs: tuple[Log, ...]
    clocks: tuple[Authority, ...]


class _Period(msgspec.Struct):
    start: str = ""
    end: str = ""


class _Key(msgspec.Struct, rename="camel"):
    raw_bytes: bytes = b""
    valid_for: _Period | None = None


class _LogId(msgspec.Struct, rename="camel"):
    key_id: bytes = b""


class _Log(msgspec.Struct, rename="camel"):
    public_key: _Key
    log_id: _LogId
    base_url: str = ""


class _Certificate(msgspec.Struct, rename="camel"):
    raw_bytes: bytes = b""


class _Chain(msgspec.Struct):
    certificates: list[_Certificate] = []


class _Authority(msgspec.Struct, rename="camel"):
    cert_chain: _Chain
    valid_for: _Period | None = None


class _Root(msgspec.Struct, rename="camel"):
    media_type: str
    tlogs: list[_Log] = []
    certificate_authorities: list[_Authority] = []
    ctlogs: list[_Log] = []
    timestamp_authorities: list[_Authority] = []


def read_root(data: bytes) -> Root:
    """The root in these bytes. Raises BadRoot."""
    if len(data) > LARGEST_ROOT:
        raise _bad(f"has more than {LARGEST_ROOT >> 20} MiB")
    if not data:
        raise _bad("is not there")
    try:
        read = msgspec.json.decode(data, type=_Root)
    except UNREADABLE as error:
        raise _bad("can't be read") from error
    if not read.media_type.startswith(_MEDIA):
        raise _bad(f"is of another form: {read.media_type[:80]!r}")
    root = Root(
        authorities=_all("certificateAuthorities", read.certificate_authorities, _authority),
        certificate_logs=_all("ctlogs", read.ctlogs, _log),
        logs=_all("tlogs", read.tlogs, _log),
        clocks=_all("timestampAuthorities", read.timestamp_authorities, _clock),
    )
    for name, found in (
        ("certificate authority (certificateAuthorities)", root.authorities),
        ("certificate transparency log (ctlogs)", root.certificate_logs),
        ("transparency log (tlogs)", root.logs),
    ):
        if not found:
            raise _bad(f"names no {name}, and without one no signature can be shown to be good")
    return root


def _bad(what: str) -> BadRoot:
    return BadRoot(
        f"the trusted root {what}", hint="it is a trusted_root.json: `cosign trusted-root create` makes one of your own"
    )


def _all(name: str, listed: Sequence[T], read: Callable[[T], Log | Authority | None]) -> tuple:  # type: ignore[type-arg]
    if len(listed) > MOST:
        raise _bad(f"has {len(listed)} entries in {name}, over {MOST}")
    found = []
    for number, one in enumerate(listed):
        try:
            made = read(one)
        except BROKEN as error:
            raise _bad(f"has an entry that can't be read: {name}[{number}]") from error
        if made is not None:
            found.append(made)
    return tuple(found)


def _log(read: _Log) -> Log | None:
    """None for a log whose key is of a kind that is not known here: nothing in it can be shown, and others count."""
    if not read.log_id.key_id:
        raise ValueError("a log without its id")
    try:
        key = serialization.load_der_public_key(read.public_key.raw_bytes)
    except UnsupportedAlgorithm:
        return None
    if not isinstance(key, LogKey):
        return None
    host = read.base_url.partition("://")[2].partition("/")[0].partition(":")[0]
    return Log(read.log_id.key_id, key, _period(read.public_key.valid_for), host)


def _authority(read: _Authority) -> Authority:
    if not 0 < len(read.cert_chain.certificates) <= 8:
        raise ValueError("an authority has one certificate to eight")
    certificates = tuple(x509.load_der_x509_certificate(one.raw_bytes) for one in read.cert_chain.certificates)
    return Authority(certificates, _period(read.valid_for))


def _clock(read: _Authority) -> Authority:
    made = _authority(read)
    if len(made.certificates) < 2:
        raise ValueError("a timestamp authority comes with its own certificate and the one that is trusted")
    return made


def _period(read: _Period | None) -> Period:
    if read is None:
        return Period(_EDGE)
    return Period(_moment(read.start) if read.start else _EDGE, _moment(read.end) if read.end else None)


def _moment(text: str) -> datetime:
    made = datetime.fromisoformat(text)
    return made.astimezone(UTC) if made.tzinfo else made.replace(tzinfo=UTC)
