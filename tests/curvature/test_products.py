"""Products with the Hessian: closed forms, laws, and the forms that they are taken by."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from lossatlas.curvature.attention import WrittenOut, attention
from lossatlas.curvature.products import Products
from lossatlas.curvature.ways import DIFFERENCES
from tests.zoo import F, classification, cnn, mlp, normal, seeded

KEPT = "double backward, graph kept"
ANEW = "double backward, graph made anew"


def regression() -> tuple[la.Objective, Tensor]:
    """Linear regression, whose Hessian is (2 / nk) I ⊗ XᵀX everywhere."""
    with seeded(0):
        model = nn.Linear(5, 3, bias=False).double()
    x, y = normal(40, 5, dtype=torch.float64), normal(40, 3, seed=1, dtype=torch.float64)
    exact = 2.0 / (40 * 3) * torch.block_diag(*[x.T @ x] * 3)
    return la.Objective(model, nn.MSELoss(), (x, y)), exact


def test_linear_regression_has_the_hessian_of_its_closed_form() -> None:
    objective, exact = regression()
    v = normal(15, dtype=torch.float64)
    torch.testing.assert_close(objective.hvp(objective.theta, v), exact @ v, rtol=1e-12, atol=1e-14)
    several = normal(15, 4, seed=2, dtype=torch.float64)
    torch.testing.assert_close(
        objective.hvp(objective.theta, several), exact @ several, rtol=1e-12, atol=1e-14
    )


def test_logistic_regression_has_the_hessian_of_its_closed_form() -> None:
    x, y = normal(50, 4, dtype=torch.float64), (normal(50, seed=3) > 0).double()
    model = nn.Sequential(nn.Linear(4, 1, bias=False), nn.Flatten(0)).double()
    objective = la.Objective(model, F.binary_cross_entropy_with_logits, (x, y))
    chance = torch.sigmoid(x @ objective.theta)
    exact = x.T @ ((chance * (1 - chance))[:, None] * x) / 50
    v = normal(4, seed=5, dtype=torch.float64)
    torch.testing.assert_close(objective.hvp(objective.theta, v), exact @ v, rtol=1e-11, atol=1e-14)


def small(**options: object) -> la.Objective:
    with seeded(1):
        model = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3)).double()
    x, y = classification(60, 6)
    return la.Objective(model, F.cross_entropy, (x.double(), y), **options)  # type: ignore[arg-type]


def test_a_product_is_symmetric_and_linear() -> None:
    objective = small()
    hessian = Products(objective, objective.theta)
    x, y = normal(objective.size, dtype=torch.float64), normal(objective.size, seed=1, dtype=torch.float64)
    of_x, of_y = jobs.call(hessian.times(x)), jobs.call(hessian.times(y))
    assert float(x @ of_y) == pytest.approx(float(y @ of_x), rel=1e-12)
    torch.testing.assert_close(
        jobs.call(hessian.times(2 * x - 3 * y)), 2 * of_x - 3 * of_y, rtol=1e-10, atol=1e-12
    )
    assert (hessian.form, hessian.products) == (KEPT, 3)


def test_shifting_all_logits_changes_nothing() -> None:
    objective = small()
    v = torch.zeros_like(objective.theta)
    objective.parameters["2.bias"].of(v).fill_(1.0)
    assert float(objective.hvp(objective.theta, v).norm()) < 1e-14


def test_rescaling_neighbouring_layers_of_a_relu_net_turns_the_gradient() -> None:
    """L(e^t W₁, e^{−t} W₂) = L, differentiated twice: H Jθ = −J g."""
    with seeded(2):
        model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    x, y = classification(40, 5)
    objective = la.Objective(model, F.cross_entropy, (x.double(), y))
    signs = torch.zeros_like(objective.theta)
    for name, sign in (("0.weight", 1.0), ("0.bias", 1.0), ("2.weight", -1.0)):
        objective.parameters[name].of(signs).fill_(sign)
    theta = objective.theta
    gradient = objective.gradient(theta)
    torch.testing.assert_close(objective.hvp(theta, signs * theta), -signs * gradient, rtol=1e-9, atol=1e-12)


def test_kept_graphs_those_made_anew_and_differences_agree() -> None:
    objective = small(weight_decay=0.1)
    v = normal(objective.size, dtype=torch.float64)
    kept = Products(objective, objective.theta)
    anew = Products(objective, objective.theta, budget=0)
    expected = jobs.call(kept.times(v))
    torch.testing.assert_close(jobs.call(anew.times(v)), expected, rtol=1e-12, atol=1e-14)
    assert (kept.form, anew.form) == (KEPT, ANEW)
    differences = Products(objective, objective.theta)
    differences.form = DIFFERENCES
    torch.testing.assert_close(jobs.call(differences.times(v)), expected, rtol=1e-6, atol=1e-8)


def test_weight_decay_adds_its_own_multiple_of_v() -> None:
    plain, decayed = small(), small(weight_decay=0.25)
    v = normal(plain.size, dtype=torch.float64)
    expected = plain.hvp(plain.theta, v) + 0.25 * v
    torch.testing.assert_close(decayed.hvp(decayed.theta, v), expected, rtol=1e-12, atol=1e-14)


def test_uneven_batches_weigh_by_their_samples() -> None:
    x, y = classification(61, 6)
    whole, cut = (
        small().on((x.double(), y)),
        small().on([(x[:50].double(), y[:50]), (x[50:].double(), y[50:])]),
    )
    v = normal(whole.size, dtype=torch.float64)
    torch.testing.assert_close(whole.hvp(whole.theta, v), cut.hvp(cut.theta, v), rtol=1e-11, atol=1e-13)


def test_single_precision_agrees_with_double_to_its_rounding() -> None:
    model, (x, y) = mlp(6, 12, 3), classification(80, 6)
    single = la.Objective(model, F.cross_entropy, (x, y))
    double = la.Objective(model, F.cross_entropy, (x.double(), y), dtype=torch.float64)
    v = normal(single.size)
    exact = double.hvp(double.theta, v)
    assert float((single.hvp(single.theta, v) - exact).norm()) <= 1e-4 * float(exact.norm())


@pytest.mark.parametrize("masked", [False, True])
def test_fused_attention_is_written_out_and_exact(masked: bool) -> None:
    with seeded(0):
        layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).double()
    x, y = normal(6, 5, 4, dtype=torch.float64), normal(6, 5, 4, seed=1, dtype=torch.float64)

    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(5).double()
            return self.layer(x, src_mask=mask, is_causal=True) if masked else self.layer(x)

    objective = la.Objective(Causal(), F.mse_loss, (x, y))
    v = normal(objective.size, dtype=torch.float64)
    fused = Products(objective, objective.theta)
    found = jobs.call(fused.times(v))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        other = la.Objective(Causal(), F.mse_loss, (x, y))
        plain = Products(other, other.theta)
        exact = jobs.call(plain.times(v))
    assert plain.form == KEPT
    assert fused.form == "double backward with attention written out, graph kept"
    torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    "options", [{}, {"is_causal": True}, {"scale": 0.3}, {"mask": "bool"}, {"mask": "float"}, {"gqa": True}]
)
def test_attention_written_out_is_torchs_own(options: dict[str, Any]) -> None:
    q, k, v = (
        normal(2, heads, n, 8, seed=seed)
        for seed, (heads, n) in enumerate(
            [(4, 5), (2 if "gqa" in options else 4, 7), (2 if "gqa" in options else 4, 7)]
        )
    )
    given: dict[str, Any] = {name: value for name, value in options.items() if name in ("is_causal", "scale")}
    if options.get("mask") == "bool":
        given["attn_mask"] = normal(5, 7, seed=9) > -0.5
    elif options.get("mask"):
        given["attn_mask"] = normal(5, 7, seed=9)
    if options.get("gqa"):
        given["enable_gqa"] = True
    torch.testing.assert_close(attention(q, k, v, **given), F.scaled_dot_product_attention(q, k, v, **given))
    with WrittenOut():
        torch.testing.assert_close(
            F.scaled_dot_product_attention(q, k, v, **given), attention(q, k, v, **given)
        )


class Once(torch.autograd.Function):
    """x³, whose backward pass cannot be differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * slope


