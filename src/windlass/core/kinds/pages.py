"""The pages of ``docs/kinds``, as text, from the same structs as the CRDs. ``tools/make_docs.py`` writes them."""

from __future__ import annotations

from windlass.core.kinds.crd import KINDS
from windlass.core.kinds.kind import Kind
from windlass.core.kinds.reasons import Reason
from windlass.core.kinds.shape import Row, rows

NOTE = "<!-- Made by tools/make_docs.py from src/windlass/core/kinds: change it there. -->"


def pages() -> dict[str, str]:
    """File name to Markdown, for each page of ``docs/kinds``."""
    made = {f"{kind.kind.lower()}.md": page(kind) for kind in KINDS}
    made["conditions.md"] = conditions_page()
    made["README.md"] = index_page()
    return made


def page(kind: Kind) -> str:
    """The page of one kind: an example, its fields, its status."""
    scope = "Namespaced" if kind.namespaced else "Cluster-scoped"
    lines = [
        NOTE,
        f"# {kind.kind}",
        "",
        f"{kind.text} {scope}; short name `{kind.short}`.",
        "",
        "```yaml",
        kind.example.rstrip("\n"),
        "```",
        "",
        "## spec",
        "",
        *_table(list(rows(kind.spec, "spec")), with_default=True),
        "",
        "A field that is not in this table is refused, with the nearest known name.",
        "",
    ]
    rules = [rule for _, rule in kind.rules]
    if rules:
        lines += [*(f"- {rule}" for rule in rules), ""]
    if kind.more:
        lines += [kind.more, ""]
    lines += ["## status", "", *_table(list(rows(kind.status, "status")), with_default=False), ""]
    lines += ["Reasons of conditions: [conditions.md](conditions.md).", ""]
    return "\n".join(lines)


def conditions_page() -> str:
    """The page of condition reasons."""
    lines = [
        NOTE,
        "# Conditions",
        "",
        "`Ready` is always there. `Reconciling` (Windlass works or waits, and goes on by itself) and `Stalled` (a",
        "person must act) are there only while they are true, never both: the kstatus convention, so that",
        "`kubectl wait --for=condition=Ready` and every tool that knows it can read them.",
        "",
        "| reason | it says |",
        "|---|---|",
        *(f"| `{reason.value}` | {reason.text} |" for reason in Reason),
        "",
    ]
    return "\n".join(lines)


def index_page() -> str:
    """The page that names the others."""
    lines = [
        NOTE,
        "# What you write",
        "",
        "Kinds of `windlass.dev/v1alpha1`. They are files in Git, applied by Windlass itself like everything else.",
        "Durations are written `30s`, `5m`, `2h`. Controllers never write `spec`.",
        "",
        "| kind | what it is |",
        "|---|---|",
        *(f"| [{kind.kind}]({kind.kind.lower()}.md) | {kind.text} |" for kind in KINDS),
        "",
        "[Conditions](conditions.md) lists every reason.",
        "",
    ]
    return "\n".join(lines)


def _table(table: list[Row], *, with_default: bool) -> list[str]:
    if not with_default:
        return [
            "| field | type | |",
            "|---|---|---|",
            *(f"| `{row.path}` | {row.form} | {row.text} |" for row in table),
        ]
    lines = ["| field | type | default | |", "|---|---|---|---|"]
    for row in table:
        default = "required" if row.required else f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.path}` | {row.form} | {default} | {row.text} |")
    return lines
