"""Which events an Alert is about, read once and asked for each event.

A rule that can't be read raises when it is read; one that fails on an event (an expression about a field that is not
there) does not match, and says so: nobody is woken by a mistake, and nobody learns of it only by silence.
"""

from __future__ import annotations

import fnmatch
from typing import Any, ClassVar

import msgspec

from windlass.core.cel import CelError, compile_expression
from windlass.core.model.events import Event
from windlass.errors import NeedsHuman, Where


class BadAlert(NeedsHuman):
    """What an Alert says of events can't be read."""

    slug: ClassVar[str] = "bad-alert"
    reason: ClassVar[str] = "BadAlert"


class AlertRule(msgspec.Struct, frozen=True):
    """``namespace`` bounds it to what is there; "" is the whole cluster. ``kinds`` and ``applications`` (patterns with
    ``*``) are any of; none are all. ``severe`` leaves the others out; ``when`` is CEL over ``event``."""

    namespace: str
    kinds: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    severe: bool = False
    when: str = ""


class Reader:
    """A rule that was read. Raises BadAlert. ``trouble`` is why its expression failed last, "" where it did not."""

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self.trouble = ""
        try:
            self._when = compile_expression(rule.when, ("event",)) if rule.when else None
        except CelError as error:
            raise BadAlert(
                f"the expression can't be read: {error}",
                where=Where(field="spec.events.when"),
                hint='write CEL such as event.data.manager != "kubectl"',
            ) from error

    def matches(self, event: Event) -> bool:
        """Whether the Alert is about this event."""
        rule = self.rule
        namespace, _, name = event.subject.partition("/")
        if rule.namespace and namespace != rule.namespace:
            return False
        if rule.kinds and event.kind not in rule.kinds:
            return False
        if rule.severe and not event.severe:
            return False
        if rule.applications and not any(_fits(one, namespace, name) for one in rule.applications):
            return False
        return self._says_yes(event)

    def _says_yes(self, event: Event) -> bool:
        if self._when is None:
            return True
        try:
            answer = self._when.ask({"event": _plain(event)})
        except CelError as error:
            self.trouble = str(error)
            return False
        self.trouble = ""
        return answer


def _fits(pattern: str, namespace: str, name: str) -> bool:
    whole = f"{namespace}/{name}" if "/" in pattern else name
    return fnmatch.fnmatchcase(whole, pattern)


def _plain(event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "subject": event.subject,
        "time": event.time,
        "severe": event.severe,
        "data": msgspec.to_builtins(event.data),
    }
