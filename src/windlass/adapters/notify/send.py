"""``ports.Notifier`` over HTTP: a webhook signed as Standard Webhooks has it, and Alertmanager's API v2.

An answer's body is never read: whether a notice was taken is told by the status alone. No redirect is followed. Of an
address only the host and port are shown: the rest of it is what lets one in, at many receivers.
Sources: the Standard Webhooks specification (1.0), Alertmanager's OpenAPI of ``/api/v2/alerts``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from datetime import datetime
from typing import Any

import msgspec
from typing_extensions import override

from windlass.adapters.host.http import Answer, Ask, Http, RemoteRefused, RemoteUnavailable
from windlass.core.alerts import Notice, State
from windlass.errors import NeedsHuman, Where
from windlass.ports import Clock, Destination, Notifier

_JSON = {"Content-Type": "application/json"}
_PREFIX = b"whsec_"
_WORD = re.compile(r"[^A-Za-z0-9]+")
MOST = 64 * 1024


class HttpNotifier(Notifier):
    """``http`` is the caller's to close."""

    def __init__(self, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    @override
    async def send(self, to: Destination, notice: Notice, until: datetime) -> None:
        ask = self._webhook(to, notice) if to.form == "webhook" else self._alertmanager(to, notice, until)
        try:
            _check(await self._http.ask(ask._replace(discreet=True)))
        except (RemoteRefused, RemoteUnavailable) as error:
            raise error.at(Where(field=f"spec.{to.form}.url")) from None

    def _webhook(self, to: Destination, notice: Notice) -> Ask:
        body = msgspec.json.encode(notice)
        when = str(int(self._clock.now().timestamp()))
        signature = sign(to.secret.get("token", b""), notice.id, when, body)
        headers = {**_JSON, "webhook-id": notice.id, "webhook-timestamp": when, "webhook-signature": signature}
        return Ask(to.url, "POST", headers, ca=to.secret.get("ca.crt", b""), most=MOST, body=body)

    def _alertmanager(self, to: Destination, notice: Notice, until: datetime) -> Ask:
        url = to.url.rstrip("/") + "/api/v2/alerts"
        secret = to.secret
        login = ""
        if token := secret.get("bearerToken", b""):
            login = f"Bearer {token.decode()}"
        elif username := secret.get("username", b""):
            pair = base64.b64encode(username + b":" + secret.get("password", b"")).decode()
            login = f"Basic {pair}"
        body = msgspec.json.encode([alert_of(notice, until)])
        return Ask(url, "POST", _JSON, login, most=MOST, ca=secret.get("ca.crt", b""), body=body)


def sign(token: bytes, identity: str, when: str, body: bytes) -> str:
    """``v1,<base64>``. A token that begins with ``whsec_`` is base64 behind that. Raises NeedsHuman."""
    key = token.strip()
    if key.startswith(_PREFIX):
        try:
            key = base64.b64decode(key[len(_PREFIX) :], validate=True)
        except binascii.Error:
            key = b""
    if not key:
        raise NeedsHuman(
            "the Channel's Secret has no key to sign with", hint="put a long random text into its key token"
        )
    made = hmac.digest(key, b".".join([identity.encode(), when.encode(), body]), "sha256")
    return f"v1,{base64.b64encode(made).decode()}"


def alert_of(notice: Notice, until: datetime) -> dict[str, Any]:
    """A notice as Alertmanager takes it. What makes two alerts one is in the labels: nothing there changes."""
    namespace, _, name = notice.subject.partition("/")
    kind = "".join(part.capitalize() for part in _WORD.split(topic_kind(notice)))
    labels = {
        "alertname": f"Windlass{kind}",
        "namespace": namespace,
        "application": name,
        "cluster": notice.cluster,
        "severity": "critical" if notice.severe else "warning",
        "topic": notice.topic,
        "team": notice.team,
    }
    ended = notice.state is not State.FIRING
    return {
        "labels": {key: value for key, value in labels.items() if value},
        "annotations": {"summary": notice.line, "next": notice.next, "count": str(notice.count)},
        "startsAt": notice.since,
        "endsAt": notice.time if ended and notice.state is State.RESOLVED else _stamp(until),
    }


def topic_kind(notice: Notice) -> str:
    """``drift``, ``health``, ``sync``, ``history``, ``image``: the same for what begins and what ends."""
    rest = notice.topic.removeprefix(notice.subject).split()
    return rest[0] if rest else notice.kind


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check(answer: Answer) -> None:
    host = answer.url.partition("://")[2].partition("/")[0]
    if answer.status < 300:
        return
    if answer.status in (408, 425):
        raise RemoteUnavailable(f"{host} answers {answer.status}")
    if answer.status < 400:
        raise RemoteRefused(f"{host} leads to another address", hint="name that one itself")
    hint = "is the token, or the name and password, in the Secret good?" if answer.status in (401, 403) else ""
    raise RemoteRefused(f"{host} does not take it: {answer.status}", hint=hint)
