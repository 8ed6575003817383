"""The section on curvature of RESULTS.md, from the figures of benchmarks/curvature.py."""

from __future__ import annotations

import statistics
from typing import Any

TITLE = "## Curvature"
OURS = "lossatlas"
ONE_START = "lossatlas, one start"
# For the five largest, to be faster than every peer; of everything together.
TOP_BARS = {"digits MLP": (1.3, 2), "CNN": (1.3, 2), "ResNet-20": (1.1, 2)}
ALL_BAR = (4, 8)
FIRST_BARS = {"digits MLP": 0.3, "ResNet-20": 5.0}
PRODUCT_BARS = {
    "digits MLP": (1.5, 1.2), "784 MLP": (1.5, 1.2), "CNN": (1.5, 1.2), "ResNet-20": (2.5, 2.0), "transformer": (2.5, 2.0),
}  # fmt: skip
ANEW_BAR = 3.7


def section(found: dict[str, Any]) -> list[str]:
    machine = found["machine"]
    return [
        "",
        (
            f"By `benchmarks/curvature.py` (the last part of `make bench`), on {machine['cores']} cores ({machine['processor']}), torch "
            f"{machine['torch']}, curvlinops {machine['curvlinops-for-pytorch']} with scipy {machine['scipy']}, hessian-eigenthings "
            f"{machine['hessian-eigenthings']}, PyHessian {machine['PyHessian']}. All in turn in one process; medians, with the range "
            f"of the rounds. Peers use {machine['cores']} threads of torch and one batch of all data."
        ),
        "",
        *(packages(found["packages"]) if found.get("packages") else []),
        *(products(found["products"]) if found.get("products") else []),
        *(first(found["first"]) if found.get("first") else []),
        *(warm(found["warm"]) if found.get("warm") else []),
    ]


def packages(found: dict[str, Any]) -> list[str]:
    asked = next(iter(found.values()))["asked"]
    return [
        "### Eigenvalues to the same error",
        "",
        (
            "The five largest eigenvalues, each to a relative error of 1e-4 against a long run in float64 on plain autograd's products. "
            "The least that gives it was found for each package and start before: a tolerance of ours and of PyHessian, a tolerance "
            "and a number of vectors of `eigsh`, steps of hessian-eigenthings. Every one begins with the model and the data; the probe "
            "of ours, once per objective, is below the next table. Ours looks with a second start for what one start misses (repeated "
            "eigenvalues), which the peers do not: in the last column they are compared with ours without it."
        ),
        "",
        "| model | samples | package | seconds | × ours | bar | error reached | × ours of one start |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(row for name, run in found.items() for row in rows(name, run, "top", TOP_BARS[name])),
        "",
        "### Everything together",
        "",
        (
            "The same five, the two smallest to 1e-3 of the largest, the density and the trace. Ours are from one study. What the "
            "peers were asked for:"
        ),
        "",
        *(f"* {peer}: {text}" for peer, text in asked.items()),
        "",
        "| model | samples | package | seconds | × ours | bar | error reached, smallest |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(row for name, run in found.items() for row in rows(name, run, "all", ALL_BAR)),
        "",
        *traces(found),
    ]


def rows(name: str, run: dict[str, Any], what: str, bars: tuple[float, float]) -> list[str]:
    ours = [row[what] for row in run["rounds"][OURS] if what in row]
    quick = [row["top"] for row in run["rounds"][ONE_START]]
    made = []
    for package, taken in run["rounds"].items():
        taken = [row for row in taken if what in row]
        if what == "all" and package == ONE_START:
            continue
        seconds = [row[what] for row in taken]
        ratios = [theirs / mine for theirs, mine in zip(seconds, ours, strict=True)]
        errors = [row["error" if what == "top" else "bottom_error"] for row in taken]
        reached = "none" if errors[0] is None else f"{max(errors):.0e}"
        made.append(
            f"| {name} | {run['samples']} | {package} | {spread(seconds, 3)} | "
            + (
                f" | | {reached} |"
                if package in (OURS, ONE_START)
                else f"{spread(ratios)} | {bars[0]} (aim {bars[1]}) | {reached} |"
            )
        )
        if what == "top":
            by_quick = [theirs / mine for theirs, mine in zip(seconds, quick, strict=True)]
            made[-1] += f" {spread(by_quick)} |" if package not in (OURS, ONE_START) else " |"
    return made


def traces(found: dict[str, Any]) -> list[str]:
    lines = []
    for name, run in found.items():
        mine = run["trace"]
        peers = ", ".join(
            f"{peer} {statistics.median(row['trace'] for row in taken if 'trace' in row):.4g}"
            for peer, taken in run["rounds"].items()
            if peer not in (OURS, ONE_START)
        )
        lines.append(
            f"* {name}: trace {mine['value']:.4g} ± {mine['error']:.2g} with {mine['products']} products in all; {peers}. "
            f"Probe of our ways, once per objective: {run['probe']:.2f} s."
        )
    return [*lines, ""]


def products(found: dict[str, Any]) -> list[str]:
    lines = [
        "### One product, in gradients",
        "",
        (
            "A product of the Hessian over the time of a gradient by a plain loop over the same chunks, on one thread: with the graph "
            "kept, and made anew as beyond the budget of memory."
        ),
        "",
        "| model | samples | gradient, ms | graph kept | bar | made anew | bar | how |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, run in found.items():
        gradient = run["seconds"]["gradient"]
        ratios = {
            way: [seconds / base for seconds, base in zip(run["seconds"][way], gradient, strict=True)]
            for way in ("kept", "anew")
        }
        bar, aim = PRODUCT_BARS[name]
        lines.append(
            f"| {name} | {run['samples']} | {1e3 * statistics.median(gradient):.1f} | {spread(ratios['kept'], 2)} | {bar} (aim {aim}) | "
            f"{spread(ratios['anew'], 2)} | {ANEW_BAR} | {run['forms']['kept']} |"
        )
    return [*lines, ""]


def first(found: dict[str, Any]) -> list[str]:
    lines = [
        "### The first density",
        "",
        "Seconds from the call of `landscape.spectra` to the first spectrum and to the tenth, at points not seen before.",
        "",
        "| model | samples | first | bar | tenth | first of a fresh model |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, run in found.items():
        lines.append(
            f"| {name} | {run['samples']} | {spread([row['first'] for row in run['later']], 3)} | {FIRST_BARS[name]} | "
            f"{spread([row['tenth'] for row in run['later']], 3)} | {run['fresh']['first']:.3f} |"
        )
    return [*lines, ""]


def warm(found: dict[str, Any]) -> list[str]:
    lines = [
        "### From a point nearby",
        "",
        (
            "Products to the largest eigenvalue, its residual within 1e-3 of it: from a random start, and from the eigenvector at a "
            "point 0.03 of the plane's unit away. Bar: at most 0.6 in the median (aim 0.4), never more than 1."
        ),
        "",
        "| model | samples | pairs | random start | from nearby | ratio | largest difference of the value |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, run in found.items():
        cold, near = ([row[what] for row in run["rows"]] for what in ("cold", "warm"))
        ratios = [a / b for a, b in zip(near, cold, strict=True)]
        apart = max(row["apart"] for row in run["rows"])
        lines.append(
            f"| {name} | {run['samples']} | {len(cold)} | {spread(cold, 0)} | {spread(near, 0)} | {spread(ratios, 2)} | {apart:.0e} |"
        )
    return [*lines, ""]


def spread(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
