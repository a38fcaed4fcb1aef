"""What a registry's push hook names: the repositories that were pushed to, of every form that is known.

A hook is only a word that there is news. What it names chooses who looks; nothing in it is believed beyond that, and no
address in it is ever asked. Forms: distribution's notifications (GitLab sends the same), Docker Hub, GitHub packages,
Harbor, Quay, Gitea and Forgejo.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from windlass.core.model.foreign import UNREADABLE

MOST = 100
LARGEST = 1 << 20


def pushed(body: bytes) -> list[str]:
    """The names of repositories (``acme/shop``) that a hook names, at most MOST; empty where it names none that can be
    read."""
    if len(body) > LARGEST:
        return []
    try:
        read = msgspec.json.decode(body)
    except UNREADABLE:
        return []
    names: dict[str, None] = {}
    for name in _names(read):
        if isinstance(name, str) and 0 < len(name) <= 255:
            names[name.strip("/").lower()] = None
        if len(names) >= MOST:
            break
    return list(names)


def _names(read: Any) -> Iterator[Any]:
    if not isinstance(read, dict):
        return
    events = read.get("events")
    for event in events if isinstance(events, list) else ():  # distribution, GitLab
        target = _map(_map(event).get("target"))
        if _map(event).get("action") == "push":
            yield target.get("repository")
    repository = _map(read.get("repository"))
    if "push_data" in read:  # Docker Hub
        yield repository.get("repo_name")
    if "docker_url" in read:  # Quay
        yield read.get("repository") if isinstance(read.get("repository"), str) else None
    package = _map(read.get("registry_package") or read.get("package"))
    if package:  # GitHub, Gitea, Forgejo
        owner = _map(package.get("owner"))
        space = package.get("namespace") or owner.get("login") or owner.get("username")
        name = package.get("name")
        if isinstance(name, str):
            yield f"{space}/{name}" if isinstance(space, str) and space else name
    event = _map(read.get("event_data") or read.get("data"))
    if event:  # Harbor, in its own form and as CloudEvents
        yield _map(event.get("repository")).get("repo_full_name")


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
