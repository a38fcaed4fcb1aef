"""A person's kubeconfig files to an `Access`, as `kubectl` reads them: several files, contexts, relative paths.

`app.py` and the command line call it with the paths that `settings.py` found. It refuses what it does not do (basic
auth, auth-provider, proxies), runs a program only when told that it may, and never shows a credential.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from windlass.adapters.cluster.access import (
    Access,
    AccessUnusable,
    Credentials,
    FixedToken,
    TokenFile,
    read_text,
    tls_context,
)
from windlass.adapters.cluster.plugin import PluginCredentials, plugin_from
from windlass.errors import Where


@dataclass(frozen=True)
class _Entry:
    """One named entry, with the file that it stands in: relative paths start there."""

    name: str
    content: dict[str, Any]
    file: Path

    @property
    def where(self) -> Where:
        return Where(file=str(self.file))

    def text(self, key: str) -> str:
        found = self.content.get(key)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise AccessUnusable(f"`{key}` of {self.name!r} has to be text", where=self.where)
        return found

    def path(self, key: str) -> Path | None:
        named = self.text(key)
        return self.file.parent / named if named else None  # an absolute one stays as it is

    def pem(self, key: str, what: str) -> str:
        """What stands in `<key>-data` as base64, else in the file that `<key>` names; empty where neither is."""
        if data := self.text(f"{key}-data"):
            try:
                return base64.b64decode(data, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise AccessUnusable(f"`{key}-data` of {self.name!r} is not base64 of PEM", where=self.where) from error
        path = self.path(key)
        return read_text(path, what) if path else ""


def from_kubeconfig(
    paths: Sequence[Path],
    context: str = "",
    *,
    allow_exec: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Access:
    """The access of a context (empty: the current one) in kubeconfig files, of which the first that names a thing wins.

    `allow_exec` says that this is the person's own file on their own machine: programs that it names may be run, with
    `environment`. Missing files are left out, as `kubectl` does. Raises AccessUnusable.
    """
    documents = [(path, _load(path)) for path in paths if path.exists()]
    listed = ", ".join(str(path) for path in paths) or "no path"
    if not documents:
        raise AccessUnusable(f"there is no kubeconfig ({listed})", hint="name one with --kubeconfig or KUBECONFIG")
    chosen = context or next((str(found) for _, doc in documents if (found := doc.get("current-context"))), "")
    contexts = _entries(documents, "contexts", "context")
    if not chosen:
        names = ", ".join(sorted(contexts)) or "it has none"
        raise AccessUnusable(
            "the kubeconfig has no current context",
            where=Where(file=listed),
            hint=f"choose one with --context or `kubectl config use-context` ({names})",
        )
    here = _named(contexts, chosen, "context", Where(file=listed))
    clusters, users = _entries(documents, "clusters", "cluster"), _entries(documents, "users", "user")
    cluster = _named(clusters, here.text("cluster"), "cluster", here.where)
    user = _named(users, here.text("user"), "user", here.where) if here.text("user") else None
    server = _server(cluster)
    tls = _tls(cluster)
    if user is not None:
        _client_certificate(tls, user)
    return Access(
        server,
        tls,
        _credentials(user, allow_exec=allow_exec, environment=environment or {}, server=server),
        here.text("namespace") or "default",
        name=chosen,
        server_name=cluster.text("tls-server-name"),
        impersonate=user.text("as") if user else "",
    )


def _load(path: Path) -> dict[str, Any]:
    text = read_text(path, "the kubeconfig")
    try:
        found = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise AccessUnusable("the kubeconfig is not YAML", where=Where(file=str(path), line=line)) from error
    except yaml.YAMLError as error:
        raise AccessUnusable("the kubeconfig is not YAML", where=Where(file=str(path))) from error
    if not isinstance(found, dict) or found.get("kind", "Config") != "Config":
        raise AccessUnusable("this is no kubeconfig: its kind is not Config", where=Where(file=str(path)))
    return found


def _entries(documents: Sequence[tuple[Path, dict[str, Any]]], section: str, key: str) -> dict[str, _Entry]:
    found: dict[str, _Entry] = {}
    for path, document in documents:
        listed = document.get(section) or []
        if not isinstance(listed, list):
            raise AccessUnusable(f"`{section}` has to be a list", where=Where(file=str(path)))
        for item in listed:
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                raise AccessUnusable(f"an entry of `{section}` has no name", where=Where(file=str(path)))
            content = item.get(key) or {}
            if not isinstance(content, dict):
                raise AccessUnusable(f"`{key}` of {item['name']!r} has to be a map", where=Where(file=str(path)))
            found.setdefault(item["name"], _Entry(item["name"], content, path))
    return found


def _named(entries: Mapping[str, _Entry], name: str, what: str, where: Where) -> _Entry:
    if name in entries:
        return entries[name]
    names = ", ".join(sorted(entries)) or "it has none"
    raise AccessUnusable(f"the kubeconfig has no {what} {name!r}", where=where, hint=f"it knows: {names}")


def _server(cluster: _Entry) -> str:
    server = cluster.text("server").rstrip("/")
    if cluster.text("proxy-url"):
        raise AccessUnusable(
            f"the cluster {cluster.name!r} is reached by a proxy, which is not supported",
            where=cluster.where,
            hint="name a kubeconfig that reaches the API server directly",
        )
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise AccessUnusable(
            f"`server` of the cluster {cluster.name!r} has to be an https:// address",
            where=cluster.where,
            hint="credentials are not sent without TLS",
        )
    return server


def _tls(cluster: _Entry) -> ssl.SSLContext:
    insecure = cluster.content.get("insecure-skip-tls-verify", False)
    authority = cluster.pem("certificate-authority", "the certificate authority")
    if insecure is True:
        if authority:
            raise AccessUnusable(
                f"the cluster {cluster.name!r} has both a certificate authority and insecure-skip-tls-verify",
                where=cluster.where,
                hint="take insecure-skip-tls-verify out",
            )
        context = tls_context("", str(cluster.file))
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    return tls_context(authority, str(cluster.file))


def _client_certificate(tls: ssl.SSLContext, user: _Entry) -> None:
    certificate = user.pem("client-certificate", "the client certificate")
    key = user.pem("client-key", "the client key")
    if not certificate and not key:
        return
    if not certificate or not key:
        raise AccessUnusable(
            f"the user {user.name!r} has a client certificate without a key, or a key without one", where=user.where
        )
    # The ssl module reads these from files only: a folder of our own for as long as that takes.
    with tempfile.TemporaryDirectory(prefix="windlass-") as folder:
        file = Path(folder) / "client.pem"
        file.touch(mode=0o600)
        file.write_text(f"{certificate}\n{key}\n")
        try:
            # A key with a passphrase must not ask on the terminal.
            tls.load_cert_chain(file, password=lambda: b"")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise AccessUnusable(
                f"the client certificate and key of the user {user.name!r} can't be used",
                where=user.where,
                hint="both have to be PEM, belong together, and have no passphrase",
            ) from error


def _credentials(user: _Entry | None, *, allow_exec: bool, environment: Mapping[str, str], server: str) -> Credentials:
    if user is None:
        return FixedToken()
    if user.content.get("username") or user.content.get("password"):
        raise AccessUnusable(
            f"the user {user.name!r} has a name and a password: Kubernetes no longer knows basic authentication",
            where=user.where,
            hint="use a token, a client certificate, or an exec plugin",
        )
    if user.content.get("auth-provider"):
        raise AccessUnusable(
            f"the user {user.name!r} has an auth-provider, which Kubernetes took out",
            where=user.where,
            hint="use the exec plugin of the same provider",
        )
    if token := user.text("token"):
        return FixedToken(token)
    if (path := user.path("tokenFile")) is not None:
        return TokenFile(path)
    if (spec := user.content.get("exec")) is not None:
        if not allow_exec:
            raise AccessUnusable(
                f"the user {user.name!r} logs in by running a program, which is not allowed here",
                where=user.where,
                hint="programs of a kubeconfig run only from your own kubeconfig on your own machine",
            )
        plugin = plugin_from(spec, user.name, user.file)
        return PluginCredentials(plugin, environment, server)
    return FixedToken()
