"""What becomes of each line of a plan that writes nothing, and how outcomes are read together.

``sync`` calls these. They ask nobody and change nothing; what is written becomes an Outcome in ``effects``.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from windlass.core.model import Action, Change, ObjectRef, Outcome, Problem, Result
from windlass.flows.effects import outcome_of

WRONG = frozenset({Result.FAILED, Result.REFUSED})
WRITES = frozenset({Action.CREATE, Action.ADOPT, Action.CONFIGURE, Action.PRUNE, Action.RELEASE})


def idle(outcomes: dict[ObjectRef, Outcome]) -> bool:
    """Whether nothing was done, and nothing was to do."""
    return all(one.result in (Result.UNCHANGED, Result.KEPT, Result.SKIPPED) for one in outcomes.values())


def standing(change: Change) -> Outcome:
    """The outcome of a change that writes nothing."""
    results = {
        Action.UNCHANGED: Result.UNCHANGED,
        Action.KEEP: Result.KEPT,
        Action.SKIP: Result.SKIPPED,
        Action.REFUSE: Result.REFUSED,
    }
    return outcome_of(change, results[change.action], change.why)


def invalid(problem: Problem) -> Outcome:
    """An object that is wrong by itself: it stays as it is, the others go on."""
    assert problem.ref is not None
    return Outcome(problem.ref, Result.REFUSED, problem.what, problem.hint, problem.file, problem.line)


def moved(change: Change, others: Mapping[str, frozenset[ObjectRef]]) -> Change:
    """What moved to another Application is let go of and not deleted: its place in Git changed, nothing else."""
    if change.action is not Action.PRUNE:
        return change
    for name, refs in others.items():
        if change.ref in refs:
            return msgspec.structs.replace(change, action=Action.RELEASE, why=f"Application {name} has it in Git now")
    return change


def tells_of_others(change: Change, namespace: str) -> bool:
    """Whether what the plan says of an object would tell a tenant that somebody else's exists: it is outside of the
    Application's own namespace, and there, and not ours."""
    known = change.action in (Action.REFUSE, Action.ADOPT, Action.SKIP) and change.live is not None
    return known and change.desired is not None and change.ref.namespace != namespace


def keep_invalid(change: Change) -> Change:
    """An invalid object is not in the render, but it is in Git: it is never pruned for that."""
    if change.action is not Action.PRUNE:
        return change
    return msgspec.structs.replace(change, action=Action.KEEP, why="its manifest in Git is wrong; it stays as it is")
