"""Figures of values by Plotly and matplotlib: what is drawn is what was computed, and knows nothing of models."""

from lossatlas.figures.profile import profile_figure
from lossatlas.figures.spectrum import spectrum_figure

__all__ = ["profile_figure", "spectrum_figure"]
