"""Sharpness: closed forms on quadratics and at minima, invariances, honest errors, and comparison on equal terms."""

from __future__ import annotations

import itertools
import math
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lossatlas as la
from lossatlas import jobs
from lossatlas.curvature.sharpness import _Options, _table
from tests.zoo import F, classification, cnn, counting, flat, mlp, normal

pytestmark = pytest.mark.statistics

# Student's t of 7 degrees of freedom: so many standard errors of 8 probes hold in 95 %.
T7 = 2.365

NAMES = [
    "λmax", "trace", "SAM, one step", "SAM, maximum", "adaptive SAM, one step", "adaptive SAM, maximum", "mean perturbation",
    "relative mean perturbation",
]  # fmt: skip


def symmetric(values: list[float], seed: int = 0) -> Tensor:
    q = torch.linalg.qr(normal(len(values), len(values), seed=seed, dtype=torch.float64)).Q
    return q @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ q.T


def bowl(a: Tensor, centre: Tensor | None = None) -> la.Objective:
    """½ (θ − c)ᵀ A (θ − c), at θ = c."""
    c = torch.zeros(len(a), dtype=a.dtype) if centre is None else centre
    return la.Objective.from_function(lambda t: 0.5 * (t - c) @ (a @ (t - c)), c)


def highest(a: Tensor, g: Tensor, radius: float) -> float:
    """max gᵀe + ½ eᵀAe over ‖e‖ ≤ ρ: on the sphere e = (μ − A)⁻¹ g with μ ≥ λmax, found by bisection."""
    values, vectors = torch.linalg.eigh(a)
    slopes = vectors.T @ g
    low, high = float(values[-1]), float(values[-1]) + float(g.norm()) / radius
    for _ in range(200):
        middle = 0.5 * (low + high)
        far = float((slopes / (middle - values)).norm()) > radius
        low, high = (middle, high) if far else (low, middle)
    e = vectors @ (slopes / (high - values))
    return float(g @ e + 0.5 * e @ (a @ e))


VALUES = [5.0, 3.0, 1.0, 0.5, 0.1, 0.0, -0.5, -4.0]


def test_at_a_critical_point_of_a_quadratic_every_number_has_its_closed_form() -> None:
    a, centre = symmetric([9.0, 4.0, 2.0, 1.0, 0.5, 0.0]), normal(6, seed=4, dtype=torch.float64)
    t = torch.diag(centre.abs())
    found = la.sharpness(bowl(a, centre), radius=0.1, adaptive_radius=0.3, sigma=0.2, adaptive_sigma=0.4)
    assert [row.name for row in found.rows] == NAMES
    assert found["λmax"].value == pytest.approx(9.0)
    assert found["trace"].value == pytest.approx(16.5)
    assert found["SAM, maximum"].value == pytest.approx(0.5 * 0.1**2 * 9.0, rel=1e-9)
    top = float(torch.linalg.eigvalsh(t @ a @ t)[-1])
    assert found["adaptive SAM, maximum"].value == pytest.approx(0.5 * 0.3**2 * top, rel=1e-6)
    for name, truth in (
        ("mean perturbation", 0.5 * 0.2**2 * 16.5),
        ("relative mean perturbation", 0.5 * 0.4**2 * float((t @ a @ t).trace())),
    ):
        row = found[name]
        assert 0 < row.error < truth
        assert abs(row.value - truth) <= 4 * row.error
    assert {row.name for row in found.rows if row.error == 0} == set(NAMES[:6])


@pytest.mark.parametrize("radius", [0.01, 0.3, 5.0])
def test_away_from_a_critical_point_the_step_and_the_maximum_are_those_of_the_quadratic(
    radius: float,
) -> None:
    a, theta = symmetric(VALUES), normal(8, seed=2, dtype=torch.float64)
    objective, g = bowl(a), a @ theta
    found = la.sharpness(objective, theta, radius=radius, adaptive_radius=radius, steps=200)
    unit = g / g.norm()
    one = radius * float(g.norm()) + 0.5 * radius**2 * float(unit @ a @ unit)
    assert found["SAM, one step"].value == pytest.approx(one, rel=1e-9)
    assert found["SAM, maximum"].value == pytest.approx(highest(a, g, radius), rel=1e-6)
    t = torch.diag(theta.abs())
    step = radius * (t @ t @ g) / (t @ g).norm()  # equation 10 of Kwon et al. 2021
    assert found["adaptive SAM, one step"].value == pytest.approx(
        float(g @ step + 0.5 * step @ a @ step), rel=1e-9
    )
    assert found["adaptive SAM, maximum"].value == pytest.approx(highest(t @ a @ t, t @ g, radius), rel=1e-6)
    assert found.gradient_norm == pytest.approx(float(g.norm()))
    assert found["SAM, maximum"].value >= found["SAM, one step"].value


