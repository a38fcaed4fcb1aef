"""YAML and JSON bytes to JSON values and back, as Kubernetes reads them. Stands on ``errors`` alone, and touches
nothing outside.

``read`` gives the documents of a file, ``locate`` the line of a field (asked only when there is something to tell),
``write`` YAML that every reader understands alike, ``splice`` changes one place of a file and not a byte
beside it. What the room refuses, it refuses with a :class:`DocumentError` that names file and line: text that is not
UTF-8, duplicate keys, unknown tags, numbers that JSON can't hold, and files made to exhaust the reader (see
:class:`Budget`). It knows nothing of Kubernetes objects: a ``List`` is a mapping here.
"""

from windlass.core.documents.read import locate, read
from windlass.core.documents.rules import Budget, Document, DocumentError, DuplicateKey, TooMuch
from windlass.core.documents.splices import Append, Change, EditRefused, Remove, Set, splice
from windlass.core.documents.write import write

__all__ = [
    "Append",
    "Budget",
    "Change",
    "Document",
    "DocumentError",
    "DuplicateKey",
    "EditRefused",
    "Remove",
    "Set",
    "TooMuch",
    "locate",
    "read",
    "splice",
    "write",
]
