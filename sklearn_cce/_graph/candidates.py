"""Candidate clusterings: spectral ones, and one by k-means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import KMeans, kmeans_plusplus

from sklearn_cce._graph.information import (
    N_ROUNDS,
    Balance,
    ascend,
    merge_groups,
    objective,
    pair_shares,
)
from sklearn_cce._graph.remembered import generator
from sklearn_cce._training.progress import progress

SHAPES = ((1.5, 0), (2, 0), (2, 10), (3, 10))
"""Groups per cluster, and exponent of the eigenvalues, of the candidates in turn."""

MAX_SPREAD = 1.5
"""Candidates that spread so much more than the most compact one are left out."""

MOST_VECTORS = 500
"""So many eigenvectors are computed at most: more would take hours, and add little."""

SMALL_MATRIX = 1_000
"""Up to this size all eigenvectors are computed."""

FILTERS, FILTER_DEGREE = 3, 16
"""Number of Chebyshev filters, and of products with the matrix in each."""

FEW_SAMPLES = 5_000
"""Up to here k-means is cheap enough for ten starts."""

LEAST_DRAWN, DRAWN_PER_GROUP = 2_000, 10
"""Among so many samples, and so many per group, the means of one start are drawn."""


@dataclass
class Candidates:
    """Hard clusterings of the same samples, best first.

    Attributes
    ----------
    labels : ndarray of shape (n_candidates, n_samples)
        The clusterings.
    scores : ndarray of shape (n_candidates,)
        Their objective in nats, falling.
    """

    labels: np.ndarray
    scores: np.ndarray


def eigenvectors(
    affinity: sp.csr_matrix, n_vectors: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading eigenpairs of the normalised affinity, largest first.

    Small matrices are solved as a whole, large ones by subspace iteration with a
    Chebyshev filter [1]_: products with a block of vectors, which need no more memory
    than a few such blocks.

    Parameters
    ----------
    affinity : csr_matrix of shape (n_samples, n_samples)
        Symmetric weights of the pairs of neighbours.
    n_vectors : int
        How many.
    rng : Generator
        Draws the first block.

    Returns
    -------
    values : ndarray of shape (n_vectors,)
        At most 1.
    vectors : ndarray of shape (n_samples, n_vectors)
        Orthonormal columns.

    References
    ----------
    .. [1] Zhou & Saad (2007), "A Chebyshev-Davidson algorithm for large symmetric
       eigenproblems".
    """
    n = affinity.shape[0]
    degree = np.maximum(np.asarray(affinity.sum(axis=1)).ravel(), 1e-30)
    scale = sp.diags_array((degree**-0.5).astype(np.float32))
    matrix = sp.csr_array(scale @ affinity @ scale)
    if n <= SMALL_MATRIX or n_vectors > n // 4:
        values, vectors = np.linalg.eigh(matrix.toarray())
    else:
        block = rng.standard_normal((n, n_vectors + n_vectors // 4 + 5))
        values, vectors = filtered_subspace(matrix, block.astype(np.float32))
    return values[: -n_vectors - 1 : -1], vectors[:, : -n_vectors - 1 : -1]


def filtered_subspace(
    matrix: sp.csr_array, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return Ritz pairs, rising, after damping all eigenvalues below a rising bound."""
    bound = 0.0
    for _ in range(FILTERS):
        centre, half_width = (bound - 1) / 2, (bound + 1) / 2
        previous, block = block, (matrix @ block - centre * block) / half_width
        for _ in range(FILTER_DEGREE - 1):
            product = (matrix @ block - centre * block) * (2 / half_width)
            previous, block = block, product - previous
        block = np.linalg.qr(block)[0]
        values, turn = np.linalg.eigh((block.T @ (matrix @ block)).astype(np.float64))
        block = block @ turn.astype(np.float32)
        bound = float(np.clip(values[0], 0, 0.999))
    return values, block


def kmeans(
    X: np.ndarray,
    n_groups: int,
    weight: np.ndarray,
    rng: np.random.Generator,
    n_init: int = 1,
) -> np.ndarray:
    """Return the groups of k-means; one start among many samples is drawn from few."""
    seed = int(rng.integers(2**31 - 1))
    init, n_few = "k-means++", max(LEAST_DRAWN, DRAWN_PER_GROUP * n_groups)
    if n_init == 1 and len(X) > n_few:
        few = rng.choice(len(X), n_few, replace=False)
        # In float32 scikit-learn computes distances by small chunks, more slowly.
        init = kmeans_plusplus(
            X[few].astype(np.float64),
            n_groups,
            sample_weight=weight[few],
            random_state=seed,
        )[0].astype(X.dtype)
    model = KMeans(n_groups, init=init, n_init=n_init, max_iter=50, random_state=seed)
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
    directions = (E / np.maximum(length, 1e-12)).astype(np.float32)
    return kmeans(directions, n_groups, weight, rng)


def spread(Z: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> float:
    """Return the sum of squared distances to the means of the clusters."""
    H = sp.csr_array((weight, (labels, np.arange(len(Z)))))
    size = np.maximum(np.bincount(labels, weight), 1e-30)
    return float(weight @ np.sum(Z**2, axis=1) - np.sum((H @ Z) ** 2 / size[:, None]))


class Fine(NamedTuple):
    """Groups that are merged to clusters, and the state of what then draws."""

    labels: np.ndarray
    n_groups: int
    state: Mapping[str, Any]


class Groups(NamedTuple):
    """What candidates are made of, whatever sizes are wanted.

    Attributes
    ----------
    fine : list of Fine
        Groups of the spectral embedding.
    by_means : ndarray of shape (n_samples,)
        The clusters of k-means.
    state : dict
        Where the generator stands in the end.
    """

    fine: list[Fine]
    by_means: np.ndarray
    state: Mapping[str, Any]


def find_groups(
    Z: np.ndarray,
    affinity: sp.csr_matrix,
    n_clusters: int,
    weight: np.ndarray,
    n_spectral: int,
    state: Mapping[str, Any],
) -> Groups:
    """Return what candidates are made of; the state is that of the generator."""
    n_most, rng, found = min(3 * n_clusters, len(Z)), generator(state), []
    values, vectors = eigenvectors(affinity, min(n_most, MOST_VECTORS), rng)
    for i in progress(range(n_spectral), "spectral clusterings"):
        ratio, power = SHAPES[i % len(SHAPES)]
        n_groups = min(int(ratio * n_clusters), n_most)
        powers = np.maximum(values, 0) ** power
        labels = fine_groups(powers, vectors, n_groups, weight, rng)
        found.append(Fine(labels, n_groups, rng.bit_generator.state))
        rng.random((N_ROUNDS, len(Z)))  # what moving the samples draws
    n_init = 10 if len(Z) <= FEW_SAMPLES else 1
    by_means = kmeans(Z, n_clusters, weight, rng, n_init)
    return Groups(found, by_means, rng.bit_generator.state)


def find_candidates(
    groups: Groups,
    Z: np.ndarray,
    affinity: sp.csr_matrix,
    balance: Balance,
    weight: np.ndarray,
) -> Candidates:
    """Return spectral clusterings and one by k-means, ranked by their objective.

    Where the graph misleads, the spectral clusters are stretched: a clustering that
    spreads much more than the most compact one is left out.

    Parameters
    ----------
    groups : Groups
        What they are made of.
    Z : ndarray of shape (n_samples, n_features), float32
        Centred samples.
    affinity : csr_matrix of shape (n_samples, n_samples)
        Symmetric weights of the pairs of neighbours.
    balance : Balance
        What the sizes should be, of from 2 to below n_samples clusters.
    weight : ndarray of shape (n_samples,), float64
        Sample weights, above 0.

    Returns
    -------
    Candidates
        At least one.
    """
    found = [
        merged(fine, affinity, balance, weight)
        for fine in progress(groups.fine, "candidate clusterings")
    ]
    found.append(named_as_wanted(groups.by_means, balance.prior, weight))
    return rank(compact(found, Z, weight), affinity, balance)


def merged(
    fine: Fine, affinity: sp.csr_matrix, balance: Balance, weight: np.ndarray
) -> np.ndarray:
    """Return the clusters that groups are merged to, after moving samples."""
    shares = pair_shares(affinity, fine.labels, fine.n_groups)
    labels = merge_groups(shares, len(balance.prior), balance.weight)[fine.labels]
    labels = named_as_wanted(labels, balance.prior, weight)
    return ascend(affinity, labels, balance, generator(fine.state))


def named_as_wanted(
    labels: np.ndarray, prior: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Return clusters numbered so that the largest is the one wanted largest, etc."""
    if np.ptp(prior) == 0:
        return labels
    names = np.empty(len(prior), np.int64)
    sizes = np.bincount(labels, weight, len(prior))
    names[np.argsort(-sizes, kind="stable")] = np.argsort(-prior, kind="stable")
    return names[labels]


def compact(
    found: list[np.ndarray], Z: np.ndarray, weight: np.ndarray
) -> list[np.ndarray]:
    """Return the clusterings that spread little more than the most compact one."""
    spreads = np.array([spread(Z, h, weight) for h in found])
    tolerance = 1e-6 * float(weight @ np.sum(Z**2, axis=1))
    bound = MAX_SPREAD * max(spreads.min(), 0) + tolerance
    return [h for h, s in zip(found, spreads, strict=True) if s <= bound]


def rank(
    found: list[np.ndarray], affinity: sp.csr_matrix, balance: Balance
) -> Candidates:
    """Put the clusterings with the highest objective first."""
    n_clusters = len(balance.prior)
    scores = np.array(
        [objective(pair_shares(affinity, h, n_clusters), balance) for h in found]
    )
    order = np.argsort(-scores, kind="stable")
    return Candidates(np.array(found)[order], scores[order])
