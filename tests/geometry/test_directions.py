from __future__ import annotations

import hashlib
import math
import threading

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.geometry import Scaling, filter_normalize, random_direction, turn
from lossatlas.geometry.directions import random_directions
from lossatlas.objective import ParameterSpace
from tests.zoo import F, classification, cnn, flat, mlp, normal, whole

RAW = Scaling(None, ignore=False)  # Gaussian as drawn
SPACE = ParameterSpace(
    [("conv", (4, 3, 2, 2)), ("bias", (4,)), ("fc", (5, 7)), ("scale", ()), ("norm", (6,))]
)
THETA = normal(SPACE.size, seed=1, dtype=torch.float64)


def test_every_filter_gets_the_norm_of_the_same_filter_of_theta() -> None:
    direction = filter_normalize(normal(SPACE.size, dtype=torch.float64), THETA, SPACE)
    for name in ("conv", "fc"):
        # By numpy, filter by filter; rounding of a sum of at most 12 squares.
        d = SPACE[name].of(direction).numpy()
        w = SPACE[name].of(THETA).numpy()
        for d_f, w_f in zip(d, w, strict=True):
            assert np.linalg.norm(d_f.ravel()) == pytest.approx(np.linalg.norm(w_f.ravel()), rel=1e-14)


def test_normalising_is_by_filter_and_not_by_tensor() -> None:
    raw = normal(SPACE.size, dtype=torch.float64)
    direction = filter_normalize(raw, THETA, SPACE)
    scales = SPACE["fc"].of(direction) / SPACE["fc"].of(raw)
    assert (scales.std(dim=1) < 1e-14).all()
    assert scales.mean(dim=1).std() > 0.1


def test_vectors_such_as_biases_and_norms_are_not_moved() -> None:
    direction = filter_normalize(normal(SPACE.size, dtype=torch.float64), THETA, SPACE)
    for name in ("bias", "scale", "norm"):
        assert not SPACE[name].of(direction).any()


def test_zero_filters_stay_zero_and_divide_nothing() -> None:
    theta, raw = THETA.clone(), normal(SPACE.size, dtype=torch.float64)
    SPACE["fc"].of(theta)[2] = 0.0
    SPACE["conv"].of(raw)[1] = 0.0
    direction = filter_normalize(raw, theta, SPACE)
    assert torch.isfinite(direction).all()
    assert not SPACE["fc"].of(direction)[2].any()
    assert not SPACE["conv"].of(direction)[1].any()
    assert SPACE["fc"].of(direction)[[0, 1, 3, 4]].any(dim=1).all()


def test_normalising_twice_changes_nothing_but_rounding() -> None:
    once = filter_normalize(normal(SPACE.size, dtype=torch.float64), THETA, SPACE)
    torch.testing.assert_close(filter_normalize(once, THETA, SPACE), once, rtol=1e-14, atol=0)


def test_lengths_that_do_not_fit_are_named() -> None:
    with pytest.raises(
        ValueError, match=rf"theta has shape \(3,\). Pass a vector of length P = {SPACE.size}"
    ):
        filter_normalize(THETA, torch.zeros(3), SPACE)


@pytest.mark.parametrize("scaling", [Scaling(), RAW])
def test_a_seed_and_a_number_name_one_direction(scaling: Scaling) -> None:
    def draw(seed: int, index: int) -> torch.Tensor:
        return random_direction(SPACE, THETA, seed=seed, index=index, scaling=scaling)

    assert torch.equal(draw(3, 1), draw(3, 1))
    drawn = [draw(seed, index) for seed in range(3) for index in range(3)]
    cosines = torch.corrcoef(torch.stack(drawn)) - torch.eye(9)
    assert cosines.abs().max() < 0.9  # no two of them are the same, or each other's mirror image


def test_a_direction_in_float64_is_that_of_float32() -> None:
    single = random_direction(SPACE, THETA.float(), seed=0, index=0)
    double = random_direction(SPACE, THETA, seed=0, index=0)
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-7)


def test_random_directions_are_as_often_negative_as_positive() -> None:
    space = ParameterSpace([("w", (100, 100))])
    drawn = random_direction(space, torch.ones(10_000), seed=0, index=0)
    # Binomial: four standard deviations of 50 around 5000.
    assert abs(int((drawn > 0).sum()) - 5000) < 200


def test_random_directions_are_normal_before_they_are_normalised() -> None:
    space = ParameterSpace([("w", (200, 200))])
    drawn = random_direction(space, torch.ones(40_000), seed=1, index=1, scaling=RAW).double()
    # Standard errors of the moments of 40 000 draws: 0.005, 0.007, 0.012, 0.05; four of each.
    assert abs(float(drawn.mean())) < 0.02
    assert abs(float(drawn.var()) - 1) < 0.03
    assert abs(float((drawn**3).mean())) < 0.08
    assert abs(float((drawn**4).mean()) - 3) < 0.2


