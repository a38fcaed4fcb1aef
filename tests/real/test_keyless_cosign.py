"""Keyless signatures with the real cosign: it and Windlass say the same of each, and each takes what the other made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from real.programs import find
from real.sigstore_services import Services, token
from unit.ociserver.test_protocol import MANIFEST, Client, digest, manifest_of
from unit.trust.keyless_cases import CASES, WANTED, Case, Made
from unit.trust.private_sigstore import IDENTITY, ISSUER, PrivateSigstore, b64
from windlass.adapters.host.children import Finished, run_child
from windlass.adapters.host.clock import SystemClock
from windlass.adapters.host.http import Http
from windlass.adapters.registry.images import CERTIFICATE, ENTRY, SIGNATURE, SIMPLE_SIGNING, ImageStore
from windlass.core.trust import Signed, Signers, read_root, tlogs
from windlass.devstack.ociserver import OciServer
from windlass.flows.image_search import Credentials, _judge
from windlass.ports import ImageWanted

pytestmark = pytest.mark.real
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = b"{}"


def cosign_program() -> str:
    found = find("cosign")
    if found is None:
        pytest.skip("cosign is not there: `make real` builds it")
    return str(found)


@dataclass
class Shop:
    """A registry, a client for it, and a folder with the root of trust."""

    host: str
    client: Client
    folder: Path
    sigstore: PrivateSigstore
    number: int = 0

    async def image(self) -> tuple[str, str]:
        """A new image in a repository of its own: its name and digest."""
        self.number += 1
        name = f"case/n{self.number}"
        layer = b"image %d" % self.number
        for blob in (EMPTY, layer):
            await self.client.push_blob(name, blob)
        manifest = json.dumps(manifest_of(EMPTY, layer)).encode()
        await self.client.ask("PUT", f"/v2/{name}/manifests/1", manifest, Content_Type=MANIFEST)
        return name, digest(manifest)

    async def attach(self, name: str, image: str, *signatures: Made) -> None:
        """Puts signatures beside an image, as cosign does."""
        simple = [made for made in signatures if "mediaType" not in made]
        if simple:
            await self._put(name, image.replace(":", "-") + ".sig", [_layer(made) for made in simple])
        for made in signatures:
            if "mediaType" in made:
                layer = {"mediaType": BUNDLE, "annotations": {}}, json.dumps(made).encode()
                subject = {"mediaType": MANIFEST, "digest": image, "size": 1}
                annotations = {
                    "dev.sigstore.bundle.content": "dsse-envelope",
                    "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
                }
                await self._put(name, "", [layer], subject=subject, artifactType=BUNDLE, annotations=annotations)

    async def _put(self, name: str, tag: str, layers: list[tuple[dict[str, Any], bytes]], **more: Any) -> None:
        manifest = manifest_of(EMPTY, EMPTY) | more
        for _, content in [({}, EMPTY), *layers]:
            await self.client.push_blob(name, content)
        manifest["layers"] = [{**about, "digest": digest(content), "size": len(content)} for about, content in layers]
        body = json.dumps(manifest).encode()
        await self.client.ask("PUT", f"/v2/{name}/manifests/{tag or digest(body)}", body, Content_Type=MANIFEST)

    async def cosign(self, *words: str, check: bool = False) -> Finished:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "SIGSTORE_NO_CACHE": "true"}
        done = await run_child([cosign_program(), *words], env=environment, cwd=str(self.folder))
        assert done.code == 0 or not check, done.stderr.decode()
        return done

    async def verified(self, form: str, name: str, image: str, *whom: str) -> Finished:
        """cosign's own verdict."""
        whom = whom or ("--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER)
        words = ["verify", *whom, "--trusted-root", "root.json", "--allow-http-registry", "--offline"]
        old = ["--new-bundle-format=false"] if form == "simple" else []
        return await self.cosign(*words, *old, f"{self.host}/{name}@{image}")

    async def judged(self, name: str, image: str, signers: Signers = WANTED) -> Signed:
        """The verdict here, of what the registry gives."""
        root = read_root((self.folder / "root.json").read_bytes())
        async with Http(local=True) as http:
            claims = await ImageStore(http, SystemClock()).signatures(
                ImageWanted(self.host, name, plain=True), image, {}
            )
        assert claims, "what was put beside the image is found"
        verdicts = _judge(claims, image, Credentials(signers=signers, root=root))
        return next((one for one in verdicts if not one.why), verdicts[0])


def _layer(made: Made) -> tuple[dict[str, Any], bytes]:
    annotations = {SIGNATURE: b64(made["signature"])}
    annotations |= {CERTIFICATE: made["certificate"].decode()} if made["certificate"] else {}
    annotations |= {ENTRY: made["entry"].decode()} if made["entry"] else {}
    return {"mediaType": SIMPLE_SIGNING, "annotations": annotations}, made["payload"]


@asynccontextmanager
async def opened(folder: Path, sigstore: PrivateSigstore) -> AsyncIterator[Shop]:
    (folder / "root.json").write_bytes(sigstore.trusted_root())
    async with OciServer(str(folder / "registry")).serve() as url, aiohttp.ClientSession() as session:
        yield Shop(url.removeprefix("http://"), Client(session, url), folder, sigstore)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["simple", "bundle", "tiles"])
