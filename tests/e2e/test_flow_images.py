"""IMAGES: an image is pushed to a registry, and a commit takes it; what a person reverts stays reverted."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.team import Team, deployment, git
from e2e.test_cli import Person
from unit.ociserver.test_protocol import digest, manifest_of
from unit.trust.private_sigstore import IDENTITY, ISSUER, PrivateSigstore
from windlass.core.words.commits import fact_of
from windlass.devstack.ociserver import Login, OciServer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
TOKEN = "token-of-the-registry"
POLICY = "clusters/policy.yaml"
WEB = "apps/shop/web.yaml"


class RegistryHost:
    """The devstack's registry on a port of its own, in a thread of its own, and the requests to push to it."""

    def __init__(self, root: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        started = threading.Event()

        async def serve() -> None:
            async with OciServer(str(root), login=Login("s3cret", service=False)).serve() as url:
                self.url = url
                started.set()
                await self._ended.wait()

        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(serve(),), daemon=True)
        self._thread.start()
        assert started.wait(10)
        self.host = self.url.removeprefix("http://")

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        self._loop.close()

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/octet-stream") -> Any:
        login = base64.b64encode(b"ada:s3cret").decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": kind}
        url = path if path.startswith("http") else self.url + path
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=5) as answer:
            return answer.headers, answer.read()

    def push_blob(self, name: str, content: bytes) -> None:
        self.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest(content)}", content)

    def push(self, tag: str, name: str = "acme/shop", *, created: str = "", **labels: str) -> str:
        """An image, another one for each tag. Returns its digest. ``created`` is when it says that it was built."""
        about: dict[str, Any] = {"os": "linux", "architecture": "amd64", "config": {"Labels": labels}}
        config = json.dumps({**about, "created": created} if created else about).encode()
        layer = tag.encode()
        for content in (config, layer):
            self.push_blob(name, content)
        manifest = json.dumps(manifest_of(config, layer)).encode()
        self.ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, MANIFEST)
        return digest(manifest)

    def sign(self, image: str, private: ec.EllipticCurvePrivateKey, name: str = "acme/shop") -> None:
        """A signature as cosign keeps it beside an image."""
        claim = {"image": {"docker-manifest-digest": image}, "type": "cosign container image signature"}
        payload = json.dumps({"critical": claim}).encode()
        signature = base64.b64encode(private.sign(payload, ec.ECDSA(hashes.SHA256()))).decode()
        for content in (b"{}", payload):
            self.push_blob(name, content)
        layer = {
            "mediaType": SIMPLE,
            "digest": digest(payload),
            "size": len(payload),
            "annotations": {"dev.cosignproject.cosign/signature": signature},
        }
        manifest = {**manifest_of(b"{}", payload), "layers": [layer]}
        path = f"/v2/{name}/manifests/{image.replace(':', '-')}.sig"
        self.ask("PUT", path, json.dumps(manifest).encode(), MANIFEST)

    def keep(self, image: str, payload: bytes, signature: bytes, certificate: bytes, entry: bytes) -> None:
        """A keyless signature in the older form, as cosign keeps it beside an image."""
        for content in (b"{}", payload):
            self.push_blob("acme/shop", content)
        annotations = {
            "dev.cosignproject.cosign/signature": base64.b64encode(signature).decode(),
            "dev.sigstore.cosign/certificate": certificate.decode(),
            "dev.sigstore.cosign/bundle": entry.decode(),
        }
        layer = {"mediaType": SIMPLE, "digest": digest(payload), "size": len(payload), "annotations": annotations}
        manifest = {**manifest_of(b"{}", payload), "layers": [layer]}
        path = f"/v2/acme/shop/manifests/{image.replace(':', '-')}.sig"
        self.ask("PUT", path, json.dumps(manifest).encode(), MANIFEST)

    def attach_bundle(self, image: str, bundle: dict[str, Any]) -> None:
        """A bundle of Sigstore, as cosign attaches it to an image."""
        content = json.dumps(bundle).encode()
        for blob in (b"{}", content):
            self.push_blob("acme/shop", blob)
        kind = bundle["mediaType"]
        layer = {"mediaType": kind, "digest": digest(content), "size": len(content)}
        subject = {"mediaType": MANIFEST, "digest": image, "size": 1}
        manifest = {**manifest_of(b"{}", content), "layers": [layer], "subject": subject, "artifactType": kind}
        body = json.dumps(manifest).encode()
        self.ask("PUT", f"/v2/acme/shop/manifests/{digest(body)}", body, MANIFEST)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryHost]:
    host = RegistryHost(tmp_path / "registry")
    yield host
    host.close()


