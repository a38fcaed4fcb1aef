"""The health of one object, by kind and by conditions, and the roll-up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass.core.health import Facts, health_of, overdue, pod_facts, worst
from windlass.core.model import Health, HealthStatus, ObjectHealth, ObjectRef

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
GROUPS = {
    "Deployment": "apps",
    "StatefulSet": "apps",
    "DaemonSet": "apps",
    "ReplicaSet": "apps",
    "Job": "batch",
    "CronJob": "batch",
    "Ingress": "networking.k8s.io",
    "CustomResourceDefinition": "apiextensions.k8s.io",
    "APIService": "apiregistration.k8s.io",
    "HorizontalPodAutoscaler": "autoscaling",
    "PodDisruptionBudget": "policy",
    "Application": "windlass.dev",
    "Certificate": "cert-manager.io",
}


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def ref(kind: str, name: str = "web") -> ObjectRef:
    return ObjectRef(GROUPS.get(kind, ""), kind, "shop", name)


def health(kind: str, spec: Any = None, status: Any = None, *, generation: int = 1, created: float = 3600) -> str:
    found = health_of(Facts(ref(kind), generation, spec, status, ago(created)), NOW)
    return f"{found.status.value}: {found.message}" if found.message else found.status.value


def conditions(*pairs: tuple[str, str], **more: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, **more} for kind, status in pairs]}


DEPLOYED = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
SET = {"replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "currentRevision": "a", "updateRevision": "a"}
DAEMON = {"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
THREE = {"replicas": 3}


@pytest.mark.parametrize(
    ("kind", "spec", "status", "expected"),
    [
        ("Deployment", THREE, None, "Progressing: no status yet"),
        ("Deployment", THREE, {}, "Progressing: 0 of 3 updated, 0 ready"),
        ("Deployment", THREE, DEPLOYED, "Healthy: 3 ready"),
        ("Deployment", {"replicas": 0}, {}, "Healthy: 0 ready"),
        ("Deployment", {}, {**DEPLOYED, "replicas": 2}, "Healthy: 3 ready"),
        (
            "Deployment",
            THREE,
            {**DEPLOYED, "observedGeneration": 0},
            "Progressing: its controller has not seen the last change yet",
        ),
        ("Deployment", THREE, {**DEPLOYED, "updatedReplicas": 1}, "Progressing: 1 of 3 updated, 3 ready"),
        ("Deployment", THREE, {**DEPLOYED, "replicas": 4}, "Progressing: 1 old replica still to go"),
        (
            "Deployment",
            THREE,
            {**DEPLOYED, "readyReplicas": 2, "availableReplicas": 2},
            "Progressing: 2 of 3 ready",
        ),
        ("Deployment", THREE, {**DEPLOYED, "availableReplicas": 2}, "Progressing: 2 of 3 available"),
        ("Deployment", {"replicas": 3, "paused": True}, DEPLOYED, "Suspended: spec.paused is true"),
        (
            "Deployment",
            THREE,
            {
                **DEPLOYED,
                "readyReplicas": 2,
                **conditions(("Progressing", "False"), reason="ProgressDeadlineExceeded", message="it timed out"),
            },
            "Degraded: 2 of 3 ready, it timed out",
        ),
        (
            "Deployment",
            THREE,
            {**conditions(("ReplicaFailure", "True"), message="exceeded quota")},
            "Degraded: 0 of 3 ready, exceeded quota",
        ),
        ("StatefulSet", THREE, SET, "Healthy: 3 ready"),
        ("StatefulSet", THREE, {**SET, "readyReplicas": 1}, "Progressing: 1 of 3 ready"),
        (
            "StatefulSet",
            THREE,
            {**SET, "updatedReplicas": 1, "updateRevision": "b"},
            "Progressing: 1 of 3 updated",
        ),
        (
            "StatefulSet",
            {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
            {**SET, "updatedReplicas": 1, "updateRevision": "b"},
            "Healthy: 3 ready, partition 2",
        ),
        (
            "StatefulSet",
            {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 1}}},
            {**SET, "updatedReplicas": 1, "updateRevision": "b"},
            "Progressing: 1 of 2 above partition 1 updated",
        ),
        (
            "StatefulSet",
            {"replicas": 3, "updateStrategy": {"type": "OnDelete"}},
            {**SET, "updatedReplicas": 1, "updateRevision": "b"},
            "Healthy: 3 ready, 2 updated when deleted",
        ),
        ("DaemonSet", {}, DAEMON, "Healthy: 2 ready"),
        ("DaemonSet", {}, {}, "Healthy: no node wants one"),
        ("DaemonSet", {}, {**DAEMON, "updatedNumberScheduled": 1}, "Progressing: 1 of 2 updated"),
        ("DaemonSet", {}, {**DAEMON, "numberAvailable": 1}, "Progressing: 1 of 2 available"),
        ("ReplicaSet", THREE, {"replicas": 3, "availableReplicas": 3}, "Healthy: 3 ready"),
        ("ReplicaSet", THREE, {"replicas": 5, "availableReplicas": 5}, "Progressing: 2 more than wanted still to go"),
        ("Job", {}, {"active": 1, "failed": 1}, "Progressing: 1 active, 1 failed"),
        ("Job", {}, conditions(("Complete", "True")), "Healthy: completed"),
        ("Job", {}, conditions(("Failed", "True"), message="backoff limit"), "Degraded: backoff limit"),
        ("Job", {"suspend": True}, {}, "Suspended: spec.suspend is true"),
        ("CronJob", {"suspend": True}, {}, "Suspended: spec.suspend is true"),
        ("CronJob", {}, {}, "Healthy"),
        ("Pod", {}, {"phase": "Succeeded"}, "Healthy: completed"),
        ("Pod", {}, {"phase": "Running", **conditions(("Ready", "True"))}, "Healthy: ready"),
        ("Pod", {}, {"phase": "Failed", "reason": "Evicted"}, "Degraded: Failed, Evicted"),
        ("PersistentVolumeClaim", {}, {"phase": "Bound"}, "Healthy: bound"),
        ("PersistentVolumeClaim", {}, {"phase": "Pending"}, "Progressing: Pending: waits for a volume"),
        ("PersistentVolumeClaim", {}, {"phase": "Lost"}, "Degraded: its volume is lost"),
        ("Service", {"type": "ClusterIP"}, {}, "Healthy"),
        (
            "Service",
            {"type": "LoadBalancer", "clusterIP": "10.0.0.1"},
            {"loadBalancer": {}},
            "Healthy: no load balancer has given it an address",
        ),
        (
            "Service",
            {"type": "LoadBalancer", "clusterIP": "10.0.0.1"},
            {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
            "Healthy: 192.0.2.1",
        ),
        ("CustomResourceDefinition", {}, conditions(("Established", "True")), "Healthy: established"),
        (
            "CustomResourceDefinition",
            {},
            conditions(("NamesAccepted", "False"), message="plural is taken"),
            "Degraded: plural is taken",
        ),
        ("CustomResourceDefinition", {}, {}, "Progressing: not established yet"),
        ("PodDisruptionBudget", {}, {"currentHealthy": 1, "desiredHealthy": 2}, "Progressing: 1 of 2 pods healthy"),
        ("PodDisruptionBudget", {}, {"disruptionsAllowed": 1}, "Healthy: 1 disruptions allowed"),
        (
            "HorizontalPodAutoscaler",
            {},
            conditions(("ScalingActive", "False"), reason="FailedGetResourceMetric", message="no metrics"),
            "Degraded: no metrics",
        ),
        ("APIService", {}, conditions(("Available", "False"), message="no endpoints"), "Progressing: no endpoints"),
        ("Namespace", {}, {"phase": "Active"}, "Healthy"),
        ("ConfigMap", None, None, "Healthy"),
        ("Certificate", {}, {}, "Healthy"),
        ("Certificate", {}, conditions(("Ready", "True")), "Healthy"),
        ("Certificate", {}, conditions(("Ready", "False"), message="issuing"), "Progressing: issuing"),
        ("Certificate", {}, conditions(("Ready", "False"), ("Stalled", "True"), message="no"), "Degraded: no"),
        ("Certificate", {}, conditions(("Reconciling", "True"), reason="Issuing"), "Progressing: Issuing"),
        ("Certificate", {"suspend": True}, conditions(("Ready", "True")), "Suspended: spec.suspend is true"),
        ("Application", {}, {}, "Progressing: not synced yet"),
        ("Application", {}, {"sync": "Synced", "health": "Healthy"}, "Healthy"),
        ("Application", {}, {"sync": "OutOfSync", "health": "Healthy"}, "Progressing: not synced yet"),
        (
            "Application",
            {},
            {"sync": "Synced", "health": "Degraded", **conditions(("Ready", "False"), message="crash loop")},
            "Degraded: crash loop",
        ),
    ],
)
def test_each_kind_by_its_own_rule(kind: str, spec: Any, status: Any, expected: str) -> None:
    assert health(kind, spec, status) == expected


def test_metrics_of_a_new_autoscaler_are_waited_for() -> None:
    failing = conditions(("ScalingActive", "False"), reason="FailedGetResourceMetric", message="no metrics")
    found = health_of(Facts(ref("HorizontalPodAutoscaler"), 1, {}, failing, ago(20)), NOW)
    assert (found.status, found.look_again) == (HealthStatus.PROGRESSING, 100.0)


def test_an_object_being_deleted_tells_what_it_waits_for() -> None:
    found = health_of(Facts(ref("ConfigMap"), deleting=True, finalizers=("example.com/hold",)), NOW)
    assert found == Health(HealthStatus.PROGRESSING, "is being deleted, waits for example.com/hold")


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": "x"},
        {"conditions": [1, {"type": 2}]},
        {"replicas": "3", "loadBalancer": []},
        {"containerStatuses": {}},
    ],
)
@pytest.mark.parametrize("kind", [*GROUPS, "Pod", "Service", "Namespace", "PersistentVolumeClaim"])
def test_a_status_of_another_shape_fails_nowhere(kind: str, status: dict[str, Any]) -> None:
    """A custom resource's author may put anything there."""
    assert health(kind, {"replicas": None}, status)


