"""Which files are manifests: folders, patterns, kustomizations, and what is refused by name."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import rendered

from windlass.core.documents.globs import matches, name_matches


def config(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"


def names(files: dict[str, str], **more: object) -> list[str]:
    result = rendered(files, **more)
    assert result.problems == []
    return [one.ref.name for one in result.objects]


def test_folders_are_read_to_the_bottom_and_hidden_names_are_left_out() -> None:
    files = {
        "a.yaml": config("a"),
        "b/c/d.yml": config("d"),
        "b/e.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "e"}}',
        "b/readme.md": "x: 1",
        ".github/flow.yaml": "x: 1",
        "b/.hidden.yaml": "x: 1",
    }
    assert names(files) == ["a", "d", "e"]
    assert names(files, path="b") == ["d", "e"]
    assert names(files, path="b/c/") == ["d"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ((), (), ["a", "b", "c", "values"]),
        (("*.yaml",), (), ["a", "b", "c", "values"]),
        (("./*.yaml",), (), ["a", "values"]),
        (("x/**",), (), ["b", "c"]),
        (("x/*",), (), ["b", "c"]),
        (("x/*.yaml",), (), ["b"]),
        (("x/**/*.yaml",), (), ["b", "c"]),
        (("**/y/*",), (), ["c"]),
        ((), ("values.yaml",), ["a", "b", "c"]),
        ((), ("x",), ["a", "values"]),
        ((), ("y/",), ["a", "b", "values"]),
        (("x/**",), ("**/[c-d].yaml",), ["b"]),
        ((), ("?.yaml",), ["values"]),
        ((), ("[!v]*.yaml",), ["values"]),
    ],
)
def test_include_and_exclude(include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]) -> None:
    files = {f"top/{path}": config(Path(path).stem) for path in ("a.yaml", "values.yaml", "x/b.yaml", "x/y/c.yaml")}
    assert names(files, path="top", include=include, exclude=exclude) == expected


@given(st.text("ab*?", max_size=6), st.text("ab", max_size=6))
def test_a_pattern_matches_a_name_as_its_plain_meaning_says(pattern: str, name: str) -> None:
    def plainly(pattern: str, name: str) -> bool:
        if not pattern:
            return not name
        if pattern[0] == "*":
            return any(plainly(pattern[1:], name[cut:]) for cut in range(len(name) + 1))
        return bool(name) and pattern[0] in ("?", name[0]) and plainly(pattern[1:], name[1:])

    assert name_matches(pattern, name) is plainly(pattern, name)


def test_a_pattern_made_to_hurt_ends() -> None:
    start = time.process_time()
    assert not matches("**/" * 50 + "*a" * 100 + "b", "/".join(["a" * 100] * 20))
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("path", "text", "what", "exclude"),
    [
        ("chart/Chart.yaml", "name: x\n", "a Helm chart stands among plain manifests", "chart"),
        ("x/main.jsonnet", "{}", "a Jsonnet file stands among plain manifests", "x/main.jsonnet"),
        ("x/link.yaml", "->../secret", "link.yaml is a symbolic link, which is not rendered yet", "x/link.yaml"),
        ("x/base", "->../base", "base is a symbolic link", "x/base"),
    ],
)
def test_what_is_not_plain_is_refused_by_name(path: str, text: str, what: str, exclude: str) -> None:
    files = {path: text, "chart/templates/a.yaml": "a: {{ .Values.x }}\n", "b.yaml": config("b")}
    if not path.startswith("chart"):
        del files["chart/templates/a.yaml"]
    (problem,) = rendered(files).problems
    assert problem.what.startswith(what)
    assert (problem.file, problem.slug) == (path, "not-plain")
    assert f'source.exclude: ["{exclude}"]' in problem.hint
    assert names(files, exclude=(exclude,)) == ["b"]


def test_a_link_to_something_else_than_manifests_is_no_matter() -> None:
    assert names({"readme.md": "->../x.md", "a.yaml": config("a")}) == ["a"]


def test_a_folder_that_is_not_there_is_told_with_what_is() -> None:
    files = {"apps/shop/a.yaml": config("a"), "apps/blog/a.yaml": config("a")}
    (problem,) = rendered(files, path="apps/shoop").problems
    assert (problem.what, problem.hint) == ("there is no folder apps/shoop", "in apps there are: blog, shop")
    assert problem.slug == "path-missing"
    (problem,) = rendered(files, path="apps/shop/a.yaml").problems
    assert problem.hint == 'path: apps/shop, include: ["a.yaml"]'


def test_an_empty_folder_renders_to_nothing_and_says_nothing() -> None:
    result = rendered({"a/readme.md": ""}, path="a")
    assert (result.objects, result.problems) == ([], [])


@pytest.mark.parametrize("path", ["../x", "a/../../b", "a\\b", "a/.git"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    (problem,) = rendered({"a.yaml": config("a")}, path=path).problems
    assert problem.slug == "bad-path"
    assert problem.hint


def test_a_link_in_the_path_is_followed_inside_and_is_in_the_trace() -> None:
    files = {"current": "->versions/2", "versions/2/a.yaml": config("a")}
    result = rendered(files, path="current")
    assert [one.ref.name for one in result.objects] == ["a"]
    assert "current" in result.read
    (problem,) = rendered({"out": "->../../etc"}, path="out").problems
    assert problem.slug == "bad-path"
