"""Retries where they are safe and nowhere else, time-outs, throttling, the fence, and what is sent along."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from windlass import __version__, ports
from windlass.adapters.cluster.access import TokenFile
from windlass.adapters.cluster.answers import Asked
from windlass.adapters.cluster.client import Call, Client
from windlass.adapters.cluster.limiter import WriteLimiter

from .scripted import Scripted, answers, drop, status

READ = Call("get", "/api/v1/x", Asked("read", "x"), kind="xs")
APPLY = Call("apply", "/api/v1/x", Asked("apply", "x"), kind="xs", method="PATCH", body=b"{}")
PATCH = Call("patch", "/api/v1/x", Asked("patch", "x"), kind="xs", method="PATCH", body=b"{}")
CREATE = Call("create", "/api/v1/x", Asked("create", "x"), kind="xs", method="POST", body=b"{}")
DELETE = Call("delete", "/api/v1/x", Asked("delete", "x"), kind="xs", method="DELETE")


def fine() -> web.Response:
    return web.json_response({"ok": True})


@pytest.mark.parametrize("call", [READ, APPLY], ids=lambda call: call.verb)
@pytest.mark.parametrize("code", [502, 503, 504])
async def test_reads_and_applies_are_tried_again(server: Scripted, call: Call, code: int) -> None:
    """They may be repeated: a passing failure of the server is not the caller's matter."""
    server.handler = answers(lambda: status(code), lambda: status(code), fine)
    async with server.client() as client:
        assert (await client.send(call)).code == 200
    assert len(server.requests) == 3


@pytest.mark.parametrize("call", [PATCH, CREATE, DELETE], ids=lambda call: call.verb)
async def test_other_writes_are_not_repeated_after_a_failure(server: Scripted, call: Call) -> None:
    """Whether they arrived is not known: the flow looks before it does them again."""
    server.handler = answers(lambda: status(503), fine)
    async with server.client() as client:
        with pytest.raises(ports.ClusterUnavailable):
            await client.send(call)
    assert len(server.requests) == 1


async def test_throttled_requests_wait_as_long_as_the_server_says(server: Scripted) -> None:
    """429 says that nothing was done: any request is sent again, after what Retry-After says."""
    throttled: set[str] = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path in throttled:
            return fine()
        throttled.add(request.path)
        answer = status(429, "slow down", "TooManyRequests")
        answer.headers["Retry-After"] = "1"
        return answer

    server.handler = handler
    async with server.client() as client:
        begun = time.monotonic()
        calls = [replace(call, path=f"/{call.verb}") for call in (READ, APPLY, PATCH, CREATE, DELETE)]
        assert {answer.code for answer in await asyncio.gather(*map(client.send, calls))} == {200}
        assert time.monotonic() - begun >= 1.0
    assert len(server.requests) == 10


async def test_a_long_retry_after_is_handed_to_the_caller(server: Scripted) -> None:
    """Nobody is held for minutes: the error says when to come back."""

    def throttled() -> web.Response:
        answer = status(429)
        answer.headers["Retry-After"] = "120"
        return answer

    server.handler = answers(throttled)
    async with server.client() as client:
        with pytest.raises(ports.ClusterUnavailable) as caught:
            await client.send(APPLY)
    assert caught.value.after == 120.0
    assert len(server.requests) == 1


async def test_it_gives_up_after_a_few_attempts(server: Scripted) -> None:
    """A server that stays away is told to the flow, which has its own backoff."""
    server.handler = answers(lambda: status(503, "no"))
    async with server.client() as client:
        with pytest.raises(ports.ClusterUnavailable, match="could not apply x now: no"):
            await client.send(APPLY)
    assert len(server.requests) == 4