@pytest.mark.parametrize("size", [100, 10_000])
def test_the_mean_cosine_of_two_random_directions_is_that_of_the_sphere(size: int) -> None:
    space = ParameterSpace([("w", (size,))])
    theta = torch.ones(size)
    cosines = []
    for seed in range(400):
        u, v = (random_direction(space, theta, seed=seed, index=i, scaling=RAW).double() for i in (0, 1))
        cosines.append(abs(float(u @ v / (u.norm() * v.norm()))))
    expected = math.sqrt(2 / (math.pi * size))
    # The standard deviation of |cos| is 0.756 of its mean: four standard errors of 400 draws are 15 %.
    assert np.mean(cosines) == pytest.approx(expected, rel=0.15)


def test_without_any_filter_the_whole_vector_gets_the_norm_of_theta() -> None:
    space = ParameterSpace([("theta", (3,))])
    drawn = random_direction(space, torch.tensor([3.0, 0.0, 4.0], dtype=torch.float64), seed=0, index=0)
    assert float(drawn.norm()) == pytest.approx(5.0, rel=1e-14)
    assert float(random_direction(space, torch.zeros(3), seed=0, index=0).norm()) == pytest.approx(
        1.0, rel=1e-6
    )


def test_drawing_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    random_direction(SPACE, THETA, seed=0, index=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_quarter_turns_are_exact() -> None:
    u, w = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 3.0])
    assert torch.equal(turn(u, w, 0), u)
    assert torch.equal(turn(u, w, 90), w)
    assert torch.equal(turn(u, w, 180), -u)
    assert torch.equal(turn(u, w, -90), -w)


def test_a_turn_by_thirty_degrees_is_that_of_a_circle() -> None:
    u, w = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert turn(u, w, 30).tolist() == pytest.approx([math.sqrt(3) / 2, 0.5], rel=1e-15)


# Dinh et al. 2017: neighbouring layers of a ReLU net may be rescaled without changing what it computes.


def rescaled(c: float) -> torch.nn.Sequential:
    model = mlp(6, 16, 3, dtype=torch.float64, act=torch.nn.ReLU)
    with torch.no_grad():
        model[0].weight.mul_(c)
        model[0].bias.mul_(c)
        model[2].weight.div_(c)
    return model


def slice_of(model: torch.nn.Module, *, normalize: bool) -> np.ndarray:
    objective = la.Objective(model, F.cross_entropy, classification(50, dtype=torch.float64))
    draw = [
        random_direction(objective.parameters, objective.theta, seed=0, index=i, scaling=RAW) for i in (0, 1)
    ]
    if normalize:
        draw = [filter_normalize(d, objective.theta, objective.parameters) for d in draw]
    else:
        for (
            entry
        ) in objective.parameters:  # biases are moved by neither, so that only the weights' scale differs
            if not entry.filters:
                for d in draw:
                    entry.of(d).zero_()
    return la.Landscape(objective, la.Plane(objective.theta, *draw)).grid(shape=(5, 5))


@pytest.mark.parametrize("c", [8.0, 10.0, 0.01])
def test_a_filter_normalised_slice_does_not_know_how_layers_are_scaled(c: float) -> None:
    np.testing.assert_allclose(
        slice_of(rescaled(c), normalize=True), slice_of(rescaled(1.0), normalize=True), rtol=1e-11
    )


def test_a_raw_slice_does_know_it() -> None:
    plain, scaled = (slice_of(rescaled(c), normalize=False) for c in (1.0, 10.0))
    assert scaled[2, 2] == pytest.approx(plain[2, 2], rel=1e-12)
    assert np.abs(scaled - plain).max() > 0.1 * np.ptp(plain)


def test_batch_norm_is_moved_neither_in_its_vectors_nor_in_its_statistics() -> None:
    model = cnn()
    objective = la.Objective(model, F.cross_entropy, (normal(20, 1, 8, 8), whole(3, 20)))
    plane = la.Plane.random(objective)
    for direction in (plane.u, plane.v):
        parts = objective.parameters.unflatten(direction)
        assert not parts["1.weight"].any()
        assert not parts["1.bias"].any()
        assert parts["0.weight"].any()
    # Far out too the loss is that of the statistics as they are: the variance was not moved below zero.
    theta = plane.at(3.0, -2.0)
    torch.nn.utils.vector_to_parameters(theta, model.parameters())
    expected = F.cross_entropy(model.eval()(normal(20, 1, 8, 8)), whole(3, 20)).item()
    assert la.Landscape(objective, plane).evaluate(3.0, -2.0) == pytest.approx(expected, rel=1e-5)
    assert len(flat(model)) == objective.size


@pytest.mark.parametrize("size", [1, 15, 16, 1000, (1 << 20) + 7])
def test_long_and_short_directions_are_drawn_as_by_torch_itself(size: int) -> None:
    space = ParameterSpace([("w", (size,))])
    drawn = random_directions(space, torch.ones(size), seed=3, indices=(0, 1), scaling=RAW)
    for index, vector in enumerate(drawn):
        key = hashlib.sha256(f"lossatlas direction 3 {index}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "little") >> 1)
        assert torch.equal(vector, torch.randn(size, generator=generator))
        assert vector.data_ptr() % 64 == 0


def test_drawing_long_directions_leaves_the_number_of_threads_alone() -> None:
    space, size = ParameterSpace([("w", (1024, 1100))]), 1024 * 1100
    before, seen = torch.get_num_threads(), []
    random_directions(space, torch.ones(size), seed=0, indices=(0, 1))
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert [torch.get_num_threads(), *seen] == [before, before]
