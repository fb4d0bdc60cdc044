"""The information that neighbours' clusters hold about each other."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import mutual_info_score

from sklearn_cce._graph.information import (
    Balance,
    ascend,
    entropy,
    information,
    merge_groups,
    merging_costs,
    objective,
    pair_shares,
    xlogx,
)


@pytest.fixture
def affinity():
    rng = np.random.default_rng(0)
    A = rng.random((60, 60), dtype=np.float32) * (rng.random((60, 60)) < 0.1)
    return sp.csr_matrix(A + A.T)


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, 5, 60)


def equal(n_clusters, weight=1.0):
    return Balance(weight, np.full(n_clusters, 1 / n_clusters))


def after_merger(shares, a, b, weight=1.0):
    """Return what a group says about its neighbour's, two groups being one."""
    rows = shares.copy()
    rows[a] += rows[b]
    rows[b] = 0
    own, other = entropy(rows.sum(1)), entropy(rows.sum(0))
    return weight * own + other - entropy(rows.ravel())


def test_pair_shares_are_the_weights_between_groups(affinity, labels):
    H = np.eye(5)[labels]
    expected = H.T @ affinity.toarray() @ H
    expected /= expected.sum()
    np.testing.assert_allclose(pair_shares(affinity, labels, 5), expected, atol=1e-7)


def test_information_is_the_mutual_information_of_the_pairs(affinity, labels):
    A = affinity.astype(bool).astype(np.float32)
    pairs = A.tocoo()
    expected = mutual_info_score(labels[pairs.row], labels[pairs.col])
    assert information(pair_shares(A, labels, 5)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("weight", [0.3, 1.0, 1000.0])
def test_the_objective_is_balance_less_what_neighbours_leave_open(
    weight, affinity, labels
):
    shares = pair_shares(affinity, labels, 5)
    sizes = shares.sum(0)
    left_open = entropy(shares.ravel()) - entropy(sizes)
    expected = weight * (entropy(sizes) - np.log(5)) - left_open
    assert objective(shares, equal(5, weight)) == pytest.approx(expected)
    prior = np.array([0.5, 0.2, 0.1, 0.1, 0.1])
    divergence = sizes @ np.log(sizes / prior)
    expected = -weight * divergence - left_open
    assert objective(shares, Balance(weight, prior)) == pytest.approx(expected)


def test_with_weight_one_the_objective_is_the_information(affinity, labels):
    shares = pair_shares(affinity, labels, 5)
    expected = information(shares) - np.log(5)
    assert objective(shares, equal(5)) == pytest.approx(expected)


def test_a_balance_is_weighed_by_the_links_up_to_the_information():
    assert equal(3, 0.5).within_information.weight == 0.5
    assert equal(3, 0.5).beyond_information is None
    assert equal(3, 10.0).within_information.weight == 1
    assert equal(3, 10.0).beyond_information.weight == 9


def test_entropy_of_equal_shares_is_the_logarithm_of_their_number():
    assert entropy(np.full(7, 1 / 7)) == pytest.approx(np.log(7))
    assert entropy(np.array([1.0, 0.0])) == 0


@pytest.mark.parametrize("weight", [1.0, 0.4])
def test_merging_costs_are_the_loss_of_the_objective(weight, affinity, labels):
    shares = pair_shares(affinity, labels, 5)
    costs = merging_costs(shares, xlogx(shares).sum(1), 2, weight)
    for b in (0, 1, 3, 4):
        left = after_merger(shares, 2, b, weight)
        own = entropy(shares.sum(1))
        before = (weight + 1) * own - entropy(shares.ravel())
        assert costs[b] == pytest.approx(before - left, abs=1e-12)
    assert costs[2] == np.inf


def test_the_first_merger_is_the_cheapest(affinity, labels):
    shares = pair_shares(affinity, labels, 5)
    label = merge_groups(shares, 4)
    pairs = list(itertools.combinations(range(5), 2))
    (merged,) = [(a, b) for a, b in pairs if label[a] == label[b]]
    assert merged == max(pairs, key=lambda pair: after_merger(shares, *pair))


@pytest.mark.parametrize("n_clusters", [1, 2, 5])
def test_there_remain_as_many_groups_as_wanted(n_clusters, affinity, labels):
    label = merge_groups(pair_shares(affinity, labels, 5), n_clusters)
    assert sorted(set(label)) == list(range(n_clusters))


def test_groups_of_separate_parts_are_joined():
    part = np.repeat(np.arange(3), 20)
    A = sp.csr_matrix(np.equal.outer(part, part).astype(np.float32))
    fine = np.arange(60) % 4 + 4 * part
    label = merge_groups(pair_shares(A, fine, 12), 3)
    assert np.array_equal(label, np.repeat(label[::4], 4))
    assert len(set(label[::4])) == 3


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_ascent_never_lowers_the_objective(weight, affinity, labels):
    for prior in (np.full(5, 0.2), np.array([0.4, 0.3, 0.1, 0.1, 0.1])):
        balance = Balance(weight, prior)
        before = objective(pair_shares(affinity, labels, 5), balance)
        for seed in range(5):
            better = ascend(affinity, labels, balance, np.random.default_rng(seed))
            assert objective(pair_shares(affinity, better, 5), balance) >= before


def test_ascent_mends_wrong_labels():
    part = np.repeat(np.arange(3), 20)
    A = sp.csr_matrix(np.equal.outer(part, part).astype(np.float32))
    wrong = np.where(np.arange(60) % 5, part, (part + 1) % 3)
    found = ascend(A, wrong, equal(3), np.random.default_rng(0), 12)
    assert np.array_equal(found, part)
