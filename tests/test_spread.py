from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from tests.zoo import F, classification, cnn, mlp, normal, whole

pytestmark = pytest.mark.statistics

CLOSED = 1e-10


def regression() -> tuple[la.Objective, torch.Tensor, float]:
    """Linear regression with two outputs; its Hessian, and E dᵀHd = Σ_f (‖w_f‖² / n_f) tr H_ff."""
    x, y = normal(60, 5, dtype=torch.float64), normal(60, 2, seed=1, dtype=torch.float64)
    model = nn.Linear(5, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(normal(2, 5, seed=2))
    gram = x.T @ x / 60  # H = (2 / nk) I ⊗ XᵀX
    hessian = torch.block_diag(gram, gram)
    expected = sum(float(w @ w) / 5 * float(gram.trace()) for w in model.weight.detach())
    return la.Objective(model, nn.MSELoss(), (x, y)), hessian, expected


def test_on_a_quadratic_the_rise_is_half_the_mean_curvature() -> None:
    objective, hessian, _ = regression()
    found = la.spread(objective, seeds=3)
    assert found.rise.shape == (3, 4)
    for seed, rise in zip(found.seeds, found.rise, strict=True):
        plane = la.Plane.random(objective, int(seed))
        curvature = float(plane.u @ hessian @ plane.u + plane.v @ hessian @ plane.v)
        np.testing.assert_allclose(rise, 0.25 * found.radii**2 * curvature, rtol=CLOSED)
    assert found.value == objective.value(objective.theta)


def test_over_many_seeds_the_mean_is_the_one_that_is_known() -> None:
    objective, _, expected = regression()
    found = la.spread(objective, seeds=400, radii=[1.0])
    error = found.rise.std(ddof=1) / math.sqrt(400)
    # Four standard errors; the seeds are fixed.
    assert found.mean[0] == pytest.approx(0.5 * expected, abs=4 * error)
    assert error < 0.02 * expected


def test_a_round_bowl_has_no_spread() -> None:
    objective = la.Objective.from_function(lambda t: 0.5 * t @ t, normal(30, dtype=torch.float64))
    found = la.spread(objective, 4)
    assert np.abs(found.ratio).max() < CLOSED
    np.testing.assert_allclose(
        found.mean, 0.5 * found.radii**2 * float(objective.theta @ objective.theta), rtol=CLOSED
    )
    assert (found.low <= found.mean * (1 + CLOSED)).all()
    assert (found.high >= found.mean * (1 - CLOSED)).all()


def test_it_says_itself_in_words_and_takes_seeds_by_name() -> None:
    objective = la.Objective(cnn(), F.cross_entropy, (normal(20, 1, 8, 8), whole(3, 20)))
    found = la.spread(objective, [5, 7], radii=(0.5,), normalize="layer")
    assert found.seeds.tolist() == [5, 7]
    assert f"at radius 0.5 by {found.mean[0]:.4g} ({found.low[0]:.4g} to {found.high[0]:.4g})" in str(found)
    assert math.isnan(la.spread(objective, 1, radii=(0.5,)).ratio[0])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seeds": 0}, ValueError, "seeds is 0: there is none. Pass at least 1"),
        ({"seeds": "many"}, TypeError, "seeds is 'many'. Pass a number of seeds or a list"),
        ({"seeds": 2.5}, TypeError, "seeds is 2.5"),
        ({"seeds": [0.5]}, TypeError, "seed is 0.5, not an integer"),
        ({"radii": []}, ValueError, r"radii is \[\]. Pass finite numbers above 0"),
        ({"radii": [0.0, 1.0]}, ValueError, r"radii is \[0.0, 1.0\]"),
        ({"normalize": "row"}, ValueError, "normalize is 'row'"),
    ],
)
def test_seeds_and_radii_that_are_none_are_named(options: Any, error: type[Exception], message: str) -> None:
    objective = la.Objective(mlp(6, 3), F.cross_entropy, classification(8))
    with pytest.raises(error, match=message):
        la.spread(objective, **options)
