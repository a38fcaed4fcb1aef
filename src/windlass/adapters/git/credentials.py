"""What a repository is read or written with, from a Secret with the usual keys. It can't be printed, and is never part
of a command."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import override

from windlass.adapters.git.errors import GitRefused


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Empty fields are not used. For https a bearer token, or user name and password; ``ca`` are the certificates (PEM)
    that a private server is checked against. For ssh the private key ``identity`` and the host keys ``known_hosts``, as
    OpenSSH writes them."""

    username: str = ""
    password: str = ""
    bearer_token: str = ""
    identity: bytes = b""
    known_hosts: bytes = b""
    ca: bytes = b""

    @classmethod
    def from_secret(cls, data: Mapping[str, bytes]) -> Credentials:
        """From the decoded ``data`` of a Secret. Raises GitRefused where it is of no use, naming keys and never
        values."""

        def text(key: str) -> str:
            try:
                value = data.get(key, b"").decode().strip()
            except UnicodeDecodeError:
                raise GitRefused(
                    f"{key} in the Secret is not text", cause="credentials", hint="store it as UTF-8"
                ) from None
            if any(ord(char) < 32 for char in value):
                raise GitRefused(
                    f"{key} in the Secret has more than one line", cause="credentials", hint="store just the value"
                )
            return value

        found = cls(
            username=text("username"),
            password=text("password"),
            bearer_token=text("bearerToken"),
            identity=data.get("identity", b""),
            known_hosts=data.get("known_hosts", b""),
            ca=data.get("ca.crt", b""),
        )
        if found == cls():
            raise GitRefused(
                "the Secret has none of the keys that a repository needs",
                cause="credentials",
                hint="username and password, or bearerToken, or identity and known_hosts; ca.crt for a private CA",
            )
        return found

    def authorization(self) -> str:
        """The Authorization header for https, or nothing."""
        if self.bearer_token:
            return f"Bearer {self.bearer_token}"
        if self.username or self.password:
            return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return ""

    def secrets(self) -> list[str]:
        """What must never be seen, the longest first."""
        found = [self.password, self.bearer_token, self.authorization().partition(" ")[2]]
        return sorted((value for value in found if value), key=len, reverse=True)

    @override
    def __repr__(self) -> str:
        return "Credentials(****)"
