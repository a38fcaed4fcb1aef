"""What goes into a deployment and is not in the commit that is deployed."""

from __future__ import annotations

import msgspec


class Outside(msgspec.Struct, frozen=True, omit_defaults=True):
    """``charts`` from repositories and registries, by name: version and digest. ``values`` of the cluster
    ("ConfigMap/<name>", "Secret/<name>") by a keyed digest, never as they are. ``sources``: further repositories, by
    the name that the Application gives them, and their commits. ``images`` that its containers name, as written: a
    tag without a digest may mean another image tomorrow."""

    charts: dict[str, str] = {}
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    images: list[str] = []
