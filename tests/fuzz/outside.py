"""Parsers of what comes from outside of the cluster: registries, chart repositories, Git servers, ledgers, monitoring.

Each is a function of bytes, as in `targets.py`, which names them all. Where several parts of an answer count (a header
and a body), the bytes are parted by NUL.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from windlass.adapters.git import smart
from windlass.adapters.git.credentials import Credentials
from windlass.adapters.git.signatures import SigningKey, signer
from windlass.adapters.host.http import Answer, Ask, Reach, _checked, _redirected, retry_after
from windlass.adapters.host.wire import Headers, Reply
from windlass.adapters.registry import provenance
from windlass.adapters.registry.charts import _chart_layers, archive_url
from windlass.adapters.registry.client import Manifest, Registry, challenge, login_for
from windlass.adapters.registry.images import ImageStore
from windlass.adapters.registry.offers import IndexWrong, choose, short
from windlass.adapters.render.helm_dependencies import _declared
from windlass.adapters.render.helm_files import ChartFiles, Ignored, _check_schema, chart_archive, packed
from windlass.core import documents
from windlass.core.charts import ranges
from windlass.core.documents.rules import Budget
from windlass.core.images import hooks as image_hooks
from windlass.core.images import rules, select
from windlass.core.model import events
from windlass.core.record import layout
from windlass.core.record.facts import fact
from windlass.core.record.private import Private
from windlass.core.trust import images as image_trust
from windlass.core.trust.signed import envelope
from windlass.errors import WindlassError
from windlass.flows.alarms import _DECODER, Alarms
from windlass.flows.fleet import Fleet
from windlass.flows.metrics import Metrics
from windlass.flows.record import Recorder
from windlass.ports import ChartUnverified, ImageWanted

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUDGET = Budget(size=1 << 16, nodes=20_000, text=1 << 16)
DIGEST = "sha256:" + "0" * 64
IMAGE = ImageWanted("registry.example", "acme/shop")


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def header(data: bytes) -> str:
    """A header's value, as the client hands it out."""
    return data.decode("utf-8", "surrogateescape").replace("\r", "").replace("\n", "")[: 16 * 1024]


def done(work: Coroutine[Any, Any, Any]) -> None:
    with asyncio.Runner() as runner:
        runner.run(work)


class Still:
    """A clock that stands."""

    def monotonic(self) -> float:
        return 1000.0

    def now(self) -> datetime:
        return NOW


# --- registries ------------------------------------------------------------------------------------------------------


class Said:
    """A network whose every answer is made of the same few parts. A manifest may name the blob as DIGEST and SIZE."""

    def __init__(self, data: bytes) -> None:
        head, _, rest = data.partition(b"\0")
        link, _, rest = rest.partition(b"\0")
        body, _, blob = rest.partition(b"\0")
        digest = b"sha256:" + hashlib.sha256(blob).hexdigest().encode()
        self.blob = blob
        self.body = body.replace(b"DIGEST", digest).replace(b"SIZE", b"%d" % len(blob))
        self.headers = {
            "WWW-Authenticate": header(head),
            "Link": header(link),
            "Docker-Content-Digest": header(link),
            "ETag": header(head),
        }
        self.refuses = bool(head)

    async def ask(self, ask: Ask) -> Answer:
        _checked(ask.url)
        refused = self.refuses and not ask.authorization and "/v2/" in ask.url
        body = self.blob if "/blobs/" in ask.url else self.body
        return Answer(401 if refused else 200, self.headers, b"" if refused else body, ask.url, Reach.PUBLIC)


def registry_answer(data: bytes) -> None:
    said: Any = Said(data)
    store = ImageStore(said, Still())
    registry = Registry(said, "registry.example", Still())

    async def ask() -> None:
        for work in (
            registry.look_at_tags("acme/shop"),
            registry.digest("acme/shop", "v1"),
            registry.manifest("acme/shop", DIGEST),
            registry.referrers("acme/shop", DIGEST),
            store.facts(IMAGE, "v1", {}),
            store.facts(IMAGE, "v1", {}, platform="linux/arm64"),
            store.signatures(IMAGE, DIGEST, {}),
        ):
            try:
                await work
            except WindlassError:
                continue

    done(ask())


