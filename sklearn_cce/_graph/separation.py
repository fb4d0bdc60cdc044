"""Clusters so far apart that they need no other evidence."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.cluster.hierarchy import cut_tree, linkage
from sklearn.cluster import kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin
from sklearn.neighbors import NearestNeighbors

from sklearn_cce._graph.information import entropy

N_LEADING = 20
"""Clusters are compared in so many principal components."""

GROUPS_PER_CLUSTER, LEAST_GROUPS = 4, 100
"""Number of fine groups that are joined to clusters."""

APART = 6.0
"""Standard deviations between the means of clusters that are far apart: less than two
in a thousand samples of two Gaussian ones lie nearer to the other mean."""

OVERLAP = 0.002
"""That share of samples may be nearest to one of another cluster."""

NEARLY_APART = 3.0
"""Clusters of joined groups that are nearer than this are not looked into further."""

N_ROUNDS = 5
"""How often the samples are assigned anew."""

SHRINKAGE, FLOOR = 0.1, 1e-9
"""Parts of the mean variance, within clusters and of all, in the covariance."""

TINY = 1e-300


class TiedGaussians:
    """Clusters as Gaussians with one covariance.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float64
        Centred samples.
    labels : ndarray of shape (n_samples,)
        Clusters from 0 to ``n_clusters - 1``; some may be empty.
    n_clusters : int
        Number of clusters.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    """

    def __init__(
        self, X: np.ndarray, labels: np.ndarray, n_clusters: int, weight: np.ndarray
    ) -> None:
        (n, d), share = X.shape, weight / weight.sum()
        members = sp.csr_array((share, (labels, np.arange(n))), (n_clusters, n))
        self.size = np.bincount(labels, minlength=n_clusters)
        self.share = np.bincount(labels, share, n_clusters)
        self.mean = (members @ X) / np.maximum(self.share, TINY)[:, None]
        rest = (X - self.mean[labels]) * np.sqrt(share)[:, None]
        within = rest.T @ rest * (n / max(n - n_clusters, 1))
        least = SHRINKAGE * np.trace(within) / d + FLOOR * (share @ X**2).mean()
        within = (1 - SHRINKAGE) * within + (least + TINY) * np.eye(d)
        self.variances, axes = np.linalg.eigh(within)
        self.whitening = axes / np.sqrt(self.variances)

    def assign(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable cluster of every sample."""
        means = self.mean @ self.whitening
        height = np.log(np.maximum(self.share, TINY)) - (means**2).sum(1) / 2
        return (X @ self.whitening @ means.T + height).argmax(1)

    def likelihood(self) -> float:
        """Return the logarithm per sample, known its cluster, but for a constant."""
        return float(-np.log(self.variances).sum() / 2 - entropy(self.share))

    def least_distance(self) -> float:
        """Return the standard deviations between the two nearest means.

        What means of few samples differ by chance is taken off. It is 0 where a
        cluster is empty.
        """
        if not self.size.all():
            return 0.0
        means = self.mean @ self.whitening
        square = (means**2).sum(1) - means.shape[1] / self.size
        square = square[:, None] + square - 2 * means @ means.T
        np.fill_diagonal(square, np.inf)
        return float(np.sqrt(max(square.min(), 0.0)))


def leading(Z: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the leading principal components of samples, float64, centred."""
    Z = Z.astype(np.float64)
    Z -= weight @ Z / weight.sum()
    if Z.shape[1] <= N_LEADING:
        return Z
    _, axes = np.linalg.eigh((Z * weight[:, None]).T @ Z)
    return Z @ axes[:, -N_LEADING:]


def joined_groups(
    X: np.ndarray, n_clusters: int, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return clusters of fine groups around samples drawn far from each other.

    The groups are joined by the mean distance of their middles, so that a group far
    from all others stays alone, however few samples it has.
    """
    n_groups = min(max(GROUPS_PER_CLUSTER * n_clusters, LEAST_GROUPS), len(X))
    seed = int(rng.integers(2**31 - 1))
    middles, _ = kmeans_plusplus(
        X, n_groups, sample_weight=weight, random_state=seed, n_local_trials=1
    )
    group = pairwise_distances_argmin(X, middles)
    tree = linkage(middles, "average")
    return cut_tree(tree, n_clusters)[:, 0][group]


def far_apart(
    X: np.ndarray, n_clusters: int, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Return clusters of which any two are `APART`, if such are found."""
    labels = joined_groups(X, n_clusters, weight, rng)
    model = TiedGaussians(X, labels, n_clusters, weight)
    if model.least_distance() < NEARLY_APART:
        return None
    for _ in range(N_ROUNDS):
        labels = model.assign(X)
        model = TiedGaussians(X, labels, n_clusters, weight)
    return labels if model.least_distance() >= APART else None


def separated(
    Z: np.ndarray, n_clusters: int, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Return clusters that are all far apart, if there are just so many.

    Where more clusters are far apart as well, as with a few samples that lie scattered
    around all others, which to take is not clear; nor is it where a sample often is
    nearest to one of another cluster.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Samples.
    n_clusters : int
        Number of clusters.
    weight : ndarray of shape (n_samples,), float64
        Sample weights, above 0.
    rng : Generator
        The source of randomness.

    Returns
    -------
    ndarray of shape (n_samples,), int64, or None
        The clusters, or None.
    """
    if len(Z) <= n_clusters + 1:
        return None
    X = leading(Z, weight)
    labels = far_apart(X, n_clusters, weight, rng)
    if labels is None or far_apart(X, n_clusters + 1, weight, rng) is not None:
        return None
    return labels if keeps_neighbors(X, labels, weight) else None


def keeps_neighbors(X: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> bool:
    """Return whether the nearest other sample is of the same cluster, nearly always."""
    nearest = NearestNeighbors(n_neighbors=1).fit(X).kneighbors(return_distance=False)
    strays = labels != labels[nearest[:, 0]]
    company = np.bincount(labels)[labels] > 1
    return float(weight @ (strays & company)) <= OVERLAP * weight.sum()


def likelihood(Z: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> float:
    """Return how probable samples and clusters are with one covariance, in nats."""
    model = TiedGaussians(leading(Z, weight), labels, labels.max() + 1, weight)
    return model.likelihood()
