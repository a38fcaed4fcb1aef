"""Writes the pages of ``docs/kinds`` from the structs of the kinds. A test holds that they are what this writes."""

from __future__ import annotations

from pathlib import Path

from windlass.core.kinds.pages import pages

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "kinds"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/kinds/{name}")


if __name__ == "__main__":
    main()