def test_what_is_watched_by_metadata_alone_is_healthy_because_it_exists() -> None:
    assert health("PersistentVolume", None, None) == "Healthy"
    assert health("PersistentVolume", {}, {"phase": "Failed", "message": "no disk"}) == "Degraded: no disk"


# --- pods ------------------------------------------------------------------------------------------------------------


def pod(
    name: str = "web-x", container: Any = None, *, unready: float = 60, phase: str = "Running", **status: Any
) -> Any:
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": ago(unready)}
    return {
        "metadata": {"name": name, "uid": f"u-{name}"},
        "status": {
            "phase": phase,
            "conditions": [ready],
            "containerStatuses": [container] if container else [],
            **status,
        },
    }


CRASHING = {
    "name": "web",
    "restartCount": 5,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting"}},
    "lastState": {
        "terminated": {"exitCode": 1, "reason": "Error", "message": "boot\nmissing unit in CACHE_SIZE: 512\n"}
    },
}
PULLING = {
    "name": "web",
    "state": {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "acme/shop:9"'}},
}
EVENT = {
    "type": "Warning",
    "involvedObject": {"kind": "Pod", "name": "web-x", "uid": "u-web-x"},
    "message": "Back-off restarting failed container",
    "count": 5,
    "lastTimestamp": ago(20),
}


def test_a_crash_loop_says_restarts_exit_code_last_words_and_event() -> None:
    found = pod_facts([pod(container=CRASHING)], [EVENT], NOW)
    assert found.lines == (
        "Pod/web-x  CrashLoopBackOff, 5 restarts, exit code 1",
        "  log  missing unit in CACHE_SIZE: 512",
        "  event  Back-off restarting failed container (x5, 20s ago)",
    )
    assert found.degraded == "CrashLoopBackOff, 5 restarts, exit code 1 in Pod/web-x"


def test_an_image_that_cannot_be_pulled_is_degraded_after_thirty_seconds_and_not_before() -> None:
    early = pod_facts([pod(container=PULLING, unready=12)], [], NOW)
    assert (early.degraded, early.look_again) == ("", 18.0)
    late = pod_facts([pod(container=PULLING, unready=30)], [], NOW)
    assert late.degraded == 'ImagePullBackOff: Back-off pulling image "acme/shop:9" in Pod/web-x'


def test_a_workload_with_stuck_pods_is_degraded_long_before_its_deadline() -> None:
    facts = Facts(ref("Deployment"), 1, THREE, {**DEPLOYED, "readyReplicas": 2, "availableReplicas": 2}, ago(90))
    early = health_of(facts, NOW, pod_facts([pod(container=PULLING, unready=12)], [], NOW))
    assert (early.status, early.look_again) == (HealthStatus.PROGRESSING, 18.0)
    late = health_of(facts, NOW, pod_facts([pod(container=CRASHING)], [], NOW))
    assert late.status is HealthStatus.DEGRADED
    assert late.message == "2 of 3 ready; CrashLoopBackOff, 5 restarts, exit code 1 in Pod/web-x"


def test_a_healthy_workload_is_not_made_worse_by_a_pod() -> None:
    facts = Facts(ref("Deployment"), 1, THREE, DEPLOYED, ago(90))
    assert health_of(facts, NOW, pod_facts([pod(container=CRASHING)], [], NOW)).status is HealthStatus.HEALTHY


def test_between_two_crashes_the_loop_is_still_told() -> None:
    """A container without a probe is Ready for a moment after each start."""
    running = {
        "name": "web",
        "restartCount": 4,
        "ready": True,
        "state": {"running": {"startedAt": ago(3)}},
        "lastState": {"terminated": {"exitCode": 2, "startedAt": ago(90), "finishedAt": ago(83)}},
    }
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": ago(3)}
    found = pod_facts([pod(container=running, conditions=[ready])], [], NOW)
    assert found.degraded == "CrashLoopBackOff, 4 restarts, exit code 2 in Pod/web-x"


def test_a_run_that_holds_ends_the_loop() -> None:
    running = {
        "name": "web",
        "restartCount": 4,
        "ready": True,
        "state": {"running": {"startedAt": ago(45)}},
        "lastState": {"terminated": {"exitCode": 2, "startedAt": ago(90)}},
    }
    found = pod_facts([pod(container=running, conditions=[{"type": "Ready", "status": "True"}])], [], NOW)
    assert (found.troubles, found.ready) == ((), 1)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            pod(
                container={
                    "name": "web",
                    "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "x"}},
                }
            ),
            "CreateContainerConfigError: x",
        ),
        (
            pod(
                phase="Pending",
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
                ],
            ),
            "Unschedulable: 0/3 nodes",
        ),
        (
            pod(container={"name": "web", "ready": False, "state": {"running": {"startedAt": ago(5)}}}),
            "running, not ready (web)",
        ),
        (
            pod(container={"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}}, phase="Pending"),
            "ContainerCreating",
        ),
        (
            pod(
                container={
                    "name": "web",
                    "restartCount": 1,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                }
            ),
            "CrashLoopBackOff, 1 restart, OOMKilled, exit code 137",
        ),
        (
            pod(initContainerStatuses=[{**PULLING, "name": "init"}], phase="Pending"),
            'ImagePullBackOff: Back-off pulling image "acme/shop:9"',
        ),
        (pod(phase="Failed", reason="Evicted", message="disk pressure"), "Failed, Evicted, disk pressure"),
    ],
)
def test_the_reason_a_pod_is_stuck_on(made: Any, words: str) -> None:
    assert [each.words for each in pod_facts([made], [], NOW).troubles] == [words]


