"""Kinds ``Alert`` and ``Channel``: which events are told, and to whom.

A Channel holds no secret in its text: what has to be hidden is in the Secret that it names.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from windlass.core.kinds.conditions import Condition
from windlass.core.kinds.fields import NAME, WORDS, Duration, Name
from windlass.core.kinds.kind import Column, Kind, Metadata, read_metadata, read_spec, read_status
from windlass.core.kinds.shape import Form, Keyed, Part, Rule, Says, mistake, shown
from windlass.core.model import events

ALERT, CHANNEL = "Alert", "Channel"

ALERT_EXAMPLE = """\
apiVersion: windlass.dev/v1alpha1
kind: Alert
metadata:
  name: shop
  namespace: shop
spec:
  channel: on-call
  events:
    kinds: [health, drift, refused, applied]
  repeat: 4h
"""
CHANNEL_EXAMPLE = """\
apiVersion: windlass.dev/v1alpha1
kind: Channel
metadata:
  name: on-call
  namespace: shop
spec:
  webhook:
    url: https://hooks.example.com/windlass
    secret: on-call-hook
"""
MORE_ALERT = """\
## What is told

Something that begins is told once: a difference, a Degraded Application, a sync that a person must look at, a branch
whose history was rewritten. While it stays so it is counted, and told again only after `repeat`. Its end is told where
its beginning was. What has no end (an image taken or held, a rollback) is told once.

An Alert is about what is in its own namespace. One in the namespace of the controller is about the whole cluster.

`events.when` is an expression in CEL over `event`: `event.kind`, `event.subject` (`<namespace>/<name>`), `event.time`,
`event.severe` and `event.data`, the same data as in the [ledger](../ledger.md). An expression that fails on an event
does not match, and the Alert's status says so.

The sentence of a notice is the one of `windlass log`. Values of Secrets are never in it, and free text only as far as
the ledger may keep it."""
MORE_CHANNEL = """\
## Webhook

