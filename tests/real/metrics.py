"""What a metrics server tells of Pods, for a cluster that has none: `metrics.k8s.io` as an aggregated API.

The API server asks it through its aggregation layer, as it asks the metrics server itself, and the real autoscaler
reads it: nothing of that is played. Only the figures are made up, because nothing runs in the Pods: each container uses
half of the CPU that it requests. For a control plane of `controlplane.py` (its certificate is used); used by tests.
"""

from __future__ import annotations

import datetime
import http.server
import json
import ssl
import threading
import urllib.parse
from typing import Any, Self

from real.cluster import Cluster

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
SERVICE = {"namespace": "kube-system", "name": "measured"}
_SERVICES = "/api/v1/namespaces/kube-system/services"
_REGISTERED = "/apis/apiregistration.k8s.io/v1/apiservices"


class Measured:
    """A context manager: while it lasts, the Pods of the cluster are measured."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        # A connection of its own: requests come in threads.
        self._view = Cluster(cluster.kubeconfig, "measured")
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        made = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = made.answer(urllib.parse.urlsplit(self.path))
                body = json.dumps(content or {}).encode()
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = self.cluster.plane.folder
        tls.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        port = self._server.server_port
        # A name outside the cluster is the one kind of Service that leads to this machine's own address.
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE["name"]},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        }
        registered = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{VERSION}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "service": {**SERVICE, "port": port},
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        }
        for path, content in ((_SERVICES, service), (_REGISTERED, registered)):
            answer = self.cluster.request("POST", path, content)
            assert answer.code == 201, answer.body
        self.cluster.eventually(self._available, "the aggregated API is available", 60)
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.request("DELETE", f"{_REGISTERED}/{VERSION}.{GROUP}")
        self.cluster.request("DELETE", f"{_SERVICES}/{SERVICE['name']}")
        self._server.shutdown()
        self._server.server_close()
        self._view.close()

    def _available(self) -> bool:
        found = self.cluster.request("GET", f"{_REGISTERED}/{VERSION}.{GROUP}").json
        conditions = (found.get("status") or {}).get("conditions") or []
        return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)

    def answer(self, url: urllib.parse.SplitResult) -> dict[str, Any] | None:
        """What this path is answered with, None where there is nothing."""
        parts = url.path.strip("/").split("/")
        if parts == ["apis", GROUP, VERSION]:
            pods = {
                "name": "pods",
                "singularName": "",
                "namespaced": True,
                "kind": "PodMetrics",
                "verbs": ["get", "list"],
            }
            return {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": f"{GROUP}/{VERSION}",
                "resources": [pods],
            }
        if len(parts) != 6 or parts[:4] != ["apis", GROUP, VERSION, "namespaces"] or parts[5] != "pods":
            return None
        query = dict(urllib.parse.parse_qsl(url.query))
        chosen = {"labelSelector": query["labelSelector"]} if "labelSelector" in query else {}
        with self._lock:
            found = self._view.request("GET", f"/api/v1/namespaces/{parts[4]}/pods", **chosen).json
        items = [_measured(pod) for pod in found["items"] if (pod.get("status") or {}).get("phase") == "Running"]
        return {"kind": "PodMetricsList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": items}


def _measured(pod: dict[str, Any]) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {name: pod["metadata"].get(name) or {} for name in ("name", "namespace", "labels")},
        "timestamp": now,
        "window": "1s",
        "containers": [
            {"name": one["name"], "usage": {"cpu": f"{_millis(one) // 2}m", "memory": "16Mi"}}
            for one in pod["spec"]["containers"]
        ],
    }


def _millis(container: dict[str, Any]) -> int:
    """The CPU that a container requests, in thousandths of a core."""
    asked = str(((container.get("resources") or {}).get("requests") or {}).get("cpu", "10m"))
    return int(asked[:-1]) if asked.endswith("m") else int(float(asked) * 1000)
