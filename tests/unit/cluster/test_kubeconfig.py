"""Kubeconfig files as kubectl reads them; what is not supported is refused with the mend, and no credential shows."""

from __future__ import annotations

import base64
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from windlass.adapters.cluster.access import AccessUnusable, TokenFile, in_cluster
from windlass.adapters.cluster.kubeconfig import from_kubeconfig


def certificate() -> tuple[str, str]:
    """A certificate of one's own and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


CERTIFICATE, KEY = certificate()


def config(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/"} | (cluster or {})}],
        "users": [{"name": "u", "user": {"token": "hunter2"} if user is None else user}],
    }


def write(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content) if not isinstance(content, str) else content)
    return path


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_a_context_with_a_token(tmp_path: Path) -> None:
    """Server, namespace, name and token; the token is in no text of it."""
    access = from_kubeconfig([write(tmp_path / "config", config({"certificate-authority-data": data(CERTIFICATE)}))])
    assert (access.server, access.namespace, access.name) == ("https://127.0.0.1:6443", "shop", "dev")
    assert await access.credentials.header() == "Bearer hunter2"
    assert "hunter2" not in repr(access)
    assert access.tls.verify_mode is ssl.CERT_REQUIRED
    assert access.tls.check_hostname


async def test_files_are_merged_and_paths_start_at_their_own_file(tmp_path: Path) -> None:
    """The first that names a thing wins; a relative path is relative to the file that it stands in."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ca.pem").write_text(CERTIFICATE)
    (tmp_path / "other" / "token").write_text("from-file\n")
    first = write(tmp_path / "first", {"current-context": "dev", "clusters": [], "users": None})
    whole = config({"certificate-authority": "ca.pem"}, {"tokenFile": "token"})
    second = write(tmp_path / "other" / "second", whole | {"current-context": "wrong"})
    access = from_kubeconfig([tmp_path / "missing", first, second])
    assert access.name == "dev"
    assert isinstance(access.credentials, TokenFile)
    assert await access.credentials.header() == "Bearer from-file"


def test_a_client_certificate_is_taken_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ssl module wants files: they are private while they exist, and gone afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    modes: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def watched(self: ssl.SSLContext, file: Path, *rest: Any, **more: Any) -> None:
        modes.append(stat.S_IMODE(file.stat().st_mode))
        load(self, file, *rest, **more)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    user = {"client-certificate-data": data(CERTIFICATE), "client-key-data": data(KEY)}
    from_kubeconfig([write(tmp_path / "config", config(user=user))])
    assert modes == [0o600]
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        ({}, {"username": "admin", "password": "hunter2"}, "basic authentication"),
        ({}, {"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({}, {"exec": {"command": "aws", "apiVersion": "client.authentication.k8s.io/v1"}}, "not allowed here"),
        ({"proxy-url": "http://proxy:3128"}, None, "proxy"),
        ({"server": "http://127.0.0.1:8080"}, None, "https"),
        ({"server": "https://admin:hunter2@127.0.0.1"}, None, "https"),
        ({"certificate-authority-data": "%%%"}, None, "base64"),
        ({"certificate-authority-data": data("no pem")}, None, "PEM"),
        ({"certificate-authority": "nowhere.pem"}, None, "can't read"),
        ({"insecure-skip-tls-verify": True, "certificate-authority-data": data(CERTIFICATE)}, None, "both"),
        ({}, {"client-certificate-data": data(CERTIFICATE)}, "without a key"),
        ({}, {"client-certificate-data": data(CERTIFICATE), "client-key-data": data("hunter2")}, "can't be used"),
        ({}, {"token": ["hunter2"]}, "has to be text"),
    ],
)
def test_what_is_not_supported_is_refused(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any] | None, words: str
) -> None:
    """By name, with the file, and without the credential."""
    path = write(tmp_path / "config", config(cluster, user))
    with pytest.raises(AccessUnusable, match=words) as caught:
        from_kubeconfig([path])
    assert str(tmp_path) in str(caught.value)
    assert "hunter2" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [", "not YAML"),
        ("[]", "no kubeconfig"),
        ("kind: Pod", "no kubeconfig"),
        ("contexts: 3\ncurrent-context: x", "has to be a list"),
        ("contexts: [{}]\ncurrent-context: x", "has no name"),
        ("contexts: [{name: x, context: 3}]\ncurrent-context: x", "has to be a map"),
        ("contexts: [{name: dev}]", "no current context"),
        ("current-context: dev", "no context 'dev'"),
        ("current-context: dev\ncontexts: [{name: dev, context: {cluster: c}}]", "no cluster 'c'"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_its_name(tmp_path: Path, content: str, words: str) -> None:
    """Never a traceback."""
    with pytest.raises(AccessUnusable, match=words) as caught:
        from_kubeconfig([write(tmp_path / "config", content)])
    assert "config" in str(caught.value)


def test_another_context_and_the_names_there_are(tmp_path: Path) -> None:
    """A mistyped context is answered with those that exist."""
    path = write(tmp_path / "config", config())
    assert from_kubeconfig([path], "dev").name == "dev"
    with pytest.raises(AccessUnusable, match="no context 'prod'") as caught:
        from_kubeconfig([path], "prod")
    assert "dev" in caught.value.hint


def test_no_kubeconfig_at_all(tmp_path: Path) -> None:
    """Says where it looked."""
    with pytest.raises(AccessUnusable, match="there is no kubeconfig"):
        from_kubeconfig([tmp_path / "config"])


def test_tls_is_not_verified_only_when_the_file_says_so(tmp_path: Path) -> None:
    """The person's own word, for their own cluster."""
    access = from_kubeconfig([write(tmp_path / "config", config({"insecure-skip-tls-verify": True}))])
    assert access.tls.verify_mode is ssl.CERT_NONE


def plugin(path: Path, script: str) -> dict[str, Any]:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"command": "./login", "apiVersion": version, "env": [{"name": "WHO", "value": "me"}]}}