def manifest(data: bytes) -> None:
    content = msgspec.json.decode(data)
    if isinstance(content, dict):
        _chart_layers(Manifest(DIGEST, "", data, content), "registry.example/acme/shop:1")


def login_asked(data: bytes) -> None:
    challenge(header(data))
    retry_after(header(data), NOW)


def address(data: bytes) -> None:
    url = _checked("https://registry.example/a/b?c=d")
    _redirected(url, header(data))
    _checked(text(data))


def docker_login(data: bytes) -> None:
    for host in ("registry.example", "docker.io"):
        login = login_for(host, {".dockerconfigjson": data})
        assert repr(login).count(login.password) == 0 or login.password in login.username or login.password in "Login()"
        login.basic.encode()


def image_hook(data: bytes) -> None:
    assert len(image_hooks.pushed(data)) <= image_hooks.MOST


def image_keys(data: bytes) -> None:
    image_trust.read_keys(data)


def image_signature(data: bytes) -> None:
    """A signature that is good proves who wrote the words, and not that they are well formed."""
    assert image_trust.verify_bundle(data, DIGEST, [])
    assert image_trust.verify_simple(data, data, DIGEST, [])
    image_trust.states_image(image_trust.STATEMENT, data, DIGEST)
    image_trust.names_image(data, DIGEST)
    key = SIGNER.public_key()
    assert image_trust.verify_simple(data, SIGNER.sign(data), DIGEST, [key])
    bundle = {
        "verificationMaterial": {"publicKey": {}},
        "dsseEnvelope": {
            "payload": base64.b64encode(data).decode(),
            "payloadType": image_trust.STATEMENT,
            "signatures": [{"sig": base64.b64encode(SIGNER.sign(envelope(image_trust.STATEMENT, data))).decode()}],
        },
    }
    image_trust.verify_bundle(json.dumps(bundle).encode(), DIGEST, [key])


def _signer() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    return ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32)


SIGNER = _signer()


def image_rule(data: bytes) -> None:
    pattern, _, rest = text(data).partition("\0")
    wanted, _, tags = rest.partition("\0")
    written: Sequence[rules.Rule] = (
        rules.Semver(wanted, pattern),
        rules.Numeric(pattern),
        rules.Alphabetical(pattern),
        rules.Newest(pattern),
        rules.Follow(pattern),
    )
    offered = [tag for tag in tags.split("\n") if rules.TAG.fullmatch(tag)]
    for rule in written:
        try:
            for current in ("", *offered[:2]):
                ranking = select.rank(rule, offered, [], NOW, current=current)
                chosen = select.choose(rule, ranking, {}, current=current)
                assert chosen.tag in ("", *offered)
        except rules.BadRule:
            continue


# --- charts ----------------------------------------------------------------------------------------------------------


def chart_index(data: bytes) -> None:
    read = documents.read(data, "index.yaml", BUDGET)
    for name, offers in short(read[0].value if read else None).items():
        assert not set(name) & set("\t\n\r"), "a name is one word of one line"
        for wanted in ("", ">=1", "1.x"):
            choose(offers, wanted)
        for offer in offers:
            for url in offer.urls:
                archive_url("https://charts.example/", url)


def chart_file(data: bytes) -> None:
    chart = ChartFiles("charts/a", "", dict)
    for files in ({"Chart.yaml": data}, {"Chart.yaml": b"name: a\n", "requirements.yaml": data, "Chart.lock": data}):
        list(_declared(files, chart))


def chart_archive_file(data: bytes) -> None:
    for whole in (data, gzip.compress(data, 1, mtime=0)):
        try:
            chart = chart_archive(whole, "a.tgz")
            files = chart.load()
            assert not [path for path in files if path.startswith("/") or ".." in path.split("/")]
            packed(chart, files, schemas=True)
        except WindlassError:
            continue


