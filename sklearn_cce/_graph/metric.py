"""Features in which clusters are round."""

from __future__ import annotations

import numpy as np

SHRINKAGE = 0.5
"""Part of the mean variance in the covariance within clusters: half is believed."""

FLOOR = 1e-9
"""Part of the variance of all samples that is added to that within clusters."""


def rounding(Z: np.ndarray, soft: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return axes on which the clusters have about the same variance everywhere.

    Directions in which samples of one cluster differ much count less. It is Fisher's
    discriminant analysis, all directions kept, with a shrunk covariance [1]_.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features), float32
        Centred samples.
    soft : ndarray of shape (n_samples, n_clusters), float32
        Clusters; every row sums to 1.
    weight : ndarray of shape (n_samples,), float64
        Sample weights, above 0.

    Returns
    -------
    ndarray of shape (n_features, n_features), float64
        In the columns, for `turned`.

    References
    ----------
    .. [1] Friedman (1989), "Regularized discriminant analysis".
    """
    share = weight / weight.sum()
    X = Z.astype(np.float64)
    sizes = share @ soft
    means = (soft * share[:, None]).T @ X / np.maximum(sizes, 1e-30)[:, None]
    total = (X * share[:, None]).T @ X
    within = total - (means.T * sizes) @ means
    mean_variance = np.trace(within) / len(within)
    least = SHRINKAGE * mean_variance + FLOOR * np.trace(total) / len(total)
    within = (1 - SHRINKAGE) * within + (least + 1e-300) * np.eye(len(within))
    variances, axes = np.linalg.eigh(within)
    return axes / np.sqrt(variances)


def turned(Z: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return samples on other axes, float32."""
    return (Z.astype(np.float64) @ axes).astype(np.float32)
