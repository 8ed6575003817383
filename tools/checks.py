"""Run every check, all of them even when one fails, and say at the end what took how long; run by `make test`.

checks.py [--long] [PART ...]     parts: see PARTS; without names all of them
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv" / "bin"
LOWEST = ROOT / ".venv-lowest" / "bin"


@dataclass(frozen=True)
class Part:
    name: str
    command: list[str]
    where: Path = ROOT
    env: tuple[tuple[str, str], ...] = ()
    beside: str = ""  # the part that it is run beside: each takes one core for the most of its time


@dataclass(frozen=True)
class Outcome:
    part: Part
    ok: bool
    seconds: float
    closing_line: str
    output: str


def parts(long: bool) -> list[Part]:
    also = "" if long else " and not long"
    npm = shutil.which("npm") or "npm"
    node = shutil.which("node") or "node"
    pytest = ["-m", "pytest", "--color=no"]
    python = [*pytest, "--ignore=tests/browser", "--ignore=tests/notebooks", "-m"]
    ours = "not browser and not notebook" + also
    # The lowest versions lack what packages and types need, and warn about what has become old since.
    lowest = [
        *python,
        ours if long else ours + " and not statistics",
        "--ignore=tests/packaging",
        "-W",
        "ignore::DeprecationWarning",
    ]
    browser = [str(VENV / "python"), *pytest, "-m", "browser" + also, "tests/browser"]
    return [
        Part("format", [str(VENV / "ruff"), "format", "--check", "."]),
        Part("lint", [str(VENV / "ruff"), "check", "."]),
        Part("types", [str(VENV / "mypy")]),
        Part("js check", [npm, "run", "--silent", "check"], ROOT / "js"),
        Part("js test", [npm, "run", "--silent", "test"], ROOT / "js"),
        Part("bundle", [node, "build.mjs", "--check"], ROOT / "js"),
        Part("python", [str(VENV / "python"), *python, ours]),
        Part("lowest", [str(LOWEST / "python"), *lowest], env=(("PYTHONPATH", "src"),), beside="python"),
        Part("notebooks", [str(VENV / "python"), *pytest, "-m", "notebook" + also, "tests/notebooks"]),
        Part("browser", [*browser, "--share=1/2"]),
        Part("browser 2", [*browser, "--share=2/2"], beside="browser"),
    ]


def main() -> None:
    arguments = sys.argv[1:]
    chosen = parts(long="--long" in arguments)
    if names := [a for a in arguments if a != "--long"]:
        known = [part.name for part in chosen]
        if unknown := [name for name in names if name not in known]:
            sys.exit(f"There is no part called {unknown[0]!r}. Parts: {', '.join(known)}.")
        chosen = [part for part in chosen if part.name in names]
    begun = time.monotonic()
    outcomes = run_all(chosen)
    report(outcomes, time.monotonic() - begun)
    sys.exit(0 if all(outcome.ok for outcome in outcomes) else 1)


def run_all(chosen: list[Part]) -> list[Outcome]:
    """One part after the other; one that is run beside another says what it has found when its turn comes."""
    outcomes, beside = [], {}
    with ThreadPoolExecutor() as pool:
        for part in chosen:
            print(f"\n== {part.name}", flush=True)
            beside |= {
                other.name: pool.submit(run, other, False) for other in chosen if other.beside == part.name
            }
            if part.name in beside:
                outcomes.append(beside[part.name].result())
                print(outcomes[-1].output, end="", flush=True)
            else:
                outcomes.append(run(part))
    return outcomes


def run(part: Part, aloud: bool = True) -> Outcome:
    """Run one part, passing on its output as it comes and keeping the last line that says something."""
    start = time.monotonic()
    closing_line, lines = "", []
    with subprocess.Popen(
        part.command,
        cwd=part.where,
        env={**os.environ, **dict(part.env)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if aloud:
                print(line, end="", flush=True)
            closing_line = summary(line) or closing_line
    return Outcome(part, process.returncode == 0, time.monotonic() - start, closing_line, "".join(lines))


def summary(line: str) -> str:
    """The line without colours and rules; of vitest's last lines only the one that counts tests."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line).strip("= \n")
    return "" if re.match(r"(Test Files|Start at|Duration) ", plain) else plain


def report(outcomes: list[Outcome], total: float) -> None:
    print("\n== split of times")
    for outcome in outcomes:
        verdict = "ok" if outcome.ok else "FAILED"
        print(f"{outcome.part.name:<10} {verdict:<7} {outcome.seconds:7.1f} s   {outcome.closing_line[:140]}")
    failed = [outcome.part.name for outcome in outcomes if not outcome.ok]
    print(
        f"{'all':<10} {'FAILED' if failed else 'ok':<7} {total:7.1f} s   {'failed: ' + ', '.join(failed) if failed else ''}"
    )


if __name__ == "__main__":
    main()
