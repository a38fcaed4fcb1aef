"""Images of containers, and charts, as data: what their references mean, which of their tags a policy takes and why,
where in a repository they stand, and the edit that moves them there.

``flows/images`` and ``cli`` call it. It asks no registry and reads no Git: tags, facts and files are arguments.
"""

from windlass.core.images.hooks import pushed
from windlass.core.images.moves import PINS, Goal, Move, is_there, touched
from windlass.core.images.places import Place, Wanted, find
from windlass.core.images.references import BadReference, Reference, parse, read, written
from windlass.core.images.rules import Alphabetical, BadRule, Follow, Newest, Numeric, Rule, Semver
from windlass.core.images.select import (
    Facts,
    Hold,
    Ranking,
    Selection,
    Verdict,
    by_time,
    choose,
    needs_times,
    rank,
)

__all__ = [
    "PINS",
    "Alphabetical",
    "BadReference",
    "BadRule",
    "Facts",
    "Follow",
    "Goal",
    "Hold",
    "Move",
    "Newest",
    "Numeric",
    "Place",
    "Ranking",
    "Reference",
    "Rule",
    "Selection",
    "Semver",
    "Verdict",
    "Wanted",
    "by_time",
    "choose",
    "find",
    "is_there",
    "needs_times",
    "parse",
    "pushed",
    "rank",
    "read",
    "touched",
    "written",
]
