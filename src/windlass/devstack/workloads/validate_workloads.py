"""What is wrong with an object that runs Pods (Deployment to CronJob, Pod), or with a claim: what the real server
checks, in its words.

Called by ``validate_kinds``, which knows which check belongs to which resource.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from windlass.devstack.workloads import names
from windlass.devstack.workloads.api import moment_of
from windlass.devstack.workloads.causes import Causes
from windlass.devstack.workloads.quantity import BadQuantity, amount
from windlass.devstack.workloads.validate_pods import check_pod_spec, check_template

Object = dict[str, Any]
_EPOCH = moment_of("2000-01-01T00:00:00Z")

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def check_claim_spec(causes: Causes, at: str, spec: Object) -> None:
    modes = spec.get("accessModes") or []
    if not modes:
        causes.required(f"{at}.accessModes", "at least 1 access mode is required")
    for mode in modes:
        causes.one_of(f"{at}.accessModes", mode, _ACCESS_MODES)
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        causes.required(f"{at}.resources[storage]")
    else:
        try:
            if amount(storage) <= 0:
                causes.invalid(f"{at}.resources[storage]", str(storage), "must be greater than zero")
        except BadQuantity as error:
            causes.invalid(f"{at}.resources[storage]", storage, str(error))
    name = spec.get("storageClassName")
    if name:
        causes.invalids(f"{at}.storageClassName", name, names.subdomain_1123(name))
    causes.one_of(f"{at}.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))


def _workload(causes: Causes, spec: Object, kind: str, extra_volumes: set[str] | None = None) -> None:
    causes.not_negative("spec.replicas", spec.get("replicas"))
    causes.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    causes.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    selector = spec.get("selector")
    if selector is None:
        if kind != "daemonset":
            causes.required("spec.selector")
    else:
        before = len(causes.found)
        causes.selector("spec.selector", selector)
        broken = any(".operator" in one.field or ".values" in one.field for one in causes.found[before:])
        if broken and kind != "statefulset":
            causes.invalid("spec.selector", selector, "invalid label selector")
            return
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            causes.invalid("spec.selector", selector, f"empty selector is invalid for {kind}")
    template = spec.get("template") or {}
    check_template(causes, "spec.template", template, selector, extra_volumes)
    pod = template.get("spec") or {}
    if pod.get("restartPolicy") not in (None, "Always"):
        causes.unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",))
    if pod.get("activeDeadlineSeconds") is not None:
        word = {"deployment": "ReplicaSet", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}[kind]
        where = "spec.template.spec.activeDeadlineSeconds"
        causes.forbidden(where, f"activeDeadlineSeconds in {word} is not Supported")


def check_pod_template(causes: Causes, obj: Object) -> None:
    check_template(causes, "template", obj.get("template") or {}, {})


def check_int_or_percent(causes: Causes, at: str, value: Any) -> None:
    if isinstance(value, str):
        causes.invalids(at, value, names.percent(value))
    else:
        causes.not_negative(at, value)


def _number(value: Any) -> int:
    """The number of an int or a percentage, as the check for "both zero" reads it."""
    if isinstance(value, str):
        return int(value[:-1]) if value.endswith("%") and value[:-1].isdigit() else 0
    return value if isinstance(value, int) else 0


def check_deployment(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    _workload(causes, spec, "deployment")
    strategy = spec.get("strategy") or {}
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate" and rolling is not None:
        words = "may not be specified when strategy `type` is 'Recreate'"
        causes.forbidden("spec.strategy.rollingUpdate", words)
    elif kind == "RollingUpdate" and rolling is not None:
        for field in ("maxUnavailable", "maxSurge"):
            check_int_or_percent(causes, f"spec.strategy.rollingUpdate.{field}", rolling.get(field))
        unavailable = rolling.get("maxUnavailable")
        if _number(unavailable) == 0 and _number(rolling.get("maxSurge")) == 0:
            words = "may not be 0 when `maxSurge` is 0"
            causes.invalid("spec.strategy.rollingUpdate.maxUnavailable", unavailable, words)
        if isinstance(unavailable, str) and _number(unavailable) > 100:
            words = "must not be greater than 100%"
            causes.invalid("spec.strategy.rollingUpdate.maxUnavailable", unavailable, words)
    elif kind not in (None, "Recreate", "RollingUpdate"):
        causes.unsupported("spec.strategy", {"Type": kind, "RollingUpdate": None}, ("Recreate", "RollingUpdate"))
    deadline = spec.get("progressDeadlineSeconds")
    causes.not_negative("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        causes.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def check_replica_set(causes: Causes, obj: Object) -> None:
    _workload(causes, obj.get("spec") or {}, "deployment")


def check_stateful_set(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    policy = spec.get("podManagementPolicy")
    if policy not in (None, "OrderedReady", "Parallel"):
        causes.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    update = spec.get("updateStrategy") or {}
    if update.get("type") not in (None, "RollingUpdate", "OnDelete"):
        shown = {"Type": update.get("type"), "RollingUpdate": update.get("rollingUpdate")}
        causes.invalid("spec.updateStrategy", shown, "must be 'RollingUpdate' or 'OnDelete'")
    elif update.get("type") == "OnDelete" and update.get("rollingUpdate") is not None:
        words = "only allowed for updateStrategy 'RollingUpdate'"
        rolling = update["rollingUpdate"]
        shown = {"Partition": rolling.get("partition", 0), "MaxUnavailable": rolling.get("maxUnavailable")}
        causes.invalid("spec.updateStrategy.rollingUpdate", shown, words)
    causes.not_negative(
        "spec.updateStrategy.rollingUpdate.partition", (update.get("rollingUpdate") or {}).get("partition")
    )
    claims = spec.get("volumeClaimTemplates") or []
    for index, claim in enumerate(claims):
        check_claim_spec(causes, f"spec.volumeClaimTemplates[{index}].spec", claim.get("spec") or {})
    if spec.get("serviceName"):
        causes.invalids("spec.serviceName", spec["serviceName"], names.label_1123(spec["serviceName"]))
    _workload(causes, spec, "statefulset", {(claim.get("metadata") or {}).get("name", "") for claim in claims})


def check_daemon_set(causes: Causes, obj: Object) -> None:
    _workload(causes, obj.get("spec") or {}, "daemonset")


def _job_spec(causes: Causes, at: str, spec: Object, selector: Object | None) -> None:
    for field in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"):
        causes.not_negative(f"{at}.{field}", spec.get(field))
    causes.not_negative(f"{at}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"))
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        causes.required(f"{at}.completions", "when completion mode is Indexed")
    template = spec.get("template") or {}
    check_template(causes, f"{at}.template", template, selector)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy in ("Always", None):
        causes.required(f"{at}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def check_job(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    if spec.get("selector") is None:
        causes.required("spec.selector")
    _job_spec(causes, "spec", spec, spec.get("selector"))


def check_cron_job(causes: Causes, obj: Object) -> None:
    spec = obj.get("spec") or {}
    name = (obj.get("metadata") or {}).get("name", "")
    if len(name) > 52:
        causes.invalid("metadata.name", name, names.too_long(52))
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        causes.required("spec.schedule")
    elif "TZ" in schedule:
        causes.invalid("spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    else:
        fields = cron_expression(schedule).split()
        if len(fields) != 5:
            words = f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
            causes.invalid("spec.schedule", schedule, words)
        else:
            try:
                CronSim(" ".join(fields), _EPOCH)
            except CronSimError as error:
                causes.invalid("spec.schedule", schedule, str(error))
    if zone is not None:
        if not zone:
            causes.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")
        elif zone not in available_timezones():
            causes.invalid("spec.timeZone", zone, f"unknown time zone {zone}")
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit", "startingDeadlineSeconds"):
        causes.not_negative(f"spec.{field}", spec.get(field))
    causes.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"))
    template = (spec.get("jobTemplate") or {}).get("spec") or {}
    _job_spec(causes, "spec.jobTemplate.spec", template, {})


_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def cron_expression(schedule: str) -> str:
    """The five fields that a schedule stands for: macros written out, ``?`` read as ``*``."""
    schedule = schedule.strip()
    return _MACROS.get(schedule.lower(), schedule.replace("?", "*"))


def check_pod(causes: Causes, obj: Object) -> None:
    check_pod_spec(causes, "spec", obj.get("spec") or {})
