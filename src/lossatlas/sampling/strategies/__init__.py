"""Ways to evaluate nodes behind one interface, and the timed probe that chooses among them."""

from lossatlas.sampling.strategies.choice import Choice, choice_for, chosen_before
from lossatlas.sampling.strategies.program import Unfit
from lossatlas.sampling.strategies.strategy import Runner, Strategy

__all__ = ["Choice", "Runner", "Strategy", "Unfit", "choice_for", "chosen_before"]
