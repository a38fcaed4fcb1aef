"""`make differential`: what is rendered here, and what the programs themselves make of the same, counted.

`ARGS="--examples 1000 --seed 7"`. The programs are those that `make real` builds; a search whose program
is not there is left out, and said so. Whatever is different is printed, and ends the run with exit code 1; "on purpose"
is what docs/limits.md and docs/render/jsonnet.md tell. The table is that of docs/render/differential.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "unit" / "kustomize"))

from drawn import trees  # noqa: E402
from folders import ours  # noqa: E402
from judging import judge, judge_files  # noqa: E402
from mutated import mutants  # noqa: E402
from scribbled import scribbles  # noqa: E402

from real import kustomize, test_helm_drawn, test_jsonnet  # noqa: E402
from real.programs import find  # noqa: E402

Verdict = tuple[str, str]
WORDS = ("same", "refused", "on purpose", "different")
HEADS = ("search", "compared", "the same", "both refuse", "different on purpose", "different")
CORPUS = HERE.parents[1] / "shared" / "corpus"


class Report:
    """Counts verdicts, a line for each search; keeps the first few that differ."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}", flush=True)

    def line(self, name: str, verdicts: Iterator[Verdict]) -> None:
        counts: Counter[str] = Counter()
        for word, told in verdicts:
            counts[word] += 1
            if word == "different":
                self.wrong.append(f"{name}: {told[:2000]}")
        row = [name, sum(counts.values()), *(counts[word] for word in WORDS)]
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def cases() -> Iterator[Verdict]:
    """The cases of the project's own, by what the program prints now."""
    for case in kustomize.cases():
        answer, mine = kustomize.build(case, kustomize.arguments_of(case)), ours(case)
        if answer.text is None:
            yield ("different", f"{case.name}: {answer.error}") if isinstance(mine, str) else ("refused", "")
        else:
            yield ("same", "") if mine == answer.text else ("different", case.name)


def corpus(root: Path) -> Iterator[Verdict]:
    """Every kustomization of the corpus, and online-boutique with each component and all of them."""
    from test_corpus_trees import SHOP, components, folders

    for folder in folders():
        yield judge(root, folder)
    shop = root / SHOP
    files = {f"shop/{one.relative_to(shop)}": one.read_bytes() for one in shop.rglob("*") if one.is_file()}
    for chosen in [*([one] for one in components()), components(), components()[::-1]]:
        named = ", ".join(f"../components/{one}" for one in chosen)
        overlay = f"resources: [../base]\ncomponents: [{named}]\n".encode()
        yield judge_files({**files, "shop/own/kustomization.yaml": overlay}, "shop/own")


def drawn(
    examples: int, start: int, verdict: Callable[..., Verdict], *strategies: st.SearchStrategy[Any]
) -> Iterator[Verdict]:
    """So many examples, drawn from ``start``."""
    found: list[Verdict] = []
    bounds = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    @seed(start)
    @bounds
    @given(st.tuples(*strategies))
    def search(drawn: tuple[Any, ...]) -> None:
        found.append(verdict(*drawn))

    search()
    return iter(found)


def jsonnet() -> Iterator[Verdict]:
    """Each expression, and those that are known to be different."""
    with tempfile.TemporaryDirectory() as folder:
        for code in [*test_jsonnet.EXPRESSIONS, *test_jsonnet.DIFFERENT]:
            mine, theirs = test_jsonnet.ours(Path(folder), code), test_jsonnet.theirs(code)
            if mine == theirs:
                yield "same" if mine[0] else "refused", ""
            else:
                yield ("on purpose" if code in test_jsonnet.DIFFERENT else "different"), f"{code}: {mine} {theirs}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=200, help="that each search draws (of charts a fifth of it)")
    parser.add_argument("--seed", type=int, default=1, help="where the drawing begins")
    said = parser.parse_args()
    report, examples, start = Report(), said.examples, said.seed
    if find("kustomize") is not None:
        report.line("cases of the project's own", cases())
        if CORPUS.is_dir():
            report.line("kustomizations of the corpus", corpus(CORPUS))
        report.line("drawn trees", drawn(examples, start, judge_files, trees()))
        hand = scribbles().map(lambda text: {"kustomization.yaml": b"resources: [it.yaml]\n", "it.yaml": text})
        report.line("YAML by hand", drawn(examples, start, judge_files, hand))
        report.line("cases with mistakes", drawn(examples, start, judge_files, mutants()))
    if find("helm") is not None:
        charts = test_helm_drawn.templates(), test_helm_drawn.values, st.booleans()
        report.line("drawn charts and values", drawn(max(1, examples // 5), start, test_helm_drawn.judge, *charts))
    if find("jsonnet") is not None:
        report.line("Jsonnet expressions", jsonnet())
    if absent := [name for name in ("kustomize", "helm", "jsonnet") if find(name) is None]:
        print(f"\nnot compared, because it is not built (make real): {', '.join(absent)}")
    for one in report.wrong[:20]:
        print(f"\n{one}")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
