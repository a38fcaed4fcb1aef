"""Makes the compact Kubernetes schemas of the package: ``make schemas``. Run when the supported version moves.

It reads the definitions of the development-time package ``kubernetes_validate`` and leaves out what only a reader needs
(descriptions). Two facts that those definitions do not carry are added: the defaults of list-map keys, and which fields
a typed server writes though they are zero (``tools/kubernetes-fields.txt``). That file is made again with ``--types``,
given the folders of the published Go types: ``k8s.io/api``, ``k8s.io/apimachinery``, ``k8s.io/apiextensions-apiserver``
and ``k8s.io/kube-aggregator``, each in a folder of that last name.

The format is described in ``src/windlass/core/manifests/schemas.py``. A definition that it cannot express is refused.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.resources
import json
import re
import sys
from pathlib import Path
from typing import Any

VERSION = "1.36"
ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src" / "windlass" / "core" / "manifests" / "data"
FIELDS = Path(__file__).with_name("kubernetes-fields.txt")
PREFIX = "#/$defs/"
# A list keyed by port and protocol finds the item that names no protocol, because the schema says TCP.
KEY_DEFAULTS = {
    ("ContainerPort", "protocol"): "TCP",
    ("ServicePort", "protocol"): "TCP",
    ("LocalObjectReference", "name"): "",
}
TYPES = {"object": "o", "array": "a", "string": "s", "integer": "i", "number": "n", "boolean": "b"}
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
FREE = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"
EXTENSIONS = {
    "x-kubernetes-list-type": "l",
    "x-kubernetes-list-map-keys": "k",
    "x-kubernetes-map-type": "m",
    "x-kubernetes-patch-strategy": "s",
    "x-kubernetes-patch-merge-key": "g",
    "format": "f",
    "enum": "e",
    "required": "r",
}
KNOWN = {"description", "type", "$ref", "properties", "items", "additionalProperties", "oneOf", "x-kubernetes-unions"}
KNOWN |= {"x-kubernetes-group-version-kind", *EXTENSIONS}


def read_definitions(version: str) -> dict[str, Any]:
    """The definitions of ``version``, or of the nearest lower one the package has."""
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    found = {entry.name for entry in folder.iterdir()}
    minor = int(version.split(".")[1])
    for candidate in (minor, *range(minor - 1, 24, -1), minor + 1):
        name = f"v1.{candidate}.0-local"
        if name in found:
            text = (folder / name / "_definitions.json").read_text(encoding="utf-8")
            definitions: dict[str, Any] = json.loads(text)["$defs"]
            return definitions
    raise SystemExit(f"kubernetes_validate holds no definitions near {version}")


def scan_go(folders: list[Path], definitions: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Definition to {field: p pointer | n pointer written as null | v omitempty | o omitzero | w always written}."""
    structs: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    for root in folders:
        for path in root.rglob("*.go"):
            if path.name.startswith("zz_") or path.name.endswith("_test.go"):
                continue
            package = str(path.parent.relative_to(root))
            structs.setdefault(f"{root.name.split('@')[0]}/{package}", {}).update(
                _structs_of(path.read_text(encoding="utf-8"))
            )
    facts: dict[str, dict[str, str]] = {}
    for name, definition in definitions.items():
        if "properties" not in definition:
            continue
        package, struct = _go_place(name)
        fields = _fields_of(structs, package, struct)
        facts[name] = {key: value for key, value in fields.items() if key in definition["properties"]}
    return facts


def _go_place(name: str) -> tuple[str, str]:
    """Where the Go type of a definition lives: (module/package, struct)."""
    module, *parts, struct = name.removeprefix("io.k8s.").split(".")
    return f"{module}/{'/'.join(parts)}", struct


_FIELD = re.compile(r'^\s+(?:(\w+)\s+)?([^\s`/]+)\s+`[^`]*json:"([^"]*)"')


