"""RESULTS.md: each benchmark writes a section of its own, in place of the one that was there."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def put(title: str, lines: list[str]) -> None:
    """Write the section of this title, a line that starts with "## ", and say where it is."""
    before, _, after = RESULTS.read_text().partition(title)
    rest = after.partition("\n## ")[2]
    text = "\n".join([title, *lines]).rstrip()
    RESULTS.write_text(f"{before.rstrip()}\n\n{text}\n" + (f"\n## {rest}" if rest else ""))
    print(f"written: {RESULTS.name}, {title.removeprefix('## ')}")
