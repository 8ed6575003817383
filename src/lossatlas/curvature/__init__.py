"""Curvature: products with the Hessian, and what a Krylov process tells of its spectrum."""

from lossatlas.curvature.density import Density
from lossatlas.curvature.diagonal import Diagonal, diagonal
from lossatlas.curvature.products import Hessian
from lossatlas.curvature.spectrum import Spectrum
from lossatlas.curvature.study import Study, stream

__all__ = [
    "Density",
    "Diagonal",
    "Hessian",
    "Spectrum",
    "Study",
    "diagonal",
    "stream",
]
