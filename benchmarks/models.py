"""Five trained models of different kinds, on scikit-learn's digits and on generated text: what the benchmarks map.

    .venv/bin/python benchmarks/models.py      train all five and print what each has learned

A trained model is kept under benchmarks/.trained (never committed) under the hash of this file, and made again when that changes.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

FOLDER = Path(__file__).parent / ".trained"


@dataclass(frozen=True)
class Problem:
    """A trained model, its loss, the data that its landscape is measured on, and what it has learned."""

    name: str
    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    data: tuple[Tensor, Tensor]
    train_accuracy: float
    test_accuracy: float

    @property
    def size(self) -> int:
        """How many parameters it has."""
        return sum(p.numel() for p in self.model.parameters())


@dataclass(frozen=True)
class _Recipe:
    make: Callable[[], nn.Module]
    data: Callable[[], tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]]
    samples: int  # of the training data, or all data where there are not so many
    epochs: int
    rate: float


def problem(name: str) -> Problem:
    """One of the five, trained or from the folder of trained ones."""
    recipe = RECIPES[name]
    torch.manual_seed(0)
    model = recipe.make()
    train, test = recipe.data()
    path = FOLDER / f"{name}-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]}.pt"
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
    else:
        _train(model, train, recipe)
        FOLDER.mkdir(exist_ok=True)
        torch.save(model.state_dict(), path)
    model.eval()
    x, y = (torch.cat(parts) for parts in zip(train, test, strict=True))
    if recipe.samples <= len(train[0]):
        x, y = train
    data = (x[: recipe.samples], y[: recipe.samples])
    return Problem(name, model, F.cross_entropy, data, accuracy(model, train), accuracy(model, test))


def accuracy(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """The share of right answers."""
    with torch.inference_mode():
        parts = zip(data[0].split(256), data[1].split(256), strict=True)
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in parts)
    return right / data[1].numel()


def _train(model: nn.Module, data: tuple[Tensor, Tensor], recipe: _Recipe) -> None:
    x, y = data
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=1e-4)
    steps = recipe.epochs * -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps)
    shuffle = torch.Generator().manual_seed(0)
    for _ in range(recipe.epochs):
        for index in torch.randperm(len(x), generator=shuffle).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(x[index]), y[index]).backward()
            optimizer.step()
            schedule.step()


# Data


def _digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    x, y = (torch.as_tensor(part) for part in load_digits(return_X_y=True))
    x = x.float() / 16
    return (x[:1437], y[:1437]), (x[1437:], y[1437:])


def _pictures(side: int, channels: int, count: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Digits turned, moved and enlarged to side × side, on noise and in colours; no digit is in both parts."""
    (train_x, train_y), (test_x, test_y) = _digits()
    made = []
    for x, y, number, seed in ((train_x, train_y, count, 1), (test_x, test_y, 1000, 2)):
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randint(len(x), (number,), generator=generator)
        angle = 0.25 * torch.randn(number, generator=generator)
        shift = 0.15 * torch.randn(number, 2, generator=generator)
        turn = torch.stack([torch.cos(angle), -torch.sin(angle), torch.sin(angle), torch.cos(angle)], dim=1)
        affine = torch.cat([1.2 * turn.reshape(-1, 2, 2), shift[:, :, None]], dim=2)
        grid = F.affine_grid(affine, [number, 1, side, side], align_corners=False)
        picture = F.grid_sample(x[chosen].reshape(-1, 1, 8, 8), grid, align_corners=False)
        ink, paper = (torch.rand(number, channels, 1, 1, generator=generator) for _ in range(2))
        ink, paper = (0.6 + 0.4 * ink, 0.4 * paper) if channels > 1 else (1.0, 0.0)
        picture = paper + (ink - paper) * picture
        picture = picture + 0.1 * torch.randn(picture.shape, generator=generator)
        made.append((picture - 0.4, y[chosen]))
    return made[0], made[1]


def _flat_pictures() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    train, test = _pictures(28, 1, 2560)
    return (train[0].flatten(1), train[1]), (test[0].flatten(1), test[1])


_LETTERS = "0123456789+=;"


def _sums() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Lines of sums, as "7+15=22;…": each letter is to be told from those before it. Cut at 32 letters."""
    generator = torch.Generator().manual_seed(3)
    lines = []
    for _ in range(2048 + 512):
        text = ""
        while len(text) < 33:
            first, second = torch.randint(50, (2,), generator=generator).tolist()
            text += f"{first}+{second}={first + second};"
        lines.append([_LETTERS.index(letter) for letter in text[:33]])
    tokens = torch.tensor(lines)
    x, y = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    return (x[:2048], y[:2048]), (x[2048:], y[2048:])


# Models


def _stack(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class _Block(nn.Module):
    """Two convolutions and a way past them (He et al. 2015, section 4.2; the way past is of option A)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.stride, self.more = after // before, after - before
        self.conv1 = nn.Conv2d(before, after, 3, self.stride, 1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        past = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(inner + past)


def _resnet20() -> nn.Sequential:
    blocks = [
        _Block(before, after)
        for before, after in zip(
            [16, 16, 16, 16, 32, 32, 32, 64, 64], [16, 16, 16, 32, 32, 32, 64, 64, 64], strict=True
        )
    ]
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class _Attention(nn.Module):
    """A pre-norm transformer block with causal attention over four heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, length, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, length, width))
        return x + self.feed(self.norm2(x))


class _Transformer(nn.Module):
    def __init__(self, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(len(_LETTERS), width), nn.Embedding(32, width)
        self.blocks = nn.Sequential(*(_Attention(width) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, len(_LETTERS))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.letters(x) + self.places(torch.arange(x.shape[1], device=x.device))
        return self.head(self.norm(self.blocks(hidden))).transpose(1, 2)  # (N, letters, length)


RECIPES = {
    "digits MLP": _Recipe(lambda: _stack(64, 64, 32, 10), _digits, 1797, 30, 5e-3),
    "784 MLP": _Recipe(lambda: _stack(784, 256, 128, 10), _flat_pictures, 2560, 12, 2e-3),
    "CNN": _Recipe(_cnn, lambda: _pictures(32, 3, 2560), 512, 20, 1e-2),
    "ResNet-20": _Recipe(_resnet20, lambda: _pictures(32, 3, 2560), 128, 8, 1e-2),
    "transformer": _Recipe(_Transformer, _sums, 256, 12, 3e-3),
}


if __name__ == "__main__":
    for name in RECIPES:
        found = problem(name)
        print(
            f"{name}: {found.size} parameters, train accuracy {found.train_accuracy:.3f}, test {found.test_accuracy:.3f}, "
            f"mapped on {len(found.data[0])} samples"
        )
