"""The table of sharpness numbers as a value: of one model, and of several beside each other; as text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

_LEFT = "text-align: left; vertical-align: top"


@dataclass(frozen=True)
class Row:
    """One number that is called sharpness.

    value: in units of the loss, or of the loss over a squared length of θ (λmax and trace); error: one standard error, of
    λmax its residual, 0 where the value is exact to rounding; definition: the formula; radius: ρ or σ in it, None where
    there is none; data: what it was measured on; not_invariant_to: what changes it though the model computes the same;
    note: what else one should know, or why the value is not a number.
    """

    name: str
    value: float
    error: float
    definition: str
    radius: float | None
    data: str
    not_invariant_to: str
    note: str = ""

    @property
    def said(self) -> str:
        """The value with its error."""
        return f"{self.value:.4g}" + (f" ± {self.error:.2g}" if self.error > 0 else "")

    @property
    def scale(self) -> str:
        """The radius, empty where there is none."""
        return "" if self.radius is None else f"{self.radius:g}"


@dataclass(frozen=True, repr=False)
class Sharpness:
    """How sharp a point is, by every common definition: the last line of a cell shows it as a table.

    title: the model; loss, gradient_norm: at the point; rows: one number each; data: what all was measured on.
    """

    title: str
    loss: float
    gradient_norm: float
    data: str
    rows: tuple[Row, ...]

    def __getitem__(self, name: str) -> Row:
        """A row by its name. Raises KeyError saying which there are."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"There is no row {name!r}. There are {', '.join(row.name for row in self.rows)}.")

    @property
    def head(self) -> str:
        """What the table is of, in words."""
        return f"Sharpness · {self.title} · loss {self.loss:.4g} · gradient norm {self.gradient_norm:.2g} · {self.data}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What else one should know, each once."""
        return tuple(f"{row.name}: {row.note}" for row in self.rows if row.note)

    def __repr__(self) -> str:
        return _text([self.head], ["value"], [[row] for row in self.rows], self.notes)

    def _repr_html_(self) -> str:
        return _html([self.head], ["value"], [[row] for row in self.rows], self.notes)


@dataclass(frozen=True, repr=False)
class SharpnessComparison:
    """Several models by the same definitions, radii and seeds, a column each.

    names: (K,); columns: the table of each; differences: what else is not the same, a sentence each; none where the
    models are compared on equal terms.
    """

    names: tuple[str, ...]
    columns: tuple[Sharpness, ...]
    differences: tuple[str, ...]

    def __getitem__(self, name: str) -> Sharpness:
        """A column by its name. Raises KeyError saying which there are."""
        if name not in self.names:
            raise KeyError(f"There is no column {name!r}. There are {', '.join(self.names)}.")
        return self.columns[self.names.index(name)]

    @property
    def rows(self) -> tuple[tuple[Row, ...], ...]:
        """The same number of every model, number by number."""
        return tuple(zip(*(column.rows for column in self.columns), strict=True))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not on equal terms, then what else one should know of each column."""
        terms = self.differences or ("Equal terms: the same data, loss, mode, precision, radii and seeds.",)
        return (
            *terms,
            *(
                f"{name}, {note}"
                for name, one in zip(self.names, self.columns, strict=True)
                for note in one.notes
            ),
        )

    @property
    def _heads(self) -> list[str]:
        return [f"{name}: {one.head}" for name, one in zip(self.names, self.columns, strict=True)]

    def __repr__(self) -> str:
        return _text(self._heads, self.names, self.rows, self.notes)

    def _repr_html_(self) -> str:
        return _html(self._heads, self.names, self.rows, self.notes)


def _text(
    heads: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Row]], notes: Sequence[str]
) -> str:
    cells = [["", *names, "radius", "definition"]]
    cells += [[row[0].name, *(one.said for one in row), row[0].scale, row[0].definition] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    table = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]
    changed: dict[str, list[str]] = {}
    for row in rows:
        changed.setdefault(row[0].not_invariant_to, []).append(row[0].name)
    limits = [f"{'; '.join(of)}: not invariant to {what}." for what, of in changed.items()]
    return "\n".join([*heads, *table, *limits, *notes])


def _html(
    heads: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Row]], notes: Sequence[str]
) -> str:
    """No colours: a table takes those of the page, light or dark."""
    titles = ("", *names, "radius", "definition", "data", "not invariant to")
    head = "".join(f'<th scope="col" style="{_LEFT}">{html.escape(title)}</th>' for title in titles)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    above = "".join(f"<div>{html.escape(line)}</div>" for line in heads)
    below = "".join(f"<div>{html.escape(line)}</div>" for line in notes)
    return f"<div>{above}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"


def _cells(row: Sequence[Row]) -> str:
    first = row[0]
    data = "; ".join(dict.fromkeys(one.data for one in row))
    cells = (*(one.said for one in row), first.scale, first.definition, data, first.not_invariant_to)
    return f'<th scope="row" style="{_LEFT}">{html.escape(first.name)}</th>' + "".join(
        f'<td style="{_LEFT}">{html.escape(cell)}</td>' for cell in cells
    )
