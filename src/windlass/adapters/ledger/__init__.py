"""The ledger's own room: a queue on disk, the ref in Git, an index for views.

``LedgerWriter`` is ``ports.Ledger``: the controller's only way to record. What goes in is decided by
``flows/record.py``. It never changes or removes what was pushed.
"""

from windlass.adapters.ledger.journal import Journal
from windlass.adapters.ledger.writer import LedgerWriter

__all__ = ["Journal", "LedgerWriter"]
