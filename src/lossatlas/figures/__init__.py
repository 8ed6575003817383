"""Plotly figures of values: what is drawn is what was computed, and knows nothing of models."""

from lossatlas.figures.profile import profile_figure

__all__ = ["profile_figure"]
