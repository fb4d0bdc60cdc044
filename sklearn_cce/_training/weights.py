"""Weights of samples, as users give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_non_negative

from sklearn_cce._training.targets import NEGLIGIBLE, as_numbers, check_finite_numbers


def check_weight(sample_weight: ArrayLike | None, samples: Any) -> np.ndarray | None:
    """Return the weights as float64 on the host, below 1; None where all are equal."""
    if sample_weight is None:
        return None
    n_samples = len(samples)
    accepted = f"sample_weight must be {n_samples} non-negative numbers, one per sample"
    if getattr(sample_weight, "dtype", None) == np.dtype(object):
        raise ValueError(f"{accepted}; got an array of objects.")
    try:
        weight = as_numbers(sample_weight)
    except TypeError as error:
        raise ValueError(f"{accepted}; {error}") from error
    if weight.shape not in ((), (n_samples,)):
        raise ValueError(f"{accepted}; got shape {weight.shape}.")
    check_finite_numbers(weight, "sample_weight")
    check_non_negative(weight, "`sample_weight`")
    if not weight.any():
        raise ValueError("sample_weight must not be zero for all samples.")
    weight = np.broadcast_to(weight, n_samples)
    weight = np.ldexp(weight, -np.frexp(weight.max())[1])
    weight[weight < NEGLIGIBLE] = 0
    return weight
