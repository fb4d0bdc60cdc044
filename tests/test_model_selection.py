"""Scorers: what they measure, their floor, and their use in a grid search."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from sklearn_cce import CollisionClusterer
from sklearn_cce.model_selection import (
    prediction_strength_scorer,
    silhouette_scorer,
    stability_curve,
    stability_scorer,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SCORERS = {
    "score": None,
    "prediction strength": prediction_strength_scorer,
    "silhouette": silhouette_scorer,
    "stability": stability_scorer,
}
FLOORS = {prediction_strength_scorer: 0.0, silhouette_scorer: -1.0, stability_scorer: 0}


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


class Rows:
    """Samples that are read in contiguous slices."""

    def __init__(self, X):
        self.X, self.shape, self.dtype, self.most = X, X.shape, X.dtype, 0

    def __getitem__(self, index):
        assert isinstance(index, slice) and index.step is None
        self.most = max(self.most, len(self.X[index]))
        return self.X[index]


def test_silhouette_reads_slices():
    X, _ = make_blobs(23_000, 2, random_state=0)
    rows, clusterer = Rows(X), KMeans(3, n_init=1, random_state=0).fit(X)
    assert silhouette_scorer(clusterer, rows) == silhouette_scorer(clusterer, X)
    assert rows.most == 4_095  # a multiple of 5, as every fifth is taken


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


# What X may be


class Endless(Dataset):
    """A map-style dataset that has a length, but never raises IndexError."""

    def __init__(self, samples, wrap=lambda sample: sample):
        self.samples, self.wrap, self.read = samples, wrap, []

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.read.append(index)
        return self.wrap(self.samples[index % len(self.samples)])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


DATASETS = {
    "arrays": Endless,
    "tensors": lambda X: Endless(torch.tensor(X)),
    "tuples": lambda X: Endless(X, lambda sample: (sample, 0)),
    "lists": lambda X: Endless(X, lambda sample: [torch.tensor(sample)]),
    "torch's": lambda X: TensorDataset(torch.tensor(X)),
    "subset": lambda X: Subset(Endless(X), range(len(X))),
}
TENSORS = {
    "plain": torch.tensor,
    "learns": lambda X: torch.tensor(X, requires_grad=True),
    "parameter": lambda X: torch.nn.Parameter(torch.tensor(X)),
    "double": lambda X: torch.tensor(X, dtype=torch.float64),
    "bfloat16": lambda X: torch.tensor(X, dtype=torch.bfloat16),
    "half": lambda X: torch.tensor(X, dtype=torch.float16),
}
TABLES = {
    "list": np.ndarray.tolist,
    "frame": pd.DataFrame,
    "objects": lambda X: X.astype(object),
    "half": lambda X: X.astype(np.float16),
    "double": lambda X: X.astype(np.float64),
    "wide": lambda X: X.astype(np.longdouble),
    "rows": list,
}
KINDS = DATASETS | TENSORS | TABLES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scorer", FLOORS)
def test_scores_do_not_depend_on_the_kind_of_the_data(scorer, kind, fitted, X):
    data = KINDS[kind](np.array(X))
    for estimator in (fitted, Threshold(0.3).fit(X)):
        assert scorer(estimator, data) == pytest.approx(scorer(estimator, X), abs=0.02)


def test_silhouette_reads_no_more_of_a_dataset_than_it_needs():
    X = np.random.default_rng(0).normal(size=(12_001, 1)).astype(np.float32)
    dataset, estimator = Endless(X), Threshold().fit(X)
    expected = silhouette_scorer(estimator, X)
    assert silhouette_scorer(estimator, dataset) == pytest.approx(expected)
    assert set(dataset.read) == set(range(0, 12_001, 3))


def test_silhouette_of_a_dataset_of_images(images, quick):
    clusterer = quick(2, max_epochs=10).fit(images)
    expected = silhouette_scorer(clusterer, images)
    assert silhouette_scorer(clusterer, Endless(images)) == pytest.approx(expected)
    assert clusterer.score(Endless(images)) == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-315, 1e-200, 1e-30, 1e30, 1e200, 1e306])
def test_silhouette_does_not_depend_on_the_scale(X, scale):
    X = np.float64(X)
    estimator = Threshold().fit(X)
    expected = silhouette_scorer(estimator, X)
    estimator.threshold_ *= scale
    rounding = 1e-6 if scale == 1e-315 else 1e-12
    assert silhouette_scorer(estimator, X * scale) == pytest.approx(expected, rounding)


def test_silhouette_of_sparse_data(X):
    estimator = KMeans(3, random_state=0).fit(X)
    sparse = silhouette_scorer(estimator, sp.csr_array(X))
    assert sparse == pytest.approx(silhouette_scorer(estimator, X))


NO_SAMPLES = [None, 3, 2.5, "abc", b"abc", 1j, {0: [1.0]}, {1.0}, object(), iter([1])]
NO_SAMPLES += [np.float64(3), np.array(3.0), torch.tensor(3.0), [], np.ones((0, 2))]
NO_SAMPLES += [torch.ones(0, 2), pd.DataFrame(), Endless([]), Stream()]
NO_SAMPLES += [torch.eye(3).to_sparse(), np.ones(3), [1.0, 2.0], torch.ones(3)]
NO_SAMPLES += [pd.Series([1.0, 2.0]), np.eye(3) * 1j, torch.eye(3) * 1j]
NO_SAMPLES += [[[1.0], [1.0, 2.0]], ["a", "b"], [[None], [None]], [["a"], ["b"]]]
NO_SAMPLES += [np.full((3, 2), np.nan), np.full((3, 2), np.inf), [{}, {}]]
NO_SAMPLES += [Endless(["a", "b"]), Endless([np.zeros(2), np.zeros(3)])]


@pytest.mark.parametrize("scorer", FLOORS)
@pytest.mark.parametrize("data", NO_SAMPLES, ids=lambda data: type(data).__name__)
def test_what_is_no_data_is_refused_by_name(scorer, data, fitted):
    for estimator in (fitted, KMeans(2, random_state=0).fit(np.eye(2))):
        with pytest.raises((TypeError, ValueError), match="X"):
            scorer(estimator, data)


@pytest.mark.parametrize("scorer", FLOORS)
@pytest.mark.parametrize("estimator", [None, 3, "k-means", KMeans, object(), {}])
def test_what_is_no_estimator_is_refused_by_name(scorer, estimator, X):
    with pytest.raises(TypeError, match="estimator"):
        scorer(estimator, X)


@pytest.mark.parametrize("scorer", FLOORS)
def test_errors_that_are_not_of_the_data_are_kept(scorer, X):
    with pytest.raises(NotFittedError):
        scorer(KMeans(2), X)


# Stability


@pytest.fixture(scope="module")
def five():
    return make_blobs(400, 5, centers=5, cluster_std=0.7, random_state=1)[0]


@pytest.mark.parametrize(
    "estimator",
    [
        CollisionClusterer(),
        KMeans(n_init=3),
        GaussianMixture(n_init=3),
        make_pipeline(StandardScaler(), KMeans(n_init=3)),
    ],
    ids=["CollisionClusterer", "KMeans", "GaussianMixture", "Pipeline"],
)
def test_the_number_of_clear_clusters_is_the_most_stable(estimator, five):
    curve = stability_curve(estimator, five, n_clusters=range(2, 9), random_state=0)
    assert curve.best_n_clusters == 5
    assert np.array_equal(curve.n_clusters, np.arange(2, 9))
    assert curve.stability_mean.shape == curve.stability_std.shape == (7,)
    assert curve.stability_mean[3] == pytest.approx(1, abs=0.02)
    assert curve.stability_mean.max() <= 1


def test_stability_is_the_agreement_on_shared_samples():
    class Half(ClusterMixin, BaseEstimator):
        """The samples above their median, so that subsets hardly disagree."""

        def __init__(self, n_clusters=2):
            self.n_clusters = n_clusters

        def fit_predict(self, X, y=None):
            return (X[:, 0] > np.median(X[:, 0])).astype(int)

    X = np.random.default_rng(0).normal(size=(50, 1))
    curve = stability_curve(Half(), X, n_clusters=[2], n_resamples=2, random_state=3)
    rng = np.random.RandomState(3)
    rows = []
    for _ in range(2):
        rows.append(np.sort(rng.permutation(50)[:35]))
        rng.randint(2**31 - 1)
    shared = np.intersect1d(*rows)
    one, two = (X[shared, 0] > np.median(X[r, 0]) for r in rows)
    assert curve.stability_mean[0] == adjusted_rand_score(one, two)


def test_of_level_numbers_the_largest_is_best():
    class Given(ClusterMixin, BaseEstimator):
        """As many clusters as wanted of equal samples, 4 of them at random."""

        def __init__(self, n_clusters=2):
            self.n_clusters = n_clusters

        def fit_predict(self, X, y=None):
            if self.n_clusters == 4:
                return np.random.default_rng(len(X)).permutation(len(X)) % 4
            return (X[:, 0] * self.n_clusters).astype(int)

    X = np.random.default_rng(0).uniform(size=(60, 1))
    curve = stability_curve(Given(), X, n_clusters=[2, 3, 4], random_state=0)
    assert np.array_equal(curve.stability_mean[:2], [1, 1])
    assert curve.best_n_clusters == 3


def test_stability_trains_no_network_and_changes_nothing(five):
    # Not 2 clusters of the five: cuts that are level fall by the last bit, and a
    # worker, with fewer threads, has other last bits.
    clusterer = CollisionClusterer(3, module=pytest.fail, random_state=7)
    curves = [
        stability_curve(clusterer, five, n_clusters=[4, 6], random_state=0, n_jobs=jobs)
        for jobs in (None, 2)
    ]
    assert np.array_equal(curves[0].stability_mean, curves[1].stability_mean)
    assert clusterer.n_clusters == 3
    assert not hasattr(clusterer, "net_")


def test_without_a_start_the_network_is_trained(five):
    clusterer = CollisionClusterer(init="random", max_epochs=1)
    curve = stability_curve(
        clusterer, five, n_clusters=[2], n_resamples=2, random_state=0
    )
    assert -1 <= curve.stability_mean[0] <= 1


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"n_clusters": 3}, TypeError, "n_clusters must be a sequence"),
        ({"n_clusters": []}, ValueError, "n_clusters must be a sequence"),
        ({"n_clusters": [1, 2]}, ValueError, "from 2 to the samples in a subset, 280"),
        ({"n_clusters": [2, 281]}, ValueError, "from 2 to the samples in a subset"),
        ({"n_clusters": [2.0]}, ValueError, "integers"),
        ({"n_resamples": 1}, ValueError, "n_resamples must be an integer >= 2"),
        ({"n_resamples": True}, ValueError, "n_resamples must be an integer >= 2"),
        ({"estimator": StandardScaler()}, TypeError, "fit_predict"),
        ({"estimator": KMeans}, TypeError, "estimator"),
        ({"estimator": HDBSCAN()}, TypeError, "one parameter n_clusters"),
        ({"X": None}, TypeError, "X must be an array"),
        ({"random_state": "one"}, ValueError, "seed"),
    ],
)
def test_bad_arguments_of_the_curve_are_refused_by_name(params, error, match, five):
    given = {"estimator": KMeans(), "X": five, "n_clusters": [2, 3]} | params
    with pytest.raises(error, match=match):
        stability_curve(given.pop("estimator"), given.pop("X"), **given)


def test_stability_by_hand():
    X = np.arange(6.0)[:, None]
    fitted = Threshold(0.5).fit(X)
    assert stability_scorer(fitted, X) == 1
    other, refitted = Threshold(0.2).fit(X + 1), Threshold(0.2).fit(X)
    expected = adjusted_rand_score(other.predict(X), refitted.predict(X))
    assert stability_scorer(other, X) == expected < 1
