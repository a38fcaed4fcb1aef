"""The options of requests, checked as the real server checks them: field managers, lists and watches, deletions.

Called by the verbs before they do anything; raises 422 with the words of ``CreateOptions``, ``ListOptions`` and so on.
"""

from __future__ import annotations

from typing import Any

from windlass.devstack.apiserver.errors import ApiError, Fault, invalid
from windlass.devstack.apiserver.request import Call

_LONGEST = 128
_MATCH = "resourceVersionMatch"


def check_manager(call: Call) -> None:
    """422 where the field manager is too long or has characters that can't be printed."""
    manager = call.one("fieldManager")
    if len(manager) > _LONGEST:
        raise call.bad_option("fieldManager", f"Too long: may not be more than {_LONGEST} bytes", "FieldValueTooLong")
    for place, character in enumerate(manager):
        if not (character.isprintable() or character == " "):
            shown = manager.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace('"', '\\"')
            words = f'Invalid value: "{shown}": invalid character U+{ord(character):04X} (at position {place})'
            raise call.bad_option("fieldManager", words, "FieldValueInvalid")


def check_list(call: Call) -> None:
    """422 where the options of a list or a watch don't fit together."""
    faults = _watch_faults(call) if call.verb == "watch" else _list_faults(call)
    if faults:
        raise invalid("meta.k8s.io", "ListOptions", "", faults)


def _forbidden(field: str, why: str) -> Fault:
    return Fault("FieldValueForbidden", f"Forbidden: {why}", field)


def _unsupported(match: str, known: tuple[str, ...]) -> Fault:
    listed = ", ".join(f'"{each}"' for each in known)
    return Fault("FieldValueNotSupported", f'Unsupported value: "{match}": supported values: {listed}', _MATCH)


def _list_faults(call: Call) -> list[Fault]:
    faults = []
    match, version = call.one(_MATCH), call.one("resourceVersion")
    if match:
        if not version:
            faults.append(_forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if call.one("continue"):
            faults.append(_forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            faults.append(_unsupported(match, ("Exact", "NotOlderThan", "")))
        if match == "Exact" and version == "0":
            faults.append(_forbidden(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in call.query:
        faults.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return faults


def _watch_faults(call: Call) -> list[Fault]:
    faults = []
    match, initial = call.one(_MATCH), "sendInitialEvents" in call.query
    if initial and match != "NotOlderThan":
        faults.append(_forbidden(_MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if match:
        if not initial:
            faults.append(
                _forbidden(_MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
            )
        if match != "NotOlderThan":
            faults.append(_unsupported(match, ("NotOlderThan",)))
        if call.one("continue"):
            faults.append(_forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
    return faults


def watch_version(call: Call) -> int:
    """The revision that a watch begins at, 0 where none is given. 500 where it is no number, as the real server
    answers.
    """
    text = call.one("resourceVersion")
    if text and not text.isdecimal():
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise ApiError(500, "", f'resourceVersion: Invalid value: "{text}": {why}')
    return int(text or "0")


def check_delete(call: Call, body: dict[str, Any]) -> None:
    """422 where the options of a deletion don't fit together."""
    policy = body.get("propagationPolicy") or call.one("propagationPolicy")
    orphan = body.get("orphanDependents") if "orphanDependents" in body else call.query.get("orphanDependents")
    if policy and orphan is not None:
        words = f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both set'
        raise call.bad_option("propagationPolicy", words, "FieldValueInvalid")
    if policy and policy not in ("Foreground", "Background", "Orphan"):
        words = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
        raise call.bad_option("propagationPolicy", words)
    dry = body.get("dryRun") or []
    if any(each != "All" for each in dry):
        shown = " ".join(f'"{each}"' for each in dry)
        raise call.bad_option("dryRun", f'Unsupported value: [{shown}]: supported values: "All"')
