"""What a start is to be, as a user says it: labels, and numbers of clusters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from sklearn_cce._checks import as_numbers, as_whole


def check_init(init: Any, n_samples: int, n_clusters: int) -> torch.Tensor | None:
    """Return the labels to begin with as distributions, None where there are none.

    Parameters
    ----------
    init : str or array-like
        How to begin, or clusters, or one distribution over these for each sample.
    n_samples, n_clusters : int
        Numbers of samples and clusters.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(init, str):
        return None
    accepted = (
        "init must be 'spectral', 'random', an array of shape (n_samples,) with "
        f"clusters from 0 to {n_clusters - 1}, or one of shape (n_samples, "
        f"n_clusters) with rows that sum to 1, here ({n_samples}, {n_clusters})"
    )
    try:
        labels = as_numbers(init)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{accepted}; {error}") from error
    if labels.shape == (n_samples,) and np.isin(labels, np.arange(n_clusters)).all():
        return torch.eye(n_clusters)[torch.from_numpy(labels.astype(np.int64))]
    soft = labels.shape == (n_samples, n_clusters) and bool(np.all(labels >= 0))
    if soft and np.allclose(labels.sum(1), 1, atol=1e-4):
        return torch.from_numpy(labels.astype(np.float32))
    raise ValueError(f"{accepted}; got shape {labels.shape}.")


def check_numbers(n_clusters: Any, n_samples: int) -> list[int]:
    """Return one number of clusters, or several, as a list of them.

    Parameters
    ----------
    n_clusters : int or sequence of int
        From 1 to `n_samples`.
    n_samples : int
        Number of samples.

    Raises
    ------
    ValueError
        If they are not that.
    """
    numbers = list(n_clusters) if isinstance(n_clusters, Iterable) else [n_clusters]
    whole = [as_whole(K) for K in numbers]
    if not all(1 <= K <= n_samples for K in whole):
        raise ValueError(
            "n_clusters must be integers from 1 to the number of samples, "
            f"{n_samples}; got {numbers}."
        )
    return whole
