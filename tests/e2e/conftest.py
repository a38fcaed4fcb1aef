"""Fixtures of the end-to-end tests: a conversation with an API server, held against what the real one answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conversation import Conversation
from e2e.team import Installed, Team
from real.cluster import Cluster


@pytest.fixture
def conversation(request: pytest.FixtureRequest, cluster: Cluster, namespace: str) -> Conversation:
    """A conversation named after the test, which ends with `conversation.check()`."""
    name = request.node.originalname.removeprefix("test_")
    return Conversation(cluster, namespace, name, record=bool(request.config.getoption("--record-answers")))


@pytest.fixture(scope="session")
def windlass(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A controller on the cluster, with just the account that `windlass install --export` makes."""
    installed = Installed(cluster, tmp_path_factory.mktemp("windlass"))
    installed.start("--local-charts", "--fetch-dependencies")
    yield installed
    installed.close()
    assert installed.decisions("bug") == [], "a bug is told in the log with its traceback; there is none"


@pytest.fixture
def team(windlass: Installed, namespace: str, tmp_path: Path) -> Team:
    """A namespace with a repository and an account of its own."""
    return Team(windlass, namespace, tmp_path)
