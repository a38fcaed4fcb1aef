"""SOPS with age: files that the real program encrypted, opened with their lines; every change of them is refused;
nothing that was opened is kept or told. Fresh files are made where `sops` is there."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import MemoryTree, bodies, rendered, request

from real.programs import find
from windlass.adapters.render.documents import Documents
from windlass.adapters.render.kustomizing import _parsing
from windlass.adapters.render.sops import Identities, NotDecrypted
from windlass.adapters.render.sops_files import opened
from windlass.adapters.render.steps import render
from windlass.core.documents import read
from windlass.core.kinds.rendering import Decrypt, Jsonnet, Render, Substitute, ValueRef
from windlass.ports import ClusterValues

FILES = Path(__file__).parent / "sops"
KEY = (FILES / "keys.txt").read_bytes()
SETTINGS = Render(decrypt=Decrypt("sops-age"))
VALUES = ClusterValues({"Secret/sops-age": {"age.agekey": KEY, "other": b"no key"}})
UNDER_MAC = ["regex.yaml", "whole.yaml", "regex.json", "vars.env", "shop.ini", "blob.bin"]


def text(name: str) -> str:
    return (FILES / name).read_text()


def identities(data: bytes = KEY) -> Identities:
    return Identities({"age.agekey": data}, "Secret sops-age")


def plain(data: str | bytes, path: str = "a.yaml") -> bytes | None:
    return unsealed(data.encode() if isinstance(data, str) else data, path)


def unsealed(data: bytes, path: str) -> bytes | None:
    found = opened(data, path, identities)
    assert "hunter2" not in repr(found)
    return found.data if found is not None else None


def test_comments_of_lists_are_no_items_when_they_are_opened() -> None:
    # The real program writes the last comment of a list as an item, and does not count it in the MAC.
    made = plain(text("comments.yaml"))
    assert made is not None
    assert read(made, "a.yaml")[0].value["spec"] == {"items": ["hunter2", "b"], "word": "c"}
    line = next(number for number, one in enumerate(text("comments.yaml").splitlines()) if "word: " in one)
    assert made.splitlines()[line] == b'    word: "c"'


def test_a_text_that_keeps_its_last_lines_gets_none_of_those_that_sops_wrote_behind_it() -> None:
    first, second = bodies(decrypted({"a.yaml": text("keeps.yaml")}))
    assert (first["data"]["plain_text"], second["data"]["plain_text"]) == ("one\n\n", "two\n\n\n")
    made = plain(text("keeps.yaml"))
    assert made is not None
    assert not made.endswith(b"\n\n\n\n"), "nothing is left of what stood at its end"
    assert made.splitlines().index(b"    name: b") == text("keeps.yaml").splitlines().index("    name: b")


def test_json_is_opened_to_the_text_that_sops_prints() -> None:
    made = plain(text("regex.json"), "regex.json")
    assert made is not None
    assert made.startswith(b'{\n\t"apiVersion": "example.com/v1",\n')
    assert made.endswith(b"}\n")
    assert b'\t\t"share": 0.5,\n' in made


def refusal(data: str | bytes, path: str = "a.yaml") -> NotDecrypted:
    with pytest.raises(NotDecrypted) as raised:
        plain(data, path)
    assert "hunter2" not in f"{raised.value} {raised.value.hint}"
    return raised.value


def decrypted(files: dict[str, str | bytes], **more: Any) -> Any:
    return rendered(files, **{"settings": SETTINGS, "values": VALUES, **more})


@pytest.mark.parametrize("name", ["regex.yaml", "suffix.yaml"])
def test_a_secret_is_opened_and_the_file_keeps_its_lines(name: str) -> None:
    result = decrypted({"a.yaml": text(name)})
    assert (result.problems, result.warnings) == ([], [])
    config, secret = sorted(bodies(result), key=lambda one: one["kind"])
    assert config["data"] == {"level": "info"}
    values = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert values == {
        "password": 'hunter2: "quoted" é',
        "multi": "line one\nline two\n",
        "empty": "",
        "port": "5432",
    }
    assert secret["metadata"]["annotations"]["note"] == "5"
    assert result.private
    where = next(one.origin.line for one in result.objects if one.ref.kind == "ConfigMap")
    assert text(name).splitlines()[where - 1] == "apiVersion: v1"


@pytest.mark.parametrize("name", ["whole.yaml", "regex.json"])
def test_values_come_back_with_their_types(name: str) -> None:
    (body,) = bodies(decrypted({name: text(name)}))
    assert (body["apiVersion"], body["metadata"]["name"]) == ("example.com/v1", "all")
    spec = body["spec"]
    assert (spec["replicas"], spec["share"], spec["paused"]) == (3, 0.5, True)
    assert spec["items"] == ["a", 2, {"b": "c"}]
    assert spec["plain_unencrypted"][:2] == [1, 2.5]


def test_dotenv_and_whole_files_are_opened_as_they_were() -> None:
    assert plain(text("vars.env"), "vars.env") == b"\nUSER=shop\nPASSWORD=hunter2\nEMPTY=\n"
    assert plain((FILES / "blob.bin").read_bytes(), "blob.bin") == b"hunter2\xff\x00\n"


def test_an_ini_file_is_opened_to_the_text_that_sops_prints() -> None:
    assert plain(text("shop.ini"), "shop.ini") == OPENED_INI.encode()
    assert plain(text("shop.ini").replace("\n", "\r\n"), "shop.ini") == OPENED_INI.encode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("port_unencrypted = 5432", "port_unencrypted = 5433"),
        ("port_unencrypted = 5432", "port_unencrypted = 5432\nport_unencrypted = 1"),
        ("[database]", "[other]"),
        ("[database]", "[database"),
        ("[database]", "[database]\nmore = plain"),
        ("[database]", "[database]\nword"),
        ("mac ", "mac_only_encrypted = true\nmac "),
    ],
)
def test_every_change_of_an_ini_file_is_refused(old: str, new: str) -> None:
    refusal(lines("shop.ini", old, new), "shop.ini")


@pytest.mark.parametrize(
    "data",
    [
        b"a: 1\n",
        b"[sops]\nmac = x\n",
        b"# [sops]\nmac = x\nlastmodified = y\n",
        b"",
        b"sops",
        b"sops: true\n",
        b'{"sops": {}}',
        b"sops: {mac: x}\n",
        b"\xff sops:",
    ],
)
def test_what_is_not_encrypted_is_left_alone(data: bytes) -> None:
    assert plain(data) is None


def test_what_is_encrypted_is_refused_where_nobody_says_how_to_open_it() -> None:
    (problem, *_) = rendered({"a.yaml": text("regex.yaml")}).problems
    assert (problem.slug, problem.hint) == ("not-decrypted", "decrypt: {secret: sops-age} in spec.render")


def test_no_key_that_fits_is_told_with_whom_it_is_encrypted_for() -> None:
    other = b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    values = ClusterValues({"Secret/sops-age": {"age.agekey": other}})
    (problem,) = decrypted({"a.yaml": text("whole.yaml")}, values=values).problems
    assert "age" in problem.what
    assert other.decode() not in str(problem)
    (problem,) = decrypted({"a.yaml": text("whole.yaml")}, values=ClusterValues()).problems
    assert problem.what == "Secret sops-age holds no key: none of its keys ends in .agekey"
    assert "--from-file=age.agekey=" in problem.hint
    with pytest.raises(NotDecrypted, match="holds a line that is no age identity") as raised:
        identities(b"AGE-SECRET-KEY-1HUNTER2")
    assert "HUNTER2" not in f"{raised.value}{raised.value.hint}"


OPENED_INI = """\
; the shop
name = shop

