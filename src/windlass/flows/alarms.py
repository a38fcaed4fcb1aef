"""Alerts of the monitoring, received from Alertmanager over its webhook and written into the ledger.

``web`` calls it. Who may send says a token, in the Secret that ``spec.ledger.alerts`` of the Installation names;
without one nothing is accepted. Nothing in a request is ever asked for or followed; its words are bounded and, but for
labels and the summary, left out. Alertmanager repeats what goes on: the same alert is told once when it fires and once
when it ends.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import msgspec

from windlass.core.model import events
from windlass.core.model.foreign import UNREADABLE
from windlass.errors import NeedsHuman
from windlass.flows.fleet import Fleet, Key
from windlass.flows.hooks import LIMIT, HookAnswer
from windlass.flows.record import Recorder
from windlass.flows.secrets import SecretReader

MOST = 500
"""Alerts in one request."""
LABELS = 40
PLACES = ("deployment", "statefulset", "daemonset", "job", "cronjob", "service", "ingress", "configmap", "pod")


class _Alert(msgspec.Struct, rename="camel"):
    status: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    starts_at: str = ""
    ends_at: str = ""
    fingerprint: str = ""


class _Message(msgspec.Struct):
    alerts: list[_Alert]


_DECODER = msgspec.json.Decoder(_Message)


class Alarms:
    """Receives what Alertmanager sends."""

    def __init__(self, fleet: Fleet, secrets: SecretReader, record: Recorder) -> None:
        self._fleet = fleet
        self._secrets = secrets
        self._record = record

    async def receive(self, headers: Mapping[str, str], body: bytes) -> HookAnswer:
        """``headers`` have lower-case names."""
        refusal = HookAnswer(403, "refused: no alerts are taken, or the token is wrong\n")
        if len(body) > LIMIT:
            return HookAnswer(413, f"refused: a request is at most {LIMIT} bytes\n")
        if not await self._may(headers.get("authorization", "")):
            return refusal
        try:
            alerts = _DECODER.decode(body).alerts
        except UNREADABLE:
            return HookAnswer(400, "refused: this is not what Alertmanager's webhook sends (version 4)\n")
        if len(alerts) > MOST:
            return HookAnswer(413, f"refused: more than {MOST} alerts at once; set max_alerts\n")
        for alert in alerts:
            self._take(alert)
        return HookAnswer(200, f"{len(alerts)} received\n")

    async def _may(self, given: str) -> bool:
        installation = self._fleet.installation
        named = installation.spec.ledger.alerts if installation and installation.spec.ledger else None
        scheme, _, token = given.partition(" ")
        if named is None or scheme.lower() != "bearer" or not token:
            return False
        key = Key(self._fleet.system, "")
        for again in (False, True):
            try:
                wanted = await self._secrets.hook(key, named.secret, again=again)
            except NeedsHuman:
                return False
            if wanted and hmac.compare_digest(wanted.strip(), token.strip().encode("utf-8", "replace")):
                return True
        return False

    def _take(self, alert: _Alert) -> None:
        private = self._record.private
        labels = dict(list(alert.labels.items())[:LABELS])
        name = labels.pop("alertname", "") or "(without a name)"
        data = events.Alerted(
            name=private.sentence(name),
            status="resolved" if alert.status == "resolved" else "firing",
            fingerprint=alert.fingerprint[:64],
            labels={key[:128]: private.sentence(value) for key, value in labels.items()},
            summary=private.sentence(alert.annotations.get("summary", "")),
            starts=alert.starts_at[:40],
            ends=alert.ends_at[:40] if alert.status == "resolved" else "",
        )
        mark = alert.fingerprint or repr(sorted(alert.labels.items()))
        self._record.tell(self._subject(alert.labels), data, key=f"alert {mark} {data.status} {alert.starts_at}")

    def _subject(self, labels: Mapping[str, str]) -> str:
        """The Application that the alert's labels name, or whose object they name; "" where neither is known."""
        named = labels.get("application", "")
        namespace = labels.get("namespace", "")
        for word in (named, f"{namespace}/{named}"):
            before, _, name = word.partition("/")
            if before and name and Key(before, name) in self._fleet.applications:
                return word
        names = {labels[place] for place in PLACES if labels.get(place)}
        found = {
            state.name
            for state in self._fleet.applications.values()
            if any(ref.namespace == namespace and _fits(ref.name, names) for ref in state.desired)
        }
        return found.pop() if names and len(found) == 1 else ""


def _fits(name: str, names: set[str]) -> bool:
    """An object that is named, or whose Pod is."""
    return name in names or any(one.startswith(f"{name}-") for one in names)
