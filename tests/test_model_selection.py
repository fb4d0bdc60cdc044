"""Scorers: what they measure, their floor, and their use in a grid search."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_cce.model_selection import prediction_strength_scorer, silhouette_scorer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SCORERS = {
    "score": None,
    "prediction strength": prediction_strength_scorer,
    "silhouette": silhouette_scorer,
}
FLOORS = {prediction_strength_scorer: 0.0, silhouette_scorer: -1.0}


class Threshold(ClusterMixin, BaseEstimator):
    """Two clusters, left and right of a threshold that fit takes from X."""

    def __init__(self, quantile=0.5):
        self.quantile = quantile

    def fit(self, X, y=None):
        self.threshold_ = np.quantile(np.asarray(X)[:, 0], self.quantile)
        return self

    def predict(self, X):
        return (np.asarray(X)[:, 0] > self.threshold_).astype(int)


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:200]


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_grid_search_over_fairness_weight_and_n_clusters(scorer, digits, quick):
    pipeline = make_pipeline(StandardScaler(), quick(10, max_epochs=5))
    grid = {
        "collisionclusterer__fairness_weight": [1.0, 100.0],
        "collisionclusterer__n_clusters": [5, 10],
    }
    search = GridSearchCV(
        pipeline, grid, scoring=scorer, cv=2, n_jobs=2, error_score="raise"
    )
    search.fit(digits)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 4
    assert np.isfinite(scores).all()
    assert search.best_score_ == scores.max()
    assert search.predict(digits).shape == (200,)


@pytest.mark.parametrize("scorer", FLOORS)
def test_one_cluster_has_the_lowest_score(scorer, X):
    assert scorer(KMeans(1).fit(X), X) == FLOORS[scorer]


def test_score_of_one_cluster_is_the_lowest(X, quick):
    assert quick(1).fit(X).score(X) == -1


@pytest.mark.parametrize("scorer", FLOORS)
def test_true_number_of_clusters_beats_a_larger_one(scorer, X):
    true, large = (
        scorer(KMeans(k, n_init=5, random_state=0).fit(X[::2]), X[1::2]) for k in (3, 6)
    )
    assert true > large


@pytest.mark.parametrize("scorer", FLOORS)
def test_scores_do_not_depend_on_the_numbers_of_the_clusters(scorer, fitted, X):
    class Renumbered(type(fitted)):
        def predict(self, X):
            return np.array([2, 0, 1])[super().predict(X)]

    renumbered = Renumbered(**fitted.get_params())
    vars(renumbered).update(vars(fitted))
    assert scorer(renumbered, X) == pytest.approx(scorer(fitted, X))


def test_silhouette_is_that_of_scikit_learn(fitted, X):
    expected = silhouette_score(X, fitted.predict(X))
    assert silhouette_scorer(fitted, X) == pytest.approx(expected)
    assert fitted.score(X) == pytest.approx(expected)


def test_silhouette_takes_images(images, quick):
    clusterer = quick(2, max_epochs=30).fit(images)
    flat = images.reshape(len(images), -1)
    expected = silhouette_score(flat, clusterer.predict(images))
    assert silhouette_scorer(clusterer, images) == pytest.approx(expected)


def test_silhouette_takes_no_more_than_5000_samples():
    X = np.random.default_rng(0).normal(size=(10_001, 1))
    estimator = Threshold().fit(X)
    some = X[::3]
    expected = silhouette_score(some, estimator.predict(some))
    assert silhouette_scorer(estimator, X) == pytest.approx(expected)


def test_prediction_strength_by_hand():
    # The estimator splits 0..9 after 6, the refitted clone at the median, after 4.
    # Of the clone's clusters, the left one is whole: 1; the right one of five is split
    # into two and three: (2 * 1 + 3 * 2) / (5 * 4) = 0.4.
    X = np.arange(10.0)[:, None]
    estimator = Threshold().fit(X)
    estimator.threshold_ = 6.5
    assert prediction_strength_scorer(estimator, X) == pytest.approx(0.4)


def test_prediction_strength_leaves_the_estimator_as_it_is(X):
    estimator = Threshold().fit(X)
    threshold = estimator.threshold_
    prediction_strength_scorer(estimator, X[:20])
    assert estimator.threshold_ == threshold


def test_prediction_strength_of_clear_clusters_is_one(fitted, X):
    assert prediction_strength_scorer(fitted, X) == 1.0
