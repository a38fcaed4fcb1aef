"""Fixtures of the tests of faults: clusters of their own (they are restarted, starved and lied about), and `ground`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.team import Team
from faults.ground import Ground
from real.cluster import Cluster
from real.controlplane import ControlPlane, missing
from real.devcluster import running_devcluster


@pytest.fixture(scope="package")
def devcluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A devcluster of these tests' own."""
    with running_devcluster(tmp_path_factory.mktemp("faults-devcluster")) as cluster:
        yield cluster


@pytest.fixture(scope="package")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real control plane of these tests' own."""
    if absent := missing():
        pytest.skip(f"real control plane: {', '.join(absent)} not built (`make real` does)")
    with ControlPlane(tmp_path_factory.mktemp("faults-real")) as plane:
        cluster = Cluster(plane.kubeconfig, "real", plane)
        yield cluster
        cluster.close()


@pytest.fixture(scope="package", params=["devcluster", pytest.param("real", marks=pytest.mark.real)])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each in turn."""
    found: Cluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="package")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Windlass in that cluster, behind a proxy."""
    ground = Ground(cluster, tmp_path_factory.mktemp("ground"))
    yield ground
    ground.close()


@pytest.fixture
def ground(installed: Ground) -> Iterator[Ground]:
    """The same with a controller that runs, and nothing broken; at the end no bug was told in the log."""
    installed.proxy.rule = None
    installed.proxy.down = False
    installed.forget_git()
    if installed.dead():
        installed.restart()
    installed.proxy.seen.clear()
    begun = installed.log.stat().st_size
    yield installed
    installed.proxy.rule = None
    installed.proxy.down = False
    installed.proxy.hold_watches(False)
    told = installed.log.read_text(errors="replace")[begun:]
    assert '"event": "bug"' not in told, told[told.index('"event": "bug"') - 2000 :][:6000]


@pytest.fixture
def team(ground: Ground, namespace: str, tmp_path: Path) -> Team:
    """A namespace with a repository and an account of its own."""
    return Team(ground, namespace, tmp_path)
