"""Labels for samples without one, from labelled samples nearby."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

STAY = 0.99
"""Share of a label that comes from the neighbours and not from the sample itself."""

N_ROUNDS = 50
"""How often labels pass over a link."""


def reach_over_links(graph: sp.csr_matrix, given: np.ndarray) -> np.ndarray:
    """Return how much of each label reaches a sample, over links in both directions.

    Parameters
    ----------
    graph : csr_matrix of shape (n_samples, n_samples)
        Non-negative links.
    given : ndarray of shape (n_samples, n_classes), float32
        How much of each label a sample sends out.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float32
        Non-negative.
    """
    both = graph + graph.T
    degree = np.asarray(both.sum(1)).ravel()
    scale = sp.diags(np.where(degree > 0, degree, 1) ** -0.5)
    links = (scale @ both @ scale).tocsr().astype(np.float32)
    labels = given
    for _ in range(N_ROUNDS):
        labels = STAY * (links @ labels) + (1 - STAY) * given
    return labels


def spread_labels(
    graph: sp.csr_matrix, targets: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """Spread labels over the links of a graph.

    Parameters
    ----------
    graph : csr_matrix of shape (n_samples, n_samples)
        Non-negative links; taken in both directions.
    targets : ndarray of shape (n_samples, n_classes), float32
        Distributions, and rows of NaN for the samples without a label.
    weight : ndarray of shape (n_samples,) or None
        Labels of samples of weight 0 are not used.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float32
        The labels that are given, and distributions for all other samples: uniform
        ones for those that no label reaches.

    References
    ----------
    .. [1] Zhou et al. (2003), "Learning with local and global consistency", NIPS.
    """
    known = ~np.isnan(targets[:, 0])
    if weight is not None:
        known &= weight > 0
    given = np.where(known[:, None], targets, 0)
    labels = reach_over_links(graph, given)
    total = labels.sum(1, keepdims=True)
    reached = total > 0
    labels = np.where(reached, labels, 1 / labels.shape[1])
    labels /= np.where(reached, total, 1)
    return np.where(known[:, None], targets, labels).astype(np.float32)
