"""Shares of the samples that clusters or classes should have."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sklearn_cce._training.targets import as_numbers


def check_prior(
    prior: ArrayLike | None, classes: np.ndarray, masses: np.ndarray
) -> np.ndarray:
    """Return the share that each class should have.

    Parameters
    ----------
    prior : array-like of shape (n_classes,) or None
        Shares; None means those of `masses`, each class with one sample more.
    classes : ndarray of shape (n_classes,)
        The classes.
    masses : ndarray of shape (n_classes,)
        From :func:`class_masses`.

    Returns
    -------
    ndarray of shape (n_classes,), float64
        Non-negative, sum 1.

    Raises
    ------
    ValueError
        If `prior` is no distribution over the classes.
    """
    if prior is None:
        return (masses + 1) / (masses + 1).sum()
    accepted = (
        f"class_prior must be {len(classes)} non-negative numbers that sum to 1, one "
        f"per class; got {prior!r}."
    )
    try:
        shares = as_numbers(prior)
    except TypeError as error:
        raise ValueError(accepted) from error
    fits = shares.shape == classes.shape and ((shares >= 0) & (shares < 2)).all()
    if not fits or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(accepted)
    return shares
