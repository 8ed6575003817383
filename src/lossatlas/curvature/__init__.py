"""Curvature: products with the Hessian, and what a Krylov process tells of its spectrum."""

from lossatlas.curvature.density import Density
from lossatlas.curvature.diagonal import Diagonal, diagonal
from lossatlas.curvature.matrices import Matrix
from lossatlas.curvature.principal import principal
from lossatlas.curvature.products import Hessian, Products
from lossatlas.curvature.sharpness import sharpness
from lossatlas.curvature.spectrum import Spectrum
from lossatlas.curvature.stream import stream
from lossatlas.curvature.study import Study, spectrum_at
from lossatlas.curvature.table import Sharpness, SharpnessComparison

__all__ = [
    "Density",
    "Diagonal",
    "Hessian",
    "Matrix",
    "Products",
    "Sharpness",
    "SharpnessComparison",
    "Spectrum",
    "Study",
    "diagonal",
    "principal",
    "sharpness",
    "spectrum_at",
    "stream",
]
