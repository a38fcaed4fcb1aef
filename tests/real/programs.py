"""Which programs the real control plane is made of, and where they are on this machine.

Used by the `build` script beside it and by `controlplane.py`. It starts nothing but `go version`, and needs only the
standard library.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Program:
    """One program: the name of its file, the Go package, and the module (a folder beside this file) that pins it."""

    name: str
    package: str
    module: str = "."


# The API server first: it is the longest build, and what the others need is compiled with it.
PROGRAMS = (
    Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program("etcd", "go.etcd.io/etcd/server/v3"),
    Program("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    Program("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    Program("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    Program("kubectl-old", "k8s.io/kubernetes/cmd/kubectl", "kubectl-old"),
)


def required_go() -> str:
    """The Go version that the newest of the go.mod files asks for, such as `1.26.0`."""
    found = re.search(r"^go (\S+)", (HERE / "go.mod").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


@functools.cache
def go_version() -> str | None:
    """What `go version` answers for the control plane's module, such as `go1.26.1`; None without Go."""
    if shutil.which("go") is None:
        return None
    done = subprocess.run(["go", "version"], capture_output=True, text=True, cwd=HERE)
    found = re.search(r"go version (\S+)", done.stdout)
    return found[1] if found else None


@functools.cache
def assets_folder() -> Path | None:
    """The folder that `build` fills: $WINDLASS_REAL, or one of the cache named after go.mod files and Go version.

    None where neither the variable is set nor Go is there to name it.
    """
    if named := os.environ.get("WINDLASS_REAL"):
        return Path(named)
    version = go_version()
    if version is None:
        return None
    digest = hashlib.sha256(version.encode())
    for module in sorted({program.module for program in PROGRAMS}):
        digest.update((HERE / module / "go.mod").read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "windlass-real" / digest.hexdigest()[:16] / "bin"


def find(name: str) -> Path | None:
    """Where a program is: in $KUBEBUILDER_ASSETS, else where `build` put it; None where it is in neither."""
    folders = [Path(named)] if (named := os.environ.get("KUBEBUILDER_ASSETS")) else []
    if (built := assets_folder()) is not None:
        folders.append(built)
    return next((folder / name for folder in folders if os.access(folder / name, os.X_OK)), None)
