"""Curvature side by side with PyHessian, curvlinops and hessian-eigenthings, interleaved in one run.

    make bench                                                 after the maps; about twelve minutes on two cores
    .venv/bin/python benchmarks/curvature.py --models CNN      some of them; the others stay as they were
    .venv/bin/python benchmarks/curvature.py --share 0.1 --rounds 1     on a tenth of the data, to see whether it runs

Each package is first asked, apart from what is timed, for the least that gives the five largest eigenvalues to a relative
error of 1e-4. Then all are timed in turn, each from nothing but the model and the data. Peers use as many threads as there
are cores (`--cores`).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEPT = HERE / ".results" / "curvature.json"


def arguments() -> argparse.Namespace:
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    found.add_argument(
        "--models", nargs="*", default=["digits MLP", "784 MLP", "CNN", "ResNet-20", "transformer"]
    )
    found.add_argument("--parts", nargs="*", default=["packages", "products", "first", "warm"])
    found.add_argument("--cores", type=int, default=2)
    found.add_argument("--rounds", type=int, help="of the packages; by default more where one takes less")
    found.add_argument("--share", type=float, default=1.0, help="of the data that are measured on otherwise")
    return found.parse_args()


CHOSEN = arguments()
# Before the worker counts its threads. What is said of products is of one thread.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: CHOSEN.cores])

import numpy as np  # noqa: E402
import torch  # noqa: E402
from bench import machine, say  # noqa: E402
from curvature_peers import Curvlinops, Eigenthings, Peer, PyHessian, Remembering  # noqa: E402
from curvature_report import TITLE, section  # noqa: E402
from models import Problem, problem  # noqa: E402
from results import put  # noqa: E402
from scipy.linalg import eigh_tridiagonal  # noqa: E402
from torch import Tensor  # noqa: E402

import lossatlas as la  # noqa: E402
from lossatlas import jobs  # noqa: E402
from lossatlas.curvature import Products  # noqa: E402

# Samples, rounds and seeds of the comparison with packages. Everything together is asked for once a seed.
COMPARED = {"digits MLP": (1797, 6, 3), "CNN": (128, 4, 2), "ResNet-20": (32, 3, 1)}
FIRST = ("digits MLP", "ResNet-20")
WARM = {"digits MLP": 16, "CNN": 8}  # pairs of points
APART = 0.03  # how far the two are apart, in units of the plane
ERROR = 1e-4  # relative, of each of the five largest
BOTTOM_ERROR = 1e-3  # of each of the two smallest, relative to the largest
TOLERANCES = (0.3, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.001, 3e-4, 1e-4)
PATIENCE = 90.0  # seconds that one try of a package may take in the search
ROUNDS = 9  # of products and of first densities
LEAST = 0.05  # seconds that are timed at once


def main() -> None:
    found = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for name in CHOSEN.models:
        for part, measured, names in (
            ("packages", packages, COMPARED), ("products", products, CHOSEN.models), ("first", first, FIRST),
            ("warm", warm, WARM),
        ):  # fmt: skip
            if part in CHOSEN.parts and name in names:
                say(f"{name}: {part}")
                found.setdefault(part, {})[name] = measured(name)
    names = ("curvlinops-for-pytorch", "hessian-eigenthings", "PyHessian", "scipy")
    found["machine"] = {**machine(), **{name: version(name) for name in names}}
    if len(os.sched_getaffinity(0)) == 1:
        print(json.dumps(found))
        return
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(found, indent=1))
    put(TITLE, section(found))


# Eigenvalues, density and trace


def packages(name: str) -> dict[str, Any]:
    """Seconds of each package for the five largest eigenvalues, and for everything, round by round."""
    samples, rounds, seeds = COMPARED[name]
    rounds, samples = CHOSEN.rounds or rounds, max(8, int(samples * CHOSEN.share))
    seeds = min(seeds, rounds)
    task = problem(name)
    data = (task.data[0][:samples], task.data[1][:samples])
    begun = time.perf_counter()
    truth = true_ends(task, data)
    say(f"  truth {', '.join(f'{value:.4g}' for value in truth)} in {time.perf_counter() - begun:.1f} s")
    objective = la.Objective(task.model, task.loss, data)
    begun = time.perf_counter()
    objective.spectrum(top=1, bottom=0, products=4)
    probe = time.perf_counter() - begun
    by_magnitude = 5 + int((np.abs(truth[5:]) > truth[4]).sum())
    peers = [PyHessian(task, data, by_magnitude), Curvlinops(task, data), Eigenthings(task, data)]
    ours = Ours(objective)
    everyone = (ours, OneStart(objective), *peers)
    budgets = {one.name: [budgets_of(one, truth, seed) for seed in range(seeds)] for one in everyone}
    rows: dict[str, list[dict[str, Any]]] = {one.name: [] for one in everyone}
    for round_ in range(rounds):
        seed = round_ % seeds
        for one in everyone:
            if not isinstance(one, Ours):
                torch.set_num_threads(CHOSEN.cores)
            everything = round_ < seeds and not isinstance(one, OneStart)
            rows[one.name].append(one_round(one, budgets[one.name][seed], seed, truth, everything))
    for one in everyone:
        taken = [[row[what] for row in rows[one.name] if what in row] for what in ("top", "all")]
        every = f", all {np.median(taken[1]):.2f} s" if taken[1] else ""
        say(f"  {one.name}: top {np.median(taken[0]):.2f} s{every}, budgets {budgets[one.name]}")
    return {
        "samples": samples, "size": task.size, "truth": truth.tolist(), "probe": probe, "budgets": budgets, "rounds": rows,
        "asked": {peer.name: peer.asked for peer in peers}, "trace": ours.trace, "by_magnitude": by_magnitude,
    }  # fmt: skip


class Ours:
    """Our own, which has everything from one study; interface as of a peer."""

    name = "lossatlas"

    def __init__(self, objective: la.Objective) -> None:
        self._objective = objective
        self.trace: dict[str, float] = {}

    def budgets(self) -> Iterable[float]:
        """Tolerances of the residual, as shares of the largest |λ|."""
        return TOLERANCES

    def top(self, budget: float, seed: int) -> np.ndarray:
        """The five largest and what is told with them."""
        return self._objective.spectrum(top=5, bottom=0, tolerance=budget, seed=seed).eigenvalues

    def all(self, budget: float, seed: int) -> np.ndarray:
        """The five largest, the two smallest, the density and the trace."""
        found = self._objective.spectrum(top=5, bottom=2, tolerance=budget, seed=seed)
        self.trace = {"value": found.trace, "error": found.trace_error, "products": found.products}
        return found.eigenvalues


class OneStart(Ours):
    """The same without a second start, so without looking for what the first one misses: as the peers do."""

    name = "lossatlas, one start"

    def top(self, budget: float, seed: int) -> np.ndarray:
        """The five largest, as far as one start sees them."""
        return self._objective.spectrum(
            top=5, bottom=0, tolerance=budget, seed=seed, thorough=False, products=400
        ).eigenvalues


def budgets_of(one: Ours | Peer, truth: np.ndarray, seed: int) -> dict[str, Any]:
    """The least that reaches the error, for the largest ones and, of ours all at once, for the smallest."""
    if isinstance(one, Ours):
        return {
            "top": least(one.budgets(), lambda budget: error(one.top(budget, seed), truth) <= ERROR),
            "all": None
            if isinstance(one, OneStart)
            else least(
                one.budgets(),
                lambda budget: (
                    error(found := one.all(budget, seed), truth) <= ERROR
                    and bottom_error(found[5:], truth) <= BOTTOM_ERROR
                ),
            ),
        }
    torch.set_num_threads(CHOSEN.cores)
    if isinstance(one, PyHessian):
        return {
            "top": least(one.budgets(), lambda budget: error(one.top(budget, seed), truth) <= ERROR),
            "bottom": None,
        }
    with Remembering(one):
        return {
            "top": cheapest(one, one.top, lambda found: error(found, truth) <= ERROR, seed),
            "bottom": cheapest(
                one, one.bottom, lambda found: bottom_error(found, truth) <= BOTTOM_ERROR, seed
            ),
        }


def least(budgets: Iterable[Any], reaches: Callable[[Any], bool]) -> Any:
    """The first budget that reaches what it should; the last that was tried where the next would take too long."""
    tried = None
    for budget in budgets:
        tried, begun = budget, time.perf_counter()
        if reaches(budget) or 3 * (time.perf_counter() - begun) > PATIENCE:
            break
    return tried


def cheapest(
    peer: Any, ask: Callable[[Any, int], np.ndarray], reaches: Callable[[np.ndarray], bool], seed: int
) -> Any:
    """Of those that reach it the one with the fewest products, counted on the operator."""
    best, fewest = None, float("inf")
    begun = time.perf_counter()
    made = peer._at
    for budget in peer.budgets():
        if time.perf_counter() - begun > PATIENCE and best is not None:
            break
        count = Count(made)
        peer._at = count
        try:
            found = ask(budget, seed)
        finally:
            peer._at = made
        if reaches(found) and count.products < fewest:
            best, fewest = budget, count.products
            if not isinstance(budget, tuple):  # steps: more of them are never fewer
                break
    return budget if best is None else best


class Count:
    """Makes operators whose products are counted."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self.products = make, 0

    def __call__(self) -> Any:
        operator = self._make()
        method = "_matmat" if hasattr(operator, "_matmat") else "matvec"
        times = getattr(operator, method)

        def counted(v: Any) -> Any:
            self.products += 1
            return times(v)

        setattr(operator, method, counted)
        return operator