async def test_cosign_takes_and_refuses_just_what_is_taken_and_refused_here(form: str, tmp_path: Path) -> None:
    own, other = PrivateSigstore(), PrivateSigstore()
    turns = asyncio.Semaphore(2)

    async def ask(shop: Shop, case: Case) -> str:
        async with turns:
            name, image = await shop.image()
            await shop.attach(name, image, case.make(own, other, image))
            here, there = await shop.judged(name, image), await shop.verified(form, name, image)
            if bool(case.why) != bool(here.why):
                return f"{case.name}: here {here}"
            if (there.code == 0) != (not case.why or case.strict):
                return f"{case.name}: here {here}, cosign {there.code} {there.stderr.decode()[-300:]}"
            return ""

    async with opened(tmp_path, own) as shop:
        told = await asyncio.gather(*(ask(shop, case) for case in CASES if case.form == form))
    assert len(told) > 15
    assert [one for one in told if one] == []


WHO = "release@acme.example"
WHOM = ("--certificate-identity", WHO, "--certificate-oidc-issuer", ISSUER)


async def signed_by_cosign(shop: Shop, form: str, url: str) -> tuple[str, str]:
    """An image that the real cosign signed, by the private Sigstore at this address."""
    since = "start-time=2024-01-01T00:00:00Z,operator=acme"
    version = 2 if form == "tiles" else 1
    made = ["signing-config", "create", "--out", "signing.json", "--rekor-config=ANY", "--tsa-config=ANY"]
    made += [f"--fulcio=url={url},api-version=1,{since}", f"--rekor=url={url},api-version={version},{since}"]
    await shop.cosign(*made, f"--tsa=url={url}/stamp,api-version=1,{since}", check=True)
    by = ["--signing-config", "signing.json"]
    if form == "simple":
        by = ["--use-signing-config=false", "--new-bundle-format=false", "--fulcio-url", url, "--rekor-url", url]
    name, image = await shop.image()
    told = ["--yes", "--allow-http-registry", "--identity-token", token(WHO, ISSUER), "--trusted-root", "root.json"]
    await shop.cosign("sign", *told, *by, f"{shop.host}/{name}@{image}", check=True)
    return name, image


@pytest.mark.parametrize("form", ["simple", "bundle", "tiles"])
async def test_what_the_real_cosign_signs_is_good_here_and_for_that_signer_only(form: str, tmp_path: Path) -> None:
    own = PrivateSigstore()
    async with opened(tmp_path, own) as shop, TestServer(Services(own).app) as server:
        name, image = await signed_by_cosign(shop, form, str(server.make_url("")).rstrip("/"))
        assert (await shop.verified(form, name, image, *WHOM)).code == 0
        assert await shop.judged(name, image, Signers(ISSUER, identity=WHO)) == Signed("", f"{WHO} ({ISSUER})")
        assert await shop.judged(
            name, image, Signers(issuer_pattern="https://.+", identity_pattern=".+@acme[.]example")
        )
        # Another person, and another issuer, by both.
        for identity, issuer in (("ada@acme.example", ISSUER), (WHO, "https://accounts.example.org")):
            whom = ("--certificate-identity", identity, "--certificate-oidc-issuer", issuer)
            assert (await shop.verified(form, name, image, *whom)).code != 0
            assert (await shop.judged(name, image, Signers(issuer, identity=identity))).why
        # Another root, by both.
        (tmp_path / "root.json").write_bytes(PrivateSigstore().trusted_root())
        assert (await shop.verified(form, name, image, *WHOM)).code != 0
        assert (await shop.judged(name, image, Signers(ISSUER, identity=WHO))).why == tlogs.NOT_LOGGED


async def test_one_good_signature_among_others_is_enough_for_both(tmp_path: Path) -> None:
    own, other = PrivateSigstore(), PrivateSigstore()
    async with opened(tmp_path, own) as shop:
        for form in ("simple", "bundle"):
            name, image = await shop.image()
            made = own.simple if form == "simple" else own.bundle
            foreign = other.simple(image) if form == "simple" else other.bundle(image)
            await shop.attach(name, image, foreign, made(image, own.leaf("mallory@evil.example")), made(image))
            assert (await shop.verified(form, name, image)).code == 0
            assert (await shop.judged(name, image)).why == ""


async def test_a_pattern_that_matches_the_whole_name_is_what_cosign_takes_too(tmp_path: Path) -> None:
    own = PrivateSigstore()
    async with opened(tmp_path, own) as shop:
        name, image = await shop.image()
        await shop.attach(name, image, own.bundle(image))
        for pattern in (
            r"https://github\.com/acme/.+@refs/tags/v1\..+",
            r"https://github\.com/acme",
            r"(?i)HTTPS://.*",
        ):
            whom = (
                "--certificate-identity-regexp",
                f"^(?:{pattern})$",
                "--certificate-oidc-issuer-regexp",
                "^https://.*$",
            )
            here = await shop.judged(name, image, Signers(issuer_pattern="https://.*", identity_pattern=pattern))
            assert ((await shop.verified("bundle", name, image, *whom)).code == 0) == (not here.why)