class Cut(Once):
    """The same with a backward pass that forgets to be differentiated, and so gives a wrong second derivative."""

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * slope


@pytest.mark.parametrize("cube", [Once, Cut])
def test_what_has_no_second_derivative_or_a_wrong_one_is_measured_by_differences(cube: Any) -> None:
    theta = normal(6, dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: cube.apply(t).square().sum(), theta)
    hessian = Products(objective, theta)
    found = jobs.call(hessian.times(torch.ones_like(theta)))
    assert hessian.form == DIFFERENCES
    assert hessian.check is not None  # autograd says 0 without a word: it is the comparison that tells
    assert hessian.check > 0.1
    torch.testing.assert_close(found, 30 * theta**4, rtol=1e-5, atol=1e-8)


def test_a_product_is_compared_with_differences_once_per_objective() -> None:
    objective = small()
    hessian = Products(objective, objective.theta)
    jobs.call(hessian.times(objective.theta))
    assert hessian.check is not None
    assert hessian.check < 1e-6
    ways = [value for key, value in objective.kept.items() if key[0] == "way"]
    jobs.call(Products(objective, 2 * objective.theta).times(objective.theta))
    assert [value for key, value in objective.kept.items() if key[0] == "way"] == ways


def test_gauss_newton_is_the_hessian_of_what_is_linear_in_its_parameters() -> None:
    x, y = classification(60, 6)
    with seeded(1):
        model = nn.Linear(6, 3).double()
    objective = la.Objective(
        model, F.cross_entropy, [(x[:25].double(), y[:25]), (x[25:].double(), y[25:])], weight_decay=0.1
    )
    v = normal(objective.size, dtype=torch.float64)
    gauss_newton = Products(objective, objective.theta, "gauss_newton")
    torch.testing.assert_close(
        jobs.call(gauss_newton.times(v)), objective.hvp(objective.theta, v), rtol=1e-10, atol=1e-13
    )


