"""Jsonnet: what a file comes to, where its imports may lead, what is in the trace, and code made to hurt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import MemoryTree, bodies, rendered, request

from windlass.adapters.git.trace import Trace
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.steps import render
from windlass.core.kinds.rendering import Jsonnet, Render
from windlass.ports import OtherSource

MAKE = "local map(name) = {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: name}, data: {a: '1'}};\n"


def names(files: dict[str, str], **more: Any) -> list[str]:
    result = rendered(files, **more)
    assert result.problems == []
    return [one.ref.name for one in result.objects]


def set_to(**fields: Any) -> Render:
    return Render(jsonnet=Jsonnet(**fields))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("map('a')", ["a"]),
        ("[map('a'), map('b')]", ["a", "b"]),
        ("{x: map('a'), y: {z: map('b')}, none: null}", ["a", "b"]),
        ("{apiVersion: 'v1', kind: 'List', items: [map('a'), map('b')]}", ["a", "b"]),
        ("[[map('a')], {b: [map('b')]}]", ["a", "b"]),
        ("{}", []),
        ("null", []),
    ],
)
def test_a_file_comes_to_one_object_or_many(code: str, expected: list[str]) -> None:
    assert names({"main.jsonnet": MAKE + code}) == expected


def test_every_jsonnet_file_of_the_folder_counts_and_none_below() -> None:
    files = {
        "app/a.jsonnet": MAKE + "map('a')",
        "app/b.jsonnet": MAKE + "map('b')",
        "app/lib.libsonnet": "error 'not asked for'",
        "app/below/c.jsonnet": MAKE + "map('c')",
    }
    assert names(files, path="app") == ["a", "b"]
    assert names(files, path="app", include=("./b.jsonnet",)) == ["b"]
    assert names(files, path="app", exclude=("b.jsonnet",)) == ["a"]


def test_arguments_are_text_or_values() -> None:
    code = "function(name, count) {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: name}, data: " + (
        "{count: std.toString(count + 1), env: std.extVar('env'), all: std.manifestJsonMinified(std.extVar('all'))}}"
    )
    result = rendered(
        {"main.jsonnet": code},
        settings=set_to(top_level={"name": "a", "count": 2}, external={"env": "1", "all": {"x": [True, None]}}),
    )
    assert bodies(result)[0]["data"] == {"count": "3", "env": "1", "all": '{"x":[true,null]}'}


def test_imports_are_found_beside_the_file_then_in_the_libraries_the_last_first() -> None:
    files = {
        "app/main.jsonnet": "local make = import 'make.libsonnet'; [make.one(importstr 'name.txt'), (import 'all').x]",
        "app/make.libsonnet": "local deep = import 'deep/er.libsonnet'; {one(name): deep.make(name)}",
        "app/deep/er.libsonnet": MAKE + "local up = import '../make.libsonnet'; {make(name): map(name)}",
        "app/name.txt": "a",
        "one/all": MAKE + "{x: map('one')}",
        "two/all": MAKE + "{x: map('two')}",
    }
    assert names(files, path="app", settings=set_to(libs=["/one", "../two"])) == ["a", "two"]
    assert names(files, path="app", settings=set_to(libs=["/two", "/one"])) == ["a", "one"]


def test_what_was_looked_for_is_in_the_trace() -> None:
    files = {
        "app/main.jsonnet": "(import 'all.libsonnet').x",
        "one/all.libsonnet": MAKE + "{x: map('one')}",
        "two/other": "",
        "unrelated": "1",
    }
    result = rendered(files, path="app", settings=set_to(libs=["/one", "/two"]))
    assert set(result.read) == {
        "app/",
        "app/main.jsonnet",
        "app/all.libsonnet",
        "two/all.libsonnet",
        "one/all.libsonnet",
    }
    assert result.read["two/all.libsonnet"] == ""
    trace = Trace(result.read)
    assert trace.holds(MemoryTree(files | {"unrelated": "2"}))
    assert not trace.holds(MemoryTree(files | {"two/all.libsonnet": "{x: null}"}))
    assert not trace.holds(MemoryTree(files | {"app/new.jsonnet": "{}"}))


def test_a_library_may_be_in_another_repository_with_a_trace_of_its_own() -> None:
    asked = request(
        path="app", settings=set_to(libs=["$lib/vendor"]), others={"lib": OtherSource("libraries", "", "b" * 40)}
    )
    files = {"app/main.jsonnet": "(import 'all.libsonnet').x"}
    lib = {"vendor/all.libsonnet": MAKE + "(import 'two.libsonnet') + {x: map('lib')}", "vendor/two.libsonnet": "{}"}
    result = render(asked, MemoryTree(files), Documents(), lambda paths: {}, {"lib": MemoryTree(lib)})
    assert result.problems == []
    assert [one.ref.name for one in result.objects] == ["lib"]
    assert result.others["lib"].commit == "b" * 40
    assert set(result.others["lib"].read) == {"vendor/all.libsonnet", "vendor/two.libsonnet"}
    (problem,) = rendered(files, path="app", settings=set_to(libs=["$lib/vendor"])).problems[:1]
    assert problem.slug == "source-unknown"


# (code, what, file, line)
WRONG = [
    ("{a: 1", "Jsonnet: syntax error", "app/main.jsonnet", 1),
    ("{\n  a: error 'no \x1b[31mway'}", "Jsonnet: no way", "app/main.jsonnet", 2),
    ("local x = 1;\nimport 'gone.libsonnet'", "there is no file gone.libsonnet to import", "app/main.jsonnet", 2),
    ("import '../../etc/passwd'", "the import of ../../etc/passwd leads out of the repository", "app/main.jsonnet", 1),
    ("import '/etc/passwd'", "an import by the absolute path /etc/passwd", "app/main.jsonnet", 1),
    ("import '/0/app/lib.libsonnet'", "an import by the absolute path", "app/main.jsonnet", 1),
    ("import 'link.libsonnet'", "the link leads out of the repository", "app/main.jsonnet", 1),
    ("(import 'lib.libsonnet').f(0)", "Jsonnet: lib says 0", "app/lib.libsonnet", 2),
    ("importstr 'bytes'", "app/bytes is not UTF-8 text", "app/main.jsonnet", 1),
    ("std.extVar('env')", "Jsonnet: external variable is not defined: env", "app/main.jsonnet", 1),
    ("function(name) name", "Jsonnet: function argument is not passed: name", "app/main.jsonnet", 0),
    ("local f(x) = f(x + 1) + 1; f(0)", "Jsonnet: stack overflow", "app/main.jsonnet", 1),
    ("[" * 1001 + "]" * 1001, "app/main.jsonnet has more than 1000 brackets", "app/main.jsonnet", 0),
    ("{a: 1e400}", "what it evaluates to can't be read", "app/main.jsonnet", 0),
    ("{a: {b: 3}}", "a.b is no Kubernetes object", "app/main.jsonnet", 1),
    ("{a: [" + "[" * 40 + "]" * 40 + "]}", "a[0][0]", "app/main.jsonnet", 1),
    ("local f(n) = if n == 0 then 'x' else [f(n - 1)]; f(60)", "[0]", "app/main.jsonnet", 1),
    ("3", "what it evaluates to is no Kubernetes object", "app/main.jsonnet", 1),
    ("{kind: 'ConfigMap', metadata: {name: 'a'}}", "apiVersion is missing", "app/main.jsonnet", 1),
]


@pytest.mark.parametrize(("code", "what", "file", "line"), WRONG)
def test_wrong_code_is_told_with_its_place(code: str, what: str, file: str, line: int) -> None:
    files: dict[str, str | bytes] = {
        "app/main.jsonnet": code,
        "app/lib.libsonnet": "{f(x):\n  error 'lib says ' + x}",
        "app/link.libsonnet": "->../../etc/passwd",
        "app/bytes": b"\xff\xfe",
    }
    result = rendered(files, path="app")
    (problem,) = result.problems
    assert problem.what.startswith(what)
    assert (problem.file, problem.line) == (file, line)
    assert "\x1b" not in problem.what


def test_functions_that_only_newer_evaluators_have_are_there_in_libraries_too() -> None:
    files = {
        "a/main.jsonnet": MAKE
        + "local lib = import 'lib.libsonnet';\nmap(std.trim(' a ') + lib.name + '-' + std.round(std.pi))",
        "a/lib.libsonnet": "{ name: std.strReplace(std.thisFile, '/', '-'), deep:: std.flattenDeepArray([1, [2]]) }",
    }
    assert names(files, path="a") == ["aa-lib.libsonnet-3"]
    (problem,) = rendered({"main.jsonnet": "std.trim('a') +\n error 'here'"}).problems
    assert (problem.what, problem.line) == ("Jsonnet: here", 2)


def test_jsonnet_and_manifests_side_by_side_are_two_readings() -> None:
    files = {"main.jsonnet": MAKE + "map('a')", "b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"}
    (problem,) = rendered(files).problems
    assert (problem.what, problem.slug) == (
        "main.jsonnet and b.yaml stand side by side: is it jsonnet or plain?",
        "two-readings",
    )
    assert problem.hint.endswith("spec.render.jsonnet: {} or spec.render.plain: {}")
    assert names(files, settings=set_to()) == ["a"]
    assert names(files, exclude=("b.yaml",)) == ["a"]
    (problem,) = rendered({"b.yaml": ""}, settings=set_to()).problems
    assert problem.what == "spec.render says jsonnet, and the repository has no *.jsonnet"


@settings(max_examples=150, deadline=None)
@given(st.text("{}[]()'\"|:;,=+-! abfx01\n\\/*$@%", max_size=80) | st.text(max_size=40))
def test_whatever_is_written_there_is_a_word_or_an_object(code: str) -> None:
    result = rendered({"main.jsonnet": code})
    assert all(problem.file == "main.jsonnet" for problem in result.problems)
