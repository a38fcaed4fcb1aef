"""Which differences touch security: told as severe, whatever Git says about reporting.

``examine`` asks. The lists name fields of pods and whole kinds; they are wide on purpose, because a false alarm costs a
look and a missed one a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ALWAYS = frozenset(
    {
        "allowedUnsafeSysctls",
        "appArmorProfile",
        "args",
        "capabilities",
        "command",
        "ephemeralContainers",
        "hostAliases",
        "hostPath",
        "hostPort",
        "lifecycle",
        "procMount",
        "runtimeClassName",
        "seLinuxOptions",
        "seccompProfile",
        "serviceAccount",
        "serviceAccountName",
        "sysctls",
        "windowsOptions",
    }
)
"""Severe with any value, as long as there is one."""

_WHEN_TRUE = frozenset(
    {
        "allowPrivilegeEscalation",
        "automountServiceAccountToken",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "insecureSkipTLSVerify",
        "privileged",
        "shareProcessNamespace",
    }
)
_WHEN_FALSE = frozenset({"hostUsers", "readOnlyRootFilesystem", "runAsNonRoot"})
_WHEN_ZERO = frozenset({"runAsGroup", "runAsUser", "fsGroup"})

_WHOLE_GROUPS = frozenset({"rbac.authorization.k8s.io", "admissionregistration.k8s.io", "certificates.k8s.io"})
_WHOLE_KINDS = frozenset(
    {
        ("apiregistration.k8s.io", "APIService"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("", "ServiceAccount"),
    }
)
_CONTAINERS = frozenset({"f:containers", "f:initContainers", "f:ephemeralContainers"})


def is_severe(group: str, kind: str, path: tuple[str, ...], desired: object, live: object, *, added: bool) -> bool:
    """True where the difference at ``path`` (fieldsV1 elements) touches security. ``added``: Git names nothing here."""
    if group in _WHOLE_GROUPS or (group, kind) in _WHOLE_KINDS:
        return path[:1] != ("f:metadata",)
    if "f:webhook" in path and "f:clientConfig" in path:
        return True
    if added and len(path) > 1 and path[-2] in _CONTAINERS and path[-1].startswith("k:"):
        return True
    names = [element[2:] for element in path if element.startswith("f:")]
    if "securityContext" in names and not added:
        # Whatever it is, it is not the confinement that was reviewed.
        return True
    name = names[-1] if names else ""
    inherited = any(each in _ALWAYS for each in names[:-1])
    return (inherited and live is not None) or _weighs(name, live) or _weighs(name, desired, taken=live is None)


def _weighs(name: str, value: Any, *, taken: bool = False) -> bool:
    """Whether a field has a value that matters, or holds one. ``taken``: a value of Git that is gone."""
    if taken:
        # Confinement taken away: `runAsNonRoot: true`, `automountServiceAccountToken: false`.
        return (name in _WHEN_FALSE and value is True) or (name in _WHEN_TRUE and value is False)
    if value is None:
        return False
    if name in _ALWAYS:
        return True
    if isinstance(value, bool):
        return value if name in _WHEN_TRUE else name in _WHEN_FALSE and not value
    if isinstance(value, int):
        return name in _WHEN_ZERO and value == 0
    if isinstance(value, Mapping):
        return any(_weighs(key, each) for key, each in value.items())
    if isinstance(value, list):
        return any(_weighs("", each) for each in value)
    return False
