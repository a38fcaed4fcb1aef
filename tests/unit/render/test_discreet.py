"""No secret gets through a message, in any of the forms that messages give it; what is none stays."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from windlass.adapters.render.discreet import MASK, WITHHELD, discreet
from windlass.adapters.render.typing_of import shown
from windlass.core.model import Problem

SECRET = st.text("abcdefgh0123 !/+=\"'\\n", min_size=6, max_size=80).filter(lambda text: len(set(text.strip())) > 3)


def told(what: str, *secrets: str, hint: str = "") -> Problem:
    (one,) = discreet([Problem(what, "a.yaml", 3, hint=hint)], secrets)
    return one


def test_a_secret_is_taken_out_and_the_rest_stays() -> None:
    one = told('replicas must be an integer, not "hunter2"', "hunter2", hint="replicas: 3")
    assert (one.what, one.hint, one.file, one.line) == (
        f'replicas must be an integer, not "{MASK}"',
        "replicas: 3",
        "a.yaml",
        3,
    )
    assert told("not hunter2", "other").what == "not hunter2"


def test_a_secret_that_was_mended_into_a_hint_is_known_by_what_is_left_of_it() -> None:
    assert told("wrong", "correct horse battery", hint="name: correct-horse-battery").hint == ""
    assert told("it says CORRECT_HORSE_BATTERY", "correct horse battery").what == WITHHELD


@given(SECRET, st.sampled_from([str, json.dumps, shown, lambda text: text[:40]]))
def test_whatever_form_a_message_gives_it(secret: str, form: object) -> None:
    assert callable(form)
    what = f"the value {form(secret)} is wrong"
    for line in secret.split("\n"):
        if len(line) >= 4 and line not in "the value is wrong" and line not in WITHHELD:
            assert line not in told(what, secret).what


def test_texts_of_very_many_lines_are_not_looked_for_but_withheld() -> None:
    many = "\n".join(f"line {number:06}" for number in range(6000))
    assert "line 000001" not in told("line 000001 is wrong", many).what
    assert discreet([], [many]) == []
