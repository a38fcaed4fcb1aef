"""(object, now) to Health: kstatus' conventions, a rule by kind, the pods behind a workload, and the roll-up."""

from windlass.core.health.facts import Facts, facts_of
from windlass.core.health.objects import health_of
from windlass.core.health.pods import PATIENCE, PodFacts, PodTrouble, pod_facts
from windlass.core.health.rollup import TIMEOUT, overdue, worst

__all__ = [
    "PATIENCE",
    "TIMEOUT",
    "Facts",
    "PodFacts",
    "PodTrouble",
    "facts_of",
    "health_of",
    "overdue",
    "pod_facts",
    "worst",
]
