"""IMAGES: registry -> select -> edit -> commit. Which image each policy wants, and what is done about it.

``ImageFlow.look`` is called for a policy at its interval, at once after a push hook, after a change of its spec and
after a commit that may have moved its image. What a registry does not answer changes nothing. What is decided goes to
``flows/image_commits``; nothing waits here for a commit.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from windlass.core.documents.globs import matches_any
from windlass.core.images import Goal, Place, Reference, Selection, Wanted, is_there
from windlass.core.kinds import conditions, image_policy
from windlass.core.kinds.fields import seconds
from windlass.core.kinds.image_policy import ImagePolicy, ImagePolicyStatus
from windlass.core.kinds.kind import GROUP, VERSION, read_status
from windlass.core.kinds.reasons import Reason
from windlass.core.model import ObjectRef, Resource
from windlass.errors import NeedsHuman, TryLater, Where, WindlassError
from windlass.flows.fleet import Fleet, Key, SourceState
from windlass.flows.image_commits import GATHER, ROUND, Decision, ImageCommits, Sighting, with_mend
from windlass.flows.image_search import Credentials, Found, ImageSearch, credentials_of, search, wanted_of
from windlass.flows.queue import WorkQueue
from windlass.flows.report import difference
from windlass.flows.secrets import Credential, SecretReader
from windlass.flows.waiting import RepositoryMissing, SourceNotReady
from windlass.ports import Clock, Cluster, ClusterUnavailable, ObjectMissing

log = structlog.get_logger("windlass")
POLICIES = Resource(GROUP, VERSION, "imagepolicies", image_policy.KIND, True)
MANAGER = "windlass-status"
JITTER = 0.1
LEAST = 5.0
LONGEST = 1024


@dataclass(slots=True)
class PolicyState:
    """One policy: what was written, what it came to, and what was last done about it. All of it can be lost."""

    key: Key
    written: ImagePolicy | None = None
    generation: int = 0
    invalid: WindlassError | None = None
    error: WindlassError | None = None
    request: str = ""
    news: Sighting | None = None  # a registry or a person says that there is news: nothing kept is fresh enough
    tags: frozenset[str] | None = None  # what was offered at the last look
    sightings: dict[str, Sighting] = field(default_factory=dict)  # of tags that are new since, and of what they become
    found: Found | None = None
    found_for: tuple[str, int] = ("", 0)
    tag: str = ""
    digest: str = ""
    why: str = ""
    named: dict[str, str] = field(default_factory=dict)  # the last digests that were chosen, and their tags
    commit: str = ""
    contested: str = ""  # why something is not written: another policy claims the same places
    refused: str = ""  # why what is wanted is not written: it was reverted, it is outside the fence
    lifted: dict[str, int] = field(default_factory=dict)  # tags that a person let go of, and the generation then
    status: ImagePolicyStatus | None = None


class ImageFlow:
    """``commits`` takes what is decided. ``queue`` is served by workers of ``automator``."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        secrets: SecretReader,
        finder: ImageSearch,
        clock: Clock,
        queue: WorkQueue[Key],
        commits: ImageCommits,
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._secrets = secrets
        self._finder = finder
        self._clock = clock
        self._queue = queue
        self._commits = commits
        self.policies: dict[Key, PolicyState] = {}
        self._round: dict[Key, set[Key]] = {}
        """Of each Repository the policies that were told of a push and have not looked yet: what they decide is one
        commit."""

    # --- what people wrote ------------------------------------------------------------------------------------------

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """A step of the watch on policies."""
        metadata = content["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        if kind == "DELETED":
            self.policies.pop(key, None)
            self._looked(key)
            self._queue.drop(key)
            return
        state = self.policies.get(key)
        if state is None:
            state = self.policies[key] = PolicyState(key)
            state.status = read_status(content, ImagePolicyStatus)
            state.commit = state.status.commit
        request = (metadata.get("annotations") or {}).get(REQUEST, "")
        generation = metadata.get("generation", 0)
        if generation == state.generation and request == state.request:
            return
        if request != state.request and state.generation > 0:
            state.news = state.news or Sighting(self._clock.now(), "request")
        state.generation, state.request = generation, request
        before = state.written
        try:
            state.written, state.invalid = image_policy.decode(content), None
        except NeedsHuman as error:
            state.invalid = error.at(Where(field=f"ImagePolicy {key}"))
            log.warning("bad spec", policy=str(key), error=str(error))
        if before is not None and state.written is not None:
            now = {one.tag for one in state.written.spec.hold}
            # Who takes a hold out means that the tag is good again.
            state.lifted |= {one.tag: generation for one in before.spec.hold if one.tag not in now}
            state.lifted = {tag: number for tag, number in state.lifted.items() if tag not in now}
        self._queue.add(key)

    def moved(self, source: SourceState) -> None:
        """A Repository came to another commit: its policies look whether their images stand elsewhere now."""
        for key, state in self.policies.items():
            if state.written is not None and self._repository(state.written) == source.key:
                self._queue.add(key)

    def pushed(self, key: Key, names: Sequence[str]) -> int:
        """A registry told, with a policy's token, of pushes to these repositories. That policy looks now, and whoever
        has the same token's Secret and one of the images. Returns how many look."""
        first = self.policies.get(key)
        if first is None or first.written is None:
            return 0
        hook = first.written.spec.hook
        told = [
            state
            for state in self.policies.values()
            if state.key.namespace == key.namespace
            and state.written is not None
            and state.written.spec.hook == hook
            and self._is_named(state.written, names)
        ]
        for state in told or [first]:
            state.news = state.news or Sighting(self._clock.now(), "push hook")
            if state.written is not None:
                self._round.setdefault(self._repository(state.written), set()).add(state.key)
            self._queue.add(state.key)
        return len(told) or 1

    def _is_named(self, written: ImagePolicy, names: Sequence[str]) -> bool:
        try:
            wanted = wanted_of(written)
        except NeedsHuman:
            return False
        return (wanted.image[1] or wanted.chart[1]) in names

    # --- a look -------------------------------------------------------------------------------------------------------

    async def look(self, key: Key) -> None:
        """One look for one policy. Raises nothing of the two families: they become its status."""
        state = self.policies.get(key)
        if state is None:
            return
        written = state.written
        if written is not None and state.invalid is None:
            interval = seconds(written.spec.interval)
            try:
                await self._look(state, written, interval)
            except WindlassError as error:
                if state.error is None or state.error.what != error.what:
                    log.warning("image policy", policy=str(key), error=str(error))
                state.error = error
                if isinstance(error, TryLater):
                    self._queue.retry(key, cap=max(30.0, interval), at_least=error.after)
                else:
                    self._queue.add_after(key, max(interval, LEAST))
            else:
                state.error = None
                self._queue.forget(key)
                self._queue.add_after(key, interval * (1.0 + JITTER * random.random()))  # noqa: S311 - spreads load
        self._looked(key)
        await self.report(state)

    def _looked(self, key: Key) -> None:
        """A policy is through; where it was the last one of a round, what was decided is committed."""
        for repository, waiting in list(self._round.items()):
            if key in waiting:
                waiting.discard(key)
                if not waiting:
                    del self._round[repository]
                    self._commits.round_over(repository)

    async def _look(self, state: PolicyState, written: ImagePolicy, interval: float) -> None:
        spec = written.spec
        credentials = await self._credentials(state, written)
        source = self._fleet.sources.get(self._repository(written))
        if source is None or source.written is None:
            raise RepositoryMissing(written.spec.update.repository, written.metadata.namespace)
        if not source.commit or not source.folder:
            raise SourceNotReady(source.error)
        news, state.news = state.news, None
        fresh = 0.0 if news is not None else interval * 0.9
        try:
            tags = await self._finder.tags(spec, credentials.pull, fresh=fresh)
        except WindlassError:
            state.news = news or state.news
            raise
        look = news or Sighting(self._clock.now(), "poll" if state.tags is not None else "start")
        _sight(state, tags, look)
        found = await self._places(state, written, source)
        choices: dict[str, Selection] = {}
        if not state.named and state.status is not None and state.status.digest:
            state.named[state.status.digest] = state.status.tag
        currents = sorted({_tag_of(place, state) for places in found.places.values() for place in places})
        for current in currents or [""]:
            choices[current] = await self._finder.choose(
                spec, tags, credentials, self._clock.now(), current=current, fresh=fresh
            )
        best = next((one for one in choices.values() if one.tag), choices[currents[-1] if currents else ""])
        state.tag, state.digest, state.why = best.tag or (currents[-1] if currents else ""), best.digest, best.why
        if best.tag and best.digest:
            state.named = dict([*state.named.items(), (best.digest, best.tag)][-MOST_NAMED:])
        elif not best.tag:
            state.digest = next((digest for digest, tag in state.named.items() if tag == state.tag), "")
        by_place = {place.current: choices[_tag_of(place, state)] for one in found.places.values() for place in one}
        decision = await self._decision(state, written, found, by_place, credentials, look)
        if decision is None:
            if not state.contested:
                state.refused = ""
            return

        def note(commit: str, refused: str) -> None:
            if commit:
                state.commit = commit
                state.sightings.pop(decision.goal.tag, None)
                state.lifted.pop(decision.goal.tag, None)
            refused = refused or state.contested
            if refused != state.refused:
                state.refused = refused
                self._queue.add(state.key)

        gather = ROUND if source.key in self._round else GATHER
        lifted = decision.goal.tag in state.lifted
        await self._commits.decide(written, source, decision, lifted, note, gather=gather)

    async def _decision(
        self,
        state: PolicyState,
        written: ImagePolicy,
        found: Found,
        choices: dict[Reference, Selection],
        credentials: Credentials,
        look: Sighting,
    ) -> Decision | None:
        """The places that are to move, all to one tag; None where all is so. In files that are contested only what is
        marked moves, and the state says why the rest does not."""
        spec, wanted, state.contested = written.spec, wanted_of(written), ""
        contested: dict[str, Key] | None = None
        moving: dict[str, list[Place]] = {}
        chosen: Selection | None = None
        for file, places in found.places.items():
            for place in places:
                choice = choices[place.current]
                goal = Goal(wanted=wanted, tag=choice.tag, digest=choice.digest, pin=spec.pin)
                # Of tags that are equal each place keeps its style: the other style comes with the next look.
                if not choice.tag or is_there(place, goal):
                    continue
                contested = self._contested(state, written, found) if contested is None else contested
                if file in contested and not place.marked:
                    state.refused = state.contested = (
                        f"{file} is also in the paths of ImagePolicy {contested[file]}, of the same image; mend: "
                        f"mark the value (# windlass: {state.key.name}), or name other folders in one's update.paths"
                    )
                elif chosen is None or choice.tag == chosen.tag:
                    moving.setdefault(file, []).append(place)
                    chosen = choice
        if chosen is None:
            return None
        facts = await self._finder.facts(spec, chosen.digest or chosen.tag, credentials.pull)
        standing = [place.current for places in moving.values() for place in places]
        # What a branch of its own says meanwhile is not what the followed one says: there any place is moved.
        seen = frozenset() if spec.update.branch else frozenset(map(str, standing))
        digest = chosen.digest or (facts.digest if facts is not None else "")
        # A tag that moved is news when its digest is: what was told of the tag before is of another image.
        first = state.sightings.get(chosen.tag) or state.sightings.setdefault(f"{chosen.tag}@{digest}", look)
        return Decision(
            policy=state.key,
            goal=Goal(wanted=wanted, tag=chosen.tag, digest=digest, pin=spec.pin, seen=seen),
            files=tuple(moving),
            was=tuple(sorted({current.tag for current in standing})),
            why=chosen.why,
            about=dict(facts.labels) if facts is not None else {},
            seen=first,
            decided=self._clock.now(),
            built=facts.created if facts is not None else None,
            contested=frozenset(contested or ()),
        )

    def _contested(self, state: PolicyState, written: ImagePolicy, found: Found) -> dict[str, Key]:
        """Files in which another policy would move the same image where no mark stands: two that want different tags
        would undo each other's commits for ever, so neither has a say there."""
        own, update, files = wanted_of(written), written.spec.update, found.places
        rivals: dict[str, Key] = {}
        for other in self.policies.values():
            if other is state or other.written is None or other.invalid is not None:
                continue
            spec = other.written.spec
            if self._repository(other.written) != self._repository(written) or spec.update.branch != update.branch:
                continue
            if _wants(other.written, own):
                rooted = ["/" + path.lstrip("/") for path in spec.update.paths]
                rivals |= dict.fromkeys((file for file in files if matches_any(rooted, file)), other.key)
        return rivals

    async def _places(self, state: PolicyState, written: ImagePolicy, source: SourceState) -> Found:
        """Where the image stands at the Repository's commit; looked for once a commit and spec."""
        mark = (source.commit, state.generation)
        if state.found is None or state.found_for != mark:
            paths = written.spec.update.paths
            state.found = await search(source.folder, source.commit, paths, wanted_of(written))
            state.found_for = mark
        return state.found

    async def _credentials(self, state: PolicyState, written: ImagePolicy) -> Credentials:
        fresh = state.error is not None

        async def read(kind: str, name: str) -> Credential:
            return await self._secrets.read(written.metadata.namespace, name, fresh=fresh, kind=kind)

        return await credentials_of(written.spec, read)

    def _repository(self, written: ImagePolicy) -> Key:
        """Always in the policy's own namespace."""
        return Key(written.metadata.namespace, written.spec.update.repository)

    # --- what is told -------------------------------------------------------------------------------------------------

    async def report(self, state: PolicyState) -> None:
        """The status, written where it says something else than before."""
        old = state.status or ImagePolicyStatus()
        new = self._status(state, old)
        if conditions.same(old, new):
            return
        state.status = new
        before = msgspec.to_builtins(old) if old != ImagePolicyStatus() else {}
        patch = {"status": difference(before, msgspec.to_builtins(new))}
        ref = ObjectRef(GROUP, image_policy.KIND, *state.key)
        try:
            await self._cluster.patch(POLICIES, ref, patch, form="merge", manager=MANAGER, subresource="status")
        except ObjectMissing:
            return  # it went away meanwhile
        except WindlassError as error:
            state.status = old
            log.warning("status not written", policy=str(state.key), error=error.what)
            if isinstance(error, ClusterUnavailable):
                self._queue.add_after(state.key, LEAST)

    def _status(self, state: PolicyState, old: ImagePolicyStatus) -> ImagePolicyStatus:
        now, generation = self._clock.now(), state.generation
        error = state.invalid or state.error
        count = state.found.count if state.found is not None else old.places
        if error is not None:
            set_ = conditions.reconciling if isinstance(error, TryLater) else conditions.stalled
            made = set_(old.conditions, error.reason, with_mend(error)[:LONGEST], now=now, generation=generation)
        elif state.refused:
            reason = Reason.IMAGE_NOT_TAKEN.value
            made = conditions.stalled(old.conditions, reason, state.refused[:LONGEST], now=now, generation=generation)
        elif state.found is not None and not state.found.count:
            text = (
                "the image stands in no file that spec.update.paths names; mend: name its folder there, or mark the "
                f"value (# windlass: {state.key.name}) where it is none that is found by itself"
            )
            made = conditions.stalled(old.conditions, Reason.IMAGE_NOWHERE.value, text, now=now, generation=generation)
        else:
            text = f"{state.tag or 'nothing'} is chosen" + (f", in {count} places" if count != 1 else ", in one place")
            made = conditions.ready(old.conditions, Reason.IMAGE_CHOSEN.value, text, now=now, generation=generation)
        return ImagePolicyStatus(
            tag=state.tag,
            digest=state.digest,
            commit=state.commit,
            places=count,
            message=state.why[:LONGEST],
            conditions=made,
            observed_generation=generation,
        )


def _tag_of(place: Place, state: PolicyState) -> str:
    """The tag that stands at a place; where only its digest does, the one that had it when it was chosen."""
    return place.current.tag or state.named.get(place.current.digest, "")


def _wants(written: ImagePolicy, wanted: Wanted) -> bool:
    """Whether a policy is of the same image or chart."""
    try:
        other = wanted_of(written)
    except NeedsHuman:
        return False
    return (other.image, other.chart) == (wanted.image, wanted.chart)


def _sight(state: PolicyState, tags: Sequence[str], look: Sighting) -> None:
    """Notes of each tag that was not there at the last look when and how it was seen: a signature may come later, and
    what is taken then was pushed before."""
    here = frozenset(tags)
    if state.tags is not None and here != state.tags:
        state.sightings |= dict.fromkeys(here - state.tags, look)
    for old in list(state.sightings)[:-MOST_SIGHTINGS]:
        del state.sightings[old]
    state.tags = here


MOST_SIGHTINGS = 200
MOST_NAMED = 10
REQUEST = "windlass.dev/image-requested"
"""The annotation by which a person asks for a look now."""
