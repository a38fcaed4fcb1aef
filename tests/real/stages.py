# ruff: noqa: E501 (a template's line breaks are its own)
"""What becomes of Pods and Nodes on the real control plane: the Stages for KWOK, chosen by what a Pod's image is.

Used by `controlplane.py`. The devcluster's workloads keep the same convention, so that one test has the same words on
both. The word stands in the last path part of the image's name or in its tag:

- `pullfail`, `does-not-exist`: ErrImagePull, after a second ImagePullBackOff, with the message and Events of a kubelet
- `crash`: the container ends with exit code 1; CrashLoopBackOff with restartCount and lastState (`restartPolicy: Never`:
  the Pod is Failed); `oom`: the same with exit code 137, OOMKilled
- `neverready`, `unready`: running, never ready
- `slow`: running, ready after 5 seconds
- any other: running and ready at once; a Job's Pod then succeeds

A Pod that is deleted goes at once. Nothing here runs a container, answers probes or has logs.
"""

from __future__ import annotations

from typing import Any

PULL_FAILS = "pullfail|does-not-exist"
CRASHES = "crash|oom"
NEVER_READY = "neverready|unready"
SLOW = "slow"
SLOW_SECONDS = 5

_NOT_FOUND = 'failed to pull and unpack image \\"%s\\": failed to resolve image: %s: not found'

# The first status of a container. `blocked`: an init container before it has failed; `init`: it is one that ends.
_STATUSES = (
    """
{{- define "status" }}
{{- $word := splitList "/" .item.image | last }}
{{- $c := .item }}
- name: {{ $c.name | Quote }}
  image: {{ $c.image | Quote }}
  imageID: ""
  restartCount: 0
{{- if regexMatch "(PULL_FAILS)" $word }}
  ready: false
  started: false
  state:
    waiting:
      reason: ErrImagePull
      message: {{ printf "failed to pull and unpack image %q: failed to resolve image: %s: not found" $c.image $c.image | Quote }}
{{- else if regexMatch "(CRASHES)" $word }}
  ready: false
  started: false
  state:
    terminated: { exitCode: {{ if contains "oom" $word }}137, reason: OOMKilled{{ else }}1, reason: Error{{ end }}, startedAt: {{ .now | Quote }}, finishedAt: {{ .now | Quote }} }
{{- else if .blocked }}
  ready: false
  started: false
  state:
    waiting: { reason: PodInitializing }
{{- else if .init }}
  ready: true
  started: false
  state:
    terminated: { exitCode: 0, reason: Completed, startedAt: {{ .now | Quote }}, finishedAt: {{ .now | Quote }} }
{{- else }}
  ready: {{ not (regexMatch "(NEVER_READY|SLOW)" $word) }}
  started: true
  state:
    running: { startedAt: {{ .now | Quote }} }
{{- end }}
{{- end }}
""".replace("PULL_FAILS", PULL_FAILS)
    .replace("CRASHES", CRASHES)
    .replace("NEVER_READY", NEVER_READY)
    .replace("SLOW", SLOW)
)

_CONDITIONS = """
{{- define "conditions" }}
conditions:
- { type: PodReadyToStartContainers, status: "True", lastProbeTime: null, lastTransitionTime: {{ .now | Quote }} }
{{- if .initialized }}
- { type: Initialized, status: "True", lastProbeTime: null, lastTransitionTime: {{ .now | Quote }} }
{{- else }}
- type: Initialized
  status: "False"
  reason: ContainersNotInitialized
  message: {{ printf "containers with incomplete status: [%s]" (join " " .init) | Quote }}
  lastProbeTime: null
  lastTransitionTime: {{ .now | Quote }}
{{- end }}
{{- $unready := .unready }}{{ $now := .now }}
{{- range $type := list "ContainersReady" "Ready" }}
{{- if $unready }}
- type: {{ $type }}
  status: "False"
  reason: ContainersNotReady
  message: {{ printf "containers with unready status: [%s]" (join " " $unready) | Quote }}
  lastProbeTime: null
  lastTransitionTime: {{ $now | Quote }}
{{- else }}
- { type: {{ $type }}, status: "True", lastProbeTime: null, lastTransitionTime: {{ $now | Quote }} }
{{- end }}
{{- end }}
{{- end }}
"""

