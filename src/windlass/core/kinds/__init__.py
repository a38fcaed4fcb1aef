"""What users write: the kinds of ``windlass.dev/v1alpha1``, a module a kind: struct, schema, reasons, CRD.

    application.decode(object) -> Application     repository.decode(object) -> Repository
    installation.decode(object) -> Installation   image_policy.decode(object) -> ImagePolicy
    crds() -> the CustomResourceDefinitions

Flows decode with these and write status and conditions with these; ``install`` and the devstack's guests apply the
CRDs; ``tools/make_docs.py`` prints ``docs/kinds``. A field is here when it works: what is not built yet is refused as
unknown, never accepted and ignored.
"""

from windlass.core.kinds import alerts, application, image_policy, installation, repository
from windlass.core.kinds.application import Application
from windlass.core.kinds.conditions import Condition, condition, ready, reconciling, set_condition, stalled
from windlass.core.kinds.crd import KINDS, crd, crds
from windlass.core.kinds.fields import moment, seconds, stamp
from windlass.core.kinds.image_policy import ImagePolicy
from windlass.core.kinds.installation import Installation
from windlass.core.kinds.kind import API_VERSION, GROUP, VERSION, Metadata
from windlass.core.kinds.reasons import Reason
from windlass.core.kinds.repository import Repository
from windlass.core.kinds.shape import BadSpec

__all__ = [
    "API_VERSION",
    "GROUP",
    "KINDS",
    "VERSION",
    "Application",
    "BadSpec",
    "Condition",
    "ImagePolicy",
    "Installation",
    "Metadata",
    "Reason",
    "Repository",
    "alerts",
    "application",
    "condition",
    "crd",
    "crds",
    "image_policy",
    "installation",
    "moment",
    "ready",
    "reconciling",
    "repository",
    "seconds",
    "set_condition",
    "stalled",
    "stamp",
]
