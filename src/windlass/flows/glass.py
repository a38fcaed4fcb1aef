"""BREAK-GLASS: a person pins an Application in the cluster while Git is away, and Git is told as soon as it is back.

The word is an annotation on the Application (``core/kinds/glass``), which a parent Application neither applies nor puts
back; the spec stays Git's. ``judge`` is a worker's step: it refuses what can't be done, lets ``state.written`` say the
commit while the pin holds, has it committed into the Application's own file, and ends it: at its time, when the spec
says another commit than it did (the record has arrived, or a newer word has), or when it is taken away. It can be
killed anywhere: what holds stands in the annotation and the status, each event has an id of its own, and a commit that
is there already is not made twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
import structlog

from windlass.adapters.git.store import Store, on_git_thread
from windlass.core.edits.intents import pin_by_glass
from windlass.core.kinds.application_status import BreakGlassStatus
from windlass.core.kinds.deploy import GLASS, GUARD
from windlass.core.kinds.fields import moment
from windlass.core.kinds.glass import Glass, GlassRefused, is_guarded, mark, pinned, read_glass
from windlass.core.kinds.reasons import Reason
from windlass.core.model import ObjectRef, Resource, events
from windlass.core.words.plain import plain
from windlass.errors import NeedsHuman, TryLater, WindlassError
from windlass.flows.commits import Commits
from windlass.flows.fleet import ApplicationState, Fleet, Key, SourceState
from windlass.flows.queue import WorkQueue
from windlass.flows.record import Recorder, team_of
from windlass.flows.report import APPLICATIONS, MANAGER, Reporter
from windlass.flows.write import Written
from windlass.ports import Clock, Cluster, ObjectMissing

log = structlog.get_logger("windlass")
GROUP = "admissionregistration.k8s.io"
KINDS = (
    ("validatingadmissionpolicies", "ValidatingAdmissionPolicy"),
    ("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
)
PATCH = f"/metadata/annotations/{GLASS.replace('/', '~1')}"
SOON = 1.0
"""Seconds until it is looked again for what a start has yet to find: a mirror, the file of an Application."""
LONGEST = 3600.0


class GlassFlow:
    """``wake`` hears of an Application that is to be synced anew."""

    def __init__(
        self,
        fleet: Fleet,
        cluster: Cluster,
        commits: Commits,
        reporter: Reporter,
        record: Recorder,
        clock: Clock,
        *,
        wake: Callable[[Key], None],
    ) -> None:
        self._fleet = fleet
        self._cluster = cluster
        self._commits = commits
        self._reporter = reporter
        self._record = record
        self._clock = clock
        self._wake = wake
        self._tried: dict[Key, tuple[str, int, str, bool]] = {}
        self.queue: WorkQueue[Key] = WorkQueue(base=1.0, cap=30.0)

    def wake(self, key: Key) -> None:
        """Something that people wrote of an Application is new."""
        state = self._fleet.applications.get(key)
        if state is not None and (state.glass_asked or state.glass_holds):
            self.queue.add(key)
        self._wake(key)

    def source_changed(self, source: SourceState) -> None:
        """A Repository was looked at: a pin may be judged or committed now that could not be before."""
        for state in self._fleet.applications.values():
            if state.glass_asked:
                self.queue.add(state.key)
                if source.error is None:
                    self._commits.hurry(source.key)

    def gone(self, state: ApplicationState) -> None:
        """The Application is no more, and its pin with it."""
        self.queue.drop(state.key)
        self._tried.pop(state.key, None)
        if state.glass is not None:
            self._withdraw(state, state.glass)

    async def judge(self, key: Key) -> None:
        """A worker's step: what is asked for an Application now, and what has become of it."""
        state = self._fleet.applications.get(key)
        if state is None or state.said is None:
            return
        asked, held = state.glass_asked, state.glass
        holds = held is not None and held.result == "holds"
        try:
            if held is not None and holds and (not asked or held.request == mark(asked)):
                await self._stand(state, held, asked)
            elif asked and held is not None and held.request == mark(asked):
                await self._take_away(state, asked)  # judged before; only the annotation was left
            elif asked:
                await self._begin(state, asked)
        except TryLater as error:
            self.queue.retry(key, at_least=error.after)
        else:
            self.queue.forget(key)

    # --- what is asked -----------------------------------------------------------------------------------------------

    async def _begin(self, state: ApplicationState, asked: str) -> None:
        try:
            glass = read_glass(asked, self._clock.now())
        except GlassRefused as error:
            await self._refuse(state, asked, Glass("", "", "", "", "", ""), error)
            return
        try:
            commit = await self._admitted(state, glass)
        except NeedsHuman as error:
            await self._refuse(state, asked, glass, error)
            return
        if state.glass_asked != asked:
            self.queue.add(state.key)
            return
        before = state.glass
        if before is not None and before.result == "holds":
            self._withdraw(state, before)
            self._tell(state, before, "replaced")
        held = BreakGlassStatus("holds", commit, glass.by, glass.reason, glass.until, glass.was, request=mark(asked))
        ran = state.applied_commit
        self._settle(state, held)
        log.warning("break-glass", application=state.name, commit=commit, by=glass.by, until=glass.until)
        text = (
            f'{commit[:7]} is pinned in the cluster until {glass.until} by {plain(glass.by)}: "{plain(glass.reason)}"'
        )
        self._reporter.event(state, Reason.BREAK_GLASS.value, text, warning=True)
        self._tell(state, held, "pinned", was=ran, severe=True)
        await self._stand(state, held, asked)

    async def _admitted(self, state: ApplicationState, glass: Glass) -> str:
        """The whole commit id. Raises NeedsHuman where it is not to be pinned, TryLater where that is not known."""
        policy, binding = [
            await self._cluster.read(Resource(GROUP, "v1", plural, kind, False), ObjectRef(GROUP, kind, "", GUARD))
            for plural, kind in KINDS
        ]
        if not is_guarded(policy, binding):
            raise GlassRefused(
                "who may break the glass is not guarded in this cluster: the annotation is not believed",
                hint="install the admission policy windlass-break-glass: `windlass install --export` prints it",
            )
        assert state.said is not None
        spec, now = state.said.spec, self._clock.now()
        if spec.source.at != glass.was:
            raise GlassRefused("spec.source.at says another commit since it was asked for", hint="look, and ask again")
        if spec.suspend is not None and spec.suspend.active(now):
            raise GlassRefused(
                f"it is suspended until {spec.suspend.until}: nothing is applied, and nothing is put back",
                hint="change what has to be changed with kubectl: it stays until then",
            )
        source = self._fleet.source_of(state)
        if source is None:
            raise GlassRefused(
                f"there is no Repository {spec.source.repository} in its namespace", hint="mend source.repository"
            )
        if not source.folder or not source.commit:
            if source.error is None and source.invalid is None:
                raise TryLater("the Repository has not been looked at yet", after=SOON)
            why = source.error.what if source.error is not None else "its spec is wrong"
            raise GlassRefused(
                f"this controller has no copy of Repository {source.key.name} on its disk, and can't fetch one: {why}",
                hint="mend the way to Git; what runs keeps running on. A volume that outlasts the Pod keeps the copy",
            )
        folder, tip = source.folder, source.commit
        found = await on_git_thread(_commit_of, folder, glass.commit, tip)
        if not found:
            raise GlassRefused(
                f"{glass.commit[:12]} is no commit that the controller has and that {tip[:7]} comes from",
                hint=f"one that ran: windlass log {state.name}; git log {tip[:7]} in a clone lists the others",
            )
        return found

    async def _refuse(self, state: ApplicationState, asked: str, glass: Glass, error: NeedsHuman) -> None:
        before = state.glass
        if before is not None and before.result == "holds":
            # A second word that is none takes nothing of the first away but its text: what it said has gone with it.
            self._end(state, before, "replaced")
        words = [plain(one)[:200] for one in (glass.by, glass.reason)]
        told = f"{error.what}; mend: {error.hint}" if error.hint else error.what
        refused = BreakGlassStatus(
            result="refused",
            commit=glass.commit,
            by=words[0],
            reason=words[1],
            until=glass.until,
            was=glass.was,
            message=told[:1000],
            request=mark(asked),
        )
        self._settle(state, refused)
        log.warning("break-glass refused", application=state.name, by=words[0], error=error.what)
        self._reporter.event(state, Reason.BREAK_GLASS_REFUSED.value, told, warning=True)
        self._tell(state, refused, "refused", why=error.what, severe=True)
        await self._take_away(state, asked)

    # --- while it holds ----------------------------------------------------------------------------------------------

    async def _stand(self, state: ApplicationState, held: BreakGlassStatus, asked: str) -> None:
        assert state.said is not None
        at, left = state.said.spec.source.at, (moment(held.until) - self._clock.now()).total_seconds()
        how = ""
        if not asked:
            how = "let go"
        elif at != held.was:
            how = "Git says the same" if at == held.commit else "Git says something newer"
        elif left <= 0:
            how = "expired"
        if how:
            self._end(state, held, how)
            await self._take_away(state, asked)
            return
        self.queue.add_after(state.key, min(left + 0.05, LONGEST))
        self._record_in_git(state, held)

    def _record_in_git(self, state: ApplicationState, held: BreakGlassStatus) -> None:
        """Hands the commit in, once for each state of its Repository; says loudly that somebody must where it can't."""
        if held.committed:
            return
        home = self._commits.home(state)
        if home is None and any(not one.decided for one in self._fleet.applications.values()):
            self.queue.add_after(state.key, SOON)  # right after a start: which file is whose is not known yet
            return
        source = self._fleet.sources.get(home[0]) if home is not None else None
        mark_ = (
            held.request,
            *((source.generation, source.commit, source.error is None) if source else (0, "", False)),
        )
        if self._tried.get(state.key) == mark_:
            return
        self._tried[state.key] = mark_
        if home is None:
            self._unrecorded(state, held, "the Application is in no file in Git")
        elif not self._commits.may_write(home[0]):
            self._unrecorded(state, held, f"Repository {home[0]} has no credentials for writing")
        elif not self._commits.waits(home[0], _identity(state, held)):
            intent = pin_by_glass(
                home[1],
                held.commit,
                identity=_identity(state, held),
                reason=held.reason,
                was=held.was,
                by=held.by,
                until=held.until,
            )
            self._commits.want(home[0], intent, lambda done: self._done(state, held, done))

    def _done(self, state: ApplicationState, held: BreakGlassStatus, done: Written) -> None:
        now = state.glass
        if now is None or now.request != held.request or now.result != "holds":
            return
        if done.error is not None:
            self._unrecorded(
                state, now, f"{done.error}; mend: {done.error.hint}" if done.error.hint else str(done.error)
            )
        elif done.result == "unchanged":
            self._say(state, now, "its file in Git names a commit already, which rules from its next apply")
        else:
            text = f"{done.commit[:7]} says in Git that {now.commit[:7]} is pinned ({', '.join(done.files)})"
            self._reporter.event(state, Reason.BREAK_GLASS.value, text)
            made = msgspec.structs.replace(now, committed=done.commit, message="")
            self._tell(state, made, "committed", revision=done.commit)
            self._settle(state, made)

    def _unrecorded(self, state: ApplicationState, held: BreakGlassStatus, why: str) -> None:
        told = f"somebody must commit it before {held.until}: {why}. windlass rollback {state.name} --to {held.commit}"
        if held.message == told[:1000]:
            return
        self._say(state, held, told)
        self._reporter.event(state, Reason.BREAK_GLASS_UNRECORDED.value, told, warning=True)
        self._tell(state, held, "unrecorded", why=why, severe=True)

    def _say(self, state: ApplicationState, held: BreakGlassStatus, text: str) -> None:
        state.glass = msgspec.structs.replace(held, message=text[:1000])
        self._reporter.changed(state)

    # --- its end -----------------------------------------------------------------------------------------------------

    def _end(self, state: ApplicationState, held: BreakGlassStatus, how: str) -> None:
        self._withdraw(state, held)
        self._tried.pop(state.key, None)
        self._settle(state, msgspec.structs.replace(held, result="ended", message=how))
        log.info("break-glass ended", application=state.name, commit=held.commit, how=how)
        text = f"the pin at {held.commit[:7]} in the cluster has ended: {how}"
        self._reporter.event(state, Reason.BREAK_GLASS_ENDED.value, text, warning=how == "expired")
        self._tell(state, held, how)

    def _withdraw(self, state: ApplicationState, held: BreakGlassStatus) -> None:
        self._commits.withdraw(_identity(state, held))

    def _settle(self, state: ApplicationState, held: BreakGlassStatus) -> None:
        state.glass = held
        if state.said is not None:
            state.written = pinned(state.said, held)
        self._reporter.changed(state)
        self._wake(state.key)

    async def _take_away(self, state: ApplicationState, asked: str) -> None:
        """The annotation, if it is still this one: a newer word is another's."""
        if not asked or state.glass_asked != asked:
            return
        patch = [{"op": "test", "path": PATCH, "value": asked}, {"op": "remove", "path": PATCH}]
        ref = ObjectRef(APPLICATIONS.group, APPLICATIONS.kind, *state.key)
        try:
            await self._cluster.patch(APPLICATIONS, ref, patch, form="json", manager=MANAGER)
        except ObjectMissing:
            return
        except TryLater:
            raise
        except WindlassError as error:
            log.info("break-glass annotation stays", application=state.name, error=error.what)

    def _tell(
        self,
        state: ApplicationState,
        held: BreakGlassStatus,
        what: str,
        *,
        was: str = "",
        revision: str = "",
        why: str = "",
        severe: bool = False,
    ) -> None:
        data = events.GlassBroken(
            what=what,
            commit=held.commit,
            was=was,
            until=held.until,
            reason=held.reason,
            revision=revision,
            why=why,
            actor=held.by,
            team=team_of(state),
        )
        self._record.tell(state.name, data, key=f"break-glass {state.uid} {held.request} {what} {why}", severe=severe)


def _commit_of(folder: str, word: str, tip: str) -> str:
    """The whole id of a commit that is here and that ``tip`` comes from; "" where there is none."""
    store = Store(folder)
    found = store.resolve(word)
    if found is None or not found.startswith(word):
        return ""
    return found if found == tip or store.repository.descendant_of(tip, found) else ""


def _identity(state: ApplicationState, held: BreakGlassStatus) -> str:
    return hashlib.sha256(f"break-glass {state.uid} {held.request}".encode()).hexdigest()[:32]
