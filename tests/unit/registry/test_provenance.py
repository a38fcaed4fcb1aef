"""Who vouches for a chart: provenance that GnuPG signed as Helm has it, keys made here, and what gets on disk."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pysequoia
import pytest
import yaml
from aiohttp import web
from pysequoia import Cert, SignatureMode, Tsk
from pysequoia.packet import PacketPile
from sites import HandClock, Site

from windlass.adapters.host.http import Http, RemoteRefused, RemoteUnavailable
from windlass.adapters.registry import provenance
from windlass.adapters.registry.charts import CHART_CONFIG, CHART_LAYER, CHART_PROOF, ChartStore
from windlass.adapters.registry.provenance import Claim, Job, Verdict, judged, proven
from windlass.devstack.ociserver import OciServer
from windlass.ports import ChartFound, ChartUnverified, ChartWanted

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
FILES = Path(__file__).parent / "provenance"
FILE = "shop-1.4.0.tgz"
ARCHIVE = (FILES / FILE).read_bytes()
PROOF = (FILES / f"{FILE}.prov").read_bytes()
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()
CLAIM = Claim("shop", "1.4.0", FILE, DIGEST)
BODY = f"apiVersion: v2\nname: shop\nversion: 1.4.0\n\n...\nfiles:\n  {FILE}: sha256:{DIGEST}\n"


def ring(name: str) -> bytes:
    return (FILES / name).read_bytes()


def judge(proof: bytes, *rings: bytes, claim: Claim = CLAIM, now: datetime | None = None) -> Verdict:
    return judged(Job(proof, list(rings), claim, (now or datetime.now(UTC)).timestamp()))


def refusal(proof: bytes, *rings: bytes, claim: Claim = CLAIM) -> str:
    with pytest.raises(ChartUnverified) as raised:
        judge(proof, *rings, claim=claim)
    assert raised.value.hint
    return raised.value.what


def signed(key: Tsk, text: str = BODY) -> bytes:
    return pysequoia.sign(key.signer(), text.encode(), mode=SignatureMode.CLEAR)


def public(key: Tsk) -> bytes:
    return bytes(key.extract_certificate())


@pytest.fixture(scope="module")
def ada() -> Tsk:
    return Tsk.generate(user_id="Ada <ada@acme.example>")


@pytest.fixture(scope="module")
def ben() -> Tsk:
    return Tsk.generate(user_id="Ben <ben@acme.example>")


@pytest.mark.parametrize("name", ["ada.asc", "ring.kbx", "both", "one file", "packets"])
def test_a_keyring_is_taken_in_every_form(name: str) -> None:
    rings = {
        "both": [ring("ben.asc"), ring("ada.asc")],
        "one file": [ring("ben.asc") + b"\n# and Ada\n" + ring("ada.asc")],
        "packets": [bytes(Cert.from_bytes(ring("ben.asc"))) + bytes(Cert.from_bytes(ring("ada.asc")))],
    }
    verdict = judge(PROOF, *rings.get(name, [ring(name) if name not in rings else b""]))
    assert verdict.signer.lower() == Cert.from_bytes(ring("ada.asc")).fingerprint
    assert verdict.until == 0


@pytest.mark.parametrize(
    ("proof", "rings", "why"),
    [
        (PROOF, ["ben.asc"], "which is not in the keyring"),
        (PROOF, [], "which is not in the keyring"),
        (PROOF, ["ada-revoked.asc"], "is revoked"),
        (ring("cara.prov"), ["cara.asc", "ada.asc"], "expired on 2024-06-01"),
        (PROOF, ["shop-1.4.0.tgz"], "the keyring can't be read"),
        (PROOF.replace(b"version: 1.4.0", b"version: 1.4.1"), ["ada.asc"], "does not hold"),
        (PROOF.replace(DIGEST.encode(), b"0" * 64), ["ada.asc"], "does not hold"),
        (PROOF + PROOF, ["ada.asc"], "more than one signed block"),
        (b"evil: true\n" + PROOF, ["ada.asc"], "text that is not signed"),
        (PROOF + b"\nevil: true\n", ["ada.asc"], "text that is not signed"),
        (PROOF.replace(b"Hash: SHA", b"Comment: SHA"), ["ada.asc"], "text that is not signed"),
        (PROOF[: PROOF.index(b"-----BEGIN PGP SIGNATURE")], ["ada.asc"], "no signed block"),
        (b"", ["ada.asc"], "no signed block"),
        (ARCHIVE, ["ada.asc"], "no signed block"),
        (PROOF[:-200] + PROOF[-180:], ["ada.asc"], "can't be read"),
    ],
)
def test_what_does_not_hold_is_refused_with_why(proof: bytes, rings: list[str], why: str) -> None:
    assert why in refusal(proof, *(ring(one) for one in rings))


def test_a_keyring_with_a_block_that_has_no_end_is_read_past_it() -> None:
    broken = b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n" * 20_000
    assert judge(PROOF, broken + ring("ada.asc")).signer
    assert "which is not in the keyring" in refusal(PROOF, broken)


def test_another_archive_name_version_or_file_is_refused_though_the_signature_holds() -> None:
    wrong = {
        "not the one that was signed": Claim("shop", "1.4.0", FILE, "0" * 64),
        "is that of shop 1.4.0": Claim("shop", "1.5.0", FILE, DIGEST),
        "provenance of web 1.4.0 is that of shop": Claim("web", "1.4.0", FILE, DIGEST),
        "says nothing of the file shop.tgz": Claim("shop", "1.4.0", "shop.tgz", DIGEST),
    }
    for why, claim in wrong.items():
        assert why in refusal(PROOF, ring("ada.asc"), claim=claim)


def test_a_signed_text_that_says_nothing_of_a_chart_is_refused(ada: Tsk) -> None:
    for text in (
        "hello\n",
        "name: shop\nversion: 1.4.0\n",
        "name: shop\nversion: 1.4.0\n\n...\nfiles: [a]\n",
        "- a\n\n...\nfiles: {}\n",
        "name: &a [*a]\n\n...\nfiles: {}\n",
        BODY.replace("sha256:", "sha1:"),
        BODY.replace("name: shop", "name: 3"),
    ):
        assert refusal(signed(ada, text), public(ada))


def test_a_key_is_good_now_or_not_at_all(ada: Tsk, ben: Tsk) -> None:
    proof, now = signed(ada), datetime.now(UTC)
    assert judge(proof, public(ada)).signer
    short = bytes(ada.extract_certificate().set_expiration(now + timedelta(days=30), ada.certifier()))
    until = judge(proof, short).until
    assert abs(until - (now + timedelta(days=30)).timestamp()) < 5
    with pytest.raises(ChartUnverified, match="expired on"):
        judge(proof, short, now=now + timedelta(days=31))
    revoked = public(ada) + bytes(ada.extract_certificate().revoke(ada.certifier()))
    assert "revoked" in refusal(proof, revoked)
    assert "not in the keyring" in refusal(proof, public(ben))


async def test_foreign_bytes_are_read_in_a_child_that_costs_nobody_anything() -> None:
    now = datetime.now(UTC)
    verdict = await proven(PROOF, [ring("ada.asc")], CLAIM, now)
    assert verdict == judge(PROOF, ring("ada.asc"))
    with pytest.raises(ChartUnverified, match="is revoked") as raised:
        await proven(PROOF, [ring("ada-revoked.asc")], CLAIM, now)
    assert raised.value.hint.startswith("sign the chart anew")


# --- with a repository and a registry ------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path, http: Http, clock: HandClock) -> ChartStore:
    return ChartStore(tmp_path / "charts", http, clock)


def publish(site: Site, proof: bytes | None = PROOF, **entry: object) -> ChartWanted:
    offer = {"name": "shop", "version": "1.4.0", "urls": [FILE], "digest": DIGEST, **entry}
    site.files["/charts/index.yaml"] = yaml.safe_dump({"apiVersion": "v1", "entries": {"shop": [offer]}}).encode()
    site.files[f"/charts/{FILE}"] = ARCHIVE
    if proof is not None:
        site.files[f"/charts/{FILE}.prov"] = proof
    return ChartWanted(f"{site.url}/charts", "shop", "1.x")


def kept(tmp_path: Path) -> list[str]:
    return sorted(one.name for one in (tmp_path / "charts").rglob("*") if one.is_file())


async def test_a_chart_gets_on_disk_only_when_somebody_vouches_for_it(
    site: Site, store: ChartStore, tmp_path: Path
) -> None:
    wanted = publish(site)
    with pytest.raises(ChartUnverified, match="not in the keyring"):
        await store.resolve(wanted, {}, fresh=60, keyring=[ring("ben.asc")])
    assert kept(tmp_path) == []
    found = await store.resolve(wanted, {}, fresh=60, keyring=[ring("ada.asc")])
    assert found.signer.lower() == Cert.from_bytes(ring("ada.asc")).fingerprint
    assert kept(tmp_path) == [f"{DIGEST}.prov", f"{DIGEST}.tgz"]
    unasked = await store.resolve(wanted, {}, fresh=60)
    assert unasked == ChartFound("shop", "1.4.0", f"sha256:{DIGEST}", found.archive)


async def test_an_archive_that_is_there_already_is_no_more_trusted_for_that(site: Site, store: ChartStore) -> None:
    wanted = publish(site, None)
    assert not (await store.resolve(wanted, {}, fresh=60)).signer
    with pytest.raises(ChartUnverified, match="there is no provenance at"):
        await store.resolve(wanted, {}, fresh=60, keyring=[ring("ada.asc")])
    site.files[f"/charts/{FILE}.prov"] = PROOF
    assert (await store.resolve(wanted, {}, fresh=60, keyring=[ring("ada.asc")])).signer
    with pytest.raises(ChartUnverified, match="is revoked"):
        await store.resolve(wanted, {}, fresh=60, keyring=[ring("ada-revoked.asc")])


async def test_what_is_known_is_asked_for_once_and_a_new_signature_is_found(
    site: Site, store: ChartStore, clock: HandClock, ada: Tsk
) -> None:
    wanted = publish(site)
    for _ in range(5):
        await store.resolve(wanted, {}, fresh=60, keyring=[ring("ada.asc")])
    assert site.paths() == ["/charts/index.yaml", f"/charts/{FILE}", f"/charts/{FILE}.prov"]
    assert len(store._verdicts) == 1
    # The signer has another key now, signs anew, and people put that key into the keyring.
    site.files[f"/charts/{FILE}.prov"] = signed(ada)
    found = await store.resolve(wanted, {}, fresh=60, keyring=[public(ada)])
    assert found.signer.lower() in [str(one.fingerprint) for one in PacketPile.from_bytes(public(ada))]
    assert site.paths()[3:] == [f"/charts/{FILE}.prov"]


async def test_an_older_chart_that_is_given_out_for_a_newer_one_is_refused(
    site: Site, store: ChartStore, tmp_path: Path
) -> None:
    wanted = publish(site, version="1.9.0")
    with pytest.raises(ChartUnverified, match=r"provenance of shop 1\.9\.0 is that of shop 1\.4\.0"):
        await store.resolve(wanted, {}, fresh=60, keyring=[ring("ada.asc")])
    assert kept(tmp_path) == []


async def test_a_repository_that_can_not_tell_is_asked_again_later(site: Site, store: ChartStore) -> None:
    wanted = publish(site)
    site.answer = lambda request: web.Response(status=503) if request.path.endswith(".prov") else None
    with pytest.raises(RemoteUnavailable):
        await store.resolve(wanted, {}, fresh=60, keyring=[ring("ada.asc")])
    site.answer = lambda request: None
    site.files[f"/charts/{FILE}.prov"] = PROOF + b" " * provenance.LARGEST
    with pytest.raises(RemoteRefused):
        await store.resolve(wanted, {}, fresh=60, keyring=[ring("ada.asc")])


async def pushed(http: Http, base: str, layers: dict[str, bytes]) -> None:
    """What ``helm push`` does."""
    config = b'{"name":"shop","version":"1.4.0"}'
    told = [
        {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}
        for kind, data in {CHART_CONFIG: config, **layers}.items()
    ]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": told[0], "layers": told[1:]}
    async with aiohttp.ClientSession() as session:
        for data in (config, *layers.values()):
            digest = hashlib.sha256(data).hexdigest()
            url = f"{base}/v2/acme/shop/blobs/uploads/?digest=sha256:{digest}"
            async with session.post(url, data=data) as answer:
                assert answer.status == 201
        headers = {"Content-Type": MANIFEST}
        url = f"{base}/v2/acme/shop/manifests/1.4.0"
        async with session.put(url, data=json.dumps(manifest), headers=headers) as answer:
            assert answer.status == 201


@pytest.mark.parametrize("with_proof", [True, False])
async def test_the_provenance_in_a_registry_is_a_layer_of_the_chart(
    with_proof: bool, store: ChartStore, http: Http, tmp_path: Path
) -> None:
    async with OciServer(str(tmp_path / "oci")).serve() as url:
        await pushed(http, url, {CHART_LAYER: ARCHIVE, **({CHART_PROOF: PROOF} if with_proof else {})})
        wanted = ChartWanted(f"oci://{url.partition('://')[2]}/acme", "shop", "1.x", plain=True)
        why = "not in the keyring" if with_proof else "has no provenance in this version"
        with pytest.raises(ChartUnverified, match=why):
            await store.resolve(wanted, {}, fresh=60, keyring=[ring("ben.asc")])
        assert kept(tmp_path) == []
        if with_proof:
            assert (await store.resolve(wanted, {}, fresh=60, keyring=[ring("ada.asc")])).signer