; its database
[database]
user             = shop
; hunter2!
password         = hunter2
port_unencrypted = 5432
; said beside it
note_unencrypted = a
empty            = {}
quoted           = "hunter2 "
hash             = `hunter2 # ; x`
lines            = \"""hunter2
second
\"""

[a "sub"]
equal = a=b
""".replace("{}", "")


def lines(name: str, old: str, new: str) -> str:
    whole = text(name)
    assert whole.count(old) >= 1, old
    return whole.replace(old, new)


def sealed(name: str, key: str) -> str:
    return next(line.split(": ", 1)[1] for line in text(name).splitlines() if line.strip().startswith(f"{key}: ENC"))


CHANGED = {
    "a value moved": lines("regex.yaml", sealed("regex.yaml", "port"), sealed("regex.yaml", "password")),
    "a value changed": lines("regex.yaml", "password: ENC[AES256_GCM,data:", "password: ENC[AES256_GCM,data:AAAA"),
    "a value put in plainly": lines("regex.yaml", sealed("regex.yaml", "port"), '"80"'),
    "a number put in": lines("regex.yaml", sealed("regex.yaml", "port"), "80"),
    "a value taken out": "".join(
        line for line in text("regex.yaml").splitlines(keepends=True) if not line.strip().startswith("port: ")
    ),
    "what is not encrypted changed": lines("regex.yaml", "name: db", "name: other"),
    "what is not encrypted put in": lines("regex.yaml", "name: db", "name: db\n    namespace: kube-system"),
    "the second document changed": lines("regex.yaml", "name: after", "name: before"),
    "another time": lines("regex.yaml", 'lastmodified: "20', 'lastmodified: "21'),
    "another rule": lines("regex.yaml", "^(data|stringData)$", "^(stringData)$|^name$"),
    "no MAC": lines("regex.yaml", "    mac: ENC[", "    mac: XENC["),
    "MAC of less": lines("regex.yaml", "    lastmodified:", "    mac_only_encrypted: true\n    lastmodified:"),
    "MAC of more": lines("suffix.yaml", "mac_only_encrypted: true", "mac_only_encrypted: false"),
}


