"""Watches: from where they start, what they show, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from unit.apiserver.conftest import Answer, Client, serving
from windlass.devstack.apiserver.store import Store

MAPS = "/api/v1/namespaces/default/configmaps"


def told(lines: list[dict]) -> list[tuple[str, str]]:
    return [(line["type"], line["object"]["metadata"].get("name", "")) for line in lines]


class Open:
    """A watch that is open. Who awaits it closes it, and has its answer with all that was told until then."""

    def __init__(self, client: Client, task: asyncio.Task[Answer]) -> None:
        self.client, self.task = client, task

    def __await__(self) -> Generator[Any, None, Answer]:
        for each in self.client.machine.store.watches():
            each.close()
        return self.task.__await__()


async def watch(client: Client, query: str, path: str = MAPS, **headers: str) -> Open:
    """Opens a watch: what happens from now on is told to it, however long this machine takes."""
    store = client.machine.store
    before = len(store.watches())
    task = asyncio.get_running_loop().create_task(client("GET", f"{path}?watch=true&{query}", **headers))
    async with asyncio.timeout(60):
        while len(store.watches()) == before and not task.done():
            await asyncio.sleep(0)
    return Open(client, task)


async def test_a_watch_without_a_version_begins_with_what_is_there(client: Client) -> None:
    await client.make(MAPS, "a")
    task = await watch(client, "")
    await client.make(MAPS, "b")
    await client("DELETE", f"{MAPS}/a")
    assert told((await task).lines) == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]


async def test_a_watch_from_a_version_shows_what_came_after_it(client: Client) -> None:
    made = await client.make(MAPS, "a")
    await client.make(MAPS, "b")
    task = await watch(client, f"resourceVersion={made['metadata']['resourceVersion']}")
    assert told((await task).lines) == [("ADDED", "b")]


async def test_leaving_a_selection_is_deleted_with_the_old_object(client: Client) -> None:
    made = await client.make(MAPS, "a", metadata={"labels": {"app": "x"}})
    task = await watch(client, f"labelSelector=app%3Dx&resourceVersion={made['metadata']['resourceVersion']}")
    changed = await client(
        "PATCH", f"{MAPS}/a", {"metadata": {"labels": {"app": "y"}}}, kind="application/merge-patch+json"
    )
    await client("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"app": "x"}}}, kind="application/merge-patch+json")
    lines = (await task).lines
    assert told(lines) == [("DELETED", "a"), ("ADDED", "a")]
    gone = lines[0]["object"]["metadata"]
    assert (gone["labels"], gone["resourceVersion"]) == ({"app": "x"}, changed.json["metadata"]["resourceVersion"])


async def test_initial_events_end_with_a_bookmark(client: Client) -> None:
    await client.make(MAPS, "a")
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    lines = (await (await watch(client, query))).lines
    assert told(lines) == [("ADDED", "a"), ("BOOKMARK", "")]
    assert lines[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_initial_events_need_a_match(client: Client) -> None:
    answer = await client("GET", f"{MAPS}?watch=1&sendInitialEvents=true")
    words = "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    assert answer.lines[-1]["message"] == f'ListOptions.meta.k8s.io "" is invalid: {words}'


async def test_history_that_is_gone_is_told_as_an_error_event() -> None:
    async with serving(Store(history=4)) as client:
        first = await client.make(MAPS, "first")
        for number in range(8):
            await client.make(MAPS, f"n{number}")
        answer = await client("GET", f"{MAPS}?watch=1&resourceVersion={first['metadata']['resourceVersion']}")
        assert answer.code == 200
        assert (answer.lines[0]["type"], answer.lines[0]["object"]["code"]) == ("ERROR", 410)
        assert answer.lines[0]["object"]["reason"] == "Expired"


async def test_a_watch_of_metadata_shows_metadata_only(client: Client) -> None:
    await client.make(MAPS, "a", data={"secret": "value"})
    form = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    answer = await (await watch(client, "", accept=form))
    assert answer.lines[0]["object"]["kind"] == "PartialObjectMetadata"
    assert b"value" not in answer.body


async def test_a_watch_ends_after_its_time(client: Client) -> None:
    answer = await asyncio.wait_for(client("GET", f"{MAPS}?watch=1&timeoutSeconds=1"), 60)
    assert answer.code == 200


async def test_a_watch_of_a_table_names_its_columns_once(client: Client) -> None:
    await client.make(MAPS, "a")
    await client.make(MAPS, "b")
    lines = (await (await watch(client, "", accept="application/json;as=Table;g=meta.k8s.io;v=v1"))).lines
    assert [column["name"] for column in lines[0]["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert lines[1]["object"]["columnDefinitions"] is None


async def test_many_watches_share_one_encoding(client: Client) -> None:
    tasks = [await watch(client, "labelSelector=app%3Dx") for _ in range(20)]
    made = await client.make(MAPS, "a", metadata={"labels": {"app": "x"}})
    history = client.machine.store._shelves["configmaps"].history
    for task in tasks:
        assert told((await task).lines) == [("ADDED", "a")]
    event = next(event for event in history if event.rv == int(made["metadata"]["resourceVersion"]))
    assert len(event.lines) == 1
    assert not client.machine.store._labelled
