"""Repositories as people have laid them out for Flux and for Argo CD, automated without a change to them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from e2e.team import Team, deployment, git
from e2e.test_cli import Person
from e2e.test_flow_images import MANIFEST, RegistryHost, pull, ready, told
from e2e.test_flow_images import person as person
from e2e.test_flow_images import registry as registry
from unit.ociserver.test_protocol import manifest_of
from unit.registry.sites import chart_archive
from windlass.adapters.registry.charts import CHART_CONFIG, CHART_LAYER

TREES = Path(__file__).parents[1] / "repositories"


def laid_out(team: Team, registry: RegistryHost, tree: str) -> str:
    """The tree with the test's registry and namespace in it, as the first commit."""
    for source in sorted((TREES / tree).rglob("*")):
        if source.is_file():
            target = team.work / source.relative_to(TREES / tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            content = source.read_bytes().replace(b"REGISTRY", registry.host.encode())
            target.write_bytes(content.replace(b"NAMESPACE", team.namespace.encode()))
    git(team.work, "config", "core.autocrlf", "false")
    return team.commit({}, "As it was", told=False)


def policy(team: Team, registry: RegistryHost, name: str, image: str, paths: list[str], **spec: Any) -> None:
    spec = {
        "image": f"{registry.host}/acme/{image}",
        "insecure": True,
        "select": {"semver": "1.x"},
        "interval": "10m",
        "pull": {"secret": "registry"},
        "hook": {"secret": "hook"},
        "update": {"repository": "config", "paths": paths},
        **spec,
    }
    team.put("windlass.dev/v1alpha1", "ImagePolicy", name, spec=spec)


def tag_of(team: Team, name: str) -> str:
    found = team.get(f"windlass.dev/v1alpha1/imagepolicies/{name}") or {}
    return str((found.get("status") or {}).get("tag", ""))


def changed(team: Team, registry: RegistryHost, base: str) -> str:
    """What is in Git now and was not at ``base``, byte by byte, with the placeholders again."""
    done = git(team.work, "diff", "-U0", "--no-color", "--no-ext-diff", base, "HEAD").stdout
    lines = [line for line in done.split("\n") if not re.match(r"index |diff --git |--- ", line)]
    text = "\n".join(re.sub(r"^(@@ \S+ \S+ @@).*", r"\1", line) for line in lines)
    return text.replace(registry.host, "REGISTRY").replace(team.namespace, "NAMESPACE")


def moved(team: Team, registry: RegistryHost, base: str, expected: str) -> None:
    """Waits until the repository differs from ``base`` by just what is expected."""
    try:
        team.until(lambda: pull(team) and changed(team, registry, base) == expected, "all is moved", 60)
    except AssertionError:
        assert changed(team, registry, base) == expected
        raise


def images(team: Team, name: str) -> list[str]:
    found = team.get(f"apps/v1/deployments/{name}") or {}
    containers = found.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    return [one["image"].rpartition("/")[2] for one in containers]


def prepared(team: Team, registry: RegistryHost) -> None:
    team.put("v1", "Secret", "registry", stringData={"username": "ada", "password": "s3cret"})
    team.put("v1", "Secret", "write", stringData={"username": "git", "password": "any"})
    team.repository(write={"secret": "write", "paths": ["**"]})
    for image in ("shop", "worker"):
        registry.push("1.4.1", f"acme/{image}")


def released(team: Team, registry: RegistryHost, names: list[str], base: str) -> None:
    """1.4.2 of both images is pushed, and every policy has its way."""
    for name in names:
        team.until(lambda name=name: tag_of(team, name) == "1.4.1", f"{name} has looked", 60)
    assert pull(team) == base, "nothing is to be changed, so nothing is"
    for image in ("shop", "worker"):
        registry.push("1.4.2", f"acme/{image}")
    for name in names:
        assert told(team, name=name) == 202


def test_a_repository_laid_out_for_flux_is_moved_by_its_marks(team: Team, registry: RegistryHost) -> None:
    prepared(team, registry)
    base, expected = laid_out(team, registry, "flux"), (TREES / "flux.diff").read_text()
    team.application("shop", "apps/production")
    paths = ["apps", "clusters", "infrastructure"]
    policy(team, registry, "shop", "shop", paths)
    policy(team, registry, "worker", "worker", paths)
    # Production stands still by a policy of its own: what its mark is behind is not the other policy's.
    policy(team, registry, "worker-production", "worker", ["apps/production"], select={"semver": "1.4.1"})
    team.hook()
    team.until_synced(base, seconds=60)
    assert images(team, "shop") == ["shop:1.4.1", "worker:1.4.1", "envoy:1.4.1"]
    released(team, registry, ["shop", "worker", "worker-production"], base)
    moved(team, registry, base, expected)
    assert images_of_commit(team) <= 2, "a policy's places are one commit"
    job = (team.work / "apps/base/shop/migrate.yaml").read_bytes()
    assert job.count(b"\r\n") == job.count(b"\n") > 0, "its line ends are those of Windows as before"
    team.until_synced(team.head(), seconds=60)
    assert images(team, "shop") == ["shop:1.4.2", "worker:1.4.1", "envoy:1.4.1"]


def test_a_repository_laid_out_for_argo_cd_is_moved_by_what_stands_there(team: Team, registry: RegistryHost) -> None:
    prepared(team, registry)
    base, expected = laid_out(team, registry, "argocd"), (TREES / "argocd.diff").read_text()
    team.application("shop", "apps/shop/overlays/staging")
    team.application("api", "charts/api")
    paths = ["applications", "apps/*/overlays/staging", "charts", ".argocd-source-*.yaml"]
    policy(team, registry, "shop", "shop", paths)
    policy(team, registry, "worker", "worker", paths)
    team.hook()
    for name in ("shop", "api"):
        team.until_synced(base, name, seconds=60)
    assert images(team, "shop") == images(team, "api") == ["shop:1.4.1", "worker:1.4.1"]
    released(team, registry, ["shop", "worker"], base)
    moved(team, registry, base, expected)
    assert images_of_commit(team) <= 2
    for name in ("shop", "api"):
        team.until_synced(team.head(), name, seconds=60)
        assert images(team, name) == ["shop:1.4.2", "worker:1.4.2"]


def test_two_policies_of_one_image_do_not_undo_each_others_commits(team: Team, registry: RegistryHost) -> None:
    prepared(team, registry)
    image = f"{registry.host}/acme/shop:1.4.1"
    marked = deployment("marked", image).replace(image, f"{image} # windlass: new")
    base = team.commit({"apps/a.yaml": deployment("a", image), "apps/b.yaml": marked}, "Both", told=False)
    policy(team, registry, "new", "shop", ["apps"])
    policy(team, registry, "old", "shop", ["apps"], select={"semver": "1.4.1"})
    team.hook()
    released(team, registry, ["new", "old"], base)
    team.until(lambda: pull(team) != base, "what is marked is moved", 60)

    def refusal() -> str:
        found = team.get("windlass.dev/v1alpha1/imagepolicies/new") or {}
        conditions = (found.get("status") or {}).get("conditions", [])
        return next((one["message"] for one in conditions if one["reason"] == "ImageNotTaken"), "")

    told_of = team.until(refusal, "it is told why the other one is not", 60)
    assert f"apps/a.yaml is also in the paths of ImagePolicy {team.namespace}/old, of the same image" in told_of
    pull(team)
    assert git(team.work, "diff", "--name-only", base, "HEAD").stdout.split() == ["apps/b.yaml"]
    # Who says which of them has it ends it.
    own = deployment("a", image).replace(image, f"{image} # windlass: new")
    team.commit({"apps/a.yaml": own}, "It is the new one's")
    team.until(lambda: pull(team) and "shop:1.4.2" in (team.work / "apps/a.yaml").read_text(), "it is moved", 60)
    assert images_of_commit(team) == 2


def test_twenty_images_of_one_push_are_one_commit(team: Team, registry: RegistryHost) -> None:
    prepared(team, registry)
    names = [f"part-{number}" for number in range(20)]
    files = {f"apps/{name}.yaml": deployment(name, f"{registry.host}/acme/{name}:1.4.1") for name in names}
    base = team.commit(files, "Twenty parts", told=False)
    for name in names:
        registry.push("1.4.1", f"acme/{name}")
        policy(team, registry, name, name, ["apps"])
    team.hook()
    for name in names:
        team.until(lambda name=name: tag_of(team, name) == "1.4.1", f"{name} has looked", 60)
    assert pull(team) == base
    for name in names:
        registry.push("1.4.2", f"acme/{name}")
    hook = {"events": [{"action": "push", "target": {"repository": f"acme/{name}"}} for name in names]}
    assert told(team, json.dumps(hook).encode(), name=names[0]) == 202

    def left() -> bool:
        pull(team)
        return any("1.4.1" in (team.work / file).read_text() for file in files)

    team.until(lambda: not left(), "all are taken", 60)
    # One; where the machine is so busy that twenty looks take seconds, what is decided later is another.
    assert int(git(team.work, "rev-list", "--count", f"{base}..HEAD").stdout) <= 4
    messages = git(team.work, "log", "--format=%B", f"{base}..HEAD").stdout
    assert all(f"\nMoves: {team.namespace}/{name} 1.4.2\n" in messages for name in names)


def images_of_commit(team: Team) -> int:
    """How many commits the policies made."""
    log = git(team.work, "log", "--format=%an %s").stdout.splitlines()
    return sum(1 for line in log if line.startswith("windlass Take "))


def test_the_trees_are_yaml_that_their_programs_would_read() -> None:
    for path in sorted(TREES.rglob("*.yaml")):
        if path.parent.name != "templates":
            assert all(isinstance(one, dict) for one in yaml.safe_load_all(path.read_text())), path


def push_chart(registry: RegistryHost, version: str, name: str = "redis") -> None:
    archive, config = chart_archive(name, version), b"{}"
    for content in (config, archive):
        registry.push_blob(f"acme/charts/{name}", content)
    manifest = manifest_of(config, archive)
    manifest["config"]["mediaType"] = CHART_CONFIG
    manifest["layers"][0]["mediaType"] = CHART_LAYER
    registry.ask("PUT", f"/v2/acme/charts/{name}/manifests/{version}", json.dumps(manifest).encode(), MANIFEST)


def test_a_chart_moves_to_the_highest_version_that_is_not_held(
    team: Team, registry: RegistryHost, person: Person
) -> None:
    team.put("v1", "Secret", "registry", stringData={"username": "ada", "password": "s3cret"})
    team.put("v1", "Secret", "write", stringData={"username": "git", "password": "any"})
    team.repository(write={"secret": "write", "paths": ["platform"]})
    for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0"):
        push_chart(registry, version)
    url = f"oci://{registry.host}/acme/charts"
    text = f"charts:\n  - {{name: redis, repo: {url}, version: 1.0.0}}   # keep up\n"
    team.commit({"platform/charts.yaml": text}, "Redis 1.0.0")
    spec = {
        "chart": {"repository": url, "name": "redis"},
        "insecure": True,
        "select": {"semver": "1.x"},
        "pull": {"secret": "registry"},
        "update": {"repository": "config", "paths": ["platform"]},
        "hold": [{"tag": "1.2.0", "reason": "rolled back"}],
    }
    team.put("windlass.dev/v1alpha1", "ImagePolicy", "shop", spec=spec)

    def written() -> str:
        pull(team)
        return (team.work / "platform/charts.yaml").read_text()

    team.until(lambda: written() == text.replace("1.0.0", "1.1.0"), "1.1.0 is taken")
    team.until(lambda: ready(team).get("status") == "True", "it is well")
    checked = person("image", "check", f"{team.namespace}/shop")
    assert checked.out.split("\n")[2:] == [
        "  > 1.1.0   chosen: version 1.1.0",
        "    1.0.0   version 1.0.0, below 1.1.0",
        "    1.2.0   held: rolled back",
        "    2.0.0   is not in 1.x",
        "",
    ]
