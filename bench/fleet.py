"""The fleet that the benchmarks sync: N Applications of ten objects each, in one repository.

An Application has a folder `apps/app-0001` with a ServiceAccount, a Service, a Deployment, an Ingress and six
ConfigMaps of 1 kB; a small one has a Service, a Deployment and one ConfigMap; one of overlays has a
`kustomization.yaml` and a patch over a base that all share, or so many of them.

All Application objects are in one namespace, because a Repository serves its own namespace and everything is in one
repository. What they apply goes into twenty namespaces, each through an account of its own that may write there and
nowhere else: many accounts are what a cluster with teams has, so the cost of impersonation and of RBAC is in every
figure. A namespace for each of a thousand Applications would measure the making of namespaces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

HOME = "bench"
TEAMS = 20
NEVER_READY = "bench.example/ready"
RULES = [
    {"apiGroups": [""], "resources": ["serviceaccounts", "services", "configmaps"], "verbs": ["*"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["*"]},
]
PLURALS = {
    "ServiceAccount": "serviceaccounts",
    "Service": "services",
    "Deployment": "deployments",
    "Ingress": "ingresses",
    "ConfigMap": "configmaps",
    "Namespace": "namespaces",
    "RoleBinding": "rolebindings",
    "ClusterRole": "clusterroles",
    "Application": "applications",
    "Repository": "repositories",
    "Secret": "secrets",
}


@dataclass(frozen=True)
class Fleet:
    """``applications`` is how many; each has ten objects, or three where they are ``small``. ``share`` is how many
    overlays have one base, 0 for all."""

    applications: int
    small: bool = False
    overlays: bool = False
    share: int = 0

    @property
    def objects(self) -> int:
        return (3 if self.small else 10) * self.applications

    @property
    def maps(self) -> range:
        """The numbers of an Application's ConfigMaps."""
        return range(1, 2 if self.small else 7)

    @property
    def edited(self) -> int:
        """The number of the ConfigMap that a commit edits."""
        return 1 if self.small else 3

    def edited_file(self, name: str) -> str:
        """The file in which a commit changes one value."""
        return f"apps/{name}/settings.yaml" if self.overlays else f"apps/{name}/config-{self.edited}.yaml"

    @property
    def names(self) -> list[str]:
        return [f"app-{number:04d}" for number in range(1, self.applications + 1)]

    def team(self, name: str) -> str:
        """The namespace that an Application writes to; its account there has the same name."""
        return f"{HOME}-{int(name.rpartition('-')[2]) % TEAMS:02d}"

    def manifests(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """File names and objects of one Application."""
        labels = {"app.kubernetes.io/name": name}
        if not self.small:
            yield "account.yaml", made("v1", "ServiceAccount", name)
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        yield "service.yaml", made("v1", "Service", name, spec={"selector": labels, "ports": ports})
        yield "deployment.yaml", made("apps/v1", "Deployment", name, spec=deployment_spec(name, labels))
        if not self.small:
            backend = {"service": {"name": name, "port": {"name": "http"}}}
            paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
            rules = [{"host": f"{name}.apps.example", "http": {"paths": paths}}]
            yield "ingress.yaml", made("networking.k8s.io/v1", "Ingress", name, spec={"rules": rules})
        for number in self.maps:
            data = {"level": "info", "settings": text(f"{name}-{number}", 1000)}
            yield f"config-{number}.yaml", made("v1", "ConfigMap", f"{name}-{number}", data=data)

    def files(self) -> Iterator[tuple[str, str]]:
        """Paths in the repository and their text."""
        if self.overlays:
            yield from self.overlay_files()
            return
        for name in self.names:
            for file, content in self.manifests(name):
                yield f"apps/{name}/{file}", dumped(content)

    def base(self, name: str) -> str:
        """The folder of an overlay's base."""
        return f"bases/{(int(name.rpartition('-')[2]) - 1) // self.share:02d}" if self.share else "base"

    def overlay_files(self) -> Iterator[tuple[str, str]]:
        """Bases, and for each Application what makes it its own: the objects come out with the same names."""
        for base in dict.fromkeys(map(self.base, self.names)):
            resources = []
            for file, content in self.manifests("web"):
                if content["kind"] == "ConfigMap":
                    content["metadata"]["name"] = content["metadata"]["name"].removeprefix("web-")
                resources.append(file)
                yield f"{base}/{file}", dumped(content)
            yield f"{base}/kustomization.yaml", dumped({"resources": resources})
        for name in self.names:
            yield (
                f"apps/{name}/kustomization.yaml",
                dumped(
                    {
                        "resources": [f"../../{self.base(name)}"],
                        "namePrefix": f"{name}-",
                        "labels": [{"pairs": {"app.kubernetes.io/name": name}, "includeSelectors": True}],
                        "patches": [{"path": "settings.yaml"}],
                    }
                ),
            )
            level = made("v1", "ConfigMap", str(self.edited), data={"level": "info"})
            yield f"apps/{name}/settings.yaml", dumped(level)

    def bodies(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Path and body of one server-side apply of every object, as a controller would send it, into namespaces that
        begin with ``prefix``: with a label and a digest."""
        for name in self.names:
            for _, content in self.manifests(name):
                namespace = prefix + self.team(name).removeprefix(HOME)
                digest = hashlib.sha256(str(content).encode()).hexdigest()
                content["metadata"] |= {
                    "namespace": namespace,
                    "labels": {"bench.example/application": f"{HOME}.{name}"},
                    "annotations": {"bench.example/digest": digest},
                }
                yield path_of(content), msgspec.json.encode(content)

    def ground(self, prefix: str) -> Iterator[dict[str, Any]]:
        """The namespaces with a name of that beginning, with an account each that may write there. The accounts are in
        the namespace of the Applications: nobody borrows another's."""
        rbac = "rbac.authorization.k8s.io/v1"
        yield made("v1", "Namespace", HOME)
        yield {**made(rbac, "ClusterRole", "bench-applier"), "rules": RULES}
        for number in range(TEAMS):
            namespace, account = f"{prefix}-{number:02d}", f"{HOME}-{number:02d}"
            yield made("v1", "Namespace", namespace)
            yield made("v1", "ServiceAccount", account, HOME)
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bench-applier"}
            subjects = [{"kind": "ServiceAccount", "name": account, "namespace": HOME}]
            yield {**made(rbac, "RoleBinding", account, namespace), "roleRef": role, "subjects": subjects}

    def application_objects(self) -> Iterator[dict[str, Any]]:
        """The Applications themselves."""
        for name in self.names:
            spec = {
                "source": {"repository": "config", "path": f"apps/{name}"},
                "destination": {"namespace": self.team(name)},
                "serviceAccount": self.team(name),
            }
            yield made("windlass.dev/v1alpha1", "Application", name, HOME, spec=spec)


def dumped(content: dict[str, Any]) -> str:
    """A document."""
    text: str = yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False)
    return text


def made(api_version: str, kind: str, name: str, namespace: str = "", **content: Any) -> dict[str, Any]:
    """An object."""
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def path_of(content: dict[str, Any]) -> str:
    """Where an object is in the API."""
    api, metadata = content["apiVersion"], content["metadata"]
    base = f"/apis/{api}" if "/" in api else f"/api/{api}"
    if "namespace" in metadata:
        base += f"/namespaces/{metadata['namespace']}"
    return f"{base}/{PLURALS[content['kind']]}/{metadata['name']}"


def deployment_spec(name: str, labels: dict[str, str]) -> dict[str, Any]:
    """One container with what an ordinary one has."""
    container = {
        "name": "web",
        "image": f"registry.example/{name}:1.0.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "LEVEL", "value": "info"}],
        "envFrom": [{"configMapRef": {"name": f"{name}-1"}}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
    }
    pod = {"serviceAccountName": name, "containers": [container]}
    return {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }


def never_ready(content: dict[str, Any]) -> dict[str, Any]:
    """A Deployment whose Pods never get ready: by their image, in the devcluster and in a cluster that can't pull it,
    and by a word to `lean.rollouts`, where there are no Pods."""
    image = content["spec"]["template"]["spec"]["containers"][0]["image"]
    content["spec"]["template"]["spec"]["containers"][0]["image"] = f"{image.rpartition(':')[0]}:neverready"
    content["metadata"]["annotations"] = {NEVER_READY: "never"}
    return content


def text(seed: str, size: int) -> str:
    """So many characters that no two seeds share."""
    block = hashlib.sha256(seed.encode()).hexdigest()
    lines = [f"key-{number:02d}: {block[number:]}{block[:number]}" for number in range(size // 72)]
    return "\n".join(lines).ljust(size, "#")
