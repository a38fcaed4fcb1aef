"""What the API server's refusals mean: an HTTP answer to one error of `ports.py`, with words that a person can use.

`client.py` calls it for every answer of 400 and above. Foreign text goes into messages in bounded length only; of the
requests for Secrets none of the server's words are kept but field names, because the server quotes values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from typing_extensions import override

from windlass import ports
from windlass.core.model.foreign import UNREADABLE
from windlass.errors import WindlassError

LONGEST = 600  # characters of foreign text in one message


class Cause(msgspec.Struct, gc=False):
    """One of `Status.details.causes`."""

    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(msgspec.Struct, gc=False):
    name: str = ""
    group: str = ""
    kind: str = ""
    causes: list[Cause] | None = None
    retryAfterSeconds: float = 0  # noqa: N815 - the API's word


class Status(msgspec.Struct, gc=False):
    """A `Status` of the API server, as far as it is looked at."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: _Details | None = None

    @property
    def causes(self) -> list[Cause]:
        return (self.details.causes if self.details else None) or []


class Asked(msgspec.Struct, frozen=True):
    """What was asked, for the words of an error: `verb` as a person says it, `target` like `Deployment/shop/web`.

    `secret` tells that the answer may quote values of a Secret; `uid` that the request carried a uid as precondition.
    """

    verb: str
    target: str
    secret: bool = False
    uid: bool = False
    user: str = ""

    @override
    def __str__(self) -> str:
        return f"{self.verb} {self.target}"


class HistoryGone(ports.ClusterUnavailable):
    """410: the resourceVersion or the continue token is too old. Lists and watches begin anew; nobody else sees it."""


class Passing(ports.ClusterUnavailable):
    """What often passes within moments: 502, 503, 504, a connection that ended. Worth another attempt at once."""


