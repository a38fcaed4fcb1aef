"""What is wrong with a pod spec or a pod template: the common part of what the real server checks, in its words.

Called by ``validate_kinds``. Types are taken as right: the API server has checked them against the schema before.
"""

from __future__ import annotations

from typing import Any

from windlass.devstack.workloads import names, selectors
from windlass.devstack.workloads.causes import Causes
from windlass.devstack.workloads.quantity import BadQuantity, amount

Object = dict[str, Any]

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_POLICIES = ("Always", "OnFailure", "Never")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_ENV_SOURCES = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def check_port_number(causes: Causes, at: str, value: Any) -> None:
    """A port from 1 to 65535."""
    if isinstance(value, int) and not 1 <= value <= 65535:
        causes.invalid(at, value, names.between(1, 65535))


def check_quantities(causes: Causes, at: str, amounts: Any) -> None:
    """A map of resource name to quantity, none of them negative."""
    for name, value in (amounts or {}).items():
        where = f"{at}[{name}]" if name not in _STANDARD_RESOURCES else f"{at}.{name}"
        try:
            number = amount(value)
        except BadQuantity as error:
            causes.invalid(where, value, str(error))
            continue
        if number < 0:
            causes.invalid(f"{at}[{name}]", str(value), names.NOT_NEGATIVE)
        if "/" not in name and name not in _STANDARD_RESOURCES and not name.startswith("hugepages-"):
            causes.invalid(f"{at}[{name}]", name, "must be a standard resource type or fully qualified")
            causes.invalid(f"{at}[{name}]", name, "must be a standard resource for containers")


def _check_resources(causes: Causes, at: str, resources: Object) -> None:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    check_quantities(causes, f"{at}.limits", limits)
    check_quantities(causes, f"{at}.requests", requests)
    for name, value in requests.items():
        if name in limits and _is_more(value, limits[name]):
            words = f"must be less than or equal to {name} limit of {limits[name]}"
            causes.invalid(f"{at}.requests", str(value), words)


def _is_more(value: Any, limit: Any) -> bool:
    try:
        return amount(value) > amount(limit)
    except BadQuantity:
        return False


def _check_ports(causes: Causes, at: str, ports: list[Object]) -> None:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{at}[{index}]"
        name = port.get("name")
        if name:
            complaints = names.port_name(name)
            causes.invalids(f"{where}.name", name, complaints)
            if not complaints and name in seen:
                causes.duplicate(f"{where}.name", name)
            seen.add(name)
        if not port.get("containerPort"):
            causes.required(f"{where}.containerPort")
        else:
            check_port_number(causes, f"{where}.containerPort", port["containerPort"])
        if port.get("hostPort"):
            check_port_number(causes, f"{where}.hostPort", port["hostPort"])
        causes.one_of(f"{where}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))


def _check_env(causes: Causes, at: str, env: list[Object]) -> None:
    for index, entry in enumerate(env):
        where = f"{at}[{index}]"
        if not entry.get("name"):
            causes.required(f"{where}.name")
        else:
            causes.invalids(f"{where}.name", entry["name"], names.env_name(entry["name"]))
        source = entry.get("valueFrom")
        if source is None:
            continue
        kinds = [kind for kind in source if source[kind]]
        if entry.get("value"):
            causes.invalid(f"{where}.valueFrom", "", "may not be specified when `value` is not empty")
        elif len(kinds) != 1:
            many = "may not have more than one field specified at a time"
            causes.invalid(f"{where}.valueFrom", "", many if kinds else f"must specify one of: {_ENV_SOURCES}")
        for kind in ("configMapKeyRef", "secretKeyRef"):
            reference = source.get(kind)
            if reference is not None and not reference.get("key"):
                causes.required(f"{where}.valueFrom.{kind}.key")


def _check_probe(causes: Causes, at: str, probe: Object | None) -> None:
    if probe is None:
        return
    handlers = [kind for kind in _HANDLERS if probe.get(kind) is not None]
    if not handlers:
        causes.required(at, "must specify a handler type")
    for kind in handlers[1:]:
        causes.forbidden(f"{at}.{kind}", "may not specify more than 1 handler type")
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        causes.not_negative(f"{at}.{field}", probe.get(field))
    for kind in ("httpGet", "tcpSocket"):
        if kind in handlers:
            _check_probe_port(causes, f"{at}.{kind}.port", probe[kind].get("port"))


def _check_probe_port(causes: Causes, at: str, port: Any) -> None:
    if isinstance(port, str):
        causes.invalids(at, port, names.port_name(port))
    else:
        check_port_number(causes, at, port if port is not None else 0)


def _check_mounts(causes: Causes, at: str, mounts: list[Object], volumes: set[str]) -> None:
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        where = f"{at}[{index}]"
        if not mount.get("name"):
            causes.required(f"{where}.name")
        if mount.get("name") not in volumes:
            causes.not_found(f"{where}.name", mount.get("name") or "")
        path = mount.get("mountPath")
        if not path:
            causes.required(f"{where}.mountPath")
        elif path in paths:
            causes.invalid(f"{where}.mountPath", path, "must be unique")
        paths.add(path or "")


def _check_container(causes: Causes, at: str, container: Object, volumes: set[str]) -> None:
    name = container.get("name")
    if not name:
        causes.required(f"{at}.name")
    else:
        causes.invalids(f"{at}.name", name, names.label_1123(name))
    image = container.get("image")
    if not image:
        causes.required(f"{at}.image")
    causes.one_of(f"{at}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    causes.one_of(
        f"{at}.terminationMessagePolicy", container.get("terminationMessagePolicy"), ("FallbackToLogsOnError", "File")
    )
    _check_ports(causes, f"{at}.ports", container.get("ports") or [])
    _check_env(causes, f"{at}.env", container.get("env") or [])
    _check_mounts(causes, f"{at}.volumeMounts", container.get("volumeMounts") or [], volumes)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        _check_probe(causes, f"{at}.{probe}", container.get(probe))
    for probe in ("livenessProbe", "startupProbe"):
        threshold = (container.get(probe) or {}).get("successThreshold")
        if threshold is not None and threshold != 1:
            causes.invalid(f"{at}.{probe}.successThreshold", threshold, "must be 1")
    _check_resources(causes, f"{at}.resources", container.get("resources") or {})


def _check_containers(causes: Causes, at: str, spec: Object, volumes: set[str]) -> None:
    taken: set[str] = set()
    if not spec.get("containers"):
        causes.required(f"{at}.containers")
    for part in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(part) or []):
            where = f"{at}.{part}[{index}]"
            name = container.get("name")
            if name and name in taken:
                causes.duplicate(f"{where}.name", name)
            taken.add(name)
            _check_container(causes, where, container, volumes)
            if part == "initContainers" and container.get("restartPolicy") != "Always":
                for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                    if container.get(field):
                        words = "may not be set for init containers without restartPolicy=Always"
                        causes.forbidden(f"{where}.{field}", words)


