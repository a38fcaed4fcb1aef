"""Words to people: notices to webhooks and to Alertmanager, and the files in which they wait: ``ports.Notifier``.

    HttpNotifier   one notice to one place, signed or logged in as that place asks for it
    Outbox         notices that wait, on disk, for as long as nobody takes them

It decides nothing about who hears of what: that is ``core/alerts``.
"""

from windlass.adapters.notify.outbox import Outbox
from windlass.adapters.notify.send import HttpNotifier

__all__ = ["HttpNotifier", "Outbox"]
