"""Draws trees that are a case of `tests/kustomize/cases` with a few lines changed, as mistakes and merges change them.

Used by `test_drawn.py`. Most of what comes out is wrong in a way that nobody thought of: both programs have to say so,
or both have to take it for the same.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from real import kustomize

Tree = dict[str, bytes]
BESIDE = {kustomize.EXPECTED, kustomize.REFUSED, kustomize.ARGUMENTS}
WORDS = [
    "web", "settings", "null", "~", "''", "yes", "1", "1.0", "-1", "[]", "{}", "[a]", "{a: b}", "true", "shop", "v1",
    "default", "Deployment", "ConfigMap", "apps/v1", "base", "..", ".", "*", ".*", "a b", "a/b", "2001-01-01", "é", "|",
    "#", "&a x",
]  # fmt: skip


def _case(folder: Path) -> Tree:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name not in BESIDE)
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


CASES = [_case(folder) for folder in kustomize.cases() if not (folder / kustomize.REFUSED).exists()]
TEXTS = sorted({name for case in CASES for name in case if name.endswith((".yaml", ".yml", ".json"))})


@st.composite
def mutants(draw: st.DrawFn) -> Tree:
    """One case, with one to three changes in one or two of its files."""
    tree = dict(draw(st.sampled_from(CASES)))
    names = sorted(name for name in tree if name in TEXTS)
    if not names:
        return tree
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        name = draw(st.sampled_from(names))
        lines = tree[name].decode("utf-8", "replace").split("\n")
        place = draw(st.integers(0, len(lines) - 1))
        tree[name] = "\n".join(draw(changed(lines, place))).encode()
    return tree


@st.composite
def changed(draw: st.DrawFn, lines: list[str], place: int) -> list[str]:
    """The lines with one change at a place."""
    line = lines[place]
    key, colon, value = line.partition(":")
    match draw(st.integers(0, 8)):
        case 0:
            return [*lines[:place], *lines[place + 1 :]]
        case 1:
            return [*lines[: place + 1], line, *lines[place + 1 :]]
        case 2:
            other = draw(st.integers(0, len(lines) - 1))
            swapped = list(lines)
            swapped[place], swapped[other] = swapped[other], swapped[place]
            return swapped
        case 3 | 4 if colon:
            return [*lines[:place], f"{key}: {draw(st.sampled_from(WORDS))}", *lines[place + 1 :]]
        case 5 if colon:
            return [*lines[:place], f"{key}:", *lines[place + 1 :]]
        case 6:
            deeper = draw(
                st.sampled_from(["  " + line, line[2:] if line.startswith("  ") else " " + line, "- " + line])
            )
            return [*lines[:place], deeper, *lines[place + 1 :]]
        case 7:
            other = draw(st.sampled_from(lines))
            return [*lines[:place], other, *lines[place:]]
        case _:
            word = draw(st.sampled_from(WORDS))
            parts = value.split() if colon else line.split()
            if not parts:
                return lines
            new = line.replace(draw(st.sampled_from(parts)), word, 1)
            return [*lines[:place], new, *lines[place + 1 :]]
