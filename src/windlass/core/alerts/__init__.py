"""Who hears of what: which events an ``Alert`` is about, and notices of them: repeats folded, recovery told.

``flows/alerts`` calls it. Pure: the time is an argument, nothing is sent from here.
"""

from windlass.core.alerts.desk import Desk, Open
from windlass.core.alerts.notices import Notice, State, topic
from windlass.core.alerts.quiet import Quiet, is_quiet
from windlass.core.alerts.rules import AlertRule, BadAlert, Reader

__all__ = ["AlertRule", "BadAlert", "Desk", "Notice", "Open", "Quiet", "Reader", "State", "is_quiet", "topic"]