def _check_volumes(causes: Causes, at: str, volumes: list[Object]) -> set[str]:
    known: set[str] = set()
    for index, volume in enumerate(volumes):
        where = f"{at}[{index}]"
        name = volume.get("name")
        if not name:
            causes.required(f"{where}.name")
            continue
        complaints = names.label_1123(name)
        causes.invalids(f"{where}.name", name, complaints)
        if name in known:
            causes.duplicate(f"{where}.name", name)
        known.add(name)
        sources = [kind for kind in volume if kind != "name" and volume[kind] is not None]
        for kind in sources[1:]:
            causes.forbidden(f"{where}.{kind}", "may not specify more than 1 volume type")
        claim = volume.get("persistentVolumeClaim")
        if claim is not None and not claim.get("claimName"):
            causes.required(f"{where}.persistentVolumeClaim.claimName")
        secret = volume.get("secret")
        if secret is not None and not secret.get("secretName"):
            causes.required(f"{where}.secret.secretName")
        config = volume.get("configMap")
        if config is not None and not config.get("name"):
            causes.required(f"{where}.configMap.name")
    return known


def check_pod_spec(causes: Causes, at: str, spec: Object, extra_volumes: set[str] | None = None) -> None:
    """A pod spec at path ``at``; ``extra_volumes`` are volumes that somebody adds later (claim templates)."""
    volumes = _check_volumes(causes, f"{at}.volumes", spec.get("volumes") or [])
    _check_containers(causes, at, spec, volumes | (extra_volumes or set()))
    causes.one_of(f"{at}.restartPolicy", spec.get("restartPolicy"), _POLICIES)
    causes.one_of(f"{at}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES)
    causes.labels(f"{at}.nodeSelector", spec.get("nodeSelector"))
    for field in ("serviceAccountName", "nodeName", "priorityClassName"):
        if spec.get(field):
            causes.invalids(f"{at}.{field}", spec[field], names.subdomain_1123(spec[field]))
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            causes.invalids(f"{at}.{field}", spec[field], names.label_1123(spec[field]))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2147483647:
        causes.invalid(f"{at}.activeDeadlineSeconds", deadline, names.between(1, 2147483647))


def check_template(
    causes: Causes, at: str, template: Object, selector: Object | None, extra_volumes: set[str] | None = None
) -> None:
    """A pod template at path ``at``; its ``selector`` must take the template's labels (one that is missing takes none,
    an empty one all).
    """
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if selector != {} and not selectors.matches(selector, labels):
        causes.invalid(f"{at}.metadata.labels", metadata.get("labels"), "`selector` does not match template `labels`")
    causes.labels(f"{at}.labels", labels)
    for key in metadata.get("annotations") or {}:
        causes.invalids(f"{at}.annotations", key, names.label_key(key.lower()))
    check_pod_spec(causes, f"{at}.spec", template.get("spec") or {}, extra_volumes)
