"""SOPS with age: the keys that open a file, its values one by one, and the code that proves that nobody changed it.

``sops_files`` knows the formats; this module knows what they share. The data key of a file is encrypted for age
recipients; each value is sealed by AES-256-GCM together with the path of keys that leads to it, so that no value can be
moved; the MAC is over all values in their order, so that none can be taken out or put in. A file whose MAC is wrong is
refused. No value, and no key, gets into a message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

import msgspec
import pyrage
import re2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

from windlass.adapters.git.errors import GitRefused
from windlass.errors import Where

Value = str | int | float | bool

_SEALED = re.compile(
    r"ENC\[AES256_GCM,data:([A-Za-z0-9+/=]*),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]"
)
# What sops begins the MAC with where it is over encrypted values alone.
_ENCRYPTED_ONLY = hashlib.sha256(b"sops").digest()
_OTHERS = {
    "kms": "AWS KMS",
    "gcp_kms": "Google Cloud KMS",
    "azure_kv": "Azure Key Vault",
    "hc_vault": "HashiCorp Vault",
    "pgp": "PGP",
}
_MOST_REGEX = 1024


class NotDecrypted(GitRefused):
    """A file encrypted with SOPS can't be opened: no key fits, it was changed, or it uses what is not supported."""

    slug: ClassVar[str] = "not-decrypted"
    reason: ClassVar[str] = "NotDecrypted"


def refused(what: str, hint: str, line: int = 0) -> NotDecrypted:
    """The error for a file; whoever knows its path puts it in."""
    return NotDecrypted(what, cause="sops", hint=hint, where=Where(line=line))


class Recipient(msgspec.Struct, frozen=True):
    """One age recipient, and the data key encrypted for it."""

    recipient: str = ""
    enc: str = ""


class KeyGroup(msgspec.Struct, frozen=True):
    """A group of keys of which one is enough."""

    age: list[Recipient] | None = None


class Metadata(msgspec.Struct, frozen=True):
    """What stands under ``sops`` in a file."""

    age: list[Recipient] | None = None
    key_groups: list[KeyGroup] | None = None
    kms: list[object] | None = None
    gcp_kms: list[object] | None = None
    azure_kv: list[object] | None = None
    hc_vault: list[object] | None = None
    pgp: list[object] | None = None
    mac: str = ""
    lastmodified: str = ""
    unencrypted_suffix: str = ""
    encrypted_suffix: str = ""
    unencrypted_regex: str = ""
    encrypted_regex: str = ""
    unencrypted_comment_regex: str = ""
    encrypted_comment_regex: str = ""
    mac_only_encrypted: bool = False


def metadata_of(content: object) -> Metadata:
    """Reads it. Raises NotDecrypted."""
    try:
        return msgspec.convert(content, Metadata, strict=False)
    except msgspec.ValidationError as error:
        raise refused(f"what stands under sops is not as sops writes it: {error}", "encrypt the file anew") from None


class Identities:
    """The age identities of an Application. Their text is never shown."""

    def __init__(self, files: Mapping[str, bytes], name: str) -> None:
        self.name = name
        self.held: list[pyrage.x25519.Identity] = []
        for key in sorted(files):
            if key.endswith(".agekey"):
                self.held += self._read(key, files[key])

    def _read(self, key: str, data: bytes) -> list[pyrage.x25519.Identity]:
        found = []
        for line in data.decode(errors="replace").splitlines():
            text = line.strip()
            if text and not text.startswith("#"):
                try:
                    found.append(pyrage.x25519.Identity.from_str(text))
                except Exception:  # noqa: BLE001 - whatever it says would quote the key
                    what = f"{key} of {self.name} holds a line that is no age identity"
                    raise refused(what, "a line is AGE-SECRET-KEY-1..., as age-keygen writes it") from None
        return found

    def data_key(self, metadata: Metadata) -> bytes:
        """The key of a file. Raises NotDecrypted."""
        recipients = self._recipients(metadata)
        for one in recipients:
            try:
                key = pyrage.decrypt(_unarmored(one.enc), self.held) if self.held else b""
            except (pyrage.DecryptError, ValueError):
                continue
            if len(key) == 32:
                return bytes(key)
        if not self.held:
            raise refused(
                f"{self.name} holds no key: none of its keys ends in .agekey",
                f"kubectl create secret generic {self.name.rpartition(' ')[2]} --from-file=age.agekey=keys.txt",
            )
        named = ", ".join(one.recipient for one in recipients[:5])
        raise refused(f"no key of {self.name} opens this file", f"it is encrypted for {named}")

    def _recipients(self, metadata: Metadata) -> Sequence[Recipient]:
        groups = metadata.key_groups or []
        if len(groups) > 1:
            raise refused(
                "the key of this file is split among groups of keys (Shamir), which is not supported",
                "encrypt it without key groups",
            )
        recipients = [*(metadata.age or []), *(one for group in groups for one in group.age or [])]
        if not recipients:
            others = [words for name, words in _OTHERS.items() if getattr(metadata, name)]
            raise refused(
                f"this file is encrypted with {' and '.join(others) or 'no key at all'}; only age is supported",
                "add an age recipient: sops --add-age <recipient> --in-place rotate <file>",
            )
        return recipients

    @override
    def __repr__(self) -> str:
        return f"Identities({self.name}, {len(self.held)})"


