"""CEL expressions: what they give, and that an error never passes for a yes."""

from __future__ import annotations

import pytest

from windlass.core.cel import CelError, compile_expression


@pytest.mark.parametrize(
    ("text", "self", "value"),
    [
        ("self.a > 1", {"a": 2}, True),
        ("has(self.b)", {"a": 2}, False),
        ("self.?a.orValue(1)", {}, 1),
        ("self.t.isSorted()", {"t": [1, 2]}, True),
        ("self.t.sum()", {"t": [1, 2]}, 3),
        ("self.s.lowerAscii()", {"s": "A"}, "a"),
        ("self.s.matches('^[a-z]+$')", {"s": "abc"}, True),
    ],
)
def test_an_expression_gives_a_value(text: str, self: object, value: object) -> None:
    assert compile_expression(text, ("self",)).value({"self": self}) == value


@pytest.mark.parametrize(
    ("text", "self"), [("self.a > 1", {"a": "x"}), ("self.none", {}), ("1 / 0 == 1", {}), ("self.a", {"a": "yes"})]
)
def test_what_is_no_clear_yes_or_no_is_an_error(text: str, self: object) -> None:
    program = compile_expression(text, ("self",))
    with pytest.raises(CelError):
        program.ask({"self": self})


@pytest.mark.parametrize("text", ["self.", "unknown == 1", "self.a +", "x" * 20_000])
def test_what_can_not_be_compiled_is_refused(text: str) -> None:
    with pytest.raises(CelError):
        compile_expression(text, ("self",))


def test_loops_in_loops_end_at_a_budget() -> None:
    program = compile_expression("self.all(a, self.all(b, self.all(c, self.all(d, true))))", ("self",))
    with pytest.raises(CelError, match="budget"):
        program.ask({"self": list(range(200))})