async def test_a_typed_patch_that_fails_is_sent_once(server: Scripted) -> None:
    """500 without a reason would be a hot loop."""
    server.handler = answers(
        lambda: status(500, "failed to create typed patch object: .x: field not declared in schema")
    )
    async with server.client() as client:
        with pytest.raises(ports.ObjectRejected):
            await client.send(APPLY)
    assert len(server.requests) == 1


async def test_a_connection_that_the_server_closed_costs_an_apply_nothing(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old connection of the pool ends under a request: sent again at once on a new one."""
    left = [drop]

    async def handler(request: web.Request) -> web.StreamResponse:
        return await left.pop()(request) if left else fine()

    server.handler = handler
    async with server.client() as client:
        waits, wait = [], client._wait
        monkeypatch.setattr(client, "_wait", lambda *failed: waits.append(wait(*failed)) or waits[-1])
        assert (await client.send(APPLY)).code == 200
    assert waits == [0.0]


async def test_an_answer_cut_off_in_the_middle_is_not_an_answer(server: Scripted) -> None:
    """Half a body is told as an outage, never decoded."""

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"items":[')
        assert request.transport is not None
        request.transport.abort()
        return response

    server.handler = half
    async with server.client() as client:
        with pytest.raises(ports.ClusterUnavailable, match="ended in the middle"):
            await client.send(PATCH)


async def test_a_server_that_does_not_answer_is_left_at_the_deadline(server: Scripted) -> None:
    """The time-out is the request's, and whether a write arrived is not known."""

    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return fine()

    server.handler = silent
    slow = Call("apply", "/x", Asked("apply", "x"), method="PATCH", body=b"{}", timeout=0.2)
    async with server.client() as client:
        with pytest.raises(ports.ClusterUnavailable, match="no answer in time"):
            await client.send(slow)


async def test_nobody_there_is_told_with_the_address(server: Scripted) -> None:
    """A connection that is refused: which server, and in whose words."""
    async with Client(server.access()) as client:
        await server.__aexit__()
        with pytest.raises(ports.ClusterUnavailable, match=r"can't reach the API server at http://127.0.0.1:\d+"):
            await client.send(CREATE)
        server._runner = None
        await server.__aenter__()


async def test_a_redirect_is_not_followed(server: Scripted) -> None:
    """The token goes to the API server and nowhere else."""
    server.handler = answers(lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}))
    async with server.client() as client:
        with pytest.raises(ports.ClusterUnavailable, match="sends elsewhere"):
            await client.send(READ)
    assert len(server.requests) == 1


async def test_what_is_sent_along(server: Scripted) -> None:
    """Who asks, as whom, with which program; nothing compressed, no cookies."""
    server.handler = answers(fine)
    async with server.client() as client:
        await client.send(Call("get", "/x", Asked("read", "x"), user="system:serviceaccount:shop:deployer"))
    sent = server.headers[0]
    assert sent["Authorization"] == "Bearer secret-token"
    assert sent["Impersonate-User"] == "system:serviceaccount:shop:deployer"
    assert sent["User-Agent"] == f"windlass/{__version__}"
    assert sent["Accept-Encoding"] == "identity"
    assert "Cookie" not in sent


async def test_a_token_that_was_replaced_is_read_again_when_it_is_refused(server: Scripted, tmp_path: Path) -> None:
    """One 401 is not the caller's matter where the credentials can be had anew."""
    token = tmp_path / "token"
    token.write_text("old\n")

    async def handler(request: web.Request) -> web.StreamResponse:
        return fine() if request.headers["Authorization"] == "Bearer new" else status(401, "Unauthorized")

    server.handler = handler
    async with server.client(TokenFile(token)) as client:
        with pytest.raises(ports.NotAllowed):
            await client.send(READ)
        token.write_text("new\n")
        assert (await client.send(READ)).code == 200
    assert len(server.requests) == 4


