"""Two deployed commits of an Application side by side: what Git tells, and what they render to.

``windlass log --changes`` calls it. The Application and its Repository are read with the person's own rights in the
cluster, the files with their own Git; nothing of the cluster is compared.
"""

from __future__ import annotations

import sys

from windlass.adapters.git import Store
from windlass.cli import living, planning
from windlass.cli.ledgers import Which
from windlass.cli.reaching import find, reach
from windlass.cli.render import tell_problems
from windlass.cli.telling import say, width_of
from windlass.cli.timelines import Asked
from windlass.cli.trees import render_for
from windlass.core.words.plain import ago, count, fit, plain, short
from windlass.flows.inventory import Inventory

MOST = 20


async def rendered_changes(which: Which, asked: Asked, subject: str, old: str, new: str) -> int:
    """Prints both and returns the exit code: 2 where something differs."""
    async with reach(which.kubeconfig, which.context) as to:
        found = await find(to, subject, "")
        app = found.decoded()
        key = await living.digest_key(to) or b""
        inventory = Inventory(to.cluster)
        place = await planning.place_of(to, app, None, new)
        before = await render_for(app, found.claim, place.at(old), inventory, key)
        after = await render_for(app, found.claim, place, inventory, key)
        now = to.clock.now()
    for rendered, at in ((before, old), (after, new)):
        if rendered.problems:
            return tell_problems(rendered, at, place.repository, "there is nothing to compare with")
    plan, details = planning.compared(before, after, subject)
    if asked.output == "human":
        store = Store(place.folder)
        told = store.log(old, new, limit=MOST + 1)
        # The later deployment may be the older commit: a rollback. Then what is told is what is taken back.
        back = not told and old != new
        told = store.log(new, old, limit=MOST + 1) if back else told
        for one in told[:MOST]:
            line = f"{short(one.id)}   {plain(one.subject)}   ({plain(one.author)}, {ago(one.time, now)})"
            say(fit(line, width_of(sys.stdout)) + "\n")
        many = f"{'more than ' if len(told) > MOST else ''}{count(min(len(told), MOST), 'commit')}"
        say(f"{many}{', taken back' if back and told else ''}\n\n")
    budget = app.spec.sync.prune_budget.count
    planning.show(plan, details, budget=budget, everything=False, output=asked.output, base=old)
    return planning.result_code(plan)
