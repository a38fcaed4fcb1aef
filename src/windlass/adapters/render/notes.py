"""The annotations by which a manifest says how it wants to be handled: read, checked, told apart from slips.

Ours (``windlass.dev/...``), Argo CD's and Helm's for the same intents, so that a repository moves over unchanged. A bad
value makes that object invalid and no other. Called by ``objects``.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, NamedTuple

from windlass.core.plan import ownership
from windlass.core.plan.ownership import PREFIX

HOOK = f"{PREFIX}hook"
HOOK_DELETE = f"{PREFIX}hook-delete"
SUBSTITUTE = f"{PREFIX}substitute"
ARGO = "argocd.argoproj.io/"
HELM_HOOK = "helm.sh/hook"
HELM_WEIGHT = "helm.sh/hook-weight"

_CHOICES: dict[str, tuple[str, ...]] = {
    ownership.CONFLICTS: ("take", "fail"),
    ownership.DRIFT: ("revert", "alert"),
    ownership.PRUNE: ("true", "false"),
    ownership.RELEASE: ("true", "false"),
    SUBSTITUTE: ("true", "false"),
    HOOK: ("pre-sync", "post-sync", "sync-failed"),
    HOOK_DELETE: ("before-hook-creation", "hook-succeeded", "hook-failed"),
}
_KNOWN = {*_CHOICES, ownership.WAVE}
# What Windlass itself writes: found in a manifest that was copied from a cluster, and left out.
WRITTEN = frozenset(
    {
        ownership.ORIGIN,
        ownership.APPLIED,
        ownership.ADOPTED,
        ownership.LEAVING,
        f"{PREFIX}sync-requested",
        f"{PREFIX}break-glass",
    }
)

_ARGO_HOOKS = {
    "PreSync": "pre-sync",
    "Sync": "sync",
    "PostSync": "post-sync",
    "SyncFail": "sync-failed",
    "PreDelete": "pre-delete",
    "PostDelete": "post-delete",
    "Skip": "skip",
}
_HELM_HOOKS = {
    "pre-install": "pre-sync",
    "pre-upgrade": "pre-sync",
    "post-install": "post-sync",
    "post-upgrade": "post-sync",
    "crd-install": "",
    "pre-delete": "pre-delete",
    "post-delete": "post-delete",
    "pre-rollback": "skip",
    "post-rollback": "skip",
    "test": "test",
    "test-success": "test",
    "test-failure": "test",
}


class Notes(NamedTuple):
    """What the annotations say, checked."""

    wave: int = 0
    conflicts: str = ""
    drift: str = ""
    release: bool = False
    hook: str = ""


class BadNote(NamedTuple):
    """A wrong annotation: what to say, the mend, and its key."""

    what: str
    hint: str
    key: str


NONE = Notes()


def read(annotations: dict[str, Any]) -> Notes | BadNote:
    """What they say, or the first that is wrong. Values are known to be strings."""
    if not any(key.startswith(PREFIX) or key.startswith(ARGO) or key.startswith("helm.sh/") for key in annotations):
        return NONE
    for key in annotations:
        if key.startswith(PREFIX) and key not in _KNOWN and key not in WRITTEN:
            guess = difflib.get_close_matches(key, sorted(_KNOWN), 1, 0.8)
            hint = f"did you mean {guess[0]}?" if guess else f"known: {', '.join(sorted(_KNOWN))}"
            return BadNote(f"the annotation {key} is not known", hint, key)
    for key, choices in _CHOICES.items():
        if key in annotations and annotations[key] not in choices:
            return _wrong(key, annotations[key], " or ".join(choices), choices[0])
    wave = _wave(annotations)
    if isinstance(wave, BadNote):
        return wave
    hook = _hook(annotations)
    if isinstance(hook, BadNote):
        return hook
    return Notes(
        wave,
        annotations.get(ownership.CONFLICTS, ""),
        annotations.get(ownership.DRIFT, ""),
        annotations.get(ownership.RELEASE) == "true",
        hook,
    )


def _wrong(key: str, value: str, words: str, example: str) -> BadNote:
    text = value if len(value) <= 40 else value[:37] + "..."
    return BadNote(f'the annotation {key} must be {words}, not "{text}"', f'{key}: "{example}"', key)


def _wave(annotations: dict[str, str]) -> int | BadNote:
    """Ours before Argo CD's before Helm's; each one that is there has to be right."""
    wave = 0
    for key in (HELM_WEIGHT, f"{ARGO}sync-wave", ownership.WAVE):
        if key in annotations:
            number = annotations[key].strip()
            if re.fullmatch("[+-]?[0-9]{1,6}", number) is None:
                return _wrong(key, annotations[key], "an integer", "1")
            wave = int(number)  # of the text that was checked: what strip takes away, int does not always
    return wave


def _hook(annotations: dict[str, str]) -> str | BadNote:
    if HOOK in annotations:
        return annotations[HOOK]
    for key, known in ((f"{ARGO}hook", _ARGO_HOOKS), (HELM_HOOK, _HELM_HOOKS)):
        if key in annotations:
            phases = []
            for word in annotations[key].split(","):
                if word.strip() not in known:
                    return _wrong(key, annotations[key], " or ".join(known), next(iter(known)))
                phases.append(known[word.strip()])
            return phases[0]
    return ""