def chart_provenance(data: bytes) -> None:
    """A provenance file and a keyring, parted by NUL. Nobody makes Ada's signature by chance: who vouches is she, or
    nobody does, and a text that is not signed by her is none that she signed."""
    proof, _, ring = data.partition(b"\0")
    list(provenance._keybox(data))
    for rings in ([ring], [ring, ADA]):
        try:
            found = provenance.judged(provenance.Job(proof, rings, CLAIM, NOW.timestamp()))
        except ChartUnverified:
            continue
        assert found.signer == ADAS
    try:
        provenance._check(data, CLAIM, "shop 1.4.0")
    except ChartUnverified:
        return
    assert CLAIM.digest.encode() in data


PROVENANCE = Path(__file__).resolve().parents[1] / "unit" / "registry" / "provenance"
ADA = (PROVENANCE / "ada.asc").read_bytes()
PROOF = (PROVENANCE / "shop-1.4.0.tgz.prov").read_bytes()
CLAIM = provenance.Claim(
    "shop", "1.4.0", "shop-1.4.0.tgz", hashlib.sha256((PROVENANCE / "shop-1.4.0.tgz").read_bytes()).hexdigest()
)
ADAS = provenance.judged(provenance.Job(PROOF, [ADA], CLAIM, NOW.timestamp())).signer


def chart_ignore(data: bytes) -> None:
    rules_of = Ignored(text(data))
    for path in ("templates/a.yaml", "README.md", "a/b/c"):
        rules_of.leaves_out(path, folder=False)


def chart_schema(data: bytes) -> None:
    _check_schema(data, "values.schema.json")


def chart_range(data: bytes) -> None:
    wanted, _, offered = text(data).partition("\0")
    found = ranges.read_range(wanted)
    if found is not None:
        ranges.newest(found, (offered or wanted).split("\n"))


