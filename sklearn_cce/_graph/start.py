"""A good start: soft labels from the graph of neighbours, and the shares of clusters.

Several spectral clusterings, and one by k-means, are ranked by the information that
the clusters of neighbours hold about each other, and averaged. Clusters that are far
apart are taken as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from sklearn_cce._graph.candidates import Candidates, find_candidates
from sklearn_cce._graph.separation import likelihood, separated
from sklearn_cce._training.process import undisturbed

__all__ = ["initial_labels"]

ROUNDING = 1e-6
"""Nats by which the likelihoods of equal clusterings may differ."""

TEMPERATURE = 0.005
"""Nats of information by which a clustering counts e times less."""

DISAGREEMENT = 0.1
"""Share of the samples put elsewhere by which a clustering counts e times less."""

SMALLEST_SHARE = 0.1
"""No cluster is taken to be smaller than this part of an equal share."""


class Start(NamedTuple):
    """What the network learns first.

    Attributes
    ----------
    labels : ndarray of shape (n_samples, n_clusters), float32
        Every row sums to 1.
    prior : ndarray of shape (n_clusters,), float64
        Shares of the clusters: their own where they are certain, else between those of
        the soft labels and equal ones.
    certain : bool
        Whether the clusters lie so far apart that nothing is to be learnt about them.
    """

    labels: np.ndarray
    prior: np.ndarray
    certain: bool


@undisturbed()
def initial_labels(
    Z: np.ndarray,
    graph: sp.csr_matrix,
    n_clusters: int,
    weight: np.ndarray,
    n_spectral: int,
    seed: int,
) -> Start:
    """Return soft labels, and the share that every cluster should have.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features), float32
        Centred samples, no two of them equal.
    graph : csr_matrix of shape (n_samples, n_samples)
        Links from every sample to its neighbours, non-negative.
    n_clusters : int
        Number of clusters.
    weight : ndarray of shape (n_samples,), float64
        Sample weights, above 0.
    n_spectral : int
        Number of spectral clusterings to average.
    seed : int
        Determines the result.

    Returns
    -------
    Start
        The labels and the shares.
    """
    n_clusters = int(n_clusters)
    if len(Z) <= n_clusters or n_clusters == 1:
        return certain_start(np.arange(len(Z)) % n_clusters, n_clusters, weight)
    affinity = symmetric(graph, weight)
    rng = np.random.default_rng(seed)
    # With more threads k-means adds up in any order, and its bits would vary.
    with threadpool_limits(1, user_api="openmp"):
        found = find_candidates(Z, affinity, n_clusters, weight, n_spectral, rng)
        apart = separated(Z, n_clusters, weight, rng)
    if apart is not None and is_likelier(apart, found, Z, weight):
        return certain_start(apart, n_clusters, weight)
    soft = consensus(found.labels, found.scores, n_clusters, weight)
    return Start(soft, estimated_prior(soft, weight), certain=False)


def symmetric(graph: sp.csr_matrix, weight: np.ndarray) -> sp.csr_matrix:
    """Return how strongly samples are linked; one without a link is so to itself."""
    links = sp.diags_array(np.float32(weight / weight.mean())) @ graph
    both = links + links.T
    alone = np.float32(np.asarray(both.sum(axis=1)).ravel() == 0)
    return sp.csr_matrix(both + sp.diags_array(alone))


def certain_start(labels: np.ndarray, n_clusters: int, weight: np.ndarray) -> Start:
    """Return a start from clusters that are known; equal shares if some are empty."""
    found = np.bincount(labels, weight, n_clusters)
    sizes = found if found.all() else np.ones(n_clusters)
    return Start(one_hot(labels, n_clusters), sizes / sizes.sum(), certain=True)


def is_likelier(
    labels: np.ndarray, others: Candidates, Z: np.ndarray, weight: np.ndarray
) -> bool:
    """Return whether clusters are the most probable ones, with one covariance."""
    least = likelihood(Z, labels, weight) + ROUNDING
    return all(likelihood(Z, other, weight) <= least for other in others.labels)


def one_hot(labels: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return labels as rows of an identity matrix, float32."""
    return np.eye(n_clusters, dtype=np.float32)[labels]


def consensus(
    labels: np.ndarray,
    scores: np.ndarray,
    n_clusters: int,
    weight: np.ndarray,
    n_rounds: int = 5,
) -> np.ndarray:
    """Return the mean of hard clusterings, each matched to it by the Hungarian method.

    Where there is more than one kind of good clustering, a mean of both would be
    neither: what disagrees with the mean, at first the best of all, counts less.

    Parameters
    ----------
    labels : ndarray of shape (n_candidates, n_samples)
        Clusterings, the best first.
    scores : ndarray of shape (n_candidates,)
        The higher, the more a clustering counts.
    n_clusters : int
        Number of clusters.
    weight : ndarray of shape (n_samples,)
        Sample weights.
    n_rounds : int, default=5
        How often all are matched to the mean of the round before.

    Returns
    -------
    ndarray of shape (n_samples, n_clusters), float32
        Every row sums to 1.
    """
    samples, share = np.arange(len(weight)), weight / weight.sum()
    mean = one_hot(labels[0], n_clusters)
    for _ in range(n_rounds):
        matched = [match(h, mean, share)[h] for h in labels]
        agreement = np.array([share @ mean[samples, h] for h in matched])
        votes = softmax(scores / TEMPERATURE + agreement / DISAGREEMENT)
        mean = np.zeros_like(mean)
        for h, vote in zip(matched, votes.astype(np.float32), strict=True):
            mean[samples, h] += vote
    return mean


def match(labels: np.ndarray, mean: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return which cluster of the mean each cluster of a clustering is."""
    n_clusters = mean.shape[1]
    clusters = sp.csr_array(
        (share, (labels, np.arange(len(labels)))), (n_clusters, len(labels))
    )
    return linear_sum_assignment(-(clusters @ mean))[1]


def estimated_prior(soft: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return shares of the clusters half way to equal ones.

    The shares of soft clusters are themselves uncertain: their square roots, scaled to
    sum 1, cost little where sizes are equal and little where they are not.
    """
    shares = weight @ soft / weight.sum()
    prior = np.sqrt(np.maximum(shares, SMALLEST_SHARE / soft.shape[1]))
    return prior / prior.sum()
