"""Parsers of what people write into Git and the cluster for other rooms than the plain renderer: encrypted files,
variables, edits in place, places of images, the newer kinds.

Each is a function of bytes, as in `targets.py`, which names them all.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyrage

from unit.render.memory import rendered
from windlass.adapters.render import sops_files
from windlass.adapters.render.helm_output import arranged
from windlass.adapters.render.sops import Identities, NotDecrypted
from windlass.core import documents
from windlass.core.documents.rules import Budget
from windlass.core.documents.splices import Append, Change, EditRefused, Remove, Set, splice
from windlass.core.edits.objects import Target as ObjectTarget
from windlass.core.edits.objects import find_object
from windlass.core.edits.steps import AddItem, Intent, RemoveField, RemoveItem, SetField, apply
from windlass.core.images import moves, places
from windlass.core.kinds import alerts, image_policy
from windlass.core.kinds.rendering import Render, Substitute
from windlass.errors import WindlassError

BUDGET = Budget(size=1 << 14, nodes=2_000, text=1 << 14)
FILES = Path(__file__).resolve().parents[1] / "unit" / "render" / "sops"
SHOP = ObjectTarget("", "ConfigMap", "shop", "a")
WANTED = (
    places.Wanted("apps/shop", image=("registry.example", "acme/shop"), fields=(("Prometheus", ("spec", "image")),)),
    places.Wanted("apps/chart", chart=("https://charts.example", "shop")),
)


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# --- SOPS ------------------------------------------------------------------------------------------------------------


def _identity() -> tuple[Identities, str]:
    """An identity, and a data key encrypted for it as `sops` keeps it."""
    words = (FILES / "keys.txt").read_text().splitlines()
    secret = next(line for line in words if line.startswith("AGE-SECRET-KEY-"))
    held = pyrage.x25519.Identity.from_str(secret)
    sealed = base64.b64encode(pyrage.encrypt(b"k" * 32, [held.to_public()])).decode()
    enc = f"-----BEGIN AGE ENCRYPTED FILE-----\n{sealed}\n-----END AGE ENCRYPTED FILE-----\n"
    return Identities({"age.agekey": secret.encode()}, "Secret sops-age"), enc


IDENTITIES, ENC = _identity()
BLOCK = {
    "age": [{"recipient": "age1", "enc": ENC}],
    "lastmodified": "2026-01-01T00:00:00Z",
    "mac": "ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]",
    "encrypted_regex": "^(data|secret)$",
}


def sealed_file(data: bytes) -> None:
    """Files as they are, and the same with a good key under them: up to the MAC, which nobody makes by chance."""
    for path, whole in _sealed(data):
        try:
            found = sops_files.opened(whole, path, lambda: IDENTITIES)
        except NotDecrypted:
            continue
        assert found is None or repr(found).startswith("Opened(")


def _sealed(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield "a.yaml", data
    yield "a.yaml", data + b"\nsops: " + json.dumps(BLOCK).encode()
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None
    block = BLOCK
    if isinstance(content, dict):
        if isinstance(content.get("sops"), dict):
            block = {**BLOCK, **content["sops"]}
        inner = data.strip()[1:-1].strip()
        yield "a.json", b"{" + inner + (b"," if inner else b"") + b'"sops":' + json.dumps(block).encode() + b"}"
    flat = {"sops_age__list_0__map_enc": ENC, **{f"sops_{key}": str(BLOCK[key]) for key in ("lastmodified", "mac")}}
    lines = "\n".join(f"{key}={value}" for key, value in flat.items()).replace(ENC, ENC.replace("\n", "\\n"))
    yield "a.env", data + b"\n" + lines.encode()


def substitution(data: bytes) -> None:
    """A whole render: no error comes out of one, whatever stands in the file."""
    named, _, manifest = data.partition(b"\0")
    settings = Render(substitute=Substitute(values={"REGION": "eu", "COUNT": 3, "EMPTY": "", "WORD": text(named)}))
    head = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  "
    for content in (manifest, head + manifest):
        made = rendered({"a.yaml": content}, settings=settings)
        for one in made.objects:
            msgspec.json.decode(one.body)


def chart_output(data: bytes) -> None:
    whole = text(data)
    arranged(
        {"templates/a.yaml": whole, "templates/b.yaml": f"# helm.sh/hook\n{whole}"}, [("crds/a.yaml", whole)]
    ).text()


# --- edits in place --------------------------------------------------------------------------------------------------


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, one in list(value.items())[:3]:
            yield from _paths(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value[:3]):
            yield from _paths(one, (*path, index))


def edit(data: bytes) -> None:
    """An edit is made whole or refused. `splice` reads its own result; here it is read once more, as others read it."""
    for one in documents.read(data, "a.yaml", BUDGET)[:2]:
        for path in list(_paths(one.value))[:5] or [("data",)]:
            changes: list[Change] = [Set(path, "1.2.3"), Set(path, {"a": [1, "b: c"]}), Remove(path)]
            changes += [Append(path, "x"), Set((*path, "new"), None), Set(path, "x\n#y\u2028")]
            for change in changes:
                try:
                    made = splice(data, "a.yaml", one.index, [change])
                except EditRefused:
                    continue
                again = {each.index: each.value for each in documents.read(made, "a.yaml")}
                assert isinstance(change, Remove) or again[one.index] is not None


def object_edit(data: bytes) -> None:
    item = {"field": "/spec", "reason": "x"}
    steps: Sequence[Any] = (
        SetField(file="a.yaml", target=SHOP, path=("data", "a"), value="2"),
        SetField(file="a.yaml", target=None, path=("data", "a"), value="2"),
        RemoveField(file="a.yaml", target=SHOP, path=("data",)),
        AddItem(file="a.yaml", target=SHOP, path=("spec", "ignore"), value=item, same=("field",)),
        RemoveItem(file="a.yaml", target=SHOP, path=("spec", "ignore"), given={"field": "/spec"}),
    )
    for step in steps:
        files = {"a.yaml": data, "kustomization.yaml": data}
        try:
            intent = Intent(id="1", verb="set", about="shop/a", summary="x", steps=(step,))
            made = apply(intent, files)
            assert apply(intent, {**files, **{path: one for path, one in made.items() if one is not None}}) == {}, (
                "what is so already is not done again"
            )
        except WindlassError:
            continue
    try:
        find_object(data, "a.yaml", SHOP)
    except WindlassError:
        return


def image_places(data: bytes) -> None:
    for file in ("a.yaml", "kustomization.yaml", "Chart.yaml"):
        found = places.find(file, data, WANTED)
        goals = tuple(moves.Goal(one, "v2.0.0", "sha256:" + "a" * 64, pin) for one in WANTED for pin in ("tag",))
        move = moves.Move(file=file, goals=goals)
        try:
            after = move.after(data)
        except EditRefused:
            continue
        assert after is not None
        assert found or after == data


# --- kinds -----------------------------------------------------------------------------------------------------------


def newer_kinds(data: bytes) -> None:
    content = msgspec.json.decode(data)
    if not isinstance(content, dict):
        return
    for decode in (image_policy.decode, alerts.decode_alert, alerts.decode_channel):
        for given in (content, {"metadata": {"name": "a", "namespace": "b"}, "spec": content}):
            try:
                decode(given)
            except WindlassError:
                continue


MAP = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata:\n  a: '1' # one\n"
SEEDS: Mapping[str, Sequence[bytes]] = {
    "sealed file": [
        *[(FILES / name).read_bytes() for name in ("regex.yaml", "whole.yaml", "vars.env", "comments.yaml")],
        b'a: {secret: 1, b: [1e3, 0x1f, .5, 2001-01-01, ~, yes, "x\\uFFFE"]}\nc: |\n  x\n',
        b'{"data": "x", "list": [1, 1e400, true, null, "\\ud800"], "sops": {"unencrypted_regex": "("}}',
        b'{"data": "x", "sops": {"encrypted_regex": "\\ud800"}}',
        b"A=1\nB=x\\ny\n#ENC[x]\n",
        b'{"data": "ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:int]"}',
    ],
    "substitution": [
        b"1.10\0x: ${REGION}-${MISSING:=a b}\n  y: ${COUNT}\n  ${EMPTY:-k}: $${x} ${WORD}\n",
        b"\0apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"
        b"spec: {replicas: '${COUNT}', paused: ${EMPTY}}\n",
    ],
    "chart output": [
        b"---\nkind: Job\nmetadata:\n  annotations:\n    helm.sh/hook: pre-install, test\n--- # x\nkind: A\n"
    ],
    "edit": [
        MAP,
        b"a: &x [1, 2]\nb: {c: *x, d: }\n---\n- |+\n  t\n\n- - a\n",
        b'\xef\xbb\xbf{"a": {"b": [1, "\\ud800"]}}\r\n',
        b"? a\n: b\n\"c d\" : 'e'\r\nf:\r\n- g: h\r\n",
    ],
    "object edit": [
        MAP,
        MAP + b"spec:\n  ignore:\n  - {field: /spec}\nresources: [./a.yaml]\n",
        b"kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n",
    ],
    "image places": [
        b"spec:\n  containers:\n  - image: registry.example/acme/shop:v1 # windlass: shop\n"
        b"  - {image: 'registry.example/acme/shop'}\n",
        b'images:\n- name: registry.example/acme/shop\n  newTag: v1 # {"$imagepolicy": "apps:shop:tag"}\n',
        b"kind: Prometheus\nspec: {image: registry.example/acme/shop:v1}\n"
        b"repository: registry.example/acme/shop\ntag: 1\n",
        b"name: x\ndependencies:\n- {name: shop, repository: https://charts.example, version: 1.0.0}\n",
    ],
    "newer kinds": [
        b'{"image":"registry.example/acme/shop","select":{"semver":"1.x","pattern":"^v(?P<n>.*)$"},'
        b'"update":{"repository":"config","paths":["a"]},"hold":[{"tag":"v1","until":"2026-12-01"}]}',
        b'{"channel":"a","events":{"kinds":["drift"]},"quietHours":[{"timeZone":"Europe/Berlin","from":"22:00"}]}',
        b'{"alertmanager":{"url":"http://a:9093"}}',
    ],
}

OWN = (WindlassError,)
TARGETS: Mapping[str, tuple[Any, tuple[type[Exception], ...]]] = {
    "sealed file": (sealed_file, ()),
    "substitution": (substitution, ()),
    "chart output": (chart_output, OWN),
    "edit": (edit, OWN),
    "object edit": (object_edit, ()),
    "image places": (image_places, OWN),
    "newer kinds": (newer_kinds, (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)),
}