def one_round(
    one: Any, budgets: dict[str, Any], seed: int, truth: np.ndarray, everything: bool
) -> dict[str, Any]:
    """Seconds for the top and for everything together, and the errors that were reached."""
    begun = time.perf_counter()
    found = one.top(budgets["top"], seed)
    top = time.perf_counter() - begun
    row: dict[str, Any] = {"top": top, "error": error(found, truth)}
    if not everything:
        return row
    begun = time.perf_counter()
    if isinstance(one, Ours):
        found = one.all(budgets["all"], seed)
        row |= {"all": time.perf_counter() - begun, "bottom_error": bottom_error(found[5:], truth)}
        row |= {"all_error": error(found, truth)}
    else:
        below = one.bottom(budgets["bottom"], seed)
        row |= {"trace": one.rest(seed), "all": top + time.perf_counter() - begun}
        row |= {"bottom_error": None if below is None else bottom_error(below, truth)}
    return row


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """The largest relative error of the five."""
    return float(np.max(np.abs(found[:5] / truth[:5] - 1))) if len(found) >= 5 else float("inf")


def bottom_error(found: np.ndarray, truth: np.ndarray) -> float:
    """The largest error of the two, relative to the largest eigenvalue."""
    return float(np.max(np.abs(found - truth[5:])) / truth[0]) if len(found) == 2 else float("inf")


