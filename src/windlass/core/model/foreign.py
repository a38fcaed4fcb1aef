"""What msgspec raises for foreign bytes that can't be read: its own errors, and two of Python's that it lets through.

Everybody who decodes bytes of an API server, a registry, a code host or a ledger catches exactly these. Text that is no
UTF-8 is found only where it is needed as text, and nesting without an end ends in a RecursionError.
"""

from __future__ import annotations

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
