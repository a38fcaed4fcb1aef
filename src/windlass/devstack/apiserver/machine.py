"""The API server without its network: every layer put together over one `Store`.

``http.py`` serves it, ``local.py`` lets the controllers inside use it, ``server.py`` starts it. It decides nothing
itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from windlass.devstack.apiserver import auth
from windlass.devstack.apiserver.admission import Gate
from windlass.devstack.apiserver.auth import Authenticator
from windlass.devstack.apiserver.crd_checks import Kinds
from windlass.devstack.apiserver.crds import Definitions
from windlass.devstack.apiserver.custom import Customs
from windlass.devstack.apiserver.deleting import Deleter
from windlass.devstack.apiserver.openapi import OpenApi
from windlass.devstack.apiserver.rbac import Authorizer
from windlass.devstack.apiserver.registry import Registry
from windlass.devstack.apiserver.request import User
from windlass.devstack.apiserver.reviews import Reviews
from windlass.devstack.apiserver.store import Store
from windlass.devstack.apiserver.subresources import Logs, Subresources, no_logs
from windlass.devstack.apiserver.tokens import Tokens
from windlass.devstack.apiserver.verbs import Verbs
from windlass.devstack.apiserver.webhooks import Webhooks
from windlass.devstack.apiserver.writing import Strategies, Writer


class Machine:
    """The layers. ``users`` are the known tokens, ``address`` is host:port as clients see it."""

    def __init__(
        self,
        store: Store,
        strategies: Strategies,
        key: ec.EllipticCurvePrivateKey,
        users: Mapping[str, User],
        address: str,
        logs: Logs = no_logs,
    ) -> None:
        self.store = store
        self.address = address
        self.registry = Registry()
        self.customs = Customs()
        self.webhooks = Webhooks(store)
        self.tokens = Tokens(key, address)
        self.authorizer = Authorizer(store)
        self.authenticator = Authenticator(store, self.tokens, users)
        gate = Gate(store, self.webhooks)
        self.writer = Writer(store, self.registry, Kinds(strategies), self.customs, gate)
        self.deleter = Deleter(self.writer)
        self.verbs = Verbs(self.writer, self.deleter)
        self.subresources = Subresources(self.writer, self.deleter, self.verbs, self.tokens, logs)
        self.reviews = Reviews(self.authorizer, self.authenticator)
        self.definitions = Definitions(store, self.registry, self.writer, self.deleter)
        self.openapi = OpenApi(self.registry)
        self.definitions.load()

    def impersonate(self, user: User, headers: Iterable[tuple[bytes, bytes]]) -> User:
        """Who a request wants to be."""
        return auth.impersonate(user, headers, self.authorizer)
