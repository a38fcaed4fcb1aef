"""ControllerRevisions: which template a StatefulSet or DaemonSet is at, and was at. Used by both controllers."""

from __future__ import annotations

from typing import Any

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import ApiError
from windlass.devstack.workloads.cluster import Cluster
from windlass.devstack.workloads.owners import controller_reference, digest, is_going

Object = dict[str, Any]

HASH_LABEL = "controller-revision-hash"
"""On Pods, and on the revisions of a DaemonSet."""
_SET_HASH_LABEL = "controller.kubernetes.io/hash"
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def revision_data(owner: Object) -> Object:
    """What a revision keeps: the template, as a patch that replaces it."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


async def current_revision(cluster: Cluster, owner: Object) -> tuple[Object, list[Object]]:
    """The revision of the owner's template, made if it is new (or moved to the front if it is an old one), and all
    older ones in order.
    """
    revisions = [one for one in cluster.view.owned(owner["metadata"]["uid"], api.REVISIONS) if not is_going(one)]
    revisions.sort(key=lambda one: one.get("revision", 0))
    data = revision_data(owner)
    newest = revisions[-1].get("revision", 0) if revisions else 0
    same = next((one for one in reversed(revisions) if one.get("data") == data), None)
    if same is not None:
        if same is not revisions[-1]:
            same = await cluster.update(api.REVISIONS, {**same, "revision": newest + 1})
        return same, [one for one in revisions if one["metadata"]["uid"] != same["metadata"]["uid"]]
    metadata = owner["metadata"]
    mark = digest([data, (owner.get("status") or {}).get("collisionCount", 0)])
    is_daemon = owner["kind"] == "DaemonSet"
    labels = ((owner["spec"]["template"].get("metadata") or {}).get("labels")) or {}
    made: Object = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{metadata['name']}-{mark}",
            "namespace": metadata["namespace"],
            "labels": {**labels, (HASH_LABEL if is_daemon else _SET_HASH_LABEL): mark},
            "ownerReferences": [controller_reference(owner)],
        },
        "data": data,
        "revision": newest + 1,
    }
    if is_daemon:
        count = (metadata.get("annotations") or {}).get(_TEMPLATE_GENERATION, "1")
        made["metadata"]["annotations"] = {_TEMPLATE_GENERATION: count}
    try:
        return await cluster.create(api.REVISIONS, made), revisions
    except ApiError as error:
        if error.code == 409:
            await cluster.refresh_name(api.REVISIONS, metadata["namespace"], made["metadata"]["name"])
        raise


async def forget_revisions(cluster: Cluster, owner: Object, old: list[Object], used: set[str]) -> None:
    """Delete revisions past the history limit that no Pod is of; ``used`` are their names or hashes."""
    idle = [
        one
        for one in old
        if one["metadata"]["name"] not in used and (one["metadata"].get("labels") or {}).get(HASH_LABEL) not in used
    ]
    for one in idle[: max(0, len(idle) - owner["spec"].get("revisionHistoryLimit", 10))]:
        await cluster.delete(api.REVISIONS, one)
