"""The README's pictures."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_pictures_of_the_readme_are_there_and_light() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown
    for path in shown:
        assert (ROOT / path).stat().st_size <= 400_000