def true_ends(task: Problem, data: tuple[Tensor, Tensor]) -> np.ndarray:
    """The five largest and the two smallest, descending, from plain autograd's products in float64."""
    torch.set_num_threads(CHOSEN.cores)
    model, x = copy.deepcopy(task.model).double(), data[0].double()
    parameters = list(model.parameters())
    slopes = torch.autograd.grad(task.loss(model(x), data[1]), parameters, create_graph=True)

    def times(v: np.ndarray) -> np.ndarray:
        cut = torch.as_tensor(v).reshape(-1).split([p.numel() for p in parameters])
        parts = [part.view_as(p) for part, p in zip(cut, parameters, strict=True)]
        found = torch.autograd.grad(slopes, parameters, parts, retain_graph=True)
        return torch.cat([part.reshape(-1) for part in found]).numpy()

    return long_run(times, task.size)


def long_run(times: Callable[[np.ndarray], np.ndarray], size: int, most: int = 400) -> np.ndarray:
    """Lanczos with every vector made orthogonal to all before, twice, until residuals are a hundredth of what is asked."""
    basis, alpha, beta = np.empty((most + 1, size)), [], []
    start = np.random.default_rng(0).normal(size=size)
    basis[0] = start / np.linalg.norm(start)
    for count in range(1, most + 1):
        image = times(basis[count - 1])
        alpha.append(float(image @ basis[count - 1]))
        for _ in range(2):
            image -= basis[:count].T @ (basis[:count] @ image)
        beta.append(float(np.linalg.norm(image)))
        basis[count] = image / beta[-1]
        if count % 10 == 0:
            values, vectors = eigh_tridiagonal(alpha, beta[:-1])
            ends = [-1, -2, -3, -4, -5, 1, 0]
            left = beta[-1] * np.abs(vectors[-1, ends])
            allowed = np.append(0.01 * ERROR * values[ends[:5]], [0.1 * BOTTOM_ERROR * values[-1]] * 2)
            if count > 20 and (left <= allowed).all():
                break
    return values[ends]