def test_a_maximum_inside_the_ball_is_found() -> None:
    hill = la.Objective.from_function(lambda t: -((t - 0.01) ** 2).sum(), torch.zeros(3).double())
    found = la.sharpness(hill, radius=0.1)
    # A climb ends where steps are 1e-3 of the radius: within the square of that of the summit, seen from its foot.
    assert found["SAM, maximum"].value == pytest.approx(3e-4, abs=1e-6 * 0.1**2)
    assert found["SAM, one step"].value < 0  # the step goes too far, and is what it is
    summit = la.sharpness(hill, torch.full((3,), 0.01).double(), radius=0.1)
    assert summit["SAM, maximum"].value == pytest.approx(0.0, abs=1e-15)  # the point itself lies in its ball


def minimum() -> tuple[la.Objective, Tensor]:
    """A small net with weight decay at a minimum: training by torch, then Newton's method to rounding."""
    model = mlp(3, 4, 2, dtype=torch.float64, seed=1)
    x, y = classification(40, 3, classes=2, dtype=torch.float64)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) + 0.5 * 0.02 * sum(p.square().sum() for p in model.parameters())
        loss.backward()
        return loss

    optimizer.step(closure)
    objective = la.Objective(model, F.cross_entropy, (x, y), weight_decay=0.02)
    theta = flat(model)
    for _ in range(6):
        h = objective.hvp(theta, torch.eye(objective.size, dtype=torch.float64))
        theta = theta - torch.linalg.solve(h, objective.gradient(theta))
    return objective, theta


def test_at_a_trained_minimum_the_maximum_is_half_rho_squared_lambda_and_a_third_order() -> None:
    objective, theta = minimum()
    assert float(objective.gradient(theta).norm()) < 1e-12
    apart = []
    for radius in (0.04, 0.02, 0.01):
        found = la.sharpness(objective, theta, radius=radius, probes=2)
        apart.append(found["SAM, maximum"].value - 0.5 * radius**2 * found["λmax"].value)
        assert abs(apart[-1]) < 0.1 * 0.5 * radius**2 * found["λmax"].value
    for wide, narrow in itertools.pairwise(apart):
        assert 6 < wide / narrow < 10  # ρ³: 8 for half the radius


def test_the_mean_perturbation_of_a_net_is_half_sigma_squared_trace_at_any_point() -> None:
    model = mlp(4, 6, 3, dtype=torch.float64)
    objective = la.Objective(model, F.cross_entropy, classification(50, 4, dtype=torch.float64))
    assert float(objective.gradient(objective.theta).norm()) > 0.1  # its first order is gone from each pair
    trace = objective.spectrum().trace
    for sigma in (1e-2, 1e-3):
        row = la.sharpness(objective, sigma=sigma, probes=400, steps=0)["mean perturbation"]
        assert abs(row.value - 0.5 * sigma**2 * trace) <= 4 * row.error
        assert row.error < 0.1 * row.value
    slope = la.Objective.from_function(lambda t: t.sum(), torch.zeros(5).double())
    flat_row = la.sharpness(slope, sigma=1.0)["mean perturbation"]
    assert abs(flat_row.value) < 1e-14
    assert flat_row.error < 1e-14


def test_the_errors_of_the_random_numbers_hold_over_seeds() -> None:
    a = symmetric([0.1 * index for index in range(20)])
    objective = bowl(a, normal(20, seed=1, dtype=torch.float64))
    held = 0
    for seed in range(200):
        row = la.sharpness(objective, probes=8, steps=0, seed=seed, sigma=0.1)["mean perturbation"]
        held += abs(row.value - 0.5 * 0.1**2 * float(a.trace())) <= T7 * row.error
    assert 180 <= held <= 199