Each notice is one `POST` of JSON, signed as [Standard Webhooks](https://www.standardwebhooks.com) has it, so that its
libraries verify it: `webhook-id`, `webhook-timestamp`, `webhook-signature` (`v1,` and the base64 of HMAC-SHA256 over
`<id>.<timestamp>.<body>`). The key is `token` of the Secret. The same notice sent again has the same id.

```json
{"state": "firing", "kind": "drift", "subject": "shop/shop", "severe": false, "count": 1,
 "line": "drift Deployment/web spec.replicas 3 -> 7 by kubectl (scale)   revert",
 "since": "2026-11-28T14:21:02.000Z", "time": "2026-11-28T14:21:02.000Z",
 "cluster": "prod-eu", "team": "", "topic": "shop/shop drift Deployment.apps/shop/web spec.replicas",
 "next": "windlass diff shop/shop"}
```

## Alertmanager

Notices become alerts of its API (v2), with the labels `alertname` (`WindlassDrift`, `WindlassHealth`), `namespace`,
`application`, `cluster`, `severity` and `team`, so that its routes, silences and inhibitions work on them. What is open
is given an end a day ahead and sent again before that, so an Alertmanager that was restarted learns of it.

A receiver that is away is tried again, at growing distances; what waits is on disk, up to 1,000 notices a Channel. A
notice may arrive twice, never not at all while there is room."""

URL = Form(
    r"(?:https?)://[!-~]+",
    "a URL that begins with https:// (http:// inside a cluster)",
    "https://hooks.example.com",
    2048,
)
APP = Form(
    r"[a-z0-9*?.\[\]!-]+(?:/[a-z0-9*?.\[\]!-]+)?", "a name, or <namespace>/<name>, in which * is anything", '"*"', 320
)
CEL = Form(r"[^\x00-\x08\x0b-\x1f\x7f]+", "an expression in CEL", 'event.data.manager != "kubectl"', 4096)
CLOCK = Form("(?:[01][0-9]|2[0-3]):[0-5][0-9]", "a time of the day such as 22:00", '"22:00"', 5)
ZONE = Form("[A-Za-z0-9_+/-]+", "a time zone such as Europe/Berlin", "Europe/Berlin", 64)


class Hours(Part, frozen=True):
    """A time of the week in which only what is severe is told at once."""

    from_: Annotated[str, CLOCK, Says("When it begins.")] = msgspec.field(name="from")
    to: Annotated[str, CLOCK, Says("When it ends; the next morning where that is the smaller one.", '"07:00"')]
    days: Annotated[
        list[Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]],
        Says("The days on which it begins. None are all."),
    ] = msgspec.field(default_factory=list)
    time_zone: Annotated[str, ZONE, Says("The zone of these times.", "Europe/Berlin")] = "UTC"


class Events(Part, frozen=True):
    """Which events."""

    kinds: Annotated[
        list[Annotated[str, Form("[a-z-]+", "a kind of event", "drift", 40)]],
        Says("Kinds of events: " + ", ".join(f"`{kind}`" for kind in sorted(events.KINDS)) + ". None are all."),
    ] = msgspec.field(default_factory=list)
    applications: Annotated[
        list[Annotated[str, APP]], Says("Names of Applications, or `<namespace>/<name>`. None are all.")
    ] = msgspec.field(default_factory=list)
    severity: Annotated[Literal["all", "severe"], Says("All, or only what is severe.")] = "all"
    when: Annotated[str, CEL, Says("Only events for which this expression in CEL is true (see below).")] = ""


class AlertSpec(Part, frozen=True):
    """The spec of an Alert."""

    channel: Annotated[Name, Says("A Channel in the same namespace.", "on-call")]
    events: Annotated[Events, Says("Which events are told. The default is all that begin or end something.")] = (
        msgspec.field(default_factory=Events)
    )
    repeat: Annotated[
        Duration, Says("Tell what is still open again after this time. Without it, it is told once.", "4h")
    ] = ""
    quiet_hours: Annotated[list[Hours], Says("Times in which only what is severe is told at once.")] = msgspec.field(
        default_factory=list
    )
    note: Annotated[str, WORDS, Says("A sentence that is added to each notice.", "runbook: wiki/shop")] = ""


class Webhook(Part, frozen=True):
    """A signed POST of JSON."""

    url: Annotated[str, URL, Says("Where to.")]
    secret: Annotated[Name, Says("A Secret in the same namespace; its key `token` signs. `ca.crt` for a private CA.")]


class Alertmanager(Part, frozen=True):
    """An Alertmanager, by its API v2."""

    url: Annotated[str, URL, Says("Its address, without `/api/v2`.", "http://alertmanager.monitoring:9093")]
    secret: Annotated[
        str, NAME, Says("A Secret in the same namespace: `username` and `password`, or `bearerToken`; `ca.crt`.")
    ] = ""


class ChannelSpec(Part, frozen=True):
    """The spec of a Channel: exactly one of these."""

    webhook: Annotated[Webhook | None, Says("A signed POST of JSON.")] = None
    alertmanager: Annotated[Alertmanager | None, Says("An Alertmanager.")] = None

    rules = (
        Rule(
            "has(self.webhook) != has(self.alertmanager)",
            "a channel is one thing: name webhook or alertmanager",
        ),
    )


class AlertStatus(Part, frozen=True):
    """The status of an Alert or a Channel."""

    conditions: Annotated[
        list[Condition], Says("`Ready`, and `Reconciling` or `Stalled` while so."), Keyed(("type",))
    ] = msgspec.field(default_factory=list)
    observed_generation: Annotated[int, Says("The generation of the spec that this status is about.")] = 0


class Alert(msgspec.Struct, frozen=True):
    """An Alert as flows see it."""

    metadata: Metadata
    spec: AlertSpec
    status: AlertStatus


class Channel(msgspec.Struct, frozen=True):
    """A Channel as flows see it."""

    metadata: Metadata
    spec: ChannelSpec
    status: AlertStatus


def decode_alert(content: dict[str, Any]) -> Alert:
    """Reads an object. Raises BadSpec, which names the field and the mend."""
    metadata, spec = read_metadata(content, ALERT), read_spec(content, AlertSpec)
    for kind in spec.events.kinds:
        if kind not in events.KINDS:
            raise mistake("spec.events.kinds", f"names no kind of event: {shown(kind)}", "kinds: [drift, health]")
    for hours in spec.quiet_hours:
        try:
            ZoneInfo(hours.time_zone)
        except (KeyError, ValueError, OSError):
            raise mistake(
                "spec.quietHours", f"names no time zone: {shown(hours.time_zone)}", "timeZone: Europe/Berlin"
            ) from None
    return Alert(metadata, spec, read_status(content, AlertStatus))


def decode_channel(content: dict[str, Any]) -> Channel:
    """Reads an object. Raises BadSpec."""
    metadata, spec = read_metadata(content, CHANNEL), read_spec(content, ChannelSpec)
    if (spec.webhook is None) == (spec.alertmanager is None):
        raise mistake("spec", "names one of webhook and alertmanager", "webhook: {url: ..., secret: ...}")
    return Channel(metadata, spec, read_status(content, AlertStatus))


_READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
_MESSAGE = Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1)
_AGE = Column("Age", ".metadata.creationTimestamp", "date")

ALERT_DEFINITION = Kind(
    kind=ALERT,
    plural="alerts",
    short="walert",
    namespaced=True,
    text="Which events are told to a Channel.",
    example=ALERT_EXAMPLE,
    spec=AlertSpec,
    status=AlertStatus,
    columns=(Column("Channel", ".spec.channel"), _READY, _MESSAGE, _AGE),
    more=MORE_ALERT,
)
CHANNEL_DEFINITION = Kind(
    kind=CHANNEL,
    plural="channels",
    short="wchan",
    namespaced=True,
    text="Where notices go.",
    example=CHANNEL_EXAMPLE,
    spec=ChannelSpec,
    status=AlertStatus,
    columns=(_READY, _MESSAGE, _AGE),
    more=MORE_CHANNEL,
)
