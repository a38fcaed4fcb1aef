"""What an image policy decided, as intents: take a tag, or hold one that a person put back.

``flows/images`` hands a decision in; ``flows/commits`` writes it together with whatever else is to be written there.
What a person reverted is not taken again: where a commit of the policy in the history moved to just this tag, and a
place that it moved says something else now that the policy did not write since, somebody put it back. Then the tag is
held, by a commit to the policy's own file where that may be written, and told in its status. Files and history are of
one commit: none of it can be half new.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from windlass.adapters.git import CommitInfo, Store, on_git_thread, open_snapshot
from windlass.core.edits import Intent, Target
from windlass.core.edits.intents import Home, hold_tag
from windlass.core.images import Goal, Move, find, is_there
from windlass.core.images.places import Path
from windlass.core.kinds import image_policy
from windlass.core.kinds.fields import stamp
from windlass.core.kinds.image_policy import ImagePolicy, ImagePolicySpec
from windlass.core.kinds.kind import GROUP
from windlass.core.model import events
from windlass.core.model.events import ImageMoved
from windlass.core.words.commits import trailers_of
from windlass.errors import NeedsHuman, WindlassError
from windlass.flows.commits import Commits
from windlass.flows.fleet import Key, SourceState
from windlass.flows.record import Recorder
from windlass.flows.write import Written
from windlass.ports import Clock

log = structlog.get_logger("windlass")
GATHER = 0.05
"""Seconds for which decisions are gathered, because releases come in flocks: they become one commit."""
ROUND = 2.0
"""Seconds for which they are at most, while others that were told of a push at the same time still look."""
HELD_FOR = timedelta(days=30)
LOOKED_BACK = 2000
"""So many commits back the policy's own newest one is looked for."""
EARLIER = 50
"""So many of its older ones are looked at for what a person put back."""
MOVES = "Moves"
_ORIGIN = re.compile(r"(?P<repository>[^@:]+)@(?P<commit>[0-9a-f]{40,64}):(?P<file>.+)")
_REVISION = "org.opencontainers.image.revision"
_SOURCE = "org.opencontainers.image.source"


class Sighting(msgspec.Struct, frozen=True):
    """When a registry first told of an image, and how that came: ``events.ImageMoved.by``."""

    time: datetime
    by: str


class Decision(msgspec.Struct, frozen=True):
    """What a policy wants to be written: its goal, and the files. ``was`` are the tags that stand there; ``about`` are
    labels of the image, ``built`` when it says that it was made; ``decided`` is when all that had to be checked was.
    ``contested`` are files in which another policy claims what no mark names."""

    policy: Key
    goal: Goal
    files: tuple[str, ...]
    was: tuple[str, ...]
    why: str
    about: dict[str, str]
    seen: Sighting
    decided: datetime
    built: datetime | None = None
    contested: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """What the files are to say: ``1.4.2``, or ``1.4.2@sha256:...`` where the digest is written too."""
        return f"{self.goal.tag}@{self.goal.digest}" if self.goal.pin != "tag" else self.goal.tag


Told = Callable[[str, str], None]
"""Hears what became of a decision: a commit, or why nothing is written."""


class ImageCommits:
    """Takes decisions in. ``note`` hears what became of one: (commit, "") or ("", why it is not written)."""

    def __init__(self, commits: Commits, clock: Clock, record: Recorder) -> None:
        self._commits = commits
        self._clock = clock
        self._record = record

    async def decide(
        self, written: ImagePolicy, source: SourceState, decision: Decision, lifted: bool, note: Told, *, gather: float
    ) -> None:
        """``lifted``: a person has said that the tag is good again. ``gather``: seconds in which others may come."""
        history = await on_git_thread(_history, source.folder, source.commit)
        own = made_by(history, decision.policy)
        move = f"{decision.policy} {decision.text}"
        taken = next((number for number, one in enumerate(own) if move in moves(one)), None)
        if taken is not None and not lifted and await on_git_thread(_reverted, source, own, taken, decision):
            self._hold(written, source, decision, own[taken], note)
            return
        intent = intent_of(decision, own[0].id if own else "")

        def answer(done: Written) -> None:
            if done.error is not None:
                note("", with_mend(done.error))
                return
            note(done.commit if done.result != "unchanged" else "", "")
            if done.result == "written":
                log.info("image", policy=str(decision.policy), tag=decision.goal.tag, commit=done.commit)
                self._tell(written.spec, source, decision, "taken", done, intent.id)

        self._commits.want(source.key, intent, answer, branch=written.spec.update.branch, gather=gather)

    def round_over(self, repository: Key) -> None:
        """All who were told of a push have looked."""
        self._commits.gathered(repository, GATHER)

    def _hold(
        self, written: ImagePolicy, source: SourceState, decision: Decision, last: CommitInfo, note: Told
    ) -> None:
        """Holds a tag that a person reverted, in Git where that may be."""
        tag = decision.goal.tag
        why = f"{tag} was taken by {last.id[:7]} and reverted since: it is not taken again"
        mend = f"to hold it yourself: hold: [{{tag: {tag}}}] in the policy"
        origin = _ORIGIN.fullmatch(written.metadata.annotations.get("windlass.dev/origin", ""))
        home = Key(decision.policy.namespace, origin["repository"]) if origin else None
        if origin is None or home is None or not self._commits.may_write(home):
            note("", f"{why}; {mend}")
            return
        own = Home(origin["file"], Target(GROUP, image_policy.KIND, *decision.policy))
        intent = hold_tag(
            own,
            tag,
            identity=_id("hold", str(decision.policy), decision.text, last.id),
            reason=f"{last.id[:7]} took it and was reverted",
            by="windlass",
            until=stamp(self._clock.now() + HELD_FOR),
        )

        def answer(done: Written) -> None:
            if done.error is not None:
                note("", f"{why} ({done.error.what}); {mend}")
                return
            note("", why)
            if done.result == "written":
                log.info("image held", policy=str(decision.policy), tag=tag, reverted=last.id)
                self._tell(written.spec, source, decision, "held", done, intent.id)

        self._commits.want(home, intent, answer)

    def _tell(
        self, spec: ImagePolicySpec, source: SourceState, decision: Decision, result: str, done: Written, intent: str
    ) -> None:
        data = ImageMoved(
            policy=str(decision.policy),
            image=image_name(spec),
            tag=decision.goal.tag,
            result=result,
            digest=decision.goal.digest,
            was=list(decision.was),
            commit=done.commit,
            files=list(done.files[:50]),
            repository=str(source.key),
            revision=decision.about.get(_REVISION, "")[:100],
            link=decision.about.get(_SOURCE, "")[:200],
            verified=spec.verify is not None,
            why=decision.why,
            intent=intent,
            built=events.stamp(decision.built) if decision.built is not None else "",
            seen=events.stamp(decision.seen.time),
            by=decision.seen.by,
            decided=events.stamp(decision.decided),
        )
        self._record.tell(str(decision.policy), data, key=f"image {result} {decision.text} {done.commit}")


