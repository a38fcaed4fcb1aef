"""ConfigMaps and Secrets made from literals, files and env files, and the hash that their names end with.

Called by ``target`` and ``plugins``. Values of Secrets stay in the object that is made; no message shows them.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import Any

from windlass.core.kustomize.collection import Collection, base64_lines
from windlass.core.kustomize.errors import KustomizeError, shown
from windlass.core.kustomize.kustomization import ConfigMapArgs, GeneratorOptions, SecretArgs
from windlass.core.kustomize.loading import Place
from windlass.core.kustomize.nodes import QUOTED, Node, Scalar, data_string, json_value, key, set_field, string
from windlass.core.kustomize.resolve import BOOL, STR
from windlass.core.kustomize.resource import BEHAVIOR, NEEDS_HASH, Resource
from windlass.errors import Where

_BOM = b"\xef\xbb\xbf"
# What Go calls a space.
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_LARGEST = 32 * 1024 * 1024
_LONGEST_LINE = 64 * 1024
_BEHAVIORS = ("create", "replace", "merge")
_HASH_LETTERS = str.maketrans("013ae", "ghkmt")


def with_global(options: GeneratorOptions | None, shared: GeneratorOptions | None) -> GeneratorOptions | None:
    """The options of one generator, filled in from those of all."""
    if shared is None:
        return options
    own = options or GeneratorOptions()
    return GeneratorOptions(
        labels={**shared.labels, **own.labels},
        annotations={**shared.annotations, **own.annotations},
        disable_name_suffix_hash=own.disable_name_suffix_hash or shared.disable_name_suffix_hash,
        immutable=own.immutable or shared.immutable,
    )


def config_map(place: Place, args: ConfigMapArgs) -> Resource:
    """The ConfigMap that ``args`` describe."""
    content = _base("ConfigMap", args)
    for name, value in sorted(_pairs(place, args).items()):
        try:
            field, text = "data", value.decode()
        except UnicodeDecodeError:
            field, text = "binaryData", base64_lines(value)
        set_field(content.setdefault(field, {}), key(name), data_string(text))
    return _finished(content, args)


def secret(place: Place, args: SecretArgs) -> Resource:
    """The Secret that ``args`` describe."""
    content = _base("Secret", args)
    content["type"] = string(args.type or "Opaque")
    data: dict[str, Node] = {}
    for name, value in sorted(_pairs(place, args).items()):
        set_field(data, key(name), data_string(base64_lines(value)))
    content["data"] = data
    return _finished(content, args)


def _base(kind: str, args: ConfigMapArgs) -> dict[str, Node]:
    if not args.name:
        raise KustomizeError("a generator has no name", where=Where(field="name"), hint="write name")
    meta: dict[str, Node] = {}
    set_field(meta, "name", string(args.name))
    if args.namespace:
        set_field(meta, "namespace", string(args.namespace))
    return {"apiVersion": string("v1"), "kind": string(kind), "metadata": meta}


def _finished(content: dict[str, Node], args: ConfigMapArgs) -> Resource:
    options = args.options
    meta = content["metadata"]
    if options is not None:
        for field, values in (("labels", options.labels), ("annotations", options.annotations)):
            for name in sorted(values):
                value = Scalar(STR, values[name], QUOTED)
                set_field(meta.setdefault(field, {}), key(name), value)
        if options.immutable:
            content["immutable"] = Scalar(BOOL, "true")
    resource = Resource(content)
    if options is None or not options.disable_name_suffix_hash:
        resource.enable(NEEDS_HASH)
    behavior = args.behavior if args.behavior in _BEHAVIORS else "unspecified"
    resource.set_annotations({**resource.annotations(), BEHAVIOR: behavior})
    return resource


def _pairs(place: Place, args: ConfigMapArgs) -> dict[str, bytes]:
    out: dict[str, bytes] = {}
    total = 0
    for number, (field, name, value) in enumerate(
        [
            *(("envs", *pair) for source in args.envs for pair in _env_file(place, source)),
            *(("literals", *_literal(source)) for source in args.literals),
            *(("files", *_file(place, source)) for source in args.files),
        ]
    ):
        total += len(value)
        if number > 100_000 or total > _LARGEST:
            raise KustomizeError(
                f"{shown(args.name, 60)} has more than 100,000 keys or 32 MiB",
                where=Where(field=field),
                hint="Kubernetes takes 1 MiB in one object",
            )
        if name in out:
            raise KustomizeError(
                f"the key {shown(name, 80)} of {shown(args.name, 60)} is there twice",
                where=Where(field=field),
                hint="take one of the two out",
            )
        out[name] = value
    return out


def _literal(source: str) -> tuple[str, bytes]:
    name, equals, value = source.partition("=")
    if not name or not equals:
        raise KustomizeError("a literal is not key=value", where=Where(field="literals"), hint="write key=value")
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return name, value.encode()


def _file(place: Place, source: str) -> tuple[str, bytes]:
    where = Where(field="files")
    name, equals, path = source.partition("=")
    if not equals:
        name, path = posixpath.basename(source.rstrip("/")) or "/", source
    if "=" in path or not name or not path:
        raise KustomizeError(
            f"{shown(source, 80)} is not a path and not key=path", where=where, hint="write path, or key=path"
        )
    try:
        return name, place.load(path)[1]
    except KustomizeError as error:
        raise error.at(where) from None


def _env_file(place: Place, source: str) -> list[tuple[str, bytes]]:
    try:
        path, data = place.load(source)
    except KustomizeError as error:
        raise error.at(Where(field="envs")) from None
    out = []
    for number, line in enumerate(data.split(b"\n")):
        if len(line) >= _LONGEST_LINE:
            # The original stops reading here without a word; a file that is cut in silence helps nobody.
            raise KustomizeError("a line is longer than 64 KiB", where=Where(file=path, line=number + 1))
        text = line.removesuffix(b"\r")
        if number == 0:
            text = text.removeprefix(_BOM)
        try:
            text.decode()
        except UnicodeDecodeError:
            raise KustomizeError("a line is not UTF-8", where=Where(file=path, line=number + 1)) from None
        text = text.decode().lstrip(_SPACES).encode()
        if text and not text.startswith(b"#"):
            name, _, value = text.partition(b"=")
            if name:
                out.append((name.decode(), value))
    return out


def add_hashes(collection: Collection) -> None:
    """Give the names of generated objects the hash of what they hold."""
    for resource in collection:
        if resource.enabled(NEEDS_HASH):
            digest = hash_of(resource)
            resource.store_previous_id()
            resource.set_name(f"{resource.name}-{digest}")


def hash_of(resource: Resource) -> str:
    """The ten letters that the original gives the content of a ConfigMap or Secret."""
    kind = resource.kind
    fields = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}.get(kind)
    if fields is None:
        raise KustomizeError(
            f"a {shown(kind, 60)} gets no hash", where=resource.where, hint="take kustomize's own annotations out"
        )
    tree = resource.tree
    # The original looks for a field called "metadata/name", and so finds none.
    said: dict[str, Any] = {"kind": kind, "name": "", "data": _hashed(tree.get(fields[0]))}
    extra = _hashed(tree.get(fields[1]))
    if isinstance(extra, dict):
        said[fields[1]] = extra
    if kind == "Secret":
        said["type"] = _hashed(tree.get("type"))
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for letter, escape in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(letter, escape)
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(_HASH_LETTERS)


def _hashed(node: Node) -> Any:
    if node is None:
        return ""
    return node.text if node.__class__ is Scalar else json_value(node)
