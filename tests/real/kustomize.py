"""What the real `kustomize build` makes of a folder: the judge of `core/kustomize`.

Used by the tests in `tests/unit/kustomize`, by `tools/make_kustomize_cases.py` and by the benchmarks. The program gets
no network, no Git and no home of a person's; it may run no plugins. It refuses to guess where the program isn't built.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from real import programs

CASES = Path(__file__).resolve().parent.parent / "kustomize" / "cases"
EXPECTED, REFUSED, ARGUMENTS = "expected.yaml", "refused", "arguments"
"""What a case holds beside its input: the output, or why it is refused, and further arguments of `kustomize build`."""


@dataclass(frozen=True)
class Answer:
    """What the program printed where it accepted; else what it complained about."""

    text: str | None
    error: str = ""


def program() -> Path | None:
    """The pinned `kustomize`; None where it is not built."""
    return programs.find("kustomize")


def build(folder: Path, arguments: Sequence[str] = ()) -> Answer:
    """`kustomize build FOLDER`, within 30 s."""
    found = program()
    if found is None:
        raise LookupError("kustomize is not built (`make real` does)")
    helm = programs.find("helm")
    environment = {
        "HOME": os.devnull,
        "PATH": os.devnull,
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    if "--enable-helm" in arguments and helm is not None:
        arguments = [*arguments, "--helm-command", str(helm)]
        environment["PATH"] = str(helm.parent)
    done = subprocess.run(
        [found, "build", folder, *arguments], capture_output=True, timeout=30, env=environment, check=False
    )
    if done.returncode != 0:
        return Answer(None, done.stderr.decode("utf-8", "replace"))
    return Answer(done.stdout.decode())


def cases() -> Iterator[Path]:
    """The folders of the cases, by name."""
    return (folder for folder in sorted(CASES.iterdir()) if folder.is_dir())


def arguments_of(case: Path) -> list[str]:
    """The arguments that a case adds to `kustomize build`."""
    file = case / ARGUMENTS
    return file.read_text().split() if file.exists() else []
