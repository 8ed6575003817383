"""Ladder: which isolines a map shows, the same as in js/src/ladder.js; one fixture pins both.

A line is where it is because of its number alone: levels are multiples of round steps, so that two figures of one field
have the same lines. What the page does to keep its lines while a range wavers has no place in a figure.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from lossatlas.scale import Scale, drawn, linthresh

MAX_LEVELS = 64

# Between 8 and 20 lines.
_FEWEST, _MOST = 8, 20

# Below so many decades round numbers at even distances read better than 1, 2, 5; from so many on, one line a decade does.
_EVEN_DECADES, _SPARSE_DECADES = 0.5, 7.0

# As long as what is about straight of a symmetric logarithm, ± 4 c, is most of the range, even distances do too.
_STRAIGHT_DECADES = 1.3

# How many minor steps make a major one, for steps of 1, 2 and 5.
_NESTED = {1: 5, 2: 5, 5: 4}

# Sets of levels within a decade: name, mantissas, majors among them, and up to how many decades each is used.
_DECADES: tuple[tuple[str, tuple[float, ...], tuple[float, ...], float], ...] = (
    ("fine", (10, 12.5, 15, 17.5, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90), (10, 20, 50), 2.2),
    ("seven", (10, 15, 20, 30, 40, 50, 70), (10, 20, 50), 5.0),
    ("five", (10, 20, 30, 50, 70), (10, 20, 50), 6.0),
    ("few", (10, 20, 50), (10,), _SPARSE_DECADES),
)


@dataclass(frozen=True)
class Level:
    """An isoline: its value in the field's own unit on any scale, and what the last digit of its label tells apart."""

    value: float
    major: bool
    step: float

    @property
    def label(self) -> str:
        """The value with the digits that it deserves."""
        return format_level(self.value, self.step)


@dataclass(frozen=True)
class Ladder:
    """The isolines of a range, ascending, at most 64; `rung` names the set that they are of, "" where there are none."""

    levels: tuple[Level, ...] = ()
    rung: str = ""
    step: float = 0.0

    @property
    def named(self) -> tuple[Level, ...]:
        """Those that are labelled: the majors, or all where these alone would be next to none."""
        majors = tuple(level for level in self.levels if level.major)
        return majors if len(majors) >= 3 else self.levels


def ladder(low: float, high: float, scale: Scale) -> Ladder:
    """The isolines of values from low to high, in the field's own unit."""
    if not (math.isfinite(low) and math.isfinite(high) and high > low and math.isfinite(high - low)):
        return Ladder()
    # Nothing can lie between neighbouring numbers.
    if high - low < 64 * sys.float_info.epsilon * max(abs(low), abs(high)):
        return Ladder()
    if scale == "linear":
        return _even(high - low, low, high)
    if scale == "log" and low <= 0:
        return Ladder()
    first, last = drawn(np.array([low, high]), scale).tolist()
    decades, c = (last - first) / math.log(10), linthresh(scale)
    straight = c is not None and low < c and high > -c
    if decades < (_STRAIGHT_DECADES if straight else _EVEN_DECADES):
        return _even(high - low, low, high)
    if c is None:
        return _logarithmic(decades, low, high)
    return _symmetric(decades, low, high, c)


def _symmetric(decades: float, low: float, high: float, c: float) -> Ladder:
    """Beyond ± c the levels of a logarithm to either side, which mirror each other, and 0 between them."""
    above = _logarithmic(decades, max(low, c), high)
    below = _logarithmic(decades, max(-high, c), -low)
    levels = [replace(level, value=-level.value) for level in reversed(below.levels)]
    if low <= 0 <= high:
        levels.append(Level(0.0, True, c))
    levels = [*levels, *above.levels][:MAX_LEVELS]
    return Ladder(tuple(levels), above.rung, levels[0].step if levels else 0.0)


def _logarithmic(decades: float, low: float, high: float) -> Ladder:
    """The levels from low to high, both above 0, of the set for a range of so many decades."""
    if not low <= high:
        return Ladder(rung=_set_of(decades)[0])
    if decades >= _SPARSE_DECADES:
        return _sparse(decades, low, high)
    name, mantissas, majors, _ = _set_of(decades)
    levels = [
        Level(value, mantissa in majors, _digit(mantissa, decade))
        for decade in range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
        for mantissa in mantissas
        if low <= (value := _decimal(mantissa, decade - 1)) <= high
    ][:MAX_LEVELS]
    return Ladder(tuple(levels), name, levels[0].step if levels else 0.0)


def _set_of(decades: float) -> tuple[str, tuple[float, ...], tuple[float, ...], float]:
    return next((one for one in _DECADES if decades < one[3]), _DECADES[-1])


def _digit(mantissa: float, decade: int) -> float:
    """What the last digit of a mantissa tells apart."""
    return _decimal(10 if mantissa % 10 == 0 else 1 if mantissa % 1 == 0 else 0.1, decade - 1)


def _sparse(decades: float, low: float, high: float) -> Ladder:
    """One line a decade or fewer: an even ladder of exponents."""
    exponents = _even(decades, math.log10(low), math.log10(high), finest=0)
    powers = [(_decimal(1, int(level.value)), level.major) for level in exponents.levels]
    levels = tuple(Level(value, major, value) for value, major in powers)
    return Ladder(levels, exponents.rung.replace("even", "sparse"), exponents.step)


