"""The start: what it finds, that it is repeatable, and small and odd data."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import make_blobs, make_moons

from sklearn_cce._graph import candidates
from sklearn_cce._graph import start as _start
from sklearn_cce._graph.candidates import eigenvectors, named_as_wanted, spread
from sklearn_cce._graph.information import Balance
from sklearn_cce._graph.neighbors import neighbor_table
from sklearn_cce._graph.start import (
    DISAGREEMENT,
    TEMPERATURE,
    consensus,
    initial_labels,
)
from sklearn_cce.metrics import clustering_accuracy
from tests.helpers import neighbor_graph


def start(
    X,
    n_clusters,
    weight=None,
    n_spectral=4,
    seed=0,
    fairness_weight=0.5,
    prior=None,
    adapts=False,
):
    Z = np.asarray(X - X.mean(0), np.float32)
    weight = np.ones(len(Z)) if weight is None else weight
    graph = neighbor_graph(torch.from_numpy(Z), 10)
    prior = np.full(n_clusters, 1 / n_clusters) if prior is None else np.array(prior)
    return initial_labels(
        Z,
        graph,
        Balance(fairness_weight, prior, adapts),
        weight,
        n_spectral,
        seed,
        lambda Y: neighbor_table(torch.from_numpy(Y), 10),
    )


def shares(labels):
    return labels.mean(axis=0)


@pytest.mark.parametrize("n_clusters", [2, 3, 7])
def test_separate_blobs_are_found(n_clusters):
    X, y = make_blobs(60 * n_clusters, centers=8 * np.eye(n_clusters), random_state=0)
    labels, certain, *_ = start(X, n_clusters)
    assert certain
    assert clustering_accuracy(y, labels.argmax(1)) == 1


def test_shapes_that_k_means_cannot_see_are_found():
    X, y = make_moons(400, noise=0.05, random_state=0)
    assert clustering_accuracy(y, start(X, 2)[0].argmax(1)) > 0.98


def test_many_clusters_are_found_with_few_eigenvectors(monkeypatch):
    X, y = make_blobs(900, 8, centers=30, random_state=0, cluster_std=1.5)
    whole = clustering_accuracy(y, start(X, 30, n_spectral=1)[0].argmax(1))
    monkeypatch.setattr(candidates, "MOST_VECTORS", 15)
    few = clustering_accuracy(y, start(X, 30, n_spectral=1)[0].argmax(1))
    assert min(whole, few) > 0.9


def test_what_is_near_does_not_depend_on_lambda(monkeypatch):
    X, _ = make_blobs([300, 150, 80, 30], centers=None, random_state=0)
    seen = []

    def noted(Z, axes):
        seen.append(axes)
        return Z

    monkeypatch.setattr(_start, "turned", noted)
    for weight in (0.05, 0.5, 1.0, 100.0):
        start(X, 4, fairness_weight=weight)
    assert len(seen) == 4
    assert all(np.array_equal(axes, seen[0]) for axes in seen)


def overlapping(spread, n_classes=10, n_features=32):
    rng = np.random.default_rng(0)
    means, y = rng.normal(size=(n_classes, n_features)), np.arange(600) % n_classes
    return means[y] + spread * rng.normal(size=(600, n_features)), y


def test_the_usual_weight_is_larger_where_neighbours_say_little():
    found = [start(overlapping(s)[0], 10, adapts=True) for s in (0.5, 1.0, 2.0, 4.0)]
    weights = [one.fairness_weight for one in found]
    assert weights[0] == weights[1] == 0.5
    assert 0.6 < weights[2] < weights[3] < 0.95


def test_with_the_usual_weight_clusters_are_not_merged():
    X, y = overlapping(2.0)
    merged, kept = start(X, 10), start(X, 10, adapts=True)
    assert (shares(merged.labels) > 0.02).sum() < 10
    assert (shares(kept.labels) > 0.02).all()
    better, worse = (clustering_accuracy(y, s.labels.argmax(1)) for s in (kept, merged))
    assert better > worse + 0.1


def test_the_shares_of_clusters_far_apart_are_exact():
    sizes = [600, 40, 30, 20]
    X, y = make_blobs(sizes, centers=10 * np.eye(4), random_state=0)
    labels, certain, *_ = start(X, 4)
    assert certain
    assert clustering_accuracy(y, labels.argmax(1)) == 1
    assert np.allclose(np.sort(shares(labels)), np.sort(sizes) / sum(sizes))


def test_a_large_weight_makes_the_sizes_those_wanted():
    X, _ = make_blobs([600, 40, 30, 20], centers=10 * np.eye(4), random_state=0)
    assert np.allclose(shares(start(X, 4, fairness_weight=1e3)[0]), 1 / 4, rtol=0.02)
    prior = [0.1, 0.4, 0.2, 0.3]
    found = shares(start(X, 4, fairness_weight=1e3, prior=prior)[0])
    assert np.allclose(found, prior, rtol=0.02)


def test_the_sizes_become_more_equal_with_the_weight():
    rng = np.random.default_rng(0)
    sizes = [500, 200, 80, 20]
    X = np.concatenate([rng.normal(3 * k, 1, (n, 2)) for k, n in enumerate(sizes)])
    entropies = []
    for weight in (0.1, 0.5, 1, 10, 100, 1000):
        found = shares(start(X, 4, fairness_weight=weight)[0])
        entropies.append(-np.sum(found * np.log(np.maximum(found, 1e-9))))
    assert (np.diff(entropies) > -0.02).all()
    assert entropies[-1] == pytest.approx(np.log(4), abs=1e-3)
    assert entropies[0] < 0.75 * np.log(4)


def test_the_largest_cluster_is_the_one_wanted_largest():
    labels = np.repeat([0, 1, 2], [5, 20, 10])
    named = named_as_wanted(labels, np.array([0.2, 0.3, 0.5]), np.ones(35))
    assert np.array_equal(np.bincount(named), [5, 10, 20])
    X, y = make_blobs([300, 60, 140], centers=10 * np.eye(3), random_state=0)
    found = start(X, 3, prior=[0.3, 0.6, 0.1])[0]
    assert np.allclose(shares(found), [0.28, 0.6, 0.12])


def test_clusters_of_no_share_are_empty():
    X, _ = make_blobs(200, centers=3, random_state=0)
    labels = start(X, 4, prior=[0.3, 0.0, 0.4, 0.3])[0]
    assert labels.shape == (200, 4)
    assert labels[:, 1].max() == 0
    assert np.allclose(labels.sum(1), 1, atol=1e-6)


def test_labels_are_distributions_and_the_seed_determines_them():
    X = np.random.default_rng(0).normal(size=(120, 4))
    one, two, other = (start(X, 3, seed=seed)[0] for seed in (0, 0, 1))
    assert one.dtype == np.float32
    assert np.allclose(one.sum(1), 1, atol=1e-6)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    "n, n_clusters", [(1, 1), (1, 3), (3, 3), (4, 3), (5, 4), (9, 2), (12, 11), (40, 1)]
)
def test_few_samples_are_labelled_all_the_same(n, n_clusters):
    labels, *_ = start(np.random.default_rng(0).normal(size=(n, 2)), n_clusters)
    assert labels.shape == (n, n_clusters)
    assert np.allclose(labels.sum(1), 1, atol=1e-6)


def test_equal_samples_are_labelled():
    labels, *_ = start(np.zeros((50, 3)), 4)
    assert labels.shape == (50, 4)
    assert np.isfinite(labels).all()


def test_the_scale_of_the_weights_does_not_count():
    X = np.random.default_rng(0).normal(size=(120, 4))
    weight = np.random.default_rng(1).uniform(0.5, 2, 120)
    one, two = start(X, 3, weight)[0], start(X, 3, 4 * weight)[0]
    assert np.array_equal(one, two)


def test_the_consensus_of_renamed_clusterings_is_one_of_them():
    h = np.random.default_rng(0).integers(0, 4, 50)
    names = np.array([[0, 1, 2, 3], [2, 3, 0, 1], [3, 2, 1, 0]])
    mean = consensus(names[:, h], np.zeros(3), 4, np.ones(50))
    assert np.array_equal(mean.argmax(1), h)
    assert np.allclose(mean.max(1), 1)


def test_better_clusterings_count_more():
    labels = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    scores = np.array([1.0, 1 - TEMPERATURE])
    mean = consensus(labels, scores, 2, np.ones(4), n_rounds=1)
    odds = np.exp(1 + 0.5 / DISAGREEMENT)  # half of the samples are put elsewhere
    assert mean[1] == pytest.approx([odds / (1 + odds), 1 / (1 + odds)], rel=1e-4)


def test_what_disagrees_with_the_consensus_counts_less():
    h = np.random.default_rng(0).integers(0, 4, 400)
    near, far = h.copy(), h.copy()
    near[:20], far[:150] = (h[:20] + 1) % 4, (h[:150] + 1) % 4
    mean = consensus(np.stack([h, near, far]), np.zeros(3), 4, np.ones(400))
    assert mean[np.arange(20, 150), h[20:150]].min() > 0.95
    assert 0.4 < mean[np.arange(20), h[:20]].min() < 0.6


def test_long_clusters_are_looked_for_where_they_are_round():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 150)
    X = np.column_stack([rng.normal(y, 0.2), rng.normal(0, 1, (450, 2))])
    found = start(X, 3)
    assert found.turned is not None
    assert clustering_accuracy(y, found.labels.argmax(1)) > 0.96


@pytest.mark.parametrize("n", [20, 200])
def test_eigenvectors_are_those_of_the_normalised_affinity(n):
    X = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    graph = neighbor_graph(torch.from_numpy(X), 5)
    W = sp.csr_matrix(graph + graph.T)
    values, vectors = eigenvectors(W, 8, np.random.default_rng(0))
    d = np.asarray(W.sum(1)).ravel() ** -0.5
    expected = np.linalg.eigvalsh(d[:, None] * W.toarray() * d)[::-1][:8]
    assert np.allclose(values, expected, atol=1e-2)
    assert np.allclose(vectors.T @ vectors, np.eye(8), atol=1e-3)


def test_spread_is_the_inertia_of_k_means():
    rng = np.random.default_rng(0)
    Z, labels, weight = (
        rng.normal(size=(30, 3)),
        np.arange(30) % 4,
        rng.uniform(size=30),
    )
    expected = 0.0
    for k in range(4):
        own = labels == k
        mean = np.average(Z[own], axis=0, weights=weight[own])
        expected += weight[own] @ ((Z[own] - mean) ** 2).sum(1)
    assert spread(Z, labels, weight) == pytest.approx(expected)
