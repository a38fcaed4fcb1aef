"""Substitution: the forms, the types that values take, what is left alone, and that no value becomes structure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import bodies, rendered

from windlass.core.kinds.rendering import Render, Substitute, ValueRef
from windlass.ports import ClusterValues

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: "


def asked(*refs: ValueRef, **values: Any) -> Render:
    return Render(substitute=Substitute(values=values, from_=list(refs)))


def data(text: str, **values: Any) -> Any:
    result = rendered({"a.yaml": CONFIG + text}, settings=asked(**values))
    assert result.problems == []
    return bodies(result)[0]["data"]["x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${REGION}", "eu"),
        ('"${REGION}"', "eu"),
        ("in ${REGION}, ${REGION}.", "in eu, eu."),
        ("${MISSING:=dev}", "dev"),
        ("${MISSING:-dev}", "dev"),
        ("${MISSING:=}", ""),
        ('"${MISSING:=a b: c}"', "a b: c"),
        ("${EMPTY}", ""),
        ("${EMPTY:=dev}", "dev"),
        ("${REGION:=dev}", "eu"),
        ("$${REGION}", "${REGION}"),
        ('"$$${REGION}"', "$${REGION}"),
        ("$REGION", "$REGION"),
        ("$(REGION) $$(REGION)", "$(REGION) $$(REGION)"),
        ("$$ and $", "$$ and $"),
        ("${COUNT}", "3"),
        ("${FLAG}", "true"),
        ("${VERSION}", "1.10"),
    ],
)
def test_the_forms(text: str, expected: str) -> None:
    assert data(text, REGION="eu", EMPTY="", COUNT=3, FLAG=True, VERSION="1.10") == expected


def test_nothing_is_substituted_where_nobody_asks_for_it() -> None:
    assert bodies(rendered({"a.yaml": CONFIG + "${REGION}"}))[0]["data"]["x"] == "${REGION}"


def test_a_value_never_becomes_structure() -> None:
    hurt = 'x\n  y: "2"\nkind: Secret # {a: b}'
    (body,) = bodies(rendered({"a.yaml": CONFIG + "${HURT}"}, settings=asked(HURT=hurt)))
    assert body["data"] == {"x": hurt}
    # Nor is a value looked through once more.
    assert data("${A}", A="${B}", B="no") == "${B}"


@given(st.text(max_size=30))
def test_any_value_is_one_text(value: str) -> None:
    assert data("<${A}>", A=value) == f"<{value}>"


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: ${COUNT}
  paused: ${FLAG}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:${VERSION}
        env: [{name: COUNT, value: "${COUNT}"}]
        ports: [{containerPort: "${PORT}"}]
        readinessProbe: {tcpSocket: {port: "${PORT}"}}
        resources: {limits: {cpu: "${CPU}"}}
"""


@pytest.mark.parametrize("cluster", [False, True])
def test_a_whole_scalar_takes_the_type_of_its_field(cluster: bool) -> None:
    values: dict[str, Any] = {"COUNT": 3, "FLAG": False, "VERSION": 1.5, "PORT": 8080, "CPU": 2}
    if cluster:
        held = {name: str(value).lower().encode() for name, value in values.items()}
        settings, read = asked(ValueRef(config_map="vars")), ClusterValues({"ConfigMap/vars": held})
    else:
        settings, read = asked(**values), ClusterValues()
    result = rendered({"a.yaml": DEPLOYMENT}, settings=settings, values=read)
    assert result.problems == []
    spec = bodies(result)[0]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    assert (spec["replicas"], spec["paused"]) == (3, False)
    assert (container["image"], container["env"][0]["value"]) == ("web:1.5", "3")
    assert container["ports"][0]["containerPort"] == container["readinessProbe"]["tcpSocket"]["port"] == 8080
    assert container["resources"]["limits"]["cpu"] == "2"


def test_in_kinds_that_are_not_known_integers_and_booleans_are_taken_for_what_they_look_like() -> None:
    text = "apiVersion: x.io/v1\nkind: X\nmetadata: {name: a}\nspec: {" + (
        "num: '${N}', f: '${F}', v: '${V}', t: '${T}', s: '${S}', joined: '${N}${N}'}\n"
    )
    read = ClusterValues({"ConfigMap/vars": {"N": b"3", "F": b"false", "V": b"1.10", "S": b"007"}})
    (body,) = bodies(rendered({"a.yaml": text}, settings=asked(ValueRef(config_map="vars"), T="8080"), values=read))
    assert body["spec"] == {"num": 3, "f": False, "v": "1.10", "t": "8080", "s": "007", "joined": "33"}


