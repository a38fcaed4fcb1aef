"""The only reader of the environment. The command line turns options and environment into ``Settings`` by this.

Every setting has an option of the same name; the environment variable is for a container, where options are clumsy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

PREFIX = "WINDLASS_"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the controller is told from outside Git and the cluster. Times are in seconds, sizes in bytes.

    ``namespace`` is where its Lease, its digest key and its Secrets for hooks are. ``data`` holds Git mirrors and may
    be lost at any time. ``renderers`` is the number of render workers.
    """

    namespace: str = "windlass-system"
    identity: str = ""
    data: Path = Path("/var/lib/windlass")
    listen: str = "127.0.0.1"
    port: int = 8080
    renderers: int = 2
    render_timeout: float = 60.0
    render_memory: int = 1 << 30
    local_git: bool = False
    local_charts: bool = False
    helm: str = ""
    fetch_dependencies: bool = False
    workers: int = 16
    lease: bool = True
    log_format: str = "json"
    trace: bool = False
    profile: bool = False


def home() -> Path:
    """The person's home folder."""
    return Path.home()


def variable(name: str, default: str = "") -> str:
    """One variable of the environment, of ours or of the field's (``KUBECONFIG``, ``SSH_AUTH_SOCK``)."""
    return os.environ.get(name, default)


def cache_folder() -> Path:
    """Where the command line keeps mirrors: ``$XDG_CACHE_HOME/windlass`` or ``~/.cache/windlass``."""
    root = variable("XDG_CACHE_HOME")
    return (Path(root) if root else home() / ".cache") / "windlass"


def kubeconfig_files() -> list[Path]:
    """The files of ``KUBECONFIG``, or ``~/.kube/config``; those that exist."""
    named = [Path(part) for part in variable("KUBECONFIG").split(os.pathsep) if part]
    return [path for path in named or [home() / ".kube" / "config"] if path.exists()]


def in_cluster() -> tuple[str, int] | None:
    """Address and port of the API server when this runs in a Pod, else None."""
    host, port = variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")
    return (host, int(port)) if host and port.isdigit() else None


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child of our own (a devstack, a worker) gets: enough to find programs and a temporary folder, no more."""
    kept = ("PATH", "TMPDIR", "LANG", "LC_ALL", "HOME", "PYTHONDONTWRITEBYTECODE")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, **(extra or {})}
