"""Unequal classes: centres of clusters in place of the samples of the larger one."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from sklearn_cce import CollisionClassifier, CollisionClusterer


@pytest.fixture(scope="module")
def unequal():
    """Three blobs of the larger class and a small one of the other."""
    X, blob = make_blobs([60, 60, 60, 12], 4, cluster_std=1.5, random_state=0)
    return X, (blob == 3).astype(int), blob


@pytest.fixture(scope="module")
def sampling():
    return pytest.importorskip("imblearn.under_sampling")


def centroids(sampling, fairness_weight, **params):
    clusterer = CollisionClusterer(fairness_weight=fairness_weight, random_state=0)
    return sampling.ClusterCentroids(estimator=clusterer, **params)


def test_centres_take_the_place_of_the_larger_class(sampling, unequal):
    X, y, blob = unequal
    sampler = centroids(sampling, 10.0)
    samples, classes = sampler.fit_resample(X, y)
    assert list(np.bincount(classes)) == [12, 12]
    centers = sampler.estimator_.cluster_centers_
    assert np.isfinite(centers).all()
    rows = {tuple(row) for row in samples[classes == 0]}
    assert rows == {tuple(row) for row in centers}
    means = np.array([X[blob == k].mean(0) for k in range(3)])
    nearest = np.linalg.norm(centers[:, None] - means, axis=2)
    assert list(np.bincount(nearest.argmin(1), minlength=3)) == [4, 4, 4]
    assert nearest.min(1).max() < 3 * 1.5


def test_samples_themselves_are_chosen(sampling, unequal):
    X, y, _ = unequal
    samples, classes = centroids(sampling, 10.0, voting="hard").fit_resample(X, y)
    assert list(np.bincount(classes)) == [12, 12]
    assert {tuple(row) for row in samples} <= {tuple(row) for row in X}


def test_the_centre_of_a_cluster_that_stays_empty_is_nan(sampling, unequal):
    X, y, _ = unequal
    sampler = centroids(sampling, 1e-3)
    with pytest.warns(ConvergenceWarning, match="of 12 clusters are used"):
        samples, _ = sampler.fit_resample(X, y)
    used = len(np.unique(sampler.estimator_.labels_))
    assert np.isnan(samples).all(1).sum() == 12 - used > 0


def test_a_pipeline_samples_before_it_learns(sampling, unequal):
    pipeline = pytest.importorskip("imblearn.pipeline")
    X, y, _ = unequal
    model = pipeline.make_pipeline(
        StandardScaler(),
        centroids(sampling, 10.0),
        CollisionClassifier(max_epochs=30, random_state=0),
    ).fit(X, y)
    assert list(model[-1].classes_) == [0, 1]
    assert model.predict_proba(X).shape == (len(X), 2)
    assert balanced_accuracy_score(y, model.predict(X)) > 0.95