# Products


def products(name: str) -> dict[str, Any]:
    """Seconds of a gradient and of products, on one thread: in a process that has one core."""
    if len(os.sched_getaffinity(0)) > 1:
        command = [sys.executable, __file__, "--cores", "1", "--parts", "products", "--models", name]
        there = subprocess.run(
            [*command, "--share", str(CHOSEN.share)], check=True, stdout=subprocess.PIPE, text=True
        )
        return json.loads(there.stdout.splitlines()[-1])["products"][name]
    torch.set_num_threads(1)
    task = problem(name)
    samples = max(8, int(len(task.data[0]) * CHOSEN.share))
    objective = la.Objective(task.model, task.loss, (task.data[0][:samples], task.data[1][:samples]))
    parameters = list(task.model.parameters())

    def gradient() -> None:
        for chunk in objective.held:
            torch.autograd.grad(task.loss(task.model(chunk.x), chunk.y), parameters)

    kept, anew = Products(objective, objective.theta), Products(objective, objective.theta, budget=0)
    v = torch.randn(objective.size, generator=torch.Generator().manual_seed(0))
    ways: dict[str, Callable[[], float]] = {
        "gradient": lambda: timed(gradient),
        "kept": lambda: jobs.call(repeated(kept, v)),
        "anew": lambda: jobs.call(repeated(anew, v)),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for round_ in range(ROUNDS + 1):
        for way, run in ways.items():
            taken = run()
            if round_:
                seconds[way].append(taken)
    return {"seconds": seconds, "forms": {"kept": kept.form, "anew": anew.form}, "samples": samples}


def timed(run: Callable[[], Any]) -> float:
    """Seconds of one, over as many as take LEAST seconds."""
    count, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < LEAST:
        run()
        count += 1
    return passed / count


def repeated(products: Products, v: Tensor) -> Generator[None, None, float]:
    """The same of products, as a job: as a process takes them, one after the other."""
    count, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < LEAST:
        yield from products.times(v)
        count += 1
    return passed / count


# The first density


def first(name: str) -> dict[str, Any]:
    """Seconds from a click to the first and to the tenth spectrum: at once after the model came, and at points after that."""
    task = problem(name)
    samples = max(8, int(len(task.data[0]) * CHOSEN.share))
    objective = la.Objective(task.model, task.loss, (task.data[0][:samples], task.data[1][:samples]))
    landscape = la.Landscape(objective, la.Plane.random(objective, seed=0))
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (ROUNDS + 1, 2))
    rows = []
    for a, b in points:
        begun, seen = time.perf_counter(), []
        for spectrum in landscape.spectra((float(a), float(b))):
            seen.append((time.perf_counter() - begun, spectrum.products))
            if len(seen) == 10:
                break
        rows.append({"first": seen[0][0], "tenth": seen[-1][0], "products": seen[0][1]})
    return {"samples": samples, "fresh": rows[0], "later": rows[1:]}


# A start from a point nearby


def warm(name: str) -> dict[str, Any]:
    """Products to the largest pair, its residual within 1e-3, from a random start and from the pair of a point nearby."""
    task = problem(name)
    samples = max(8, int(len(task.data[0]) * CHOSEN.share))
    objective = la.Objective(task.model, task.loss, (task.data[0][:samples], task.data[1][:samples]))
    landscape = la.Landscape(objective, la.Plane.random(objective, seed=0))
    draw, rows = np.random.default_rng(1), []
    for _ in range(WARM[name]):
        there, angle = draw.uniform(-0.5, 0.5, 2), draw.uniform(0, 2 * np.pi)
        here = there + APART * np.array([np.cos(angle), np.sin(angle)])
        asked: dict[str, Any] = {"top": 1, "bottom": 0, "thorough": False, "products": 400}
        known = landscape.spectrum(tuple(there), **asked)
        cold, begun = (landscape.spectrum(tuple(here), near=near, **asked) for near in (None, known))
        rows.append(
            {
                "cold": cold.products,
                "warm": begun.products,
                "apart": abs(begun.eigenvalues[0] / cold.eigenvalues[0] - 1),
            }
        )
    return {"samples": samples, "rows": rows}


if __name__ == "__main__":
    main()
