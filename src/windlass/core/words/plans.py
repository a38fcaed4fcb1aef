"""A plan as text, and what became of it: ``+ ~ - = !`` lines with their fields, and the line that sums up.

The command line, status and the flows' log call it. Unchanged objects are counted, not listed, unless asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from windlass.core.model import Action, Change, ObjectRef, Outcome, Plan, Result
from windlass.core.plan.changes import FieldChange
from windlass.core.words import fields
from windlass.core.words.plain import columns, pad, plain, short, took, wrap

MARKS: dict[Action, str] = {
    Action.CREATE: "+",
    Action.ADOPT: "~",
    Action.CONFIGURE: "~",
    Action.UNCHANGED: "=",
    Action.PRUNE: "-",
    Action.RELEASE: "~",
    Action.KEEP: "=",
    Action.SKIP: "=",
    Action.REFUSE: "!",
}
"""What a line begins with, so that a colour never has to say it alone."""

RESULTS: dict[Action, Result] = {
    Action.CREATE: Result.CREATED,
    Action.ADOPT: Result.ADOPTED,
    Action.CONFIGURE: Result.CONFIGURED,
    Action.UNCHANGED: Result.UNCHANGED,
    Action.PRUNE: Result.PRUNED,
    Action.RELEASE: Result.RELEASED,
    Action.KEEP: Result.KEPT,
    Action.SKIP: Result.SKIPPED,
    Action.REFUSE: Result.REFUSED,
}

_NAME_MOST = 40
_SUMMED = (
    Result.CREATED,
    Result.ADOPTED,
    Result.CONFIGURED,
    Result.RELEASED,
    Result.PRUNED,
    Result.UNCHANGED,
    Result.KEPT,
    Result.SKIPPED,
    Result.REFUSED,
    Result.FAILED,
)


def plan_text(
    plan: Plan,
    details: Mapping[ObjectRef, Sequence[FieldChange]],
    *,
    budget: int = 0,
    everything: bool = False,
    width: int = 0,
    note: str = "",
) -> str:
    """The whole plan. ``details`` are the fields of configured objects, where they were looked at; ``budget`` is
    ``sync.pruneBudget.count``; ``note`` stands behind the sum (a policy's warnings)."""
    shown = [change for change in plan.changes if everything or change.action is not Action.UNCHANGED]
    names = _names(change.ref for change in plan.changes)
    wide = min(_NAME_MOST, max((columns(names[change.ref]) for change in shown), default=0))
    lines: list[str] = []
    if plan.blocked:
        lines.append(f"! refused as a whole: {plain(plan.blocked)}")
        if plan.mend:
            lines.append(f"  mend  {plain(plan.mend)}")
    for place, change in enumerate(shown):
        before = shown[place - 1] if place else None
        after = shown[place + 1] if place + 1 < len(shown) else None
        head = names[change.ref], wide, "" if not _same(before, change) else "for the same reason"
        lines += _change(change, head, details.get(change.ref, ()), budget)
        if change.mend and not _same(change, after):
            lines.append(f"    mend  {plain(change.mend)}")
    lines.append(_with_note(summary(RESULTS[change.action] for change in plan.changes), note))
    return "\n".join(part for line in lines for part in wrap(line, width)) + "\n"


def _same(one: Change | None, other: Change | None) -> bool:
    """Whether both are told in the same words, so that the second need not repeat them."""
    if one is None or other is None or not other.why:
        return False
    return (one.action, one.why, one.mend) == (other.action, other.why, other.mend)


def _change(change: Change, head: tuple[str, int, str], details: Sequence[FieldChange], budget: int) -> list[str]:
    name, wide, again = head
    words = _words(change, again or plain(change.why), budget)
    lines = [f"{MARKS[change.action]} {pad(name, wide) if words else name}{'   ' + words if words else ''}"]
    for each in details:
        lines.append(f"    {fields.change(each.field, each.old, each.new)}")
        lines += [f"      {line}" for line in fields.text_difference(each.old, each.new)]
    if change.takeover:
        lines.append(f"    takes over the fields of {plain(', '.join(change.takeover))}")
    if change.handover:
        # The path elements of fieldsV1 are no words for a person.
        told = ", ".join(path.replace("/f:", ".").removeprefix("f:") for path in change.handover)
        lines.append(f"    lets go of {plain(told)}, which keeps its value")
    return lines


def _words(change: Change, why: str, budget: int) -> str:
    match change.action:
        case Action.CREATE | Action.CONFIGURE | Action.UNCHANGED:
            return why
        case Action.PRUNE:
            return f"prune, 1 of at most {budget}" if budget else "prune"
        case _:
            word = RESULTS[change.action].value
            return f"{word}: {why}" if why else word


def _names(refs: Iterable[ObjectRef]) -> dict[ObjectRef, str]:
    """``Kind/name``; with its namespace where the same would stand twice."""
    every = list(dict.fromkeys(refs))
    seen: dict[str, int] = {}
    for ref in every:
        seen[str(ref)] = seen.get(str(ref), 0) + 1
    return {ref: plain(str(ref) if seen[str(ref)] == 1 else ref.full) for ref in every}


def summary(results: Iterable[Result]) -> str:
    """``1 created, 1 configured, 1 pruned, 12 unchanged``; "nothing to do" of none."""
    counted: dict[Result, int] = {}
    for result in results:
        counted[result] = counted.get(result, 0) + 1
    return ", ".join(f"{counted[result]} {result.value}" for result in _SUMMED if result in counted) or "nothing to do"


def applied_line(commit: str, outcomes: Iterable[Outcome], seconds: float | None = None) -> str:
    """What a sync came to, on one line: ``applied 3f2c1ab: 1 configured, 12 unchanged in 0.4 s``."""
    told = list(outcomes)
    wrong = [each for each in told if each.result in (Result.FAILED, Result.REFUSED)]
    word = "partly applied" if wrong else "applied"
    spent = f" in {took(seconds)}" if seconds is not None else ""
    return f"{word} {short(commit)}: {summary(each.result for each in told)}{spent}"


def outcome_text(outcome: Outcome, wide: int = 0) -> list[str]:
    """What became of one object, and the mend: ``! Deployment/web   failed: ... (apps/web.yaml:4)``."""
    mark = {Result.CREATED: "+", Result.PRUNED: "-", Result.FAILED: "!", Result.REFUSED: "!"}.get(outcome.result)
    if mark is None:
        same = outcome.result in (Result.UNCHANGED, Result.KEPT, Result.SKIPPED)
        mark = "=" if same else "~"
    place = f"{outcome.file}:{outcome.line}" if outcome.line else outcome.file
    words = f"{outcome.result.value}: {outcome.message}" if outcome.message else outcome.result.value
    lines = [f"{mark} {pad(plain(str(outcome.ref)), wide)}   {plain(words)}{f'   ({plain(place)})' if place else ''}"]
    if outcome.mend:
        lines.append(f"    mend  {plain(outcome.mend)}")
    return lines


def outcomes_text(outcomes: Iterable[Outcome], *, everything: bool = False, width: int = 0) -> str:
    """All outcomes that are not ``unchanged``, and the sum."""
    told = list(outcomes)
    shown = [each for each in told if everything or each.result is not Result.UNCHANGED]
    wide = min(_NAME_MOST, max((columns(plain(str(each.ref))) for each in shown), default=0))
    lines = [line for each in shown for line in outcome_text(each, wide)]
    lines.append(summary(each.result for each in told))
    return "\n".join(part for line in lines for part in wrap(line, width)) + "\n"


def _with_note(line: str, note: str) -> str:
    return f"{line}      {plain(note)}" if note else line