@pytest.fixture
def person(team: Team, tmp_path: Path) -> Person:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = Bob Builder\n\temail = bob@acme.example\n")
    return Person(team, home)


def policy(team: Team, registry: RegistryHost, **spec: Any) -> str:
    spec = {
        "image": f"{registry.host}/acme/shop",
        "insecure": True,
        "select": {"semver": "1.x"},
        "interval": "10m",
        "pull": {"secret": "registry"},
        "hook": {"secret": "hook"},
        "update": {"repository": "config", "paths": ["apps"]},
        **spec,
    }
    content = {"apiVersion": "windlass.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": "shop"}, "spec": spec}
    return yaml.safe_dump(content, sort_keys=False)


def shop(team: Team, registry: RegistryHost, paths: tuple[str, ...] = ("apps", "clusters"), **spec: Any) -> str:
    """A shop at 1.4.1, with a policy that is in Git itself. Returns the commit."""
    team.put("v1", "Secret", "registry", stringData={"username": "ada", "password": "s3cret"})
    team.put("v1", "Secret", "write", stringData={"username": "git", "password": "any"})
    author = {"name": "windlass", "email": "windlass@acme.example"}
    team.repository(write={"secret": "write", "author": author, "paths": list(paths)})
    team.application("root", "clusters")
    team.application("shop", "apps/shop")
    registry.push("1.4.1")
    files = {
        WEB: "# The shop.\n" + deployment("web", f"{registry.host}/acme/shop:1.4.1"),
        POLICY: policy(team, registry, **spec),
    }
    commit = team.commit(files, "Shop 1.4.1")

    def runs() -> bool:
        """Also where the policy's own commit, which writes the digest, came before anybody could see this one."""
        now = team.status()
        well = (now.get("sync"), now.get("health")) == ("Synced", "Healthy")
        return well and now.get("commit") in (commit, pull(team))

    team.until(runs, "the shop of 1.4.1 runs")
    team.until(lambda: state(team).get("tag") == "1.4.1", "the policy has looked")
    return commit


def state(team: Team) -> dict[str, Any]:
    found = team.get("windlass.dev/v1alpha1/imagepolicies/shop") or {}
    return found.get("status") or {}


def ready(team: Team) -> dict[str, Any]:
    return next((one for one in state(team).get("conditions", []) if one["type"] == "Ready"), {})