def dense_jacobian(objective: la.Objective, model: nn.Module, x: Tensor) -> Tensor:
    """(n, K, P) of the outputs."""

    def output(theta: Tensor) -> Tensor:
        return torch.func.functional_call(model, objective.parameters.unflatten(theta), (x,))

    return torch.func.jacrev(output)(objective.theta)


def test_gauss_newton_and_fisher_are_those_of_the_whole_jacobian() -> None:
    with seeded(1):
        model = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3)).double()
    x, y = classification(61, 6)
    x = x.double()
    objective = la.Objective(model, F.cross_entropy, [(x[:40], y[:40]), (x[40:], y[40:])])
    jacobian = dense_jacobian(objective, model, x).detach()
    p = torch.softmax(model(x), dim=1).detach()
    of_loss = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    gauss_newton = torch.einsum("nkp,nkl,nlq->pq", jacobian, of_loss, jacobian) / 61
    slopes = torch.einsum("nkp,nk->np", jacobian, p - F.one_hot(y, 3))
    v = normal(objective.size, dtype=torch.float64)
    for name, exact in (("gauss_newton", gauss_newton), ("fisher", slopes.T @ slopes / 61)):
        for budget in (0, 1 << 30):
            products = Products(objective, objective.theta, name, budget=budget)  # type: ignore[arg-type]
            torch.testing.assert_close(jobs.call(products.times(v)), exact @ v, rtol=1e-9, atol=1e-13)
            assert products.form == (KEPT if budget else ANEW)


def test_a_matrix_that_there_is_not_is_refused_in_words() -> None:
    objective, theta = small(), small().theta
    with pytest.raises(ValueError, match="matrix is 'hesian'. Pass 'hessian', 'gauss_newton', 'fisher'"):
        Products(objective, theta, "hesian")  # type: ignore[arg-type]
    plain = la.Objective.from_function(lambda t: t.square().sum(), theta)
    with pytest.raises(ValueError, match="needs the model's output apart from the loss"):
        Products(plain, theta, "gauss_newton")
    x, y = classification(60, 6)
    weighted = la.Objective(
        nn.Linear(6, 3), nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0])), (x, y)
    )
    with pytest.raises(ValueError, match="needs a loss that is the mean over samples"):
        Products(weighted, weighted.theta, "fisher")


def test_a_restriction_to_layers_is_a_block_of_the_whole() -> None:
    objective = small(weight_decay=0.1)
    block = Products(objective, objective.theta, layers="2")
    assert block.size == 30
    v = normal(30, dtype=torch.float64)
    found = block.embedded(jobs.call(block.times(v)))
    whole = objective.hvp(objective.theta, block.embedded(v))
    torch.testing.assert_close(found[63:], whole[63:], rtol=1e-10, atol=1e-13)
    assert found[:63].count_nonzero() == 0
    with pytest.raises(ValueError, match="No parameter matches 'layer2'"):
        Products(objective, objective.theta, layers="layer2")


