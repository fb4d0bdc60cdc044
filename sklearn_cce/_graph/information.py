"""What the clusters of neighbours say about each other, in nats."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def xlogx(x: np.ndarray) -> np.ndarray:
    """Return ``x ln x``, and 0 at 0."""
    return x * np.log(np.where(x > 0, x, 1))


def entropy(shares: np.ndarray) -> float:
    """Return the entropy of a distribution in nats."""
    return float(-xlogx(shares).sum())


def pair_shares(
    affinity: sp.csr_matrix, labels: np.ndarray, n_groups: int
) -> np.ndarray:
    """Return how often neighbours have each pair of labels.

    Parameters
    ----------
    affinity : csr_matrix of shape (n_samples, n_samples)
        Symmetric weights of the pairs of neighbours.
    labels : ndarray of shape (n_samples,)
        Groups, from 0 to ``n_groups - 1``.
    n_groups : int
        Number of groups.

    Returns
    -------
    ndarray of shape (n_groups, n_groups), float64
        Symmetric, sum 1.
    """
    pairs = affinity.tocoo()
    code = labels[pairs.row] * n_groups + labels[pairs.col]
    shares = np.bincount(code, pairs.data, n_groups**2).reshape(n_groups, n_groups)
    return shares / shares.sum()


def information(shares: np.ndarray, discount: float = 0.0) -> float:
    """Return the information between neighbours' labels, less a part of their entropy.

    ``I(h, h') - b H(h) = (1 - b) H(h) - H(h' | h)``: with b = 0 equal sizes are
    favoured; the larger b, the less.

    Parameters
    ----------
    shares : ndarray of shape (n_groups, n_groups)
        Joint distribution of the labels of neighbours.
    discount : float, default=0.0
        b, from 0 to 1.

    Returns
    -------
    float
        Nats.
    """
    return float(xlogx(shares).sum() + (2 - discount) * entropy(shares.sum(axis=0)))


def excess_leak(shares: np.ndarray) -> float:
    """Return the share of links that leave clusters, weighted by their excess in size.

    Parameters
    ----------
    shares : ndarray of shape (n_clusters, n_clusters)
        Joint distribution of the labels of neighbours.

    Returns
    -------
    float
        Between 0 and 1; 0 where all sizes are equal.
    """
    mass = shares.sum(axis=1)
    excess = np.maximum(mass - 1 / len(mass), 0)
    leaks = 1 - shares.diagonal() / np.maximum(mass, 1e-30)
    return float(excess @ leaks / max(excess.sum(), 1e-30))


def merging_costs(
    shares: np.ndarray, own: np.ndarray, group: int | np.integer, discount: float
) -> np.ndarray:
    """Return what merging a group with each other one costs in information."""
    mass = shares.sum(axis=1)
    rows = own + own[group] - xlogx(shares + shares[group]).sum(axis=1)
    masses = xlogx(mass) + xlogx(mass[group]) - xlogx(mass + mass[group])
    costs = rows - (1 - discount) * masses
    costs[mass <= 0] = np.inf
    costs[group] = np.inf
    return costs


def merge_groups(
    shares: np.ndarray, n_clusters: int, discount: float = 0.0
) -> np.ndarray:
    """Merge groups until there are so many as wanted: the information bottleneck.

    Each step merges the two groups whose union says least less about the group of a
    neighbour [1]_.

    Parameters
    ----------
    shares : ndarray of shape (n_groups, n_groups)
        Joint distribution of the groups of neighbours.
    n_clusters : int
        Number of groups to end with.
    discount : float, default=0.0
        See :func:`information`.

    Returns
    -------
    ndarray of shape (n_groups,), int64
        The cluster of every group.

    References
    ----------
    .. [1] Slonim & Tishby (1999), "Agglomerative information bottleneck".
    """
    shares, label = shares.copy(), np.arange(len(shares))
    own = xlogx(shares).sum(axis=1)
    costs = np.stack([merging_costs(shares, own, a, discount) for a in label])
    for _ in range(len(shares) - n_clusters):
        a, b = np.unravel_index(np.argmin(costs), costs.shape)
        shares[a] += shares[b]
        shares[b] = 0
        own[a], own[b] = xlogx(shares[a]).sum(), 0
        label[label == b] = a
        costs[b], costs[:, b] = np.inf, np.inf
        costs[a] = costs[:, a] = merging_costs(shares, own, a, discount)
    return np.unique(label, return_inverse=True)[1]


def ascend(
    affinity: sp.csr_matrix,
    labels: np.ndarray,
    n_clusters: int,
    rng: np.random.Generator,
    discount: float = 0.0,
    n_rounds: int = 8,
) -> np.ndarray:
    """Move samples to the cluster that their neighbours say most about.

    In each round half of the samples, drawn at random, take the label of the steepest
    rise of the information; the best labels met are returned.

    Parameters
    ----------
    affinity : csr_matrix of shape (n_samples, n_samples)
        Symmetric weights of the pairs of neighbours.
    labels : ndarray of shape (n_samples,)
        Clusters to begin with.
    n_clusters : int
        Number of clusters.
    rng : Generator
        Draws the samples.
    discount : float, default=0.0
        See :func:`information`.
    n_rounds : int, default=8
        Number of rounds.

    Returns
    -------
    ndarray of shape (n_samples,), int64
        Clusters.
    """
    shares = pair_shares(affinity, labels, n_clusters)
    tried, scores = [labels], [information(shares, discount)]
    for _ in range(n_rounds):
        mass = shares.sum(axis=1)
        gain = np.log((shares + 1e-7) / (np.outer(mass, mass) + 1e-7))
        gain += discount / 2 * np.log(mass + 1e-7)
        better = (affinity @ gain.astype(np.float32)[labels]).argmax(axis=1)
        labels = np.where(rng.random(len(labels)) < 0.5, better, labels)
        shares = pair_shares(affinity, labels, n_clusters)
        tried.append(labels)
        scores.append(information(shares, discount))
    return tried[int(np.argmax(scores))]
