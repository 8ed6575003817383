"""Figures as files: PNG, SVG and PDF, the same bytes for the same figure, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from lossatlas.figures.plot import HIGHEST, first_place, fitted, matplotlib_or_say

# Text stays text, and what would be drawn from a clock or a random number is fixed.
_RC = {
    "svg.fonttype": "none", "svg.hashsalt": "lossatlas", "pdf.fonttype": 42, "font.family": "sans-serif", "font.size": 9.0,
    "axes.linewidth": 0.6, "hatch.linewidth": 0.6, "axes.unicode_minus": True,
}  # fmt: skip

#: What draws into the axes of a new figure.
Draw = Callable[[Any], Any]


def check_path(path: Any, suffix: str) -> Path:
    """A path of that suffix in a folder that there is. Raises TypeError or ValueError, in words, for anything else."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"path is a {type(path).__name__}. Pass where the file is to be, as in 'map{suffix}'."
        )
    where = Path(os.fspath(path))
    if where.suffix.lower() != suffix:
        raise ValueError(f"path is {str(where)!r}. Pass one that ends in {suffix}.")
    if not where.parent.is_dir():
        raise ValueError(f"The folder {str(where.parent)!r} does not exist. Make it first.")
    if where.is_dir():
        raise ValueError(f"{str(where)!r} is a folder. Pass the name of a file.")
    return where


def not_writable(folder: Path) -> PermissionError:
    """What is raised for a folder that nothing may be written into."""
    return PermissionError(
        f"Nothing may be written into the folder {str(folder)!r}. Choose another one, or change its permissions."
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and put it there when it is whole: a failure leaves what was there before."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=path.suffix)
    except PermissionError:
        raise not_writable(path.parent) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mask = os.umask(
            0
        )  # a temporary file is for its owner alone, and the file that it becomes is like any other
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def save(
    path: Path,
    draw: Draw,
    *,
    width: float,
    aspect: float,
    dpi: float,
    title: str,
    caption: str,
    recipe: str,
    paper: str,
) -> None:
    """Draw into a new figure of that width, in inches, and write it as its suffix says; caption and recipe travel inside.

    aspect: the height of the axes by their width; recipe: JSON text in ASCII.
    """
    matplotlib = matplotlib_or_say()
    from matplotlib.figure import Figure

    kind, data = path.suffix.lower().removeprefix("."), io.BytesIO()
    with matplotlib.rc_context(_RC):
        size, place = first_place(width, aspect, HIGHEST)
        figure = Figure(figsize=size, facecolor=paper, dpi=dpi)
        fitted(draw(figure.add_axes(place)), width, aspect, HIGHEST)
        figure.savefig(
            data, format=kind, dpi=dpi, metadata=_metadata(kind, title, caption, recipe), facecolor=paper
        )
    found = data.getvalue()
    write_whole(path, _described(found, title, caption, recipe) if kind == "svg" else found)


def pixels(draw: Draw, *, width: float, aspect: float, dpi: float, paper: str) -> np.ndarray:
    """The same as pixels, (height, width, 3) bytes."""
    matplotlib = matplotlib_or_say()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_RC):
        size, place = first_place(width, aspect, HIGHEST)
        figure = Figure(figsize=size, facecolor=paper, dpi=dpi)
        canvas = FigureCanvasAgg(figure)
        fitted(draw(figure.add_axes(place)), width, aspect, HIGHEST)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _metadata(kind: str, title: str, caption: str, recipe: str) -> dict[str, Any]:
    match kind:
        case "png":
            return {"Title": title, "Description": caption, "Software": "lossatlas", "Recipe": recipe}
        case "pdf":
            return {
                "Title": title,
                "Subject": caption,
                "Creator": "lossatlas",
                "Keywords": recipe,
                "CreationDate": None,
            }
    return {"Title": title, "Description": caption, "Creator": "lossatlas", "Date": None}


def _described(svg: bytes, title: str, caption: str, recipe: str) -> bytes:
    """The same picture with <title> and <desc> as its first children, which screen readers say, and the recipe."""
    text = svg.decode()
    at = text.index(">", text.index("<svg")) + 1
    said = f"\n <title>{escape(title)}</title>\n <desc>{escape(caption)}</desc>"
    said += f'\n <metadata id="lossatlas-recipe">{escape(recipe)}</metadata>'
    return (text[:at] + said + text[at:]).encode()
