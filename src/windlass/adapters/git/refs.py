"""What to follow in a repository: a branch, a tag, the newest tag in a range of versions, or one commit. Names are
checked before use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import nodesemver
from typing_extensions import override

from windlass.adapters.git.errors import GitRefused

COMMIT = re.compile(r"[0-9a-f]{40}")
_BAD = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?")


@dataclass(frozen=True, slots=True)
class RefSpec:
    """At most one is set; none means the repository's own default branch. Raises GitRefused for names that Git does not
    allow."""

    branch: str = ""
    tag: str = ""
    semver: str = ""
    commit: str = ""
    name: str = ""
    """A full name outside of branches and tags: ``refs/windlass/...``."""

    def __post_init__(self) -> None:
        given = [name for name in ("branch", "tag", "semver", "commit", "name") if getattr(self, name)]
        if len(given) > 1:
            raise _refused(f"{given[0]} and {given[1]} are both set", "set one of branch, tag, semver, commit")
        if self.name and not self.name.startswith("refs/"):
            raise _refused(f"{_shown(self.name)} is not a full name of a ref", "write refs/windlass/...")
        for name in (self.branch, self.tag, self.name.removeprefix("refs/")):
            if name:
                check_name(name)
        if self.commit and not COMMIT.fullmatch(self.commit):
            raise _refused(f"{_shown(self.commit)} is not a commit id", "write all 40 digits of it")
        if self.semver:
            check_range(self.semver)

    @override
    def __str__(self) -> str:
        for kind in ("branch", "tag", "commit"):
            if value := getattr(self, kind):
                return f"{kind} {value}"
        if self.name:
            return self.name
        return f"a tag in {self.semver}" if self.semver else "the default branch"

    @property
    def ref(self) -> str:
        """The full name of the ref where there is one to name before asking."""
        if self.name or self.branch:
            return self.name or f"refs/heads/{self.branch}"
        return f"refs/tags/{self.tag}" if self.tag else "" if self.semver or self.commit else "HEAD"


def check_name(name: str) -> str:
    """The name of a branch or tag by the rules of Git, and without a leading dash. Raises GitRefused."""
    parts = name.split("/")
    wrong = (
        _BAD.search(name)
        or name.startswith("-")
        or name.endswith((".", "/"))
        or name == "@"
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
        or len(name) > 250
    )
    if wrong:
        raise _refused(
            f"{_shown(name)} can't be the name of a branch or tag", "git check-ref-format --branch says which can"
        )
    return name


def check_range(text: str) -> str:
    """A range of versions without its commas. Raises GitRefused where it is none."""
    # With a comma node's grammar silently matches nothing.
    plain = " ".join(text.replace(",", " ").split())
    try:
        known = nodesemver.valid_range(plain, True)
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, RecursionError):
        known = None
    odd = any(not part.strip() or "|" in part for part in plain.split("||"))
    if len(plain) > 200 or odd or known is None:
        raise _refused(f"{_shown(text)} is not a range of versions", 'write ">=1.4 <2", "1.x" or "~1.4.2"')
    return plain


def newest(tags: Iterable[str], text: str) -> str | None:
    """The tag with the newest version in the range; among equals the one that sorts first. What is no version does not
    count."""
    plain = check_range(text)
    versions: dict[str, str] = {}
    for tag in sorted(tags):
        if len(tag) <= 100 and _VERSION.fullmatch(tag) and _is_version(tag.removeprefix("v")):
            versions.setdefault(tag.removeprefix("v"), tag)
    found = nodesemver.max_satisfying(list(versions), plain, True)
    return versions[found] if found is not None else None


def _is_version(text: str) -> bool:
    """Whether the library reads it as well: one odd tag must not take the range away from all others."""
    try:
        nodesemver.make_semver(text, loose=True)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _refused(what: str, hint: str) -> GitRefused:
    return GitRefused(what, cause="ref", hint=hint)
