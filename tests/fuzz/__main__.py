"""`make fuzz`: atheris on every target in turn, for bounded seconds each. `ARGS="--seconds 60 --target yaml"`.

What it finds is kept in a folder of its own (`--keep`, else a temporary one) and ends the run with exit code 1. Each
target runs in a process of its own, because libFuzzer ends its process itself. Atheris has no wheels for Python 3.11:
there the same seeds are spoilt at random, which finds less, and the first line says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def one(name: str, corpus: Path, seconds: int) -> None:
    """The life of one target's process. Never returns."""
    try:
        import atheris
    except ImportError:
        blindly(name, corpus, seconds)
        return
    with atheris.instrument_imports(include=["windlass"]):
        from fuzz import targets

    for number, seed in enumerate(targets.TARGETS[name][2]):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-max_len=4096",
        "-print_final_stats=0",
    ]
    options += ["-verbosity=0", f"-artifact_prefix={corpus}/found-"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: targets.run(name, data))
    atheris.Fuzz()


def blindly(name: str, corpus: Path, seconds: int) -> None:
    """Seeds spoilt at random, without looking at what they reach. Raises what it finds."""
    from fuzz import targets

    draw = random.Random(name)
    seeds = [*targets.TARGETS[name][2], b"", b"{}", b"[]"]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randrange(1, 8)):
            start = draw.randrange(len(data) + 1)
            piece = draw.choice(
                [draw.randbytes(draw.randrange(5)), data[start : start + 9], b"{", b"[", b'"', b"\n", b":"]
            )
            data[start : start + draw.randrange(6)] = piece * draw.choice([1, 1, 1, 2, 30])
        try:
            targets.run(name, bytes(data[:4096]))
        except BaseException:
            (corpus / "found-blindly").write_bytes(data)
            raise


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=5, help="for each target")
    parser.add_argument("--target", action="append", help="only this one (may be named more than once)")
    parser.add_argument("--keep", type=Path, help="a folder for inputs, kept from run to run")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.one:
        one(said.one, said.keep, said.seconds)
        return 0
    from fuzz import targets

    if importlib.util.find_spec("atheris") is None:
        print("atheris is not here (it needs Python 3.12): inputs are spoilt at random")

    wrong = []
    with tempfile.TemporaryDirectory(prefix="windlass-fuzz-") as temporary:
        for name in said.target or targets.TARGETS:
            corpus = (said.keep or Path(temporary)) / name.replace(" ", "-")
            corpus.mkdir(parents=True, exist_ok=True)
            command = [
                sys.executable,
                "-m",
                "fuzz",
                "--one",
                name,
                "--keep",
                str(corpus),
                "--seconds",
                str(said.seconds),
            ]
            done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
            print(f"{name:20} {'well' if done.returncode == 0 else 'WRONG'}", flush=True)
            if done.returncode != 0:
                wrong.append(name)
                print(done.stdout[-2000:], done.stderr[-4000:], sep="\n")
                for found in corpus.glob("found-*"):
                    print(f"{found.name}: {found.read_bytes()[:400]!r}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
