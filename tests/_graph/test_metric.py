"""Features in which clusters are round."""

import numpy as np
import pytest

from sklearn_cce._graph.metric import SHRINKAGE, rounding, turned


def rounded(Z, soft, weight):
    return turned(Z, rounding(Z, soft, weight))


def within(Z, y):
    rest = np.concatenate([Z[y == k] - Z[y == k].mean(0) for k in np.unique(y)])
    return rest.T @ rest / len(Z)


@pytest.fixture
def long_clusters():
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    Z = rng.normal(size=(300, 4)) * [1, 5, 0.2, 10] + y[:, None]
    return (Z - Z.mean(0)).astype(np.float32), y


def test_the_covariance_within_clusters_is_whitened_half_way(long_clusters):
    Z, y = long_clusters
    found = rounded(Z, np.eye(3, dtype=np.float32)[y], np.ones(300))
    before = within(Z.astype(float), y)
    shrunk = (1 - SHRINKAGE) * before + SHRINKAGE * np.trace(before) / 4 * np.eye(4)
    variances, axes = np.linalg.eigh(shrunk)
    expected = Z @ (axes / np.sqrt(variances))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-3)


def test_weights_are_repetitions(long_clusters):
    Z, y = long_clusters
    soft, weight = np.eye(3, dtype=np.float32)[y], np.ones(300)
    weight[:40] = 2
    rows = np.repeat(np.arange(300), weight.astype(int))
    one = rounded(Z, soft, weight)[rows]
    two = rounded(Z[rows], soft[rows], np.ones(len(rows)))
    np.testing.assert_allclose(np.abs(one), np.abs(two), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("Z", [np.zeros((6, 2)), np.arange(12.0).reshape(6, 2) - 5.5])
def test_clusters_without_extent_are_kept(Z):
    soft = np.eye(6, dtype=np.float32)
    assert np.isfinite(rounded(Z.astype(np.float32), soft, np.ones(6))).all()
