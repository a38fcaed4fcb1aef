"""Claims bound to volumes: every PersistentVolumeClaim gets a volume made for it, or one that fits and is free.

There is no storage behind it. A claim of a class that waits for its first consumer is bound at once as well.
Protection finalizers go when nothing
uses the object; a volume made here goes with its claim when it is to be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import NODE_NAME, ApiError
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import is_going
from windlass.devstack.workloads.pods import is_ended
from windlass.devstack.workloads.quantity import BadQuantity, amount
from windlass.devstack.workloads.strategy import is_default_class

Object = dict[str, Any]

PROVISIONER = "devcluster.example/none"
_CLAIM_GUARD, _VOLUME_GUARD = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"
_BOUND, _BY_CONTROLLER = "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"


def _storage(spec: Object) -> Any:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")


def _unguarded(obj: Object, guard: str) -> Object:
    kept = [one for one in obj["metadata"].get("finalizers") or [] if one != guard]
    metadata = {**obj["metadata"], "finalizers": kept}
    if not kept:
        del metadata["finalizers"]
    return {**obj, "metadata": metadata}


class Claims(Controller):
    """See the module."""

    name = "persistentvolumeclaim"
    kind = "PersistentVolumeClaim"
    resource = api.CLAIMS
    watched = (api.VOLUMES, api.STORAGE_CLASSES, api.PODS)
    component = "persistentvolume-controller"

    @override
    def keys(self, change: api.Change) -> Iterable[Key]:
        obj = change.object
        if change.resource == api.CLAIMS:
            return super().keys(change)
        if change.resource == api.VOLUMES:
            reference = (obj.get("spec") or {}).get("claimRef") or {}
            if reference.get("name"):
                return ((reference.get("namespace", ""), reference["name"]),)
            return self._unbound()
        if change.resource == api.STORAGE_CLASSES:
            return self._unbound()
        if change.type == "DELETED" or is_ended(obj):
            claims = [
                (one.get("persistentVolumeClaim") or {}).get("claimName") for one in obj["spec"].get("volumes") or []
            ]
            return [(obj["metadata"]["namespace"], name) for name in claims if name]
        return ()

    def _unbound(self) -> list[Key]:
        claims = self.view.every(api.CLAIMS)
        return [
            (one["metadata"]["namespace"], one["metadata"]["name"])
            for one in claims
            if (one.get("status") or {}).get("phase") != "Bound"
        ]

    @override
    async def reconcile(self, key: Key) -> float | None:
        claim = self.view.get(api.CLAIMS, *key)
        if claim is None:
            await self._reclaim(key)
            return None
        if is_going(claim):
            if _CLAIM_GUARD in (claim["metadata"].get("finalizers") or []) and not self._is_used(claim):
                await self.cluster.update(api.CLAIMS, _unguarded(claim, _CLAIM_GUARD))
                await self._reclaim(key)
            return None
        if claim["spec"].get("volumeName"):
            await self._complete(claim)
            return None
        volume = self._fitting(claim)
        if volume is None:
            volume = await self._provision(claim)
        if volume is not None:
            await self._bind(claim, volume)
        return None

    def _is_used(self, claim: Object) -> bool:
        metadata = claim["metadata"]
        return any(
            (volume.get("persistentVolumeClaim") or {}).get("claimName") == metadata["name"]
            for pod in self.view.every(api.PODS, metadata["namespace"])
            if not is_ended(pod)
            for volume in pod["spec"].get("volumes") or []
        )

    def _fitting(self, claim: Object) -> Object | None:
        """A free volume that was made by hand: same class, all modes, big enough; the smallest one."""
        spec, metadata = claim["spec"], claim["metadata"]
        fitting = []
        for volume in self.view.every(api.VOLUMES):
            has = volume["spec"]
            reference = has.get("claimRef")
            if is_going(volume) or (has.get("storageClassName") or "") != (spec.get("storageClassName") or ""):
                continue
            if reference:
                same = (reference.get("namespace"), reference.get("name")) == (metadata["namespace"], metadata["name"])
                if not same or reference.get("uid", metadata["uid"]) != metadata["uid"]:
                    continue
            if not set(spec.get("accessModes") or []) <= set(has.get("accessModes") or []):
                continue
            try:
                size = amount((has.get("capacity") or {}).get("storage", "0"))
                if size >= amount(_storage(spec)):
                    fitting.append((size, volume["metadata"]["name"], volume))
            except BadQuantity:
                continue
        return min(fitting, key=lambda one: one[:2])[2] if fitting else None

    async def _provision(self, claim: Object) -> Object | None:
        spec, metadata = claim["spec"], claim["metadata"]
        name = spec.get("storageClassName")
        classes = self.view.every(api.STORAGE_CLASSES)
        chosen = next(
            (
                one
                for one in classes
                if (one["metadata"]["name"] == name if name is not None else is_default_class(one))
            ),
            None,
        )
        if chosen is None or spec.get("selector"):
            words = (
                "no persistent volumes available for this claim and no storage class is set"
                if not name
                else f'storageclass.storage.k8s.io "{name}" not found'
            )
            kind, reason = ("Normal", "FailedBinding") if not name else ("Warning", "ProvisioningFailed")
            self.event(claim, reason, words, kind)
            return None
        volume: Object = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": f"pvc-{metadata['uid']}",
                "annotations": {"pv.kubernetes.io/provisioned-by": chosen.get("provisioner", PROVISIONER)},
            },
            "spec": {
                "accessModes": spec.get("accessModes"),
                "capacity": {"storage": _storage(spec)},
                "claimRef": self._reference(claim),
                "hostPath": {"path": f"/var/devcluster/{metadata['namespace']}/{metadata['name']}", "type": ""},
                "nodeAffinity": _AFFINITY,
                "persistentVolumeReclaimPolicy": chosen.get("reclaimPolicy", "Delete"),
                "storageClassName": chosen["metadata"]["name"],
                "volumeMode": spec.get("volumeMode", "Filesystem"),
            },
        }
        try:
            made = await self.cluster.create(api.VOLUMES, volume)
        except ApiError as error:
            if error.code != 409:
                raise
            return await self.cluster.refresh_name(api.VOLUMES, "", volume["metadata"]["name"])
        words = f"Successfully provisioned volume {made['metadata']['name']}"
        self.event(claim, "ProvisioningSucceeded", words)
        return made

    def _reference(self, claim: Object) -> Object:
        metadata = claim["metadata"]
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "resourceVersion": metadata["resourceVersion"],
            "uid": metadata["uid"],
        }

    async def _bind(self, claim: Object, volume: Object) -> None:
        if not (volume["spec"].get("claimRef") or {}).get("uid"):
            spec = {**volume["spec"], "claimRef": self._reference(claim)}
            notes = {**(volume["metadata"].get("annotations") or {}), _BY_CONTROLLER: "yes"}
            metadata = {**volume["metadata"], "annotations": notes}
            volume = await self.cluster.update(api.VOLUMES, {**volume, "metadata": metadata, "spec": spec})
        annotations = {**(claim["metadata"].get("annotations") or {}), _BOUND: "yes", _BY_CONTROLLER: "yes"}
        provisioner = (volume["metadata"].get("annotations") or {}).get("pv.kubernetes.io/provisioned-by")
        if provisioner:
            annotations["volume.kubernetes.io/storage-provisioner"] = provisioner
            annotations["volume.beta.kubernetes.io/storage-provisioner"] = provisioner
        metadata = {**claim["metadata"], "annotations": annotations}
        spec = {**claim["spec"], "volumeName": volume["metadata"]["name"]}
        await self._complete(await self.cluster.update(api.CLAIMS, {**claim, "metadata": metadata, "spec": spec}))

    async def _complete(self, claim: Object) -> None:
        volume = self.view.get(api.VOLUMES, "", claim["spec"]["volumeName"])
        if volume is None:
            status = {**(claim.get("status") or {}), "phase": "Lost"}
            await self.cluster.write_status(api.CLAIMS, claim, status)
            return
        if not (volume["spec"].get("claimRef") or {}).get("uid"):
            spec = {**volume["spec"], "claimRef": self._reference(claim)}
            volume = await self.cluster.update(api.VOLUMES, {**volume, "spec": spec})
        status = {**(volume.get("status") or {}), "phase": "Bound"}
        if (volume.get("status") or {}).get("phase") != "Bound":
            status["lastPhaseTransitionTime"] = self.cluster.stamp()
        wanted = _storage(claim["spec"])
        if amount(wanted) > amount(volume["spec"]["capacity"]["storage"]):  # a claim that grew: so does its volume
            spec = {**volume["spec"], "capacity": {**volume["spec"]["capacity"], "storage": wanted}}
            volume = await self.cluster.update(api.VOLUMES, {**volume, "spec": spec})
        await self.cluster.write_status(api.VOLUMES, volume, status)
        capacity = volume["spec"].get("capacity")
        bound = {"phase": "Bound", "accessModes": volume["spec"].get("accessModes"), "capacity": capacity}
        await self.cluster.write_status(api.CLAIMS, claim, {**(claim.get("status") or {}), **bound})

    async def _reclaim(self, key: Key) -> None:
        """The claim is gone: its volume goes too, or is shown as released."""
        for volume in self.view.every(api.VOLUMES):
            reference = volume["spec"].get("claimRef") or {}
            if (reference.get("namespace"), reference.get("name")) != key or not reference.get("uid"):
                continue
            if self.view.by_uid(reference["uid"]):
                continue
            if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
                if not is_going(volume):
                    await self.cluster.delete(api.VOLUMES, volume)
                left = self.view.get(api.VOLUMES, "", volume["metadata"]["name"])
                if left and _VOLUME_GUARD in (left["metadata"].get("finalizers") or []):
                    await self.cluster.update(api.VOLUMES, _unguarded(left, _VOLUME_GUARD))
            else:
                await self.cluster.write_status(
                    api.VOLUMES, volume, {**(volume.get("status") or {}), "phase": "Released"}
                )


_AFFINITY = {
    "required": {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}]}
        ]
    }
}


class Volumes(Controller):
    """Volumes by themselves: free ones are Available, unused ones that are being deleted lose their protection."""

    name = "persistentvolume"
    kind = "PersistentVolume"
    resource = api.VOLUMES
    component = "persistentvolume-controller"

    @override
    async def reconcile(self, key: Key) -> float | None:
        volume = self.view.get(api.VOLUMES, *key)
        if volume is None:
            return None
        phase = (volume.get("status") or {}).get("phase")
        if is_going(volume):
            reference = (volume["spec"].get("claimRef") or {}).get("uid")
            used = reference and self.view.by_uid(reference)
            if not used and _VOLUME_GUARD in (volume["metadata"].get("finalizers") or []):
                await self.cluster.update(api.VOLUMES, _unguarded(volume, _VOLUME_GUARD))
        elif phase in (None, "Pending") and not volume["spec"].get("claimRef"):
            status = {"phase": "Available", "lastPhaseTransitionTime": self.cluster.stamp()}
            await self.cluster.write_status(api.VOLUMES, volume, status)
        return None
