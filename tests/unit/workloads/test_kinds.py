"""StatefulSets, DaemonSets, Jobs, CronJobs, claims, autoscalers and budgets, run end to end on the API in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from simulated import World, deployment

from windlass.devstack.workloads.api import (
    AUTOSCALERS,
    BUDGETS,
    CLAIMS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    STATEFUL_SETS,
    VOLUMES,
)
from windlass.devstack.workloads.cron_job import schedule_times
from windlass.devstack.workloads.logs import NoLog, pod_log


def stateful(replicas: int = 3, **spec: Any) -> dict[str, Any]:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    made = deployment("db", replicas=replicas, volumeClaimTemplates=[claim], serviceName="db", **spec)
    made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return {**made, "kind": "StatefulSet"}


def job(name: str = "task", image: str = "example.com/task:1", **spec: Any) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template, **spec}}


def conditions(obj: Any) -> dict[str, str]:
    return {one["type"]: one["status"] for one in (obj or {}).get("status", {}).get("conditions", [])}


async def test_a_stateful_set_comes_in_order_with_its_claims(world: World) -> None:
    await world.make(STATEFUL_SETS, stateful())
    seen: list[str] = []

    def ready() -> Any:
        for pod in world.pods(app="db"):
            if pod["metadata"]["name"] not in seen:
                assert all(conditions(world.get(PODS, name)).get("Ready") == "True" for name in seen)
                seen.append(pod["metadata"]["name"])
        live = world.get(STATEFUL_SETS, "db")
        return live and live["status"].get("readyReplicas") == 3 and live

    live = await world.until(ready)
    assert seen == ["db-0", "db-1", "db-2"]
    assert live["status"]["currentRevision"] == live["status"]["updateRevision"]
    assert {claim["metadata"]["name"] for claim in world.all(CLAIMS)} == {"data-db-0", "data-db-1", "data-db-2"}
    assert {claim["status"]["phase"] for claim in world.all(CLAIMS)} == {"Bound"}
    assert len(world.all(VOLUMES)) == 3
    assert await world.quiet() == 0


async def test_a_stateful_set_rolls_from_the_last(world: World) -> None:
    await world.make(STATEFUL_SETS, stateful(2))
    await world.until(lambda: (world.get(STATEFUL_SETS, "db") or {})["status"].get("readyReplicas") == 2)

    def image(obj: Any) -> Any:
        template = obj["spec"]["template"]
        containers = [{**template["spec"]["containers"][0], "image": "example.com/web:2"}]
        return {
            **obj,
            "spec": {**obj["spec"], "template": {**template, "spec": {**template["spec"], "containers": containers}}},
        }

    await world.edit(STATEFUL_SETS, "db", image)

    def done() -> Any:
        live = world.get(STATEFUL_SETS, "db")
        assert live
        status = live["status"]
        return (
            status["observedGeneration"] == live["metadata"]["generation"]
            and status.get("updatedReplicas") == 2 == status.get("readyReplicas")
            and status["currentRevision"] == status["updateRevision"]
        )

    await world.until(done)
    assert {pod["spec"]["containers"][0]["image"] for pod in world.pods(app="db")} == {"example.com/web:2"}


async def test_scaling_a_stateful_set_down_keeps_its_claims(world: World) -> None:
    await world.make(STATEFUL_SETS, stateful(2))
    await world.until(lambda: (world.get(STATEFUL_SETS, "db") or {})["status"].get("readyReplicas") == 2)
    await world.edit(STATEFUL_SETS, "db", lambda obj: {**obj, "spec": {**obj["spec"], "replicas": 1}})
    await world.until(lambda: len(world.pods(app="db")) == 1)
    assert world.pods(app="db")[0]["metadata"]["name"] == "db-0"
    assert len(world.all(CLAIMS)) == 2


async def test_a_deleted_claim_takes_its_volume_along_when_nothing_uses_it(world: World) -> None:
    await world.make(STATEFUL_SETS, stateful(1))
    await world.until(lambda: (world.get(STATEFUL_SETS, "db") or {})["status"].get("readyReplicas") == 1)
    await world.api.delete(CLAIMS, "default", "data-db-0")
    assert world.get(CLAIMS, "data-db-0")
    await world.api.delete(STATEFUL_SETS, "default", "db")
    await world.until(lambda: not world.all(CLAIMS) and not world.all(VOLUMES))


async def test_a_daemon_set_has_one_pod(world: World) -> None:
    made = deployment("agent")
    del made["spec"]["replicas"]
    await world.make(DAEMON_SETS, {**made, "kind": "DaemonSet"})
    live = await world.until(
        lambda: next((one for one in world.all(DAEMON_SETS) if one["status"].get("numberAvailable")), None)
    )
    assert live["status"]["desiredNumberScheduled"] == live["status"]["numberReady"] == 1
    assert len(world.pods(app="agent")) == 1
    assert await world.quiet() == 0


async def test_a_job_completes(world: World) -> None:
    await world.make(JOBS, job(completions=3, parallelism=2))
    live = await world.until(
        lambda: next((j for j in world.all(JOBS) if conditions(j).get("Complete") == "True"), None)
    )
    assert live["status"]["succeeded"] == 3
    assert conditions(live)["SuccessCriteriaMet"] == "True"
    assert live["status"]["completionTime"]
    assert "active" not in live["status"]
    pod = world.all(PODS)[0]
    assert pod["status"]["phase"] == "Succeeded"
    assert pod_log(pod).endswith("exited with code 0\n")
    assert await world.quiet() == 0


async def test_a_job_that_crashes_fails(world: World) -> None:
    await world.make(JOBS, job(image="example.com/crash:1", backoffLimit=0))
    live = await world.until(lambda: next((j for j in world.all(JOBS) if conditions(j).get("Failed") == "True"), None))
    assert live["status"]["failed"] == 1
    assert live["status"]["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    assert "asks for a crash" in pod_log(world.all(PODS)[0])


async def test_an_indexed_job_gives_each_index_a_pod(world: World) -> None:
    await world.make(JOBS, job(completions=2, parallelism=2, completionMode="Indexed"))
    live = await world.until(
        lambda: next((j for j in world.all(JOBS) if conditions(j).get("Complete") == "True"), None)
    )
    assert live["status"]["completedIndexes"] == "0-1"


async def test_a_finished_job_expires(world: World) -> None:
    await world.make(JOBS, job(ttlSecondsAfterFinished=0))
    await world.until(lambda: not world.all(JOBS) and not world.all(PODS))


async def test_a_suspended_job_waits(world: World) -> None:
    await world.make(JOBS, job(suspend=True))
    await world.until(lambda: conditions(world.get(JOBS, "task")).get("Suspended") == "True")
    assert not world.all(PODS)
    await world.edit(JOBS, "task", lambda obj: {**obj, "spec": {**obj["spec"], "suspend": False}})
    await world.until(lambda: conditions(world.get(JOBS, "task")).get("Complete") == "True")


async def test_a_cron_job_starts_what_is_due(world: World) -> None:
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job()["spec"]}},
    }
    await world.make(CRON_JOBS, cron)
    past = {"lastScheduleTime": "2026-01-01T00:00:00Z"}
    live = world.get(CRON_JOBS, "nightly")
    assert live
    await world.api.update(CRON_JOBS, {**live, "status": past}, manager="test", subresource="status")
    await world.until(lambda: world.all(JOBS))
    made = world.all(JOBS)[0]
    assert made["metadata"]["name"].startswith("nightly-")
    await world.until(lambda: world.get(CRON_JOBS, "nightly")["status"].get("lastSuccessfulTime"))  # type: ignore[index]


def test_a_schedule_knows_its_time_zone() -> None:
    cron = {"spec": {"schedule": "30 2 * * *", "timeZone": "Europe/Berlin"}}
    day = datetime(2026, 1, 10, tzinfo=UTC)
    latest, following = schedule_times(cron, day, day.replace(hour=12))
    assert latest == datetime(2026, 1, 10, 1, 30, tzinfo=UTC)
    assert following == datetime(2026, 1, 11, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "latest", "following"),
    [
        ("* * * * *", "2026-11-28T12:30", "2026-11-28T12:31"),
        ("0 3 * * *", "2026-11-28T03:00", "2026-11-29T03:00"),
        ("0 3 5 * *", "2026-11-05T03:00", "2026-12-05T03:00"),
        ("0 3 5 2 *", "2026-02-05T03:00", "2027-02-05T03:00"),
        ("0 3 1 1 *", None, "2027-01-01T03:00"),
    ],
)
def test_of_a_schedule_that_rested_for_months_the_latest_time_is_due(
    schedule: str, latest: str | None, following: str
) -> None:
    last, now = datetime(2026, 1, 1, 3, tzinfo=UTC), datetime(2026, 11, 28, 12, 30, 40, tzinfo=UTC)
    found = schedule_times({"spec": {"schedule": schedule}}, last, now)
    assert [one and one.strftime("%Y-%m-%dT%H:%M") for one in found] == [latest, following]


async def test_an_autoscaler_keeps_the_bounds(world: World) -> None:
    await world.make(DEPLOYMENTS, deployment())
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "minReplicas": 2,
            "maxReplicas": 4,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        },
    }
    await world.make(AUTOSCALERS, scaler)
    await world.until(lambda: len(world.pods(app="web")) == 2)
    await world.edit(DEPLOYMENTS, "web", lambda obj: {**obj, "spec": {**obj["spec"], "replicas": 1}})
    await world.until(lambda: world.get(DEPLOYMENTS, "web")["spec"]["replicas"] == 2)  # type: ignore[index]
    live = await world.until(
        lambda: next((h for h in world.all(AUTOSCALERS) if conditions(h).get("ScalingActive")), None)
    )
    assert live["status"]["desiredReplicas"] == 2
    await world.until(lambda: conditions(world.get(AUTOSCALERS, "web"))["ScalingActive"] == "False")


async def test_a_budget_counts(world: World) -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}},
    }
    await world.make(BUDGETS, budget)
    await world.make(DEPLOYMENTS, deployment(replicas=4))
    live = await world.until(lambda: next((b for b in world.all(BUDGETS) if b["status"]["currentHealthy"] == 4), None))
    assert (live["status"]["desiredHealthy"], live["status"]["disruptionsAllowed"]) == (2, 2)


async def test_a_pod_that_fits_nowhere_says_why(world: World) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "alone"},
        "spec": {"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "main", "image": "example.com/a:1"}]},
    }
    await world.make(PODS, pod)
    live = await world.until(lambda: next((p for p in world.all(PODS) if conditions(p)), None))
    assert "didn't match Pod's node affinity/selector" in live["status"]["conditions"][0]["message"]
    with pytest.raises(NoLog):
        pod_log(live)


async def test_a_load_balancer_gets_an_address(world: World) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "front"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    made = await world.make("v1/services", service)
    assert made["spec"]["clusterIP"].startswith("10.96.")
    assert 30000 <= made["spec"]["ports"][0]["nodePort"] <= 32767
    await world.until(lambda: world.get("v1/services", "front")["status"]["loadBalancer"].get("ingress"))  # type: ignore[index]


async def test_a_job_whose_pods_restart_too_often_fails(world: World) -> None:
    wanted = job(image="example.com/crash:1", backoffLimit=1)
    wanted["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    await world.make(JOBS, wanted)
    await world.until(lambda: conditions(world.get(JOBS, "task")).get("Failed") == "True")


async def test_a_replication_controller_keeps_its_pods(world: World) -> None:
    template = deployment("old")["spec"]["template"]
    wanted = {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "old"},
        "spec": {"replicas": 2, "selector": {"app": "old"}, "template": template},
    }
    await world.make("v1/replicationcontrollers", wanted)
    await world.until(lambda: world.all("v1/replicationcontrollers")[0]["status"].get("readyReplicas") == 2)
    assert len(world.pods(app="old")) == 2


async def test_another_image_restarts_the_container_of_a_pod(world: World) -> None:
    containers = [{"name": "main", "image": "example.com/a:1"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone"}, "spec": {"containers": containers}}
    await world.make(PODS, pod)
    await world.until(lambda: conditions(world.get(PODS, "alone")).get("Ready") == "True")

    def image(obj: Any) -> Any:
        changed = [{**obj["spec"]["containers"][0], "image": "example.com/a:2"}]
        return {**obj, "spec": {**obj["spec"], "containers": changed}}

    await world.edit(PODS, "alone", image)
    live = await world.until(
        lambda: next((p for p in world.all(PODS) if p["status"]["containerStatuses"][0]["restartCount"] == 1), None)
    )
    await world.until(lambda: conditions(world.get(PODS, "alone")).get("Ready") == "True")
    live = world.get(PODS, "alone")
    assert live
    assert live["status"]["containerStatuses"][0]["image"] == "example.com/a:2"
