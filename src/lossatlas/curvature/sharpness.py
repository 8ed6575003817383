"""Sharpness: what the literature calls so, in one table, each number with its definition, error, radius and limits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from lossatlas import jobs
from lossatlas.curvature.ball import Ball, loss_at, unit_draw
from lossatlas.curvature.diagonal import diagonal
from lossatlas.curvature.krylov import Lanczos
from lossatlas.curvature.products import Products
from lossatlas.curvature.study import Study
from lossatlas.curvature.table import Row, Sharpness, SharpnessComparison
from lossatlas.objective import EvaluationError, Objective
from lossatlas.objective.terms import differences, terms_of

_NAN = float("nan")

# Products for the direction in which the adaptive ball is searched first, and when it is good enough.
_PRODUCTS, _GOOD = 30, 1e-2

_RESCALING = "rescaling neighbouring layers of a ReLU net (Dinh et al. 2017) and other changes of parameters"
_MIXING = "changes of parameters other than rescaling them, and making a parameter that is 0 another one"

# name: definition, what it is not invariant to.
_ROWS = {
    "λmax": ("largest eigenvalue of the Hessian H; ± residual ‖Hv − λv‖", _RESCALING),
    "trace": ("tr H = P × mean curvature over random directions", f"{_RESCALING}; grows with P"),
    "SAM, one step": ("L(θ + ρ g/‖g‖) − L(θ), g = ∇L(θ)", _RESCALING),
    "SAM, maximum": ("max L(θ + ε) − L(θ) over ‖ε‖ ≤ ρ: the highest point found, a lower bound", _RESCALING),
    "adaptive SAM, one step": ("L(θ + ρ T²g/‖Tg‖) − L(θ), T = |θ| elementwise", _MIXING),
    "adaptive SAM, maximum": (
        "max L(θ + ε) − L(θ) over ‖T⁻¹ε‖ ≤ ρ: the highest point found, a lower bound", _MIXING,
    ),
    "mean perturbation": ("E L(θ + σz) − L(θ), z ~ N(0, I)", f"{_RESCALING}; grows with P"),
    "relative mean perturbation": ("E L(θ + σ|θ|z) − L(θ), z ~ N(0, I)", f"{_MIXING}; grows with P"),
}  # fmt: skip


@dataclass(frozen=True)
class _Options:
    radius: float
    adaptive_radius: float
    sigma: float
    adaptive_sigma: float
    probes: int
    steps: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("radius", "adaptive_radius", "sigma", "adaptive_sigma"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"{name} is {value!r}. Pass a finite number above 0.")
        for name, least in (("probes", 2), ("steps", 0), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
                raise ValueError(f"{name} is {value!r}. Pass a whole number from {least} on.")

    def of(self, name: str) -> float | None:
        """The radius of a row."""
        if name in ("λmax", "trace"):
            return None
        if name.startswith("SAM"):
            return self.radius
        if name.startswith("adaptive"):
            return self.adaptive_radius
        return self.adaptive_sigma if name.startswith("relative") else self.sigma


@overload
def sharpness(
    objective: Objective, theta: Tensor | None = None, *,
    radius: float = ..., adaptive_radius: float = ..., sigma: float = ..., adaptive_sigma: float = ...,
    probes: int = ..., steps: int = ..., seed: int = ...,
) -> Sharpness: ...  # fmt: skip
@overload
def sharpness(
    objective: Sequence[Objective] | Mapping[str, Objective], theta: Sequence[Tensor | None] | None = None, *,
    radius: float = ..., adaptive_radius: float = ..., sigma: float = ..., adaptive_sigma: float = ...,
    probes: int = ..., steps: int = ..., seed: int = ...,
) -> SharpnessComparison: ...  # fmt: skip
def sharpness(
    objective: Any, theta: Any = None, *,
    radius: float = 0.05, adaptive_radius: float = 0.5, sigma: float = 0.01, adaptive_sigma: float = 0.05,
    probes: int = 32, steps: int = 20, seed: int = 0,
) -> Sharpness | SharpnessComparison:  # fmt: skip
    """How sharp the loss is at theta, (P,), by default the origin, by every common definition: one table, over all data.

    Several objectives, in a list or by name in a mapping, are compared on equal terms: a column each, with the same radii
    and seeds; theta is then a list with one of each, or None. The table says what else differs, such as the data.
    radius, adaptive_radius: ρ of SAM (Foret et al. 2021) and of adaptive SAM (Kwon et al. 2021), by default theirs for
    CIFAR-10. sigma, adaptive_sigma: σ of the mean perturbations, absolute and as a share of each |θ|. probes: how many random
    z each mean takes, the loss at θ ± σz or a product Hz for the trace; its error follows Student's t of probes − 1 degrees
    of freedom. steps: gradients that a climb to a maximum may take, from each of its starts; seed: of all that is random.

    At a critical point the maximum is ½ρ²λmax + O(ρ³), at any point the mean perturbation ½σ² tr H + O(σ⁴). A number
    that does not exist is NaN, and its row's note says why. Raises TypeError and ValueError for wrong input,
    EvaluationError when the model raises.
    """
    options = _Options(radius, adaptive_radius, sigma, adaptive_sigma, probes, steps, seed)
    if isinstance(objective, Objective):
        return jobs.call(_table(objective, _point(objective, theta), options))
    names, several = _several(objective)
    if theta is not None and (isinstance(theta, Tensor) or len(theta) != len(several)):
        raise ValueError(
            f"theta does not fit {len(several)} objectives. Pass a list with one of each, or None."
        )
    points = [_point(one, at) for one, at in zip(several, theta or itertools.repeat(None), strict=False)]
    return jobs.call(_compare(names, several, points, options))


def _several(objectives: Any) -> tuple[tuple[str, ...], list[Objective]]:
    if isinstance(objectives, Mapping):
        names, found = [str(name) for name in objectives], list(objectives.values())
    elif isinstance(objectives, Sequence) and not isinstance(objectives, str):
        names, found = [str(index + 1) for index in range(len(objectives))], list(objectives)
    else:
        names, found = [], [objectives]
    for one in found:
        if not isinstance(one, Objective):
            raise TypeError(
                f"sharpness got a {type(one).__name__}. Pass an Objective, or several in a list or by name in a mapping."
            )
    if not found:
        raise ValueError("sharpness got no objective. Pass an Objective, or several in a list or a mapping.")
    return tuple(names), found


def _point(objective: Objective, theta: Any) -> Tensor:
    return objective.theta if theta is None else objective.checked(theta)


def _compare(
    names: tuple[str, ...], objectives: Sequence[Objective], points: Sequence[Tensor], options: _Options
) -> Generator[None, None, SharpnessComparison]:
    columns, terms = [], []
    for objective, theta in zip(objectives, points, strict=True):
        columns.append((yield from _table(objective, theta, options)))
        terms.append((yield from terms_of(objective)))
    return SharpnessComparison(names, tuple(columns), differences(terms))


def _table(objective: Objective, theta: Tensor, options: _Options) -> Generator[None, None, Sharpness]:
    """The table as a job that yields between chunks."""
    loss = yield from loss_at(objective, theta)
    measured = _Measured(objective, theta, loss, options)
    if math.isfinite(loss):
        yield from measured.run()
    else:
        for name in _ROWS:
            measured.say(name, _NAN, note=f"the loss at this point is {loss}.")
    return Sharpness(objective.title, loss, measured.gradient_norm, measured.data, tuple(measured.rows))


@dataclass
class _Measured:
    """The rows of a table, one after the other."""

    objective: Objective
    theta: Tensor
    loss: float  # at theta, finite
    options: _Options
    rows: list[Row] = field(default_factory=list)
    gradient_norm: float = _NAN

    @property
    def data(self) -> str:
        if self.objective.held is None:
            return "a function without data"
        return f"{self.objective.samples} of {self.objective.samples} samples"

    def say(self, name: str, value: float, error: float = 0.0, note: str = "") -> None:
        """Add a row."""
        definition, limits = _ROWS[name]
        floor = 2 * torch.finfo(self.objective.dtype).eps * abs(self.loss)
        if self.options.of(name) is not None and not note and abs(value) <= floor:
            precision = str(self.objective.dtype).removeprefix("torch.")
            note = f"no more than {precision} resolves of this loss, {floor:.1g}: take a larger radius."
        self.rows.append(Row(name, value, error, definition, self.options.of(name), self.data, limits, note))

    def run(self) -> Generator[None, None, None]:
        objective, theta, options = self.objective, self.theta, self.options
        gradient = yield from objective.gradient_work(theta)
        self.gradient_norm = float(gradient.double().norm())
        hessian, top = yield from self._spectrum()
        sizes = theta.abs()
        for kind, ball in (
            ("SAM", Ball(objective, theta, options.radius)),
            ("adaptive SAM", Ball(objective, theta, options.adaptive_radius, sizes)),
        ):
            if kind != "SAM" and hessian is not None:
                top = yield from _top(hessian, ball, options.seed)
            yield from self._rises(kind, ball, gradient, top)
        yield from self._mean("mean perturbation", Ball(objective, theta, options.sigma))
        yield from self._mean(
            "relative mean perturbation", Ball(objective, theta, options.adaptive_sigma, sizes)
        )

    def _spectrum(self) -> Generator[None, None, tuple[Products | None, Tensor | None]]:
        """λmax and the trace; the Hessian and its top eigenvector, None where it cannot be taken."""
        try:
            study = Study(self.objective, self.theta, 1, 0, seed=self.options.seed)
            found = yield from study.run()
        except (ValueError, EvaluationError) as error:  # the loss is known here, its Hessian may not be
            for name in ("λmax", "trace"):
                self.say(name, _NAN, note=str(error))
            return None, None
        unsure = "" if found.converged[0] else "not converged: a lower bound."
        self.say(
            "λmax", float(found.eigenvalues[0]), 0.0 if found.exact else float(found.residuals[0]), unsure
        )
        trace, off = found.trace, found.trace_error
        if not found.exact:  # a spectrum's own rests on one or two probes
            estimate = yield from diagonal(study.hessian, self.options.probes, self.options.seed)
            trace, off = estimate.trace, estimate.trace_error
        self.say("trace", trace, off)
        return study.hessian, found.eigenvectors[:, 0]

    def _rises(
        self, kind: str, ball: Ball, gradient: Tensor, top: Tensor | None
    ) -> Generator[None, None, None]:
        """One step uphill and the maximum over the ball, which is also searched along ± its top eigenvector."""
        step = ball.uphill(gradient)
        if step is None:
            what = "0" if float(ball.scaled(gradient).norm()) == 0 else "not finite"
            self.say(
                f"{kind}, one step", _NAN, note=f"undefined, since the gradient is {what} at this point."
            )
        else:
            value = (yield from ball.loss(step)) - self.loss
            self.say(f"{kind}, one step", value)
        starts = [] if step is None else [step]
        if top is None:
            top = unit_draw(len(self.theta), self.options.seed, 0).to(self.theta.device)
        top = top.double() * (ball.radius / float(top.double().norm()))
        best, bad = yield from ball.highest(self.loss, [*starts, top, -top], self.options.steps)
        note = f"the loss is not a number at {bad} of the points where a climb began." if bad else ""
        self.say(f"{kind}, maximum", best - self.loss, note=note)

    def _mean(self, name: str, ball: Ball) -> Generator[None, None, None]:
        """The mean of ½ (L(θ + σz) + L(θ − σz)) − L(θ): what is odd in z is gone from each pair."""
        found = np.array((yield from jobs.gather([self._pair(ball, i) for i in range(self.options.probes)])))
        bad = int((~np.isfinite(found)).sum())
        note = f"the loss is not finite at {bad} of {len(found)} pairs of points." if bad else ""
        with np.errstate(invalid="ignore"):
            self.say(name, float(found.mean()), float(found.std(ddof=1)) / len(found) ** 0.5, note)

    def _pair(self, ball: Ball, index: int) -> Generator[None, None, float]:
        """How much higher the loss is at a random pair of points than at θ."""
        z = unit_draw(len(self.theta), self.options.seed, index).to(self.theta.device) * ball.radius
        above = yield from ball.loss(z)
        below = yield from ball.loss(-z)
        return 0.5 * (above + below) - self.loss


def _top(hessian: Products, ball: Ball, seed: int) -> Generator[None, None, Tensor]:
    """Nearly the top eigenvector of T H T, (P,): where the adaptive ball is steepest about a critical point."""

    def times(v: Tensor) -> Generator[None, None, Tensor]:
        return ball.scaled((yield from hessian.times(ball.scaled(v)))).to(v.dtype)

    start = unit_draw(len(hessian.theta), seed, 1).to(hessian.theta)
    process = Lanczos(times, start)
    while process.steps < _PRODUCTS and (yield from process.step()):
        ritz = process.ritz()
        if process.exhausted or ritz.residuals[0] <= _GOOD * np.abs(ritz.values).max():
            break
        yield
    return process.pairs(process.ritz(), np.array([0]))[:, 0] if process.steps else start
