"""Whether our entry on a live object still covers all that Git names: the cheap question before any request.

The flows pass it to ``make_plan`` and remember its answers. It tells where ownership moved, not which values are there:
a write under our own manager does not show here (``drift.suspicious`` sees that one).
"""

from __future__ import annotations

import msgspec

from windlass.core.manifests.fields import FieldPathError, uncovered
from windlass.core.model import Desired, ManagedEntry
from windlass.core.model.foreign import UNREADABLE


def is_intact(desired: Desired, entry: ManagedEntry) -> bool:
    """True where ``entry``, our Apply entry, owns each field that the body names, in the same version."""
    if entry.api_version != desired.api_version:
        return False
    try:
        return not uncovered(msgspec.json.decode(entry.fields), msgspec.json.decode(desired.body))
    except (*UNREADABLE, FieldPathError):
        return False  # an entry that can't be read is put right by applying again
