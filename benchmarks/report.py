"""RESULTS.md, from the figures of the models that were run."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from results import put_first
from tour import PIXELS

PEER_GRID = 51 * 51
PLOT, VIEWS = "memory.svg", 1000
LOSS_LANDSCAPES, LOOP = "loss-landscapes", "the loop of Li et al."
BARS = {
    "digits MLP": (3, 6),
    "784 MLP": (6, 10),
    "CNN": (4, 7),
    "ResNet-20": (2, 4),
    "transformer": (1.5, 2.5),
}


def write(folder: Path, runs: dict[str, dict[str, Any]]) -> None:
    """Put the report together, before the sections of other benchmarks, and say where it is."""
    put_first(lines(runs))
    for run in runs.values():
        if run["wander"]:
            (folder / PLOT).write_text(plot(run["wander"]))


def lines(runs: dict[str, dict[str, Any]]) -> list[str]:
    machine = next(iter(runs.values()))["machine"]
    return [
        "# Results",
        "",
        (f"Written by `make bench`, on {machine['cores']} cores of a shared machine ({machine['processor']}), Python "
        f"{machine['python']}, torch {machine['torch']}, numpy {machine['numpy']}, loss-landscapes "
        f"{machine['loss-landscapes']}. Ratios are of times taken in turn in one process; medians, with the range of the "
        "rounds or seeds."),
        "",
        *models(runs), *nodes(runs), *tours(runs), *errors(runs), *depths(runs), *memory(runs), *limits(runs),
    ]  # fmt: skip


def models(runs: dict[str, dict[str, Any]]) -> list[str]:
    return [
        "## The models",
        "",
        "| model | parameters | train accuracy | test accuracy | mapped on | evaluated by | probe |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {run['parameters']} | {run['train']:.3f} | {run['test']:.3f} | {run['samples']} samples | "
            f"{chosen(run)} | {run['probe']:.2f} s |"
            for name, run in runs.items()
        ),
        "",
    ]


def chosen(run: dict[str, Any]) -> str:
    return next(line for line in run["report"] if line.startswith("chosen")).removeprefix("chosen: ")


def nodes(runs: dict[str, dict[str, Any]]) -> list[str]:
    rows = []
    for name, run in runs.items():
        ours = 1 / statistics.median(run["nodes"]["seconds"]["lossatlas"])
        bar, aim = BARS[name]
        rows.append(
            f"| {name} | {ours:.0f} | {spread(run['nodes']['ratios'][LOSS_LANDSCAPES])} | {bar} (aim {aim}) | "
            f"{spread(run['nodes']['ratios'][LOOP])} | {run['nodes']['apart']:.1e} |"
        )
    return [
        "## Exact nodes per second",
        "",
        "The same nodes of the same plane, the same checkpoint and dtype, all data, the whole machine for either side.",
        "",
        "| model | nodes/s | × loss-landscapes | bar | × the loop of Li et al. | largest relative difference of a value |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def tours(runs: dict[str, dict[str, Any]]) -> list[str]:
    result = [
        "## The tour",
        "",
        (
            f"Twelve views of {PIXELS} × {PIXELS} pixels (`benchmarks/tour.py`), one after the other by `landscape.map` on one "
            "landscape. A peer evaluates 51 × 51 nodes a view, as Li et al. do by default: its time is the median time of a node "
            "of loss-landscapes, taken in turn with ours, × 2601 × 12. Equal sight: every stated error at most 0.5 % of the "
            "view's range. Good enough: 1 %. First picture: the home view alone, at 10 %, on a fresh landscape. The strategy probe "
            "is not in these times; it is run once per objective (see above), and the last column has it in the first tour."
        ),
        "",
        (
            "| model | rule | seconds | nodes | × loss-landscapes | without the last view | true error at most, of the range | "
            "with the probe |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    means: dict[str, list[float]] = {}
    for name, run in runs.items():
        peer = run["nodes"]["node"][LOSS_LANDSCAPES] * PEER_GRID
        for rule in ("equal sight", "good enough", "first picture"):
            found = [one["views"] for one in run["tours"] if one["rule"] == rule]
            ratios = [peer * len(views) / total(views) for views in found]
            short = [peer * (len(views) - 1) / total(views[:-1]) for views in found if len(views) > 1]
            worst = max(row["true"] / row["range"] for views in found for row in views)
            probed = [peer * len(views) / (total(views) + run["probe"]) for views in found]
            means.setdefault(rule, []).append(statistics.median(ratios))
            result.append(
                f"| {name} | {rule} | {statistics.median(map(total, found)):.3f} | "
                f"{statistics.median(sum(row['evaluated'] for row in views) for views in found):.0f} | {spread(ratios)} | "
                f"{spread(short) if short else ''} | {100 * worst:.2f} % | {statistics.median(probed):.0f} |"
            )
    bars = {"equal sight": "25 (aim 60)", "good enough": "60 (aim 120)", "first picture": "150 (aim 300)"}
    result += ["", "| rule | geometric mean over the models | bar |", "| --- | --- | --- |"]
    result += [
        f"| {rule} | {math.exp(statistics.fmean(map(math.log, found))):.0f} × | {bars[rule]} |"
        for rule, found in means.items()
    ]
    return [*result, ""]


def errors(runs: dict[str, dict[str, Any]]) -> list[str]:
    views = [
        (name, row)
        for name, run in runs.items()
        for one in run["tours"]
        for row in one["views"]
        if row["true"] > 0
    ]
    held = [row["true"] <= row["stated"] for _, row in views]
    ratio = [row["stated"] / row["true"] for _, row in views]
    points = ", ".join(f"{name} {run['truth']}" for name, run in runs.items())
    return [
        "## Does the stated error hold?",
        "",
        (
            f"Of {len(views)} views (the tours above), the true maximum error was at most the stated one in "
            f"{100 * statistics.fmean(held):.1f} % (bar 95 %); stated / true is {statistics.median(ratio):.2f} in the median "
            f"(bar 6, aim 3). Truth: exact values at random pixels of every view ({points})."
        ),
        "",
    ]


def depths(runs: dict[str, dict[str, Any]]) -> list[str]:
    return [
        "## Deeper",
        "",
        "Nodes of a view on a landscape of its own at (0.3, 0.2), r = 1, 1/2, 1/4, …, to 1 % of its range.",
        "",
        *(f"* {name}: {', '.join(map(str, run['depth']))}" for name, run in runs.items()),
        "",
    ]


def memory(runs: dict[str, dict[str, Any]]) -> list[str]:
    seen = [(name, run["wander"]) for name, run in runs.items() if run["wander"]]
    return [
        "## Memory over a thousand views",
        "",
        "Random views on one landscape, to 1 %: what the process takes, and the nodes that were evaluated, view by view.",
        "",
        *(
            line
            for name, wander in seen
            for line in (
                f"![{name}: memory over a thousand views]({PLOT})",
                "",
                (
                    f"{name}: {wander[0][1]:.0f} MB after {VIEWS // len(wander)} views and {wander[0][0]} nodes, {wander[-1][1]:.0f} MB "
                    f"after {VIEWS} views and {wander[-1][0]} nodes."
                ),
            )
        ),
        "",
    ]


def plot(wander: list[tuple[int, float]]) -> str:
    """Megabytes over views, as a picture that a page can hold."""
    width, height, left, bottom = 640, 240, 56, 36
    top = 1.2 * max(used for _, used in wander)
    step = (width - left - 16) / VIEWS

    def at(view: float, used: float) -> str:
        return f"{left + step * view:.1f},{height - bottom - (height - bottom - 12) * used / top:.1f}"

    points = [at((index + 1) * VIEWS / len(wander), used) for index, (_, used) in enumerate(wander)]
    ticks = [round(top * share / 1.2, -1) for share in (0.25, 0.5, 0.75, 1.0)]
    labels = [
        f'<text x="{left - 8}" y="{at(0, tick).split(",")[1]}" text-anchor="end" dy="4">{tick:.0f}</text>'
        for tick in ticks
    ]
    labels += [
        f'<text x="{at(view, 0).split(",")[0]}" y="{height - 16}" text-anchor="middle">{view}</text>'
        for view in range(0, VIEWS + 1, 200)
    ]
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#556">
<rect width="{width}" height="{height}" fill="#fff"/>
<path d="M{at(0, 0)} H{width - 16} M{at(0, 0)} V12" stroke="#99a" fill="none"/>
<polyline points="{" ".join(points)}" stroke="#2563eb" stroke-width="2" fill="none"/>
{"".join(labels)}
<text x="{left + 8}" y="20">MB of the process, over views</text>
</svg>
"""


def limits(runs: dict[str, dict[str, Any]]) -> list[str]:
    rows = []
    for name, run in runs.items():
        rate = run["flops"] / statistics.median(run["nodes"]["seconds"]["lossatlas"])
        taken = ", ".join(
            f"{what} {100 * share:.0f} %" for what, share in list(run["operations"].items())[:4]
        )
        rows.append(
            f"| {name} | {run['flops'] / 1e9:.3f} | {rate / 1e9:.0f} | {100 * rate / run['matmul']:.0f} % | {taken} |"
        )
    return [
        "## Share of the machine's matmul limit",
        "",
        (
            "Floating point operations of a plain forward pass on all data, as torch counts them, × nodes per second, against a "
            "product of 1536 × 1536 matrices on the same cores. More than 100 % means that operations are saved: the first layer "
            "of a stack is one sum per node instead of a product. The last column is what a node's time goes to, on one thread, by "
            "torch's names of the operations."
        ),
        "",
        "| model | 10⁹ operations a node | 10⁹ a second | of the limit | where the time goes |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def total(views: list[dict[str, Any]]) -> float:
    return sum(row["seconds"] for row in views)


def spread(values: list[float]) -> str:
    digits = 1 if min(values) < 20 else 0
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