_DECODER = msgspec.json.Decoder(Status)
_MANAGER = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"(?: with subresource "([^"]*)")?')
_FIELD = re.compile(
    r'(\.[A-Za-z_][^\s:,]{0,200}): (?:field not declared in schema|expected |duplicate )|field "([^"]{1,200})"'
)
_WEBHOOK = re.compile(r'admission webhook "([^"]{1,200})" denied the request')
_POLICY = re.compile(r"ValidatingAdmissionPolicy '([^']{1,200})'")
_CALLING = re.compile(r'failed calling webhook "([^"]{1,200})"|failed to call webhook')
_TYPED = ("failed to create typed", "failed to convert new object", "error decoding YAML", "failed to create manager")
_FIXED = (
    "immutable",
    "may not change once set",
    "for fields other than",
    "may not change fields",
    "may not be changed",
)


def bounded(text: str, longest: int = LONGEST) -> str:
    """One line of at most `longest` characters, without control characters."""
    line = " ".join(text.split())
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def parse(body: bytes) -> Status:
    """The Status in a body; of anything else (a proxy's page) an empty one: none of its text is kept."""
    try:
        status = _DECODER.decode(body)
    except UNREADABLE:
        return Status()
    return status if status.kind == "Status" else Status()


def retry_after(headers: Mapping[str, str], status: Status) -> float:
    """Seconds that the server asks to wait, 0.0 where it does not say. Dates are not used by the API server."""
    told = headers.get("Retry-After", "")
    if told.isdigit():
        return float(min(int(told), 3600))
    return min(status.details.retryAfterSeconds, 3600.0) if status.details else 0.0


def to_error(code: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> WindlassError:
    """The error to raise for an answer of 400 and above."""
    status = parse(body)
    words = _words(status, code, asked)
    after = retry_after(headers, status)
    if code == 429 or code in (502, 503, 504):
        return Passing(f"the API server could not {asked} now: {words}", after=after)
    if code == 410:
        return HistoryGone(f"can't {asked}: the history that was asked for is gone", after=after)
    if (denied := _denied(code, status, words, asked)) is not None:
        return denied
    if code == 500:
        return _internal(status, words, after, asked)
    if code in (401, 403):
        return _not_allowed(code, words, asked)
    if code == 404:
        return ports.ObjectMissing(f"can't {asked}: {words}", after=after)
    if code == 409:
        return _conflict(status, words, asked)
    return _rejected(code, status, words, asked)


def _words(status: Status, code: int, asked: Asked) -> str:
    """What the server said, as far as it may be repeated."""
    if not status.message:
        return status.reason or f"it answered {code}"
    if not asked.secret:
        if status.causes and code == 422:
            return bounded("; ".join(dict.fromkeys(_cause_words(cause) for cause in status.causes)))
        return bounded(status.message)
    if status.message.endswith("not found") or status.reason in ("AlreadyExists", "Unauthorized"):
        return bounded(status.message)
    if code == 403 and " cannot " in status.message:  # the authorizer's sentence names verb, user and resource only
        return bounded(status.message)
    fields = _fields(status)
    named = f" ({', '.join(fields)})" if fields else ""
    return f"{status.reason or f'it answered {code}'}{named}; its words are left out, because they may quote a Secret"


def _cause_words(cause: Cause) -> str:
    """A cause without the value that it quotes where that is long: an immutable Pod template is quoted whole."""
    text = cause.message
    if len(text) > 160 and text.startswith(("Invalid value: ", "Unsupported value: ")):
        text = f"{text.partition(':')[0]}: {text.rpartition(': ')[2]}"
    return f"{cause.field}: {text}" if cause.field else text


def _fields(status: Status) -> tuple[str, ...]:
    named = [cause.field for cause in status.causes if cause.field and cause.field != "<nil>"]
    if not named:
        named = [dotted.lstrip(".") or quoted for dotted, quoted in _FIELD.findall(status.message)]
    return tuple(dict.fromkeys(bounded(field, 200) for field in named))


def _internal(status: Status, words: str, after: float, asked: Asked) -> WindlassError:
    if any(text in status.message for text in _TYPED):
        return ports.ObjectRejected(
            f"the API server can't make sense of {asked.target}: {words}",
            _fields(status),
            hint="a field is misspelt or of the wrong type: compare with `kubectl explain`",
        )
    if (calling := _CALLING.search(status.message)) is not None:
        name = f' "{calling[1]}"' if calling[1] else ""
        error = ports.ClusterUnavailable(f"can't {asked}: the admission webhook{name} does not answer", after=after)
        error.hint = "look at the webhook's Service and Pods; it is tried again by itself"
        return error
    return ports.ClusterUnavailable(f"the API server failed to {asked}: {words}", after=after)


def _denied(code: int, status: Status, words: str, asked: Asked) -> WindlassError | None:
    """What admission says no to. Webhooks choose their code themselves."""
    message = status.message
    if "is being terminated" in message and code in (403, 409):
        return ports.NamespaceTerminating(f"can't {asked}: its namespace is being terminated")
    if any(cause.reason == "NamespaceTerminating" for cause in status.causes):
        return ports.NamespaceTerminating(f"can't {asked}: its namespace is being terminated")
    if (hook := _WEBHOOK.search(message)) is not None:
        told = words if not asked.secret else "its words are left out, because they may quote a Secret"
        return ports.WebhookDenied(f'the admission webhook "{hook[1]}" denied to {asked}: {told}')
    if (policy := _POLICY.search(message)) is not None and " denied request" in message:
        return ports.WebhookDenied(f'the ValidatingAdmissionPolicy "{policy[1]}" denied to {asked}: {words}')
    if code == 403 and " cannot " not in message and message and status.kind == "Status":
        return ports.WebhookDenied(f"the cluster's admission denied to {asked}: {words}")
    return None


def _not_allowed(code: int, words: str, asked: Asked) -> WindlassError:
    if code == 401:
        hint = "the token or certificate is not accepted: log in again, or mend the kubeconfig"
        return ports.NotAllowed(f"can't {asked}: the API server does not know who is asking", hint=hint)
    if "impersonate" in words:
        hint = f"let the controller impersonate {asked.user or 'that account'}, or take `serviceAccount` out"
    else:
        who = asked.user or "the account"
        hint = f"give {who} this right by a Role and a RoleBinding"
    return ports.NotAllowed(f"not allowed to {asked}: {words}", hint=hint)


def _conflict(status: Status, words: str, asked: Asked) -> WindlassError:
    managers: dict[str, list[str]] = {}
    for cause in status.causes:
        if cause.reason != "FieldManagerConflict":
            continue
        found = _MANAGER.search(cause.message)
        manager = found[1].replace('\\"', '"') if found else "?"
        managers.setdefault(bounded(manager, 200), []).append(bounded(cause.field, 200))
    if managers:
        told = "; ".join(f"{name} owns {', '.join(fields)}" for name, fields in managers.items())
        return ports.FieldConflict(bounded(f"can't {asked}: {told}"), managers)
    return ports.WriteConflict(f"can't {asked}: {words}")


def _rejected(code: int, status: Status, words: str, asked: Asked) -> WindlassError:
    causes = status.causes
    if asked.uid and code == 422 and any(cause.field == "metadata.uid" for cause in causes):
        return ports.WriteConflict(f"can't {asked}: it was deleted and made anew by somebody")
    texts = [cause.message for cause in causes] or [status.message]
    immutable = code == 422 and any(sign in text for text in texts for sign in _FIXED)
    hint = "this field can't be changed on a live object: delete the object, or give it a new name" if immutable else ""
    return ports.ObjectRejected(
        f"the API server refuses to {asked}: {words}", _fields(status), immutable=immutable, hint=hint
    )


def describe(status: Mapping[str, Any] | None) -> str:
    """Bounded words of a Status inside a watch's ERROR event."""
    message = (status or {}).get("message")
    return bounded(message) if isinstance(message, str) else "no words"
