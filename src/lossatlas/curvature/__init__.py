"""Curvature: products with the Hessian, and what a Krylov process tells of its spectrum."""

from lossatlas.curvature.density import Density
from lossatlas.curvature.diagonal import Diagonal, diagonal
from lossatlas.curvature.products import Hessian
from lossatlas.curvature.sharpness import sharpness
from lossatlas.curvature.spectrum import Spectrum
from lossatlas.curvature.study import Study, stream
from lossatlas.curvature.table import Sharpness, SharpnessComparison

__all__ = [
    "Density",
    "Diagonal",
    "Hessian",
    "Sharpness",
    "SharpnessComparison",
    "Spectrum",
    "Study",
    "diagonal",
    "sharpness",
    "stream",
]