_START = (
    _STATUSES
    + _CONDITIONS
    + """
{{- $now := Now }}
{{- $bad := "(PULL_FAILS|CRASHES)" }}
{{- $blocked := list }}
{{- range .spec.initContainers }}{{ if regexMatch $bad (splitList "/" .image | last) }}{{ $blocked = append $blocked .name }}{{ end }}{{ end }}
{{- $unready := list }}{{ $ran := list }}{{ $crashed := list }}{{ $pulling := list }}
{{- range .spec.containers }}
{{- $word := splitList "/" .image | last }}
{{- if or $blocked (regexMatch "(PULL_FAILS|CRASHES|NEVER_READY|SLOW)" $word) }}{{ $unready = append $unready .name }}{{ end }}
{{- if regexMatch "(PULL_FAILS)" $word }}{{ $pulling = append $pulling .name }}{{ end }}
{{- if regexMatch "(CRASHES)" $word }}{{ $crashed = append $crashed .name }}{{ end }}
{{- end }}
{{- template "conditions" (dict "now" $now "initialized" (not $blocked) "init" $blocked "unready" $unready) }}
observedGeneration: {{ .metadata.generation }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
hostIPs: [{ ip: {{ NodeIPWith .spec.nodeName | Quote }} }]
{{- $ip := PodIPWith .spec.nodeName (or .spec.hostNetwork false) (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "") }}
podIP: {{ $ip | Quote }}
podIPs: [{ ip: {{ $ip | Quote }} }]
startTime: {{ $now | Quote }}
{{- if or $blocked $pulling }}
phase: Pending
{{- else if and $crashed (eq .spec.restartPolicy "Never") }}
phase: Failed
{{- else }}
phase: Running
{{- end }}
{{- if .spec.initContainers }}
initContainerStatuses:
{{- range .spec.initContainers }}{{ template "status" (dict "item" . "now" $now "blocked" false "init" (ne (or .restartPolicy "") "Always")) }}{{ end }}
{{- end }}
containerStatuses:
{{- range .spec.containers }}{{ template "status" (dict "item" . "now" $now "blocked" $blocked "init" false) }}{{ end }}
""".replace("PULL_FAILS", PULL_FAILS)
    .replace("CRASHES", CRASHES)
    .replace("NEVER_READY", NEVER_READY)
    .replace("SLOW", SLOW)
)

# A container that could not be pulled, or has ended, waits longer: what a kubelet makes of it at its next looks.
_BACK_OFF = """
{{- define "later" }}
{{- $c := .item }}
- name: {{ $c.name | Quote }}
  image: {{ $c.image | Quote }}
  imageID: ""
  ready: {{ $c.ready }}
  started: {{ or $c.started false }}
{{- $waiting := dig "state" "waiting" "reason" "" $c }}
{{- $ended := and (dig "state" "terminated" "reason" "" $c) (ne (dig "state" "terminated" "reason" "" $c) "Completed") }}
{{- if eq $waiting "ErrImagePull" }}
  restartCount: 0
  state:
    waiting:
      reason: ImagePullBackOff
      message: {{ printf "Back-off pulling image %q: ErrImagePull: %s" $c.image $c.state.waiting.message | Quote }}
{{- else if or $ended (eq $waiting "CrashLoopBackOff") }}
  {{- $count := add1 (int $c.restartCount) }}
  restartCount: {{ $count }}
  lastState:
    terminated: { exitCode: {{ if contains "oom" (splitList "/" $c.image | last) }}137, reason: OOMKilled{{ else }}1, reason: Error{{ end }}, startedAt: {{ .now | Quote }}, finishedAt: {{ .now | Quote }} }
  {{- $seconds := 10 }}{{ range until (int (sub $count 1)) }}{{ $seconds = min 300 (mul $seconds 2) }}{{ end }}
  {{- $wait := printf "%ds" $seconds }}
  {{- if ge $seconds 60 }}{{ $wait = printf "%dm%ds" (div $seconds 60) (mod $seconds 60) }}{{ end }}
  state:
    waiting:
      reason: CrashLoopBackOff
      message: {{ printf "back-off %s restarting failed container=%s pod=%s_%s(%s)" $wait $c.name .pod.metadata.name .pod.metadata.namespace .pod.metadata.uid | Quote }}
{{- else }}
  restartCount: {{ $c.restartCount }}
  {{- with $c.lastState }}
  lastState: {{ toJson . }}
  {{- end }}
  state: {{ toJson $c.state }}
{{- end }}
{{- end }}
{{- $now := Now }}{{ $pod := . }}
{{- if .status.initContainerStatuses }}
initContainerStatuses:
{{- range .status.initContainerStatuses }}{{ template "later" (dict "item" . "now" $now "pod" $pod) }}{{ end }}
{{- end }}
containerStatuses:
{{- range .status.containerStatuses }}{{ template "later" (dict "item" . "now" $now "pod" $pod) }}{{ end }}
"""