@pytest.mark.parametrize("how", CHANGED)
def test_every_change_of_a_file_is_refused(how: str) -> None:
    refusal(CHANGED[how])
    (problem, *_) = decrypted({"b/a.yaml": CHANGED[how]}).problems
    assert (problem.slug, problem.file) == ("not-decrypted", "b/a.yaml")


def test_what_is_not_under_the_mac_may_be_changed_where_the_file_says_so() -> None:
    assert plain(lines("suffix.yaml", "name: after", "name: before")) is not None


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (text("groups.yaml"), "the key of this file is split among groups of keys (Shamir)"),
        (
            lines("whole.yaml", "    age:\n", "    pgp: [{fp: A}]\n    kms: [{arn: x}]\n    x:\n"),
            "this file is encrypted with AWS KMS and PGP",
        ),
        (lines("whole.yaml", "    age:\n", "    x:\n"), "this file is encrypted with no key at all"),
        (lines("whole.yaml", "    age:\n", "    age: 3\n    x:\n"), "what stands under sops is not as sops writes it"),
        (
            lines("whole.yaml", "    unencrypted_suffix: _unencrypted", "    encrypted_comment_regex: x"),
            "what is encrypted in this file is told by comments",
        ),
        (
            lines("whole.yaml", "    unencrypted_suffix: _unencrypted", "    encrypted_regex: '(['"),
            "a pattern of this file's sops block",
        ),
        (lines("regex.yaml", "name: db", "name: &a db\n    other: *a"), "an alias stands in an encrypted file"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(data: str, what: str) -> None:
    assert str(refusal(data)).startswith(what)


def test_a_pattern_that_can_not_be_encoded_is_refused_by_name() -> None:
    content = json.loads(text("regex.json"))
    content["sops"]["encrypted_regex"] = "\ud800"
    refused = refusal(json.dumps(content), "a.json")
    assert str(refused).startswith("a pattern of this file's sops block can't be used")
    assert "encrypted_regex" in refused.hint


def test_a_value_that_is_no_text_is_refused_by_name() -> None:
    content = json.loads(text("regex.json"))
    refused = refusal(
        json.dumps({"kind": "\ud800", **{key: one for key, one in content.items() if key != "kind"}}), "a.json"
    )
    assert str(refused).startswith("a value of this file is no text")


def test_a_pattern_made_to_hurt_ends() -> None:
    refusal(
        lines("regex.yaml", "^(data|stringData)$", "(a+)+$").replace("name: db", "name: db\n    " + "a" * 900 + "b: x")
    )


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(UNDER_MAC), st.data())
def test_damage_anywhere_is_refused_or_changes_nothing(name: str, data: st.DataObject) -> None:
    whole = (FILES / name).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = unsealed(bytes(damaged), name)
    except NotDecrypted as error:
        told = f"{error} {error.hint}"
        found = None
    else:
        told = ""
    assert "hunter2" not in told
    assert found is None or _meaning(found, name) == _meaning(plain(whole, name) or b"", name)


