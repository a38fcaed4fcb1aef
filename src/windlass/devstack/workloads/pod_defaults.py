"""Defaults of pods and pod templates, as the API server fills them in (Kubernetes 1.36).

Called by ``defaults`` on a copy of its own: these functions change the dicts they are given. They check nothing: what
has a wrong
type is left for the validation.
"""

from __future__ import annotations

from typing import Any

from windlass.devstack.workloads.images import split_image
from windlass.devstack.workloads.quantity import canonical

_MODE = 0o644


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def default_resources(resources: Any) -> None:
    """Quantities of limits and requests as the server writes them."""
    if not isinstance(resources, dict):
        return
    for part in ("limits", "requests"):
        amounts = resources.get(part)
        if isinstance(amounts, dict):
            if not amounts:
                del resources[part]
            for name, value in amounts.items():
                amounts[name] = canonical(value)


def _default_handler(handler: Any) -> None:
    if not isinstance(handler, dict):
        return
    get = handler.get("httpGet")
    if isinstance(get, dict):
        if not get.get("path"):
            get["path"] = "/"
        if not get.get("scheme"):
            get["scheme"] = "HTTP"
    grpc = handler.get("grpc")
    if isinstance(grpc, dict):
        grpc.setdefault("service", "")


def _default_probe(probe: Any) -> None:
    if not isinstance(probe, dict):
        return
    _default_handler(probe)
    if probe.get("initialDelaySeconds") == 0:
        del probe["initialDelaySeconds"]
    for field, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(field):
            probe[field] = value


def _default_env(env: Any) -> None:
    for entry in _dicts(env):
        if entry.get("value") == "":
            del entry["value"]
        source = entry.get("valueFrom")
        if not isinstance(source, dict):
            continue
        _default_field(source.get("fieldRef"))
        resource = source.get("resourceFieldRef")
        if isinstance(resource, dict):
            resource["divisor"] = canonical(resource.get("divisor") or "0")
        key = source.get("fileKeyRef")
        if isinstance(key, dict):
            key.setdefault("optional", False)


def _default_field(reference: Any) -> None:
    if isinstance(reference, dict) and not reference.get("apiVersion"):
        reference["apiVersion"] = "v1"


def default_container(container: dict[str, Any]) -> None:
    """A container of any list of a pod spec."""
    if not container.get("imagePullPolicy"):
        latest = split_image(str(container.get("image", "")))[1] == "latest"
        container["imagePullPolicy"] = "Always" if latest else "IfNotPresent"
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    default_resources(container.setdefault("resources", {}))
    for port in _dicts(container.get("ports")):
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        _default_probe(container.get(probe))
    lifecycle = container.get("lifecycle")
    if isinstance(lifecycle, dict):
        _default_handler(lifecycle.get("postStart"))
        _default_handler(lifecycle.get("preStop"))
    _default_env(container.get("env"))


def _default_projection(source: dict[str, Any]) -> None:
    token = source.get("serviceAccountToken")
    if isinstance(token, dict):
        token.setdefault("expirationSeconds", 3600)
    downward = source.get("downwardAPI")
    if isinstance(downward, dict):
        for item in _dicts(downward.get("items")):
            _default_field(item.get("fieldRef"))


_SOURCE_DEFAULTS: dict[str, dict[str, Any]] = {
    "secret": {"defaultMode": _MODE},
    "configMap": {"defaultMode": _MODE},
    "projected": {"defaultMode": _MODE},
    "downwardAPI": {"defaultMode": _MODE},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def default_volume(volume: dict[str, Any]) -> None:
    """A volume of a pod spec; one without a source is an emptyDir."""
    if len(volume) == 1 and "name" in volume:
        volume["emptyDir"] = {}
    for kind, fields in _SOURCE_DEFAULTS.items():
        source = volume.get(kind)
        if isinstance(source, dict):
            for field, value in fields.items():
                source.setdefault(field, value)
    for source in _dicts((volume.get("projected") or {}).get("sources")):
        _default_projection(source)
    for item in _dicts((volume.get("downwardAPI") or {}).get("items")):
        _default_field(item.get("fieldRef"))
    empty = volume.get("emptyDir")
    if isinstance(empty, dict) and "sizeLimit" in empty:
        empty["sizeLimit"] = canonical(empty["sizeLimit"])
    image = volume.get("image")
    if isinstance(image, dict) and not image.get("pullPolicy"):
        image["pullPolicy"] = (
            "Always" if split_image(str(image.get("reference", "")))[1] == "latest" else "IfNotPresent"
        )
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        template["spec"].setdefault("volumeMode", "Filesystem")
        default_resources(template["spec"].get("resources"))
        template.setdefault("metadata", {})


def default_pod_spec(spec: Any) -> None:
    """A pod spec, in a Pod or in a template."""
    if not isinstance(spec, dict):
        return
    for field, value in (
        ("dnsPolicy", "ClusterFirst"),
        ("restartPolicy", "Always"),
        ("schedulerName", "default-scheduler"),
    ):
        if not spec.get(field):
            spec[field] = value
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    spec.setdefault("terminationGracePeriodSeconds", 30)
    if spec.get("nodeSelector") == {}:
        del spec["nodeSelector"]
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # the older name is kept beside the newer one, for old clients
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for part in ("initContainers", "containers", "ephemeralContainers"):
        for container in _dicts(spec.get(part)):
            default_container(container)
    for volume in _dicts(spec.get("volumes")):
        default_volume(volume)
    for constraint in _dicts(spec.get("topologySpreadConstraints")):
        constraint.setdefault("whenUnsatisfiable", "DoNotSchedule")
    if isinstance(spec.get("overhead"), dict):
        spec["overhead"] = {name: canonical(value) for name, value in spec["overhead"].items()}


def default_template(template: Any) -> None:
    """A pod template."""
    if isinstance(template, dict):
        metadata = template.setdefault("metadata", {})
        if isinstance(metadata, dict):
            for part in ("labels", "annotations"):
                if metadata.get(part) == {}:
                    del metadata[part]
        default_pod_spec(template.setdefault("spec", {}))


def default_pod(pod: dict[str, Any]) -> None:
    """A Pod: what a template has, and what only a Pod gets."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    if not isinstance(spec, dict):
        return
    spec.setdefault("enableServiceLinks", True)
    for part in ("initContainers", "containers"):
        for container in _dicts(spec.get(part)):
            resources = container["resources"]
            if isinstance(resources, dict) and isinstance(resources.get("limits"), dict):
                resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
            if spec.get("hostNetwork"):
                for port in _dicts(container.get("ports")):
                    if not port.get("hostPort"):
                        port["hostPort"] = port.get("containerPort")
