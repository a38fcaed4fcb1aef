"""Makes what is expected in `tests/kustomize/cases` again, by the real kustomize. Run by hand.

    python tools/make_kustomize_cases.py [NAME ...]

A case is a folder with a kustomization of the project's own. Where kustomize accepts it, its output becomes
`expected.yaml`; where it refuses, the case must hold a file `refused`, which says why in a line. A case whose file says
the one and kustomize the other is told, changed in nothing, and the exit code is 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from real.kustomize import EXPECTED, REFUSED, arguments_of, build, cases


def main(names: list[str]) -> int:
    """Makes all, or those named."""
    wrong = 0
    for case in cases():
        if names and case.name not in names:
            continue
        answer = build(case, arguments_of(case))
        expected, refused = case / EXPECTED, case / REFUSED
        if answer.text is None and not refused.exists():
            print(f"{case.name}: refused, and no file `{REFUSED}` says why:\n  {answer.error.strip()[-600:]}")
            wrong += 1
        elif answer.text is not None and refused.exists():
            print(f"{case.name}: accepted, though a file `{REFUSED}` says: {refused.read_text().strip()}")
            wrong += 1
        elif answer.text is not None and (not expected.exists() or expected.read_bytes() != answer.text.encode()):
            expected.write_bytes(answer.text.encode())
            print(f"{case.name}: written")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
