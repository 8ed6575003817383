"""Balls: any optimizer from a point of the map. The quadratic has closed forms of all of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from lossatlas.features import Drop, Drops
from tests.objective.test_untouched import trained, untouched
from tests.zoo import F, classification, cnn, mlp, normal, whole

AT = (0.3, -0.2)


def hessian(size: int = 6, seed: int = 0) -> Tensor:
    """Positive definite, with eigenvalues between 0.1 and about 3."""
    a = normal(size, size, seed=seed, dtype=torch.float64)
    return a @ a.T / size + 0.1 * torch.eye(size, dtype=torch.float64)


def quadratic(size: int = 6, seed: int = 0) -> la.Landscape:
    """½ θᵀHθ on a plane whose directions are neither orthogonal nor of one length."""
    h = hessian(size, seed)
    objective = la.Objective.from_function(lambda t: 0.5 * t @ h @ t, torch.ones(size, dtype=torch.float64))
    u, v = (normal(size, seed=seed + k, dtype=torch.float64) for k in (1, 2))
    return la.Landscape(objective, la.Plane(objective.theta, u, 0.3 * v + u))


def net(dtype: torch.dtype = torch.float64, **options: Any) -> la.Landscape:
    data = classification(60, dtype=dtype)
    objective = la.Objective(mlp(6, 8, 3, dtype=dtype), F.cross_entropy, data, **options)
    return la.Landscape(objective, la.Plane.random(objective))


def path_of(step: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> Tensor:
    rows = [start]
    for _ in range(steps):
        rows.append(step(rows[-1]))
    return torch.stack(rows)


# Closed forms.


def test_plain_descent_on_a_quadratic_is_a_power_of_a_matrix() -> None:
    landscape, h, lr = quadratic(), hessian(), 0.2
    found = landscape.descend(AT, lr=lr, steps=40)
    start = landscape.plane.at(*AT)
    factor = torch.eye(6, dtype=torch.float64) - lr * h
    for k in (0, 1, 7, 40):
        expected = torch.linalg.matrix_power(factor, k) @ start
        torch.testing.assert_close(found.trajectory.thetas[k], expected, rtol=1e-11, atol=1e-13)
    losses = 0.5 * ((found.trajectory.thetas @ h) * found.trajectory.thetas).sum(dim=1)
    np.testing.assert_allclose(found.loss, losses, rtol=1e-12)
    assert found.end_loss == pytest.approx(float(losses[-1]), rel=1e-12)
    assert (found.steps, found.diverged, found.finished, len(found.kept)) == (40, False, True, 41)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_on_a_quadratic_follows_its_recurrence(nesterov: bool) -> None:
    landscape, h, lr, beta = quadratic(), hessian(), 0.1, 0.9
    found = landscape.descend(AT, "nesterov" if nesterov else "momentum", lr=lr, steps=30)
    x, v = landscape.plane.at(*AT), torch.zeros(6, dtype=torch.float64)
    for k in range(31):
        torch.testing.assert_close(found.trajectory.thetas[k], x, rtol=1e-11, atol=1e-13)
        gradient = h @ x
        v = beta * v + gradient
        x = x - lr * (gradient + beta * v if nesterov else v)


OPTIMIZERS: dict[str, tuple[Any, Callable[[list[nn.Parameter]], torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": ("adam", lambda p: torch.optim.Adam(p, lr=0.03), {"lr": 0.03}),
    "adam by its options": (
        "Adam",
        lambda p: torch.optim.Adam(p, lr=0.03, betas=(0.5, 0.9), eps=1e-3),
        {"lr": 0.03, "betas": (0.5, 0.9), "eps": 1e-3},
    ),
    "adamw": (
        "adamw", lambda p: torch.optim.AdamW(p, lr=0.03, weight_decay=0.2), {"lr": 0.03, "weight_decay": 0.2},
    ),
    "rmsprop": ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.01), {}),
    "a class": (torch.optim.NAdam, lambda p: torch.optim.NAdam(p, lr=0.02), {"lr": 0.02}),
    "a factory": (lambda p: torch.optim.Adagrad(p, lr=0.3), lambda p: torch.optim.Adagrad(p, lr=0.3), {}),
}  # fmt: skip
if hasattr(
    torch.optim, "Adafactor"
):  # from torch 2.5 on; it goes by the shapes of tensors, which a flat vector does not have
    OPTIMIZERS["by tensors"] = ("adafactor", lambda p: torch.optim.Adafactor(p, lr=0.05), {"lr": 0.05})


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_ball_goes_where_torch_trains_the_model_itself(kind: str) -> None:
    chosen, make, options = OPTIMIZERS[kind]
    model, (x, y) = mlp(6, 8, 3, dtype=torch.float64), classification(60, dtype=torch.float64)
    objective = la.Objective(model, F.cross_entropy, (x, y))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    found = landscape.descend((0, 0), chosen, steps=25, **options)
    optimizer = make(list(model.parameters()))
    for k in range(26):
        flat = torch.cat([p.detach().flatten() for p in model.parameters()])
        torch.testing.assert_close(found.trajectory.thetas[k], flat, rtol=1e-9, atol=1e-11)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        assert found.loss[k] == pytest.approx(float(loss.detach()), rel=1e-9)
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_an_optimizer_that_asks_for_losses_is_answered(search: str | None) -> None:
    landscape, h = quadratic(), hessian()
    found = landscape.descend(
        AT, lambda p: torch.optim.LBFGS(p, lr=0.5, max_iter=4, line_search_fn=search), steps=6
    )
    x = nn.Parameter(landscape.plane.at(*AT))
    optimizer = torch.optim.LBFGS([x], lr=0.5, max_iter=4, line_search_fn=search)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = 0.5 * x @ h @ x
        loss.backward()
        return loss

    for k in range(7):
        torch.testing.assert_close(found.trajectory.thetas[k], x.detach(), rtol=1e-8, atol=1e-10)
        optimizer.step(closure)
    assert found.end_loss < 1e-4 * found.start_loss


@pytest.mark.parametrize(("share", "diverges"), [(0.9, False), (0.99, False), (1.01, True), (1.1, True)])
@pytest.mark.parametrize(("optimizer", "limit"), [("sgd", 2.0), ("momentum", 3.8), ("nesterov", 3.8 / 2.8)])
def test_a_ball_on_a_quadratic_runs_away_if_and_only_if_its_rate_is_beyond_the_line(
    optimizer: str, limit: float, share: float, diverges: bool
) -> None:
    landscape = quadratic()
    steepest = float(torch.linalg.eigvalsh(hessian())[-1])
    # 1 % beyond, an amplitude grows by at least 0.1 % a step.
    found = landscape.descend(
        AT, optimizer, lr=share * limit / steepest, steps=12_000 if diverges else 2000, every=1000
    )
    assert found.diverged == diverges
    assert ("diverged" in found.message) == diverges
    assert diverges or found.end_loss < 1e-6 * found.start_loss


def test_without_a_part_along_the_top_eigenvector_a_rate_beyond_the_line_does_not_run_away() -> None:
    h = torch.diag(torch.tensor([10.0, 1.0, 0.5], dtype=torch.float64))
    objective = la.Objective.from_function(lambda t: 0.5 * t @ h @ t, torch.zeros(3, dtype=torch.float64))
    e = torch.eye(3, dtype=torch.float64)
    landscape = la.Landscape(objective, la.Plane(torch.zeros(3, dtype=torch.float64), e[1], e[2]))
    assert not landscape.descend((1, 1), lr=0.5, steps=300).diverged
    assert landscape.descend(e[0] + e[1], lr=0.5, steps=300).diverged


# In the plane.


def orthonormal(landscape: la.Landscape) -> Tensor:
    return torch.linalg.qr(torch.stack(landscape.plane.directions, dim=1)).Q


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_a_confined_ball_follows_the_closed_form_of_the_restricted_quadratic(momentum: float) -> None:
    landscape, h, lr = quadratic(), hessian(), 0.3
    q = orthonormal(landscape)
    found = landscape.descend(AT, "sgd", lr=lr, steps=25, confined=True, momentum=momentum)
    theta, v = landscape.plane.at(*AT), torch.zeros(6, dtype=torch.float64)
    for k in range(26):
        torch.testing.assert_close(found.trajectory.thetas[k], theta, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(
            landscape.plane.at(*found.points[k]), found.trajectory.thetas[k], rtol=1e-10, atol=1e-12
        )
        v = momentum * v + q @ (q.T @ (h @ theta))
        theta = theta - lr * v
    assert (found.distance == 0).all()


def test_one_confined_step_of_plain_descent_is_the_projection_of_the_free_one() -> None:
    landscape = quadratic()
    free, confined = (landscape.descend(AT, lr=0.2, steps=1, confined=c) for c in (False, True))
    a, b, _ = landscape.plane.project(free.trajectory.last)
    np.testing.assert_allclose(confined.points[-1], (a, b), rtol=1e-10)
    # The optimizer's own weight decay pulls θ, not the place on the plane.
    free, confined = (landscape.descend(AT, lr=0.2, steps=1, confined=c, weight_decay=0.7) for c in (False, True))  # fmt: skip
    a, b, _ = landscape.plane.project(free.trajectory.last)
    np.testing.assert_allclose(confined.points[-1], (a, b), rtol=1e-10)


def test_a_confined_ball_runs_away_beyond_the_line_of_the_slice() -> None:
    landscape = quadratic()
    q = orthonormal(landscape)
    steepest = float(torch.linalg.eigvalsh(q.T @ hessian() @ q)[-1])
    for share, diverges in ((0.97, False), (1.03, True)):
        found = landscape.descend(AT, lr=share * 2 / steepest, steps=2000, confined=True, keep=False)
        assert found.diverged == diverges


def test_a_confined_adam_has_the_orthonormal_coordinates_the_first_along_u() -> None:
    landscape, h, origin = quadratic(), hessian(), quadratic().plane.origin
    q = orthonormal(landscape)
    q = q * torch.sign(q.T @ landscape.plane.u)[0]
    found = landscape.descend(AT, "adam", lr=0.05, steps=12, confined=True)
    x = nn.Parameter(q.T @ (landscape.plane.at(*AT) - origin))
    optimizer = torch.optim.Adam([x], lr=0.05)
    for k in range(13):
        theta = origin + q @ x.detach()
        torch.testing.assert_close(found.trajectory.thetas[k], theta, rtol=1e-9, atol=1e-11)
        x.grad = q.T @ (h @ theta)
        optimizer.step()


def test_a_line_has_one_coordinate() -> None:
    h = hessian()
    objective = la.Objective.from_function(lambda t: 0.5 * t @ h @ t, torch.ones(6, dtype=torch.float64))
    u = normal(6, seed=4, dtype=torch.float64)
    landscape = la.Landscape(objective, la.Line(objective.theta, u))
    found = landscape.descend(0.5, lr=0.1, steps=10, confined=True)
    a = 0.5
    for k in range(11):
        assert found.points[k].tolist() == pytest.approx([a, 0.0], rel=1e-10)
        a -= 0.1 * float(u @ h @ (objective.theta + a * u)) / float(u @ u)
    free = landscape.descend((0.5,), lr=0.1, steps=10)
    assert (free.distance[1:] > 0).all()


# What a ball tells.


def test_points_and_distances_are_projections_and_slopes_the_chain_rule() -> None:
    landscape = net()
    found = landscape.descend(AT, "adam", lr=0.05, steps=12, every=5)
    assert found.kept.tolist() == [0, 5, 10, 12]
    for theta, point, distance, slopes, norm in zip(
        found.trajectory.thetas, found.points, found.distance, found.slopes, found.gradient_norm, strict=True
    ):
        a, b, away = landscape.plane.project(theta)
        np.testing.assert_allclose(point, (a, b), rtol=1e-9, atol=1e-12)
        assert distance == pytest.approx(away, rel=1e-9, abs=1e-12)
        gradient = landscape.objective.gradient(theta)
        np.testing.assert_allclose(
            slopes, [float(gradient @ d) for d in landscape.plane.directions], rtol=1e-9
        )
        assert norm == pytest.approx(float(gradient.norm()), rel=1e-12)
    assert found.curves.steps.tolist() == list(range(13))
    np.testing.assert_allclose(found.curves.loss[found.kept], found.loss)
    assert (found.curves.lr[:12] == 0.05).all()
    assert math.isnan(found.curves.lr[12])
    assert found.trajectory.steps.tolist() == found.kept.tolist()
    assert found.end_loss == pytest.approx(landscape.objective.value(found.trajectory.last), rel=1e-12)


@pytest.mark.parametrize("confined", [False, True])
def test_arrows_times_the_rate_are_the_steps_of_plain_descent_on_the_map(confined: bool) -> None:
    found = quadratic().descend(AT, lr=0.2, steps=9, confined=confined)
    np.testing.assert_allclose(np.diff(found.points, axis=0), 0.2 * found.arrows[:-1], rtol=1e-9, atol=1e-12)


def test_a_distance_of_nearly_parallel_directions_keeps_its_digits() -> None:
    objective = la.Objective.from_function(lambda t: (t * t).sum(), torch.ones(8, dtype=torch.float64))
    u, v, w = (normal(8, seed=k, dtype=torch.float64) for k in (1, 2, 3))
    plane = la.Plane(objective.theta, u, u + 1e-5 * v)
    found = la.Landscape(objective, plane).descend(objective.theta + 0.1 * w, lr=1e-3, steps=1)
    a, b, distance = plane.project(objective.theta + 0.1 * w)
    np.testing.assert_allclose(found.points[0], (a, b), rtol=1e-6)
    assert found.distance[0] == pytest.approx(distance, rel=1e-9)


def test_a_legend_says_what_rolls() -> None:
    landscape = net()
    names = {
        landscape.descend(AT, steps=1, **options).name
        for options in (
            {}, {"optimizer": "momentum"}, {"optimizer": "nesterov", "lr": 0.5}, {"optimizer": "adam"},
            {"batch_size": 8, "schedule": "cosine"}, {"confined": True}, {"name": "mine"},
        )
    }  # fmt: skip
    assert names == {
        "SGD · lr 0.1", "SGD, momentum 0.9 · lr 0.1", "SGD, Nesterov 0.9 · lr 0.5", "Adam · lr 0.01",
        "SGD · lr 0.1 · batch 8 · cosine", "SGD · lr 0.1 · confined", "mine",
    }  # fmt: skip


# Minibatches and schedules.


def test_a_batch_of_all_samples_is_the_full_batch() -> None:
    landscape = net()
    full, batch = (landscape.descend(AT, lr=0.3, steps=8, batch_size=size) for size in (None, 60))
    assert torch.equal(full.trajectory.thetas, batch.trajectory.thetas)
    assert np.array_equal(full.loss, batch.loss)


def test_a_seed_rolls_the_same_way_twice_and_another_one_elsewhere() -> None:
    landscape = net()
    first, again, other = (
        landscape.descend(AT, "adam", steps=12, batch_size=7, seed=seed) for seed in (3, 3, 4)
    )
    assert torch.equal(first.trajectory.thetas, again.trajectory.thetas)
    assert not torch.equal(first.trajectory.thetas, other.trajectory.thetas)


def test_start_and_end_of_minibatches_are_losses_of_all_data() -> None:
    landscape = net()
    found = landscape.descend(AT, lr=0.3, steps=9, batch_size=16)
    value = landscape.objective.value
    assert found.start_loss == pytest.approx(value(found.trajectory.first), rel=1e-12)
    assert found.end_loss == pytest.approx(value(found.trajectory.last), rel=1e-12)
    assert found.loss[0] != pytest.approx(found.start_loss, rel=1e-3)  # of its batch


def test_weight_decay_of_the_objective_is_in_the_gradient_once() -> None:
    landscape = net(weight_decay=0.3)
    model, (x, y) = mlp(6, 8, 3, dtype=torch.float64), classification(60, dtype=torch.float64)
    for size in (None, 12):
        found = landscape.descend((0, 0), lr=0.1, steps=1, batch_size=size)
        start = found.trajectory.first
        moved = (start - found.trajectory.last) / 0.1
        if size is None:
            loss = F.cross_entropy(model(x), y)
            own = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
            torch.testing.assert_close(moved, own + 0.3 * start, rtol=1e-9, atol=1e-12)
            assert found.start_loss == pytest.approx(
                float(loss.detach()) + 0.15 * float(start @ start), rel=1e-12
            )
    # Each of an epoch's steps decays once: at a rate so small that θ hardly moves, the five add up.
    rate = 1e-7
    epoch = landscape.descend((0, 0), lr=rate, steps=5, batch_size=12)
    moved = (epoch.trajectory.first - epoch.trajectory.last) / (5 * rate)
    torch.testing.assert_close(moved, landscape.objective.gradient(start), rtol=1e-5, atol=1e-6)


SCHEDULES: dict[str, tuple[Any, Callable[[int], float]]] = {
    "cosine": ("cosine", lambda k: 0.5 * (1 + math.cos(math.pi * k / 10))),
    "linear": ("linear", lambda k: 1 - k / 10),
    "a factor": (lambda k: 0.5**k, lambda k: 0.5**k),
    "a scheduler": (lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.1), lambda k: 0.1 ** (k // 3)),
    "annealing": (
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10),
        lambda k: 0.5 * (1 + math.cos(math.pi * k / 10)),
    ),
}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_schedule_sets_the_rate_of_each_step(kind: str) -> None:
    schedule, factor = SCHEDULES[kind]
    landscape, h = quadratic(), hessian()
    found = landscape.descend(AT, lr=0.2, steps=10, schedule=schedule)
    rates = [0.2 * factor(k) for k in range(10)]
    np.testing.assert_allclose(found.curves.lr[:10], rates, rtol=1e-12, atol=1e-17)
    x = landscape.plane.at(*AT)
    for rate in rates:
        x = x - rate * (h @ x)
    torch.testing.assert_close(found.trajectory.last, x, rtol=1e-11, atol=1e-13)


def test_a_scheduler_that_waits_for_a_plateau_is_told_the_loss() -> None:
    found = quadratic().descend(
        AT, lr=1e-4, steps=8,
        schedule=lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=1, factor=0.5, threshold=0.1),
    )  # fmt: skip
    assert found.curves.lr[0] == 1e-4
    assert found.curves.lr[7] < 0.6e-4


# The ends of it.


def test_what_is_not_finite_ends_a_ball_and_stays_what_it_is() -> None:
    objective = la.Objective.from_function(lambda t: torch.log(t).sum(), torch.ones(3, dtype=torch.float64))
    e = torch.eye(3, dtype=torch.float64)
    landscape = la.Landscape(objective, la.Plane(objective.theta, e[0], e[1]))
    found = landscape.descend((0, 0), lr=0.6, steps=20)
    assert found.diverged
    assert math.isnan(found.end_loss)
    assert "the loss is nan" in found.message
    assert torch.isfinite(found.trajectory.thetas).all()
    steep = la.Objective.from_function(lambda t: (t**4).sum(), torch.ones(3))
    plane = la.Plane(steep.theta, e[0].float(), e[1].float())
    away = la.Landscape(steep, plane).descend((0, 0), lr=1e38, steps=20)
    assert away.diverged
    assert "the parameters are not finite" in away.message
    assert math.isnan(away.end_loss)
    assert torch.isfinite(away.trajectory.thetas).all()
    assert away.kept.tolist() == [0]


def test_an_infinite_gradient_is_kept_as_it_is_and_ends_a_ball() -> None:
    root = la.Objective.from_function(lambda t: t.abs().sqrt().sum(), torch.ones(3, dtype=torch.float64))
    e = torch.eye(3, dtype=torch.float64)
    plane = la.Plane(torch.zeros(3, dtype=torch.float64) + e[2], e[0], e[1] + e[0])
    for confined in (False, True):
        found = la.Landscape(root, plane).descend(
            (0.5, 0.0), lambda p: torch.optim.SGD(p, lr=0.1), confined=confined
        )
        assert found.diverged
        assert not np.isfinite(found.arrows[0]).all()
        assert "the parameters are not finite" in found.message


def test_a_ball_that_starts_at_a_tiny_loss_may_climb() -> None:
    landscape = quadratic()
    assert not landscape.descend((-1e-9, 0), lr=0.01, steps=5).diverged


def test_a_cancelled_ball_keeps_what_it_has() -> None:
    drop = Drop(net().objective, net().plane, AT, steps=10**6, keep=False)
    job = jobs.worker.submit(drop.run(), jobs.POINT)
    while drop.taken < 5:
        time.sleep(0.001)
    job.cancel()
    with pytest.raises(jobs.Cancelled):
        job.wait()
    found = drop.descent()
    assert not found.finished
    assert "not finished" in found.message
    assert len(found.kept) >= 5
    assert len(found.points) == len(found.kept) == len(found.loss)
    assert math.isnan(found.end_loss)
    assert math.isfinite(found.start_loss)


def test_a_cancelled_ball_that_asks_for_losses_ends_too() -> None:
    chunked = la.Objective(mlp(6, 3), F.cross_entropy, classification(200))
    run = Drop(chunked, la.Plane.random(chunked), optimizer="lbfgs", steps=50).run()
    for _ in range(30):
        next(run)
    run.close()  # would wait for ever if the optimizer's thread were not told


def test_balls_roll_in_turn() -> None:
    landscape = quadratic()
    drops = Drops(
        [Drop(landscape.objective, landscape.plane, AT, name, steps=6) for name in ("sgd", "adam", "lbfgs")]
    )
    work = drops.run()
    for _ in range(8):
        next(work)
    assert all(drop.taken for drop in drops.drops[:2])
    found = jobs.call(work)
    for drop, name in zip(found, ("sgd", "adam", "lbfgs"), strict=True):
        alone = landscape.descend(AT, name, steps=6)
        assert torch.equal(drop.trajectory.thetas, alone.trajectory.thetas)


# The user's model.


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "lbfgs"])
@pytest.mark.parametrize("batch_size", [None, 8])
def test_the_users_model_is_not_touched(optimizer: str, batch_size: int | None) -> None:
    torch.optim.SGD([nn.Parameter(torch.ones(1))])  # the first one imports much
    model, data = trained()
    with untouched(model):
        objective = la.Objective(model, F.cross_entropy, data)
        landscape = la.Landscape(objective, la.Plane.random(objective))
        landscape.descend(AT, optimizer, steps=3, batch_size=batch_size)
        with pytest.raises(ValueError, match="which a ball must not touch"):
            landscape.descend(AT, lambda params: torch.optim.SGD(model.parameters(), lr=0.1))


def test_running_statistics_stay_as_they_are_and_a_ball_rolls_in_evaluation_mode() -> None:
    model, x, y = cnn().double().eval(), normal(24, 1, 8, 8, dtype=torch.float64), whole(3, 24)
    objective = la.Objective(model, F.cross_entropy, (x, y))
    found = la.Landscape(objective, la.Plane.random(objective)).descend((0, 0), lr=0.05, steps=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(found.trajectory.last, flat, rtol=1e-8, atol=1e-10)


def test_in_batch_statistics_a_step_sees_one_of_the_users_batches() -> None:
    data = [(normal(9, 1, 8, 8, seed=k, dtype=torch.float64), whole(3, 9, seed=k)) for k in range(3)]
    objective = la.Objective(cnn().double(), F.cross_entropy, data, mode="batch_stats")
    found = la.Landscape(objective, la.Plane.random(objective)).descend(
        (0, 0), lr=0.05, steps=1, batch_size="own"
    )
    losses = []
    for x, y in data:
        model = cnn().double().train()
        losses.append(float(F.cross_entropy(model(x), y).detach()))
    assert min(abs(found.loss[0] - loss) for loss in losses) < 1e-12
    assert found.start_loss == pytest.approx(sum(losses) / 3, rel=1e-12)


# Wrong calls.


class Loud(torch.optim.SGD):
    """An optimizer that adds noise to its steps, from the stream that the user's cells draw from."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for parameter in self.param_groups[0]["params"]:
            parameter.data.add_(torch.randn_like(parameter))