async def test_no_write_goes_out_without_the_leadership(server: Scripted) -> None:
    """Asked again at each attempt, also of those that waited for their place; reads and the Lease go on."""
    leads = True

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal leads
        leads = False
        return status(503) if request.method == "PATCH" else fine()

    server.handler = handler
    async with server.client() as client:
        client.fence = lambda: leads
        with pytest.raises(ports.LeadershipLost):
            await client.send(APPLY)
        assert len(server.requests) == 1
        assert (await client.send(READ)).code == 200
        urgent = Call("update", "/x", Asked("update", "x"), method="PUT", body=b"{}", fenced=False, urgent=True)
        assert (await client.send(urgent)).code == 200


async def test_each_request_is_counted_once(server: Scripted) -> None:
    """Verb, kind, code and seconds, also of those that failed."""
    seen: list[tuple[str, str, int]] = []
    server.handler = answers(lambda: status(503), fine)
    async with server.client() as client:
        client.on_request = lambda verb, kind, code, seconds: seen.append((verb, kind, code))
        await client.send(APPLY)
    assert seen == [("apply", "xs", 503), ("apply", "xs", 200)]


async def test_writes_in_flight_are_bounded_and_halved_when_throttled(server: Scripted) -> None:
    """Never more than 32, and fewer as soon as the server says so."""
    flying = most = 0

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.01)
        flying -= 1
        return fine()

    server.handler = handler
    async with server.client() as client:
        await asyncio.gather(*(client.send(APPLY) for _ in range(300)))
        assert 20 <= most <= 32
        before = client.writes.limit
        client.writes.throttled(asyncio.get_running_loop().time())
        assert client.writes.limit == before / 2
        assert client.writes.in_flight == 0


def test_one_burst_of_throttling_is_one_sign() -> None:
    """Thirty answers of 429 to what was sent under one limit halve it once, and it recovers with use."""
    limiter = WriteLimiter()
    for _ in range(30):
        limiter.throttled(10.0)
    assert limiter.limit == 12.0
    limiter.throttled(20.0)
    limiter.throttled(30.0)
    assert limiter.limit == 3.0
    limiter.in_flight = 32
    for turn in range(2000):
        limiter.answered(0.01, 40.0 + turn)
    assert limiter.limit == 32.0


def test_slow_answers_lower_the_limit_but_not_to_nothing() -> None:
    """A slow webhook slows its own objects; the others keep some places."""
    limiter = WriteLimiter()
    for turn in range(100):
        limiter.answered(5.0, turn * 10.0)
    assert limiter.limit == 8.0


async def test_a_place_given_to_one_who_left_goes_to_the_next() -> None:
    """Cancelled waiters lose no place."""
    limiter = WriteLimiter()
    limiter.limit = 1.0
    order: list[int] = []

    async def writer(number: int) -> None:
        await limiter.enter()
        order.append(number)
        await asyncio.sleep(0.01)
        limiter.leave()

    tasks = [asyncio.create_task(writer(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 2, 4]
    assert limiter.in_flight == 0


async def test_what_only_tells_waits_for_what_is_done() -> None:
    """Events go when there is room, also those that came first; none is forgotten, and one left alone goes at once."""
    limiter = WriteLimiter()
    limiter.limit = 4.0
    order: list[str] = []

    async def write(name: str, *, later: bool) -> None:
        await limiter.enter(later=later)
        order.append(name)
        await asyncio.sleep(0.001)
        limiter.leave()

    await write("alone", later=True)
    first = [asyncio.create_task(write(f"apply-{number}", later=False)) for number in range(8)]
    await asyncio.sleep(0)
    events = [asyncio.create_task(write(f"event-{number}", later=True)) for number in range(3)]
    await asyncio.sleep(0)
    events[1].cancel()
    last = [asyncio.create_task(write(f"apply-{number}", later=False)) for number in range(8, 12)]
    await asyncio.gather(*first, *events, *last, return_exceptions=True)
    assert order == ["alone", *[f"apply-{number}" for number in range(12)], "event-0", "event-2"]
    assert limiter.in_flight == 0
