"""The documentation is held to the program: every error, reason, event, metric, setting and command has its entry."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

import windlass
from windlass.cli import COMMANDS, group
from windlass.core.kinds.pages import pages
from windlass.core.kinds.reasons import Reason
from windlass.core.model.events import KINDS

ROOT = Path(__file__).parents[3]
SOURCE = Path(windlass.__file__).parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "changes").glob("*.md")])
SLUG = re.compile(r"[a-z]+(?:-[a-z]+)*")
REPORTS = {"_problem", "_bad", "problem"}
"""The functions that a render tells its findings by: a slug may stand among their arguments without its name."""
KEPT = (ast.AnnAssign, ast.Call, ast.Constant, ast.FunctionDef)
"""The kinds of nodes that are looked for."""


@cache
def trees() -> dict[Path, ast.Module]:
    """Every module of the product: the devstack speaks Kubernetes' words, not ours."""
    return {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
        if "devstack" not in path.parts
    }


@cache
def every() -> dict[type[ast.AST], list[ast.AST]]:
    """All nodes by their kind, of one walk: there are a million."""
    found: dict[type[ast.AST], list[ast.AST]] = {}
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, KEPT):
                found.setdefault(type(node), []).append(node)
    return found


def nodes(kind: type[ast.AST]) -> Iterator[ast.AST]:
    assert kind in KEPT
    yield from every().get(kind, [])


def text_of(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def slugs() -> set[str]:
    """By the syntax trees: ``slug`` of classes and structs, keywords and defaults of that name, and among arguments."""
    found: set[str] = set()
    for node in nodes(ast.AnnAssign):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "slug":
            found.add(text_of(node.value))
    for node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        found.update(text_of(keyword.value) for keyword in node.keywords if keyword.arg == "slug")
        if isinstance(node.func, ast.Attribute) and node.func.attr in REPORTS:
            words = [text_of(argument) for argument in node.args]
            found.update(word for word in words if "-" in word and SLUG.fullmatch(word))
    for node in nodes(ast.FunctionDef):
        assert isinstance(node, ast.FunctionDef)
        named = [*node.args.posonlyargs, *node.args.args]
        pairs = zip(named[::-1], node.args.defaults[::-1], strict=False)
        found.update(text_of(default) for argument, default in pairs if argument.arg == "slug")
        keyed = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        found.update(text_of(default) for argument, default in keyed if argument.arg == "slug")
    return found - {""}


def headings(page: Path, level: str = "#+") -> list[str]:
    """The headings of a page outside its fenced blocks."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(rf"^{level} (.+?)\s*$", text, flags=re.MULTILINE)


def test_every_error_has_its_heading_and_no_heading_is_without_an_error() -> None:
    told = headings(DOCS / "errors.md", "###")
    assert len(told) == len(set(told)), "a heading stands twice"
    assert slugs() - set(told) == set(), "say in docs/errors.md what it says, why, and what to do"
    assert set(told) - slugs() == set(), "no error has this slug any more"


def test_every_error_shows_an_example_that_links_to_itself() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    parts = re.split(r"^### (.+)$", text, flags=re.MULTILINE)[1:]
    for slug, body in zip(parts[::2], parts[1::2], strict=True):
        block = re.search(r"^```\n(error: .+?)^```$", body, flags=re.MULTILINE | re.DOTALL)
        assert block, f"{slug} has no example"
        assert slug == "error" or f"docs/errors.md#{slug}\n" in block[1], f"the example of {slug} links elsewhere"


def test_every_reason_of_a_condition_is_documented() -> None:
    text = (DOCS / "kinds" / "conditions.md").read_text(encoding="utf-8")
    assert [reason.value for reason in Reason if f"| `{reason.value}` |" not in text] == []


def test_the_pages_of_the_kinds_are_what_their_structs_say() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "kinds").glob("*.md")}
    assert written == pages(), "run: .venv/bin/python tools/make_docs.py"


def event_reasons() -> set[str]:
    """The reasons of Kubernetes Events: the second argument of ``event`` of the flows; "" stands for a condition's."""
    found: set[str] = set()
    for path, tree in trees().items():
        if "flows" not in path.parts:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "event":
                given = node.args[1]
                named = re.fullmatch(r"Reason\.([A-Z_]+)\.value", ast.unparse(given))
                found.add(Reason[named[1]].value if named else text_of(given))
    return found


def test_every_reason_of_an_event_is_documented() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert "Drift" in event_reasons()
    assert [reason for reason in sorted(event_reasons() - {""}) if f"| `{reason}` |" not in text] == []


def test_every_kind_of_event_has_its_row_and_its_words() -> None:
    text = (DOCS / "ledger.md").read_text(encoding="utf-8")
    words = (SOURCE / "core/words/timeline.py").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"| `{kind}` |" not in text] == [], "say it in docs/ledger.md"
    assert [one.__name__ for one in KINDS.values() if f"events.{one.__name__}()" not in words] == []


