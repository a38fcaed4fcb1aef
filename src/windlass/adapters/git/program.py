"""The ``git`` program as a limited child that talks to one remote: no settings of this machine, no hooks, no prompts,
no transport but the one of the address, and credentials by files and variables that only it can read.

Used by ``Mirror`` and ``push``. What git says on its error output is put into words by ``words.py`` and never shown as
it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from windlass.adapters.git.credentials import Credentials
from windlass.adapters.git.errors import GitRefused, GitUnavailable
from windlass.adapters.git.urls import GitUrl
from windlass.adapters.git.words import told
from windlass.adapters.host.children import (
    ChildOutput,
    ChildTimeout,
    Finished,
    Limits,
    find_program,
    run_child,
    search_path,
)

_CONFIG = {
    "protocol.allow": "never",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.askPass": "",
    "credential.helper": "",
    "credential.interactive": "never",
    "fetch.fsckObjects": "true",
    "transfer.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.unpackLimit": "1",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "20",
    "http.sslVerify": "true",
    "http.userAgent": "windlass",
    "protocol.version": "2",
    "core.sshCommand": "false",
}


@dataclass(frozen=True, slots=True)
class Transport:
    """How far to go. ``timeout`` in seconds for one command, ``ask_timeout`` for asking what a branch is at; ``size``
    in bytes for what one fetch may bring; ``allow_local`` takes folders of this machine (the devstack and tests)."""

    timeout: float = 300.0
    ask_timeout: float = 30.0
    size: int = 1024 * 1024 * 1024
    allow_local: bool = False
    proxy: str = ""


class Remote:
    """One repository somewhere else, with what opens it."""

    def __init__(self, url: GitUrl, credentials: Credentials | None, transport: Transport) -> None:
        self.url = url
        self.credentials = credentials or Credentials()
        self.transport = transport
        if url.scheme == "ssh" and not (self.credentials.identity and self.credentials.known_hosts):
            raise GitRefused(
                f"ssh to {url.origin} needs a key and the host's keys",
                cause="credentials",
                hint=f"put identity (a private key) and known_hosts (see ssh-keyscan {url.host}) into the Secret",
            )

    async def git(
        self, *arguments: str, folder: str | None = None, asking: bool = False, stdin: bytes = b""
    ) -> Finished:
        """Run one git command on the remote, or on what came from it. Raises GitUnavailable and GitRefused in words; a
        Finished has code 0, but for pushes."""
        transport = self.transport
        limits = Limits(
            timeout=transport.ask_timeout if asking else transport.timeout,
            file_size=transport.size,
            output=32 * 1024 * 1024,
        )
        program = await asyncio.to_thread(find_program, "git")
        folder = await asyncio.to_thread(os.path.abspath, folder) if folder else None
        where = [f"--git-dir={folder}"] if folder else []
        try:
            async with self._environment(program) as env:
                command = [program, *where, *arguments]
                done = await run_child(command, env=env, cwd=folder or env["HOME"], stdin=stdin, limits=limits)
        except ChildTimeout:
            raise GitUnavailable(
                f"{self.url.origin} did not finish within {limits.timeout:g} s", cause="timeout"
            ) from None
        except ChildOutput:
            raise GitRefused(
                f"{self.url.origin} has too many branches and tags",
                cause="too-large",
                hint="follow a branch of a smaller repository",
            ) from None
        if done.code != 0 and arguments[0] != "push":
            raise told(self.url, done, self.credentials.secrets())
        return done

    @contextlib.asynccontextmanager
    async def _environment(self, program: str) -> AsyncIterator[dict[str, str]]:
        """The whole environment of the child. Keys are files that live as long as the command, readable by this user
        alone."""
        credentials, scheme = self.credentials, self.url.scheme
        config = {**_CONFIG, f"protocol.{scheme}.allow": "always"}
        with tempfile.TemporaryDirectory(prefix="windlass-git-") as folder:
            env = {
                "PATH": await asyncio.to_thread(_path, program),
                "HOME": folder,
                # No repository above the folder of a command is looked for.
                "GIT_CEILING_DIRECTORIES": os.path.dirname(folder),
                "LC_ALL": "C",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_ASKPASS": "false",
                "GIT_SSH_VARIANT": "ssh",
                "GIT_SSH_COMMAND": "false",
                "GIT_OPTIONAL_LOCKS": "0",
            }
            if scheme == "ssh":
                files = {"identity": credentials.identity, "known_hosts": credentials.known_hosts}
                await asyncio.to_thread(_write, folder, files)
                env["GIT_SSH_COMMAND"] = ssh_command(folder)
            if scheme in ("https", "http"):
                if header := credentials.authorization():
                    config["http.extraHeader"] = f"Authorization: {header}"
                if credentials.ca:
                    await asyncio.to_thread(_write, folder, {"ca.crt": credentials.ca})
                    config["http.sslCAInfo"] = os.path.join(folder, "ca.crt")
                if self.transport.proxy:
                    config["http.proxy"] = self.transport.proxy
            env["GIT_CONFIG_COUNT"] = str(len(config))
            for index, (key, value) in enumerate(config.items()):
                env[f"GIT_CONFIG_KEY_{index}"] = key
                env[f"GIT_CONFIG_VALUE_{index}"] = value
            yield env


def ssh_command(folder: str) -> str:
    """OpenSSH with the one key and the pinned host keys of ``folder``, and nothing of this machine's settings."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "15",
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "3",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": os.path.join(folder, "known_hosts"),
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "CheckHostIP": "no",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": os.path.join(folder, "identity"),
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",
        "PermitLocalCommand": "no",
        "ProxyCommand": "none",
        "ControlMaster": "no",
        "ControlPath": "none",
        "LogLevel": "ERROR",
    }
    parts = ["ssh", "-F", "/dev/null"]
    for key, value in options.items():
        parts += ["-o", f"{key}={value}"]
    return shlex.join(parts)


def _path(git: str) -> str:
    found = [git]
    with contextlib.suppress(Exception):
        found.append(find_program("ssh"))
    return search_path(*found)


def _write(folder: str, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        handle = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            # ssh refuses a key whose last line has no end.
            file.write(data if data.endswith(b"\n") else data + b"\n")


def argument(values: Sequence[str]) -> list[str]:
    """Values as arguments that can't be options: a guard for programmers, after everything was checked."""
    if any(value.startswith("-") or "\0" in value for value in values):
        raise AssertionError("an argument looks like an option")
    return ["--", *values]
