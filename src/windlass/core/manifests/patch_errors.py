"""What a patch is refused with. Raised by ``patches`` and ``strategic``, answered by the API server."""

from __future__ import annotations


class PatchError(ValueError):
    """A patch that can't be read or carried out.

    ``message``, ``code`` and ``reason`` are what the real server answers, which for a JSON patch that does not fit says
    nothing of the cause; ``why`` does, for people.
    """

    def __init__(self, message: str, *, code: int = 400, reason: str = "BadRequest", why: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.why = why or message
        self.code = code
        self.reason = reason
