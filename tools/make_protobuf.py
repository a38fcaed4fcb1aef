"""Make the table by which the devstack reads protobuf bodies: which field of which kind has which number.

Reads the ``generated.proto`` files of the Go modules ``k8s.io/api`` and ``k8s.io/apimachinery`` (their folders are the
arguments) and writes ``src/windlass/devstack/apiserver/data/protobuf.json.gz``. Run by a developer when the Kubernetes
version moves.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path

from windlass.core.manifests.schemas import Schemas

GROUPS = (
    *(
        "admissionregistration/v1",
        "apps/v1",
        "authentication/v1",
        "authorization/v1",
        "autoscaling/v1",
        "autoscaling/v2",
    ),
    *("batch/v1", "certificates/v1", "coordination/v1", "core/v1", "discovery/v1", "events/v1", "flowcontrol/v1"),
    *("networking/v1", "node/v1", "policy/v1", "rbac/v1", "resource/v1", "scheduling/v1", "storage/v1"),
)
MACHINERY = ("pkg/api/resource", "pkg/apis/meta/v1", "pkg/runtime", "pkg/util/intstr")
TARGET = Path("src/windlass/devstack/apiserver/data/protobuf.json.gz")
SCALARS = {
    "string": "s",
    "bytes": "b",
    "bool": "B",
    "int32": "i",
    "int64": "i",
    "uint32": "i",
    "uint64": "i",
    "double": "d",
}
_MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.S | re.M)
_FIELD = re.compile(
    r"^\s*(optional|repeated)?\s*(map<string, ?(?P<value>[.\w]+)>|(?P<kind>[.\w]+)) (?P<name>\w+) = (?P<number>\d+);",
    re.M,
)


def messages(path: Path) -> dict[str, list[list[object]]]:
    """Full name (without ``k8s.io.``) to its fields: number, name, type, and r (repeated), m (map), n (inlined) or
    nothing.
    """
    text = re.sub(r"//[^\n]*", "", path.read_text())
    found = re.search(r"^package ([.\w]+);", text, re.M)
    assert found is not None, path
    package = found[1].removeprefix("k8s.io.")
    made = {}
    for message in _MESSAGE.finditer(text):
        fields: list[list[object]] = []
        for field in _FIELD.finditer(message[2]):
            kind = field["value"] or field["kind"]
            full = SCALARS.get(kind) or (
                kind.lstrip(".").removeprefix("k8s.io.") if "." in kind else f"{package}.{kind}"
            )
            label = "m" if field["value"] else "r" if field[1] == "repeated" else ""
            fields.append([int(field["number"]), field["name"], full, label])
        made[f"{package}.{message[1]}"] = fields
    return made


def as_json(name: str, fields: list[list[object]]) -> None:
    """Give the fields of a message the names that they have in JSON, and mark those that JSON shows inline."""
    if name not in Schemas.builtin().names:
        return
    known = tuple(Schemas.builtin().definition(name).properties)
    for field in fields:
        same = [each for each in known if each.lower() == str(field[1]).lower()]
        if not known or field[1] in known:
            continue
        if same:
            field[1] = same[0]
        elif "." in str(field[2]):
            field[3] = "n"


def main(arguments: list[str]) -> int:
    """Write the table."""
    if len(arguments) != 2:
        sys.stderr.write("usage: make_protobuf.py <folder of k8s.io/api> <folder of k8s.io/apimachinery>\n")
        return 2
    api, machinery = map(Path, arguments)
    table: dict[str, list[list[object]]] = {}
    for folder in [*(api / group for group in GROUPS), *(machinery / part for part in MACHINERY)]:
        table.update(messages(folder / "generated.proto"))
    for name, fields in table.items():
        as_json(name, fields)
    TARGET.parent.mkdir(exist_ok=True)
    raw = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    with TARGET.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
        packed.write(raw)
    sys.stdout.write(f"{TARGET}: {len(table)} messages, {TARGET.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
