#!/usr/bin/env python3
"""Starts a real Kubernetes control plane in a folder of its own on 127.0.0.1, and stops it cleanly.

etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and KWOK with one Node and the Stages of `stages.py`
(nothing runs in the Pods). The fixtures of the tests and the benchmarks use `ControlPlane`; by hand,
`python tests/real/controlplane.py` prints the kubeconfig's path and runs until Ctrl-C. The programs come from
$KUBEBUILDER_ASSETS or from what `make real` built. It refuses to start where one is missing.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import yaml

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real import certificates, programs
from real.processes import Child, free_ports
from real.stages import stages

NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
NODE = "node-1"


class NotStarted(RuntimeError):
    """A program is missing, or ended while it should have come up; the message holds the end of its log."""


def missing(*, controllers: bool = True) -> list[str]:
    """The names of the programs that are not on this machine."""
    return [name for name in (NEEDED if controllers else NEEDED[:2]) if programs.find(name) is None]


class ControlPlane:
    """One control plane; a context manager. `kubeconfig`, `server`, `token`, `ca` (a PEM file) are good while it runs.

    `controllers=False` starts only etcd and the API server. `audit=True` counts requests (`audit_counts`).
    `benchmark=True` lifts the API server's limits on requests in flight. State is in `folder` (made if it is not
    there) and is kept: a second `start` finds it again.
    """

    def __init__(self, folder: Path, *, controllers: bool = True, audit: bool = False, benchmark: bool = False) -> None:
        self.folder = folder.resolve()
        self.controllers, self.audit, self.benchmark = controllers, audit, benchmark
        self.kubeconfig = self.folder / "kubeconfig"
        self.ca = self.folder / "ca.crt"
        self.audit_log = self.folder / "audit.log"
        self.token = secrets.token_urlsafe(24)
        self.server = ""
        self._etcd_url = ""
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self, seconds: float = 60) -> None:
        """Starts everything; returns once /readyz answers and, with controllers, Node and service account are there."""
        if absent := missing(controllers=self.controllers):
            raise NotStarted(f"not on this machine: {', '.join(absent)} (`make real` builds them)")
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.ca.exists():
            certificates.write_all(self.folder)
        end = time.monotonic() + seconds
        for attempt in range(3):
            self._start_server()
            try:
                self._wait("/readyz", lambda answer: answer == b"ok", end)
                break
            except NotStarted:
                # Between choosing a port and listening on it somebody else may have taken it.
                taken = any("address already in use" in child.tail(200) for child in self._children.values())
                self.stop()
                if not taken or attempt == 2:
                    raise
        if self.controllers:
            self._start_controllers()
            self._wait(f"/api/v1/nodes/{NODE}", _node_is_ready, end)
            self._wait("/api/v1/namespaces/default/serviceaccounts/default", bool, end)

    def stop(self) -> None:
        """Ends what it started: controllers, API server, then etcd (without etcd the API server hangs at its end)."""
        for names, grace in (
            (("kwok", "kube-scheduler", "kube-controller-manager"), 10),
            (("kube-apiserver",), 20),
            (("etcd",), 10),
        ):
            children = [self._children.pop(name) for name in names if name in self._children]
            for child in children:
                child.ask_to_end()
            for child in children:
                child.wait(grace)

    def kill(self, name: str) -> None:
        """Ends one program at once, as a crash would."""
        self._children.pop(name).kill()

    def restart_server(self, seconds: float = 30) -> None:
        """Stops the API server and starts it again on the same port and state."""
        child = self._children.pop("kube-apiserver", None)
        if child is not None:
            child.ask_to_end()
            child.wait(20)
        self._start_apiserver()
        self._wait("/readyz", lambda answer: answer == b"ok", time.monotonic() + seconds)

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """One request as the administrator: the status code and the body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": content_type,
            "User-Agent": "windlass-test-setup",
        }
        request = urllib.request.Request(self.server + path, data=data, method=method, headers=headers)
        context = ssl.create_default_context(cafile=str(self.ca))
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def audit_position(self) -> int:
        """Where the audit log ends now: hand it to `audit_events` or `audit_counts` to leave out what came before."""
        return self.audit_log.stat().st_size if self.audit_log.exists() else 0

    def audit_events(self, since: int = 0) -> Iterator[dict[str, Any]]:
        """The events of the audit log (level Metadata; a watch has two) from a position on; needs `audit=True`."""
        if not self.audit:
            raise ValueError("start it with audit=True")
        with self.audit_log.open("rb") as log:
            log.seek(since)
            for line in log:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def audit_counts(self, since: int = 0) -> Counter[tuple[str, str]]:
        """How many requests of each (program, verb); the program is the user agent up to its first blank or slash."""
        counts: Counter[tuple[str, str]] = Counter()
        for event in self.audit_events(since):
            if (
                event["verb"] == "watch"
                and event["stage"] == "ResponseComplete"
                and event["responseStatus"].get("code") == 200
            ):
                continue  # its beginning is counted already
            agent = event.get("userAgent", "").split(" ")[0].split("/")[0]
            counts[agent, event["verb"]] += 1
        return counts

    def pids(self) -> dict[str, int]:
        """The process of each running program."""
        return {name: child.pid for name, child in self._children.items()}

    def memory(self) -> dict[str, int]:
        """Resident bytes of each running program."""
        sizes = {}
        for name, child in self._children.items():
            status = Path(f"/proc/{child.pid}/status").read_text()
            sizes[name] = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) * 1024
        return sizes

    def _run(self, name: str, *arguments: str) -> None:
        program = programs.find(name)
        assert program is not None
        self._children[name] = Child(name, [str(program), *arguments], self.folder / f"{name}.log")

    def _start_server(self) -> None:
        client, peer, secure = free_ports(3)
        self._etcd_url, self.server = f"http://127.0.0.1:{client}", f"https://127.0.0.1:{secure}"
        self._write_configuration()
        self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            "--quota-backend-bytes=8000000000",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
        )
        self._start_apiserver()

    def _start_apiserver(self) -> None:
        arguments = [
            f"--etcd-servers={self._etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={self.server.rpartition(':')[2]}",
            f"--tls-cert-file={self.folder / 'server.crt'}",
            f"--tls-private-key-file={self.folder / 'server.key'}",
            f"--cert-dir={self.folder}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={self.folder / 'accounts.key'}",
            f"--service-account-signing-key-file={self.folder / 'accounts.key'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--allow-privileged=true",
            "--profiling=false",
        ]
        if self.benchmark:
            arguments += ["--max-requests-inflight=4000", "--max-mutating-requests-inflight=2000"]
        if self.audit:
            arguments += [
                f"--audit-policy-file={self.folder / 'audit-policy.yaml'}",
                f"--audit-log-path={self.audit_log}",
                "--audit-log-maxsize=4000",
            ]
        self._run("kube-apiserver", *arguments)

    def _start_controllers(self) -> None:
        quick = [
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]
        self._run(
            "kube-controller-manager",
            *quick,
            f"--service-account-private-key-file={self.folder / 'accounts.key'}",
            f"--root-ca-file={self.ca}",
            "--horizontal-pod-autoscaler-sync-period=2s",
        )
        self._run("kube-scheduler", *quick)
        self._run(
            "kwok",
            f"--kubeconfig={self.kubeconfig}",
            f"--config={self.folder / 'stages.yaml'}",
            "--manage-all-nodes",
            "--node-ip=127.0.0.1",
            "--cidr=10.244.0.0/16",
            "--node-lease-duration-seconds=40",
        )
        labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels}}
        code, answer = self.request("POST", "/api/v1/nodes", node)
        if code not in (201, 409):
            raise NotStarted(f"the Node was not made: {code} {answer.decode(errors='replace')}")

    def _write_configuration(self) -> None:
        (self.folder / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')
        rule = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata"}],
        }
        (self.folder / "audit-policy.yaml").write_text(yaml.safe_dump(rule))
        (self.folder / "stages.yaml").write_text(yaml.safe_dump_all(stages()))
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "real",
            "clusters": [{"name": "real", "cluster": {"server": self.server, "certificate-authority": str(self.ca)}}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "admin", "namespace": "default"}}],
        }
        self.kubeconfig.touch(0o600)
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def _wait(self, path: str, good: Any, end: float) -> None:
        while time.monotonic() < end:
            for child in self._children.values():
                if not child.running():
                    raise NotStarted(f"{child.name} ended:\n{child.tail()}")
            try:
                code, answer = self.request("GET", path)
            except OSError:
                code, answer = 0, b""
            if code == 200 and good(answer):
                return
            time.sleep(0.05)
        raise NotStarted(f"{path} did not come good in time; the logs are in {self.folder}")


