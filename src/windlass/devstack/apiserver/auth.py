"""Who asks: bearer tokens (the administrator's, those of ServiceAccounts) and impersonation headers.

Called by ``http.py`` before anything else. There are no passwords and no client certificates. Without a token one is
``system:anonymous``; with a token that is not known one is nobody: 401.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from windlass.devstack.apiserver.errors import bad_request, forbidden, unauthorized
from windlass.devstack.apiserver.rbac import Attributes, Authorizer
from windlass.devstack.apiserver.request import User
from windlass.devstack.apiserver.store import Store
from windlass.devstack.apiserver.tokens import ISSUER, Claims, TokenError, Tokens

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))
AUDIENCES = (ISSUER,)


class Authenticator:
    """Tokens to users."""

    def __init__(self, store: Store, tokens: Tokens, known: Mapping[str, User]) -> None:
        self._store = store
        self._tokens = tokens
        self._known = dict(known)

    def authenticate(self, headers: Mapping[str, str]) -> User:
        """The user of a request. Raises 401."""
        header = headers.get("authorization", "")
        if not header:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        user = self.user_of(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user

    def user_of(self, token: str) -> User | None:
        """The user of a token, None where it is nobody's."""
        for known, user in self._known.items():
            if hmac.compare_digest(known, token):
                return user
        try:
            claims = self._tokens.read(token)
        except TokenError:
            return None
        if not set(claims.audiences) & set(AUDIENCES):
            return None
        return self.account(claims)

    def account(self, claims: Claims) -> User | None:
        """The user of a ServiceAccount's token, None where the account is gone or another."""
        item = self._store.get("serviceaccounts", claims.namespace, claims.name)
        if item is None or item.obj["metadata"]["uid"] != claims.uid:
            return None
        return account_user(claims.namespace, claims.name, claims.uid, claims.id)


def account_user(namespace: str, name: str, uid: str = "", token: str = "") -> User:
    """The user that a ServiceAccount is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    extra = {"authentication.kubernetes.io/credential-id": (f"JTI={token}",)} if token else {}
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra)


def impersonate(user: User, headers: Iterable[tuple[bytes, bytes]], authorizer: Authorizer) -> User:
    """The user that a request wants to be, where it says so and may. Raises 400 and 403."""
    name, uid = "", ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    for raw, value in headers:
        if raw.startswith(b"impersonate-"):
            key, text = raw.decode("latin-1"), value.decode("latin-1")
            if key == "impersonate-user":
                name = text
            elif key == "impersonate-group":
                groups.append(text)
            elif key == "impersonate-uid":
                uid = text
            elif key.startswith("impersonate-extra-"):
                extra.setdefault(unquote(key.removeprefix("impersonate-extra-")), []).append(text)
    if not name:
        if groups or uid or extra:
            words = (
                f"requested [{{UID  {uid}}}] without impersonating a user"
                if uid
                else "requested groups without impersonating a user"
            )
            raise bad_request(words)
        return user
    parts = name.split(":")
    account = len(parts) == 4 and name.startswith("system:serviceaccount:")
    kind, namespace, target = ("serviceaccounts", parts[2], parts[3]) if account else ("users", "", name)
    _may(user, authorizer, Attributes("impersonate", "", kind, namespace, target, "v1"))
    for group in groups:
        _may(user, authorizer, Attributes("impersonate", "", "groups", "", group, "v1"))
    if uid:
        _may(user, authorizer, Attributes("impersonate", "authentication.k8s.io", "uids", "", uid, "v1"))
    for key, values in extra.items():
        for each in values:
            _may(
                user,
                authorizer,
                Attributes("impersonate", "authentication.k8s.io", f"userextras/{key}", "", each, "v1"),
            )
    found = tuple(groups) or (account_user(parts[2], parts[3]).groups[:2] if account else ())
    last = UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED
    found = found if {AUTHENTICATED, UNAUTHENTICATED} & set(found) else (*found, last)
    return User(name, found, uid, {key: tuple(values) for key, values in extra.items()})


def _may(user: User, authorizer: Authorizer, wanted: Attributes) -> None:
    if authorizer.allows(user, wanted):
        return
    where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot impersonate resource "{wanted.resource}" in API group "{wanted.group}" {where}'
    raise forbidden(wanted.group, wanted.resource, wanted.name, why)
