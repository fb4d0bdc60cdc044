"""What the clusters of neighbours say about each other, in nats."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

TINY = 1e-7
"""Added to shares of which the logarithm is taken."""

N_ROUNDS = 8
"""How often samples are moved; half of them are drawn each time."""


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
    code = np.repeat(n_groups * labels, np.diff(affinity.indptr))
    code += labels[affinity.indices]
    shares = np.bincount(code, affinity.data, n_groups**2).reshape(n_groups, n_groups)
    return shares / shares.sum()


def information(shares: np.ndarray) -> float:
    """Return the information that the labels of neighbours hold about each other.

    Parameters
    ----------
    shares : ndarray of shape (n_groups, n_groups)
        Joint distribution of the labels of neighbours.

    Returns
    -------
    float
        ``H(h) - H(h' | h)``, in nats.
    """
    return float(xlogx(shares).sum() + 2 * entropy(shares.sum(axis=0)))


@dataclass(frozen=True)
class Balance:
    """How much the clusters should have the sizes that are wanted.

    Attributes
    ----------
    weight : float
        lambda, above 0.
    prior : ndarray of shape (n_clusters,)
        The shares wanted, above 0, sum 1.
    adapts : bool
        Whether lambda may be raised where neighbours say little about each other.
    """

    weight: float
    prior: np.ndarray
    adapts: bool = False

    @property
    def within_information(self) -> Balance:
        """The part of the balance up to lambda = 1, which the links weigh up."""
        return replace(self, weight=min(self.weight, 1.0))

    @property
    def beyond_information(self) -> Balance | None:
        """The rest, if there is one: then samples between clusters are moved."""
        rest = self.weight - 1.0
        return replace(self, weight=rest) if rest > 0 else None


def objective(shares: np.ndarray, balance: Balance) -> float:
    """Return ``-H(h' | h) - lambda KL(h || u)``, what the start maximises.

    For equal shares wanted it is ``lambda H(h) - H(h' | h)`` but for a constant, and
    for lambda = 1 the information between neighbours.

    Parameters
    ----------
    shares : ndarray of shape (n_clusters, n_clusters)
        Joint distribution of the clusters of neighbours.
    balance : Balance
        lambda and u.

    Returns
    -------
    float
        Nats, at most 0.
    """
    mass = shares.sum(axis=0)
    own = entropy(mass)
    lost = entropy(shares.ravel()) - own
    return float(-lost + balance.weight * (own + mass @ np.log(balance.prior)))


def merging_costs(
    shares: np.ndarray, own: np.ndarray, group: int | np.integer, weight: float
) -> np.ndarray:
    """Return by how much merging a group with each other one lowers the objective."""
    mass = shares.sum(axis=1)
    rows = own + own[group] - xlogx(shares + shares[group]).sum(axis=1)
    masses = xlogx(mass) + xlogx(mass[group]) - xlogx(mass + mass[group])
    costs = rows - weight * masses
    costs[mass <= 0] = np.inf
    costs[group] = np.inf
    return costs


def merge_groups(
    shares: np.ndarray, n_clusters: int, weight: float = 1.0
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
    weight : float, default=1.0
        lambda of the :func:`objective`; equal shares are wanted.

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
    costs = np.stack([merging_costs(shares, own, a, weight) for a in label])
    for _ in range(len(shares) - n_clusters):
        a, b = np.unravel_index(np.argmin(costs), costs.shape)
        shares[a] += shares[b]
        shares[b] = 0
        own[a], own[b] = xlogx(shares[a]).sum(), 0
        label[label == b] = a
        costs[b], costs[:, b] = np.inf, np.inf
        costs[a] = costs[:, a] = merging_costs(shares, own, a, weight)
    return np.unique(label, return_inverse=True)[1]


def ascend(
    affinity: sp.csr_matrix,
    labels: np.ndarray,
    balance: Balance,
    rng: np.random.Generator,
    n_rounds: int = N_ROUNDS,
) -> np.ndarray:
    """Move samples to the cluster that their neighbours say most about.

    In each round half of the samples, drawn at random, take the label of the steepest
    rise of the objective; the best labels met are returned.

    Parameters
    ----------
    affinity : csr_matrix of shape (n_samples, n_samples)
        Symmetric weights of the pairs of neighbours.
    labels : ndarray of shape (n_samples,)
        Clusters to begin with.
    balance : Balance
        What the sizes should be.
    rng : Generator
        Draws the samples.
    n_rounds : int, default=N_ROUNDS
        Number of rounds.

    Returns
    -------
    ndarray of shape (n_samples,), int64
        Clusters.
    """
    weight, prior = balance.weight, balance.prior
    shares = pair_shares(affinity, labels, len(prior))
    tried, scores = [labels], [objective(shares, balance)]
    for _ in range(n_rounds):
        mass = shares.sum(axis=1)
        # Half, as the mass of a cluster grows at both ends of a link within it.
        pull = (weight * np.log(prior) - (1 + weight) * np.log(mass + TINY)) / 2
        gain = np.log((shares + TINY) / (mass + TINY)) + pull[:, None]
        better = (affinity @ gain.T.astype(np.float32)[labels]).argmax(axis=1)
        labels = np.where(rng.random(len(labels)) < 0.5, better, labels)
        shares = pair_shares(affinity, labels, len(prior))
        tried.append(labels)
        scores.append(objective(shares, balance))
    return tried[int(np.argmax(scores))]