def _meaning(data: bytes, name: str) -> Any:
    """What the MAC is over: the values one behind the other. Names of keys that are not encrypted are not under it."""
    if name.endswith((".yaml", ".json")):
        return "".join(_leaves([one.value for one in read(data, name)]))
    if name.endswith(".ini"):
        # Comments and their marks are not under it either.
        data = b"\n".join(line for line in data.split(b"\n") if not line.strip().startswith((b";", b"[")))
        return [line.partition(b"=")[2].strip() for line in data.split(b"\n") if line.strip()]
    return [line.partition(b"=")[2] for line in data.split(b"\n") if line and not line.startswith(b"#")]


def _leaves(value: Any) -> Iterator[str]:
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, dict | list):
            yield from _leaves(one)
        elif one is not None:
            yield str(one)


def test_what_was_opened_is_kept_for_nobody_else() -> None:
    documents = Documents()
    tree = MemoryTree({"a.yaml": text("regex.yaml")})

    def made(**more: Any) -> Any:
        return render(request(**more), tree, documents, lambda paths: {})

    assert made(settings=SETTINGS, values=VALUES).problems == []
    assert b"hunter2" not in msgspec.json.encode([one.value for _, kept in documents._kept.values() for one in kept])
    assert {one.slug for one in made().problems} == {"not-decrypted"}
    assert made(settings=SETTINGS, values=VALUES).problems == []


def test_inputs_of_generators_and_resources_of_a_kustomization_are_opened() -> None:
    generators = "- {name: vars, envs: [vars.env]}\n- {name: blob, files: [blob.bin]}\n"
    files: dict[str, str | bytes] = {
        "kustomization.yaml": f"resources: [db.yaml]\nsecretGenerator:\n{generators}",
        "db.yaml": text("regex.yaml"),
        "vars.env": text("vars.env"),
        "blob.bin": (FILES / "blob.bin").read_bytes(),
    }
    result = decrypted(files)
    assert result.problems == []
    held = {one["metadata"]["name"].split("-")[0]: one["data"] for one in bodies(result) if one["kind"] == "Secret"}
    assert base64.b64decode(held["vars"]["PASSWORD"]) == b"hunter2"
    assert base64.b64decode(held["blob"]["blob.bin"]) == b"hunter2\xff\x00\n"
    assert base64.b64decode(held["db"]["port"]) == b"5432"
    assert result.private
    # Nothing of it stays for a build of somebody else.
    assert b"hunter2" not in b"".join(_parsing().trees)