def tar(**files: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"chart/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


# --- Git and ledgers -------------------------------------------------------------------------------------------------


class Line:
    """A connection whose every answer is these bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def exchange(self, request: bytes, until: float, *, largest: int) -> Reply:
        kinds = ("application/x-git-upload-pack-advertisement", "application/x-git-upload-pack-result")
        kind = kinds[0] if request.startswith(b"GET") else kinds[1]
        return Reply(200, Headers([(b"Content-Type", kind.encode())]), self.data[:largest])


def git_answer(data: bytes) -> None:
    talk: Any = smart.Talk.__new__(smart.Talk)
    talk._pool, talk._path, talk._head = Line(data), "/acme/config.git", ""

    async def ask() -> None:
        for work in (talk.greet(), talk.tip("refs/heads/main"), talk.pack("0" * 40, [])):
            try:
                await work
            except smart.Unusual:
                continue

    done(ask())


def git_secret(data: bytes) -> None:
    parts = dict(zip(("username", "password", "bearerToken", "ca.crt"), data.split(b"\0"), strict=False))
    found = Credentials.from_secret(parts)
    assert not set("\r\n") & set(found.authorization())


def commit_signature(data: bytes) -> None:
    wrapped = base64.b64encode(data).decode()
    for words in (text(data), f"-----BEGIN SSH SIGNATURE-----\n{wrapped}\n-----END SSH SIGNATURE-----"):
        assert signer(b"content", words) == ""
    try:
        SigningKey.read(data)
    except WindlassError:
        return


def commit_message(data: bytes) -> None:
    """As Git gives it: a message is bytes of whoever wrote it."""
    found = layout.trailers(text(data))
    assert found is None or layout.PATH.fullmatch(found.file)


def event_line(data: bytes) -> None:
    event = events.decode(data)
    told = fact(event)
    assert msgspec.json.encode(told), "the index keeps it"
    content = data + b"\n"
    layout.path_of(content)
    layout.shard_of(content)
    layout.message("blue", content, 0)


def alarm(data: bytes) -> None:
    """What Alertmanager is to send, written as an event and read again."""
    recorder = Recorder(Still(), Metrics())
    recorder.attach(None, "blue", Private(b"key"))
    told: list[events.Event] = []
    recorder.listen(told.append, lambda: True)
    alarms = Alarms(Fleet(), None, recorder)  # type: ignore[arg-type]
    for alert in _DECODER.decode(data).alerts:
        alarms._take(alert)
    for event in told:
        again = events.decode(events.encode(event))
        assert again.data == event.data


SEEDS: Mapping[str, Sequence[bytes]] = {
    "registry answer": [
        b'\0\0{"tags":["v1","v2"]}\0',
        b'Bearer realm="https://auth.example/token",service="r",scope="s"\0\0{"token":"abc","expires_in":60}\0',
        b'\0</v2/acme/shop/tags/list?n=1000&last=v1>; rel="next"\0{"tags":[]}\0',
        # As long as a header may be, and made to be looked through from each of its links to its end.
        *[b"\0" + (link * 8192)[: 16 * 1024] + b'\0{"tags":[]}\0' for link in (b"<", b"<>;", b"<>; ", b"<>;r")],
        b'\0\0{"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":"DIGEST","size":SIZE}}\0'
        b'{"created":"2026-01-01T00:00:00Z","os":"linux","architecture":"amd64","config":{"Labels":{"a":"b"}}}',
        b'\0\0{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":"DIGEST","size":3,'
        b'"artifactType":"x","platform":{"os":"linux","architecture":"arm64"}}]}\0',
        b'\0\0{"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"DIGEST","size":SIZE,'
        b'"annotations":{"dev.cosignproject.cosign/signature":"YWJj"}}]}\0{}',
    ],
    "manifest": [
        b'{"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json"},"layers":[{"mediaType":'
        b'"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"sha256:00","size":3}]}'
    ],
    "login asked": [
        b'Bearer realm="https://a/t",scope="a b"',
        b"Bearer " + b"a" * 16 * 1024,
        b"Bearer " + b'a="\\"' * 3000,
        b"Basic realm=x",
        b"Wed, 21 Oct 2026 07:28:00 GMT",
        b"2147500000\tOct\t0\t0:0\tGMT",
    ],
    "address": [b"https://a.example/b", b"//u:p@[::1]:80/x", b"/a?b=c#d", b"//u]@[@/x"],
    "docker login": [
        b'{"auths":{"registry.example":{"auth":"YTpi"},"https://index.docker.io/v1/":{"username":"a","password":"b"}}}'
    ],
    "image hook": [
        b'{"events":[{"action":"push","target":{"repository":"acme/shop"}}]}',
        b'{"push_data":{},"repository":{"repo_name":"acme/shop"}}',
        b'{"docker_url":"quay.io/a/b","repository":"a/b"}',
        b'{"registry_package":{"name":"shop","namespace":"acme","owner":{"login":"acme"}}}',
        b'{"event_data":{"repository":{"repo_full_name":"acme/shop"}}}',
    ],
    "image keys": [
        b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        b"-----END PUBLIC KEY-----\n"
    ],
    "image signature": [
        b'{"dsseEnvelope":{"payloadType":"a","payload":"e30=","signatures":[{"sig":"YQ=="}]},"verificationMaterial":{}}',
        b'{"critical":{"image":{"docker-manifest-digest":"sha256:1"},"type":"cosign container image signature"}}',
        b'{"predicateType":"https://sigstore.dev/cosign/sign/v1","subject":[{"digest":{"sha256":"1"}}]}',
    ],
    "image rule": [
        b"^v(?P<n>[0-9.]+)$\x00>=1.0 <2\x00v1.2.3\nv1.4\nlatest",
        b"^main-(?P<n>[0-9]+)$\x00^1\x00main-12\nmain-9",
        b"stable\x00~1\x00stable",
    ],
    "chart index": [
        b"entries:\n  shop:\n  - {version: 1.2.3, digest: sha256:00, urls: ['shop-1.2.3.tgz', 'http://h/a.tgz']}\n",
        b'{"entries":{"a":[{"version":"v1","urls":["http://[::1]/a"]}]}}',
    ],
    "chart file": [
        b"apiVersion: v2\nname: a\ndependencies: [{name: b, version: 1.x, repository: 'file://../b'}]\n",
        b"dependencies: 5\n",
    ],
    "chart archive": [
        tar(**{"Chart.yaml": b"name: a\n", "values.schema.json": b'{"type":"object"}'}),
        gzip.compress(tar(a=b"b"), mtime=0),
    ],
    "chart provenance": [
        PROOF + b"\0" + ADA,
        PROOF + b"\0" + (PROVENANCE / "ring.kbx").read_bytes(),
        (PROVENANCE / "cara.prov").read_bytes() + b"\0" + (PROVENANCE / "cara.asc").read_bytes(),
        PROOF + b"\0" + (PROVENANCE / "ada-revoked.asc").read_bytes(),
        PROOF + b"\0" + b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n" * 5000,
        PROOF + b"\0" + (b"-----BEGIN PGP " + b"A" * 1000) * 200,
        b"name: shop\nversion: 1.4.0\n\n...\nfiles:\n  shop-1.4.0.tgz: sha256:00\n",
        b"name: [shop]\n...\nfiles: {a: {b: c}}\n...\n",
    ],
    "chart ignore": [b"*.md\n!a/\n/b?[c-d]\\*\n# x\n", b"[]]\n[!a]"],
    "chart schema": [b'{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"$ref":"#/x"}}}'],
    "chart range": [b">=1.4, <2 || ~1.x\x001.4.2\nv1.5.0-rc.1+b", b"1.2 - 1.4\x001.3", b"=>1 =<2.*"],
    "git answer": [
        b"000eversion 2\n0015ls-refs=unborn\n000cfetch=x\n0000",
        b"003d" + b"a" * 40 + b" refs/heads/main\n0000",
        b"000dpackfile\n0009\x01PACK0000",
    ],
    "git secret": [b"ada\0secret\0\0", b"\0\0token\0"],
    "commit signature": [b"SSHSIG\0\0\0\1\0\0\0\x0bssh-ed25519", b"-----BEGIN SSH SIGNATURE-----\nAAAA\n"],
    "commit message": [
        b"1 event\n\nWindlass-File: 2026/11/28/14/2102.123-0123456789abcdef.jsonl\n"
        b"Windlass-Events: 1\nWindlass-Total: 1",
        "Windlass-File: 2026/11/28/14/2102.123-0123456789abcdef.jsonl\nWindlass-Events: \u00b2".encode(),
    ],
    "event line": [
        events.encode(events.make("blue", "shop/shop", events.Alerted("x", "firing"), NOW)).rstrip(),
        b'{"specversion":"1.0","id":"ab","source":"s","type":"dev.windlass.applied.v1","subject":"a/b",'
        b'"time":"2026-01-01T00:00:00.000Z","data":{"commit":"c","counts":{"a":1}}}',
    ],
    "alarm": [
        b'{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Down","namespace":"shop","pod":"web-1"},'
        b'"annotations":{"summary":"Invalid value: \\"x\\""},"startsAt":"2026-01-01T00:00:00Z","fingerprint":"1"}]}'
    ],
}

OWN = (WindlassError,)
TARGETS: Mapping[str, tuple[Any, tuple[type[Exception], ...]]] = {
    "registry answer": (registry_answer, ()),
    "manifest": (manifest, (WindlassError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)),
    "login asked": (login_asked, ()),
    "address": (address, OWN),
    "docker login": (docker_login, OWN),
    "image hook": (image_hook, ()),
    "image keys": (image_keys, OWN),
    "image signature": (image_signature, ()),
    "image rule": (image_rule, ()),
    "chart index": (chart_index, (*OWN, IndexWrong)),
    "chart file": (chart_file, OWN),
    "chart archive": (chart_archive_file, ()),
    "chart provenance": (chart_provenance, ()),
    "chart ignore": (chart_ignore, OWN),
    "chart schema": (chart_schema, OWN),
    "chart range": (chart_range, ()),
    "git answer": (git_answer, ()),
    "git secret": (git_secret, OWN),
    "commit signature": (commit_signature, ()),
    "commit message": (commit_message, ()),
    "event line": (event_line, (ValueError,)),
    "alarm": (alarm, (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)),
}
