"""Fixtures of the end-to-end tests: a conversation with an API server, held against what the real one answered."""

from __future__ import annotations

import pytest

from e2e.conversation import Conversation
from real.cluster import Cluster


@pytest.fixture
def conversation(request: pytest.FixtureRequest, cluster: Cluster, namespace: str) -> Conversation:
    """A conversation named after the test, which ends with `conversation.check()`."""
    name = request.node.originalname.removeprefix("test_")
    return Conversation(cluster, namespace, name, record=bool(request.config.getoption("--record-answers")))
