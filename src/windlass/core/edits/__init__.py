"""From an intent to file edits: what is to change in Git, as data, and what that makes of the files at a tip.

``flows/write`` calls ``apply`` on the files of whichever commit is the tip now, as often as the branch moves; the
makers in ``intents`` build what commands and flows mean (pin, unpin, suspend, ignore, fork, image). Nothing here reads
Git or a clock, and nothing is edited but the field of the object that is named (see ``core/documents/splices``).
"""

from windlass.core.edits.fence import PathFenced, check_fence
from windlass.core.edits.objects import Target
from windlass.core.edits.steps import (
    AddItem,
    AddObject,
    Computed,
    DropFile,
    DropObject,
    Intent,
    PutFile,
    RemoveField,
    RemoveItem,
    Restore,
    SetField,
    Step,
    apply,
)

__all__ = [
    "AddItem",
    "AddObject",
    "Computed",
    "DropFile",
    "DropObject",
    "Intent",
    "PathFenced",
    "PutFile",
    "RemoveField",
    "RemoveItem",
    "Restore",
    "SetField",
    "Step",
    "Target",
    "apply",
    "check_fence",
]