class Broken(torch.optim.SGD):
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        raise RuntimeError("no more steps")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"optimizer": "adamm"}, ValueError, "There is no optimizer 'adamm'.*rmsprop"),
        ({"optimizer": 3}, TypeError, "optimizer is a int"),
        ({"optimizer": dict}, TypeError, "optimizer is a dict"),
        ({"optimizer": lambda p: 7}, TypeError, "returned a int"),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=1.0), "momentum": 0.9}, TypeError, "made by a function of yours"),
        ({"optimizer": torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)}, TypeError, "parameters of your own"),
        ({"momentum": -1.0}, ValueError, "SGD cannot be made: Invalid momentum"),
        ({"optimizer": "sparseadam"}, la.EvaluationError, "SparseAdam raised RuntimeError in a step"),
        ({"optimizer": Loud}, ValueError, "draws random numbers"),
        ({"optimizer": "sgd", "beta": 0.9}, TypeError, "SGD cannot be made: .*beta"),
        ({"optimizer": Broken}, la.EvaluationError, "Broken raised RuntimeError in a step: no more steps"),
        ({"lr": 0}, ValueError, "lr is 0. Pass a learning rate"),
        ({"lr": -0.1}, ValueError, "lr is -0.1"),
        ({"lr": math.nan}, ValueError, "lr is nan"),
        ({"lr": "fast"}, ValueError, "lr is 'fast'"),
        ({"steps": 0}, ValueError, "steps is 0. Pass a whole number of at least 1"),
        ({"steps": 1.5}, ValueError, "steps is 1.5"),
        ({"every": 0}, ValueError, "every is 0"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"at": (math.inf, 0)}, ValueError, r"at is \(inf, 0\). Pass finite coordinates"),
        ({"at": (math.nan, 0)}, ValueError, "Pass finite coordinates"),
        ({"at": (1.7e308, 1.7e308)}, ValueError, "where θ is not finite"),
        ({"at": (1.7e308, 1.7e308), "confined": True}, ValueError, "where θ is not finite"),
        ({"at": (1,)}, ValueError, "Pass a point of the plane"),
        ({"at": torch.ones(5)}, ValueError, "Pass a vector of length P = 6"),
        ({"at": torch.full((6,), math.nan)}, ValueError, "at holds values that are not finite"),
        ({"at": torch.ones(6), "confined": True}, ValueError, "confined=True starts in the slice"),
        ({"batch_size": 4}, ValueError, "batch_size is 4. Pass a whole number from 1 to 1"),
        ({"schedule": "warmup"}, ValueError, "schedule is 'warmup'"),
        ({"schedule": lambda k: -1.0}, ValueError, "The schedule gave -1.0 at step 0"),
        ({"schedule": lambda k: 1.0 if k < 3 else math.nan}, ValueError, "The schedule gave nan at step 3"),
        ({"schedule": lambda k: 1 / k}, ValueError, "The schedule raised ZeroDivisionError at step 0"),
        ({"optimizer": "lbfgs", "schedule": "cosine"}, ValueError, "LBFGS asks for several losses a step"),
        ({"steps": 10**8}, ValueError, "more than 537 MB. Pass every=, 9"),
    ],
)  # fmt: skip
def test_a_wrong_call_says_what_to_do(options: dict[str, Any], error: type[Exception], words: str) -> None:
    landscape, options = quadratic(), dict(options)
    state = torch.get_rng_state()
    with pytest.raises(error, match=words):
        landscape.descend(options.pop("at", AT), **options)
    assert torch.equal(state, torch.get_rng_state())


