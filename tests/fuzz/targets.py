"""Every parser that people's bytes reach, as a function of bytes that may raise its own declared errors and no others.

Hypothesis tries them in the default tests (`test_targets.py`), atheris for as long as asked (`make fuzz`). A new parser
gets a line here, in `files.py` or in `outside.py`: a function, and a seed or two that look like what it is made for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from fuzz import files, outside, signers
from windlass.adapters.cluster.answers import Asked, to_error
from windlass.adapters.cluster.decode import Decoder, Unreadable
from windlass.adapters.cluster.discovery import _Root, _Table, _take_group
from windlass.adapters.cluster.follow import _named
from windlass.adapters.cluster.source import Scope, Source
from windlass.adapters.git.paths import clean_path, target_parts
from windlass.adapters.git.refs import check_name, check_range, newest
from windlass.adapters.git.urls import parse_url
from windlass.adapters.git.words import told
from windlass.adapters.host import wire
from windlass.adapters.host.children import Finished
from windlass.adapters.render import notes
from windlass.core import documents, kustomize
from windlass.core.cel import CelError, compile_expression
from windlass.core.documents import globs, scalars
from windlass.core.documents.marks import line_of
from windlass.core.documents.rules import Budget
from windlass.core.documents.write import write
from windlass.core.health.facts import facts_of
from windlass.core.health.objects import health_of
from windlass.core.health.pods import pod_facts
from windlass.core.images import references
from windlass.core.kinds import application, installation, repository
from windlass.core.kinds.application_status import ApplicationStatus
from windlass.core.kinds.fields import moment, seconds
from windlass.core.kinds.kind import read_status
from windlass.core.manifests import fieldpaths, fields, patches, quantities, redact, selectors, strategic
from windlass.core.model import Resource
from windlass.core.model.foreign import UNREADABLE
from windlass.core.plan.ownership import owner_of, takeover_managers
from windlass.core.plan.suspicion import suspicious
from windlass.errors import WindlassError
from windlass.flows.hooks import signed
from windlass.ports import ClusterUnavailable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUDGET = Budget(size=1 << 16, nodes=20_000, text=1 << 16)
MAPS = Resource("", "v1", "configmaps", "ConfigMap", True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", True)
ASKED = Asked("apply", "ConfigMap/shop/a")
URL = parse_url("https://git.example.com/acme/config.git")


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def value(data: bytes) -> Any:
    """The bytes as JSON, as the API server would send it; text where they are none."""
    try:
        return msgspec.json.decode(data)
    except UNREADABLE:
        return text(data)


def mapping(data: bytes) -> dict[str, Any]:
    found = value(data)
    return found if isinstance(found, dict) else {"metadata": {"name": "x"}, "spec": found}


# --- Git: files, names, what servers say -----------------------------------------------------------------------------


def yaml(data: bytes) -> None:
    read = documents.read(data, "a.yaml", BUDGET)
    for one in read:
        again = documents.read(write([one.value]).encode(), "b.yaml")
        assert [each.value for each in again] == [one.value], "what was read and written is read the same"


def json_documents(data: bytes) -> None:
    documents.read(b"{" + data, "a.json", BUDGET)


def places(data: bytes) -> None:
    documents.read(data, "a.yaml", BUDGET)  # only of what could be read a place is asked for
    assert line_of(data, 0, ["metadata", "name"]) >= 0


def plain_scalars(data: bytes) -> None:
    scalars.plain(text(data))


def annotations(data: bytes) -> None:
    found = mapping(data)
    notes.read({str(key): str(one) for key, one in found.items()} | {"windlass.dev/wave": text(data)})


def glob(data: bytes) -> None:
    pattern, _, path = text(data).partition("\0")
    globs.matches(pattern, path or "apps/shop/a.yaml")
    globs.name_matches(pattern, path)


def git_url(data: bytes) -> None:
    parse_url(text(data))


def git_ref(data: bytes) -> None:
    check_name(text(data))


def git_range(data: bytes) -> None:
    tags, _, wanted = text(data).partition("\0")
    newest(tags.split("\n"), check_range(wanted or tags))


def git_words(data: bytes) -> None:
    said = told(URL, Finished(128, b"", data), ["secret"])
    assert len(said.what) < 2000


def git_path(data: bytes) -> None:
    clean = clean_path(text(data))
    assert ".." not in clean.split("/")
    target_parts(text(data), "a/link")


class _OneFolder:
    def __init__(self, data: bytes) -> None:
        self._files = {"kustomization.yaml": data, "a.yaml": b"kind: ConfigMap\nmetadata: {name: a}\n", "b.env": data}

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)

    def names(self, folder: str) -> Sequence[str] | None:
        return sorted(self._files) if folder == "" else None


def kustomization(data: bytes) -> None:
    kustomize.build(_OneFolder(data), "")


def image_reference(data: bytes) -> None:
    references.parse(text(data))


def cel(data: bytes) -> None:
    compile_expression(text(data), ["object"]).value({"object": {"a": 1}})


# --- what people write in the cluster --------------------------------------------------------------------------------


def duration(data: bytes) -> None:
    seconds(text(data))


def time(data: bytes) -> None:
    moment(text(data))


def kinds(data: bytes) -> None:
    content = mapping(data)
    for kind in (application, repository, installation):
        try:
            kind.decode(content)
        except WindlassError:
            continue
    read_status(content, ApplicationStatus)


# --- the API server and what is behind it ----------------------------------------------------------------------------


def refusal(data: bytes) -> None:
    code = 400 + (data[0] if data else 0) % 200
    error = to_error(code, {"Retry-After": text(data[1:5])}, data[1:], ASKED)
    assert len(error.what) < 5000


def live_object(data: bytes) -> None:
    decoder = Decoder()
    for resource in (MAPS, DEPLOYMENTS):
        live = decoder.stored(resource, data, whole=True)
        owner_of(live, "shop.web", "windlass-shop.web")
        takeover_managers(live.managed, adopting=True)
        health_of(facts_of(live), NOW, None)
        suspicious(live, msgspec.structs.replace(live, resource_version="0"), manager="m", label="shop.web")


def pods(data: bytes) -> None:
    found = value(data)
    objects = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else [mapping(data)]
    pod_facts(objects, objects, NOW)


def watch_events(data: bytes) -> None:
    source = Source(None, Scope(MAPS))  # type: ignore[arg-type]
    source._batch(data)


def followed(data: bytes) -> None:
    content = _named(msgspec.Raw(data), "v1", "ConfigMap")
    assert content["metadata"]["name"] is not None


def discovery(data: bytes) -> None:
    table = _Table()
    for group in msgspec.json.decode(data, type=_Root).items or ():
        _take_group(table, group)


class _Deaf:
    """A transport that nobody hears."""

    def write(self, data: bytes) -> None:
        """Nothing is sent."""

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Nothing comes."""

    def resume_reading(self) -> None:
        """Nothing comes."""

    def abort(self) -> None:
        """Nothing is open."""


