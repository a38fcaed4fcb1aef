"""An API server without a network: requests go straight into its ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from windlass.devstack.apiserver.auth import AUTHENTICATED
from windlass.devstack.apiserver.bootstrap import bootstrap
from windlass.devstack.apiserver.http import App
from windlass.devstack.apiserver.machine import Machine
from windlass.devstack.apiserver.rbac import MASTERS
from windlass.devstack.apiserver.request import User
from windlass.devstack.apiserver.rules import PlainStrategies
from windlass.devstack.apiserver.store import Store

KEY = ec.generate_private_key(ec.SECP256R1())
USERS = {"admin": User("admin", (MASTERS, AUTHENTICATED)), "bob": User("bob", ("devs", AUTHENTICATED))}


class Answer:
    """What a request gave."""

    def __init__(self, code: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.code = code
        self.headers = [(name.decode(), value.decode()) for name, value in headers]
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def warnings(self) -> list[str]:
        return [value for name, value in self.headers if name == "warning"]

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


class Client:
    """Requests to one `Machine`, as one user."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.app = App(machine)

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "admin",
        kind: str = "application/json",
        **headers: str,
    ) -> Answer:
        path, _, query = path.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {
            "content-type": kind,
            "user-agent": "test/1",
            **{key.replace("_", "-"): v for key, v in headers.items()},
        }
        if token:
            given["authorization"] = f"Bearer {token}"
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(key.encode(), value.encode()) for key, value in given.items()],
        }
        sent: list[Any] = []
        pending = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Any:
            if not pending:
                await asyncio.Event().wait()
            return pending.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        parts = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], sent[0]["headers"], parts)

    async def make(self, path: str, name: str, **rest: Any) -> Any:
        """Create an object and give it back."""
        answer = await self("POST", path, {"metadata": {"name": name, **rest.pop("metadata", {})}, **rest})
        assert answer.code == 201, answer.body
        return answer.json


def machine_of(store: Store) -> Machine:
    """A machine over a store, with the plain strategies."""
    return Machine(store, PlainStrategies(), KEY, USERS, "127.0.0.1:6443")


@asynccontextmanager
async def serving(store: Store) -> AsyncIterator[Client]:
    """A client of a bootstrapped machine whose definitions are followed."""
    machine = machine_of(store)
    await bootstrap(machine, 6443)
    following = asyncio.get_running_loop().create_task(machine.definitions.run())
    try:
        yield Client(machine)
    finally:
        following.cancel()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A fresh cluster."""
    async with serving(Store()) as found:
        yield found
