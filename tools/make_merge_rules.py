"""Makes what kustomize knows of merging: ``python tools/make_merge_rules.py BUNDLE``. Run when its version moves.

BUNDLE is the gzipped JSON of OpenAPI definitions that comes with kustomize's kyaml module
(``openapi/kubernetesapi/data/*.json.gz``). Only what a merge asks for is kept: the lists that merge by key, and the way
to them. The format is that of ``src/windlass/core/manifests/schemas.py``.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from windlass.core.kustomize.schemas import from_openapi

OUT = Path(__file__).resolve().parent.parent / "src" / "windlass" / "core" / "kustomize" / "merges-1.21.json"


def useful(nodes: list[Any]) -> list[bool]:
    """Which definitions have a list that merges, somewhere beneath."""
    found = [False] * len(nodes)

    def below(node: Any) -> bool:
        if isinstance(node, int):
            return found[node]
        if not isinstance(node, dict):
            return False
        children = [*node.get("p", {}).values(), node.get("i"), node.get("a")]
        return "merge" in node.get("s", "").split(",") or any(below(child) for child in children)

    changed = True
    while changed:
        changed = False
        for place, node in enumerate(nodes):
            if not found[place] and below(node):
                found[place] = changed = True
    return found


def pruned(node: Any, keep: list[bool], places: dict[int, int]) -> Any:
    """A node without what leads to no merge, None where nothing is left."""
    if isinstance(node, int):
        return places[node] if keep[node] else None
    out: dict[str, Any] = {}
    fields = {name: pruned(child, keep, places) for name, child in node.get("p", {}).items()}
    fields = {name: child for name, child in fields.items() if child is not None}
    if fields:
        out["p"] = fields
    for part in ("i", "a"):
        child = pruned(node[part], keep, places) if part in node else None
        if child is not None:
            out[part] = child
    merges = "merge" in node.get("s", "").split(",") and node["t"] == "a"
    if merges:
        out |= {mark: node[mark] for mark in ("k", "s", "g") if mark in node}
    return {"t": node["t"], **out} if out else None


def main() -> None:
    """Read the bundle, write the package's file."""
    bundle = json.loads(gzip.decompress(Path(sys.argv[1]).read_bytes()))
    definitions = {name.removeprefix("io.k8s."): value for name, value in bundle["definitions"].items()}
    text = json.dumps(definitions).replace("#/definitions/io.k8s.", "#/definitions/")
    schemas = from_openapi({"definitions": json.loads(text)})
    nodes = list(schemas.nodes)
    keep = useful(nodes)
    names = [name for name, kept in zip(schemas.names, keep, strict=True) if kept]
    places = {old: new for new, old in enumerate(place for place, kept in enumerate(keep) if kept)}
    types = [pruned(node, keep, places) for node, kept in zip(nodes, keep, strict=True) if kept]
    kinds = {kind: places[place] for kind, place in sorted(schemas.indexes.items()) if keep[place]}
    data = {"version": "1.21", "names": names, "types": types, "kinds": kinds}
    OUT.write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(f"{OUT.name}: {len(names)} types, {len(kinds)} kinds, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
