"""Curvature: products with the Hessian, and what a Krylov process tells of its spectrum."""

from lossatlas.curvature.density import Density
from lossatlas.curvature.matrices import Matrix
from lossatlas.curvature.products import Hessian, Products
from lossatlas.curvature.spectrum import Spectrum
from lossatlas.curvature.stream import stream
from lossatlas.curvature.study import Study, spectrum_at

__all__ = ["Density", "Hessian", "Matrix", "Products", "Spectrum", "Study", "spectrum_at", "stream"]
