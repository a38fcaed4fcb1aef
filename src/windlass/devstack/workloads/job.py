"""The Job controller: Pods until enough have succeeded, or too many have failed.

Pods carry no tracking finalizer here: what has been counted stays in the status, by the Pods' uids that were seen. Pod
failure policies,
success policies and per-index back-off are not followed.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import ApiError, moment_of
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.owners import condition_of, is_going, is_true
from windlass.devstack.workloads.pods import is_active, is_ready, pod_of

Object = dict[str, Any]

_INDEX = "batch.kubernetes.io/job-completion-index"
_FAILURE_DELAYS = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
_LONGEST_DELAY = 600.0


def finished_at(job: Object) -> str:
    """When the Job came to its end; empty while it runs."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return str(condition["lastTransitionTime"])
    return ""


def _index_of(pod: Object) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(_INDEX, "")
    return int(text) if text.isdigit() else -1


def ranges(indexes: set[int]) -> str:
    """Indexes as the status shows them: ``0-2,5``."""
    parts: list[str] = []
    ordered = sorted(indexes)
    start = 0
    while start < len(ordered):
        end = start
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        parts.append(str(ordered[start]) if start == end else f"{ordered[start]}-{ordered[end]}")
        start = end + 1
    return ",".join(parts)


class Jobs(Controller):
    """See the module."""

    name = "job"
    kind = "Job"
    resource = api.JOBS
    children = (api.PODS,)
    component = "job-controller"

    def __init__(self, cluster: Any) -> None:
        super().__init__(cluster)
        self._counted: dict[str, dict[str, set[str]]] = {}

    @override
    async def reconcile(self, key: Key) -> float | None:
        job = self.view.get(self.resource, *key)
        if job is None:
            return None
        uid = job["metadata"]["uid"]
        ended = finished_at(job)
        if is_going(job):
            self._counted.pop(uid, None)
            return None
        if ended:
            self._counted.pop(uid, None)
            return await self._expire(job, ended)
        pods = self.view.owned(uid, api.PODS)
        status = self._count(job, pods)
        spec, now = job["spec"], self.cluster.clock.now()
        if spec.get("suspend"):
            await self._suspend(job, pods, status)
            return None
        if not status.get("startTime"):
            status["startTime"] = self.cluster.stamp()
        if is_true(job, "Suspended"):
            status["startTime"] = self.cluster.stamp()
            self._condition(status, "Suspended", "False", "JobResumed", "Job resumed")
            self.event(job, "Resumed", "Job resumed")
        outcome = self._outcome(job, status, now)
        if outcome:
            return await self._finish(job, pods, status, *outcome)
        again = await self._fill(job, pods, status)
        await self.cluster.write_status(self.resource, job, status)
        deadline = spec.get("activeDeadlineSeconds")
        if deadline is not None:
            left = deadline - (now - moment_of(status["startTime"])).total_seconds()
            again = left if again is None else min(again, left)
        return None if again is None else max(0.05, again)

    def _count(self, job: Object, pods: list[Object]) -> Object:
        """The status with every ended Pod counted once."""
        before = dict(job.get("status") or {})
        uid = job["metadata"]["uid"]
        counted = self._counted.get(uid)
        if counted is None:
            # After a restart: as many of the ended Pods as the status has counted are taken as counted.
            counted = {"Succeeded": set(), "Failed": set()}
            for phase, field in (("Succeeded", "succeeded"), ("Failed", "failed")):
                ended = sorted(
                    pod["metadata"]["uid"] for pod in pods if (pod.get("status") or {}).get("phase") == phase
                )
                counted[phase].update(ended[: before.get(field, 0)])
            self._counted[uid] = counted
        status = {name: value for name, value in before.items() if name not in ("active", "ready", "terminating")}
        indexed = job["spec"].get("completionMode") == "Indexed"
        for phase, field in (("Succeeded", "succeeded"), ("Failed", "failed")):
            found = {pod["metadata"]["uid"] for pod in pods if (pod.get("status") or {}).get("phase") == phase}
            new = found - counted[phase]
            if phase == "Failed":
                going = {pod["metadata"]["uid"] for pod in pods if is_going(pod) and job["spec"].get("suspend")}
                new -= going
            if new:
                status[field] = status.get(field, 0) + len(new)
                counted[phase] |= new
        if indexed:
            done = {_index_of(pod) for pod in pods if (pod.get("status") or {}).get("phase") == "Succeeded"} - {-1}
            if done:
                status["completedIndexes"] = ranges(done)
                status["succeeded"] = len(done)
        active = [pod for pod in pods if is_active(pod)]
        if active:
            status["active"] = len(active)
        status["ready"] = sum(map(is_ready, active))
        status["terminating"] = sum(is_going(pod) for pod in pods)
        status["uncountedTerminatedPods"] = {}
        return status

    def _outcome(self, job: Object, status: Object, now: Any) -> tuple[str, str, str] | None:
        """Condition, reason and message of a Job that is at its end."""
        for target, end in (("FailureTarget", "Failed"), ("SuccessCriteriaMet", "Complete")):
            decided = condition_of(job, target)
            if decided and decided["status"] == "True":  # it only waits for its last Pods to go
                return end, decided["reason"], decided["message"]
        spec = job["spec"]
        deadline = spec.get("activeDeadlineSeconds")
        if status.get("failed", 0) > spec.get("backoffLimit", 6):
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        if deadline is not None and (now - moment_of(status["startTime"])).total_seconds() >= deadline:
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        if self._restarts_too_often(job):
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        succeeded, completions = status.get("succeeded", 0), spec.get("completions")
        if completions is None:
            done = succeeded > 0 and not status.get("active")
        else:
            done = succeeded >= completions
        if done:
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        return None

    def _restarts_too_often(self, job: Object) -> bool:
        """Pods that restart their containers themselves: their restarts count as failures."""
        if (job["spec"]["template"].get("spec") or {}).get("restartPolicy") != "OnFailure":
            return False
        restarts = sum(
            one.get("restartCount", 0)
            for pod in self.view.owned(job["metadata"]["uid"], api.PODS)
            if is_active(pod)
            for one in (pod.get("status") or {}).get("containerStatuses") or []
        )
        limit = job["spec"].get("backoffLimit", 6)
        return bool(restarts > 0 if limit == 0 else restarts >= limit)

    async def _fill(self, job: Object, pods: list[Object], status: Object) -> float | None:
        spec = job["spec"]
        active = [pod for pod in pods if is_active(pod)]
        completions, parallelism = spec.get("completions"), spec.get("parallelism", 1)
        wanted = parallelism if completions is None else min(parallelism, completions - status.get("succeeded", 0))
        if completions is None and status.get("succeeded", 0):
            wanted = len(active)
        if len(active) > wanted:
            for pod in active[wanted:]:
                await self.cluster.delete(api.PODS, pod)
                self.event(job, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
            return None
        if spec.get("podReplacementPolicy") == "Failed" and status.get("terminating"):
            wanted -= status["terminating"]
        if len(active) >= wanted:
            return None
        delay = self._delay_after_failure(pods, status)
        if delay > 0:
            return delay
        indexes = self._free_indexes(spec, pods) if spec.get("completionMode") == "Indexed" else []
        for number in range(wanted - len(active)):
            index = indexes[number] if number < len(indexes) else None
            if spec.get("completionMode") == "Indexed" and index is None:
                break
            await self._make(job, index)
        active = [pod for pod in self.view.owned(job["metadata"]["uid"], api.PODS) if is_active(pod)]
        status["active"] = len(active)
        return None

    def _delay_after_failure(self, pods: list[Object], status: Object) -> float:
        """Seconds to wait before the next Pod: the more failures there were, the longer."""
        failed = status.get("failed", 0)
        if not failed:
            return 0.0
        ends = [
            ended["finishedAt"]
            for pod in pods
            if (pod.get("status") or {}).get("phase") == "Failed"
            for one in pod["status"].get("containerStatuses") or []
            if (ended := (one.get("state") or {}).get("terminated")) and ended.get("finishedAt")
        ]
        if not ends:
            return 0.0
        wait = _FAILURE_DELAYS[failed] if failed < len(_FAILURE_DELAYS) else _LONGEST_DELAY
        passed = (self.cluster.clock.now() - moment_of(max(ends))).total_seconds()
        return float(wait - passed)

    @staticmethod
    def _free_indexes(spec: Object, pods: list[Object]) -> list[int]:
        taken = {
            _index_of(pod) for pod in pods if is_active(pod) or (pod.get("status") or {}).get("phase") == "Succeeded"
        }
        return [index for index in range(spec.get("completions") or 0) if index not in taken]

    async def _make(self, job: Object, index: int | None) -> None:
        pod = pod_of(job["spec"]["template"], job)
        if index is not None:
            metadata = pod["metadata"]
            metadata["generateName"] = f"{job['metadata']['name']}-{index}-"
            metadata["annotations"] = {**(metadata.get("annotations") or {}), _INDEX: str(index)}
            metadata["labels"] = {**(metadata.get("labels") or {}), _INDEX: str(index)}
            pod["spec"] = {**pod["spec"], "hostname": f"{job['metadata']['name']}-{index}"}
        try:
            made = await self.cluster.create(api.PODS, pod)
        except ApiError as error:
            self.event(job, "FailedCreate", f"Error creating: {error.message}", "Warning")
            raise
        self.event(job, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    async def _finish(self, job: Object, pods: list[Object], status: Object, *outcome: str) -> float | None:
        kind, reason, message = outcome
        active = [pod for pod in pods if is_active(pod)]
        for pod in active:
            await self.cluster.delete(api.PODS, pod)
            self.event(job, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
        target = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
        self._condition(status, target, "True", reason, message)
        if any(is_going(pod) for pod in pods) or active:  # the end is told when the last Pod is gone
            status.pop("active", None)
            status.update(terminating=len(active) + sum(is_going(pod) for pod in pods), ready=0)
            await self.cluster.write_status(self.resource, job, status)
            return None
        self._condition(status, kind, "True", reason, message)
        if kind == "Complete":
            status["completionTime"] = self.cluster.stamp()
        status.pop("active", None)
        status.update(ready=0, terminating=0)
        written = await self.cluster.write_status(self.resource, job, status)
        if kind == "Complete":
            self.event(job, "Completed", "Job completed")
        else:
            self.event(job, reason, message, "Warning")
        return await self._expire(written, finished_at(written))

    async def _suspend(self, job: Object, pods: list[Object], status: Object) -> None:
        for pod in pods:
            if is_active(pod):
                await self.cluster.delete(api.PODS, pod)
        if not is_true(job, "Suspended"):
            self._condition(status, "Suspended", "True", "JobSuspended", "Job suspended")
            self.event(job, "Suspended", "Job suspended")
        status.pop("startTime", None)
        status.pop("active", None)
        await self.cluster.write_status(self.resource, job, status)

    def _condition(self, status: Object, kind: str, value: str, reason: str, message: str) -> None:
        now = self.cluster.stamp()
        conditions = [one for one in status.get("conditions") or [] if one["type"] != kind]
        if len(conditions) < len(status.get("conditions") or []) and value == "True" and kind != "Suspended":
            return
        condition = {"lastProbeTime": now, "lastTransitionTime": now, "message": message, "reason": reason}
        status["conditions"] = [*conditions, {**condition, "status": value, "type": kind}]

    async def _expire(self, job: Object, ended: str) -> float | None:
        limit = job["spec"].get("ttlSecondsAfterFinished")
        if limit is None:
            return None
        left = limit - (self.cluster.clock.now() - moment_of(ended)).total_seconds()
        if left > 0:
            return float(left)
        await self.cluster.delete(self.resource, job, "Foreground")
        return None