def _even(size: float, low: float, high: float, finest: int | None = None) -> Ladder:
    unit, power = _rung(size, finest)
    step = _decimal(unit, power)
    levels: list[Level] = []
    for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        value = _decimal(k * unit, power)
        if low <= value <= high and len(levels) < MAX_LEVELS:
            levels.append(Level(value, k % _NESTED[unit] == 0, step))
    return Ladder(tuple(levels), f"even {unit} {power}", step)


def _rung(size: float, finest: int | None) -> tuple[int, int]:
    """The step, unit · 10^power, whose number of lines is nearest to the middle; `finest`: the smallest power allowed."""
    wanted = size / math.sqrt(_FEWEST * _MOST)
    guess = math.floor(math.log10(wanted))
    powers = [power if finest is None else max(power, finest) for power in (guess, guess + 1)]
    rungs = [(unit, power) for power in powers for unit in (1, 2, 5)]
    return min(rungs, key=lambda one: abs(math.log(_decimal(*one) / wanted)))


def _decimal(digits: float, power: int) -> float:
    """The number nearest to digits · 10^power: a division by a power of ten is exact where a product with its inverse is not."""
    if abs(power) > 22:
        return float(f"{digits}e{power}")
    return float(digits / 10**-power if power < 0 else digits * 10**power)


def ticks(low: float, high: float, count: float) -> list[float]:
    """Round numbers for an axis, about `count` of them, between low and high, ascending."""
    low, high = min(low, high), max(low, high)
    step = tick_step(low, high, count)
    if step == 0:
        return []
    power = math.floor(math.log10(step) + 1e-9)
    unit = round(step / _decimal(1, power))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [_decimal(k * unit, power) for k in range(first, min(last, first + 999) + 1)]


def tick_step(low: float, high: float, count: float) -> float:
    """The distance of those ticks; 0 where there can be none."""
    size = abs(high - low)
    if not (0 < size < math.inf and count > 0):
        return 0.0
    if size < 64 * sys.float_info.epsilon * max(abs(low), abs(high)):
        return 0.0
    wanted = size / count
    power = math.floor(math.log10(wanted))
    rest = wanted / _decimal(1, power)
    # The thresholds are the geometric means of neighbouring steps.
    unit = 1 if rest < math.sqrt(2) else 2 if rest < math.sqrt(10) else 5 if rest < math.sqrt(50) else 10
    return _decimal(unit, power)


_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def format_level(value: float, step: float = 0.0) -> str:
    """A number with just the digits that tell it from its neighbours `step` away, and a true minus sign.

    As a power of ten where it is very small or large; without a step the shortest text that is this number.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    size = abs(value)
    if size == 0 or size < step * 1e-6:
        return "0"
    sign, decimals = "−" if value < 0 else "", _decimals(step) if step > 0 else None
    if 1e-4 <= size < 1e6:
        text = _shortest(size) if decimals is None else _fixed(Decimal(size), min(max(decimals, 0), 100))
        return "0" if float(text) == 0 else sign + text
    exponent = math.floor(math.log10(size) + 1e-12)
    return sign + _power_of_ten(size, None if decimals is None else min(max(decimals + exponent, 0), 20))


def _shortest(size: float) -> str:
    return repr(size).removesuffix(".0")


def _fixed(size: Decimal, decimals: int) -> str:
    """So many digits after the point, the tie up as in a page."""
    return f"{size.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):f}"


def _power_of_ten(size: float, digits: int | None) -> str:
    """Digits after the point of the mantissa, or as many as it takes."""
    number = Decimal(repr(size) if digits is None else size)
    power = number.adjusted()
    mantissa = number.scaleb(-power)
    text = f"{mantissa.normalize():f}" if digits is None else _fixed(mantissa, digits)
    if text.startswith("10"):  # rounded up to the next power
        power, text = power + 1, _fixed(Decimal(1), digits or 0)
    return f"{text}×10{str(power).translate(_SUPERSCRIPTS)}"


def _decimals(step: float) -> int:
    """How many digits after the point the multiples of a step need: 2 for 0.25, −1 for 20."""
    lead = -math.floor(math.log10(step) + 1e-9)
    for more in range(3):
        scaled = step / _decimal(1, -(lead + more))
        if abs(scaled - round(scaled)) < 1e-6 * scaled:
            return lead + more
    return lead + 1


#: Labels longer than this do not fit beside an axis.
_LONGEST = 7


def labelled(values: Sequence[float], step: float) -> tuple[list[str], str]:
    """Labels for ascending multiples of a step, and what they count from, "" for 0.

    Deep in a zoom they differ in their last digits only: then each is given as its distance from one of them.
    """
    texts = [format_level(value, step) for value in values]
    if len(values) < 2 or all(len(text) <= _LONGEST for text in texts):
        return texts, ""
    middle = values[len(values) // 2]
    power = math.floor(math.log10(step) + 1e-9)
    whole = round(step / 10.0**power)
    apart = [whole * round((value - middle) / step) for value in values]
    unit = f"10{str(power).translate(_SUPERSCRIPTS)}"
    return [
        f"+{count}" if count > 0 else format_level(count, 1) for count in apart
    ], f"{format_level(middle)}, in {unit}"
