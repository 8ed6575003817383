"""Standard errors of means over a sample drawn without replacement, wide enough for losses with a long tail."""

from __future__ import annotations

import numpy as np

# Two standard errors are to cover the truth: the level at which tails are corrected for.
_Z = 2.0

# Beyond this skewness of the mean the sample says too little of its tail: the error is unknown.
_LONGEST_TAIL = 0.5


def standard_errors(residuals: np.ndarray, population: int) -> np.ndarray:
    """The standard error of each column's mean, (n, F) residuals about it -> (F,); inf where a sample cannot tell.

    Corrected for the finite population (Cochran 1977, section 2.6) and widened for skewness: half of what Hall's
    transformed interval (1992, equation 2.8) reaches to its longer side, so that two of them cover the truth about as
    often as two of a normal mean's would. What no sample shows, one loss in thousands on which the mean rests, it cannot know.
    """
    n = len(residuals)
    if n >= population:
        return np.zeros(residuals.shape[1:])
    share = n / population
    deviation = residuals.std(axis=0, ddof=1)
    error = deviation * np.sqrt((1.0 - share) / n)
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = np.where(deviation > 0, (residuals**3).mean(axis=0) / deviation**3, 0.0)
        # Of the mean of a sample without replacement.
        of_mean = np.abs(skewness) * abs(1.0 - 2.0 * share) / np.sqrt(n * (1.0 - share))
    reach = _reach(np.where(of_mean > 0, of_mean, 1e-9))
    # Of few, Student's t: its quantile to the first order of 1 / (n − 1).
    widened = error * np.maximum(reach / _Z, 1.0) * (1.0 + (_Z**2 + 1.0) / (4.0 * (n - 1)))
    return np.where(np.isfinite(deviation), np.where(of_mean > _LONGEST_TAIL, np.inf, widened), np.inf)


def _reach(of_mean: np.ndarray) -> np.ndarray:
    """How many standard errors Hall's interval reaches to the side of the long tail."""
    inner = 1.0 - of_mean * (_Z + of_mean / 6.0)
    reached: np.ndarray = np.abs(3.0 / of_mean * (np.cbrt(inner) - 1.0))
    return reached