_READY = """
{{- $now := Now }}
conditions:
- { type: ContainersReady, status: "True", reason: null, message: null, lastProbeTime: null, lastTransitionTime: {{ $now | Quote }} }
- { type: Ready, status: "True", reason: null, message: null, lastProbeTime: null, lastTransitionTime: {{ $now | Quote }} }
containerStatuses:
{{- range .status.containerStatuses }}
- {{ set . "ready" true | toJson }}
{{- end }}
"""

_COMPLETE = """
{{- $now := Now }}
conditions:
- { type: ContainersReady, status: "False", reason: PodCompleted, lastProbeTime: null, lastTransitionTime: {{ $now | Quote }} }
- { type: Ready, status: "False", reason: PodCompleted, lastProbeTime: null, lastTransitionTime: {{ $now | Quote }} }
phase: Succeeded
containerStatuses:
{{- range .status.containerStatuses }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    terminated: { exitCode: 0, reason: Completed, startedAt: {{ or $.status.startTime $now | Quote }}, finishedAt: {{ $now | Quote }} }
{{- end }}
"""

# An Event as a kubelet writes it. `which` finds the container that it is about.
_EVENT = """
{{- $now := now | date "2006-01-02T15:04:05Z07:00" }}
{{- $name := "" }}{{ $image := "" }}
{{- range concat (.status.initContainerStatuses | default list) (.status.containerStatuses | default list) }}
{{- if and (not $name) (%(which)s) }}{{ $name = .name }}{{ $image = .image }}{{ end }}
{{- end }}
apiVersion: v1
kind: Event
metadata:
  name: {{ printf "%%s.%(suffix)s" .metadata.name | Quote }}
  namespace: {{ .metadata.namespace | Quote }}
type: %(type)s
reason: %(reason)s
message: {{ %(message)s | Quote }}
count: 1
firstTimestamp: {{ $now | Quote }}
lastTimestamp: {{ $now | Quote }}
source: { component: kubelet, host: {{ .spec.nodeName | Quote }} }
reportingComponent: kubelet
reportingInstance: {{ .spec.nodeName | Quote }}
involvedObject:
  apiVersion: v1
  kind: Pod
  name: {{ .metadata.name | Quote }}
  namespace: {{ .metadata.namespace | Quote }}
  uid: {{ .metadata.uid | Quote }}
  fieldPath: {{ printf "spec.containers{%%s}" $name | Quote }}
"""

_NODE = """
{{- $now := Now }}
conditions:
{{- range NodeConditions }}
- type: {{ .type }}
  status: {{ .status | Quote }}
  reason: {{ .reason }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{- end }}
addresses:
- { type: InternalIP, address: {{ NodeIP | Quote }} }
- { type: Hostname, address: {{ NodeName | Quote }} }
allocatable: { cpu: 1k, memory: 4Ti, pods: 1M, ephemeral-storage: 4Ti }
capacity: { cpu: 1k, memory: 4Ti, pods: 1M, ephemeral-storage: 4Ti }
nodeInfo:
  architecture: amd64
  operatingSystem: linux
  osImage: KWOK
  kernelVersion: none
  kubeletVersion: {{ printf "kwok-%s" Version }}
  kubeProxyVersion: {{ printf "kwok-%s" Version }}
  containerRuntimeVersion: {{ printf "kwok://%s" Version }}
  bootID: ""
  machineID: ""
  systemUUID: ""
"""


