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


def put_first(lines: list[str]) -> None:
    """Write these sections, and keep after them those of other titles that are there."""
    sections = RESULTS.read_text().split("\n## ")[1:] if RESULTS.exists() else []
    text = "\n".join(lines).rstrip()
    titles = {line for line in lines if line.startswith("## ")}
    others = [section.rstrip() for section in sections if f"## {section.partition(chr(10))[0]}" not in titles]
    RESULTS.write_text("\n\n## ".join([text, *others]) + "\n")
    print(f"written: {RESULTS.name}")
