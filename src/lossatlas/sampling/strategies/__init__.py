"""Ways to evaluate nodes behind one interface, and the timed probe that chooses among them."""

from lossatlas.sampling.strategies.choice import Choice, choice_for
from lossatlas.sampling.strategies.strategy import Runner, Strategy

__all__ = ["Choice", "Runner", "Strategy", "choice_for"]