def _node_is_ready(answer: bytes) -> bool:
    node = json.loads(answer)
    taints = {taint["key"] for taint in node["spec"].get("taints", [])}
    conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and "node.kubernetes.io/not-ready" not in taints


def main() -> None:
    """Starts one by hand and runs it until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A real control plane for trying things out; Ctrl-C stops it.")
    parser.add_argument("--folder", type=Path, help="where its state is (a temporary folder unless named)")
    parser.add_argument("--audit", action="store_true", help="write an audit log, and count requests at the end")
    parser.add_argument("--benchmark", action="store_true", help="lift the limits on requests in flight")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="windlass-real-") as temporary:
        started = time.monotonic()
        plane = ControlPlane(options.folder or Path(temporary), audit=options.audit, benchmark=options.benchmark)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with plane:
            for name in (signal.SIGINT, signal.SIGTERM):
                signal.signal(name, lambda *_: None)  # from now on it only ends the pause
            print(f"ready after {time.monotonic() - started:.1f} s; Ctrl-C stops it", flush=True)
            print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)
            signal.pause()
        if options.audit:
            for (agent, verb), count in plane.audit_counts().most_common():
                print(f"{count:>7}  {agent} {verb}")


if __name__ == "__main__":
    try:
        main()
    except (NotStarted, subprocess.SubprocessError) as error:
        sys.exit(str(error))
