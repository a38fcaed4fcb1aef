"""What a Pod needs to be there before its containers can be made: ConfigMaps, Secrets, claims. Pure over the view;
called by ``kubelet``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windlass.devstack.workloads import api
from windlass.devstack.workloads.view import View

Object = dict[str, Any]

_KINDS = {api.CONFIG_MAPS: "configmap", api.SECRETS: "secret"}


def _volume_needs(volume: Object) -> Iterator[tuple[str, str, list[Object]]]:
    """Resource, name and items of each object that a volume projects, optional ones left out."""
    for kind, resource, name_field in (
        ("configMap", api.CONFIG_MAPS, "name"),
        ("secret", api.SECRETS, "secretName"),
    ):
        source = volume.get(kind)
        if source and not source.get("optional"):
            yield resource, source.get(name_field, ""), source.get("items") or []
    for source in (volume.get("projected") or {}).get("sources") or []:
        for kind, resource in (("configMap", api.CONFIG_MAPS), ("secret", api.SECRETS)):
            inner = source.get(kind)
            # The root CA is published a moment after its namespace; a Pod that is that quick is not held up.
            if inner and not inner.get("optional") and inner.get("name") != "kube-root-ca.crt":
                yield resource, inner.get("name", ""), inner.get("items") or []


def _env_needs(container: Object) -> Iterator[tuple[str, str, str]]:
    """Resource, name and key (empty for all of it) of each object that a container's environment needs."""
    for source in container.get("envFrom") or []:
        for kind, resource in (("configMapRef", api.CONFIG_MAPS), ("secretRef", api.SECRETS)):
            reference = source.get(kind)
            if reference and not reference.get("optional"):
                yield resource, reference.get("name", ""), ""
    for entry in container.get("env") or []:
        for kind, resource in (("configMapKeyRef", api.CONFIG_MAPS), ("secretKeyRef", api.SECRETS)):
            reference = (entry.get("valueFrom") or {}).get(kind)
            if reference and not reference.get("optional"):
                yield resource, reference.get("name", ""), reference.get("key", "")


def _containers(pod: Object) -> list[Object]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def needed_objects(pod: Object) -> set[tuple[str, str, str]]:
    """The places of everything that a Pod waits for or could wait for."""
    namespace = pod["metadata"]["namespace"]
    found = {
        (need[0], namespace, need[1]) for volume in pod["spec"].get("volumes") or [] for need in _volume_needs(volume)
    }
    found |= {(need[0], namespace, need[1]) for container in _containers(pod) for need in _env_needs(container)}
    for volume in pod["spec"].get("volumes") or []:
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim:
            found.add((api.CLAIMS, namespace, claim))
    return found


def mount_problem(pod: Object, view: View) -> str:
    """Why a volume of the Pod can't be mounted; empty when all can."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or []:
        for resource, name, items in _volume_needs(volume):
            obj = view.get(resource, namespace, name)
            start = f'MountVolume.SetUp failed for volume "{volume["name"]}" : '
            if obj is None:
                return f'{start}{_KINDS[resource]} "{name}" not found'
            keys = {*(obj.get("data") or {}), *(obj.get("binaryData") or {})}
            if any(item.get("key") not in keys for item in items):
                return f"{start}references non-existent {_KINDS[resource].replace('configmap', 'config')} key: " + next(
                    str(item.get("key")) for item in items if item.get("key") not in keys
                )
    return ""


def env_problem(pod: Object, container_name: str, view: View) -> str:
    """Why a container's environment can't be made; empty when it can."""
    namespace = pod["metadata"]["namespace"]
    container = next((one for one in _containers(pod) if one["name"] == container_name), {})
    for resource, name, key in _env_needs(container):
        obj = view.get(resource, namespace, name)
        if obj is None:
            return f'{_KINDS[resource]} "{name}" not found'
        if key and key not in (obj.get("data") or {}) and key not in (obj.get("binaryData") or {}):
            kind = "ConfigMap" if resource == api.CONFIG_MAPS else "Secret"
            return f"couldn't find key {key} in {kind} {namespace}/{name}"
    return ""
