"""Paths inside a snapshot: always relative, with slashes, without a way out. Used by snapshots and commits before any
look-up."""

from __future__ import annotations

from windlass.adapters.git.errors import BadPath
from windlass.errors import Where


def clean_path(path: str) -> str:
    """The path without empty and ``.`` parts; "" is the root. Raises BadPath for ``..``, NUL, backslash, a leading
    slash and ``.git``."""
    if path.startswith("/"):
        raise refused(
            "the path begins with a slash, and must stay inside the repository",
            path,
            "write it from the root of the repository on",
        )
    if "\0" in path or "\\" in path:
        raise refused("the path has a NUL or a backslash in it", path, "write it with slashes")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for part in parts:
        check_part(part, path)
    return "/".join(parts)


def check_part(name: str, path: str) -> None:
    """One name of a path. Raises BadPath."""
    if name == "..":
        raise refused(
            "the path has .. in it, and must stay inside the repository",
            path,
            "write it from the root of the repository on",
        )
    if name in ("", ".") or "/" in name or "\0" in name or "\\" in name:
        raise refused("a name in the path could lead elsewhere", path, "rename it")
    if name.casefold().rstrip(" .") == ".git" or name.casefold().startswith("git~"):
        raise refused("the path leads into Git's own folder", path, "choose another name")


def target_parts(target: str, path: str) -> list[str]:
    """The names that the target of a link goes through, ``..`` among them. Raises BadPath for what is not relative."""
    if target.startswith("/") or "\0" in target or "\\" in target or not target:
        raise leads_out(path)
    parts = [part for part in target.split("/") if part not in ("", ".")]
    for part in parts:
        if part != "..":
            check_part(part, path)
    return parts


def leads_out(path: str) -> BadPath:
    """The link at ``path`` leaves the repository."""
    return refused("the link leads out of the repository", path, "make it relative, to something inside")


def refused(what: str, path: str, hint: str) -> BadPath:
    shown = path if len(path) <= 200 else path[:197] + "..."
    return BadPath(what, cause="path", where=Where(file=shown.encode(errors="backslashreplace").decode()), hint=hint)
