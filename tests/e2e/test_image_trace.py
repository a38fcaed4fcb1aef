"""An image's way in the ledger, as the controller records it and ``windlass log --trace`` tells it."""

from __future__ import annotations

import json

from e2e.team import Team, deployment
from e2e.test_cli import Person
from e2e.test_flow_images import RegistryHost, policy, pull, state, told
from e2e.test_flow_images import person as person
from e2e.test_flow_images import registry as registry
from e2e.test_flow_ledger import Book
from e2e.test_flow_ledger import book as book

BUILT = "2026-11-20T08:00:00Z"


def test_an_image_is_followed_from_its_push_to_healthy_in_each_application(
    team: Team, registry: RegistryHost, person: Person, book: Book
) -> None:
    team.put("v1", "Secret", "registry", stringData={"username": "ada", "password": "s3cret"})
    team.put("v1", "Secret", "write", stringData={"username": "git", "password": "any"})
    team.repository(write={"secret": "write", "paths": ["apps"]})
    for name in ("shop", "batch", "other"):
        team.application(name, f"apps/{name}")
    team.application("root", "clusters")
    registry.push("1.4.1")
    files = {
        f"apps/{name}/web.yaml": deployment(name, f"{registry.host}/acme/shop:1.4.1") for name in ("shop", "batch")
    }
    files["apps/other/web.yaml"] = deployment("other", f"{registry.host}/acme/other:1")
    first = team.commit({**files, "clusters/policy.yaml": policy(team, registry)}, "Shop 1.4.1")
    for name in ("shop", "batch", "other"):
        team.until_synced(first, name)
    team.until(lambda: state(team).get("tag") == "1.4.1", "the policy has looked", 60)
    made = registry.push("1.4.2", created=BUILT, **{"org.opencontainers.image.revision": "3f2c1ab"})
    assert (
        told(team, json.dumps({"events": [{"action": "push", "target": {"repository": "acme/shop"}}]}).encode()) == 202
    )
    team.until(lambda: state(team).get("tag") == "1.4.2" and pull(team) != first, "it is committed", 60)
    commit = team.head()
    for name in ("shop", "batch"):
        team.until_synced(commit, name, seconds=60)
    ledger = ("--ledger", f"{team.windlass.git.url}/ledger.git", "--cluster", team.cluster.name)

    def traces(*arguments: str) -> list[dict[str, object]]:
        done = person("log", *arguments, "-n", team.namespace, *ledger, "-o", "json")
        return json.loads(done.out) if done.code == 0 else []

    def whole() -> bool:
        found = traces("--trace", "1.4.2")
        return bool(found) and found[0]["seconds"] is not None and len(found[0]["applications"]) == 2  # type: ignore[arg-type]

    team.until(whole, "both have told that they are Healthy", 60)
    (found,) = traces("--trace", commit[:7])
    assert (found["commit"], found["digest"], found["revision"]) == (commit, made, "3f2c1ab")
    assert (found["by"], found["built"]) == ("push hook", "2026-11-20T08:00:00.000Z")
    steps = [found["pushed"], found["decided"], found["committed"]]
    assert steps == sorted(map(str, steps)), "the steps are in their order"
    delivered = {one["application"]: one for one in found["applications"]}  # type: ignore[attr-defined]
    assert sorted(delivered) == [f"{team.namespace}/batch", f"{team.namespace}/shop"]
    assert all(one["commit"] == commit and one["healthy"] >= one["applied"] for one in delivered.values())
    # By what its code's commit is, by its trace, and by whom it reached.
    for word in ("3f2c1ab", str(found["id"]), "acme/shop:1.4.2", "shop"):
        assert [one["id"] for one in traces("--trace", word)] == [found["id"]]
    assert [one["id"] for one in traces("batch", "--trace")] == [found["id"]]
    assert traces("other", "--trace") == []
    text = person("log", "--trace", "1.4.2", "-n", team.namespace, *ledger).out
    for word in ("built", "pushed", "chosen", "committed", "fetched", "applied", "Healthy"):
        assert f"\n  {word} " in text, text
    assert "   code 3f2c1ab   trace " in text
