"""A cluster as the tests see it: a kubeconfig, `kubectl`, and plain requests. The same for every one.

Used by the fixtures of `tests/conftest.py` and by benchmarks. It knows nothing of how the cluster came about.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from real import programs

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


def kubectl_program(*, old: bool = False) -> Path | None:
    """The `kubectl` that `make real` built (of the server's version, or older), else that on PATH (not as old)."""
    if (built := programs.find("kubectl-old" if old else "kubectl")) is not None:
        return built
    found = None if old else shutil.which("kubectl")
    return Path(found) if found else None


@dataclass(frozen=True)
class Answer:
    """What a request was answered: the status code, headers (names in lower case) and the body."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Cluster:
    """A cluster behind a kubeconfig. `plane` is the `ControlPlane` behind it where the tests started one, else None."""

    def __init__(self, kubeconfig: Path, name: str, plane: Any = None) -> None:
        self.kubeconfig, self.name, self.plane = kubeconfig, name, plane
        config = yaml.safe_load(kubeconfig.read_text())
        context = next(each["context"] for each in config["contexts"] if each["name"] == config["current-context"])
        cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == context["cluster"])
        user = next(each["user"] for each in config["users"] if each["name"] == context["user"])
        self.server: str = cluster["server"].rstrip("/")
        self.token: str = user.get("token", "")
        self.tls = _tls(cluster, user, kubeconfig.parent)
        self._address = urllib.parse.urlsplit(self.server)
        self._kept: http.client.HTTPSConnection | None = None
        self._cache = tempfile.TemporaryDirectory(prefix="windlass-kubectl-")

    def close(self) -> None:
        """Closes its connection and removes kubectl's cache."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._cache.cleanup()

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002
        check: bool = True,
        old: bool = False,
        seconds: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl, with HOME and cache of the cluster's own; with `check`, its failure is an AssertionError."""
        program = kubectl_program(old=old)
        assert program is not None, "no kubectl: ask for the fixture `kubectl`, which skips"
        cache = Path(self._cache.name) / ("old" if old else "new")
        command = [str(program), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={cache}", *arguments]
        environment = {**os.environ, "HOME": self._cache.name, "KUBECTL_KUBERC": "false"}
        done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=seconds, env=environment)
        if check and done.returncode != 0:
            raise AssertionError(
                f"kubectl {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def kubectl_json(self, *arguments: str, input: str | None = None) -> Any:  # noqa: A002
        """What `kubectl ... -o json` prints."""
        return json.loads(self.kubectl(*arguments, "-o", "json", input=input).stdout)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Answer:
        """One request as the administrator, on a kept connection. `body`: bytes as they are, anything else as JSON."""
        target = path + (("&" if "?" in path else "?") + urllib.parse.urlencode(query) if query else "")
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Accept": "application/json", **self._credentials(), **(headers or {})}
        if data is not None:
            sent.setdefault("Content-Type", content_type)
        for attempt in range(2):
            kept, self._kept = self._kept, None
            connection = kept or self._connect()
            try:
                connection.request(method, target, data, sent)
                answer = connection.getresponse()
                content = answer.read()
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
                connection.close()
                if kept is None or attempt:  # a kept connection may have been closed by the server meanwhile
                    raise
                continue
            except BaseException:
                connection.close()
                raise
            self._kept = connection
            return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, content)
        raise AssertionError("unreachable")

    def watch(self, path: str, *, seconds: float = 10, **query: str) -> Iterator[dict[str, Any]]:
        """The events of a watch as they come; ends when the server ends it. TimeoutError after so long a silence."""
        connection = self._connect(seconds)
        try:
            target = f"{path}?{urllib.parse.urlencode({'watch': 'true', **query})}"
            connection.request("GET", target, headers={"Accept": "application/json", **self._credentials()})
            answer = connection.getresponse()
            if answer.status != 200:
                raise AssertionError(f"watch answered {answer.status}: {answer.read().decode()}")
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()

    def eventually(self, look: Callable[[], Any], what: str, seconds: float = 20) -> Any:
        """Looks again and again until the look gives something true, and returns it. Most of what is waited for comes
        within milliseconds: the looks begin close together."""
        end = time.monotonic() + seconds
        pause = 0.005
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}; the last look gave {found!r}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _connect(self, seconds: float = 30) -> http.client.HTTPSConnection:
        assert self._address.hostname is not None
        return http.client.HTTPSConnection(
            self._address.hostname, self._address.port or 443, timeout=seconds, context=self.tls
        )


def _tls(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    """The TLS context of a kubeconfig's cluster and user: authority and client certificate, by file or inline."""
    if inline := cluster.get("certificate-authority-data"):
        context = ssl.create_default_context(cadata=base64.b64decode(inline).decode())
    else:
        context = ssl.create_default_context(cafile=str(folder / cluster["certificate-authority"]))
    if inline := user.get("client-certificate-data"):
        with tempfile.TemporaryDirectory() as temporary:
            certificate, key = Path(temporary) / "crt", Path(temporary) / "key"
            certificate.write_bytes(base64.b64decode(inline))
            key.write_bytes(base64.b64decode(user["client-key-data"]))
            context.load_cert_chain(certificate, key)
    elif named := user.get("client-certificate"):
        context.load_cert_chain(folder / named, folder / user["client-key"])
    return context
