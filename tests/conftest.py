"""Fixtures that all tests share: clusters (the devcluster and a real control plane), kubectl, a namespace of one's own.

A test that takes `cluster` runs once on each: on `devcluster` always, on `real` (mark `real`) where `make real` has
built it or `--cluster-kubeconfig FILE` names a cluster; elsewhere it is skipped by name and reason.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

from real.cluster import Cluster, kubectl_program
from real.controlplane import ControlPlane, missing
from real.devcluster import running_devcluster

# How long a machine takes to draw is nothing that a test is about: a busy one must not fail for it.
settings.register_profile("windlass", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("windlass")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which cluster is `real`; whether its answers are written down as what must be answered; how hard faults try."""
    parser.addoption("--cluster-kubeconfig", metavar="FILE", help="the kubeconfig of a cluster to take as `real`")
    parser.addoption("--record-answers", action="store_true", help="write the answers of `real` to tests/e2e/answers")
    parser.addoption("--seed", metavar="N", type=int, help="draw the times and inputs of the tests of faults from this")
    parser.addoption("--kills", metavar="N", type=int, default=200, help="how often a controller is killed (slow test)")
    parser.addoption("--applications", metavar="N", type=int, default=20, help="over how many Applications (same test)")


# Tests of several processes wait for one another on whatever machine they are run: such a test that fails is run once
# more, and the closing lines name it (RERUN). A test within one process has no such excuse, and is run once.
MANY_PROCESSES = tuple(str(Path(__file__).parent / folder) for folder in ("e2e", "faults", "real"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that are run once more before they count as failed."""
    for item in items:
        if str(item.path).startswith(MANY_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def devcluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The embedded devcluster, as a child process of its own, state in memory."""
    with running_devcluster(tmp_path_factory.mktemp("devcluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real control plane with controllers and a KWOK node, started for this run, with an audit log."""
    if named := request.config.getoption("--cluster-kubeconfig"):
        cluster = Cluster(Path(named).resolve(), "real")
        yield cluster
        cluster.close()
        return
    if absent := missing():
        pytest.skip(f"real control plane: {', '.join(absent)} not built (`make real` does)")
    with ControlPlane(tmp_path_factory.mktemp("real"), audit=True) as plane:
        cluster = Cluster(plane.kubeconfig, "real", plane)
        yield cluster
        cluster.close()


@pytest.fixture(scope="session", params=["devcluster", pytest.param("real", marks=pytest.mark.real)])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each cluster in turn; the same test, the same words."""
    found: Cluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, with its service account `default`; deleted afterwards, without waiting."""
    name = f"t-{secrets.token_hex(4)}"
    answer = cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert answer.code == 201, answer.body
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    cluster.eventually(lambda: cluster.request("GET", account).code == 200, f"service account default of {name}")
    yield name
    cluster.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """The program `kubectl`; `cluster.kubectl(...)` runs it."""
    program = kubectl_program()
    if program is None:
        pytest.skip("kubectl: neither built by `make real` nor on PATH")
    return program


@pytest.fixture(scope="session")
def kubectl_old() -> Path:
    """A `kubectl` two minor versions older than the real server; `cluster.kubectl(..., old=True)` runs it."""
    program = kubectl_program(old=True)
    if program is None:
        pytest.skip("kubectl-old: not built (`make real` does)")
    return program
