"""The work of ``windlass metrics`` and ``windlass export audit``: questions over many events."""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from typing import Any

import msgspec

from windlass.adapters.ledger.index import Index, Wish, on_index_thread
from windlass.cli.ledgers import Which, opened
from windlass.cli.telling import emit, say, width_of
from windlass.cli.timelines import Asked, local_now, milliseconds_of, subjects_of
from windlass.core.record import audit as rows
from windlass.core.record.delivery import Delivery, Numbers
from windlass.core.words.plain import count, fit, pad, plain, span

ALL = "all"


async def metrics(which: Which, app: str, namespace: str, since: datetime, by: str, output: str) -> int:
    """Prints the numbers."""
    start = milliseconds_of(since)
    now = local_now()
    end = milliseconds_of(now)
    asked = Asked(app, namespace, (), None, None, "", 0, output)

    def look(index: Index) -> dict[str, Numbers]:
        chosen = subjects_of(index, asked)
        delivery = Delivery().take_all(index.facts(Wish(chosen, until=end)))
        groups: dict[str, list[str]] = {}
        teams = index.teams()
        for name in delivery.applications():
            groups.setdefault(teams.get(name, "(none)") if by == "team" else name, []).append(name)
        found = {group: delivery.numbers(names, start, end) for group, names in sorted(groups.items())}
        return found | {ALL: delivery.numbers(delivery.applications(), start, end)}

    async with opened(which) as index:
        found = await on_index_thread(look, index)
    if output != "human":
        emit(
            {
                "since": since.isoformat(),
                "until": now.isoformat(),
                "all": msgspec.to_builtins(found.pop(ALL)),
                by + "s": {name: msgspec.to_builtins(one) for name, one in found.items()},
            },
            output,
        )
        return 0
    total = found.pop(ALL)
    if len(found) != 1:
        found[ALL] = total
    wide = max(map(len, (plain(one) for one in found)))
    head = f"{pad('', wide)}   deployments  per day  lead time  to deploy  recovery  failures  drift"
    lines = [head, *(line(pad(plain(name), wide), one) for name, one in found.items())]
    say("".join(f"{fit(one.rstrip(), width_of(sys.stdout))}\n" for one in lines))
    return 0


def line(name: str, one: Numbers) -> str:
    """One row of the table."""

    def time(seconds: float | None) -> str:
        return "-" if seconds is None else f"{seconds:.1f}s" if 0 <= seconds < 10 else span(seconds)

    rate = "-" if one.change_failure_rate is None else f"{one.change_failure_rate:.0%}"
    drift = str(one.drift)
    if one.open_drift:
        drift += f", {one.open_drift} open for {time(one.open_drift_age)}"
    cells = [
        f"{one.deployments:>11}", f"{one.per_day:>7.2f}", f"{time(one.lead_time):>9}",
        f"{time(one.time_to_deployment):>9}", f"{time(one.time_to_recovery):>8}", f"{rate:>8}", drift,
    ]  # fmt: skip
    return f"{name}   {'  '.join(cells)}"


async def audit(which: Which, namespace: str, since: datetime, until: datetime | None, output: str) -> int:
    """Prints the rows, oldest first."""
    asked = Asked("", namespace, (), since, until, "", 0, output)

    def look(index: Index) -> list[rows.Row]:
        end = milliseconds_of(until) if until is not None else 0
        wish = Wish(subjects_of(index, asked), rows.KINDS, (), milliseconds_of(since), end)
        return [made for one in reversed(index.events(wish)) if (made := rows.row(one)) is not None]

    async with opened(which) as index:
        found = await on_index_thread(look, index)
    if output == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(rows.HEAD)
        writer.writerows([plain(cell) for cell in rows.cells(one)] for one in found)
        sys.stdout.flush()
    else:
        data: list[Any] = [msgspec.to_builtins(one) for one in found]
        emit(data, output)
    say(f"{count(len(found), 'row')}\n", sys.stderr)
    return 0
