"""Writes ``docs/cli.md`` from the commands themselves. A test holds that the page is what this writes."""

from __future__ import annotations

import inspect
from pathlib import Path

import click

from windlass.cli import COMMANDS, group

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

HEAD = """\
# The command line

This page is made from the commands themselves (`python tools/make_cli_docs.py`).

`windlass <command>` needs a kubeconfig and your own Git rights, and no Windlass server: what it reads, it reads with
your rights in the cluster, and it applies nothing. `windlass sync` asks the controller; all other changes are commits.

## Exit codes

| code | means |
|---|---|
| 0 | done, or nothing differs, or all is well |
| 1 | an error: it says what, where, what follows from it, and what to write instead ([errors](errors.md)) |
| 2 | differences were found (`plan`, `diff`), or something is not synced or not healthy (`status`, `sync --wait`) |
| 3 | refused: a right is missing, a policy or a suspension says no, or this version does not do it |
| 64 | wrong usage |
| 130 | ended by Ctrl-C |

## Which Application is meant

`APP` is `name` or `namespace/name`; `-n` names the namespace too. A name alone is the Application of that name in the
namespace of the kubeconfig's context, else the only one of that name in the cluster; where there are several, they are
listed. `windlass status` without `APP` lists the Applications of all namespaces, or of the context's namespace where
you may not list all.

## Output

Text for people fits the terminal it is shown on, and is not cut elsewhere. Colour is used on a terminal only, says
nothing that a word does not say too, and is left out where `NO_COLOR` is set. Times are relative in text, and ISO in
`-o json` and `-o yaml`. Names, messages and log lines are shown without control characters and terminal escapes.
Remarks (`note:`) and errors go to standard error.

## What your rights leave out

Objects are read one by one or by label. What you may not read is told, and never taken for absent. Values of Secrets
are not read: `diff` and `plan` tell which keys were changed, and by whom. Whether a Secret in Git differs from the live
one is told by a keyed digest; without the right to read that key (a Secret in the controller's namespace, which
`WINDLASS_NAMESPACE` names where it is not `windlass-system`), `plan` says that values were not compared.

The Repository of an Application is fetched with your own Git settings, credential helpers and SSH agent, into
`~/.cache/windlass` (`$XDG_CACHE_HOME/windlass`), which may be deleted at any time. So is the ledger's ref, with an
index over it ([ledger](ledger.md)); with `--ledger` no cluster is needed.

## Environment

| variable | means |
|---|---|
| `KUBECONFIG` | the kubeconfig files, as for other clients; `--kubeconfig` goes before it |
| `WINDLASS_NAMESPACE` | the controller's namespace, where it is not `windlass-system` |
| `WINDLASS_LEDGER` | the repository that holds the ledger, for who may not ask the cluster (as `--ledger`) |
| `WINDLASS_TRACEBACK` | set to anything: an unexpected error is told with its whole traceback |
| `XDG_CACHE_HOME` | where fetched repositories are kept: `$XDG_CACHE_HOME/windlass` |
| `NO_COLOR` | set to anything: no colours on a terminal |

The controller's own variables stand with its options below.

## Commands

| command | does |
|---|---|
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    parts += [f"| [`windlass {name}`](#windlass-{name}) | {text} |\n" for name, text in COMMANDS.items()]
    with click.Context(group, info_name="windlass") as above:
        for name in COMMANDS:
            command = group.get_command(above, name)
            assert command is not None
            with click.Context(command, info_name=name, parent=above) as context:
                parts.append(section(command, context))
                for below in command.commands.values() if isinstance(command, click.Group) else ():
                    with click.Context(below, info_name=below.name, parent=context) as inner:
                        parts.append(section(below, inner))
    return "".join(parts)


def section(command: click.Command, context: click.Context) -> str:
    """One command: usage, what it does, its options."""
    usage = " ".join(command.collect_usage_pieces(context))
    depth = "##" if context.parent is not None and context.parent.parent is None else "###"
    lines = [f"\n{depth} {context.command_path}\n", f"```\n{context.command_path} {usage}\n```\n"]
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            lines.append("```\n" + paragraph.removeprefix("\b\n") + "\n```\n")
        else:
            lines.append(paragraph + "\n")
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if options:
        rows = ["| option | |", "|---|---|"]
        rows += [f"| {names(each, context)} | {words(each, context)} |" for each in options]
        lines.append("\n".join(rows) + "\n")
    return "\n".join(lines)


def names(option: click.Option, context: click.Context) -> str:
    """``-n``, ``--namespace TEXT``"""
    metavar = "" if option.is_flag else f" {option.make_metavar(context)}"
    both = [*option.opts, *option.secondary_opts]
    shown = [f"`{name}`" for name in both[:-1]] + [f"`{both[-1]}{metavar}`"]
    return ", ".join(shown).replace("|", "\\|")


def words(option: click.Option, context: click.Context) -> str:
    """Its help, its default and its environment variable."""
    text = option.help or ""
    if option.show_default and not option.is_flag:
        text += f" Default: `{option.get_default(context)}`."
    if isinstance(option.envvar, str):
        text += f" Environment: `{option.envvar}`."
    return text.strip().replace("|", "\\|")


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print("docs/cli.md")


if __name__ == "__main__":
    main()
