"""What must hold after every fault, and what must hold once faults stop. Each check names what broke it.

`unharmed` may be asked at any instant, also while the controller is dead. `equals_git` and `effects` are asked when it
has come to rest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from e2e.team import Team
from faults.proxy import Request

LABEL = "windlass.dev/application"
ADOPTED = "windlass.dev/adopted"
KINDS = {
    "v1/ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "v1/Secret": "/api/v1/namespaces/{}/secrets",
    "v1/Service": "/api/v1/namespaces/{}/services",
    "v1/ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "apps/v1/Deployment": "/apis/apps/v1/namespaces/{}/deployments",
}


def live(team: Team) -> dict[str, dict[str, Any]]:
    """Every object of the kinds above in the team's namespace, by `Kind/name`."""
    found = {}
    for word, path in KINDS.items():
        for one in team.cluster.request("GET", path.format(team.namespace)).json["items"]:
            found[f"{word.rpartition('/')[2]}/{one['metadata']['name']}"] = one
    return found


def owned_by(content: Mapping[str, Any]) -> set[str]:
    """The Applications' managers that applied something of an object."""
    entries = content["metadata"].get("managedFields", [])
    managers = {one["manager"] for one in entries if one["operation"] == "Apply"}
    return {one for one in managers if one.startswith("windlass-") and one != "windlass-released"}


def unharmed(
    team: Team, before: Mapping[str, Mapping[str, Any]], *, others: Iterable[str] = (), wanted: Iterable[str] = ()
) -> None:
    """Nothing is orphaned, nothing of others was touched, and nothing that Git has was deleted.

    `before` is `live` of earlier; `others` and `wanted` name objects in it.
    """
    now = live(team)
    installation = team.cluster.request("GET", "/apis/windlass.dev/v1alpha1/installations/windlass").json
    recorded = installation.get("status", {}).get("kinds", [])
    for name, content in now.items():
        if owned_by(content):
            # What existed before may be half taken over: it is marked so, and never deleted without a word in Git.
            known = content["metadata"].get("labels", {}).get(LABEL) or content["metadata"]["annotations"].get(ADOPTED)
            assert known, f"{name} is ours and nobody would find it"
            kind = next(word for word in KINDS if word.endswith(f"/{name.partition('/')[0]}"))
            assert kind in recorded, f"{name} was made before its kind was recorded"
    for name in others:
        assert name in now, f"{name} is somebody's, and gone"
        same = before[name]["metadata"]["resourceVersion"], before[name]["metadata"]["uid"]
        assert (now[name]["metadata"]["resourceVersion"], now[name]["metadata"]["uid"]) == same, f"{name} was touched"
    for name in wanted:
        assert name in now, f"{name} is in Git, and gone"
        assert now[name]["metadata"]["uid"] == before[name]["metadata"]["uid"], f"{name} was made anew"
        assert not now[name]["metadata"].get("deletionTimestamp"), f"{name} is in Git, and is being deleted"


def equals_git(
    team: Team,
    application: str = "shop",
    path: str = "shop",
    *,
    others: Iterable[str] = (),
    now: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Every manifest of the folder is live with what it says, and nothing else carries the Application's label, but for
    `others`, on which somebody forged it. `now` is `live` where the caller asks about many Applications."""
    wanted = {}
    for file in sorted((team.work / path).glob("*.yaml")):
        for one in yaml.load_all(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            name = f"{one.pop('kind')}/{one['metadata']['name']}"
            del one["apiVersion"]  # items of a list leave both out
            wanted[name] = one
    now = live(team) if now is None else now
    for name, manifest in wanted.items():
        assert name in now, f"{name} is in Git and not live"
        assert contains(now[name], manifest), f"{name} is not as Git says: {json.dumps(now[name])}"
        assert now[name]["metadata"]["labels"][LABEL] == f"{team.namespace}.{application}"
    ours = {name for name, one in now.items() if one["metadata"].get("labels", {}).get(LABEL)}
    ours = {name for name in ours if now[name]["metadata"]["labels"][LABEL] == f"{team.namespace}.{application}"}
    left = ours - set(wanted) - set(others)
    assert not left, f"no longer in Git, and live: {left}"


def contains(whole: Any, part: Any) -> bool:
    """Whether everything that a manifest says is so. Lists are compared item by item."""
    if isinstance(part, dict):
        if not part and whole is None:
            return True  # an empty map is as good as none
        return isinstance(whole, dict) and all(contains(whole.get(key), part[key]) for key in part)
    if isinstance(part, list):
        same = isinstance(whole, list) and len(whole) == len(part)
        return same and all(contains(one, other) for one, other in zip(whole, part, strict=True))
    return bool(whole == part)


def effects(requests: Iterable[Request], namespace: str) -> Counter[str]:
    """How often each object was changed by the controller: writes that were carried out and changed something.

    A write that was answered with the resourceVersion of the write before it changed nothing.
    """
    counted: Counter[str] = Counter()
    versions: dict[str, str] = {}
    for one in requests:
        done = one.writes and 200 <= one.code < 300 and f"/namespaces/{namespace}/" in one.path
        if not done or one.path.endswith("/status") or one.path.endswith("/events"):
            continue
        if one.version and versions.get(one.path) == one.version:
            continue
        versions[one.path] = one.version
        form = "apply" if one.applies else one.method.lower()
        counted[f"{form} {one.path.rpartition(f'/namespaces/{namespace}/')[2]}"] += 1
    return counted
