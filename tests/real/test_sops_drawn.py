"""Files drawn by hypothesis and encrypted by the real `sops`: what is opened here is what `sops` opens itself."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, assume, given, note, settings
from hypothesis import strategies as st

from real.programs import find
from windlass.adapters.render.sops import Identities, NotDecrypted
from windlass.adapters.render.sops_files import opened
from windlass.core.documents import read

KEYS = Path(__file__).parents[1] / "unit/render/sops/keys.txt"

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(find("sops") is None, reason="sops is not built (`make real` does)"),
]

WORDS = [
    "a", "yes", "on", "null", "~", "1", "01", "0x1F", "1e3", "1.10", "2001-01-01", "a: b", "# a", "a\nb", "a\nb\n",
    "\n", " a ", "\ta", "é", "😀", "'", '"', "ENC[a]", "x" * 90, "a\r\nb",
]  # fmt: skip
texts = st.sampled_from(WORDS) | st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc", "Cn")), max_size=12
)
scalars = texts | st.sampled_from([0, 1, -7, 2**40, 2**62, 1.5, -2.25, 1e21, 2.5e-7, 0.1, True, False, None])
keys = st.sampled_from(["a", "b", "data", "x_y", "password", "c.d/e", "é", "1", "no"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
documents = st.lists(st.dictionaries(keys, values, min_size=1, max_size=4), min_size=1, max_size=2)
RULES: list[tuple[str, ...]] = [
    (),
    ("--encrypted-regex", "^(data|password)$"),
    ("--unencrypted-regex", "^(a|b)$"),
    ("--encrypted-suffix", "word"),
    ("--unencrypted-suffix", "a"),
    ("--encrypted-regex", "^data$", "--mac-only-encrypted"),
]


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(documents, st.sampled_from(RULES), st.sampled_from([None, '"', "'"]), st.booleans())
def test_a_drawn_file_is_opened_as_sops_opens_it(
    made: list[dict[str, Any]], rules: tuple[str, ...], style: str | None, comments: bool
) -> None:
    text = yaml.safe_dump_all(
        made, default_style=style, allow_unicode=True, default_flow_style=False, explicit_start=True
    )
    if comments:
        text = "# head\n" + text + "# foot\n"
    recipient = next(line.rpartition(" ")[2] for line in KEYS.read_text().splitlines() if "public key" in line)
    environment = os.environ | {"SOPS_AGE_KEY_FILE": str(KEYS)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.yaml")
        file.write_text(text)

        def sops(*arguments: str) -> subprocess.CompletedProcess[bytes]:
            argv = [str(find("sops")), "--disable-version-check", *arguments, "a.yaml"]
            return subprocess.run(argv, cwd=folder, env=environment, capture_output=True)

        encrypted = sops("--encrypt", "--age", recipient, *rules)
        assume(encrypted.returncode == 0)
        file.write_bytes(encrypted.stdout)
        theirs = sops("--decrypt")
    note(f"{text}\n{encrypted.stdout.decode()}\n{theirs.stdout.decode()}")
    assert theirs.returncode == 0, theirs.stderr
    found = opened(encrypted.stdout, "a.yaml", lambda: Identities({"age.agekey": KEYS.read_bytes()}, "Secret sops-age"))
    assert found is not None
    assert [one.value for one in read(found.data, "a.yaml")] == [one.value for one in read(theirs.stdout, "a.yaml")]


ini_keys = st.sampled_from(["user", "pass word", "a.b", "x_y", "ä", "port_a"])
ini_values = st.sampled_from(
    ["", "x", "a b", " a ", "a=b", "a # b", "; c", "'q'", '"q"', "`t`", "a\nb", "é", "\\", "ENC[a]", "1", "yes"]
)
ini_files = st.dictionaries(
    st.sampled_from(["one", "two.three", 'a "sub"', "DEFAULT", "ä"]),
    st.dictionaries(ini_keys, ini_values, min_size=1, max_size=4),
    min_size=1,
    max_size=3,
)


def ini_text(made: dict[str, dict[str, str]], comments: bool) -> str:
    lines = []
    for section, keys in made.items():
        lines += ["; of a section"] * comments + [f"[{section}]"]
        for key, value in keys.items():
            quoted = f'"""{value}"""' if "\n" in value or "`" in value else f"`{value}`"
            lines += ["# of a key"] * comments + [f"{key} = {quoted}"]
    return "\n".join(lines) + "\n"


@settings(
    max_examples=80,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(ini_files, st.sampled_from(RULES), st.booleans())
def test_a_drawn_ini_file_is_opened_to_the_text_that_sops_prints(
    made: dict[str, dict[str, str]], rules: tuple[str, ...], comments: bool
) -> None:
    recipient = next(line.rpartition(" ")[2] for line in KEYS.read_text().splitlines() if "public key" in line)
    environment = os.environ | {"SOPS_AGE_KEY_FILE": str(KEYS)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.ini")
        file.write_text(ini_text(made, comments))

        def sops(*arguments: str) -> subprocess.CompletedProcess[bytes]:
            argv = [str(find("sops")), "--disable-version-check", *arguments, "a.ini"]
            return subprocess.run(argv, cwd=folder, env=environment, capture_output=True)

        encrypted = sops("--encrypt", "--age", recipient, *rules)
        assume(encrypted.returncode == 0)
        file.write_bytes(encrypted.stdout)
        theirs = sops("--decrypt")
    note(f"{encrypted.stdout.decode()}\n{theirs.stdout.decode()}{theirs.stderr.decode()}")
    identities = Identities({"age.agekey": KEYS.read_bytes()}, "Secret sops-age")
    if theirs.returncode != 0 or b"= \\\n" in encrypted.stdout:
        # What it wrote it can't read itself: a value that is not encrypted and in quotes, or ends with a backslash.
        with pytest.raises(NotDecrypted):
            opened(encrypted.stdout, "a.ini", lambda: identities)
        return
    found = opened(encrypted.stdout, "a.ini", lambda: identities)
    assert found is not None
    assert found.data.decode() == theirs.stdout.decode()