def test_a_ball_whose_every_was_asked_for_fits() -> None:
    with pytest.raises(ValueError, match=r"every=, (\d+) at least") as caught:
        quadratic().descend(AT, steps=10**8)
    every = int(str(caught.value).split("every=, ")[1].split()[0])
    Drop(quadratic().objective, quadratic().plane, AT, steps=10**8, every=every + 1)


@pytest.mark.parametrize("mode", ["batch_stats", "reestimated"])
def test_a_ball_goes_down_the_loss_of_the_objectives_own_mode(mode: Any) -> None:
    data = [(normal(9, 1, 8, 8, seed=k, dtype=torch.float64), whole(3, 9, seed=k)) for k in range(3)]
    objective = la.Objective(cnn().double(), F.cross_entropy, data, mode=mode)
    found = la.Landscape(objective, la.Plane.random(objective)).descend((0, 0), lr=0.05, steps=6)
    x = objective.theta
    for k in range(7):
        torch.testing.assert_close(found.trajectory.thetas[k], x, rtol=1e-10, atol=1e-12)
        assert found.loss[k] == pytest.approx(objective.value(x), rel=1e-10)
        x = x - 0.05 * objective.gradient(x)


def test_a_ball_rolls_on_a_difference_of_two_losses() -> None:
    first, second = quadratic(), hessian(seed=5)
    other = la.Objective.from_function(lambda t: 0.1 * t @ second @ t, first.objective.theta)
    difference = first - la.Landscape(other, first.plane)
    found = difference.descend(AT, lr=0.1, steps=5)
    x = first.plane.at(*AT)
    for k in range(6):
        torch.testing.assert_close(found.trajectory.thetas[k], x, rtol=1e-10, atol=1e-12)
        x = x - 0.1 * (hessian() - 0.2 * second) @ x
    with pytest.raises(ValueError, match="difference of two objectives"):
        difference.descend(AT, batch_size="own")


def test_a_model_that_raises_on_the_way_says_where_and_what_was_known_is_kept() -> None:
    def loss(output: Tensor, y: Tensor) -> Tensor:
        if float(output.detach().abs().max()) > 1e3:
            raise RuntimeError("too far")
        return F.cross_entropy(output, y)

    model = nn.Linear(6, 3).double()
    objective = la.Objective(model, loss, classification(20, dtype=torch.float64))
    drop = Drop(objective, la.Plane.random(objective), lr=1e5, steps=10)
    with pytest.raises(la.EvaluationError, match="raised RuntimeError.*too far"):
        jobs.call(drop.run())
    found = drop.descent()
    assert not found.finished
    assert len(found.kept) == found.steps >= 1


def test_a_ball_in_float32_stays_beside_the_one_in_float64() -> None:
    landscape = net(torch.float32)
    found = landscape.descend(AT, "adam", steps=5)
    assert found.trajectory.dtype == torch.float32
    assert found.points.dtype == found.slopes.dtype == np.float64
    wide = la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(60), dtype=torch.float64)
    exact = la.Landscape(wide, la.Plane.random(wide)).descend(AT, "adam", steps=5)
    np.testing.assert_allclose(found.loss, exact.loss, rtol=1e-4)