def _unarmored(text: str) -> bytes:
    """The file inside ``-----BEGIN AGE ENCRYPTED FILE-----``. Raises ValueError."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(lines) < 3 or not lines[0].startswith("-----BEGIN AGE") or not lines[-1].startswith("-----END AGE"):
        raise ValueError("no armor")
    return base64.b64decode("".join(lines[1:-1]), validate=True)


class Opener:
    """Opens the values of one file in their order, and checks at the end that nobody changed it. ``taken`` are the
    values that were opened, for whoever keeps them out of messages."""

    def __init__(self, metadata: Metadata, key: bytes) -> None:
        if metadata.unencrypted_comment_regex or metadata.encrypted_comment_regex:
            raise refused(
                "what is encrypted in this file is told by comments, which is not supported",
                "use encrypted_regex or encrypted_suffix in its creation rule",
            )
        self._metadata = metadata
        self._cipher = AESGCM(key)
        self.taken: set[str] = set()
        self._encrypted_regex = _regex(metadata.encrypted_regex)
        self._unencrypted_regex = _regex(metadata.unencrypted_regex)
        self._mac = hashlib.sha512(_ENCRYPTED_ONLY if metadata.mac_only_encrypted else b"")

    def sealed(self, path: Sequence[str]) -> bool:
        """Whether the value under these keys is encrypted (indices of lists do not count)."""
        metadata = self._metadata
        sealed = True
        if metadata.unencrypted_suffix:
            sealed = not any(part.endswith(metadata.unencrypted_suffix) for part in path)
        if metadata.encrypted_suffix:
            sealed = any(part.endswith(metadata.encrypted_suffix) for part in path)
        if self._unencrypted_regex is not None:
            sealed = sealed and not any(self._unencrypted_regex.search(part) for part in path)
        if self._encrypted_regex is not None:
            sealed = any(self._encrypted_regex.search(part) for part in path)
        return sealed

    def take(self, text: str, path: Sequence[str], line: int = 0) -> Value:
        """An encrypted value, opened. Raises NotDecrypted."""
        if text == "":
            return ""
        opened, kind = self._open(text, ":".join([*path, ""]), path, line)
        try:
            value = _typed(opened, kind)
        except (ValueError, OverflowError):
            raise refused(f"{_shown(path)} is not what its type says", "encrypt the file anew", line) from None
        self._mac.update(_bytes(value))
        self.taken.add(str(value))
        return value

    def take_comment(self, text: str, path: Sequence[str], line: int = 0) -> None:
        """A comment that became an item of a list, as `sops` writes the last one. It is not under the MAC."""
        self.comment(text, path, line)

    def comment(self, text: str, path: Sequence[str], line: int = 0) -> str:
        """An encrypted comment, opened. It is not under the MAC. Raises NotDecrypted."""
        opened, _ = self._open(text, ":".join([*path, ""]), path, line)
        words = opened.decode(errors="replace")
        self.taken.add(words)
        return words

    def take_bytes(self, text: str, path: Sequence[str]) -> bytes:
        """An encrypted value that need not be text."""
        opened = self._open(text, ":".join([*path, ""]), path, 0)[0] if text else b""
        self._mac.update(opened)
        self.taken.add(opened.decode(errors="ignore"))
        return opened

    def pass_by(self, value: Value) -> None:
        """A value that is not encrypted, in its place."""
        try:
            data = _bytes(value)
        except UnicodeEncodeError:  # half of a surrogate pair, as JSON may name it
            raise refused("a value of this file is no text", "encrypt the file anew from what it should be") from None
        if not self._metadata.mac_only_encrypted:
            self._mac.update(data)

    def _open(self, text: str, bound: str, path: Sequence[str], line: int) -> tuple[bytes, str]:
        found = _SEALED.fullmatch(text)
        if found is None:
            raise refused(f"{_shown(path)} is not encrypted, and should be", "encrypt the file anew", line)
        try:
            data, nonce, tag = (base64.b64decode(part, validate=True) for part in found.groups()[:3])
            return self._cipher.decrypt(nonce, data + tag, bound.encode()), found[4]
        except (InvalidTag, binascii.Error, ValueError, OverflowError):
            raise refused(
                f"{_shown(path)} can't be decrypted: it was changed, or moved here from another place",
                "encrypt the file anew from what it should be",
                line,
            ) from None

    def check(self) -> None:
        """Raises NotDecrypted where the file is not as ``sops`` left it."""
        metadata = self._metadata
        if not metadata.mac:
            raise refused("the file has no MAC", "encrypt it anew")
        told, _ = self._open(metadata.mac, metadata.lastmodified, ["sops", "mac"], 0)
        if not hmac.compare_digest(told, self._mac.hexdigest().upper().encode()):
            raise refused(
                "the file was changed after it was encrypted: its MAC does not fit its values",
                "edit it with sops, which keeps the MAC, or encrypt it anew",
            )


def is_comment(text: str) -> bool:
    """Whether this is an encrypted comment."""
    found = _SEALED.fullmatch(text)
    return found is not None and found[4] == "comment"


def _regex(pattern: str) -> re2._Regexp | None:
    if not pattern:
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        if len(pattern) > _MOST_REGEX:
            raise re2.error("too long")
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError):
        raise refused("a pattern of this file's sops block can't be used", "mend encrypted_regex") from None


def _shown(path: Sequence[str]) -> str:
    return ".".join(path)[:200]


def _typed(opened: bytes, kind: str) -> Value:
    """Raises ValueError."""
    text = opened.decode()
    match kind:
        case "str" | "bytes" | "time" | "comment":
            return text
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "bool":
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
    raise ValueError("not of its type")


def _bytes(value: Value) -> bytes:
    """A value as the MAC takes it."""
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, float):
        return plain_float(value).encode()
    return str(value).encode()


def plain_float(value: float) -> str:
    """The shortest digits that mean this number, without an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
