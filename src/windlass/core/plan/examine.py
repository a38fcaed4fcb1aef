"""What exactly differs on a live object, and who wrote it: drift as data, from one whole object.

The drift flow calls it after a suspicion and before any act; ``windlass diff`` calls it for what a person sees. It
tells managers, not persons: users come from the audit log. It decides nothing but the response that Git asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from windlass.core.manifests.redact import SHOWN
from windlass.core.manifests.schemas import DEDUCED, Schema
from windlass.core.model import Drift, DriftCause, DriftResponse, ObjectRef
from windlass.core.plan.additions import additions
from windlass.core.plan.compare import Difference, Fields, compare, schema_of
from windlass.core.plan.entries import Entry, all_owned, covers, entries_of, is_own, latest
from windlass.core.plan.ownership import LABEL
from windlass.core.plan.severe import is_severe

MASK = SHOWN
"""Stands for each value of a Secret."""


class DriftRules(msgspec.Struct, frozen=True):
    """What Git says about drift: ``action`` for fields that it names, ``additions`` for those that it does not."""

    action: DriftResponse = DriftResponse.REVERT
    additions: DriftResponse = DriftResponse.REPORT

    @classmethod
    def of(cls, action: str, additions: str) -> DriftRules:
        """From ``spec.drift``: "revert" or "alert" or "adopt"; "report" or "revert"."""
        return cls(DriftResponse(action), DriftResponse(additions))


def examine(
    ref: ObjectRef,
    desired: Mapping[str, Any],
    content: Mapping[str, Any],
    *,
    manager: str,
    rules: DriftRules,
    admitted: Collection[str] = (),
    schema: Schema | None = None,
) -> list[Drift]:
    """Every difference of the live object ``content`` from the applied body ``desired``, in order of the fields.

    ``manager`` is ours; ``admitted`` are fields that were told before as changed by admission; ``schema`` is that of a
    custom kind, where it is known. Values of Secrets are masked.
    """
    entries = list(entries_of(content))
    ours = next((each for each in entries if is_own(each, manager)), None)
    foreign = [each for each in entries if each is not ours and each.subresource != "status"]
    schema = schema or schema_of(desired)
    owned = _hints(schema, content)
    found = [
        drift
        for each in compare(desired, content, schema=schema, owned=owned)
        if (drift := _changed(ref, each, ours, foreign, rules, admitted)) is not None
    ]
    found += additions(ref, desired, content, foreign, rules.additions)
    return [_masked(ref, each) for each in sorted(found, key=lambda each: (each.field, each.cause.value))]


def admission_changes(
    ref: ObjectRef, sent: Mapping[str, Any], answered: Mapping[str, Any], *, schema: Schema | None = None
) -> list[Drift]:
    """What the cluster made otherwise of what was applied: told once, and not fought. Values of Secrets are masked."""
    schema = schema or schema_of(sent)
    return [
        _masked(
            ref,
            Drift(
                ref,
                DriftCause.ADMISSION,
                each.field,
                DriftResponse.REPORT,
                each.desired,
                each.live,
                severe=is_severe(ref.group, ref.kind, each.path, each.desired, each.live, added=False),
            ),
        )
        for each in compare(sent, answered, schema=schema, owned=_hints(schema, answered))
        if not each.more
    ]


# --- what Git names ------------------------------------------------------------------------------------------------


def _changed(
    ref: ObjectRef,
    difference: Difference,
    ours: Entry | None,
    foreign: list[Entry],
    rules: DriftRules,
    admitted: Collection[str],
) -> Drift | None:
    path = difference.path
    intact = ours is not None and covers(ours.fields, path)
    if difference.more and intact:
        return None  # a default that the server filled in
    who = latest(foreign, path)
    cause, response = DriftCause.CHANGED, rules.action
    if path == ("f:metadata", "f:labels", f"f:{LABEL}"):
        cause = DriftCause.RELABELLED
    elif intact and ours is not None:
        if difference.field in admitted:
            cause, response = DriftCause.ADMISSION, DriftResponse.REPORT
        else:
            cause = DriftCause.OWN_MANAGER
        who = ours
    return Drift(
        ref,
        cause,
        difference.field,
        response,
        difference.desired,
        difference.live,
        manager=who.manager if who else "",
        operation=who.how if who else "",
        since=who.time if who else "",
        severe=is_severe(ref.group, ref.kind, path, difference.desired, difference.live, added=False),
    )


def _hints(schema: Schema, content: Mapping[str, Any]) -> Fields:
    """How items of lists are told apart where no schema says it: as their owners do."""
    return all_owned(content) if schema is DEDUCED else {}


def _masked(ref: ObjectRef, drift: Drift) -> Drift:
    if ref.kind != "Secret" or ref.group or not drift.field.startswith(("data", "stringData")):
        return drift
    return msgspec.structs.replace(
        drift,
        desired=None if drift.desired is None else MASK,
        live=None if drift.live is None else MASK,
    )
