"""What image policies decided, into Git: one commit a round and Repository, however many images it moves.

Decisions of a moment are gathered, because releases come in flocks. What a person reverted is not taken again: where
the policy's newest commit in the history moved to just this tag, and the files say something else now, somebody put it
back. Then the tag is held, by a commit to the policy's own file where that may be written, and told in its status.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from windlass.adapters.git import CommitInfo
from windlass.core.edits import AddItem, Intent, Target, apply
from windlass.core.images import Move
from windlass.core.kinds import image_policy
from windlass.core.kinds.fields import stamp
from windlass.core.kinds.kind import GROUP
from windlass.core.model.events import ImageMoved
from windlass.core.words.commits import trailers_of
from windlass.errors import NeedsHuman, TryLater, Where, WindlassError
from windlass.flows.fleet import Fleet, Key
from windlass.flows.images import Decision, PolicyState
from windlass.flows.queue import WorkQueue
from windlass.flows.record import Recorder
from windlass.flows.upstreams import Upstreams
from windlass.flows.write import Writer, Written
from windlass.ports import Clock

log = structlog.get_logger("windlass")
GATHER = 0.05
"""Seconds for which decisions are gathered before they are written."""
HELD_FOR = timedelta(days=30)
MOVES = "Moves"
_ORIGIN = re.compile(r"(?P<repository>[^@:]+)@(?P<commit>[0-9a-f]{40,64}):(?P<file>.+)")
_REVISION = "org.opencontainers.image.revision"
_SOURCE = "org.opencontainers.image.source"


class Rounds:
    """``queue`` holds a key for each Repository and branch; ``told`` hears of what became of a policy's decision."""

    def __init__(
        self,
        fleet: Fleet,
        upstreams: Upstreams,
        clock: Clock,
        record: Recorder,
        *,
        policy: Callable[[Key], PolicyState | None],
        told: Callable[[Key], None],
        ask: Callable[[Key], None],
    ) -> None:
        self._fleet = fleet
        self._upstreams = upstreams
        self._clock = clock
        self._record = record
        self._policy = policy
        self._told = told
        self._ask = ask
        self._waiting: dict[Key, dict[Key, Decision]] = {}
        self.queue: WorkQueue[Key] = WorkQueue(base=1.0, cap=60.0)
        self.commits = 0

    def add(self, decision: Decision) -> None:
        """Takes a decision in; a newer one of the same policy replaces it."""
        key = Key(decision.repository.namespace, f"{decision.repository.name}/{decision.branch}")
        self._waiting.setdefault(key, {})[decision.policy] = decision
        self.queue.add_after(key, GATHER)

    async def write(self, key: Key) -> None:
        """One round. What can't be written now is looked at again by its policy, later."""
        decisions = list(self._waiting.pop(key, {}).values())
        if not decisions:
            return
        source = self._fleet.sources.get(decisions[0].repository)
        if source is None or source.written is None:
            return
        try:
            writer = await self._upstreams.writer(source.written, branch=decisions[0].branch)
            await self._round(writer, decisions)
        except WindlassError as error:
            for decision in decisions:
                self._note(decision.policy, "" if isinstance(error, TryLater) else str(error), error)
            if isinstance(error, TryLater):
                # It is decided anew: the tag may have moved on by then.
                for decision in decisions:
                    self._told(decision.policy)
            raise
        self._ask(source.key)

    async def _round(self, writer: Writer, decisions: Sequence[Decision]) -> None:
        tip = await writer.tip()
        history = await writer.history(tip)
        files = await writer.files(tip)
        moving: dict[str, Decision] = {}
        intents: list[Intent] = []
        for decision in decisions:
            last = newest(history, decision.policy)
            intent = intent_of(decision, last.id if last is not None else "")
            reverted = last is not None and f"{decision.policy} {goal_text(decision)}" in moves(last)
            if not reverted or self._is_lifted(decision):
                moving[intent.id] = decision
                intents.append(intent)
            elif last is not None and apply(intent, files):
                await self._hold(decision, last)
        for written in await writer.write(intents) if intents else []:
            self._settle(moving[written.intent.id], written)

    def _settle(self, decision: Decision, written: Written) -> None:
        if written.result == "refused":
            assert written.error is not None
            self._note(decision.policy, str(written.error), written.error)
            return
        state = self._policy(decision.policy)
        if state is not None and written.result != "unchanged":
            state.commit, state.refused = written.commit, ""
            state.lifted.pop(decision.tag, None)
        if written.result == "written":
            self.commits += 1
            log.info("image", policy=str(decision.policy), tag=decision.tag, was=decision.was, commit=written.commit)
            self._tell(decision, "taken", commit=written.commit, files=list(written.files))
        self._told(decision.policy)

    def _is_lifted(self, decision: Decision) -> bool:
        state = self._policy(decision.policy)
        return state is not None and decision.tag in state.lifted

    def _note(self, key: Key, refused: str, error: WindlassError) -> None:
        state = self._policy(key)
        if state is not None and refused:
            state.refused = refused
            log.warning("image not written", policy=str(key), error=error.what)
            self._told(key)

    # --- holds --------------------------------------------------------------------------------------------------------

    async def _hold(self, decision: Decision, last: CommitInfo) -> None:
        """Holds a tag that a person reverted, in Git where that may be."""
        state = self._policy(decision.policy)
        if state is None or state.written is None:
            return
        why = f"{decision.tag} was taken by {last.id[:7]} and reverted since: it is not taken again"
        if state.refused.startswith(why):
            return
        try:
            commit = await self._write_hold(decision, last, state)
        except WindlassError as error:
            mend = f"hold it in the policy: hold: [{{tag: {decision.tag}}}]"
            state.refused = f"{why} ({error.what}; {mend})"
        else:
            state.refused, state.commit = why, commit
            self._tell(decision, "held", commit=commit, files=[])
        log.info("image held", policy=str(decision.policy), tag=decision.tag, reverted=last.id)
        self._told(decision.policy)

    async def _write_hold(self, decision: Decision, last: CommitInfo, state: PolicyState) -> str:
        """Raises NeedsHuman where the policy has no file that may be written."""
        assert state.written is not None
        origin = _ORIGIN.fullmatch(state.written.metadata.annotations.get("windlass.dev/origin", ""))
        home = self._fleet.sources.get(Key(decision.policy.namespace, origin["repository"])) if origin else None
        if origin is None or home is None or home.written is None:
            raise NeedsHuman("the policy's own file is not known", where=Where(field=f"ImagePolicy {decision.policy}"))
        value = {
            "tag": decision.tag,
            "reason": f"{last.id[:7]} was reverted",
            "by": "windlass",
            "until": stamp(self._clock.now() + HELD_FOR),
        }
        target = Target(GROUP, image_policy.KIND, *decision.policy)
        intent = Intent(
            id=_id("hold", str(decision.policy), decision.tag, last.id),
            verb="hold",
            about=str(decision.policy),
            summary=f"Hold {decision.tag} of {decision.policy}",
            reason=f"{last.id[:7]} took it, and somebody put it back.",
            steps=(AddItem(file=origin["file"], target=target, path=("spec", "hold"), value=value, same=("tag",)),),
        )
        writer = await self._upstreams.writer(home.written)
        written = (await writer.write([intent], once=True))[0]
        if written.error is not None:
            raise written.error
        return written.commit

    def _tell(self, decision: Decision, result: str, *, commit: str, files: list[str]) -> None:
        state = self._policy(decision.policy)
        spec = state.written.spec if state is not None and state.written is not None else None
        data = ImageMoved(
            policy=str(decision.policy),
            image=image_name(spec) if spec is not None else "",
            tag=decision.tag,
            result=result,
            digest=decision.digest,
            was=list(decision.was),
            commit=commit,
            files=files[:50],
            repository=str(decision.repository),
            revision=decision.about.get(_REVISION, "")[:100],
            link=decision.about.get(_SOURCE, "")[:200],
            verified=spec is not None and spec.verify is not None,
            why=decision.why,
        )
        self._record.tell(str(decision.policy), data, key=f"image {result} {decision.tag} {commit}")


