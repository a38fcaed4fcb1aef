"""Parsed documents by blob id: a file is parsed once, whatever number of commits and Applications it is in.

Bounded by the bytes of the files that are held (the values take some ten times as much). Used by ``plain`` in a worker,
and nowhere else: the values are shared, so nobody may change them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from windlass.adapters.render.walk import File
from windlass.core.documents import Document, read


class Documents:
    """A cache; ``most`` is in bytes of YAML. Files larger than an eighth of it are not kept."""

    def __init__(self, most: int = 8 * 1024 * 1024) -> None:
        self.most = most
        self.held = 0
        self._kept: OrderedDict[tuple[str, bool], tuple[int, list[Document]]] = OrderedDict()

    def get(self, file: File) -> Sequence[Document] | None:
        """The documents of this blob, if it was read before. Their ``file`` may name another path."""
        key = (file.id, file.path.endswith(".json"))
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[1]

    def put(self, file: File, data: bytes) -> Sequence[Document]:
        """Parses and keeps. Raises DocumentError."""
        documents = read(data, file.path)
        if file.id and len(data) <= self.most // 8:
            self._kept[file.id, file.path.endswith(".json")] = (len(data), documents)
            self.held += len(data)
            while self.held > self.most:
                _, (size, _) = self._kept.popitem(last=False)
                self.held -= size
        return documents
