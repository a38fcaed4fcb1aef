"""Service to EndpointSlice and Endpoints, and the address of a LoadBalancer.

A Service with a selector gets one EndpointSlice (100 endpoints each, as the real one, would be more; here one slice
holds all) and its older twin,
the Endpoints of the same name. The Service's labels are copied to both, as the real controllers do. A LoadBalancer
gets the address 127.0.0.1,
as a cloud would give one, so that what waits for an address goes on; nothing listens there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api, selectors
from windlass.devstack.workloads.api import CLOUD, NODE_NAME, ApiError
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import controller_of, controller_reference, is_going, random_letters
from windlass.devstack.workloads.pods import is_ended, is_ready

Object = dict[str, Any]

_TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
_NAME, _MANAGED = "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"
_HEADLESS = "service.kubernetes.io/headless"
_MANAGER = "endpointslice-controller.k8s.io"
BALANCER_ADDRESS = "127.0.0.1"


def _port_number(port: Object, pod: Object) -> int | None:
    """The number that a Service's target port has in a Pod."""
    target = port.get("targetPort", port.get("port"))
    if isinstance(target, int):
        return target
    for container in pod["spec"].get("containers") or []:
        for one in container.get("ports") or []:
            if one.get("name") == target and one.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(one["containerPort"])
    return None


def _ports(service: Object, pod: Object | None) -> list[Object]:
    ports = []
    for port in service["spec"].get("ports") or []:
        number = _port_number(port, pod) if pod else port.get("targetPort", port.get("port"))
        if not isinstance(number, int):
            continue
        made = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("appProtocol"):
            made["appProtocol"] = port["appProtocol"]
        ports.append(made)
    return ports


