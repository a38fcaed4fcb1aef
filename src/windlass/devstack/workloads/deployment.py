"""The Deployment controller: one ReplicaSet per template, replicas moved between them, progress told in conditions.

How many replicas go where is decided in ``rollout``; what the status says in ``deployment_status``.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api, rollout, selectors
from windlass.devstack.workloads.api import ApiError
from windlass.devstack.workloads.deployment_status import Progress, deployment_status, seconds_to_deadline
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import controller_reference, digest, is_going
from windlass.devstack.workloads.pods import is_ended

Object = dict[str, Any]

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
_HASH = "pod-template-hash"
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)


def template_of(replica_set: Object) -> Object:
    """The template that a ReplicaSet was made of: its own without the hash label."""
    template = replica_set["spec"]["template"]
    metadata = dict(template.get("metadata") or {})
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != _HASH}
    metadata.pop("labels", None)
    metadata.pop("creationTimestamp", None)
    if labels:
        metadata["labels"] = labels
    return {**template, "metadata": metadata}


def revision_of(obj: Object) -> int:
    """The revision annotation as a number, 0 where there is none."""
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def replicas_of(replica_set: Object) -> int:
    """The replicas asked for."""
    return int(replica_set["spec"].get("replicas", 1))


def part_of(replica_set: Object) -> rollout.Part:
    """A ReplicaSet as ``rollout`` sees it."""
    metadata, status = replica_set["metadata"], replica_set.get("status") or {}
    ceiling = (metadata.get("annotations") or {}).get(MAXIMUM, "")
    return rollout.Part(
        metadata["name"],
        replicas_of(replica_set),
        status.get("replicas", 0),
        status.get("availableReplicas", 0),
        metadata["creationTimestamp"],
        int(ceiling) if ceiling.isdigit() else 0,
    )


class Deployments(Controller):
    """See the module."""

    name = "deployment"
    kind = "Deployment"
    resource = api.DEPLOYMENTS
    children = (api.REPLICA_SETS,)
    component = "deployment-controller"

    @override
    async def reconcile(self, key: Key) -> float | None:
        deployment = self.view.get(self.resource, *key)
        if deployment is None:
            return None
        if is_going(deployment):
            return None
        sets = await self._sets(deployment)
        new = next((one for one in sets if template_of(one) == template_of(deployment)), None)
        old = [one for one in sets if one is not new]
        progress = Progress(found=new is not None)
        paused = bool(deployment["spec"].get("paused"))
        if await self._scaled(deployment, new, old):
            pass  # what a changed `replicas` asks for comes before any rollout
        elif not paused:
            recreate = deployment["spec"]["strategy"]["type"] == "Recreate"
            if recreate and await self._emptied(deployment, old):
                return await self._report(deployment, new, old, progress)
            if new is None:
                new = await self._make(deployment, old, recreate, progress)
            else:
                new = await self._annotate(deployment, new, old)
            await self._roll(deployment, new, old, recreate)
        sets = self._owned(deployment)
        new = next((one for one in sets if new and one["metadata"]["uid"] == new["metadata"]["uid"]), new)
        old = [one for one in sets if not new or one["metadata"]["uid"] != new["metadata"]["uid"]]
        if not paused:
            await self._forget(deployment, new, old)
        return await self._report(deployment, new, old, progress)

    def _owned(self, deployment: Object) -> list[Object]:
        sets = self.view.owned(deployment["metadata"]["uid"], api.REPLICA_SETS)
        return sorted(sets, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))

    async def _sets(self, deployment: Object) -> list[Object]:
        for orphan in self.view.orphans(api.REPLICA_SETS, deployment["metadata"]["namespace"]):
            labels = orphan["metadata"].get("labels") or {}
            if selectors.matches(deployment["spec"].get("selector"), labels) and not is_going(orphan):
                references = [*(orphan["metadata"].get("ownerReferences") or []), controller_reference(deployment)]
                metadata = {**orphan["metadata"], "ownerReferences": references}
                await self.cluster.update(api.REPLICA_SETS, {**orphan, "metadata": metadata})
        return self._owned(deployment)

    def _bounds(self, deployment: Object) -> tuple[int, int]:
        return rollout.bounds(deployment["spec"].get("strategy") or {}, replicas_of(deployment))

    def _annotations(self, deployment: Object, before: Object, revision: int) -> Object:
        """A ReplicaSet's annotations: the Deployment's, its revision, and what replicas it was sized for."""
        own = {name: value for name, value in before.items() if name in (REVISION, HISTORY)}
        if own.get(REVISION) and own[REVISION] != str(revision):
            own[HISTORY] = ",".join(part for part in (own.get(HISTORY, ""), own[REVISION]) if part)
        own[REVISION] = str(revision)
        wanted = deployment["metadata"].get("annotations") or {}
        copied = {name: value for name, value in wanted.items() if name not in _NOT_COPIED}
        return {**copied, **own, **self._sizes(deployment)}

    def _sizes(self, deployment: Object) -> Object:
        replicas = replicas_of(deployment)
        return {DESIRED: str(replicas), MAXIMUM: str(replicas + self._bounds(deployment)[0])}

    async def _make(self, deployment: Object, old: list[Object], recreate: bool, progress: Progress) -> Object:
        spec, metadata = deployment["spec"], deployment["metadata"]
        collision = (deployment.get("status") or {}).get("collisionCount", 0)
        mark = digest([spec["template"], collision] if collision else spec["template"])
        template = spec["template"]
        labels = {**((template.get("metadata") or {}).get("labels") or {}), _HASH: mark}
        selector = spec["selector"]
        replicas = replicas_of(deployment)
        if old and not recreate:
            room = replicas + self._bounds(deployment)[0] - sum(map(replicas_of, old))
            replicas = max(0, min(replicas, room))
        made: Object = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{metadata['name']}-{mark}",
                "namespace": metadata["namespace"],
                "labels": labels,
                "annotations": self._annotations(deployment, {}, max(map(revision_of, old), default=0) + 1),
                "ownerReferences": [controller_reference(deployment)],
            },
            "spec": {
                "replicas": replicas,
                "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), _HASH: mark}},
                "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
            },
        }
        if spec.get("minReadySeconds"):
            made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        try:
            created = await self.cluster.create(api.REPLICA_SETS, made)
        except ApiError as error:
            if error.code == 409:
                await self._on_collision(deployment, made)
            else:
                self.event(deployment, "ReplicaSetCreateError", f"Failed to create new replica set: {error}", "Warning")
            raise
        progress.created = True
        if replicas:
            self.event(
                deployment,
                "ScalingReplicaSet",
                f"Scaled up replica set {made['metadata']['name']} from 0 to {replicas}",
            )
        return created

    async def _on_collision(self, deployment: Object, made: Object) -> None:
        """A ReplicaSet of that name is there and not ours (or not seen yet): another hash, unless it is ours after
        all.
        """
        metadata = made["metadata"]
        live = await self.cluster.api.get(api.REPLICA_SETS, metadata["namespace"], metadata["name"])
        if live is None:
            return
        self.view.put(api.REPLICA_SETS, live)
        owners = live["metadata"].get("ownerReferences") or []
        if any(owner["uid"] == deployment["metadata"]["uid"] for owner in owners):
            return
        status = dict(deployment.get("status") or {})
        await self.cluster.write_status(
            self.resource, deployment, {**status, "collisionCount": status.get("collisionCount", 0) + 1}
        )

    async def _annotate(self, deployment: Object, new: Object, old: list[Object]) -> Object:
        before = new["metadata"].get("annotations") or {}
        revision = max(revision_of(new), max(map(revision_of, old), default=0) + 1)
        annotations = self._annotations(deployment, before, revision)
        ready = deployment["spec"].get("minReadySeconds") or 0
        if annotations == before and ready == (new["spec"].get("minReadySeconds") or 0):
            return new
        spec = {**new["spec"], "minReadySeconds": ready}
        changed = {**new, "metadata": {**new["metadata"], "annotations": annotations}, "spec": spec}
        return await self.cluster.update(api.REPLICA_SETS, changed)

    async def _scale(self, deployment: Object, replica_set: Object, replicas: int) -> Object:
        before = replicas_of(replica_set)
        annotations = {**(replica_set["metadata"].get("annotations") or {}), **self._sizes(deployment)}
        metadata = {**replica_set["metadata"], "annotations": annotations}
        changed = {**replica_set, "metadata": metadata, "spec": {**replica_set["spec"], "replicas": replicas}}
        made = await self.cluster.update(api.REPLICA_SETS, changed)
        if before != replicas:
            name = metadata["name"]
            way = "up" if replicas > before else "down"
            self.event(deployment, "ScalingReplicaSet", f"Scaled {way} replica set {name} from {before} to {replicas}")
        return made

    async def _scaled(self, deployment: Object, new: Object | None, old: list[Object]) -> bool:
        """Whether `replicas` of the Deployment changed and its ReplicaSets were resized for that."""
        sets = [one for one in (new, *old) if one is not None and replicas_of(one) > 0]
        if deployment["spec"].get("paused") and not sets and new is not None:
            sets = [new]
        wanted = self._sizes(deployment)
        if not any(
            (one["metadata"].get("annotations") or {}).get(DESIRED, wanted[DESIRED]) != wanted[DESIRED] for one in sets
        ):
            return False
        replicas = replicas_of(deployment)
        if len(sets) == 1:
            changes = {sets[0]["metadata"]["name"]: replicas}
        else:
            surge, _ = self._bounds(deployment)
            changes = rollout.spread([part_of(one) for one in sets], replicas, surge)
        for one in sets:
            name = one["metadata"]["name"]
            await self._scale(deployment, one, changes.get(name, replicas_of(one)))
        return True

    async def _emptied(self, deployment: Object, old: list[Object]) -> bool:
        """Recreate: whether old Pods still have to go before new ones come."""
        scaled = False
        for one in old:
            if replicas_of(one) > 0:
                await self._scale(deployment, one, 0)
                scaled = True
        return scaled or any(
            not is_ended(pod) for one in old for pod in self.view.owned(one["metadata"]["uid"], api.PODS)
        )

    async def _roll(self, deployment: Object, new: Object, old: list[Object], recreate: bool) -> None:
        replicas = replicas_of(deployment)
        if recreate:
            changes = {} if replicas_of(new) == replicas else {new["metadata"]["name"]: replicas}
        else:
            surge, unavailable = self._bounds(deployment)
            changes = rollout.roll(part_of(new), [part_of(one) for one in old], replicas, surge, unavailable)
        for one in (new, *old):
            if one["metadata"]["name"] in changes:
                await self._scale(deployment, one, changes[one["metadata"]["name"]])

    async def _forget(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        """Old ReplicaSets past the history limit go, once the rollout is through."""
        if new is None or part_of(new).available < replicas_of(deployment):
            return
        idle = [one for one in old if not replicas_of(one) and not part_of(one).there and not is_going(one)]
        idle.sort(key=revision_of)
        for one in idle[: max(0, len(idle) - deployment["spec"].get("revisionHistoryLimit", 10))]:
            await self.cluster.delete(api.REPLICA_SETS, one)

    async def _report(
        self, deployment: Object, new: Object | None, old: list[Object], progress: Progress
    ) -> float | None:
        now = self.cluster.clock.now()
        unavailable = self._bounds(deployment)[1]
        status = deployment_status(deployment, new, old, unavailable, progress, now)
        revision = revision_of(new) if new else 0
        written = deployment
        if revision and revision != revision_of(deployment):
            annotations = {**(deployment["metadata"].get("annotations") or {}), REVISION: str(revision)}
            written = {**deployment, "metadata": {**deployment["metadata"], "annotations": annotations}}
        if written is not deployment or status != deployment.get("status"):
            await self.cluster.update(self.resource, {**written, "status": status}, subresource="status")
        return seconds_to_deadline(deployment, status, now)

    @override
    def keys(self, change: api.Change) -> list[Key]:
        found = list(super().keys(change))
        if change.resource == api.REPLICA_SETS and not found and not change.object["metadata"].get("ownerReferences"):
            namespace = change.object["metadata"]["namespace"]
            labels = change.object["metadata"].get("labels") or {}
            found.extend(
                (namespace, one["metadata"]["name"])
                for one in self.view.every(self.resource, namespace)
                if selectors.matches(one["spec"].get("selector"), labels)
            )
        return found
