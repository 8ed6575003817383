"""A zoo: small models of every kind that people bring, each with its data and how its loss is written by hand."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from tests.zoo import F, cnn, mlp, normal, seeded, whole

# Nothing here may look for a file on the network.
os.environ["HF_HUB_OFFLINE"] = "1"

D = torch.float64
N = 20  # samples, in batches of 8, 8 and 4


@dataclasses.dataclass(frozen=True)
class Kind:
    """build: the model, the same every time. loss(model, batch): the mean over a batch, written by hand.

    as_pairs: the loss_fn(output, y) of `Objective`, or None where it takes `from_step`.
    """

    build: Callable[[], nn.Module]
    batches: list[Any]
    loss: Callable[[Any, Any], Tensor]
    as_pairs: Callable[[Any, Any], Tensor] | None = None
    size: Callable[[Any], int] = lambda batch: len(batch[1])
    rel: float = 1e-12  # rounding of the dtype

    def step(self, model: nn.Module, batch: Any) -> dict[str, Any]:
        """The same for `from_step`."""
        return {"loss": self.loss(model, batch), "weight": self.size(batch)}

    def objective(self, model: nn.Module) -> la.Objective:
        """What the package makes of it."""
        if self.as_pairs is None:
            return la.Objective.from_step(model, self.step, self.batches)
        return la.Objective(model, self.as_pairs, self.batches)


def pairs(x: Tensor, y: Tensor, loss: Callable[[Any, Any], Tensor] = F.cross_entropy) -> dict[str, Any]:
    """What a kind with plain inputs and targets needs."""
    return {
        "batches": list(zip(x.split(8), y.split(8), strict=True)),
        "loss": lambda model, batch: loss(model(batch[0]), batch[1]),
        "as_pairs": loss,
    }


def of(build: Callable[[], nn.Module], dtype: torch.dtype = D) -> Callable[[], nn.Module]:
    """A layer stack whose random numbers are the same every time."""

    def made() -> nn.Module:
        with seeded(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # old weight norm
            warnings.simplefilter("ignore", DeprecationWarning)
            return build().to(dtype)

    return made


X, Y = normal(N, 6, dtype=D), whole(3, N)
REAL = normal(N, 1, seed=2, dtype=D)
IMAGES = normal(N, 1, 8, 8, dtype=D)
SEQUENCE = normal(N, 5, 6, dtype=D)
WORDS = whole(11, N, 5)


class Then(nn.Module):
    """A layer, what is taken of its output, and a head."""

    def __init__(self, layer: nn.Module, take: Callable[[Any], Tensor], head: nn.Module) -> None:
        super().__init__()
        self.layer, self.take, self.head = layer, take, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.take(self.layer(x)))


def last(output: Any) -> Tensor:
    return output[0][:, -1]


def mean(output: Tensor) -> Tensor:
    return output.mean(1)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.head = nn.Linear(6, 18), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, 2, 3).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.head(mixed.transpose(1, 2).flatten(2).mean(1))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = (
            nn.Conv2d(1, 1, 3, padding=1),
            nn.GroupNorm(1, 1),
            nn.Linear(64, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.second((x + F.gelu(self.norm(self.first(x)))).flatten(1))


class Tied(nn.Module):
    """A language model whose output layer is its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.out = nn.Embedding(11, 6), nn.Linear(6, 6), nn.Linear(6, 11, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.out(torch.tanh(self.mix(self.embed(words)))).transpose(1, 2)


class Twice(nn.Module):
    """A layer that stands under two names, and a weight that two layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second, self.middle.weight = self.first, self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.second(torch.tanh(self.middle(torch.tanh(self.first(x)))))))


class LowRank(nn.Module):
    """A frozen layer and its adapter, as LoRA has them: the trainable subset alone is moved."""

    def __init__(self, inner: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, inner.in_features))
        self.up = nn.Parameter(torch.randn(inner.out_features, rank) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + x @ self.down.T @ self.up.T


class Branching(nn.Module):
    """Data-dependent control flow: as many steps as its input says, and another layer for some."""

    def __init__(self) -> None:
        super().__init__()
        self.step, self.other, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(1 + int(x.abs().sum()) % 3):
            x = torch.tanh(self.step(x)) if x.mean() > 0 else torch.sin(self.other(x))
        return self.head(x)


class Experts(nn.Module):
    """Each sample goes to the expert that its gate picks: some may see none."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(6, 4), nn.ModuleList(nn.Linear(6, 3) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(1)
        chosen = weights.argmax(1)
        output = x.new_zeros(len(x), 3)
        for index, expert in enumerate(self.experts):
            rows = (chosen == index).nonzero()[:, 0]
            output = output.index_add(0, rows, weights[rows, index, None] * expert(x[rows]))
        return output


class Variational(nn.Module):
    """An autoencoder whose noise is part of the data, and whose forward returns the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(6, 4), nn.Linear(2, 6)

    def forward(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        level, log_scale = self.encode(x).chunk(2, dim=1)
        again = self.decode(level + noise * log_scale.exp())
        divergence = 0.5 * (level**2 + (2 * log_scale).exp() - 2 * log_scale - 1).sum(1).mean()
        return {"loss": F.mse_loss(again, x) + 0.1 * divergence, "divergence": divergence}


@dataclasses.dataclass
class Graph:
    """Nodes with edges, and which graph each belongs to."""

    x: Tensor
    edges: Tensor  # (2, E)
    of: Tensor  # (nodes,)
    y: Tensor  # one label per graph


class Convolved(nn.Module):
    """Sums over neighbours, then means over each graph."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, graph: Graph) -> Tensor:
        x = torch.tanh(self.first(graph.x))
        x = x.index_add(0, graph.edges[1], x[graph.edges[0]])
        count = torch.bincount(graph.of, minlength=len(graph.y))[:, None]
        return self.head(x.new_zeros(len(graph.y), 5).index_add(0, graph.of, x) / count)


def graphs(count: int, seed: int) -> Graph:
    """`count` graphs of four nodes each."""
    nodes = 4 * count
    members = torch.arange(nodes) // 4
    to = 4 * members + whole(4, nodes, seed=seed)
    return Graph(
        normal(nodes, 6, seed=seed, dtype=D),
        torch.stack([torch.arange(nodes), to]),
        members,
        whole(3, count, seed=seed),
    )


def physics(model: nn.Module, batch: Tensor) -> Tensor:
    """u'' = −u on the line, by the derivatives of the network."""
    x = batch.clone().requires_grad_(True)
    u = model(x)
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    return ((bend + u) ** 2).mean()


def mixed() -> nn.Module:
    """A body in half precision under a head in single."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(6, 8).bfloat16(), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.body(x.bfloat16())).float())

    with seeded(1):
        return Mixed()


def partly_frozen() -> nn.Module:
    model = mlp(6, 8, 8, 3)
    model[0].requires_grad_(False)
    model[2].bias.requires_grad_(False)
    return model


def old_weight_norm() -> nn.Module:
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 5)), nn.Tanh(), nn.Linear(5, 3))
    model(torch.zeros(1, 6)).sum().backward()  # its weight is now the result of a computation
    return model


def transformer(name: str, **settings: Any) -> Callable[[], nn.Module]:
    """A `transformers` model with random weights, in float64."""

    def made() -> nn.Module:
        transformers = pytest.importorskip("transformers")
        with seeded(1):
            config = getattr(transformers, f"{name}Config")(**settings)
            return getattr(transformers, MODELS[name])(config).double()

    return made


MODELS = {
    "GPT2": "GPT2LMHeadModel", "Bert": "BertForSequenceClassification", "Llama": "LlamaForCausalLM",
    "T5": "T5ForConditionalGeneration", "ViT": "ViTForImageClassification",
}  # fmt: skip
SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def returned(model: nn.Module, batch: Any) -> Tensor:
    """The loss that the model itself returns."""
    return model(**batch).loss


def language(**more: Any) -> dict[str, Any]:
    """Batches of words that predict themselves; three samples a batch, two in the last."""
    batches = [{"input_ids": part, "labels": part, **more} for part in whole(11, 8, 6, seed=3).split(3)]
    return {"batches": batches, "loss": returned, "size": lambda batch: len(batch["input_ids"])}


ZOO: dict[str, Kind] = {
    "multilayer perceptron": Kind(lambda: mlp(6, 8, 3, dtype=D), **pairs(X, Y)),
    "regression in float32": Kind(
        of(lambda: nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 1)), torch.float32),
        **pairs(X.float(), REAL.float(), F.mse_loss), rel=3e-6,
    ),
    "half precision": Kind(
        of(lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), torch.bfloat16),
        **pairs(X.bfloat16(), Y, lambda output, y: F.cross_entropy(output.float(), y)), rel=2e-2,
    ),
    "two precisions": Kind(mixed, **pairs(X.float(), Y), rel=2e-2),
    "batch norm": Kind(lambda: cnn().double(), **pairs(IMAGES, Y)),
    "layer norm": Kind(of(lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))), **pairs(X, Y)),
    "group norm, residual": Kind(of(Residual), **pairs(IMAGES, Y)),
    "instance norm": Kind(
        of(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2, affine=True), nn.Flatten(), nn.Linear(72, 3))),
        **pairs(IMAGES, Y),
    ),
    "transposed and grouped convolutions": Kind(
        of(lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2), nn.ELU(), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ConvTranspose2d(4, 1, 2, 2),
        )), **pairs(IMAGES, IMAGES[:, :, :6, :6].contiguous(), F.l1_loss),
    ),
    "LSTM": Kind(of(lambda: Then(nn.LSTM(6, 5, batch_first=True), last, nn.Linear(5, 3))), **pairs(SEQUENCE, Y)),
    "bidirectional GRU of two layers": Kind(
        of(lambda: Then(nn.GRU(6, 4, num_layers=2, bidirectional=True, batch_first=True), last, nn.Linear(8, 3))),
        **pairs(SEQUENCE, Y),
    ),
    "embedding, sparse gradients": Kind(
        of(lambda: Then(nn.Embedding(11, 4, sparse=True), mean, nn.Linear(4, 3))), **pairs(WORDS, Y),
    ),
    "bag of words": Kind(
        of(lambda: Then(nn.EmbeddingBag(11, 4, mode="sum", sparse=True), nn.Tanh(), nn.Linear(4, 3))), **pairs(WORDS, Y),
    ),
    "attention by hand": Kind(of(Attention), **pairs(SEQUENCE, Y)),
    "transformer encoder with dropout": Kind(
        of(lambda: Then(nn.TransformerEncoderLayer(6, 2, 8, dropout=0.2, batch_first=True), mean, nn.Linear(6, 3))),
        **pairs(SEQUENCE, Y),
    ),
    "tied weights": Kind(of(Tied), **pairs(WORDS, WORDS.roll(-1, 1))),
    "a layer under two names": Kind(of(Twice), **pairs(X, Y)),
    "frozen parameters": Kind(lambda: partly_frozen().double(), **pairs(X, Y)),
    "weight norm": Kind(
        of(lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)), nn.Tanh(), nn.Linear(5, 3))),
        **pairs(X, Y),
    ),
    "old weight norm": Kind(of(old_weight_norm), **pairs(X, Y)),
    "spectral norm": Kind(
        of(lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 5)), nn.Tanh(), nn.Linear(5, 3))),
        **pairs(X, Y),
    ),
    "orthogonal parametrization": Kind(
        of(lambda: nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(6, 6)), nn.Tanh(), nn.Linear(6, 3))),
        **pairs(X, Y), rel=1e-11,
    ),
    "low-rank adapters": Kind(of(lambda: nn.Sequential(LowRank(nn.Linear(6, 5)), nn.Tanh(), LowRank(nn.Linear(5, 3)))), **pairs(X, Y)),
    "control flow by the data": Kind(of(Branching), **pairs(X, Y)),
    "mixture of experts": Kind(of(Experts), **pairs(X, Y)),
    "compiled": Kind(of(lambda: torch.compile(mlp(6, 8, 3), backend="eager")), **pairs(X, Y)),
    "data parallel": Kind(of(lambda: nn.DataParallel(mlp(6, 8, 3))), **pairs(X, Y)),
    "variational autoencoder that returns its loss": Kind(
        of(Variational), [(X[:12], X[:12, :2].clone()), (X[12:], X[12:, :2].clone())], lambda model, batch: model(*batch)["loss"],
    ),
    "graph network": Kind(
        of(Convolved), [graphs(5, 1), graphs(3, 2)], lambda model, graph: F.cross_entropy(model(graph), graph.y),
        size=lambda graph: len(graph.y),
    ),
    "physics-informed": Kind(
        lambda: mlp(1, 8, 1, dtype=D), list(normal(N, 1, seed=4, dtype=D).split(8)), physics, size=len,
    ),
    "contrastive, without targets": Kind(
        lambda: mlp(6, 4, dtype=D), list(X.split(8)),
        lambda model, x: F.cross_entropy(model(x) @ model(x.flip(1)).T, torch.arange(len(x))), size=len,
    ),
    "transformers: GPT-2": Kind(transformer("GPT2", vocab_size=11, n_embd=8, n_layer=2, n_head=2, n_positions=8, use_cache=False, bos_token_id=0, eos_token_id=0), **language()),
    "transformers: Llama": Kind(transformer("Llama", vocab_size=11, num_key_value_heads=1, use_cache=False, bos_token_id=0, eos_token_id=0, pad_token_id=0, **SMALL), **language()),
    "transformers: T5": Kind(
        transformer("T5", vocab_size=11, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, use_cache=False, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1),
        **language(), rel=1e-6,  # its layer norm runs in float32
    ),
    "transformers: BERT": Kind(
        transformer("Bert", vocab_size=11, max_position_embeddings=8, num_labels=3, **SMALL),
        [{"input_ids": w, "attention_mask": (w > 0).long(), "labels": y} for w, y in zip(WORDS.split(8), Y.split(8), strict=True)],
        returned, size=lambda batch: len(batch["labels"]),
    ),
    "transformers: ViT": Kind(
        transformer("ViT", image_size=8, patch_size=4, num_channels=1, num_labels=3, **SMALL), **pairs(
            IMAGES, Y, lambda output, y: F.cross_entropy(output.logits, y)),
    ),
}  # fmt: skip
