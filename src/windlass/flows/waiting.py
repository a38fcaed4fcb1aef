"""Why an Application is not synced now: the leaves of the SYNC flow's errors, each with its documented reason.

Those that end by themselves when something else happens (a commit, a healthy dependency, a person's request) are woken
by that, not by a timer; ``sync`` knows which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from windlass.core.kinds.reasons import Reason
from windlass.core.model import ObjectRef, Outcome, Problem, Rendered
from windlass.errors import NeedsHuman, TryLater, Where, WindlassError


class NoInstallation(TryLater):
    slug: ClassVar[str] = "no-installation"
    reason: ClassVar[str] = Reason.NO_INSTALLATION.value

    def __init__(self) -> None:
        super().__init__(
            "there is no Installation named windlass in this cluster",
            after=5.0,
            hint="`windlass install --export` prints one",
        )


class RepositoryMissing(NeedsHuman):
    slug: ClassVar[str] = "repository-missing"
    reason: ClassVar[str] = Reason.REPOSITORY_MISSING.value

    def __init__(self, name: str, namespace: str) -> None:
        super().__init__(
            f"there is no Repository {name} in namespace {namespace}",
            where=Where(field="spec.source.repository"),
            hint="put the Repository into the Application's own namespace, or mend the name",
        )


class SourceNotReady(TryLater):
    """The Repository has no commit yet. Its own error, where there is one, tells why."""

    slug: ClassVar[str] = "repository-not-ready"
    reason: ClassVar[str] = Reason.REPOSITORY_NOT_READY.value

    def __init__(self, cause: WindlassError | None) -> None:
        why = f": {cause.what}" if cause is not None else ""
        super().__init__(f"the Repository has no commit yet{why}", hint=cause.hint if cause is not None else "")
        self.unasked = cause is None


class HistoryRewritten(NeedsHuman):
    """The branch moved backwards or sideways. The last good commit stays in force."""

    slug: ClassVar[str] = "history-rewritten"
    reason: ClassVar[str] = Reason.HISTORY_REWRITTEN.value

    def __init__(self, old: str, new: str) -> None:
        super().__init__(
            f"the branch no longer contains {old[:7]}: it was moved to {new[:7]}, which is not followed",
            hint="push the branch back, or say spec.history.rewritten: accept",
            then=f"{old[:7]} keeps running",
        )


class NotSigned(NeedsHuman):
    """A commit is not signed by a key that may. The last good commit stays in force."""

    slug: ClassVar[str] = "not-signed"
    reason: ClassVar[str] = Reason.NOT_SIGNED.value

    def __init__(self, commit: str, why: str, old: str = "") -> None:
        super().__init__(
            f"{commit[:7]} is not followed: {why}",
            hint="sign with a key of spec.verify.signers (git commit -S), or have the key added there",
            then=f"{old[:7]} keeps running" if old else "nothing of it is applied",
        )


class DependencyNotReady(TryLater):
    slug: ClassVar[str] = "dependency-not-ready"
    reason: ClassVar[str] = Reason.DEPENDENCY_NOT_READY.value

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"waits for Application {name}: {why}", where=Where(field="spec.dependsOn"))


class Manual(TryLater):
    slug: ClassVar[str] = "manual"
    reason: ClassVar[str] = Reason.MANUAL.value

    def __init__(self, commit: str, name: object) -> None:
        super().__init__(f"{commit[:7] or 'nothing'} waits for a request", hint=f"windlass sync {name}")


class Suspended(TryLater):
    slug: ClassVar[str] = "suspended"
    reason: ClassVar[str] = Reason.SUSPENDED.value

    def __init__(self, until: str, reason: str, by: str) -> None:
        super().__init__(f'suspended by {by} until {until}: "{reason}"')


WHOLE = "the whole cluster is "
"""How a freeze of the whole cluster begins to be told."""


class Frozen(TryLater):
    slug: ClassVar[str] = "frozen"
    reason: ClassVar[str] = Reason.FROZEN.value

    def __init__(self, what: str, until: str, reason: str, by: str) -> None:
        super().__init__(
            f'{what}frozen by {by} until {until}: "{reason}"',
            hint="what runs is kept; windlass rollback works, windlass resume ends it",
        )


class GlassJudged(TryLater):
    """A pin by break-glass is asked for. What is wanted is known when it has been judged, in a moment."""

    slug: ClassVar[str] = "break-glass-judged"
    reason: ClassVar[str] = Reason.BREAK_GLASS_JUDGED.value

    def __init__(self) -> None:
        super().__init__("a pin in the cluster is asked for, and is being looked at")


class StageWaits(TryLater):
    """A later wave, or what needs a CRD, waits for objects. ``refs`` are what it waits for."""

    slug: ClassVar[str] = "waiting"
    reason: ClassVar[str] = Reason.PROGRESSING.value

    def __init__(self, what: str, refs: frozenset[ObjectRef]) -> None:
        super().__init__(what)
        self.refs = refs


class TimedOut(NeedsHuman):
    slug: ClassVar[str] = "timed-out"
    reason: ClassVar[str] = Reason.TIMED_OUT.value

    def __init__(self, timeout: str, waits: StageWaits) -> None:
        super().__init__(
            f"not done after {timeout}: {waits.what}",
            hint="see why those are not Healthy (windlass status), or raise spec.sync.timeout",
        )
        self.refs = waits.refs


class BadManifest(NeedsHuman):
    """Nothing of the commit is applied. ``problems`` are all of them; the text is the first."""

    slug: ClassVar[str] = "bad-manifest"
    reason: ClassVar[str] = Reason.BAD_MANIFEST.value

    def __init__(self, rendered: Rendered, repository: str) -> None:
        self.problems: Sequence[Problem] = rendered.problems or rendered.invalid
        first = self.problems[0]
        more = len(self.problems) - 1
        super().__init__(
            first.what + (f" (and {more} more)" if more else ""),
            where=Where(
                file=first.file, line=first.line, field=first.field, commit=rendered.commit, repository=repository
            ),
            hint=first.hint,
        )


class PartlyApplied(NeedsHuman):
    """Some objects went wrong. It is a person's to mend unless every one of them may work by itself."""

    slug: ClassVar[str] = "partly-applied"

    def __init__(self, wrong: Sequence[Outcome], total: int, commit: str) -> None:
        first = wrong[0]
        more = f" (and {len(wrong) - 1} more of {total} objects)" if len(wrong) > 1 else ""
        super().__init__(
            f"{first.ref}: {first.message}{more}",
            where=Where(file=first.file, line=first.line, commit=commit),
            hint=first.mend,
        )
        self.passing = all(one.retry for one in wrong)
        self.after = max(one.after for one in wrong)

    reason: ClassVar[str] = Reason.PARTLY_APPLIED.value


def named(refs: Iterable[ObjectRef]) -> str:
    """The first three, and how many more."""
    ordered = sorted(refs)
    shown = ", ".join(str(ref) for ref in ordered[:3])
    return shown if len(ordered) <= 3 else f"{shown} and {len(ordered) - 3} more"
