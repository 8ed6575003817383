"""Previews: nodes on a sample of the data, and standard errors that hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lossatlas as la
from lossatlas import jobs
from lossatlas.objective.subset import PerSample, Subset, subset
from lossatlas.sampling.tile import Pass, Sample
from lossatlas.sampling.uncertainty import standard_errors
from tests.sampling.passes import agreeing
from tests.zoo import F, classification, mlp

pytestmark = pytest.mark.statistics

HOME = la.TileAddress(0, 0, 0)
SAMPLES = 6000


def trained(samples: int = SAMPLES) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """A net that tells most samples well apart and some not at all: its losses have a long tail."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(samples, 6, generator=generator)
    y = (2.0 * x[:, 0] * x[:, 1] + x[:, 2] > 0).long() + (x[:, 3] > 0.5).long()
    model = mlp(6, 24, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, (x, y)


def map_of(data: Any = None, samples: int = SAMPLES, **options: Any) -> la.Landscape:
    model, made = trained(samples)
    objective = la.Objective(model, F.cross_entropy, made if data is None else data, **options)
    return la.Landscape(objective, la.Plane.random(objective, seed=1))


@pytest.mark.parametrize(("quality", "samples"), [(0, 512), (1, 2048)])
def test_a_preview_is_the_mean_over_its_sample(quality: int, samples: int) -> None:
    landscape = map_of(fields=("loss", "accuracy"))
    found = subset(landscape.objective, landscape.objective.spare_replica(), quality)
    assert isinstance(found, Subset)
    x, y = (torch.cat(parts) for parts in zip(*((b.x, b.y) for b in found.batches), strict=True))
    assert len(x) == samples
    fresh = landscape.objective.on((x, y))
    for field in ("loss", "accuracy"):
        tile = landscape.tile(HOME, quality, field=field)
        assert (tile.quality, tile.nodes, int(tile.evaluated.sum())) == (quality, 5, 25)
        exact = la.Landscape(fresh, landscape.plane).grid((0, 1, 0, 1), (5, 5), field=field)
        np.testing.assert_allclose(tile.values[::8, ::8], exact, rtol=1e-6)
        assert tile.error > 2 * (tile.se_level + tile.se_shape) > 0


def test_all_data_carry_no_standard_error_and_know_nothing_of_the_preview() -> None:
    landscape = map_of()
    landscape.tile(HOME, 0)
    assert landscape.evaluated == 0
    tile = landscape.tile(HOME)
    assert (tile.quality, tile.se_level, tile.se_shape) == (2, 0.0, 0.0)
    assert float(tile.values[0, 0]) == landscape.evaluate(0.0, 0.0)


def test_level_and_shape_are_two_errors() -> None:
    """At the origin the shape is known by definition; the level is the same for every tile."""
    landscape = map_of()
    tiles = [landscape.tile(la.TileAddress(2, x, 0), 0) for x in (0, 1, 3)]
    assert len({tile.se_level for tile in tiles}) == 1
    shapes = [tile.se_shape for tile in tiles]
    assert shapes == sorted(shapes)  # the further from the origin, the less the samples have in common
    near = landscape.tile(la.TileAddress(10, 0, 0), 0)
    assert near.se_shape < 2e-2 * near.se_level


def test_two_standard_errors_cover_the_truth_in_nine_of_ten_draws_of_level_and_of_shape() -> None:
    objective = map_of().objective
    plane = la.Plane.random(objective, seed=1)
    losses = []
    for a, b in ((0.0, 0.0), (0.1, 0.05), (0.5, -0.3), (-1.0, 0.8)):
        with objective.replica() as replica:
            plane.write(a, b, replica.buffer)
            reader = PerSample()
            parts = [reader.read(replica, chunk)[0] for chunk in replica.chunks]  # type: ignore[arg-type, attr-defined]
            losses.append(torch.cat(parts)[:, 0].numpy())
    level, *others = losses
    random, seeds = np.random.default_rng(0), 200
    for column in (level, *(other - level for other in others)):
        for count in (512, 2048):
            held, widths = 0, []
            for _ in range(seeds):
                drawn = column[random.permutation(SAMPLES)[:count]]
                (error,) = standard_errors((drawn - drawn.mean())[:, None], SAMPLES)
                held += abs(drawn.mean() - column.mean()) <= 2 * error
                widths.append(error / (drawn.std(ddof=1) * np.sqrt((1 - count / SAMPLES) / count)))
            assert held >= 0.9 * seeds
            assert np.median(widths) < 2.0  # and not by being too wide to say anything


def test_a_whole_preview_covers_the_truth_at_every_node() -> None:
    landscape = map_of()
    exact, preview = (landscape.tile(HOME, quality, tolerance=0.0) for quality in (2, 0))
    away = np.abs(preview.values - exact.values)[preview.evaluated]
    assert away.max() <= 2 * (preview.se_level + preview.se_shape)
    assert np.abs(preview.values - exact.values).max() <= preview.error


def test_samples_that_count_for_nothing_have_no_say_and_no_mean() -> None:
    """Their own mean is that of no target, 0 / 0."""
    _, (x, y) = trained()
    ignored = y.clone()
    ignored[::3] = -100
    landscape = map_of((x, ignored), weight="tokens")
    tile = landscape.tile(HOME, 0)
    kept = landscape.objective.on((x[ignored >= 0], y[ignored >= 0]))
    exact = la.Landscape(kept, landscape.plane).grid((0, 1, 0, 1), (5, 5))
    assert 0 < tile.se_level < 0.1
    assert np.isfinite(tile.error)
    assert np.abs(tile.values[::8, ::8] - exact).max() < 2 * (tile.se_level + tile.se_shape)


def test_on_a_log_scale_a_sample_may_be_off_by_more_towards_zero() -> None:
    flat = np.full((5, 5), 2.0)

    def error_of(level: float) -> float | None:
        sample = Sample(0, "512 of 6000 samples", level, 0.0)
        return agreeing(Pass(HOME, flat, None, 0.0, sample)).error_of_log.value

    assert error_of(0.5) == pytest.approx(math.log(2.0) - math.log(1.0))
    assert error_of(0.999) == pytest.approx(math.log(2.0) - math.log(0.002))
    assert error_of(1.0) is None  # the logarithm of nothing


@pytest.mark.parametrize("rare", [0, 1])
def test_a_sample_that_cannot_tell_says_so(rare: int) -> None:
    """All of the mean rests on one sample in 512, or there is a tail beyond what its moments tell."""
    residuals = np.zeros((512, 1))
    residuals[:rare] = 1000.0
    residuals[5] = np.inf if not rare else 0.0
    with np.errstate(invalid="ignore"):
        assert np.isinf(standard_errors(residuals - residuals.mean(), 60_000)).all()


def test_equal_samples_are_known_without_error() -> None:
    assert standard_errors(np.zeros((512, 2)), 60_000).tolist() == [0.0, 0.0]
    assert standard_errors(np.random.default_rng(0).normal(size=(512, 1)), 512).tolist() == [
        0.0
    ]  # all of them


@pytest.mark.parametrize("options", [{"separable": False}, {"samples": 400}])
def test_where_there_is_no_sample_a_preview_rests_on_all_data(options: dict[str, Any]) -> None:
    tile = map_of(**options).tile(HOME, 0, tolerance=0.5)
    assert (tile.quality, tile.se_level, tile.se_shape) == (2, 0.0, 0.0)


def test_the_report_says_what_previews_rest_on_or_why_there_are_none() -> None:
    assert "previews: on 512 and 2048 of 6000 samples" in map_of().report()
    assert "previews: on 512 of 1000 samples" in map_of(samples=1000).report()
    assert "previews: none, since there are only 400 samples" in map_of(samples=400).report()
    assert "previews: none, since its batches are kept whole and in order" in map_of(separable=False).report()


def test_weight_decay_is_exact_in_a_preview() -> None:
    landscape = map_of(weight_decay=0.1)
    decay, loss, data = (landscape.tile(HOME, 0, field=f) for f in ("weight_decay", "loss", "data_loss"))
    assert decay.se_level == decay.se_shape == 0.0
    exact = landscape.grid((0, 1, 0, 1), (5, 5), field="weight_decay")
    np.testing.assert_allclose(decay.values[::8, ::8], exact, rtol=1e-6)
    np.testing.assert_allclose(loss.values, data.values + decay.values, rtol=1e-9)
    assert loss.se_shape == data.se_shape > 0


def test_a_loader_beyond_its_budget_is_sampled_like_arrays() -> None:
    _, (x, y) = trained()
    loader = DataLoader(TensorDataset(x, y), batch_size=700)
    streamed, resident = (map_of(loader, budget=budget).tile(HOME, 0) for budget in (1000, 1 << 30))
    np.testing.assert_allclose(streamed.values, resident.values, rtol=1e-6)
    assert streamed.quality == resident.quality == 0


def test_where_only_means_are_known_the_error_is_estimated_over_batches_and_covers_the_truth() -> None:
    model, (x, y) = trained(24_000)
    data = list(zip(x.split(40), y.split(40), strict=True))
    objective = la.Objective.from_step(
        model, lambda m, b: {"loss": F.cross_entropy(m(b[0]), b[1]), "weight": len(b[1])}, data
    )
    landscape = la.Landscape(objective, la.Plane.random(objective, seed=1))
    assert "in whole batches, over whose means their error is estimated" in landscape.report()
    exact = landscape.grid((0, 1, 0, 1), (5, 5))
    held = 0
    for quality, batches in ((0, 16), (1, 64)):
        tile = landscape.tile(HOME, quality)
        assert (tile.quality, tile.nodes) == (quality, 5)
        away = np.abs(tile.values[::8, ::8] - exact)
        held += int((away <= 2 * (tile.se_level + tile.se_shape)).sum())
        found = subset(objective, objective.spare_replica(), quality)
        assert isinstance(found, Subset)
        assert (found.size, found.unit) == (batches, "batches")
    assert held >= 0.9 * 50


def test_few_means_have_students_wider_error() -> None:
    """Of 16 normal means the interval reaches as far as Student's t does, and covers as often."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        drawn = random.normal(size=(16, 1))
        (error,) = standard_errors(drawn - drawn.mean(), 10**9)
        held += abs(drawn.mean()) <= 2 * error
    assert 0.93 <= held / 1000 <= 0.98


def test_a_model_that_raises_says_where() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if float(self.inner.weight.detach().abs().max()) > 0.5:
                raise RuntimeError("too far out")
            return self.inner(x)

    torch.manual_seed(0)
    model = Picky()
    with torch.no_grad():
        model.inner.weight.clamp_(-0.3, 0.3)
    objective = la.Objective(model, F.cross_entropy, classification(3000))
    landscape = la.Landscape(objective, la.Plane.random(objective, seed=0))
    with pytest.raises(la.EvaluationError, match="at a = ") as caught:
        landscape.tile(la.TileAddress(-3, 0, 0), 0)
    assert "too far out" in str(caught.value)


def test_previews_are_shown_where_all_data_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jobs.call(map_of(samples=1900).previews()) == ()  # of which 512 are no small share
    monkeypatch.setattr("lossatlas.sampling.preview._WAITED", (60.0, 60.0))
    assert jobs.call(map_of().previews()) == ()  # a first picture on all data is there at once
    monkeypatch.undo()
    x, y = classification(300_000)
    wide = nn.Sequential(nn.Linear(6, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 3))
    objective = la.Objective(wide, F.cross_entropy, (x, y))
    large = la.Landscape(objective, la.Plane.random(objective, seed=0))
    assert [preview.subset.size for preview in jobs.call(large.previews())] == [512, 2048]