def stages() -> list[dict[str, Any]]:
    """All Stages, as the documents of KWOK's configuration file."""
    all_statuses = "((.status.initContainerStatuses // []) + (.status.containerStatuses // []))[]"
    waiting = f"{all_statuses} | .state.waiting.reason"
    ended = f'{all_statuses} | .state.terminated | select(. != null) | select(.exitCode != 0) | "yes"'
    troubled = f'[.spec.containers[].image | split("/") | last | test("{PULL_FAILS}|{CRASHES}|{NEVER_READY}")] | any'
    slow = f'[.spec.containers[].image | split("/") | last | test("{SLOW}")] | any'
    is_job = 'any(.metadata.ownerReferences[]?; .kind == "Job")'
    ready = 'any(.status.conditions[]?; .type == "Ready" and .status == "True")'
    crash_wait = f'"\\([10 * pow(2; ([{all_statuses} | .restartCount] | max) - 1), 300] | min)s"'
    pull_events = [
        _event(
            "pull",
            "Failed",
            _is_waiting("ErrImagePull"),
            f'printf "Failed to pull image %q: {_NOT_FOUND % ("%s", "%s")}" $image $image $image',
        ),
        _event("err", "Failed", _is_waiting("ErrImagePull"), '"Error: ErrImagePull"'),
        _event(
            "backoff",
            "BackOff",
            _is_waiting("ErrImagePull"),
            'printf "Back-off pulling image %q" $image',
            kind="Normal",
        ),
        _event("backofferr", "Failed", _is_waiting("ErrImagePull"), '"Error: ImagePullBackOff"'),
    ]
    crash_message = 'printf "Back-off restarting failed container %s in pod %s_%s(%s)" $name .metadata.name .metadata.namespace .metadata.uid'
    crash_event = _event(
        "crash", "BackOff", 'has (dig "state" "terminated" "reason" "" .) (list "Error" "OOMKilled")', crash_message
    )
    later = {"patch": _status(_BACK_OFF)}
    return [
        _stage(
            "pod-start",
            [_is(".spec.nodeName", exists=True), _is(".status.containerStatuses", exists=False)],
            [{"patch": _status(_START)}],
        ),
        _stage("pod-pull-back-off", [_is(waiting, "ErrImagePull")], [*pull_events, later], delay=1000),
        _stage(
            "pod-crash-back-off",
            [_is(ended, "yes"), _is(waiting, "ErrImagePull", invert=True), _is(".status.phase", "Running", "Pending")],
            [crash_event, later],
            delay=1000,
        ),
        _stage("pod-crash-again", [_is(waiting, "CrashLoopBackOff")], [later], delay_from=crash_wait),
        _stage(
            "pod-slow-ready",
            [
                _is(slow, "true"),
                _is(troubled, "false"),
                _is(is_job, "false"),
                _is(ready, "false"),
                _is(".status.phase", "Running"),
            ],
            [{"patch": _status(_READY)}],
            delay=SLOW_SECONDS * 1000,
        ),
        _stage(
            "pod-complete",
            [_is(is_job, "true"), _is(troubled, "false"), _is(".status.phase", "Running")],
            [{"patch": _status(_COMPLETE)}],
            delay_from=f'if ({slow}) then "{SLOW_SECONDS}s" else "200ms" end',
        ),
        _stage("pod-gone", [_is(".metadata.deletionTimestamp", exists=True)], [{"delete": True}], deleted=True),
        _stage("node-ready", [_is(ready, "false")], [{"patch": _status(_NODE)}], kind="Node"),
    ]


def _stage(
    name: str,
    selectors: list[dict[str, Any]],
    steps: list[dict[str, Any]],
    *,
    kind: str = "Pod",
    delay: int = 0,
    delay_from: str | None = None,
    deleted: bool = False,
) -> dict[str, Any]:
    alive = [] if deleted else [_is(".metadata.deletionTimestamp", exists=False)]
    spec: dict[str, Any] = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": alive + selectors},
        "steps": steps,
    }
    if delay_from is not None:
        spec["delay"] = {"durationMilliseconds": 1000, "durationFrom": {"jq": {"expression": delay_from}}}
    elif delay:
        spec["delay"] = {"durationMilliseconds": delay}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _is(expression: str, *values: str, exists: bool | None = None, invert: bool = False) -> dict[str, Any]:
    """A condition on what a jq expression gives: one of the values, none of them, something, or nothing."""
    if exists is not None:
        return {"jq": {"key": expression, "operator": "Exists" if exists else "DoesNotExist"}}
    return {"jq": {"key": expression, "operator": "NotIn" if invert else "In", "values": list(values)}}


def _status(template: str) -> dict[str, Any]:
    return {"subresource": "status", "root": "status", "type": "strategic", "template": template}


def _is_waiting(reason: str) -> str:
    return f'(dig "state" "waiting" "reason" "" .) | eq "{reason}"'


def _event(suffix: str, reason: str, which: str, message: str, *, kind: str = "Warning") -> dict[str, Any]:
    return {
        "apply": {
            "template": _EVENT % {"suffix": suffix, "reason": reason, "which": which, "message": message, "type": kind}
        }
    }