@pytest.mark.parametrize(
    "code", ["error it", "assert false : it; it", "std.parseJson(it)", "{}[it]", "it", "{a: [it]}"]
)
def test_an_error_of_jsonnet_does_not_tell_what_was_opened(code: str) -> None:
    files: dict[str, str | bytes] = {
        "main.jsonnet": f"local it = importstr 'blob.txt';\n{code}",
        "blob.txt": text("vars.env"),
    }
    where = Render(decrypt=Decrypt("sops-age"), jsonnet=Jsonnet())
    for problem in decrypted(files, settings=where).problems:
        assert "hunter2" not in str(problem)
        assert "shop" not in str(problem)
        assert problem.file == "main.jsonnet"


def test_a_value_that_is_wrong_where_it_stands_is_not_told() -> None:
    wrong = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {a: '${LONG}'}}\n" + (
        "spec: {replicas: '${TOKEN}'}\n"
    )
    held = {"TOKEN": b"hunter2-hunter2", "LONG": b"correct-horse!" * 10}
    result = rendered(
        {"a.yaml": wrong},
        settings=Render(substitute=Substitute(from_=[ValueRef(secret="s")])),
        values=ClusterValues({"Secret/s": held}),
    )
    told = str([*result.problems, *result.invalid, *result.warnings])
    assert len(result.invalid) == 1
    assert "hunter2" not in told
    assert "horse" not in told
    wrong = wrong.replace("'${LONG}'", "a")
    result = rendered(
        {"a.yaml": wrong},
        settings=Render(substitute=Substitute(from_=[ValueRef(secret="s")])),
        values=ClusterValues({"Secret/s": held}),
    )
    assert result.problems[0].what == 'replicas must be an integer, not "***"'


@pytest.mark.real
@pytest.mark.skipif(find("sops") is None, reason="sops is not built: make real")
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--encrypted-regex", "^(data|stringData)$"),
        ("--unencrypted-regex", "^(apiVersion|kind|metadata)$"),
        ("--encrypted-suffix", "a"),
        ("--unencrypted-suffix", "Data"),
        ("--encrypted-regex", "^data$", "--mac-only-encrypted"),
    ],
)
@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.env", "a.ini", "a.bin"])
def test_fresh_files_of_the_real_program_open_as_it_opens_them(
    tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    sops = find("sops")
    assert sops is not None
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a", "labels": {"a": "1", "b": "yes"}},
        "data": {
            "x": "Zm9v<&>\u2028",
            "é": "ü ",
            "n": 3,
            "f": 2.5e-7,
            "big": 2**60,
            "t": True,
            "none": None,
            "list": [1, ["a"], {}, 1.0, 1e21, -1.5e-9, 1e20],
        },
        "stringData": {"p": "a\nb\n", "q": "'\"#:{}", "empty": ""},
    }
    source = {
        "a.yaml": json.dumps(content, indent=1, ensure_ascii=False).encode(),
        "a.json": json.dumps(content).encode(),
        "a.env": b"A=1\n# word\nB_a=x y=z\nC=\n",
        "a.ini": b'; x\n[data]\na = b # c\nB_a = "x y "\nC =\n[sub "a"]\nx.y = `#;`\nn = """a\nb"""\n',
        "a.bin": bytes(range(256)),
    }[name]
    (tmp_path / name).write_bytes(source)
    recipient = next(line.rpartition(" ")[2] for line in KEY.decode().splitlines() if "public key" in line)
    environment = os.environ | {"SOPS_AGE_KEY_FILE": str(FILES / "keys.txt")}

    def run(*arguments: str) -> bytes:
        done = subprocess.run(
            [str(sops), "--disable-version-check", *arguments, name], cwd=tmp_path, env=environment, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    encrypted = run("--encrypt", "--age", recipient, *options)
    (tmp_path / name).write_bytes(encrypted)
    theirs, ours = run("--decrypt"), unsealed(encrypted, name)
    assert ours is not None
    if name == "a.yaml":
        assert [one.value for one in read(ours, name)] == [one.value for one in read(theirs, name)]
    elif name == "a.env":
        assert _meaning(ours, name) == _meaning(theirs, name)
    else:
        assert ours == theirs