def http_answer(data: bytes) -> None:
    async def talk() -> None:
        for streams in (False, True):
            connection = wire.Connection(lambda _: None)
            connection.connection_made(_Deaf())  # type: ignore[arg-type]
            waiter = connection.send(b"GET / HTTP/1.1\r\n\r\n", streams=streams, largest=1 << 16)
            for start in range(0, len(data), 7):
                connection.data_received(data[start : start + 7])
            connection.connection_lost(None)
            assert waiter.done(), "whoever waits hears of the end"
            if waiter.exception() is not None:
                assert isinstance(waiter.exception(), wire.Ended | wire.Malformed | ClusterUnavailable)

    with asyncio.Runner() as runner:
        runner.run(talk())


def field_paths(data: bytes) -> None:
    for element in text(data).split("\n"):
        if fieldpaths.check_element(element):
            fieldpaths.rank(element)
            fieldpaths.server_text(element)
            assert fieldpaths.canonical(fieldpaths.canonical(element)) == fieldpaths.canonical(element)


def field_set(data: bytes) -> None:
    found = fields.decode(value(data))
    assert fields.union(found, found) == found
    assert not fields.difference(found, found)


def quantity(data: bytes) -> None:
    quantities.same_amount(text(data), "1")
    quantities.parse(text(data))


