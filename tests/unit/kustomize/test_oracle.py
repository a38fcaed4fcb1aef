"""That the expectations in `tests/kustomize/cases` are what the real kustomize says today, not what somebody typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from real import kustomize

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(kustomize.program() is None, reason="kustomize is not built (`make real` does)"),
]


@pytest.mark.parametrize("case", list(kustomize.cases()), ids=lambda case: case.name)
def test_a_case_expects_what_kustomize_prints(case: Path) -> None:
    answer = kustomize.build(case, kustomize.arguments_of(case))
    expected, refused = case / kustomize.EXPECTED, case / kustomize.REFUSED
    assert expected.exists() != refused.exists(), "a case holds an output or the reason of a refusal, not both"
    if refused.exists():
        assert answer.text is None, "kustomize accepts it"
    else:
        assert answer.text is not None, answer.error
        assert answer.text.encode() == expected.read_bytes()
