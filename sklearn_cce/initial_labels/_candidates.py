"""Candidate clusterings: spectral ones, and one by k-means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans

from ._information import (
    ascend,
    entropy,
    information,
    merge_groups,
    pair_shares,
)

SHAPES = ((1.5, 0), (2, 0), (2, 10), (3, 10))
"""Groups per cluster, and exponent of the eigenvalues, of the candidates in turn."""

EQUAL, FREE = 0.0, 0.6
"""Discounts of the entropy: for clusters of equal sizes, and of whatever sizes."""

FREE_DEFICIT = 0.145
"""Free sizes are believed where they leave this share of the entropy ln K unused."""

MAX_SPREAD = 1.5
"""Candidates that spread so much more than the most compact one are left out."""

FEW_SAMPLES = 5_000
"""Up to here k-means is cheap enough for ten starts."""


@dataclass
class Candidates:
    """Hard clusterings of the same samples, best first.

    Attributes
    ----------
    labels : ndarray of shape (n_candidates, n_samples)
        The clusterings.
    scores : ndarray of shape (n_candidates,)
        Information between neighbours, in nats, falling.
    equal_sizes : bool
        Whether clusters of equal sizes were favoured.
    """

    labels: np.ndarray
    scores: np.ndarray
    equal_sizes: bool


def eigenvectors(
    affinity: sp.csr_matrix, n_vectors: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading eigenpairs of the normalised affinity, largest first."""
    n = affinity.shape[0]
    degree = np.maximum(np.asarray(affinity.sum(axis=1)).ravel(), 1e-30)
    scale = sp.diags_array((degree**-0.5).astype(np.float32))
    normalised = scale @ affinity @ scale
    if n_vectors > n // 3:
        values, vectors = np.linalg.eigh(normalised.toarray())
    else:
        start = rng.standard_normal(n).astype(np.float32)
        values, vectors = eigsh(normalised, n_vectors, which="LA", tol=1e-2, v0=start)
    return values[: -n_vectors - 1 : -1], vectors[:, : -n_vectors - 1 : -1]


def kmeans(
    X: np.ndarray,
    n_groups: int,
    weight: np.ndarray,
    rng: np.random.Generator,
    n_init: int = 1,
) -> np.ndarray:
    """Return the groups of k-means."""
    seed = int(rng.integers(2**31 - 1))
    model = KMeans(n_groups, n_init=n_init, max_iter=50, random_state=seed)
    return model.fit_predict(X, sample_weight=weight).astype(np.int64)


def fine_groups(
    values: np.ndarray,
    vectors: np.ndarray,
    n_groups: int,
    weight: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the groups of k-means on the directions of the spectral embedding."""
    E = vectors[:, :n_groups] * values[:n_groups]
    length = np.linalg.norm(E, axis=1, keepdims=True)
    return kmeans(np.float32(E / np.maximum(length, 1e-12)), n_groups, weight, rng)


def sizes_are_free(
    candidates: list[np.ndarray], n_clusters: int, weight: np.ndarray
) -> bool:
    """Return whether clusters of free sizes turn out far from equal, on average."""
    shares = [np.bincount(h, weight, n_clusters) / weight.sum() for h in candidates]
    used = np.mean([entropy(share) for share in shares])
    return 1 - used / np.log(n_clusters) > FREE_DEFICIT


def spread(Z: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> float:
    """Return the sum of squared distances to the means of the clusters."""
    H = sp.csr_array((weight, (labels, np.arange(len(Z)))))
    size = np.maximum(np.bincount(labels, weight), 1e-30)
    return float(weight @ np.sum(Z**2, axis=1) - np.sum((H @ Z) ** 2 / size[:, None]))


def find_candidates(
    Z: np.ndarray,
    affinity: sp.csr_matrix,
    n_clusters: int,
    weight: np.ndarray,
    n_spectral: int,
    rng: np.random.Generator,
) -> Candidates:
    """Return spectral clusterings and one by k-means, ranked by their information.

    Where the graph misleads, the spectral clusters are stretched: a clustering that
    spreads much more than the most compact one is left out.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features), float32
        Centred samples.
    affinity : csr_matrix of shape (n_samples, n_samples)
        Symmetric weights of the pairs of neighbours.
    n_clusters : int
        Number of clusters, from 2 to below n_samples.
    weight : ndarray of shape (n_samples,), float64
        Sample weights, above 0.
    n_spectral : int
        Number of spectral clusterings.
    rng : Generator
        The source of randomness.

    Returns
    -------
    Candidates
        At least one.
    """
    n_most = min(3 * n_clusters, len(Z))
    values, vectors = eigenvectors(affinity, n_most, rng)
    merged: dict[float, list[np.ndarray]] = {EQUAL: [], FREE: []}
    for i in range(n_spectral):
        ratio, power = SHAPES[i % len(SHAPES)]
        n_groups = min(int(ratio * n_clusters), n_most)
        powers = np.maximum(values, 0) ** power
        fine = fine_groups(powers, vectors, n_groups, weight, rng)
        shares = pair_shares(affinity, fine, n_groups)
        for discount, found in merged.items():
            found.append(merge_groups(shares, n_clusters, discount)[fine])
    free = sizes_are_free(merged[FREE], n_clusters, weight)
    discount = FREE if free else EQUAL
    found = merged[discount]
    if not free:
        found = [ascend(affinity, h, n_clusters, rng) for h in found]
    n_init = 10 if len(Z) <= FEW_SAMPLES else 1
    found.append(kmeans(Z, n_clusters, weight, rng, n_init))
    return rank(found, Z, affinity, n_clusters, weight, discount)


def rank(
    found: list[np.ndarray],
    Z: np.ndarray,
    affinity: sp.csr_matrix,
    n_clusters: int,
    weight: np.ndarray,
    discount: float,
) -> Candidates:
    """Drop the clusterings that spread too much, and put the best first."""
    spreads = np.array([spread(Z, h, weight) for h in found])
    tolerance = 1e-6 * float(weight @ np.sum(Z**2, axis=1))
    compact = spreads <= MAX_SPREAD * max(spreads.min(), 0) + tolerance
    labels = np.array(found)[compact]
    scores = np.array(
        [information(pair_shares(affinity, h, n_clusters), discount) for h in labels]
    )
    order = np.argsort(-scores, kind="stable")
    return Candidates(labels[order], scores[order], discount == EQUAL)
