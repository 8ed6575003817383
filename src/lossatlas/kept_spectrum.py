"""KeptSpectrum: a finished spectrum in a landscape's atlas, read back instead of computed again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from lossatlas.curvature import Spectrum
from lossatlas.curvature.density import Density
from lossatlas.landscape import Landscape

# Eigenvectors are kept up to so many bytes.
_VECTOR_BYTES = 64 << 20

_ARRAYS = ("eigenvalues", "residuals", "converged")
_DENSITY = ("grid", "values", "band", "atoms")


class KeptSpectrum:
    """The spectrum of a point, asked for with some options, as its atlas keeps it: under both.

    Options that are no JSON values, such as a spectrum to start from, decide digits that no name can tell: with these nothing
    is kept.
    """

    def __init__(
        self,
        landscape: Landscape,
        point: tuple[float, float],
        top: int,
        bottom: int,
        options: Mapping[str, Any],
    ) -> None:
        self._objective, self._scene, self._atlas = landscape.objective, "", landscape.atlas
        try:
            self._name = json.dumps([*point, top, bottom, options], sort_keys=True)
        except (TypeError, ValueError):
            self._atlas = None
        if self._atlas is not None:
            self._scene = landscape.scene.hash

    def found(self) -> Spectrum | None:
        """The one that is kept, with the eigenvectors that were; None where there is none."""
        known = None if self._atlas is None else self._atlas.kept_one("spectra", self._scene, self._name)
        if known is None:
            return None
        value, arrays = known
        try:
            rows = arrays["eigenvectors"] if "eigenvectors" in arrays else np.empty((self._objective.size, 0))
            vectors = torch.from_numpy(rows).to(self._objective.device, self._objective.dtype)
            grid, values, band, atoms = (arrays[f"density_{name}"] for name in _DENSITY)
            density = Density(grid, values, band, atoms, float(value["width"]))
            known_of: dict[str, Any] = {name: arrays[name] for name in _ARRAYS} | value["plain"]
            return Spectrum(**known_of, eigenvectors=vectors, density=density)
        except (KeyError, TypeError):  # of another version
            return None

    def keep(self, found: Any) -> None:
        """Keep a finished spectrum; those of several layers are not kept."""
        if self._atlas is None or not isinstance(found, Spectrum):
            return
        arrays = {name: getattr(found, name) for name in _ARRAYS}
        for name in _DENSITY:
            arrays[f"density_{name}"] = getattr(found.density, name)
        vectors = found.eigenvectors
        if vectors.numel() * vectors.element_size() <= _VECTOR_BYTES:
            # Every value of a shorter type is one of float32.
            wide = vectors if vectors.dtype in (torch.float64, torch.float32) else vectors.float()
            arrays["eigenvectors"] = wide.cpu().numpy()
        plain = {
            name: value
            for name, value in vars(found).items()
            if name not in (*_ARRAYS, "eigenvectors", "density")
            and isinstance(value, int | float | str | None)
        }
        value = {"plain": plain, "width": asdict(found.density)["width"]}
        try:
            self._atlas.keep("spectra", self._scene, self._name, value, arrays)
        except (
            ValueError
        ):  # a number that is not finite, which JSON has not: such a spectrum is computed anew
            return