def test_samples_are_a_share_of_the_data_drawn_by_seed() -> None:
    objective = small()
    v = normal(objective.size, dtype=torch.float64)
    every = Products(objective, objective.theta, samples=60)
    torch.testing.assert_close(
        jobs.call(every.times(v)), objective.hvp(objective.theta, v), rtol=1e-10, atol=1e-13
    )
    first, again, other = (Products(objective, objective.theta, samples=20, seed=seed) for seed in (0, 0, 1))
    found = [jobs.call(products.times(v)) for products in (first, again, other)]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
    with pytest.raises(ValueError, match="samples is 61. Pass a whole number from 1 to 60"):
        Products(objective, objective.theta, samples=61)


def test_a_product_has_the_same_bits_however_threads_share_it() -> None:
    x, y = classification(700, 6)
    objective = small().on((x.double(), y))
    v = normal(objective.size, dtype=torch.float64)
    found = [
        jobs.call(Products(objective, objective.theta, budget=budget).times(v))
        for budget in (0, 0, 1 << 30, 1 << 30)
    ]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[2], found[3])


def test_batch_statistics_have_a_hessian_and_their_rescaling_has_its_symmetry() -> None:
    """In front of batch norm the loss does not depend on the weight's length: H (w, 0) = (−g_w, 0)."""
    with seeded(3):
        model = nn.Sequential(
            nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8, eps=1e-14), nn.Tanh(), nn.Linear(8, 3)
        ).double()
    x, y = classification(40, 6)
    objective = la.Objective(model, F.cross_entropy, [(x.double(), y)], mode="batch_stats")
    theta = objective.theta
    weight = torch.zeros_like(theta)
    entry = objective.parameters["0.weight"]
    entry.of(weight).copy_(entry.of(theta))
    expected = torch.zeros_like(theta)
    entry.of(expected).copy_(-entry.of(objective.gradient(theta)))
    found = objective.hvp(theta, weight)
    torch.testing.assert_close(entry.of(found), entry.of(expected), rtol=1e-7, atol=1e-9)


def test_convolutions_have_the_products_of_autograds_own_hessian() -> None:
    model, (_, y) = cnn().double().eval(), classification(12, 6)
    pictures = normal(12, 1, 8, 8, dtype=torch.float64)
    objective = la.Objective(model, F.cross_entropy, (pictures, y))
    parts = [p.detach().clone().requires_grad_(True) for p in model.parameters()]
    names = [name for name, _ in model.named_parameters()]
    loss = F.cross_entropy(
        torch.func.functional_call(model, dict(zip(names, parts, strict=True)), pictures), y
    )
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, parts, create_graph=True)])
    v = normal(objective.size, dtype=torch.float64)
    expected = torch.cat([h.reshape(-1) for h in torch.autograd.grad(gradient @ v, parts)])
    torch.testing.assert_close(objective.hvp(objective.theta, v), expected, rtol=1e-9, atol=1e-12)


def test_a_function_of_theta_has_products_too() -> None:
    objective = la.Objective.from_function(
        lambda t: 0.5 * (t[0] * t[1] - 1.0) ** 2, torch.tensor([2.0, 3.0]).double()
    )
    a, b = 2.0, 3.0
    exact = torch.tensor([[b * b, 2 * a * b - 1.0], [2 * a * b - 1.0, a * a]]).double()
    torch.testing.assert_close(objective.hvp(objective.theta, torch.eye(2).double()), exact)


def test_a_loss_that_is_linear_has_a_zero_hessian() -> None:
    objective = la.Objective.from_function(lambda t: t.sum(), torch.zeros(4).double())
    assert objective.hvp(objective.theta, torch.ones(4).double()).tolist() == [0.0] * 4


def test_what_has_no_hessian_or_another_shape_is_said() -> None:
    objective = small()
    with pytest.raises(ValueError, match=r"v has shape \(3,\). Pass a vector of length P = "):
        objective.hvp(objective.theta, torch.ones(3))
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    estimated = la.Objective(model, F.cross_entropy, classification(40, 6), mode="reestimated")
    with pytest.raises(ValueError, match="no Hessian of a loss whose running statistics are estimated anew"):
        estimated.hvp(estimated.theta, estimated.theta)
