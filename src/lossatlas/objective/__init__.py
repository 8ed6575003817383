"""What is measured: objectives, the flat vector of their parameters, their data and fields."""

from lossatlas.objective.errors import EvaluationError
from lossatlas.objective.objective import Objective
from lossatlas.objective.parameters import Entry, ParameterSpace

__all__ = ["Entry", "EvaluationError", "Objective", "ParameterSpace"]
