"""Addresses of repositories: which are taken, and how they are shown. Used by ``Mirror`` and ``push`` before anything
else happens.

Taken are https and ssh (also written ``git@host:path``), http to this machine alone, and folders only where the caller
allows them. Refused is everything that the ``git`` program would run, guess or leak: other transports (``ext::`` runs
commands), control characters, a leading dash, passwords in the address.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from windlass.adapters.git.errors import GitRefused

_URL = re.compile(
    r"(?P<scheme>https|http|ssh)://(?:(?P<user>[^@/]*)@)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^?#]*)"
)
_SHORT_SSH = re.compile(r"(?:(?P<user>[^@/:]*)@)?(?P<host>[A-Za-z0-9._-]+):(?P<path>[^:].*)")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class GitUrl:
    """An address that was checked. ``scheme`` is https, http, ssh or file; ``text`` is what the ``git`` program
    gets."""

    scheme: str
    host: str
    text: str
    port: int = 0

    @property
    def origin(self) -> str:
        """Who is talked to, for messages."""
        return f"{self.host}:{self.port}" if self.port else self.host or self.text


def masked(text: str) -> str:
    """Text for people and logs: whatever stands before the @ of an address is hidden."""
    return _USERINFO.sub(r"\g<scheme>****@", text)


def parse_url(text: str, *, allow_local: bool = False) -> GitUrl:
    """Check an address. ``allow_local`` takes absolute paths and ``file://``. Raises GitRefused, never showing a
    password."""
    if not text or len(text) > 2000 or text != text.strip() or any(ord(char) < 33 or ord(char) == 127 for char in text):
        raise _refused(
            "the address of a repository has spaces, control characters or no text", "write one address without spaces"
        )
    if text.startswith("-"):
        raise _refused(
            "the address of a repository begins with a dash", "write https://host/path or ssh://git@host/path"
        )
    if text.startswith("/") or text.startswith("file:///"):
        return _local(text, allow_local)
    if found := _URL.fullmatch(text):
        return _remote(text, found)
    if "://" not in text and "::" not in text and (found := _SHORT_SSH.fullmatch(text)):
        _check_ssh(found["user"], found["host"], found["path"])
        return GitUrl("ssh", found["host"], text)
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=::|://)", text)
    raise _refused(
        f"{scheme[0]}: is no way to reach a repository here" if scheme else "this is not the address of a repository",
        "write https://host/path or ssh://git@host/path",
    )


def _remote(text: str, found: re.Match[str]) -> GitUrl:
    scheme, host, user = found["scheme"], found["host"], found["user"]
    port = int(found["port"] or 0)
    if port > 65535:
        raise _refused(f"{port} is no port", "ports go up to 65535")
    if scheme == "ssh":
        _check_ssh(user, host, found["path"])
    elif user is not None:
        raise _refused(
            f"the address of {host} has a user or password in it",
            "put username and password, or bearerToken, into the Secret of the Repository",
        )
    if host.startswith(("-", ".")):
        raise _refused("this is not the name of a host", "write https://host/path")
    if scheme == "http" and not _is_loopback(host):
        raise _refused(f"http to {host} could be read and changed on its way", "write https")
    return GitUrl(scheme, host, text, port)


def _check_ssh(user: str | None, host: str, path: str) -> None:
    if host.startswith(("-", ".")) or path.startswith("-"):
        raise _refused("the address of a repository has a part that begins with a dash", "write ssh://git@host/path")
    if user is not None and not _USER.fullmatch(user):
        raise _refused(
            f"the address of {host} has a password or an odd user name in it",
            "write ssh://git@host/path; the key goes into the Secret",
        )


def _local(text: str, allowed: bool) -> GitUrl:
    path = text.removeprefix("file://")
    if not allowed:
        raise _refused(
            "folders of this machine are not repositories here", "write https://host/path or ssh://git@host/path"
        )
    if "%" in path or "/../" in path + "/":
        raise _refused("the path of a repository must be plain, without .. and %", "write the absolute path")
    return GitUrl("file", "", path)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _refused(what: str, hint: str) -> GitRefused:
    return GitRefused(what, cause="url", hint=hint)
