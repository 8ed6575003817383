"""Curvature: products with the Hessian, and what a Krylov process tells of its spectrum."""

from lossatlas.curvature.density import Density
from lossatlas.curvature.diagonal import Diagonal, diagonal
from lossatlas.curvature.errors import NotFinite
from lossatlas.curvature.jet import Jet, jet_at, with_differences
from lossatlas.curvature.matrices import Matrix
from lossatlas.curvature.nearby import Nearby
from lossatlas.curvature.principal import principal
from lossatlas.curvature.products import Products
from lossatlas.curvature.sharpness import sharpness
from lossatlas.curvature.spectrum import Spectrum
from lossatlas.curvature.stability import Stability, stability_of
from lossatlas.curvature.stream import stream
from lossatlas.curvature.study import Study, spectrum_at
from lossatlas.curvature.table import Sharpness, SharpnessComparison
from lossatlas.curvature.ways import prepare

__all__ = [
    "Density",
    "Diagonal",
    "Jet",
    "Matrix",
    "Nearby",
    "NotFinite",
    "Products",
    "Sharpness",
    "SharpnessComparison",
    "Spectrum",
    "Stability",
    "Study",
    "diagonal",
    "jet_at",
    "prepare",
    "principal",
    "sharpness",
    "spectrum_at",
    "stability_of",
    "stream",
    "with_differences",
]