def test_a_large_models_trace_is_estimated_with_its_error() -> None:
    entries = torch.linspace(0, 1, 2600).double()
    mixed = la.Objective.from_function(
        lambda t: 0.5 * (entries * t * t).sum() + 0.5 * (t[1:] * t[:-1]).sum(), torch.zeros(2600).double()
    )
    found = la.sharpness(mixed, steps=2, probes=16)
    truth = float(entries.sum())
    assert found["trace"].error > 0
    assert abs(found["trace"].value - truth) <= 4 * found["trace"].error
    assert 0 < found["λmax"].error < 2e-3 * found["λmax"].value
    # ½ E zᵀ H z by 2 (‖H‖_F² − Σ h_ii²) a probe
    assert found["trace"].error == pytest.approx(math.sqrt(2 * 2 * 2599 * 0.25 / 16), rel=0.6)


def rescaled(model: nn.Sequential, by: float) -> nn.Sequential:
    """The same function of its input: what enters a ReLU times `by`, what leaves it over `by` (Dinh et al. 2017)."""
    other = mlp(4, 6, 3, dtype=torch.float64, act=nn.ReLU)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        other[0].weight.mul_(by)
        other[0].bias.mul_(by)
        other[2].weight.div_(by)
    return other


def test_rescaling_a_relu_net_changes_all_but_the_adaptive_numbers() -> None:
    model = mlp(4, 6, 3, dtype=torch.float64, act=nn.ReLU)
    data = classification(50, 4, dtype=torch.float64)
    found = la.sharpness([la.Objective(one, F.cross_entropy, data) for one in (model, rescaled(model, 5.0))])
    assert found.differences == ()
    for first, second in found.rows:
        if first.name in ("adaptive SAM, one step", "relative mean perturbation"):
            assert second.value == pytest.approx(first.value, rel=1e-9)
        elif first.name == "adaptive SAM, maximum":
            assert second.value == pytest.approx(first.value, rel=1e-6)  # a climb, by its own rounding
        else:
            assert abs(second.value / first.value - 1) > 0.1, first.name
    assert found.columns[0].loss == pytest.approx(found.columns[1].loss, rel=1e-12)


def test_one_step_where_there_is_no_gradient_is_undefined_and_says_so() -> None:
    objective = bowl(
        symmetric([2.0, 1.0, -3.0])
    )  # at 0: every parameter is 0 too, so nothing can move in proportion
    found = la.sharpness(objective)
    for name in ("SAM, one step", "adaptive SAM, one step"):
        assert math.isnan(found[name].value)
        assert found[name].note == "undefined, since the gradient is 0 at this point."
    assert found["SAM, maximum"].value == pytest.approx(0.5 * 0.05**2 * 2.0)
    assert found["adaptive SAM, maximum"].value == 0.0
    assert found["relative mean perturbation"].value == 0.0
    assert "SAM, one step: undefined" in repr(found)
    flat_one = la.sharpness(la.Objective.from_function(lambda t: (t * 0).sum(), torch.ones(3).double()))
    assert flat_one["SAM, maximum"].value == 0.0
    assert flat_one["λmax"].value == 0.0


def test_a_point_without_a_finite_loss_is_a_table_that_says_so() -> None:
    objective = la.Objective.from_function(lambda t: torch.log(t.sum()), torch.ones(3).double())
    for theta, said in ((-torch.ones(3), "nan"), (torch.zeros(3), "-inf")):
        found = la.sharpness(objective, theta)
        assert all(math.isnan(row.value) for row in found.rows)
        assert all(row.note == f"the loss at this point is {said}." for row in found.rows)


def test_what_is_not_finite_around_a_point_is_said_and_the_rest_is_measured() -> None:
    edge = la.Objective.from_function(lambda t: (t**0.5).sum(), torch.ones(4).double())
    found = la.sharpness(edge, torch.zeros(4))
    assert math.isnan(found["λmax"].value)
    assert "Hessian is not finite at this point" in found["λmax"].note
    assert found["SAM, one step"].note == "undefined, since the gradient is not finite at this point."
    assert "the loss is not a number at" in found["SAM, maximum"].note
    assert "the loss is not finite at 32 of 32 pairs" in found["mean perturbation"].note
    wall = la.Objective.from_function(
        lambda t: torch.where(t[0] > 0.01, torch.inf, t.sum()), torch.zeros(2).double()
    )
    assert la.sharpness(wall)["SAM, maximum"].value == math.inf