def test_names_labels_and_annotations_are_text_in_every_kind() -> None:
    text = "apiVersion: x.io/v1\nkind: X\nmetadata: " + (
        "{name: '${NUM}', namespace: '${NUM}', labels: {a: '${NUM}', b: '${FLAG}'}, annotations: {a: '${NUM}'}}\n"
    )
    read = ClusterValues({"ConfigMap/vars": {"NUM": b"3", "FLAG": b"true"}})
    result = rendered({"a.yaml": text}, settings=asked(ValueRef(config_map="vars")), values=read)
    assert (result.problems, result.invalid) == ([], [])
    metadata = bodies(result)[0]["metadata"]
    assert (metadata["name"], metadata["namespace"], metadata["annotations"]["a"]) == ("3", "3", "3")
    assert {name: metadata["labels"][name] for name in ("a", "b")} == {"a": "3", "b": "true"}


def test_later_objects_win_and_values_of_the_application_win_over_all() -> None:
    read = ClusterValues(
        {"ConfigMap/one": {"A": b"1", "B": b"1", "C": b"1\n", "not a name": b"x"}, "Secret/two": {"B": b"2", "C": b"2"}}
    )
    refs = (ValueRef(config_map="one"), ValueRef(secret="two"), ValueRef(config_map="none", optional=True))
    result = rendered({"a.yaml": CONFIG + "${A}${B}${C}"}, settings=asked(*refs, C="3"), values=read)
    assert bodies(result)[0]["data"]["x"] == "123"


def test_keys_are_filled_in_too_and_may_not_collide() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  ${A}: '1'\n  b: '2'\n"
    assert bodies(rendered({"a.yaml": text}, settings=asked(A="c")))[0]["data"] == {"c": "1", "b": "2"}
    (problem,) = rendered({"a.yaml": text}, settings=asked(A="b")).problems
    assert (problem.what, problem.line) == ("the key ${A} comes to b, which is there already", 5)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("${GONE}", "the variable GONE is not known", "give it in spec.render.substitute, or write ${GONE:=default}"),
        ("${REGIN}", "the variable REGIN is not known", "did you mean REGION?"),
        ("${a.b}", "${a.b} is no variable that is known here", "write $${ for a literal ${"),
        ("${1}", "${1} is no variable", "write $${"),
        ("${REGION/e/f}", "${REGION/e/f} is no variable", "write $${"),
        ("${REGION:1:2}", "${REGION:1:2} is no variable", "write $${"),
        ("'${GONE:=${REGION}}'", "${GONE:=${REGION} is no variable", "write $${"),
        ("${", "a variable is not closed", "write $${"),
        ("x ${REGION", "a variable is not closed", "write $${"),
    ],
)
def test_what_is_not_known_is_told_with_its_place(text: str, what: str, hint: str) -> None:
    (problem,) = rendered({"b/a.yaml": CONFIG + text}, settings=asked(REGION="eu")).problems
    assert problem.what.startswith(what)
    assert problem.hint.startswith(hint)
    assert (problem.file, problem.line, problem.slug) == ("b/a.yaml", 6, "substitution")


@pytest.mark.parametrize(
    "note",
    [
        'annotations: {windlass.dev/substitute: "false"}',
        "annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}",
        "labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}",
    ],
)
def test_an_object_may_be_left_alone(note: str) -> None:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  {note}\ndata: {{x: '${{GONE}}'}}\n"
    result = rendered({"a.yaml": text}, settings=asked())
    assert (result.problems, result.invalid) == ([], [])
    assert bodies(result)[0]["data"]["x"] == "${GONE}"


def test_a_value_of_a_secret_makes_the_render_private_and_is_told_where_it_is_no_secret_any_more() -> None:
    read = ClusterValues({"Secret/s": {"TOKEN": b"hunter2"}, "ConfigMap/c": {"A": b"1"}})
    settings = asked(ValueRef(secret="s"), ValueRef(config_map="c"))
    assert "hunter2" not in repr(read)
    result = rendered({"a.yaml": CONFIG + "${TOKEN}"}, settings=settings, values=read)
    assert result.private
    (warning,) = result.warnings
    assert warning.what == "a value of a Secret is put into this ConfigMap, where it is no secret any more"
    into = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {x: '${TOKEN}'}\n"
    assert rendered({"a.yaml": into}, settings=settings, values=read).warnings == []
    read = ClusterValues({"ConfigMap/c": {"A": b"1"}})
    assert not rendered({"a.yaml": CONFIG + "${A}"}, settings=asked(ValueRef(config_map="c")), values=read).private


def test_text_made_to_grow_is_stopped() -> None:
    (problem,) = rendered({"a.yaml": CONFIG + "'" + "${A}" * 200 + "'"}, settings=asked(A="x" * 100_000)).problems
    assert problem.what == "what is put in comes to more than 16 MB"
