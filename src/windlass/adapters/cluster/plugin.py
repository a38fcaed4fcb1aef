"""Credentials by a program that a person's own kubeconfig names (`client.authentication.k8s.io`).

`kubeconfig.py` makes it, and only when told that this is allowed. It gives the program no terminal, kills it at a
deadline, takes a token from it (client certificates are refused by name), and shows a bounded part of its stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from windlass.adapters.cluster.access import AccessUnusable
from windlass.adapters.cluster.answers import bounded
from windlass.core.model.foreign import UNREADABLE
from windlass.errors import Where

DEADLINE = 60.0  # seconds that a program may take
EARLY = timedelta(seconds=60)  # asked for again so long before its token runs out
VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True)
class Plugin:
    """What the kubeconfig says about the program."""

    user: str
    file: Path
    api_version: str
    command: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    hint: str = ""


class _Status(msgspec.Struct):
    token: str = ""
    expirationTimestamp: datetime | None = None  # noqa: N815 - the API's word
    clientCertificateData: str = ""  # noqa: N815


class _Credential(msgspec.Struct):
    kind: str
    apiVersion: str  # noqa: N815
    status: _Status | None = None


def plugin_from(spec: Any, user: str, file: Path) -> Plugin:
    """Checks the `exec` part of a kubeconfig's user. Raises AccessUnusable."""
    where = Where(file=str(file))
    if not isinstance(spec, dict) or not isinstance(command := spec.get("command"), str) or not command:
        raise AccessUnusable(f"`exec` of the user {user!r} names no command", where=where)
    version = spec.get("apiVersion")
    if version not in VERSIONS:
        raise AccessUnusable(
            f"`exec` of the user {user!r} has apiVersion {version!r}", where=where, hint=f"known: {', '.join(VERSIONS)}"
        )
    if spec.get("interactiveMode") == "Always":
        raise AccessUnusable(
            f"the program of the user {user!r} wants to ask questions on a terminal, which is not supported",
            where=where,
            hint="log in with it first, in a way that it remembers",
        )
    arguments, listed = spec.get("args") or [], spec.get("env") or []
    if not all(isinstance(argument, str) for argument in arguments):
        raise AccessUnusable(f"`exec.args` of the user {user!r} has to be a list of texts", where=where)
    try:
        environment = {str(item["name"]): str(item["value"]) for item in listed}
    except (TypeError, KeyError) as error:
        raise AccessUnusable(f"`exec.env` of the user {user!r} has to be names and values", where=where) from error
    # As in a shell and in kubectl: a bare name is looked for in PATH, one with a slash starts at the file's folder.
    program = str(file.parent / command) if "/" in command else command
    hint = str(spec.get("installHint") or "")
    return Plugin(user, file, version, program, tuple(arguments), environment, bounded(hint, 300))


class PluginCredentials:
    """Runs the program when there is no token yet, when it runs out soon, or when it was refused; once at a time."""

    def __init__(self, plugin: Plugin, environment: Mapping[str, str], server: str) -> None:
        self.plugin = plugin
        self._environment = dict(environment) | plugin.environment
        info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        self._environment["KUBERNETES_EXEC_INFO"] = msgspec.json.encode(info).decode()
        self.server = server
        self._token = ""
        self._until: datetime | None = None
        self._lock = asyncio.Lock()

    async def header(self) -> str:
        async with self._lock:
            if not self._token or (self._until is not None and datetime.now(UTC) >= self._until - EARLY):
                answer = await self._run()
                self._token, self._until = answer.token, answer.expirationTimestamp
            return f"Bearer {self._token}"

    def refused(self) -> None:
        self._token = ""

    @property
    def renewable(self) -> bool:
        return True

    async def _run(self) -> _Status:
        plugin = self.plugin
        where = Where(file=str(plugin.file))
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
            )
        except OSError as error:
            words = error.strerror or type(error).__name__
            raise AccessUnusable(
                f"can't run {plugin.command}, which the user {plugin.user!r} logs in with: {words}",
                where=where,
                hint=plugin.hint or "install it, or choose another context",
            ) from error
        try:
            async with asyncio.timeout(DEADLINE):
                out, err = await process.communicate()
        except TimeoutError as error:
            raise AccessUnusable(f"{plugin.command} gave no answer in {DEADLINE:.0f} s", where=where) from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            told = bounded(err.decode(errors="replace"), 300)
            raise AccessUnusable(
                f"{plugin.command} failed with exit code {process.returncode}: {told}",
                where=where,
                hint="log in with it again",
            )
        return self._checked(out, where)

    def _checked(self, out: bytes, where: Where) -> _Status:
        try:
            answer = msgspec.json.decode(out, type=_Credential)
        except UNREADABLE as error:
            raise AccessUnusable(f"{self.plugin.command} did not answer with an ExecCredential", where=where) from error
        if answer.status is None or not answer.status.token:
            certificate = answer.status is not None and answer.status.clientCertificateData
            what = "a client certificate, which is not supported" if certificate else "no token"
            raise AccessUnusable(f"{self.plugin.command} answered with {what}", where=where)
        return answer.status
