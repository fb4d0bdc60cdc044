"""A good start: soft labels from the graph of neighbours.

Several spectral clusterings, and one by k-means, are ranked by the objective of the
training, with neighbours in the place of the network, and averaged: among neighbours in
the features as they are, and where the clusters that the usual lambda finds so are
round. So who is near whom does not depend on lambda. Clusters that are far apart are
taken as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from sklearn_cce._graph.balancing import balanced
from sklearn_cce._graph.candidates import (
    Candidates,
    Groups,
    find_candidates,
    find_groups,
    merged,
    named_as_wanted,
)
from sklearn_cce._graph.information import (
    Balance,
    entropy,
    information,
    objective,
    pair_shares,
)
from sklearn_cce._graph.metric import rounding, turned
from sklearn_cce._graph.neighbors import as_graph
from sklearn_cce._graph.remembered import NOWHERE, bare, remembered
from sklearn_cce._graph.separation import likelihood, separated
from sklearn_cce._training.process import undisturbed

__all__ = ["initial_labels"]

ROUNDING = 1e-6
"""Nats by which the likelihoods of equal clusterings may differ."""

TEMPERATURE = 0.005
"""Nats of information by which a clustering counts e times less."""

DISAGREEMENT = 0.1
"""Share of the samples put elsewhere by which a clustering counts e times less."""


USUAL_WEIGHT = 0.5
"""The lambda that suits equal and unequal clusters, where neighbours tell them."""

LEAST_WORTH = 0.25
"""Clusters are worth this part of what they tell more than a single one."""


class Turned(NamedTuple):
    """Axes on which clusters are round, and the neighbours in these features."""

    axes: np.ndarray
    table: np.ndarray


class Start(NamedTuple):
    """What the network learns first.

    Attributes
    ----------
    labels : ndarray of shape (n_samples, n_clusters), float32
        Every row sums to 1.
    certain : bool
        Whether the clusters lie so far apart that nothing is to be learnt about them.
    fairness_weight : float
        The lambda that they were found with.
    turned : Turned or None
        Axes on which neighbours say more about each other's clusters than before, if
        they do.
    """

    labels: np.ndarray
    certain: bool
    fairness_weight: float
    turned: Turned | None = None

    def among(self, clusters: np.ndarray, n_clusters: int) -> Start:
        """Return the same start with further clusters, which are empty."""
        labels = np.zeros((len(self.labels), n_clusters), np.float32)
        labels[:, clusters] = self.labels
        return self._replace(labels=labels)


@dataclass
class Clustering:
    """What was found among the neighbours in some features."""

    candidates: Candidates
    soft: np.ndarray
    score: float


@dataclass
class Neighborhoods:
    """What neighbours in some features say, whatever lambda is.

    Attributes
    ----------
    Z : ndarray of shape (n_samples, n_features), float32
        Centred samples.
    affinity : csr_matrix of shape (n_samples, n_samples)
        How strongly they are linked, symmetric.
    weight : ndarray of shape (n_samples,), float64
        Their weights, above 0.
    groups : Groups
        What candidate clusterings are made of.
    """

    Z: np.ndarray
    affinity: sp.csr_matrix
    weight: np.ndarray
    groups: Groups


@undisturbed()
def initial_labels(
    Z: np.ndarray,
    graph: sp.csr_matrix,
    balance: Balance,
    weight: np.ndarray,
    n_spectral: int,
    seed: int,
    search: Callable[[np.ndarray], np.ndarray] | None = None,
    memory: Any = NOWHERE,
) -> Start:
    """Return soft labels: clusters of the sizes wanted whose neighbours agree.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features), float32
        Centred samples, no two of them equal.
    graph : csr_matrix of shape (n_samples, n_samples)
        Links from every sample to its neighbours, non-negative.
    balance : Balance
        What the sizes of the clusters should be.
    weight : ndarray of shape (n_samples,), float64
        Sample weights, above 0.
    n_spectral : int
        Number of spectral clusterings to average.
    seed : int
        Determines the result.
    search : callable, default=None
        Finds such links in other features. None: the links are given.
    memory : joblib.Memory, default=NOWHERE
        Keeps what does not depend on lambda and the shares wanted.

    Returns
    -------
    Start
        The labels, and where their neighbours are.
    """
    wanted = np.flatnonzero(balance.prior)
    n_clusters = len(balance.prior)
    if len(wanted) < n_clusters:
        some = replace(balance, prior=balance.prior[wanted])
        start = initial_labels(Z, graph, some, weight, n_spectral, seed, search, memory)
        return start.among(wanted, n_clusters)
    if len(Z) <= n_clusters or n_clusters == 1:
        return certain_start(np.arange(len(Z)) % n_clusters, balance, weight)
    rng = np.random.default_rng(seed)
    look = functools.partial(neighborhoods, weight, n_clusters, n_spectral, rng, memory)
    # With more threads k-means adds up in any order, and its bits would vary.
    with threadpool_limits(1, user_api="openmp"):
        near = look(Z, graph)
        usual_balance = remembered(memory, usual, near, balance.prior)
        if balance.adapts:
            balance = usual_balance
        best, anew = remembered(memory, clusters, near, balance), None
        # Looked for whatever lambda is: what is drawn next must not depend on it.
        apart = separated(Z, n_clusters, weight, rng)
        if apart is not None and balance.beyond_information is None:
            if is_likelier(apart, best.candidates, Z, weight):
                return certain_start(apart, balance, weight)
        if search is not None:
            middle = best
            if balance.weight != usual_balance.weight:
                middle = remembered(memory, clusters, near, usual_balance)
            axes = rounding(Z, middle.soft, weight)
            Y = turned(Z, axes)
            table = remembered(memory, search, Y)
            other = clusters(look(Y, as_graph(table)), balance)
            if other.score > best.score:
                best, anew = other, Turned(axes, table)
    return Start(best.soft, False, balance.weight, anew)


def neighborhoods(
    weight: np.ndarray,
    n_clusters: int,
    n_spectral: int,
    rng: np.random.Generator,
    memory: Any,
    Z: np.ndarray,
    graph: sp.csr_matrix,
) -> Neighborhoods:
    """Return what neighbours in some features say, from the memory if that has it."""
    affinity, state = bare(symmetric(graph, weight)), rng.bit_generator.state
    given = Z, affinity, n_clusters, weight, n_spectral, state
    groups = remembered(memory, find_groups, *given)
    rng.bit_generator.state = groups.state
    return Neighborhoods(Z, affinity, weight, groups)


def usual(near: Neighborhoods, prior: np.ndarray) -> Balance:
    """Return the balance to use where none is set.

    But for a constant a clustering is worth ``I(h; h') - (1 - lambda) H(h)``, and one
    cluster nothing. So where neighbours say little about each other's clusters, a small
    lambda would put all samples into few of them.
    """
    even = Balance(1.0, prior)
    labels = merged(near.groups.fine[0], near.affinity, even, near.weight)
    shares = pair_shares(near.affinity, labels, len(prior))
    most = entropy(shares.sum(0))
    told = information(shares) / most if most else 0.0
    return Balance(max(USUAL_WEIGHT, 1 - (1 - LEAST_WORTH) * told), prior)


def clusters(near: Neighborhoods, balance: Balance) -> Clustering:
    """Return the clusters that neighbours suggest."""
    K, rest = len(balance.prior), balance.beyond_information
    links, mild = near.affinity, balance.within_information
    found = find_candidates(near.groups, near.Z, links, mild, near.weight)
    soft = consensus(found.labels, found.scores, K, near.weight)
    score = objective(pair_shares(links, soft.argmax(1), K), mild)
    if rest is not None:
        soft = balanced(soft, links, rest, near.weight)
    return Clustering(found, soft, score)


def symmetric(graph: sp.csr_matrix, weight: np.ndarray) -> sp.csr_matrix:
    """Return how strongly samples are linked; one without a link is so to itself."""
    links = sp.diags_array(np.float32(weight / weight.mean())) @ graph
    both = links + links.T
    alone = np.float32(np.asarray(both.sum(axis=1)).ravel() == 0)
    return sp.csr_matrix(both + sp.diags_array(alone))


def certain_start(labels: np.ndarray, balance: Balance, weight: np.ndarray) -> Start:
    """Return a start from clusters that are known."""
    labels = named_as_wanted(labels, balance.prior, weight)
    return Start(one_hot(labels, len(balance.prior)), True, balance.weight)


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
