"""The CronJob controller: a Job at each time of its schedule, by its time zone and concurrency policy; old Jobs are
forgotten.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim
from typing_extensions import override

from windlass.devstack.workloads import api
from windlass.devstack.workloads.api import ApiError, moment_of, timestamp
from windlass.devstack.workloads.engine import Controller, Key
from windlass.devstack.workloads.job import finished_at
from windlass.devstack.workloads.owners import controller_reference, is_going, is_true
from windlass.devstack.workloads.validate_workloads import cron_expression

Object = dict[str, Any]

_LONGEST_WAIT = 3600.0
"""A clock may jump: the schedule is looked at again at least this often."""
_WINDOWS = (timedelta(hours=2), timedelta(days=2), timedelta(days=40), timedelta(days=400))
"""How far back a time of the schedule is looked for, one after the other."""


def schedule_times(cron_job: Object, after: datetime, until: datetime) -> tuple[datetime | None, datetime]:
    """The latest time of the schedule in (after, until], and the first one past ``until``."""
    spec = cron_job["spec"]
    zone = ZoneInfo(spec.get("timeZone") or "UTC")
    latest: datetime | None = None
    following = until + timedelta(days=400)
    # The latest time is enough of all those since a cluster was last up, and it is near: half a million minutes are not
    # walked through for a CronJob of each minute that rested for a year.
    for window in _WINDOWS:
        start = max(after, until - window)
        for moment in CronSim(cron_expression(spec["schedule"]), start.astimezone(zone)):
            if moment.astimezone(UTC) > until:
                following = moment.astimezone(UTC)
                break
            latest = moment.astimezone(UTC)
        if latest is not None or start == after:
            break
    return latest, following


class CronJobs(Controller):
    """See the module."""

    name = "cronjob"
    kind = "CronJob"
    resource = api.CRON_JOBS
    children = (api.JOBS,)
    component = "cronjob-controller"

    @override
    async def reconcile(self, key: Key) -> float | None:
        owner = self.view.get(self.resource, *key)
        if owner is None or is_going(owner):
            return None
        jobs = self.view.owned(owner["metadata"]["uid"], api.JOBS)
        await self._forget(owner, jobs)
        status = dict(owner.get("status") or {})
        now = self.cluster.clock.now()
        wait: float | None = None
        if not owner["spec"].get("suspend"):
            after = moment_of(status.get("lastScheduleTime") or owner["metadata"]["creationTimestamp"])
            due, following = schedule_times(owner, after, now)
            wait = min(_LONGEST_WAIT, max(0.0, (following - now).total_seconds()))
            if due is not None:
                await self._start(owner, jobs, status, due)
        jobs = self.view.owned(owner["metadata"]["uid"], api.JOBS)
        active = [job for job in jobs if not finished_at(job) and not is_going(job)]
        status.pop("active", None)
        if active:
            status["active"] = [_reference(job) for job in active]
        done = [job["status"]["completionTime"] for job in jobs if (job.get("status") or {}).get("completionTime")]
        if done:
            status["lastSuccessfulTime"] = max([*done, status.get("lastSuccessfulTime", "")])
        await self.cluster.write_status(self.resource, owner, status)
        return wait

    async def _start(self, owner: Object, jobs: list[Object], status: Object, due: datetime) -> None:
        spec = owner["spec"]
        late = (self.cluster.clock.now() - due).total_seconds()
        limit = spec.get("startingDeadlineSeconds")
        if limit is not None and late > limit:
            self.event(owner, "MissSchedule", f"Missed scheduled time to start a job: {timestamp(due)}", "Warning")
            status["lastScheduleTime"] = timestamp(due)
            return
        active = [job for job in jobs if not finished_at(job) and not is_going(job)]
        policy = spec.get("concurrencyPolicy", "Allow")
        if policy == "Forbid" and active:
            words = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.event(owner, "JobAlreadyActive", words)
            return
        if policy == "Replace":
            for running in active:
                await self.cluster.delete(api.JOBS, running)
                self.event(owner, "SuccessfulDelete", f"Deleted job {running['metadata']['name']}")
        metadata, template = owner["metadata"], spec.get("jobTemplate") or {}
        wanted = template.get("metadata") or {}
        annotations = {
            **(wanted.get("annotations") or {}),
            "batch.kubernetes.io/cronjob-scheduled-timestamp": timestamp(due),
        }
        name = f"{metadata['name']}-{int(due.timestamp()) // 60}"
        job: Object = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "annotations": annotations,
                "ownerReferences": [controller_reference(owner)],
            },
            "spec": template.get("spec") or {},
        }
        if wanted.get("labels"):
            job["metadata"]["labels"] = wanted["labels"]
        try:
            await self.cluster.create(api.JOBS, job)
            self.event(owner, "SuccessfulCreate", f"Created job {name}")
        except ApiError as error:
            if error.code != 409:
                self.event(owner, "FailedCreate", f"Error creating job: {error.message}", "Warning")
                raise
        status["lastScheduleTime"] = timestamp(due)

    async def _forget(self, owner: Object, jobs: list[Object]) -> None:
        ended = [job for job in jobs if finished_at(job) and not is_going(job)]
        ended.sort(key=lambda job: (job.get("status") or {}).get("startTime") or job["metadata"]["creationTimestamp"])
        for kind, field, fallback in (
            ("Complete", "successfulJobsHistoryLimit", 3),
            ("Failed", "failedJobsHistoryLimit", 1),
        ):
            mine = [job for job in ended if is_true(job, kind)]
            for job in mine[: max(0, len(mine) - owner["spec"].get(field, fallback))]:
                await self.cluster.delete(api.JOBS, job)
                self.event(owner, "SuccessfulDelete", f"Deleted job {job['metadata']['name']}")


def _reference(job: Object) -> Object:
    metadata = job["metadata"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "resourceVersion": metadata["resourceVersion"],
        "uid": metadata["uid"],
    }