def told(team: Team, body: bytes = b"{}", token: str = "hook-secret-of-the-tests", name: str = "shop") -> int:
    """A push hook of a registry."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{team.windlass.port}/hooks/registry/{team.namespace}/{name}",
        data=body,
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def pull(team: Team) -> str:
    git(team.work, "pull", "-q", "--ff-only", "origin", "main")
    return team.head()


def web(team: Team) -> str:
    pull(team)
    return (team.work / WEB).read_text()


def until(team: Team, look: Callable[[], bool], what: str, seconds: float = 20) -> None:
    try:
        team.until(look, what, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\npolicy: {json.dumps(state(team), indent=1)}") from None


def test_a_pushed_image_is_taken_committed_deployed_and_healthy(team: Team, registry: RegistryHost) -> None:
    before = shop(team, registry)
    text = web(team)
    made = registry.push("1.4.2", **{"org.opencontainers.image.revision": "3f2c1ab"})
    assert told(team) == 202
    until(team, lambda: state(team).get("tag") == "1.4.2" and "1.4.2" in web(team), "1.4.2 is in Git")
    assert web(team) == text.replace("shop:1.4.1", "shop:1.4.2"), "only the bytes of the tag are others"
    message = git(team.work, "log", "-1", "--format=%B").stdout
    assert message.startswith("Take acme/shop 1.4.2 (was 1.4.1)\n\nthe highest of 2: version 1.4.2\n")
    assert fact_of(message, "Image-Digest") == made
    assert fact_of(message, "Image-Revision") == "3f2c1ab"
    assert git(team.work, "log", "-1", "--format=%an <%ae>").stdout == "windlass <windlass@acme.example>\n"
    commit = team.head()
    team.until_synced(commit)
    live = team.get("apps/v1/deployments/web")
    assert live is not None
    assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith("/acme/shop:1.4.2")
    until(team, lambda: ready(team).get("reason") == "ImageChosen", "the policy is ready")
    assert state(team)["commit"] == commit != before
    assert ready(team)["message"] == "1.4.2 is chosen, in one place"


def test_what_a_person_reverts_stays_reverted_and_is_held_in_git(team: Team, registry: RegistryHost) -> None:
    shop(team, registry)
    registry.push("1.4.2")
    told(team)
    until(team, lambda: "1.4.2" in web(team), "1.4.2 is taken")
    taken = team.head()
    git(team.work, "revert", "--no-edit", "HEAD")
    git(team.work, "push", "-q", "origin", "HEAD:main")
    team.hook()
    until(team, lambda: pull(team) != "" and "hold" in (team.work / POLICY).read_text(), "it is held")
    held = yaml.safe_load((team.work / POLICY).read_text())["spec"]["hold"][0]
    assert (held["tag"], held["reason"], held["by"]) == ("1.4.2", f"{taken[:7]} took it and was reverted", "windlass")
    assert "until" in held
    assert "acme/shop:1.4.1" in web(team)
    team.until_synced(team.head(), "root")
    # The next one is taken.
    registry.push("1.4.3")
    told(team)
    until(team, lambda: "1.4.3" in web(team), "1.4.3 is taken")
    # And who lets go of the hold and goes back means it.
    text = (team.work / POLICY).read_text()
    content = yaml.safe_load(text)
    del content["spec"]["hold"]
    back = (team.work / WEB).read_text().replace("1.4.3", "1.4.1")
    registry.ask("DELETE", "/v2/acme/shop/manifests/1.4.3")
    team.commit({POLICY: yaml.safe_dump(content), WEB: back}, "Try 1.4.2 again")
    until(team, lambda: "1.4.2" in web(team), "1.4.2 is taken again")


def test_of_several_reverts_at_once_none_is_taken_again(team: Team, registry: RegistryHost) -> None:
    shop(team, registry)
    for tag in ("1.4.2", "1.4.3"):
        registry.push(tag)
        told(team)
        until(team, lambda tag=tag: tag in web(team), f"{tag} is taken")  # type: ignore[misc]
    git(team.work, "revert", "--no-edit", "HEAD", "HEAD~1")
    git(team.work, "push", "-q", "origin", "HEAD:main")
    team.hook()

    def held() -> list[str]:
        assert "acme/shop:1.4.1" in web(team), "what the person put back stays"
        return [one["tag"] for one in yaml.safe_load((team.work / POLICY).read_text())["spec"].get("hold", [])]

    until(team, lambda: held() == ["1.4.3", "1.4.2"], "both are held")
    team.until_synced(team.head(), "root")
    # A range that leads from what is there to what was taken before is no revert: the policy itself had moved on.
    registry.push("1.4.4")
    told(team)
    until(team, lambda: "1.4.4" in web(team), "1.4.4 is taken")
    registry.push("1.4.5")
    told(team)
    until(team, lambda: "1.4.5" in web(team), "1.4.5 is taken")
    content = yaml.safe_load((team.work / POLICY).read_text())
    content["spec"]["select"] = {"semver": "<1.4.5"}
    team.commit({POLICY: yaml.safe_dump(content)}, "Only what is below 1.4.5")
    until(team, lambda: "1.4.4" in web(team), "1.4.4 is taken again")


def test_a_digest_does_not_go_backwards_because_its_tag_is_missing(team: Team, registry: RegistryHost) -> None:
    shop(team, registry, pin="digest")
    made = registry.push("1.4.2")
    told(team)
    until(team, lambda: f"acme/shop@{made}" in web(team), "1.4.2 is taken, by its digest")
    until(team, lambda: state(team).get("digest") == made and ready(team).get("status") == "True", "it is told")
    registry.ask("DELETE", "/v2/acme/shop/manifests/1.4.2")
    for _ in range(2):  # what is known of the digest is not forgotten by the first look
        told(team)
        until(team, lambda: "would be a step back" in state(team).get("message", ""), "it says why it stays")
        assert f"acme/shop@{made}" in web(team)
        registry.push("1.4.0")
    last = registry.push("1.4.3")
    told(team)
    until(team, lambda: f"acme/shop@{last}" in web(team), "1.4.3 is taken")


def test_an_image_without_the_right_signature_is_not_taken(team: Team, registry: RegistryHost, person: Person) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    team.put("v1", "Secret", "cosign-pub", stringData={"cosign.pub": pem.decode()})
    shop(team, registry, pin="tag+digest", verify={"cosign": {"key": {"secret": "cosign-pub"}}})
    good = registry.push("1.4.2")
    registry.sign(good, private)
    foreign = registry.push("1.4.3")
    registry.sign(foreign, ec.generate_private_key(ec.SECP256R1()))
    registry.push("1.4.4")
    told(team)
    until(team, lambda: f"acme/shop:1.4.2@{good}" in web(team), "the signed one is taken, by its digest")
    checked = person("image", "check", f"{team.namespace}/shop")
    assert checked.code == 0, checked
    assert "    1.4.4   has no signature\n" in checked.out
    assert "    1.4.3   its signature is not good: no key that is trusted made it\n" in checked.out
    assert ".sig" not in checked.out
    # A tag that is moved after it was checked is another image: it is looked at anew.
    registry.push("1.4.2", built="again")
    told(team)
    team.windlass.cluster.eventually(lambda: state(team).get("tag") == "1.4.2", "it has looked", 10)
    assert f"acme/shop:1.4.2@{good}" in web(team)


def test_an_image_is_taken_by_who_signed_it_without_a_key(team: Team, registry: RegistryHost, person: Person) -> None:
    sigstore = PrivateSigstore()
    keyless = {"issuer": ISSUER, "identityPattern": r"https://github\.com/acme/shop/.+@refs/tags/v.+"}
    team.put("v1", "ConfigMap", "sigstore-root", data={"trusted_root.json": sigstore.trusted_root().decode()})
    shop(team, registry, pin="tag+digest", verify={"cosign": {"keyless": keyless}})
    good = registry.push("1.4.2")
    registry.attach_bundle(good, sigstore.bundle(good))
    foreign = registry.push("1.4.3")
    registry.keep(foreign, **sigstore.simple(foreign, sigstore.leaf("mallory@evil.example")))
    old = registry.push("1.4.4")
    registry.keep(old, **PrivateSigstore().simple(old))
    # A good signature of another image, moved over here.
    moved = registry.push("1.4.5")
    registry.attach_bundle(moved, sigstore.bundle(good))
    registry.push("1.4.6")
    told(team)
    until(team, lambda: f"acme/shop:1.4.2@{good}" in web(team), "the one by the right signer is taken", 60)
    message = git(team.work, "log", "-1", "--format=%B", "--", WEB).stdout
    assert f"signed by {IDENTITY} ({ISSUER})" in " ".join(message.split())
    checked = person("image", "check", f"{team.namespace}/shop", "-o", "json")
    assert checked.code == 0, checked
    why = {one["tag"]: one["why"] for one in json.loads(checked.out)["verdicts"]}
    assert why["1.4.6"] == "has no signature"
    assert why["1.4.5"] == "its signature is not good: it is of another image"
    assert why["1.4.4"] == "its signature is not good: no transparency log that is trusted has it"
    assert f"mallory@evil.example ({ISSUER}) signed it, who is not the one asked for" in why["1.4.3"]
    assert why["1.4.2"].endswith(f"signed by {IDENTITY} ({ISSUER})")


def test_a_hook_that_is_forged_malformed_or_for_nobody_is_refused_alike(team: Team, registry: RegistryHost) -> None:
    shop(team, registry)
    assert told(team, token="wrong") == told(team, name="nobody") == 403
    assert told(team, body=b"{" * 1000) == 202, "whoever has the token may say anything: it only means look"
    assert told(team, body=b"x" * ((1 << 20) + 1)) == 413


def test_a_registry_that_is_away_or_empty_changes_nothing(team: Team, registry: RegistryHost) -> None:
    shop(team, registry)
    registry.ask("DELETE", "/v2/acme/shop/manifests/1.4.1")
    registry.push("1.4.0")
    before = web(team)
    told(team)
    until(team, lambda: "would be a step back" in state(team).get("message", ""), "it says why it stays")
    registry.close()
    told(team)
    until(team, lambda: ready(team).get("reason") == "RemoteUnavailable", "it is told")
    assert web(team) == before
    assert team.status()["sync"] == "Synced"


def test_what_may_not_be_written_is_told_with_the_mend(team: Team, registry: RegistryHost, person: Person) -> None:
    shop(team, registry, paths=("clusters",))
    registry.push("1.4.2")
    told(team)
    until(team, lambda: ready(team).get("reason") == "ImageNotTaken", "the fence holds")
    assert "may not write this file" in ready(team)["message"]
    assert WEB in ready(team)["message"]
    assert f'mend: let it: add "{WEB}" to spec.write.paths' in ready(team)["message"]
    assert "1.4.1" in web(team)
    checked = person("image", "check", f"{team.namespace}/shop")
    assert f"  not written: {ready(team)['message']}\n" in checked.out


def test_a_branch_of_its_own_is_for_people_to_merge(team: Team, registry: RegistryHost) -> None:
    update = {"repository": "config", "paths": ["apps"], "branch": "images/shop"}
    main = shop(team, registry, update=update)
    registry.push("1.4.2")
    told(team)

    def branch() -> str:
        git(team.work, "fetch", "-q", "origin")
        return git(team.work, "show", f"origin/images/shop:{WEB}", check=False).stdout

    until(team, lambda: "1.4.2" in branch(), "it is on the branch")
    assert pull(team) == main
    assert git(team.work, "rev-parse", "origin/images/shop~1").stdout.strip() == main
    registry.push("1.4.3")
    told(team)
    until(team, lambda: "1.4.3" in branch(), "the next one is on top of it")
    git(team.work, "merge", "-q", "--ff-only", "origin/images/shop")
    git(team.work, "push", "-q", "origin", "HEAD:main")
    team.hook()
    team.until_synced(team.head())


def test_the_command_lists_checks_and_asks(team: Team, registry: RegistryHost, person: Person) -> None:
    shop(team, registry)
    registry.push("1.4.2")
    registry.push("2.0.0")
    listed = person("image", "list", "-n", team.namespace)
    assert listed.code == 0, listed
    assert listed.out == f"{team.namespace}/shop   {registry.host}/acme/shop   1.4.1   1 place\n"
    checked = person("image", "check", "shop", "-n", team.namespace)
    assert checked.code == 2, checked
    assert "1.4.2 would be taken: the highest of 2: version 1.4.2\n" in checked.out
    assert (
        "  > 1.4.2   chosen: version 1.4.2\n  * 1.4.1   version 1.4.1, below 1.4.2\n    2.0.0   is not in 1.x\n"
        in checked.out
    )
    assert person("image", "check", "nothing", "-n", team.namespace).code == 1
    asked = person("image", "update", "shop", "-n", team.namespace)
    assert asked.code == 0, asked
    until(team, lambda: "1.4.2" in web(team), "it looked when it was asked to")
    data = json.loads(person("image", "list", "-n", team.namespace, "-o", "json").out)
    assert data[0]["policy"] == f"{team.namespace}/shop"


def test_a_rollback_holds_the_tag_that_it_goes_back_from_in_the_same_commit(
    team: Team, registry: RegistryHost, person: Person
) -> None:
    team.put("v1", "Secret", "registry", stringData={"username": "ada", "password": "s3cret"})
    team.put("v1", "Secret", "write", stringData={"username": "git", "password": "any"})
    team.repository(write={"secret": "write", "paths": ["apps", "clusters"]})
    team.application("root", "clusters")
    own = {
        "apiVersion": "windlass.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "shop"},
        "spec": {"source": {"repository": "config", "path": "apps/shop"}},
    }
    registry.push("1.4.1")
    files = {
        "clusters/shop.yaml": yaml.safe_dump(own),
        WEB: deployment("web", f"{registry.host}/acme/shop:1.4.1"),
        POLICY: policy(team, registry),
    }
    good = team.commit(files, "Shop 1.4.1")
    team.until_synced(good)
    registry.push("1.4.2")
    team.until(lambda: state(team).get("tag") == "1.4.1", "the policy has looked")
    told(team)
    until(team, lambda: "1.4.2" in web(team), "1.4.2 is taken")
    taken = team.head()
    team.until_synced(taken)
    done = person("rollback", f"{team.namespace}/shop", "--reason", "crash loop", "--timeout", "30s")
    assert done.code == 0, done
    assert f"  holds 1.4.2 of ImagePolicy {team.namespace}/shop\n" in done.out
    pull(team)
    assert git(team.work, "diff", "--name-only", f"{taken}..HEAD").stdout.split() == [POLICY, "clusters/shop.yaml"]
    assert git(team.work, "rev-list", "--count", f"{taken}..HEAD").stdout.strip() == "1"
    held = yaml.safe_load((team.work / POLICY).read_text())["spec"]["hold"]
    assert [(one["tag"], one["reason"]) for one in held] == [("1.4.2", "rolled back: crash loop")]
    # A person may say so without going back, and let go of it again.
    done = person("hold", f"{team.namespace}/shop", "1.5.0", "--until", "2h", "--reason", "not before the sale")
    assert done.code == 0, done
    assert "Hold 1.5.0 of " in done.out
    done = person("hold", f"{team.namespace}/shop", "1.5.0", "--remove")
    assert done.code == 0, done
    pull(team)
    assert [one["tag"] for one in yaml.safe_load((team.work / POLICY).read_text())["spec"]["hold"]] == ["1.4.2"]
    assert person("hold", f"{team.namespace}/shop", "1.5.0").code == 64
