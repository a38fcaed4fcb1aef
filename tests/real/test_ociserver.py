"""The devstack's registry with real clients: crane, cosign and helm push and pull as they would anywhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from real.programs import find
from windlass.adapters.host.children import Finished, run_child
from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.http import Http
from windlass.adapters.registry.images import ImageStore
from windlass.core.trust import read_keys, verify_bundle, verify_simple
from windlass.devstack.ociserver import Login, OciServer
from windlass.ports import ImageWanted, SignedClaim

pytestmark = pytest.mark.real


def program(name: str) -> str:
    found = find(name)
    if found is None:
        pytest.skip(f"{name} is not there: `make real` builds it")
    return str(found)


async def run(command: list[str], folder: Path, *, check: bool = True) -> Finished:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "DOCKER_CONFIG": str(folder), "COSIGN_PASSWORD": ""}
    done = await run_child(command, env=environment, cwd=str(folder))
    assert done.code == 0 or not check, done.stderr.decode()
    return done


@pytest.fixture(params=["open", "password", "token service"])
async def registry(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """host:port of a registry, with the clients logged in where it asks for it."""
    login = {"open": Login(), "password": Login("s3cret"), "token service": Login("s3cret", service=True)}
    async with OciServer(str(tmp_path / "registry"), login=login[request.param]).serve() as url:
        host = url.removeprefix("http://")
        if request.param != "open":
            await run([program("crane"), "auth", "login", host, "-u", "ada", "-p", "s3cret"], tmp_path)
        yield host


def verdict(claim: SignedClaim, digest: str, keys: list[Any]) -> str:
    if claim.form == "simple":
        return verify_simple(claim.payload, claim.signature, digest, keys)
    return verify_bundle(claim.payload, digest, keys)


def layer(folder: Path, text: str) -> str:
    """A tar archive with one file."""
    (folder / "hello").write_text(text)
    subprocess.run(["tar", "-cf", "layer.tar", "hello"], cwd=folder, check=True)
    return str(folder / "layer.tar")


async def test_crane_appends_copies_lists_and_deletes(registry: str, tmp_path: Path) -> None:
    crane = program("crane")
    image = f"{registry}/acme/shop"
    await run([crane, "append", "--insecure", "-f", layer(tmp_path, "one"), "-t", f"{image}:1.4.1"], tmp_path)
    await run([crane, "copy", "--insecure", f"{image}:1.4.1", f"{registry}/other/shop:1"], tmp_path)
    await run([crane, "tag", "--insecure", f"{image}:1.4.1", "latest"], tmp_path)
    tags = await run([crane, "ls", "--insecure", image], tmp_path)
    assert tags.stdout.split() == [b"1.4.1", b"latest"]
    one = await run([crane, "digest", "--insecure", f"{image}:1.4.1"], tmp_path)
    two = await run([crane, "digest", "--insecure", f"{registry}/other/shop:1"], tmp_path)
    assert one.stdout == two.stdout
    exported = await run([crane, "export", "--insecure", f"{registry}/other/shop:1", "-"], tmp_path)
    assert b"one" in exported.stdout
    await run([crane, "validate", "--insecure", "--remote", f"{image}:1.4.1"], tmp_path)
    await run([crane, "delete", "--insecure", f"{image}@{one.stdout.decode().strip()}"], tmp_path)
    assert (await run([crane, "ls", "--insecure", image], tmp_path)).stdout == b""
    catalog = await run([crane, "catalog", "--insecure", registry], tmp_path, check=False)
    if catalog.code == 0:
        assert catalog.stdout.split() == [b"acme/shop", b"other/shop"]


async def test_crane_makes_an_index_of_several_platforms(registry: str, tmp_path: Path) -> None:
    crane = program("crane")
    image = f"{registry}/acme/shop"
    for text in ("amd64", "arm64"):
        await run([crane, "append", "--insecure", "-f", layer(tmp_path, text), "-t", f"{image}:{text}"], tmp_path)
        await run(
            [
                crane,
                "mutate",
                "--insecure",
                f"{image}:{text}",
                "--set-platform",
                f"linux/{text}",
                "-t",
                f"{image}:{text}",
            ],
            tmp_path,
        )
    both = [word for text in ("amd64", "arm64") for word in ("-m", f"{image}:{text}")]
    await run([crane, "index", "append", "--insecure", *both, "-t", f"{image}:both"], tmp_path)
    index = json.loads((await run([crane, "manifest", "--insecure", f"{image}:both"], tmp_path)).stdout)
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    found = await run([crane, "export", "--insecure", "--platform", "linux/arm64", f"{image}:both", "-"], tmp_path)
    assert b"arm64" in found.stdout


@pytest.mark.parametrize("registry", ["open", "password"], indirect=True)
async def test_cosign_signs_and_verifies_and_the_signature_is_a_referrer(registry: str, tmp_path: Path) -> None:
    crane, cosign = program("crane"), program("cosign")
    image = f"{registry}/acme/shop"
    await run([crane, "append", "--insecure", "-f", layer(tmp_path, "signed"), "-t", f"{image}:1"], tmp_path)
    digest = (await run([crane, "digest", "--insecure", f"{image}:1"], tmp_path)).stdout.decode().strip()
    await run([cosign, "generate-key-pair"], tmp_path)
    signing = ["sign", "--key", "cosign.key", "--yes", "--allow-http-registry", "--tlog-upload=false"]
    signing += ["--use-signing-config=false", "--new-bundle-format=false", f"{image}@{digest}"]
    await run([cosign, *signing], tmp_path)
    verifying = ["verify", "--key", "cosign.pub", "--allow-http-registry", "--insecure-ignore-tlog=true"]
    verified = await run([cosign, *verifying, "--new-bundle-format=false", f"{image}@{digest}"], tmp_path)
    assert digest in verified.stdout.decode()
    # What cosign made, in its older form and in its newer one, is good to us too, and to no other key.
    await run([cosign, *[part for part in signing if part != "--new-bundle-format=false"]], tmp_path)
    keys, others = (
        read_keys((tmp_path / "cosign.pub").read_bytes()),
        [ed25519.Ed25519PrivateKey.generate().public_key()],
    )
    secret = {"username": b"ada", "password": b"s3cret"}
    async with Http(local=True) as http:
        wanted = ImageWanted(registry, "acme/shop", plain=True)
        claims = await ImageStore(http, SystemClock()).signatures(wanted, digest, secret)
    assert {claim.form for claim in claims} == {"simple", "bundle"}
    assert [verdict(claim, digest, keys) for claim in claims] == [""] * len(claims)
    assert all(verdict(claim, digest, others) for claim in claims)
    unsigned = f"{registry}/acme/other"
    await run([crane, "append", "--insecure", "-f", layer(tmp_path, "not"), "-t", f"{unsigned}:1"], tmp_path)
    refused = await run([cosign, *verifying, "--new-bundle-format=false", f"{unsigned}:1"], tmp_path, check=False)
    assert refused.code != 0


async def test_helm_pushes_a_chart_and_installs_from_it(registry: str, tmp_path: Path) -> None:
    helm = program("helm")
    await run([helm, "create", "shop"], tmp_path)
    await run([helm, "package", "shop", "--version", "1.2.3"], tmp_path)
    if "config.json" in os.listdir(tmp_path):
        await run([helm, "registry", "login", registry, "-u", "ada", "-p", "s3cret", "--plain-http"], tmp_path)
    await run([helm, "push", "shop-1.2.3.tgz", f"oci://{registry}/charts", "--plain-http"], tmp_path)
    shown = await run(
        [helm, "show", "chart", f"oci://{registry}/charts/shop", "--version", "^1", "--plain-http"], tmp_path
    )
    assert b"version: 1.2.3" in shown.stdout