def intent_of(decision: Decision, last: str) -> Intent:
    """The intent of a decision. Its id is the same as long as the policy has not written anything since."""
    goal = next(iter(decision.goals.values()))
    was = ", ".join(decision.was)
    facts = [(MOVES, f"{decision.policy} {goal_text(decision)}"), ("Image-Digest", decision.digest)]
    facts += [("Image-Revision", decision.about.get(_REVISION, "")), ("Image-Source", decision.about.get(_SOURCE, ""))]
    name = goal.wanted.chart[1] or goal.wanted.image[1]
    return Intent(
        id=_id("image", str(decision.policy), *sorted(goal.seen), goal_text(decision), last),
        verb="image",
        about=str(decision.policy),
        summary=f"Take {name} {decision.tag}" + (f" (was {was})" if was and was != decision.tag else ""),
        reason=decision.why,
        facts=tuple((key, value[:200]) for key, value in facts),
        steps=tuple(Move(file=file, goals=(goal,)) for file, goal in sorted(decision.goals.items())),
    )


def goal_text(decision: Decision) -> str:
    """What the files are to say: ``1.4.2``, or ``1.4.2@sha256:...`` where the digest is written too."""
    goal = next(iter(decision.goals.values()))
    return f"{decision.tag}@{decision.digest}" if goal.pin != "tag" else decision.tag


def newest(history: Sequence[CommitInfo], policy: Key) -> CommitInfo | None:
    """The newest commit that this policy made."""
    mark = f"{policy} "
    return next((one for one in history if any(move.startswith(mark) for move in moves(one))), None)


def moves(commit: CommitInfo) -> set[str]:
    """What a commit of ours moved: ``<policy> <what it wrote>``."""
    if f"{MOVES}: " not in commit.message:
        return set()
    return {value for key, value in trailers_of(commit.message) if key == MOVES}


def image_name(spec: image_policy.ImagePolicySpec) -> str:
    """The image, or the chart, as people call it."""
    return spec.image or (f"{spec.chart.repository}/{spec.chart.name}" if spec.chart is not None else "")


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