def test_pods_that_are_being_deleted_are_not_counted() -> None:
    gone = pod(container=CRASHING)
    gone["metadata"]["deletionTimestamp"] = ago(1)
    assert pod_facts([gone], [], NOW).total == 0


def test_the_worst_pods_come_first_and_the_rest_is_counted() -> None:
    pods = [pod(f"p{number}", container=PULLING) for number in range(5)]
    pods.insert(0, pod("slow", container={"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}}))
    assert pod_facts(pods, [], NOW).lines[-1] == "3 more pods  not ready"


# --- roll-up ---------------------------------------------------------------------------------------------------------


def of(name: str, status: HealthStatus, message: str = "", again: float = 0.0) -> ObjectHealth:
    return ObjectHealth(ref("Deployment", name), Health(status, message, again))


def test_an_application_is_as_healthy_as_its_worst_object() -> None:
    assert worst([]).status is HealthStatus.HEALTHY
    assert worst([of("a", HealthStatus.HEALTHY), of("b", HealthStatus.SUSPENDED)]).status is HealthStatus.SUSPENDED
    found = worst(
        [
            of("c", HealthStatus.DEGRADED, "x"),
            of("a", HealthStatus.PROGRESSING, "y", 5),
            of("b", HealthStatus.DEGRADED, "z"),
        ]
    )
    assert found == Health(HealthStatus.DEGRADED, "Deployment/b: z (and 1 more)", 5)


def test_progress_that_takes_too_long_is_degraded() -> None:
    slow = Health(HealthStatus.PROGRESSING, "1 of 3 ready")
    assert overdue(ref("Deployment"), slow, NOW - timedelta(seconds=100), NOW).look_again == 200.0
    late = overdue(ref("Deployment"), slow, NOW - timedelta(seconds=300), NOW)
    assert late == Health(HealthStatus.DEGRADED, "not healthy within 5m: 1 of 3 ready")


def test_a_job_may_run_as_long_as_it_likes() -> None:
    running = Health(HealthStatus.PROGRESSING, "1 active")
    assert overdue(ref("Job"), running, NOW - timedelta(hours=9), NOW) == running
