"""The StatefulSet controller: Pods with names of their own, one after the other, each with its claims.

OrderedReady makes, updates and takes away one Pod at a time and waits for the one before; Parallel makes and takes
away all at once.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import ApiError
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import controller_reference, is_going
from windlass.devstack.workloads.pods import is_ended, is_ready, pod_of, seconds_to_available
from windlass.devstack.workloads.revisions import HASH_LABEL, current_revision, forget_revisions

Object = dict[str, Any]

_POD_NAME, _INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


def ordinal_of(pod: Object) -> int:
    """The number at the end of the Pod's name."""
    tail = pod["metadata"]["name"].rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1


def _hash_of(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


class StatefulSets(Controller):
    """See the module."""

    name = "statefulset"
    kind = "StatefulSet"
    resource = api.STATEFUL_SETS
    children = (api.PODS, api.REVISIONS)
    watched = (api.CLAIMS,)
    component = "statefulset-controller"

    @override
    async def reconcile(self, key: Key) -> float | None:
        owner = self.view.get(self.resource, *key)
        if owner is None or is_going(owner):
            return None
        update, old = await current_revision(self.cluster, owner)
        names = {update["metadata"]["name"], *(one["metadata"]["name"] for one in old)}
        current = (owner.get("status") or {}).get("currentRevision") or update["metadata"]["name"]
        if current not in names:
            current = update["metadata"]["name"]
        failure: ApiError | None = None
        try:
            await self._act(owner, update["metadata"]["name"], current, {one["metadata"]["name"]: one for one in old})
        except ApiError as error:
            failure = error
        pods = self._pods(owner)
        again = await self._report(owner, update["metadata"]["name"], current, pods)
        await forget_revisions(self.cluster, owner, old, {current, *(map(_hash_of, pods))})
        if failure is not None:
            raise failure
        return again

    def _pods(self, owner: Object) -> list[Object]:
        return sorted(self.view.owned(owner["metadata"]["uid"], api.PODS), key=ordinal_of)

    async def _act(self, owner: Object, update: str, current: str, old: dict[str, Object]) -> None:
        spec = owner["spec"]
        start = (spec.get("ordinals") or {}).get("start", 0)
        wanted = range(start, start + spec.get("replicas", 1))
        parallel = spec.get("podManagementPolicy") == "Parallel"
        pods = {ordinal_of(pod): pod for pod in self._pods(owner)}
        for ordinal in wanted:
            pod = pods.get(ordinal)
            if pod is not None and is_ended(pod) and not is_going(pod):
                await self.cluster.delete(api.PODS, pod)
                self.event(
                    owner,
                    "RecreatingFailedPod",
                    f"StatefulSet {self._label(owner)} is recreating failed Pod {pod['metadata']['name']}",
                    "Warning",
                )
                return
            if pod is None:
                revision = self._revision_for(owner, ordinal, update, current)
                await self._make(owner, ordinal, revision, old)
                if not parallel:
                    return
            elif (is_going(pod) or not self._is_available(owner, pod)) and not parallel:
                await self._replace_broken(owner, pod, update)
                return
        surplus = [pods[ordinal] for ordinal in sorted(pods, reverse=True) if ordinal not in wanted]
        for pod in surplus:
            if is_going(pod):
                if not parallel:
                    return
                continue
            await self.cluster.delete(api.PODS, pod)
            self._tell(owner, "delete", f"Pod {pod['metadata']['name']}")
            if not parallel:
                return
        if surplus:
            return
        await self._clean_claims(owner, wanted)
        await self._roll(owner, [pods[ordinal] for ordinal in wanted if ordinal in pods], update)

    def _label(self, owner: Object) -> str:
        return f"{owner['metadata']['namespace']}/{owner['metadata']['name']}"

    def _is_available(self, owner: Object, pod: Object) -> bool:
        return seconds_to_available(pod, owner["spec"].get("minReadySeconds") or 0, self.cluster.clock.now()) == 0.0

    async def _replace_broken(self, owner: Object, pod: Object, update: str) -> None:
        """A Pod of an old template that never got ready is replaced, or a bad template could never be mended."""
        outdated = _hash_of(pod) != update
        rolling = (owner["spec"].get("updateStrategy") or {}).get("type") == "RollingUpdate"
        if is_going(pod) or not outdated or not rolling or ordinal_of(pod) < self._partition(owner):
            return
        await self.cluster.delete(api.PODS, pod)
        self._tell(owner, "delete", f"Pod {pod['metadata']['name']}")

    def _partition(self, owner: Object) -> int:
        rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        return int(rolling.get("partition") or 0)

    def _revision_for(self, owner: Object, ordinal: int, update: str, current: str) -> str:
        kind = (owner["spec"].get("updateStrategy") or {}).get("type")
        if kind == "RollingUpdate" and ordinal < self._partition(owner):
            return current
        return update

    async def _make(self, owner: Object, ordinal: int, revision: str, old: dict[str, Object]) -> None:
        metadata, spec = owner["metadata"], owner["spec"]
        template = spec["template"]
        if revision in old:
            template = {k: v for k, v in old[revision]["data"]["spec"]["template"].items() if k != "$patch"}
        name = f"{metadata['name']}-{ordinal}"
        for claim in spec.get("volumeClaimTemplates") or []:
            await self._claim(owner, claim, name)
        pod = pod_of(template, owner, name)
        labels = {**(pod["metadata"].get("labels") or {}), HASH_LABEL: revision, _POD_NAME: name, _INDEX: str(ordinal)}
        pod["metadata"]["labels"] = labels
        pod["metadata"]["generateName"] = f"{metadata['name']}-"
        volumes = [
            {
                "name": claim["metadata"]["name"],
                "persistentVolumeClaim": {"claimName": f"{claim['metadata']['name']}-{name}"},
            }
            for claim in spec.get("volumeClaimTemplates") or []
        ]
        taken = {volume["name"] for volume in volumes}
        others = [volume for volume in pod["spec"].get("volumes") or [] if volume["name"] not in taken]
        pod["spec"] = {**pod["spec"], "hostname": name}
        if volumes or others:
            pod["spec"]["volumes"] = [*volumes, *others]
        if spec.get("serviceName"):
            pod["spec"]["subdomain"] = spec["serviceName"]
        try:
            await self.cluster.create(api.PODS, pod)
        except ApiError as error:
            self._tell(owner, "create", f"Pod {name}", error)
            raise
        self._tell(owner, "create", f"Pod {name}")

    async def _claim(self, owner: Object, template: Object, pod_name: str) -> None:
        metadata = owner["metadata"]
        name = f"{template['metadata']['name']}-{pod_name}"
        if self.view.get(api.CLAIMS, metadata["namespace"], name) is not None:
            return
        wanted = template.get("metadata") or {}
        labels = {**((owner["spec"].get("selector") or {}).get("matchLabels") or {}), **(wanted.get("labels") or {})}
        made: Object = {"name": name, "namespace": metadata["namespace"], "labels": labels}
        if wanted.get("annotations"):
            made["annotations"] = wanted["annotations"]
        if (owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}).get("whenDeleted") == "Delete":
            made["ownerReferences"] = [controller_reference(owner)]
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": made, "spec": template["spec"]}
        try:
            await self.cluster.create(api.CLAIMS, claim)
        except ApiError as error:
            if error.code == 409:
                await self.cluster.refresh_name(api.CLAIMS, metadata["namespace"], name)
                return
            self._tell(owner, "create", f"Claim {name} Pod {pod_name}", error)
            raise
        self._tell(owner, "create", f"Claim {name} Pod {pod_name}")

    def _tell(self, owner: Object, verb: str, what: str, error: ApiError | None = None) -> None:
        start = f"{verb.capitalize()} {what} in StatefulSet {owner['metadata']['name']}"
        if error is None:
            ending = "success" if what.startswith("Claim") else "successful"
            self.event(owner, f"Successful{verb.capitalize()}", f"{start} {ending}")
        else:
            self.event(owner, f"Failed{verb.capitalize()}", f"{start} failed error: {error.message}", "Warning")

    async def _clean_claims(self, owner: Object, wanted: range) -> None:
        """Claims of Pods that were scaled away, where the policy says so."""
        policy = owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        if policy.get("whenScaled") != "Delete":
            return
        metadata = owner["metadata"]
        keep = {f"{metadata['name']}-{ordinal}" for ordinal in wanted}
        for template in owner["spec"].get("volumeClaimTemplates") or []:
            start = f"{template['metadata']['name']}-{metadata['name']}-"
            for claim in self.view.every(api.CLAIMS, metadata["namespace"]):
                name = claim["metadata"]["name"]
                pod_name = name.removeprefix(f"{template['metadata']['name']}-")
                if (
                    name.startswith(start)
                    and name[len(start) :].isdigit()
                    and pod_name not in keep
                    and not is_going(claim)
                ):
                    await self.cluster.delete(api.CLAIMS, claim)

    async def _roll(self, owner: Object, pods: list[Object], update: str) -> None:
        """One outdated Pod, the last first, when all behind it are up."""
        if (owner["spec"].get("updateStrategy") or {}).get("type") != "RollingUpdate":
            return
        for pod in reversed(pods):
            if ordinal_of(pod) < self._partition(owner):
                return
            if _hash_of(pod) != update:
                if not is_going(pod):
                    await self.cluster.delete(api.PODS, pod)
                    self._tell(owner, "delete", f"Pod {pod['metadata']['name']}")
                return
            if not self._is_available(owner, pod):
                return

    async def _report(self, owner: Object, update: str, current: str, pods: list[Object]) -> float | None:
        spec, now = owner["spec"], self.cluster.clock.now()
        mine = [pod for pod in pods if not is_ended(pod)]
        waits = [seconds_to_available(pod, spec.get("minReadySeconds") or 0, now) for pod in mine if not is_going(pod)]
        replicas = spec.get("replicas", 1)
        updated = [pod for pod in mine if _hash_of(pod) == update and not is_going(pod)]
        ready = sum(map(is_ready, mine))
        rolling = (spec.get("updateStrategy") or {}).get("type") == "RollingUpdate"
        if rolling and not self._partition(owner) and len(updated) == replicas == len(mine) and ready == replicas:
            current = update
        counts = {
            "readyReplicas": ready,
            "currentReplicas": len([pod for pod in mine if _hash_of(pod) == current and not is_going(pod)]),
            "updatedReplicas": len(updated),
        }
        before = owner.get("status") or {}
        status: Object = {
            "observedGeneration": owner["metadata"].get("generation", 1),
            "replicas": len(mine),
            **{name: count for name, count in counts.items() if count},
            "availableReplicas": sum(wait == 0.0 for wait in waits),
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": before.get("collisionCount", 0),
        }
        await self.cluster.write_status(self.resource, owner, status)
        pending = [wait for wait in waits if wait]
        return min(pending) if pending else None