def _target(pod: Object) -> Object:
    metadata = pod["metadata"]
    return {"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}


def _endpoint(pod: Object, service: Object) -> Object:
    ready, going = is_ready(pod), is_going(pod)
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    conditions = {"ready": published or (ready and not going), "serving": ready, "terminating": going}
    made: Object = {"addresses": [pod["status"]["podIP"]], "conditions": conditions}
    spec = pod["spec"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        made["hostname"] = spec["hostname"]
    made["nodeName"] = spec.get("nodeName", NODE_NAME)
    made["targetRef"] = _target(pod)
    return made


def _subsets(pods: list[Object], service: Object) -> list[Object]:
    """The Endpoints form: addresses that are ready and those that are not, per set of ports."""
    published = service["spec"].get("publishNotReadyAddresses")
    ready: list[Object] = []
    waiting: list[Object] = []
    ports: list[Object] = []
    for pod in pods:
        address = {
            "ip": pod["status"]["podIP"],
            "nodeName": pod["spec"].get("nodeName", NODE_NAME),
            "targetRef": _target(pod),
        }
        (ready if published or is_ready(pod) else waiting).append(address)
        ports = ports or [{k: v for k, v in port.items() if k != "name" or v} for port in _ports(service, pod)]
    if not ready and not waiting:
        return []
    subset: Object = {}
    if ready:
        subset["addresses"] = ready
    if waiting:
        subset["notReadyAddresses"] = waiting
    if ports:
        subset["ports"] = ports
    return [subset]


class Endpoints(Controller):
    """See the module."""

    name = "endpoints"
    kind = "Service"
    resource = api.SERVICES
    watched = (api.PODS, api.SLICES, api.ENDPOINTS)
    component = "endpoint-slice-controller"

    @override
    def keys(self, change: api.Change) -> Iterable[Key]:
        if change.resource == api.PODS:
            return self._services_of(change)
        if change.resource == api.ENDPOINTS:
            metadata = change.object["metadata"]
            return ((metadata["namespace"], metadata["name"]),) if change.type != "ADDED" else ()
        return super().keys(change)

    def _services_of(self, change: api.Change) -> list[Key]:
        pod, old = change.object, change.old
        if old is not None and change.type == "MODIFIED" and not _matters(old, pod):
            return []
        namespace = pod["metadata"]["namespace"]
        labels = [(one["metadata"].get("labels") or {}) for one in (pod, old) if one is not None]
        found = []
        for service in self.view.every(api.SERVICES, namespace):
            selector = service["spec"].get("selector")
            if selector and any(selectors.matches_map(selector, one) for one in labels):
                found.append((namespace, service["metadata"]["name"]))
        return found

    @override
    async def reconcile(self, key: Key) -> float | None:
        namespace = key[0]
        service = self.view.get(api.SERVICES, *key)
        if service is None:
            endpoints = self.view.get(api.ENDPOINTS, *key)
            labels = (endpoints or {}).get("metadata", {}).get("labels") or {}
            if endpoints and labels.get("endpoints.kubernetes.io/managed-by") == "endpoint-controller":
                await self.cluster.delete(api.ENDPOINTS, endpoints)
            return None
        if is_going(service):
            return None
        selector = service["spec"].get("selector")
        if selector and service["spec"].get("type") != "ExternalName":
            pods = [
                pod
                for pod in self.view.every(api.PODS, namespace)
                if selectors.matches_map(selector, pod["metadata"].get("labels") or {})
                and (pod.get("status") or {}).get("podIP")
                and not is_ended(pod)
            ]
            pods.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
            await self._slice(service, pods)
            await self._endpoints(service, [pod for pod in pods if not is_going(pod)])
        await self._balance(service)
        return None

    def _labels(self, service: Object, own: Object) -> Object:
        labels = {**(service["metadata"].get("labels") or {}), **own}
        if service["spec"].get("clusterIP") == "None":
            labels[_HEADLESS] = ""
        return labels

    async def _slice(self, service: Object, pods: list[Object]) -> None:
        name = service["metadata"]["name"]
        slices = [
            one
            for one in self.view.owned(service["metadata"]["uid"], api.SLICES)
            if (one["metadata"].get("labels") or {}).get(_MANAGED) == _MANAGER and not is_going(one)
        ]
        endpoints = [_endpoint(pod, service) for pod in pods]
        # Without a Pod there is nothing to resolve a named port with: the real controller then leaves the ports out.
        ports = _ports(service, pods[0]) if pods else None
        labels = self._labels(service, {_NAME: name, _MANAGED: _MANAGER})
        for spare in slices[1:]:
            await self.cluster.delete(api.SLICES, spare)
        if slices:
            before = slices[0]
            same = before.get("endpoints") in (endpoints, endpoints or None) and before.get("ports") == ports
            if same and before["metadata"].get("labels") == labels:
                return
            annotations = {**(before["metadata"].get("annotations") or {}), _TRIGGER: self.cluster.stamp()}
            metadata = {**before["metadata"], "labels": labels, "annotations": annotations}
            await self.cluster.update(
                api.SLICES, {**before, "metadata": metadata, "endpoints": endpoints, "ports": ports}
            )
            return
        await self.cluster.create(
            api.SLICES,
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{name}-{random_letters()}",
                    "generateName": f"{name}-",
                    "namespace": service["metadata"]["namespace"],
                    "labels": labels,
                    "annotations": {_TRIGGER: self.cluster.stamp()},
                    "ownerReferences": [controller_reference(service)],
                },
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": ports,
            },
        )

    async def _endpoints(self, service: Object, pods: list[Object]) -> None:
        metadata = service["metadata"]
        subsets = _subsets(pods, service)
        labels = self._labels(service, {"endpoints.kubernetes.io/managed-by": "endpoint-controller"})
        before = self.view.get(api.ENDPOINTS, metadata["namespace"], metadata["name"])
        if before is not None:
            if (before.get("subsets") or []) == subsets and before["metadata"].get("labels") == labels:
                return
            if controller_of(before) or is_going(before):
                return
            annotations = {**(before["metadata"].get("annotations") or {}), _TRIGGER: self.cluster.stamp()}
            changed = {**before, "metadata": {**before["metadata"], "labels": labels, "annotations": annotations}}
            changed.pop("subsets", None)
            await self.cluster.update(api.ENDPOINTS, {**changed, **({"subsets": subsets} if subsets else {})})
            return
        made: Object = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "labels": labels,
                "annotations": {_TRIGGER: self.cluster.stamp()},
            },
        }
        if subsets:
            made["subsets"] = subsets
        try:
            await self.cluster.create(api.ENDPOINTS, made)
        except ApiError as error:
            if error.code != 409:
                raise
            await self.cluster.refresh_name(api.ENDPOINTS, metadata["namespace"], metadata["name"])
            raise

    async def _balance(self, service: Object) -> None:
        status = service.get("status") or {}
        balancer = status.get("loadBalancer") or {}
        if service["spec"].get("type") == "LoadBalancer":
            if service["spec"].get("loadBalancerClass") or balancer.get("ingress"):
                return
            wanted: Object = {"ingress": [{"ip": BALANCER_ADDRESS, "ipMode": "VIP"}]}
        elif not balancer.get("ingress") or balancer["ingress"] != [{"ip": BALANCER_ADDRESS, "ipMode": "VIP"}]:
            return
        else:
            wanted = {}
        await self.cluster.write_status(api.SERVICES, service, {**status, "loadBalancer": wanted}, CLOUD)


def _matters(old: Object, new: Object) -> bool:
    """Whether a Pod's change can change the endpoints of a Service."""
    return (
        old["metadata"].get("labels") != new["metadata"].get("labels")
        or is_going(old) != is_going(new)
        or is_ready(old) != is_ready(new)
        or is_ended(old) != is_ended(new)
        or (old.get("status") or {}).get("podIP") != (new.get("status") or {}).get("podIP")
    )
