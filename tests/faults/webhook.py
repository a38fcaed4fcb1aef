"""An admission webhook that a test serves: it denies, mutates, fails or says nothing, as it is told, and counts."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from real import certificates
from real.cluster import Cluster

Patch = list[dict[str, Any]]
Says = Callable[[dict[str, Any]], str | Patch | int]


class Webhook:
    """`says` gets the AdmissionRequest: a text denies with it, a list is a JSON patch, a number an HTTP error, ""
    allows. A context manager; it is registered for ConfigMaps of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path, *, mutating: bool = False) -> None:
        folder.mkdir()
        certificates.write_all(folder)
        self.cluster, self.namespace, self.mutating = cluster, namespace, mutating
        self.says: Says = lambda request: ""
        self.asked: list[tuple[float, str, str]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                request = body["request"]
                if not request.get("dryRun"):
                    hook.asked.append((time.monotonic(), request["operation"], request.get("name", "")))
                said = hook.says(request)
                if isinstance(said, int):
                    self.send_error(said)
                    return
                response: dict[str, Any] = {"uid": request["uid"], "allowed": not (isinstance(said, str) and said)}
                if isinstance(said, str) and said:
                    response["status"] = {"message": said, "code": 403}
                elif said:
                    patch = base64.b64encode(json.dumps(said).encode()).decode()
                    response |= {"patchType": "JSONPatch", "patch": patch}
                answer = json.dumps(
                    {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
                ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._authority = base64.b64encode((folder / "ca.crt").read_bytes()).decode()
        self._kind = "mutatingwebhookconfigurations" if mutating else "validatingwebhookconfigurations"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Webhook:
        self._thread.start()
        hook = {
            "name": "hook.faults.test",
            "clientConfig": {
                "url": f"https://127.0.0.1:{self._server.server_address[1]}/",
                "caBundle": self._authority,
            },
            "rules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["configmaps"],
                }
            ],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
            "failurePolicy": "Fail",
        }
        path = f"/apis/admissionregistration.k8s.io/v1/{self._kind}"
        made = self.cluster.request(
            "POST", path, {"metadata": {"name": f"faults-{self.namespace}"}, "webhooks": [hook]}
        )
        assert made.code == 201, made.body
        time.sleep(0.5 if self.cluster.name == "devcluster" else 2.0)  # until every part of the API server knows it
        return self

    def __exit__(self, *error: object) -> None:
        path = f"/apis/admissionregistration.k8s.io/v1/{self._kind}/faults-{self.namespace}"
        self.cluster.request("DELETE", path)
        self._server.shutdown()
        self._server.server_close()

    def of(self, name: str) -> list[float]:
        """When it was asked about an object."""
        return [at for at, _, asked in self.asked if asked == name]
