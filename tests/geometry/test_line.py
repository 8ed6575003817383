from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import lossatlas as la
from tests.zoo import F, classification, flat, mlp, normal

O = la.Objective(mlp(6, 5, 3), F.cross_entropy, classification(20), dtype=torch.float64)  # noqa: E741


def test_a_line_is_the_formula_and_project_undoes_it() -> None:
    line = la.Line(normal(9).double(), normal(9, seed=1).double())
    torch.testing.assert_close(line.at(-1.5), line.origin - 1.5 * line.u, rtol=1e-15, atol=1e-15)
    assert line.project(line.at(-1.5)) == pytest.approx((-1.5, 0.0), abs=1e-14)
    a, distance = line.project(normal(9, seed=2).double())
    rest = normal(9, seed=2).double() - line.at(a)
    assert distance == pytest.approx(float(rest.norm()), rel=1e-12)
    assert abs(float(rest @ line.u)) < 1e-13


def test_a_line_between_two_models_meets_both() -> None:
    other = mlp(6, 5, 3, seed=1)
    line = la.Line.between(O, other)
    assert torch.equal(line.at(0.0), O.theta)
    torch.testing.assert_close(line.at(1.0), flat(other).double(), rtol=1e-14, atol=1e-16)
    assert line.points == (("θ", 0.0, 0.0), ("other", 1.0, 0.0))
    assert (
        line.hash
        == la.Line.between(O, other.state_dict()).hash
        != la.Line.between(O, mlp(6, 5, 3, seed=2)).hash
    )


def test_a_line_along_a_direction_has_its_name() -> None:
    line = la.Line.along(O, la.Direction.gradient(O))
    assert line.names == ("gradient",)
    assert line.share(O.gradient(O.theta)) == pytest.approx(1.0, abs=1e-12)


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "itself": (lambda: la.Line.between(O, O.theta), ValueError, "other is the objective's θ itself"),
    "another model": (
        lambda: la.Line.between(O, mlp(6, 4, 3)), ValueError, r"other: the tensor '0.weight' has shape \(4, 6\)",
    ),
    "zero": (lambda: la.Line(torch.ones(3), torch.zeros(3)), ValueError, "line's direction u is zero"),
    "integers": (lambda: la.Line(torch.ones(3), torch.ones(3).long()), TypeError, "The line's u has dtype torch.int64"),
    "lengths": (lambda: la.Line(torch.ones(3), torch.ones(4)), ValueError, "origin has length 3, but u has 4"),
    "nowhere": (lambda: la.Line(torch.ones(3), torch.ones(3)).at(math.nan), ValueError, "a is nan. Pass a finite"),
    "no objective": (lambda: la.Line.between("model", O.theta), TypeError, "objective is a str"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_makes_no_line_is_named(case: str) -> None:
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()
