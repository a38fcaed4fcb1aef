"""Who owns which field: server-side apply and the tracking of all other writes, as the real server does it.

``verbs`` calls it on every create, update and patch; ``local`` for the controllers inside. It works on dicts and has
no store: it neither defaults, validates nor assigns versions, which come before and after it. ``live`` and what comes
back share structure, so neither may be changed in place.

    apply(live, applied, ...)       server-side apply; ApplyConflict, TypedPatchError
    update_managers(live, new, ...) create, update and the other patches
    scale_managers(live, new, ...)  a write through the scale subresource
    settle(live, new)               live itself where only times of managedFields differ, so that nothing is written
    reset_fields(...)               what a write to the main resource or a subresource can't own
"""

from windlass.devstack.apiserver.apply.managers import settle
from windlass.devstack.apiserver.apply.refusals import ApplyConflict, TypedPatchError
from windlass.devstack.apiserver.apply.resets import reset_fields
from windlass.devstack.apiserver.apply.server_side import ApplyOptions, apply
from windlass.devstack.apiserver.apply.tracking import UpdateOptions, scale_managers, update_managers

__all__ = [
    "ApplyConflict",
    "ApplyOptions",
    "TypedPatchError",
    "UpdateOptions",
    "apply",
    "reset_fields",
    "scale_managers",
    "settle",
    "update_managers",
]
