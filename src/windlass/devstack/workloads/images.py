"""What a container's image says: its parts, and how its simulated container behaves.

The convention: where the last path part of the repository or the tag contains one of these words, a container of it
`pullfail`, `does-not-exist` can't be pulled; `crash` exits with 1 again and again; `oom` is killed for memory;
`neverready`, `unready` runs and never
passes its readiness probe; `slow` is ready after five seconds. Every other image runs well.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

Behaviour = Literal["well", "pullfail", "crash", "oom", "unready", "slow"]

_WORDS: tuple[tuple[str, Behaviour], ...] = (
    ("pullfail", "pullfail"),
    ("does-not-exist", "pullfail"),
    ("oom", "oom"),
    ("crash", "crash"),
    ("neverready", "unready"),
    ("unready", "unready"),
    ("slow", "slow"),
)


@lru_cache(maxsize=4096)
def split_image(image: str) -> tuple[str, str, str]:
    """Repository, tag ("latest" where neither tag nor digest is given) and digest of an image reference."""
    name, _, digest = image.partition("@")
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    repository = f"{head}/{last}" if head else last
    return repository, tag or ("" if digest else "latest"), digest


@lru_cache(maxsize=4096)
def behaviour_of(image: str) -> Behaviour:
    """How a container of this image behaves."""
    repository, tag, _ = split_image(image)
    last = repository.rpartition("/")[2]
    for word, behaviour in _WORDS:
        if word in last or word in tag:
            return behaviour
    return "well"


def full_name(image: str) -> str:
    """The image as a container runtime reports it: with its registry and tag."""
    repository, tag, digest = split_image(image)
    first = repository.partition("/")[0]
    if "/" not in repository:
        repository = f"docker.io/library/{repository}"
    elif "." not in first and ":" not in first and first != "localhost":
        repository = f"docker.io/{repository}"
    return f"{repository}:{tag}" if tag else f"{repository}@{digest}"
