"""Which real programs the tests compare with and run, and where they are on this machine.

The control plane, and the oracles and clients of `oracles/`: what users' own programs make of the same input. Used by
the `build` script beside it, by `controlplane.py` and by the tests that compare. It starts nothing but `go version`,
and needs only the standard library.
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


ORACLES = "oracles"

# The API server first: it is the longest build, and what the others need is compiled with it.
PROGRAMS = (
    Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program("etcd", "go.etcd.io/etcd/server/v3"),
    Program("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    Program("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    Program("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    Program("kubectl-old", "k8s.io/kubernetes/cmd/kubectl", "kubectl-old"),
    Program("kustomize", "sigs.k8s.io/kustomize/kustomize/v5", ORACLES),
    Program("jsonnet", "github.com/google/go-jsonnet/cmd/jsonnet", ORACLES),
    Program("age", "filippo.io/age/cmd/age", ORACLES),
    Program("age-keygen", "filippo.io/age/cmd/age-keygen", ORACLES),
    Program("crane", "github.com/google/go-containerregistry/cmd/crane", ORACLES),
    Program("helm", "helm.sh/helm/v4/cmd/helm", ORACLES),
    Program("sops", "github.com/getsops/sops/v3/cmd/sops", ORACLES),
    Program("cosign", "github.com/sigstore/cosign/v3/cmd/cosign", ORACLES),
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
def assets_folder(module: str) -> Path | None:
    """The folder that `build` fills for a module: $WINDLASS_REAL, or one of the cache named after go.mod and Go.

    None where neither the variable is set nor Go is there to name it.
    """
    if named := os.environ.get("WINDLASS_REAL"):
        return Path(named)
    version = go_version()
    if version is None:
        return None
    digest = hashlib.sha256(version.encode() + (HERE / module / "go.mod").read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "windlass-real" / digest.hexdigest()[:16] / "bin"


def find(name: str) -> Path | None:
    """Where one of PROGRAMS is: in $KUBEBUILDER_ASSETS, else where `build` put it; None where it is in neither."""
    program = next(one for one in PROGRAMS if one.name == name)
    folders = [Path(named)] if (named := os.environ.get("KUBEBUILDER_ASSETS")) else []
    if (built := assets_folder(program.module)) is not None:
        folders.append(built)
    return next((folder / name for folder in folders if os.access(folder / name, os.X_OK)), None)