def test_a_loss_without_a_hessian_has_the_other_numbers() -> None:
    x, y = normal(24, 1, 8, 8), torch.arange(24) % 3
    objective = la.Objective(cnn(), F.cross_entropy, [(x[:12], y[:12]), (x[12:], y[12:])], mode="reestimated")
    found = la.sharpness(objective, probes=2, steps=3)
    assert math.isnan(found["λmax"].value)
    assert "There is no Hessian of a loss whose running statistics" in found["λmax"].note
    for name in NAMES[2:]:
        assert math.isfinite(found[name].value)
    assert found["SAM, maximum"].value >= found["SAM, one step"].value > 0


def test_a_radius_below_what_the_precision_resolves_is_said() -> None:
    model = mlp(4, 6, 3)
    objective = la.Objective(model, F.cross_entropy, classification(50, 4))
    tiny = la.sharpness(objective, radius=1e-8, probes=2, steps=2)["SAM, one step"]
    assert "no more than float32 resolves of this loss" in tiny.note
    assert la.sharpness(objective, probes=2, steps=2)["SAM, one step"].note == ""


def test_every_row_says_its_definition_radius_data_and_limits_and_the_model_stays_as_it_was() -> None:
    model = mlp(4, 6, 3)
    before = flat(model)
    objective = la.Objective(model, F.cross_entropy, classification(50, 4))
    found = la.sharpness(objective, probes=4, steps=2, radius=0.125)
    for row in found.rows:
        assert row.definition
        assert row.not_invariant_to
        assert row.data == "50 of 50 samples"
    assert [row.radius for row in found.rows] == [None, None, 0.125, 0.125, 0.5, 0.5, 0.01, 0.05]
    assert torch.equal(flat(model), before)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    text = repr(found)
    assert text.splitlines()[0].startswith("Sharpness · Sequential · 51 parameters · loss ")
    assert all(name in text for name in NAMES)
    again = la.sharpness(objective, probes=4, steps=2, radius=0.125)
    assert again.rows == found.rows
    assert la.sharpness(objective, probes=4, steps=2, seed=1).rows[6] != found.rows[6]
    with pytest.raises(KeyError, match="There is no row 'sam'. There are λmax, trace"):
        found["sam"]


