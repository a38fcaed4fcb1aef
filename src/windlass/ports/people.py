"""The people that notices go to. See ``windlass.ports``, which has these names too."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec
from typing_extensions import override

from windlass.core.alerts import Notice


class Destination(msgspec.Struct, frozen=True):
    """Where notices go: ``form`` is "webhook" or "alertmanager". ``secret`` holds what the form needs; its text shows
    nothing."""

    form: str
    url: str
    secret: dict[str, bytes] = {}

    @override
    def __repr__(self) -> str:
        return f"Destination({self.form!r})"

    __str__ = __repr__


class Notifier(Protocol):
    """Sends words to people. Raises NeedsHuman (refused, an address that is not asked) and TryLater (not reached, asked
    to wait): whether a notice arrived is then not known, and sending it again is right."""

    async def send(self, to: Destination, notice: Notice, until: datetime) -> None:
        """Returns when the other side took it. ``until``: when what is open counts as ended without another word, for
        forms that need one."""
        ...
