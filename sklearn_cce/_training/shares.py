"""Shares of the samples that clusters or classes should have."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sklearn_cce._checks import SHARES_TOLERANCE, as_numbers, refusing


def check_shares(name: str, shares: ArrayLike, n: int, each: str) -> np.ndarray:
    """Return the share that each cluster or class should have.

    Parameters
    ----------
    name : str
        Name of the parameter.
    shares : array-like of shape (n,)
        What the user gave.
    n : int
        Number of clusters or classes.
    each : str
        What there is one of for every share.

    Returns
    -------
    ndarray of shape (n,), float64
        Non-negative, with a sum of 1 within `SHARES_TOLERANCE`.

    Raises
    ------
    ValueError
        If `shares` are not that.
    """
    accepted = (
        f"{name} must be {n} non-negative numbers that sum to 1, one per {each}; got "
        f"{shares!r}"
    )
    with refusing(accepted, TypeError):
        numbers = as_numbers(shares)
    fits = numbers.shape == (n,) and bool(((numbers >= 0) & (numbers < 2)).all())
    if not fits or abs(numbers.sum() - 1) > SHARES_TOLERANCE:
        raise ValueError(f"{accepted}.")
    return numbers
