"""What a patch is refused with. Raised by ``patches`` and ``strategic``, answered by the API server."""

from __future__ import annotations


class PatchError(ValueError):
    """A patch that can't be read or carried out. ``code`` and ``reason`` are what the real server answers."""

    def __init__(self, message: str, *, code: int = 400, reason: str = "BadRequest") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