class _Reader(HTMLParser):
    """The tags that are open, and the cells of each row."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.seen.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_the_table_in_a_page_is_well_formed_and_escapes_every_name() -> None:
    class Net(nn.Linear):
        pass

    Net.__name__ = "<img src=x onerror=alert(1)>"
    net = Net(4, 3)
    objective = la.Objective(net, F.cross_entropy, classification(20, 4))
    alone = la.sharpness(objective, probes=2, steps=1)
    both = la.sharpness({"<b>a": objective, "b&": objective}, probes=2, steps=1)
    for table, columns in ((alone, 6), (both, 7)):
        reader = _Reader()
        reader.feed(table._repr_html_())
        assert reader.open == []
        assert set(reader.seen) == {"div", "table", "thead", "tbody", "tr", "th", "td"}
        assert len(reader.rows) == 9
        assert {len(row) for row in reader.rows} == {columns}
        assert "color" not in table._repr_html_()  # of the page, light or dark
        assert [row[0] for row in reader.rows[1:]] == NAMES
    assert reader.rows[0][1:3] == ["<b>a", "b&"]


def test_two_models_on_equal_terms_have_a_column_each() -> None:
    data = classification(50, 4, dtype=torch.float64)
    first, second = (mlp(4, 6, 3, dtype=torch.float64, seed=seed) for seed in (0, 1))
    a, b = (la.Objective(one, F.cross_entropy, data) for one in (first, second))
    found = la.sharpness({"small": a, "large": b}, probes=4, steps=3, seed=5)
    assert found.differences == ()
    assert found.names == ("small", "large")
    assert found["large"].rows == la.sharpness(b, probes=4, steps=3, seed=5).rows
    assert "Equal terms" in repr(found)
    at = la.sharpness([a, a], [None, flat(second)], probes=4, steps=3, seed=5)
    assert at.names == ("1", "2")
    assert [row.value for row in at.columns[1].rows] == [row.value for row in found["large"].rows]
    with pytest.raises(KeyError, match="There is no column 'c'. There are 1, 2"):
        at["c"]


def test_terms_that_differ_are_said() -> None:
    x, y = classification(50, 4)
    model = mlp(4, 6, 3)
    base = la.Objective(model, F.cross_entropy, (x, y))

    def said(other: la.Objective) -> str:
        return " ".join(la.sharpness([base, other], probes=2, steps=0).differences)

    batches = [(x[:20], y[:20]), (x[20:], y[20:])]
    assert said(la.Objective(model, F.cross_entropy, batches)) == ""  # the same samples, cut otherwise
    assert said(la.Objective(model, F.cross_entropy, batches, separable=False)) == ""
    loader = DataLoader(TensorDataset(x, y), batch_size=16)
    assert said(la.Objective(model, F.cross_entropy, loader, budget=0)) == ""  # read again in every pass
    assert "The data differ: 50 samples (" in said(base.on((x[:30], y[:30])))
    assert "The data differ" in said(base.on((x.flip(0), y)))
    assert "The loss functions differ" in said(
        la.Objective(model, nn.CrossEntropyLoss(label_smoothing=0.1), (x, y))
    )
    assert (
        said(la.Objective(model, F.cross_entropy, (x, y), weight_decay=0.1))
        == "The weight decay differs: 0, 0.1."
    )
    precise = la.Objective(model, F.cross_entropy, (x, y), dtype=torch.float64)
    assert said(precise) == "The precision differs: float32, float64."
    assert "A function of θ alone has no data" in said(bowl(symmetric([1.0, 2.0])))


def test_objectives_of_one_step_are_on_equal_terms_and_of_two_are_not() -> None:
    x, y = classification(30, 4)

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    def smoothed(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1], label_smoothing=0.1)

    first, second, third = (
        la.Objective.from_step(mlp(4, 6, 3, seed=seed), one, [(x, y)])
        for seed, one in ((0, step), (1, step), (1, smoothed))
    )
    assert la.sharpness([first, second], probes=2, steps=0).differences == ()
    (said,) = la.sharpness([second, third], probes=2, steps=0).differences
    assert said.startswith("The loss functions differ")


def test_a_table_under_way_can_be_cancelled() -> None:
    loss, calls = counting(F.cross_entropy)
    objective = la.Objective(mlp(4, 6, 3), loss, classification(50, 4))
    work = _table(objective, objective.theta, _Options(0.05, 0.5, 0.01, 0.05, 10_000, 20, 0))
    job = jobs.worker.submit(work)
    job.cancel()
    with pytest.raises(jobs.Cancelled):
        job.wait()
    stopped = len(calls)
    objective.value(objective.theta)  # the worker has moved on
    assert len(calls) <= stopped + 2


def test_what_cannot_be_asked_is_said_in_words() -> None:
    objective = bowl(symmetric([2.0, 1.0]))
    for name in ("radius", "adaptive_radius", "sigma", "adaptive_sigma"):
        for wrong in (0, -1.0, math.nan, "wide"):
            with pytest.raises(ValueError, match=rf"^{name} is {wrong!r}. Pass a finite number above 0"):
                la.sharpness(objective, **{name: wrong})  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"probes is 1. Pass a whole number from 2 on"):
        la.sharpness(objective, probes=1)
    with pytest.raises(ValueError, match=r"steps is 1.5. Pass a whole number from 0 on"):
        la.sharpness(objective, steps=1.5)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"theta has shape \(3,\)"):
        la.sharpness(objective, torch.zeros(3))
    with pytest.raises(ValueError, match="theta does not fit 2 objectives"):
        la.sharpness([objective, objective], [None])
    with pytest.raises(ValueError, match="theta does not fit 2 objectives"):
        la.sharpness([objective, objective], torch.zeros(2))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="sharpness got a Linear. Pass an Objective"):
        la.sharpness(nn.Linear(2, 2))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="sharpness got a str"):
        la.sharpness([objective, "b"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="sharpness got no objective"):
        la.sharpness([])
    assert np.isfinite(la.sharpness(objective, objective.theta, steps=0)["trace"].value)