def _structs_of(text: str) -> dict[str, list[tuple[str, str, str]]]:
    """Struct name to its fields as (Go name or "", Go type, json tag)."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for match in re.finditer(r"^type (\w+) struct \{\n(.*?)^\}", text, re.M | re.S):
        rows = [hit.groups(default="") for line in match[2].splitlines() if (hit := _FIELD.match(line))]
        found[match[1]] = [(row[0], row[1], row[2]) for row in rows]
    for match in re.finditer(r"^type (\w+) (\w+)$", text, re.M):
        found.setdefault(match[1], [("", match[2], ",inline")])
    return found


def _fields_of(structs: dict[str, dict[str, list[tuple[str, str, str]]]], package: str, struct: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for _, kind, tag in structs.get(package, {}).get(struct, []):
        name, *options = tag.split(",")
        if not name:  # inlined: its fields are ours
            inner = kind.lstrip("*").split(".")[-1]
            place = "apimachinery/pkg/apis/meta/v1" if "." in kind else package
            out.update(_fields_of(structs, place, inner))
        elif kind.startswith("*"):
            out[name] = "p" if "omitempty" in options or "omitzero" in options else "n"
        elif "omitzero" in options:
            out[name] = "o"
        else:
            out[name] = "v" if "omitempty" in options else "w"
    return out


def write_fields(facts: dict[str, dict[str, str]]) -> None:
    """The facts as text, a definition a line, so that a change of version is a diff that a reviewer can read."""
    lines = [
        f"{name} {' '.join(f'{k}={v}' for k, v in sorted(fields.items()))}" for name, fields in sorted(facts.items())
    ]
    head = (
        "# How a typed server writes a field: p pointer, n pointer written as null, v left out when empty,\n"
        "# o left out when zero (a record, too), w written always.\n"
    )
    FIELDS.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


def read_fields() -> dict[str, dict[str, str]]:
    """What ``write_fields`` wrote."""
    facts: dict[str, dict[str, str]] = {}
    for line in FIELDS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, *pairs = line.split(" ")
            facts[name] = dict(pair.split("=", 1) for pair in pairs if pair)
    return facts


def presence(go: str, *, struct_value: bool) -> str:
    """What the package says: p kept as given, n written as null, v left out when zero, w written when zero."""
    if go == "o":
        return "v"
    # Go's omitempty never leaves out a record that is held by value.
    return "w" if go == "v" and struct_value else go


class Compactor:
    """Turns definitions into the compact form; holds the index of every definition."""

    def __init__(self, definitions: dict[str, Any], fields: dict[str, dict[str, str]]) -> None:
        self.definitions = definitions
        self.fields = fields
        self.names = sorted(definitions)
        self.index = {name: place for place, name in enumerate(self.names)}

    def all(self) -> list[Any]:
        """Every definition, by index."""
        return [self.definition(name) for name in self.names]

    def definition(self, name: str) -> Any:
        """One named definition."""
        if name == QUANTITY:
            return {"t": "s", "x": "q"}
        if name == INT_OR_STRING:
            return {"x": "i"}
        if name == RAW_EXTENSION:
            return {"t": "o", "x": "r"}
        node = self.definitions[name]
        if (
            name.endswith("JSONSchemaPropsOrBool")
            or name.endswith("JSONSchemaPropsOrArray")
            or name.endswith("StringArray")
        ):
            node = {key: value for key, value in node.items() if key != "type"}
        struct = name.rsplit(".", 1)[1]
        out = self.node(node, name)
        written = self.fields.get(name, {})
        for field, child in list(out.get("p", {}).items() if isinstance(out, dict) else ()):
            marks: dict[str, Any] = {}
            default = self.key_default(struct, field, child, field in node.get("required", ()))
            if default is not None:
                marks["d"] = default
            struct_value, required = self.is_struct(child), field in node.get("required", ())
            usual = "w" if required else "p" if struct_value else "v"
            actual = presence(written.get(field, usual), struct_value=struct_value)
            if actual != usual:
                marks["z"] = actual
            if marks:
                out["p"][field] = {**(child if isinstance(child, dict) else self.spread(child)), **marks}
        return out

    def is_struct(self, child: Any) -> bool:
        """Whether a field holds a Go struct: an object with properties of its own, or one of the special types."""
        place = child if isinstance(child, int) else child.get("$") if isinstance(child, dict) else None
        if place is None:
            return isinstance(child, dict) and "p" in child
        target = self.definitions[self.names[place]]
        return (
            "properties" in target
            or self.names[place] in {QUANTITY, INT_OR_STRING, RAW_EXTENSION}
            or target.get("format") == "date-time"
        )

    def key_default(self, struct: str, field: str, child: Any, required: bool) -> Any:
        """The default that a typed server assumes for a field that is a key of a list map."""
        if (struct, field) in KEY_DEFAULTS:
            return KEY_DEFAULTS[struct, field]
        kind = child if isinstance(child, str) else child.get("t") if isinstance(child, dict) else None
        if required and field in self.key_names:
            return {"s": "", "i": 0}.get(str(kind)[:1])
        return None

    @property
    def key_names(self) -> frozenset[str]:
        """Field names that any list map is keyed by."""
        if not hasattr(self, "_keys"):
            keys: set[str] = set()
            for definition in self.definitions.values():
                for field in definition.get("properties", {}).values():
                    keys.update(field.get("x-kubernetes-list-map-keys", ()))
                    if (
                        "merge" in field.get("x-kubernetes-patch-strategy", "")
                        and "x-kubernetes-patch-merge-key" in field
                    ):
                        keys.add(field["x-kubernetes-patch-merge-key"])
            self._keys = frozenset(keys)
        return self._keys

    @staticmethod
    def spread(child: Any) -> dict[str, Any]:
        """The long form of a short node."""
        return {"$": child} if isinstance(child, int) else {"t": child}

    def node(self, node: dict[str, Any], where: str) -> Any:
        """One node: an int is a reference, a short text a scalar type, else a dict."""
        strange = set(node) - KNOWN
        if strange:
            raise SystemExit(f"{where}: unknown keywords {sorted(strange)}")
        out: dict[str, Any] = {}
        if "$ref" in node:
            out["$"] = self.index[node["$ref"].removeprefix(PREFIX)]
        kinds = node.get("type")
        kind = next(iter([each for each in kinds if each != "null"]), None) if isinstance(kinds, list) else kinds
        if kind is not None:
            out["t"] = TYPES[kind]
        for keyword, short in EXTENSIONS.items():
            if keyword in node:
                value = node[keyword]
                # The development-time package adds the kind's own name as an enumeration, and nulls.
                if keyword == "enum":
                    value = [each for each in value if each is not None]
                out[short] = value
        if "properties" in node:
            out["p"] = {name: self.node(child, f"{where}.{name}") for name, child in node["properties"].items()}
            for own in ("apiVersion", "kind"):
                if isinstance(out["p"].get(own), dict) and "e" in out["p"][own]:
                    out["p"][own] = "s"
        if "items" in node:
            out["i"] = self.node(node["items"], f"{where}[]")
        if isinstance(node.get("additionalProperties"), dict):
            out["a"] = self.node(node["additionalProperties"], f"{where}{{}}")
        if set(out) == {"$"}:
            return out["$"]
        if set(out) == {"t"} and out["t"] not in "oa":
            return out["t"]
        return out


def kinds_of(definitions: dict[str, Any], index: dict[str, int]) -> dict[str, int]:
    """``apiVersion/kind`` to the index of its definition. Options that every group shares are left out but for v1."""
    out: dict[str, int] = {}
    for name, definition in definitions.items():
        for gvk in definition.get("x-kubernetes-group-version-kind", ()):
            group, version, kind = gvk["group"], gvk["version"], gvk["kind"]
            shared = name.startswith("io.k8s.apimachinery.")
            if shared and (group or version != "v1"):
                continue
            out[f"{group}/{version}/{kind}" if group else f"{version}/{kind}"] = index[name]
    return out


def main() -> None:
    """Writes the data file and says how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--types", nargs="*", type=Path, help="folders of the published Go types, to make kubernetes-fields.txt again"
    )
    options = parser.parse_args()
    definitions = read_definitions(VERSION)
    if options.types:
        write_fields(scan_go(options.types, definitions))
    compactor = Compactor(definitions, read_fields())
    data = {
        "version": VERSION,
        "names": [name.removeprefix("io.k8s.") for name in compactor.names],
        "types": compactor.all(),
        "kinds": kinds_of(definitions, compactor.index),
    }
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    DATA.mkdir(exist_ok=True)
    target = DATA / f"kubernetes-{VERSION}.json.gz"
    # No time of writing in the file: the same input makes the same bytes.
    target.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    sys.stdout.write(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes, {len(data['kinds'])} kinds\n")


if __name__ == "__main__":
    main()
