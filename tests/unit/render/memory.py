"""A Tree in memory, and a render over it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from typing_extensions import override

from windlass.adapters.git.snapshot import Entry, Snapshot
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.steps import render
from windlass.core.model import Rendered
from windlass.ports import RenderRequest

COMMIT = "3f2c1ab0c7d64ab2a1f0a4b5c6d7e8f901234567"


class MemoryTree(Snapshot):
    """Paths to text; a value that begins with "->" is a symbolic link."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self.files = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}

    @override
    def _list(self, folder: str) -> Mapping[str, Entry] | None:
        start = f"{folder}/" if folder else ""
        found: dict[str, Entry] = {}
        for path, data in self.files.items():
            if path.startswith(start):
                name, slash, _ = path[len(start) :].partition("/")
                kind = "folder" if slash else "link" if data.startswith(b"->") else "file"
                found[name] = Entry(name, kind, hashlib.sha1(data).hexdigest())
        return found if found or not folder else None

    @override
    def _read(self, folder: str, entry: Entry) -> bytes:
        return self.files[f"{folder}/{entry.name}" if folder else entry.name].removeprefix(b"->")


def request(**more: Any) -> RenderRequest:
    asked: dict[str, Any] = {
        "folder": "",
        "commit": COMMIT,
        "repository": "config",
        "path": "",
        "application": "team/shop",
        "label": "team.shop",
        "namespace": "shop",
        **more,
    }
    return RenderRequest(**asked)


def rendered(files: Mapping[str, str | bytes], **more: Any) -> Rendered:
    return render(
        request(**more), MemoryTree(files), Documents(), lambda paths: {path: f"last-{path}" for path in paths}
    )


def bodies(result: Rendered) -> list[dict[str, Any]]:
    return [msgspec.json.decode(one.body) for one in result.objects]


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "1"}}
