"""The information that neighbours' clusters hold about each other."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import mutual_info_score

from sklearn_cce._graph.information import (
    ascend,
    entropy,
    excess_leak,
    information,
    merge_groups,
    merging_costs,
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


def after_merger(shares, a, b, discount=0.0):
    """Return what a group says about its neighbour's, two groups being one."""
    rows = shares.copy()
    rows[a] += rows[b]
    rows[b] = 0
    own, other = entropy(rows.sum(1)), entropy(rows.sum(0))
    return (1 - discount) * own + other - entropy(rows.ravel())


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


@pytest.mark.parametrize("discount", [0.3, 0.6, 1.0])
def test_the_discount_is_a_part_of_the_entropy(discount, affinity, labels):
    shares = pair_shares(affinity, labels, 5)
    expected = information(shares) - discount * entropy(shares.sum(0))
    assert information(shares, discount) == pytest.approx(expected)


def test_entropy_of_equal_shares_is_the_logarithm_of_their_number():
    assert entropy(np.full(7, 1 / 7)) == pytest.approx(np.log(7))
    assert entropy(np.array([1.0, 0.0])) == 0


def test_the_leak_is_that_of_the_clusters_larger_than_equal():
    shares = np.array([[0.5, 0.1, 0.0], [0.1, 0.1, 0.05], [0.0, 0.05, 0.1]])
    assert excess_leak(shares) == pytest.approx(1 / 6)
    assert excess_leak(np.full((2, 2), 0.25)) == 0


@pytest.mark.parametrize("discount", [0.0, 0.6])
def test_merging_costs_are_the_loss_of_information(discount, affinity, labels):
    shares = pair_shares(affinity, labels, 5)
    costs = merging_costs(shares, xlogx(shares).sum(1), 2, discount)
    for b in (0, 1, 3, 4):
        left = after_merger(shares, 2, b, discount)
        lost = information(shares, discount) - left
        assert costs[b] == pytest.approx(lost, abs=1e-12)
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


def test_ascent_never_ends_with_less_information(affinity, labels):
    for seed in range(5):
        better = ascend(affinity, labels, 5, np.random.default_rng(seed))
        before = information(pair_shares(affinity, labels, 5))
        assert information(pair_shares(affinity, better, 5)) >= before


def test_ascent_mends_wrong_labels():
    part = np.repeat(np.arange(3), 20)
    A = sp.csr_matrix(np.equal.outer(part, part).astype(np.float32))
    wrong = np.where(np.arange(60) % 5, part, (part + 1) % 3)
    assert np.array_equal(ascend(A, wrong, 3, np.random.default_rng(0), 12), part)
