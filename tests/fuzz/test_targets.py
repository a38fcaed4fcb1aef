"""Bad input of safety.md 1, 3, 4, 5, 6, 7: each parser refuses what it can't read with its own error, and soon."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fuzz import targets

LONGEST = 8.0
"""Seconds of CPU for one input of a few thousand bytes: many times what any needs, and far from a freeze. What other
processes take meanwhile does not count."""

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
NAMES = st.sampled_from(
    [
        "metadata",
        "name",
        "namespace",
        "labels",
        "annotations",
        "spec",
        "status",
        "kind",
        "items",
        "conditions",
        "object",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def spoilt(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with pieces cut out, doubled, swapped or overwritten."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        match draw(st.integers(0, 3)):
            case 0:
                del data[start:end]
            case 1:
                data[start:start] = data[start:end] * draw(st.integers(1, 40))
            case 2:
                data[start:end] = draw(st.binary(max_size=6))
            case _:
                data[start:start] = draw(
                    st.sampled_from([b"{", b"[", b"\n", b"\0", b"-", b"..", b"&a", b"*a", b"\xff", b"9" * 40])
                )
    return bytes(data)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_a_parser_raises_its_own_errors_only_and_soon(name: str) -> None:
    seeds = list(targets.TARGETS[name][2])
    inputs = st.binary(max_size=200) | spoilt(seeds) | VALUES.map(lambda value: json.dumps(value).encode())

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=inputs)
    @example(data=b"")
    def check(data: bytes) -> None:
        begun = time.thread_time()
        targets.run(name, data)
        assert time.thread_time() - begun < LONGEST

    check()


BOMBS = {
    "braces": b"[" * 5000,
    "maps": b'{"a":' * 5000,
    "flow": b"{a: " * 3000,
    "indents": b"\n".join(b" " * depth + b"a:" for depth in range(3000)),
    "aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(8)),
    "stars": b"*" * 3000,
    "alternatives": b"(a|" * 1000,
    "digits": b"9" * 5000,
    "dashes": b"- " * 3000,
    "dots": b"../" * 2000,
    "surrogates": b'"\\ud800"' * 500,
    "not a number": b"[NaN, Infinity, -Infinity, 1e999999]",
    "one key twice": b'{"a":1,"a":2}',
    "marks": b"\xef\xbb\xbf\xef\xbb\xbfa: 1",
    "nothing": b"\0" * 4000,
    "glob": b"**/" * 200 + b"x\0" + b"a/" * 200,
    "stars and letters": b"*a" * 200 + b"\0" + b"a" * 400,
}


@pytest.mark.parametrize("name", targets.TARGETS)
def test_every_seed_is_taken_or_refused_soon(name: str) -> None:
    for seed in targets.TARGETS[name][2]:
        begun = time.thread_time()
        targets.run(name, seed)
        assert time.thread_time() - begun < LONGEST


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("name", targets.TARGETS)
def test_what_is_made_to_hurt_is_refused_soon(name: str, bomb: str) -> None:
    begun = time.thread_time()
    targets.run(name, BOMBS[bomb])
    assert time.thread_time() - begun < LONGEST
