"""A search for the critical point nearest to a point of the map: in the slice, or in the whole space."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.curvature import Products, Spectrum, Study
from lossatlas.curvature.dense import DENSE
from lossatlas.features.critical import CriticalPoint, Towards, Within
from lossatlas.features.fields import Ground, Sliced, Whole
from lossatlas.features.kinds import Verdict, verdict_of, verdict_of_ends
from lossatlas.features.newton import Walk
from lossatlas.geometry import Line, Plane, check_point
from lossatlas.objective import Objective

# The radius of trust at first, as a share of the home view's width.
_RADIUS = 0.25

# The share of a budget of products that is kept for the spectrum of what was found.
_KEPT = 0.25

# How closely the smallest eigenvalues are looked at until their signs are known: how many, to which tolerance.
_LOOKS = ((4, 1e-3), (16, 1e-5), (64, 1e-6))

# A ‖Hg‖ / (‖H‖ ‖g‖) below this says that the gradient lies where the Hessian is flat.
_FLAT = 1e-2

# What a symmetric matrix of rounding has for its norm, in lengths of what it makes of a random unit vector: 2, and a margin.
_SPREAD = 4.0

# What is left of an eigenvalue 0, in roundings of the largest.
_ROUNDINGS = 32.0

# What may be left of the gradient by the step that tells how far the point still is, as a share.
_ROUGHLY = 0.1

_WORDS = {
    "stuck": "no step lowers it further",
    "slow": "ten steps hardly lowered it",
    "steps": "the steps were used up",
    "products": "the products were used up",
    "not finite": "the gradient or the Hessian is not finite here: start from a point where the loss is smooth and finite",
    "": "the search was not finished",
}


class Search:
    """From a point of a plane or a line to the nearest critical point: `run` it as a job, ask for `point` at any time.

    near: (a, b) of a plane, a or (a,) of a line. within: "space" drives the whole gradient to 0, in all P parameters;
    "plane" that of the slice. towards: "any" kind, by steps that lower the norm of the gradient, which may end where it is
    flat without being 0; "minimum" goes downhill instead. steps, products: at most so many steps, and products with the Hessian, a quarter of which
    is kept for the spectrum; seed: of the small moves that rounding is measured by. Raises TypeError or ValueError, in words, for
    what cannot be searched.
    """

    def __init__(
        self, objective: Objective, where: Plane | Line, near: Any = (0.0, 0.0), within: Within = "space", *,
        towards: Towards = "any", steps: int = 100, products: int | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        if within not in ("space", "plane"):
            raise ValueError(f'within is {within!r}. Pass "space", or "plane" for the slice alone.')
        if towards not in ("any", "minimum"):
            raise ValueError(f'towards is {towards!r}. Pass "any", or "minimum" to go downhill.')
        for name, value, least in (
            ("steps", steps, 0),
            ("products", 1 if products is None else products, 1),
            ("seed", seed, 0),
        ):
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
                raise ValueError(f"{name} is {value!r}. Pass a whole number of at least {least}.")
        self.where, self.within, self.seed = where, within, seed
        self._steps, self._budget = steps, products
        search = products if products is None or within == "plane" else max(1, round((1 - _KEPT) * products))
        self._ground = Ground(objective, search, seed)
        home = where.home
        radius = _RADIUS * (home[1] - home[0])
        start = torch.tensor(_start(near, where), dtype=torch.float64)
        self._sliced = Sliced(self._ground, where)
        theta = self._sliced.at(start)
        if not bool(torch.isfinite(theta).all()):
            raise ValueError(f"near is {near!r}, where θ is not finite. Pass finite coordinates, closer by.")
        if within == "plane":
            self._field: Whole | Sliced = self._sliced
            self._walk = Walk(self._field, start, radius, towards == "minimum")
        else:
            self._field = Whole(self._ground)
            unit = float(torch.stack([d.double().norm() for d in where.directions]).log().mean().exp())
            self._walk = Walk(self._field, theta, radius * unit, towards == "minimum")
        self._spectrum: Spectrum | None = None
        self._values, self._noise = np.empty(0), math.nan
        self._verdict = Verdict("undecided", 0, False, None, "its Hessian was not looked at")
        self._flatness: float | None = None

    def run(self) -> Generator[None, None, CriticalPoint]:
        """The search to its end, as a job that yields between chunks. Raises EvaluationError when the model raises."""
        yield from self._walk.run(int(self._steps))
        if self._walk.ending != "not finite":
            # What the search has left over is for the spectrum too.
            self._ground.limit = self._ground.limit if self._budget is None else int(self._budget)
            yield from self._look()
        return self.point()

    @property
    def theta(self) -> Tensor:
        """Where the search is, (P,)."""
        return self._sliced.at(self._walk.x) if self.within == "plane" else self._walk.x

    def point(self) -> CriticalPoint:
        """What is known by now; of a search that was cancelled, where it was."""
        walk, theta, verdict = self._walk, self.theta, self._verdict
        here = self._ground.here
        norm, inside, outside = (math.nan,) * 3 if here is None else self._parts(here)
        a, *b, distance = self.where.project(theta)
        converged = walk.ending == "converged"
        return CriticalPoint(
            theta.detach().clone(), a, b[0] if b else 0.0, distance, walk.loss, norm, inside, outside, walk.rounding,
            verdict.kind if converged else "undecided", verdict.index, verdict.index_is_exact, verdict.flat,
            self._values, self._noise, self._spectrum, self._flatness,
            converged, walk.steps, self._ground.products, self._message(), self.within,
        )  # fmt: skip

    def _parts(self, gradient: Tensor) -> tuple[float, float, float]:
        """‖g‖, ‖(g·u, g·v)‖ and ‖g − Pg‖."""
        axes = torch.stack([d.double() for d in self.where.directions], dim=1)
        q, _ = torch.linalg.qr(axes / axes.norm(dim=0))
        outside = gradient - q @ (q.T @ gradient)
        return float(gradient.norm()), float((axes.T @ gradient).norm()), float(outside.norm())

    def _message(self) -> str:
        walk = self._walk
        name = "the gradient" if self.within == "space" else "the gradient of the slice"
        if walk.ending == "converged":
            times = f"{walk.norm / walk.rounding:.2g} times" if walk.rounding else "not more than"
            return f"{name} is {times} its rounding; {self._verdict.words}"
        if walk.ending == "not finite":
            return _WORDS["not finite"]
        if math.isnan(walk.norm):
            return _WORDS[walk.ending]
        said = f"{_WORDS[walk.ending]}: {name} is {walk.norm:.2g}, {walk.norm / (walk.rounding or 5e-324):.2g} times its rounding"
        if self._flatness is not None and self._flatness < _FLAT:
            said += f", and the Hessian is flat along it (‖Hg‖ is {self._flatness:.1g} of ‖H‖ ‖g‖): not a critical point"
            if not walk.downhill:
                said += '. towards="minimum" goes on downhill'
        return said

    def _look(self) -> Generator[None, None, None]:
        """The evidence: the Hessian of what was found."""
        if self.within == "plane":
            if self._ground.left >= 4 * len(self.where.directions):
                yield from self._look_at_slice()
        elif self._ground.left >= 5:
            yield from self._look_at_whole()

    def _look_at_slice(self) -> Generator[None, None, None]:
        walk, sliced = self._walk, self._sliced
        matrix = yield from sliced.hessian(self.theta)
        if not np.isfinite(matrix).all():
            walk.ending = "not finite"
            return
        gradient = yield from sliced.gradient(walk.x)
        off, scale = 0.0, float(np.linalg.norm(matrix, 2))
        rest = yield from sliced.step(walk.x, gradient, walk.radius, 0.0, walk.rounding)
        further = self.theta if rest is None else sliced.at(walk.x + rest.p)
        for there in (self._ground.shaken(self.theta)[0], further):
            other = yield from sliced.hessian(there)
            off = max(off, _SPREAD * float(np.linalg.norm(matrix - other)))
        self._values = np.linalg.eigvalsh(matrix)[::-1].copy()
        self._noise = off + self._floor(scale)
        self._verdict = verdict_of(self._values, self._noise)
        if walk.ending != "converged":
            image = float(np.linalg.norm(matrix @ gradient.numpy()))
            self._flatness = _share(image, scale, walk.norm)

    def _look_at_whole(self) -> Generator[None, None, None]:
        theta, ground, full = self.theta, self._ground, self._ground.here
        assert full is not None
        off = yield from self._off(theta, full)
        image = math.nan
        if self._walk.ending != "converged":
            hessian = Products(ground.objective, theta)
            image = float((yield from ground.times(hessian, full.to(theta.dtype))).double().norm())
        yield from self._study(theta, off)
        if math.isfinite(image):
            self._flatness = _share(image, ground.scale, self._walk.norm)

    def _off(self, theta: Tensor, gradient: Tensor) -> Generator[None, None, float]:
        """What the Hessian is off by, as the norm of a matrix: how much it changes when θ moves by a rounding, and by what
        is left to the point (where the Hessian is singular that is far, and its smallest eigenvalues change with it)."""
        ground, walk = self._ground, self._walk
        generator = torch.Generator().manual_seed(0x0FF + self.seed)
        v = torch.randn(theta.numel(), generator=generator, dtype=torch.float64)
        moves = [(ground.shaken(theta)[0], v)]
        if walk.ending == "converged" and walk.norm:
            ground.limit -= 4  # for the products below
            step = yield from Whole(ground).step(theta, gradient, walk.radius, _ROUGHLY, walk.rounding)
            ground.limit += 4
            if step is not None and float(step.p.double().norm()):
                p = step.p.double()
                moves.append(((theta.double() + p).to(theta.dtype), p.cpu()))
        off, here = 0.0, Products(ground.objective, theta)
        for there, way in moves:
            unit = (way / way.norm()).to(theta.device, theta.dtype)
            one = yield from ground.times(here, unit)
            other = yield from ground.times(Products(ground.objective, there), unit)
            off = max(off, _SPREAD * float((one.double() - other.double()).norm()))
        return off

    def _study(self, theta: Tensor, off: float) -> Generator[None, None, None]:
        """The spectrum, more of it until the signs of its smallest eigenvalues are known or the budget is used up."""
        ground = self._ground
        whole = theta.numel() <= DENSE and ground.left >= theta.numel()
        for bottom, tolerance in _LOOKS:
            if ground.left < 1:
                return
            study = Study(
                ground.objective, theta, min(bottom, 5), bottom, tolerance=tolerance, seed=self.seed,
                products=None if whole or self._budget is None else ground.left,
            )  # fmt: skip
            try:
                spectrum = yield from study.run()
            finally:
                ground.products += study.hessian.products
            self._judge(spectrum, off, bottom)
            # What did not converge does so no sooner beside more of its kind; of what is no critical point one look is enough.
            sure = bool(spectrum.converged[-bottom:].all()) and self._walk.ending == "converged"
            if spectrum.exact or self._verdict.index_is_exact or not sure:
                return

    def _judge(self, spectrum: Spectrum, off: float, bottom: int) -> None:
        size = len(spectrum.eigenvectors)
        self._spectrum = spectrum
        # Of an exact spectrum every eigenvalue is an atom.
        values = np.sort(spectrum.density.atoms)[::-1] if spectrum.exact else spectrum.eigenvalues
        scale = float(np.abs(values).max(initial=0.0))
        self._ground.scale = scale = max(scale, 0.0 if spectrum.exact else self._ground.scale)
        self._values, self._noise = values.copy(), off + spectrum.noise + self._floor(scale)
        if spectrum.exact:
            self._verdict = verdict_of(values, self._noise)
        else:
            self._verdict = verdict_of_ends(
                values, spectrum.residuals, spectrum.converged, self._noise, bottom, size
            )

    def _floor(self, scale: float) -> float:
        """What an eigenvalue 0 may seem to be: by rounding, and since the gradient is not quite 0.

        Along a valley, and along the symmetries of a network, it is about ‖g‖ over how far the valley bends, ‖θ‖.
        """
        walk, theta = self._walk, self.theta
        reach = 1.0 if self.within == "plane" else self._ground.width * math.sqrt(theta.numel())
        bend = walk.norm / reach if reach and walk.ending == "converged" else 0.0
        return _ROUNDINGS * torch.finfo(theta.dtype).eps * scale + bend


def _start(near: Any, where: Plane | Line) -> tuple[float, ...]:
    """The coordinates that a user means: two of a plane, one of a line."""
    if len(where.directions) == 2:
        point: tuple[float, ...] = check_point("near", near)
    else:
        point = (_number(near[0] if isinstance(near, Sequence) and len(near) in (1, 2) else near),)
    if not all(abs(value) <= where.reach for value in point):  # NaN neither
        raise ValueError(f"near is {near!r}. Pass finite coordinates, at most {where.reach:.2g}.")
    return point


def _number(near: Any) -> float:
    try:
        return float(near)
    except (TypeError, ValueError):
        raise ValueError(f"near is {near!r}. Pass a point of the line, one number.") from None


def _share(image: float, scale: float, norm: float) -> float:
    """‖Hg‖ / (‖H‖ ‖g‖), 0 where H is 0."""
    return image / (scale * norm) if scale and norm else 0.0
