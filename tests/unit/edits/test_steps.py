"""Intents: what is to be so in Git, made of any tip, and nothing the second time."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.core.documents import DocumentError, EditRefused
from windlass.core.edits import (
    AddItem,
    AddObject,
    DropFile,
    DropObject,
    Intent,
    PathFenced,
    PutFile,
    RemoveField,
    RemoveItem,
    Restore,
    SetField,
    Step,
    Target,
    apply,
    check_fence,
)
from windlass.core.edits.intents import Home, expire, hold_off, ignore, let_go, pin, unpin

APP = Target("windlass.dev", "Application", "shop", "shop")
HOME = Home("apps/shop.yaml", APP)
TEXT = b"""\
# ours
apiVersion: windlass.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  source: {repository: config, path: apps/shop}  # where
"""
FILES = {"apps/shop.yaml": TEXT}
COMMIT = "3f2c1ab0c7d64ab2a1f0a4b5c6d7e8f901234567"


def intent(*steps: Step) -> Intent:
    return Intent(id="i", verb="v", about="a", summary="s", steps=steps)


def after(given_: dict[str, bytes], *intents: Intent) -> dict[str, bytes]:
    files = dict(given_)
    for one in intents:
        for path, data in apply(one, files).items():
            if data is None:
                files.pop(path)
            else:
                files[path] = data
    return files


def spec(files: dict[str, bytes]) -> Any:
    return yaml.safe_load(files["apps/shop.yaml"])["spec"]


def test_what_is_begun_and_ended_leaves_the_file_as_it_was() -> None:
    held = {"until": "2099-01-01", "reason": "r", "by": "ada"}
    item = {"kind": "Deployment", "name": "web", "fields": ["/spec/replicas"], **held}
    begun = after(
        FILES, pin(HOME, COMMIT, identity="1", reason="r"), hold_off(HOME, "suspend", identity="2", **held),
        ignore(HOME, item, identity="3"),
    )  # fmt: skip
    assert spec(begun)["source"]["at"] == COMMIT
    assert (spec(begun)["suspend"], spec(begun)["ignore"]) == (held, [item])
    ended = after(begun, unpin(HOME, identity="4"), expire(HOME, identity="5", ended={"suspend": held}, ignored=[item]))
    assert ended == FILES


def test_an_exception_that_was_prolonged_is_not_taken_out() -> None:
    held = {"until": "2099-01-01", "reason": "r", "by": "ada"}
    longer = after(FILES, hold_off(HOME, "suspend", identity="1", **{**held, "until": "2099-02-01"}))
    assert after(longer, expire(HOME, identity="2", ended={"suspend": held}, ignored=[])) == longer
    assert after(longer, let_go(HOME, ("suspend", "freeze"), identity="3")) == FILES


def test_a_list_with_its_last_item_goes_and_the_same_item_stands_once() -> None:
    one = {"kind": "A", "name": "a", "reason": "x"}
    add = AddItem(file="apps/shop.yaml", target=APP, path=("spec", "l"), value=one, same=("kind", "name"))
    other = AddItem(
        file="apps/shop.yaml", target=APP, path=("spec", "l"), value={**one, "reason": "y"}, same=("kind", "name")
    )
    assert spec(after(FILES, intent(add), intent(other)))["l"] == [{**one, "reason": "y"}]
    gone = RemoveItem(file="apps/shop.yaml", target=APP, path=("spec", "l"), given={"name": "a"})
    assert after(FILES, intent(add), intent(gone)) == FILES


def test_a_file_is_listed_in_the_kustomization_of_its_folder_and_taken_out_of_it() -> None:
    files = {**FILES, "apps/kustomization.yaml": b"resources:\n- shop.yaml # the shop\n"}
    new = TEXT.replace(b"name: shop", b"name: new")
    added = after(files, intent(AddObject(file="apps/new.yaml", data=new)))
    assert added["apps/kustomization.yaml"] == b"resources:\n- shop.yaml # the shop\n- new.yaml\n"
    target = Target("windlass.dev", "Application", "shop", "new")
    assert after(added, intent(DropObject(file="apps/new.yaml", target=target))) == files


@pytest.mark.parametrize(
    ("step", "files", "told"),
    [
        (SetField(file="x.yaml", target=APP, path=("a",), value=1), {}, "not in the repository any more"),
        (
            SetField(file="x.yaml", target=APP, path=("a",), value=1),
            {"x.yaml": b"a: 1\n"},
            "is not written in this file",
        ),
        (SetField(file="x.yaml", target=APP, path=("a",), value=1), {"x.yaml": TEXT + b"---\n" + TEXT}, "2 times"),
        (SetField(file="x.yaml", target=APP, path=("a",), value=1), {"x.yaml": b"{broken"}, "this is not"),
        (SetField(file="x.yaml", target=None, path=("a",), value=1), {"x.yaml": b"a: 1\n---\nb: 1\n"}, "2 documents"),
        (PutFile(file="x.yaml", data=b"a"), {"x.yaml": b"b"}, "another file of this name"),
        (Restore(file="x.yaml", now=b"a", was=b"b"), {"x.yaml": b"c"}, "has changed since"),
        (DropObject(file="x.yaml", target=APP), {"x.yaml": TEXT + b"---\na: 1\n"}, "2 documents"),
    ],
)
def test_what_can_not_be_meant_is_refused_with_its_file(step: Step, files: dict[str, bytes], told: str) -> None:
    with pytest.raises(DocumentError, match=told) as caught:
        apply(intent(step), files)
    assert caught.value.where.file == "x.yaml"


def test_an_object_inside_a_list_is_found_and_the_namespace_tells_two_apart() -> None:
    two = (
        b"kind: List\nitems:\n- {apiVersion: windlass.dev/v1alpha1, kind: Application, metadata: {name: shop, "
        b"namespace: other}}\n- apiVersion: windlass.dev/v1alpha1\n  kind: Application\n  metadata: {name: shop, "
        b"namespace: shop}\n"
    )
    files = {"l.yaml": two}
    made = apply(intent(SetField(file="l.yaml", target=APP, path=("spec", "a"), value=1)), files)["l.yaml"]
    assert made == two + b"  spec:\n    a: 1\n"


def test_the_fence_is_meant_from_the_root_on() -> None:
    check_fence(["apps/shop/staging/web.yaml", "README"], ["apps/*/staging", "README"])
    for path in ("other/apps/shop/staging/x", "apps/shop/prod/x", "docs/README", "apps/a/b/staging/x"):
        with pytest.raises(PathFenced):
            check_fence([path], ["apps/*/staging", "README"])
    with pytest.raises(PathFenced):
        check_fence(["a"], [])


steps = st.one_of(
    st.builds(
        SetField, file=st.just("apps/shop.yaml"), target=st.just(APP),
        path=st.sampled_from([("spec", "a"), ("spec", "source", "at"), ("spec", "m", "n"), ("metadata", "y")]),
        value=st.sampled_from(["x", "1e3", 1, True, None, {"k": ["v"]}, [], {}]),
    ),
    st.builds(
        RemoveField, file=st.just("apps/shop.yaml"), target=st.just(APP),
        path=st.sampled_from([("spec", "a"), ("spec", "source", "at"), ("spec", "m"), ("spec", "source")]),
    ),
    st.builds(
        AddItem, file=st.just("apps/shop.yaml"), target=st.just(APP), path=st.just(("spec", "l")),
        value=st.fixed_dictionaries({"name": st.sampled_from("abc"), "v": st.integers(0, 3)}), same=st.just(("name",)),
    ),
    st.builds(
        RemoveItem, file=st.just("apps/shop.yaml"), target=st.just(APP), path=st.just(("spec", "l")),
        given=st.fixed_dictionaries({"name": st.sampled_from("abc")}),
    ),
    st.builds(PutFile, file=st.just("new.yaml"), data=st.just(b"a: 1\n")),
    st.builds(DropFile, file=st.just("new.yaml")),
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=3), min_size=1, max_size=5))
def test_an_intent_that_was_applied_changes_nothing_the_second_time(many: list[list[Any]]) -> None:
    files = dict(FILES)
    for each in many:
        one = intent(each[-1])
        try:
            files = after(files, one)
        except EditRefused:
            continue
        assert apply(one, files) == {}
        assert files["apps/shop.yaml"].startswith(b"# ours\n")


BASE = TEXT.replace(b"{name: shop}", b"{name: shop, namespace: base}")


@pytest.mark.parametrize(
    ("data", "own", "other", "shared"),
    [
        (TEXT, ("live", "shop"), ("stage", "shop"), True),  # the namespace comes from outside the file
        (TEXT, ("live", "shop"), ("live", "eu-shop"), True),  # an overlay has a prefix
        (TEXT + b"---\n" + BASE, ("live", "shop"), ("base", "shop"), False),
        (TEXT + b"---\n" + BASE, ("base", "shop"), ("live", "shop"), False),
        (TEXT + b"---\n" + TEXT.replace(b"name: shop", b"name: shop-eu"), ("live", "shop"), ("live", "shop-eu"), False),
    ],
)
def test_what_two_objects_are_made_of_is_changed_for_neither(
    data: bytes, own: tuple[str, str], other: tuple[str, str], shared: bool
) -> None:
    beside = Target("windlass.dev", "Application", *other)
    home = Home("apps/shop.yaml", Target("windlass.dev", "Application", *own, (beside,)))
    files = {"apps/shop.yaml": data}
    held = {"until": "2099-01-01", "reason": "r", "by": "ada"}
    for one in (pin(home, COMMIT, identity="1", reason="r"), hold_off(home, "suspend", identity="2", **held)):
        if not shared:
            assert apply(one, files)
            continue
        names = f"{'/'.join(own)} and {'/'.join(other)}"
        with pytest.raises(EditRefused, match=f"^{names} come of the same text") as refused:
            apply(one, files)
        assert refused.value.hint.startswith(f"write it where only {'/'.join(own)} is made")
