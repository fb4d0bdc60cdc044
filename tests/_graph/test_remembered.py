"""Graphs and starts that are kept: computed once, with the same results."""

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_cce import CollisionClassifier
from sklearn_cce._graph import candidates, neighbors, start
from sklearn_cce.model_selection import stability_curve
from tests.helpers import assert_untouched, classify, cluster, neighbor_graph

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def samples():
    """Give 500 samples in three groups that overlap, so that nothing is certain."""
    X = np.random.default_rng(0).normal(size=(500, 6))
    X[:200, 0] += 2
    X[:150, 1] += 3
    return X


@pytest.fixture
def counts(monkeypatch):
    """Give how often graphs, the two parts of a start and groups were computed."""
    numbers = {"neighbor_table": 0, "neighborhoods": 0, "eigenvectors": 0}

    def counted(name, function):
        def call(*args):
            numbers[name] += 1
            return function(*args)

        return call

    for module, name in zip((neighbors, start, candidates), numbers, strict=True):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    return numbers


def new(counts):
    """Return the counts since the last call."""
    seen = tuple(counts.values())
    counts.update(dict.fromkeys(counts, 0))
    return seen


def test_a_second_fit_computes_neither_graph_nor_start(samples, counts, tmp_path):
    expected = cluster().fit(samples).predict_proba(samples)
    assert new(counts) == (2, 2, 2)
    for memory in (tmp_path, str(tmp_path), joblib.Memory(str(tmp_path), verbose=0)):
        first = memory is tmp_path
        clusterer = cluster(memory=memory)
        assert np.array_equal(clusterer.fit_predict(samples), expected.argmax(1))
        assert np.array_equal(clusterer.predict_proba(samples), expected)
        assert new(counts) == ((2, 2, 2) if first else (0, 0, 0))
        assert clusterer.memory is memory


def test_what_is_mapped_from_the_disk_gives_the_same(samples, tmp_path):
    memory = joblib.Memory(tmp_path, mmap_mode="r", verbose=0)
    expected = cluster().fit(samples).predict_proba(samples)
    for _ in range(2):
        found = cluster(memory=memory).fit(samples).predict_proba(samples)
        assert np.array_equal(found, expected)


CHANGED = {
    "fairness_weight": ({"fairness_weight": 0.7}, (0, 2, 0)),
    "cluster_prior": ({"cluster_prior": [0.5, 0.25, 0.25]}, (1, 2, 1)),
    "n_clusters": ({"n_clusters": 4}, (1, 2, 2)),
    "n_init": ({"n_init": 3}, (1, 2, 2)),
    "random_state": ({"random_state": 1}, (1, 2, 2)),
    "n_neighbors": ({"views": "neighbors", "init": "spectral"}, (0, 0, 0)),
    "network": ({"module": "mlp", "max_epochs": 2, "lr": 0.1}, (0, 0, 0)),
}


@pytest.mark.parametrize("params, computed", CHANGED.values(), ids=CHANGED)
def test_only_what_depends_on_a_parameter_is_computed(
    params, computed, samples, counts, tmp_path
):
    expected = cluster(**params).fit(samples).predict_proba(samples)
    cluster(memory=tmp_path).fit(samples)
    new(counts)
    found = cluster(memory=tmp_path, **params).fit(samples)
    assert new(counts) == computed
    assert np.array_equal(found.predict_proba(samples), expected)


def test_other_samples_and_weights_are_another_matter(samples, counts, tmp_path):
    weight = np.arange(500) % 2 + 1.0
    cluster(memory=tmp_path).fit(samples)
    for X, w, computed in [
        (samples + samples[0] * 1e-3, None, (2, 2, 2)),
        (samples, weight, (2, 2, 2)),
        (samples, weight, (0, 0, 0)),
        (samples[:400], None, (2, 2, 2)),
        (np.repeat(samples, 2, axis=0), None, (0, 2, 2)),
        (np.repeat(samples, 2, axis=0), None, (0, 0, 0)),
    ]:
        new(counts)
        found = cluster(memory=tmp_path).fit(X, sample_weight=w)
        assert new(counts) == computed
        expected = cluster().fit(X, sample_weight=w)
        assert np.array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_given_graphs_are_told_apart(samples, counts, tmp_path):
    graphs = [neighbor_graph(cluster_features(samples), k) for k in (5, 8)]
    for i, graph in enumerate(graphs * 2):
        new(counts)
        found = cluster(memory=tmp_path, views=graph).fit(samples)
        assert new(counts) == ((0, 1, 1) if i < 2 else (0, 0, 0))
        expected = cluster(views=graph).fit(samples)
        assert np.array_equal(found.labels_, expected.labels_)


def cluster_features(X):
    """Return centred samples as a tensor."""

    return torch.from_numpy(np.float32(X - X.mean(0)))


def test_the_classifier_keeps_its_graph(samples, counts, tmp_path):
    y = np.where(np.arange(500) % 5, None, np.arange(500) // 200)
    expected = classify().fit(samples, y)
    for computed in (1, 0):
        new(counts)
        classifier = classify(memory=tmp_path).fit(samples, y)
        assert new(counts)[0] == computed
        found = classifier.predict_proba(samples)
        assert np.array_equal(found, expected.predict_proba(samples))


def test_starts_and_curves_use_the_memory(samples, counts, tmp_path):
    expected = cluster().start_labels(samples, n_clusters=[2, 3])
    for first in (True, False):
        new(counts)
        found = cluster(memory=tmp_path).start_labels(samples, n_clusters=[2, 3])
        assert np.array_equal(found, expected)
        assert bool(sum(new(counts))) is first
    for first in (True, False):
        stability_curve(
            cluster(memory=tmp_path), samples, n_clusters=[2, 3], random_state=0
        )
        assert bool(sum(new(counts))) is first


def test_a_search_by_several_processes(samples, tmp_path):
    grid = {"fairness_weight": [0.3, 1.0], "n_clusters": [2, 3]}
    found = [
        GridSearchCV(cluster(memory=memory), grid, cv=2, n_jobs=n_jobs).fit(samples)
        for memory, n_jobs in [(None, None), (tmp_path, 2), (tmp_path, None)]
    ]
    for other in found[1:]:
        for name in ("mean_test_score", "rank_test_score"):
            assert np.array_equal(other.cv_results_[name], found[0].cv_results_[name])
        assert np.array_equal(other.predict(samples), found[0].predict(samples))


def test_estimators_with_a_memory_are_cloned_and_pickled(samples, tmp_path):
    memory = joblib.Memory(tmp_path, verbose=0)
    fitted = cluster(memory=memory).fit(samples)
    assert clone(fitted).memory.location == memory.location
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict(samples), fitted.predict(samples))
    assert np.array_equal(again.fit(samples).labels_, fitted.labels_)


@pytest.mark.parametrize("memory", [3, b"here", ["here"], True, Path])
def test_what_is_no_memory_is_refused(memory, samples):
    for estimator, args in [(cluster(), ()), (CollisionClassifier(), ([0, 1],))]:
        estimator.set_params(memory=memory)
        assert_untouched(
            estimator,
            lambda e=estimator, a=args: e.fit(samples, *a),
            ValueError,
            "memory",
        )


def test_a_directory_that_cannot_be_is_refused(samples, tmp_path):
    file = tmp_path / "file"
    file.write_text("no directory")
    for memory in (file, str(file), file / "below"):
        clusterer = cluster(memory=memory)
        assert_untouched(
            clusterer, lambda c=clusterer: c.fit(samples), ValueError, "memory must be"
        )