def intent_of(decision: Decision, last: str) -> Intent:
    """The intent of a decision. Its id is the same as long as the policy has not written anything since."""
    goal, was = decision.goal, ", ".join(decision.was)
    facts = [(MOVES, f"{decision.policy} {decision.text}"), ("Image-Digest", goal.digest)]
    facts += [("Image-Revision", decision.about.get(_REVISION, "")), ("Image-Source", decision.about.get(_SOURCE, ""))]
    name = goal.wanted.chart[1] or goal.wanted.image[1]
    return Intent(
        id=_id("image", str(decision.policy), *sorted(goal.seen), decision.text, last),
        verb="image",
        about=str(decision.policy),
        summary=f"Take {name} {goal.tag}" + (f" (was {was})" if was and was != goal.tag else ""),
        reason=decision.why,
        facts=tuple((key, value[:200]) for key, value in facts),
        steps=tuple(
            Move(file=file, goals=(msgspec.structs.replace(goal, marked=file in decision.contested),))
            for file in sorted(decision.files)
        ),
    )


def _history(folder: str, commit: str) -> list[CommitInfo]:
    return Store(folder).log(None, commit, limit=LOOKED_BACK)


def _reverted(source: SourceState, own: Sequence[CommitInfo], taken: int, decision: Decision) -> bool:
    """Whether a place said what is wanted at ``own[taken]``, and somebody made it say something else. ``own`` are the
    policy's commits, newest first.

    What came anew with another tag (one more environment, copied from an old one) is no revert. Where the policy itself
    has moved on since, it is one only where what was there before stands there again.
    """

    def texts(commit: str, file: str) -> dict[tuple[int, Path], tuple[str, bool]]:
        try:
            found = find(file, open_snapshot(source.folder, commit)[file], [decision.goal.wanted])
        except (KeyError, NeedsHuman):
            return {}
        return {(one.index, one.path): (str(one.current), is_there(one, decision.goal)) for one in found}

    for file in decision.files:
        now = texts(source.commit, file)
        gone = {at for at, (_, there) in texts(own[taken].id, file).items() if there and at in now and not now[at][1]}
        if gone and taken:
            left = texts(own[0].id, file)
            gone = {at for at in gone if left.get(at) != now[at]}
            older = [parent for one in own[taken : taken + EARLIER] for parent in one.parents[:1] if gone]
            earlier = [texts(parent, file) for parent in older]
            gone = {at for at in gone if any(before.get(at) == now[at] for before in earlier)}
        if gone:
            return True
    return False


def made_by(history: Sequence[CommitInfo], policy: Key) -> list[CommitInfo]:
    """The commits that this policy made, newest first."""
    mark = f"{policy} "
    return [one for one in history if any(move.startswith(mark) for move in moves(one))]


def moves(commit: CommitInfo) -> set[str]:
    """What a commit of ours moved: ``<policy> <what it wrote>``."""
    if f"{MOVES}: " not in commit.message:
        return set()
    return {value for key, value in trailers_of(commit.message) if key == MOVES}


def with_mend(error: WindlassError) -> str:
    """An error as a policy's status tells it."""
    return f"{error}; mend: {error.hint}" if error.hint else str(error)


def image_name(spec: ImagePolicySpec) -> str:
    """The image, or the chart, as people call it."""
    return spec.image or (f"{spec.chart.repository}/{spec.chart.name}" if spec.chart is not None else "")


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