def metric_names() -> set[str]:
    found = {text_of(node) for node in nodes(ast.Constant)}
    return {name for name in found if re.fullmatch(r"windlass_[a-z_]+", name)}


def test_every_metric_has_its_entry_and_no_entry_is_without_a_metric() -> None:
    told = set(re.findall(r"^\| `(windlass_[a-z_]+)` \|", (DOCS / "metrics.md").read_text(encoding="utf-8"), re.M))
    assert "windlass_api_requests" in metric_names()
    assert told == metric_names()


def test_every_variable_of_the_environment_is_documented() -> None:
    found = {
        name
        for node in nodes(ast.Constant)
        for name in re.findall(r"\bWINDLASS_[A-Z_]+\b", text_of(node))
        if text_of(node) == name
    }
    assert "WINDLASS_NAMESPACE" in found
    text = (DOCS / "install.md").read_text(encoding="utf-8")
    assert [name for name in sorted(found) if f"`{name}`" not in text] == [], "say it in docs/install.md"


def test_every_option_of_the_controller_is_documented() -> None:
    command = importlib.import_module("windlass.cli.controller").command
    text = (DOCS / "install.md").read_text(encoding="utf-8")
    options = [one.opts[0] for one in command.params if isinstance(one, click.Option)]
    assert [option for option in options if f"`{option}" not in text] == [], "say it in docs/install.md"


def anchors(page: Path) -> set[str]:
    """As code hosts make them: lower case, spaces to dashes, other punctuation gone; a repeated one gets a number."""
    found: dict[str, int] = {}
    made: set[str] = set()
    for heading in headings(page):
        plain = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        times = found.get(anchor, 0)
        found[anchor] = times + 1
        made.add(f"{anchor}-{times}" if times else anchor)
    return made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def errors_linked() -> Iterator[tuple[str, str]]:
    for path, tree in trees().items():
        for node in ast.walk(tree):
            for page in re.findall(r"\bdocs/[a-z/]+\.md\b", text_of(node)):
                yield str(path.relative_to(SOURCE)), page


def test_pages_that_the_program_names_exist() -> None:
    assert [(where, page) for where, page in errors_linked() if not (ROOT / page).exists()] == []


def commands_told(text: str) -> set[str]:
    """``windlass <verb>`` in code: between backquotes, and at the beginning of a line of a fenced block."""
    inline = re.findall(r"`(?:\.venv/bin/)?windlass ([a-z][a-z-]*)[^`]*`", text)
    blocks = re.findall(r"^```(?:console|sh)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    typed = [word for block in blocks for word in re.findall(r"^\$? ?(?:\.venv/bin/)?windlass ([a-z-]+)", block, re.M)]
    return {*inline, *typed}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_names_exist(page: Path) -> None:
    assert commands_told(page.read_text(encoding="utf-8")) - set(COMMANDS) == set()


def test_options_that_a_page_names_exist() -> None:
    wrong = []
    for page in PAGES:
        for verb, rest in re.findall(r"`(?:\.venv/bin/)?windlass ([a-z-]+)([^`]*)`", page.read_text(encoding="utf-8")):
            command = group.get_command(click.Context(group), verb)
            if command is None:
                continue
            known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
            wrong += [(page.name, verb, one) for one in re.findall(r"(?<!\S)--[a-z-]+", rest) if one not in known]
    assert wrong == []


def test_targets_of_make_that_a_page_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    if "\nbench-%:" in makefile:
        scenarios = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "bench").glob("*.py"))
        targets |= {f"bench-{name}" for name in re.findall(r"^async def ([a-z]+)\(", scenarios, re.M)}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        told = set(re.findall(r"`make ([a-z-]+)[^`]*`", text)) | set(re.findall(r"^\$ make ([a-z-]+)", text, re.M))
        assert told - targets == set(), page.name


def test_the_readme_is_one_page() -> None:
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 80


def test_every_change_waits_as_a_fragment_with_a_known_kind() -> None:
    kinds = {"added", "changed", "fixed", "removed", "security"}
    names = [path.name for path in (ROOT / "changes").glob("*.md") if path.name != "README.md"]
    assert [name for name in names if not re.fullmatch(r"[a-z0-9-]+\.(\w+)\.md", name)] == []
    assert [name for name in names if name.split(".")[1] not in kinds] == []


def test_decisions_have_a_number_a_status_and_a_line_in_the_list() -> None:
    listed = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    found = sorted(path for path in (DOCS / "decisions").glob("*.md") if path.name != "README.md")
    numbers = [path.name[:4] for path in found]
    assert numbers == sorted(set(numbers)), "a number stands once; ranges may leave gaps"
    for path in found:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"^Status: (accepted|replaced by \[\d{4}\]\([^)]+\)|withdrawn)", text, re.M), path.name
        assert f"({path.name})" in listed, path.name