ANSWER = (
    '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"\'$WHO\'-\'$N\'"%s}}'
)


async def test_a_program_is_run_when_allowed_and_again_when_its_token_runs_out(tmp_path: Path) -> None:
    """Its environment is the one given plus its own; a token that lasts is kept."""
    count = tmp_path / "count"
    script = f"echo x >> {count}; N=$(wc -l < {count}); echo '"
    lasting = plugin(tmp_path / "login", script + ANSWER % "" + "'")
    path = write(tmp_path / "config", config(user=lasting))
    access = from_kubeconfig([path], allow_exec=True, environment={"PATH": "/usr/bin:/bin"})
    assert await access.credentials.header() == "Bearer me-1"
    assert await access.credentials.header() == "Bearer me-1"
    access.credentials.refused()
    assert await access.credentials.header() == "Bearer me-2"
    plugin(tmp_path / "login", script + ANSWER % ',"expirationTimestamp":"2020-01-01T00:00:00Z"' + "'")
    access.credentials.refused()
    assert await access.credentials.header() == "Bearer me-3"
    assert await access.credentials.header() == "Bearer me-4"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo no >&2; exit 3", "failed with exit code 3: no"),
        ("echo hello", "did not answer with an ExecCredential"),
        ('echo \'{"kind":"ExecCredential","apiVersion":"x","status":{}}\'', "no token"),
        (
            'echo \'{"kind":"ExecCredential","apiVersion":"x","status":{"clientCertificateData":"x"}}\'',
            "a client certificate, which is not supported",
        ),
    ],
)
async def test_a_program_that_fails_is_told(tmp_path: Path, script: str, words: str) -> None:
    """Which program, for which user, and what it said."""
    path = write(tmp_path / "config", config(user=plugin(tmp_path / "login", script)))
    access = from_kubeconfig([path], allow_exec=True, environment={"PATH": "/usr/bin:/bin"})
    with pytest.raises(AccessUnusable, match=words):
        await access.credentials.header()


async def test_a_pods_own_access(tmp_path: Path) -> None:
    """Token, authority and namespace from its folder; an IPv6 address is bracketed."""
    for name, content in (("token", "pod-token\n"), ("ca.crt", CERTIFICATE), ("namespace", "windlass")):
        (tmp_path / name).write_text(content)
    access = in_cluster("10.0.0.1", "443", tmp_path)
    assert (access.server, access.namespace) == ("https://10.0.0.1:443", "windlass")
    assert await access.credentials.header() == "Bearer pod-token"
    assert in_cluster("fd00::1", "443", tmp_path).server == "https://[fd00::1]:443"
    with pytest.raises(AccessUnusable, match="not running in a cluster"):
        in_cluster("", "", tmp_path)
    (tmp_path / "token").unlink()
    with pytest.raises(AccessUnusable, match="service account's token"):
        in_cluster("10.0.0.1", "443", tmp_path)
