"""Samples that are kept out of the training, and how many are predicted rightly."""

from __future__ import annotations

import numpy as np


def hits(classes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the probability of each chosen class under its target.

    Parameters
    ----------
    classes : ndarray of shape (n_samples,), int64
        Index of the class that was chosen for each sample.
    targets : ndarray of shape (n_samples, n_classes) or (n_samples,)
        Distributions, or indices of the classes that are right.

    Returns
    -------
    ndarray of shape (n_samples,)
        1 or 0 for certain targets: right or wrong.
    """
    if targets.ndim == 1:
        return targets == classes
    return targets[np.arange(len(classes)), classes]


def held_out(
    targets: np.ndarray,
    weight: np.ndarray | None,
    fraction: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the samples for validation from all classes alike.

    Parameters
    ----------
    targets : ndarray of shape (n_samples, n_classes)
        Distributions; only samples without NaN and with a weight are drawn.
    weight : ndarray of shape (n_samples,) or None
        Weights of the samples.
    fraction : float
        Share of the labelled samples, between 0 and 1.
    rng : Generator
        Source of the randomness.

    Returns
    -------
    ndarray of int64
        Indices of the samples, at least one and not all that are labelled.

    Raises
    ------
    ValueError
        If less than two samples are labelled.
    """
    usable = ~np.isnan(targets[:, 0])
    if weight is not None:
        usable &= weight > 0
    labelled = rng.permutation(np.flatnonzero(usable))
    if len(labelled) < 2:
        raise ValueError(
            "early_stopping needs at least 2 labelled samples with a sample_weight "
            "above 0."
        )
    by_class = labelled[np.argsort(targets[labelled].argmax(1), kind="stable")]
    n_held_out = int(np.clip(round(fraction * len(labelled)), 1, len(labelled) - 1))
    places = (np.arange(n_held_out) + rng.random()) * len(labelled) / n_held_out
    return np.sort(by_class[places.astype(int)])