def selector(data: bytes) -> None:
    selectors.LabelSelector.parse(text(data)).matches({"app": "web"})


def patch(data: bytes) -> None:
    given = value(data)
    target = {"metadata": {"name": "x"}, "spec": {"list": [1, 2]}}
    patches.merge_patch(target, given)
    if isinstance(given, dict):
        strategic.strategic_merge(target, given)
    patches.json_patch(target, given if isinstance(given, list) else [given])


def masked(data: bytes) -> None:
    redact.masked({**mapping(data), "kind": "Secret", "apiVersion": "v1"})


# --- hooks -----------------------------------------------------------------------------------------------------------


def hook(data: bytes) -> None:
    head, _, body = data.partition(b"\n")
    assert not signed(b"secret", {"x-hub-signature-256": head.decode("latin-1")}, body)
    assert not signed(b"secret-of-the-hook", {"x-gitlab-token": head.decode("latin-1")}, body)


Target = Callable[[bytes], None]
OWN = (WindlassError,)
TARGETS: dict[str, tuple[Target, tuple[type[Exception], ...], Sequence[bytes]]] = {
    "yaml": (yaml, OWN, [b"a: &x [1, 0o7, y]\nb: *x\n<<: {c: 1e3}\n---\n- |\n  text\n- !!binary aGk=\n"]),
    "json": (json_documents, OWN, [b'"a": [1, 2.5, null, "\\u00e9"], "b": {"c": 12345678901234567890}}']),
    "places": (places, OWN, [b"metadata:\n  name: x\n", b'{"metadata": {"name": "x"}}']),
    "scalars": (plain_scalars, (scalars.ScalarError,), [b"0x1F", b"1_000", b"12:30:45", b".inf", b"2001-01-01"]),
    "annotations": (
        annotations,
        (),
        [b"\x1e4", b'{"argocd.argoproj.io/hook": "PreSync", "helm.sh/hook-weight": "-5"}'],
    ),
    "globs": (glob, OWN, [b"apps/**/*.y[a-m]ml\0apps/a/b.yaml", b"{a,b}/[!x]?/**"]),
    "git url": (git_url, OWN, [b"https://u:p@h:1/a.git", b"git@host:a/b", b"ssh://git@[::1]:22/a", b"ext::sh -c x"]),
    "git ref": (git_ref, OWN, [b"release/1.2", b"a..b", b"-x", b"refs/heads/a@{1}"]),
    "git range": (
        git_range,
        OWN,
        [b"v1.2.3\nv2.0.0-rc.1\n1.4\0>=1.4 <2", b"v2.0.0-0.c.\n1.0.0\0>=1", b"x\0^1.2 || ~2.3"],
    ),
    "git words": (git_words, OWN, [b"fatal: unable to access 'https://h/': Could not resolve host: h\nremote: no\n"]),
    "git path": (git_path, OWN, [b"apps/../../etc", b"a//b/./c", b"\x2e\x2e\x5ca", b"caf\xc3\xa9/x"]),
    "kustomization": (
        kustomization,
        OWN,
        [
            b"\xd8, \\/: x",
            b"resources: [a.yaml]\nnamePrefix: x-\nimages: [{name: a, newTag: b}]\nconfigMapGenerator: [{name: c}]\n",
        ],
    ),
    "image reference": (image_reference, OWN, [b"registry.example:5000/a/b:1.2@sha256:" + b"a" * 64]),
    "cel": (cel, (CelError,), [b"object.a == 1 && [1,2].exists(x, x > 1)", b"'a' + string(object.a)"]),
    "duration": (duration, (ValueError,), [b"1h30m", b"500ms"]),
    "time": (time, (ValueError, OverflowError), [b"2026-12-01", b"2026-11-23T08:00:00Z"]),
    "kinds": (
        kinds,
        OWN,
        [
            b'{"metadata":{"name":"shop","namespace":"a"},"spec":{"source":{"repository":"config","path":"a"}}}',
            b'{"metadata":{"name":"c"},"spec":{"url":"https://h/a","ref":{"branch":"m"}},"status":{"commit":"x"}}',
        ],
    ),
    "refusal": (
        refusal,
        (),
        [
            b"\x09" + b'{"kind":"Status","message":"x","reason":"Conflict","details":{"causes":[{"reason":'
            b'"FieldManagerConflict","message":"conflict with \\"kubectl\\"","field":".spec"}]}}'
        ],
    ),
    "live object": (
        live_object,
        (Unreadable,),
        [
            b'{"metadata":{"name":"x","resourceVersion":"7","labels":{"windlass.dev/application":"shop.web"},'
            b'"managedFields":[{"manager":"m","operation":"Apply","fieldsV1":{"f:spec":{"f:replicas":{}}}}]},'
            b'"spec":{"replicas":2},"status":{"conditions":[{"type":"Available","status":"True"}]}}'
        ],
    ),
    "pods": (
        pods,
        (),
        [
            b'[{"metadata":{"name":"p"},"status":{"phase":"Pending","containerStatuses":[{"name":"c","restartCount":3,'
            b'"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":1}}}]}}]'
        ],
    ),
    "watch events": (watch_events, (), [b'{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":"7"}}}']),
    "followed": (followed, (Unreadable,), [b'{"metadata":{"name":"x","uid":"u","resourceVersion":"7"}}']),
    "discovery": (
        discovery,
        UNREADABLE,
        [
            b'{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":"apps"},"versions":[{"version":"v1",'
            b'"resources":[{"resource":"d","scope":"Namespaced","responseKind":{"kind":"D"},"verbs":["list"]}]}]}]}'
        ],
    ),
    "http answer": (
        http_answer,
        (),
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\nabc",
        ],
    ),
    "field paths": (field_paths, (fieldpaths.FieldPathError,), [b'f:spec\nk:{"name":"a","port":80}\nv:"x"\ni:3\n.']),
    "field set": (
        field_set,
        (fieldpaths.FieldPathError,),
        [b'{"f:spec":{"f:ports":{"k:{\\"port\\":80}":{".":{},"f:name":{}}},"f:args":{"v:\\"x\\"":{}}}}'],
    ),
    "quantity": (quantity, (quantities.QuantityError,), [b"1.5Gi", b"100m", b"1e3", b"-0.5Ki"]),
    "selector": (selector, (selectors.SelectorError,), [b"app=web,tier in (a,b),!legacy,x notin (c)", b"a==b"]),
    "patch": (
        patch,
        (patches.PatchError,),
        [
            b'[{"op":"add","path":"/spec/list/-","value":3},{"op":"move","from":"/spec","path":"/x"}]',
            b'{"spec":{"$patch":"replace","list":null},"$retainKeys":["a"]}',
        ],
    ),
    "masked": (masked, (), [b'{"data":{"a":"eA=="},"stringData":{"b":"y"},"metadata":{"annotations":{"k":"v"}}}']),
    "hook": (hook, (), [b"sha256=00\n{}", b"\xe9\n{}"]),
}
for room in (files, outside, signers):
    TARGETS |= {name: (target, errors, room.SEEDS[name]) for name, (target, errors) in room.TARGETS.items()}


def run(name: str, data: bytes) -> None:
    """One input. Raises what is a bug: any error that the parser does not declare."""
    target, errors, _ = TARGETS[name]
    try:
        target(data)
    except errors:
        return
