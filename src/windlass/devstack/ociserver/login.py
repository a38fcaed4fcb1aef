"""Who may talk to the registry: nobody is asked, or one token is, as a password or through a token service.

The token service is the one of the distribution protocol: a 401 names a realm, the client asks there with its password
and gets a bearer token for one scope that ends by itself. ``server`` asks ``allowed`` before anything else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import urllib.parse
from dataclasses import dataclass, field
from secrets import token_bytes

from windlass.devstack.asgi import given_token, same

REALM = "/token"
SERVICE = "devstack"
LIFE = 300


@dataclass(frozen=True, slots=True)
class Login:
    """``token`` is the password of any user; "" asks nobody. ``service`` has clients go through the token service."""

    token: str = ""
    service: bool = False
    key: bytes = field(default_factory=lambda: token_bytes(32), repr=False)

    def allowed(self, authorization: str, scope: str) -> bool:
        """Whether this header is enough for a scope such as ``repository:acme/shop:pull``; "" is no scope at all."""
        if not self.token:
            return True
        given = given_token(authorization)
        if not self.service:
            return same(given, self.token)
        return authorization.lower().startswith("bearer ") and self._grants(given, scope)

    def challenge(self, base: str, scope: str) -> bytes:
        """The ``WWW-Authenticate`` of a 401."""
        if not self.service:
            return b'Basic realm="registry", charset="UTF-8"'
        text = f'Bearer realm="{base}{REALM}",service="{SERVICE}"' + (f',scope="{scope}"' if scope else "")
        return text.encode()

    def grant(self, authorization: str, query: str) -> bytes | None:
        """The token service's answer to a request with a password; None where the password is wrong."""
        if not same(given_token(authorization), self.token):
            return None
        scopes = urllib.parse.parse_qs(query).get("scope", [])
        claims = {"scopes": scopes, "until": int(time.monotonic()) + LIFE}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        token = f"{body}.{self._sign(body)}"
        return json.dumps({"token": token, "access_token": token, "expires_in": LIFE}).encode()

    def _grants(self, given: str, scope: str) -> bool:
        body, _, signature = given.partition(".")
        if not same(signature, self._sign(body)):
            return False
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return claims["until"] > time.monotonic() and (
            not scope or any(_covers(one, scope) for one in claims["scopes"])
        )

    def _sign(self, body: str) -> str:
        return hmac.new(self.key, body.encode(), hashlib.sha256).hexdigest()


def _covers(granted: str, wanted: str) -> bool:
    """``repository:a:pull,push`` covers ``repository:a:pull``. The last colon parts the actions off."""
    name, _, actions = granted.rpartition(":")
    wanted_name, _, wanted_actions = wanted.rpartition(":")
    return name == wanted_name and set(wanted_actions.split(",")) <= set(actions.split(","))
