"""A graph as X: coordinates made of it, folds of it, and what is no graph."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.neighbors import KNeighborsTransformer, kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from sklearn_cce import CollisionClassifier, CollisionClusterer
from sklearn_cce._graph import linked
from sklearn_cce._graph.linked import (
    N_STEPS,
    coordinates,
    mean_over_links,
    modularity,
    stores_zeros,
)
from sklearn_cce._graph.neighbors import RandomWalk
from sklearn_cce.model_selection import stability_curve
from sklearn_cce.views import Neighbors
from tests.helpers import assert_untouched, classify

POINTS, KINDS = make_blobs(240, centers=4, cluster_std=0.6, random_state=3)
GRAPH = kneighbors_graph(POINTS, 10)
BOTH = sp.csr_matrix(GRAPH + GRAPH.T)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PARTS = np.arange(240) % 4 > 0
OLD, NEW = np.flatnonzero(PARTS), np.flatnonzero(~PARTS)


def on_graph(n_clusters=4, **params):
    """Return a clusterer of graphs that makes few steps."""
    quick = {"module": "linear", "max_epochs": 60, "lr": 0.1, "n_init": 2}
    quick |= {"views": "precomputed", "random_state": 0}
    return CollisionClusterer(n_clusters, **(quick | params))


def part(graph, rows, columns):
    return graph[np.ix_(rows, columns)]


# Coordinates


def test_coordinates_are_their_own_means_over_links_but_for_a_factor():
    Z = coordinates(BOTH)
    assert Z.shape == (240, 100)
    means, Z = mean_over_links(BOTH, Z)[:, :20], Z[:, :20]
    factor = (means * Z).sum(0) / np.square(Z).sum(0)
    np.testing.assert_allclose(means, factor * Z, atol=1e-3)
    assert factor[0] == pytest.approx(1, abs=1e-5)
    assert (np.diff(factor) < 1e-5).all()


def test_coordinates_that_a_walk_forgets_are_small():
    degree = BOTH.toarray().sum(1)
    values = np.linalg.eigvalsh(BOTH.toarray() / np.sqrt(np.outer(degree, degree)))
    variances = degree @ coordinates(BOTH) ** 2 / degree.sum()
    expected = np.maximum(values[::-1][:100], 0) ** (2 * N_STEPS)
    np.testing.assert_allclose(variances, expected, rtol=1e-3, atol=1e-6)


def test_coordinates_are_0_where_eigenvalues_are_rounding():
    one_axis = sp.csr_matrix(np.outer(np.arange(1.0, 30), np.arange(1.0, 30)))
    Z = coordinates(one_axis)
    np.testing.assert_allclose(Z[:, 0] / Z[0, 0], 1, rtol=1e-4)
    assert not Z[:, 1:].any()


def test_parts_without_a_link_between_them_have_other_coordinates():
    half = np.ones((5, 5))
    Z = coordinates(sp.csr_matrix(sp.block_diag([half, half])))
    means = mean_over_links(sp.csr_matrix([[1.0] + [0] * 9, [0] * 9 + [1.0]]), Z)
    assert np.abs(means[0] - means[1]).max() > 0.5


def test_the_mean_over_links_is_weighted_and_0_without_links():
    links = sp.csr_matrix([[1.0, 3.0], [0.0, 0.0], [1e-20, 3e-20]])
    Z = np.float32([[4, 0], [0, 8]])
    expected = [[1, 6], [0, 0], [1, 6]]
    np.testing.assert_allclose(mean_over_links(links, Z), expected, rtol=1e-6)


# The score


def test_modularity_is_that_of_its_definition():
    labels = np.random.default_rng(0).integers(3, size=240)
    A, degree = BOTH.toarray(), np.asarray(BOTH.sum(1)).ravel()
    excess = A - np.outer(degree, degree) / A.sum()
    expected = excess[labels[:, None] == labels].sum() / A.sum()
    assert modularity(BOTH, labels, labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    "graph, ends, others, expected",
    [
        (np.eye(4), [0, 0, 1, 1], [0, 0, 1, 1], 0.5),
        (np.eye(4), [0, 0, 1, 1], [1, 1, 0, 0], -0.5),
        (np.eye(4), [0, 0, 0, 0], [0, 0, 0, 0], 0),
        (np.eye(4), [0, 1, 2, 3], [0, 1, 2, 3], 0.75),
        (np.zeros((2, 3)), [0, 1], [0, 1, 1], 0),
        (np.ones((1, 2)), [0], [0, 1], 0),
    ],
)
def test_modularity_of_small_graphs(graph, ends, others, expected):
    found = modularity(sp.csr_matrix(graph), np.array(ends), np.array(others))
    assert found == pytest.approx(expected)


# Fits and folds


@pytest.fixture(scope="module")
def found():
    """Give a clusterer of a part of the graph; not to be changed."""
    return on_graph().fit(part(GRAPH, OLD, OLD))


def test_clusters_of_a_graph_are_those_of_the_points(found):
    assert adjusted_rand_score(KINDS[OLD], found.labels_) == 1
    assert found.n_features_in_ == len(OLD)
    assert found.embedding_.shape == (len(OLD), 100)


def test_further_samples_are_predicted_by_their_links(found):
    further = part(GRAPH, NEW, OLD)
    assert adjusted_rand_score(KINDS[NEW], found.predict(further)) == 1
    assert found.score(further) > 0.7
    assert found.transform(further).shape == (len(NEW), 4)


def test_training_samples_are_predicted_as_they_were_clustered(found):
    again = found.predict(part(GRAPH, OLD, OLD))
    np.testing.assert_array_equal(again, found.labels_)


def test_a_grid_search_over_sizes_and_weights_follows_the_graph():
    grid = {"n_clusters": [2, 4, 7], "fairness_weight": [0.5, 1.0]}
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(on_graph(), grid, cv=folds, error_score="raise").fit(GRAPH)
    assert search.best_params_["n_clusters"] == 4
    assert adjusted_rand_score(KINDS, search.best_estimator_.labels_) == 1
    train, test = next(folds.split(POINTS))
    by_hand = clone(search.best_estimator_).fit(part(GRAPH, train, train))
    expected = by_hand.score(part(GRAPH, test, train))
    results = search.cv_results_["split0_test_score"]
    assert results[search.best_index_] == expected


def test_a_search_takes_steps_and_arrays():
    views = [Neighbors(graph="precomputed", n_steps=k) for k in (1, 3)]
    search = GridSearchCV(on_graph(), {"views": views}, cv=2, error_score="raise")
    search.set_params(estimator__views=views[0]).fit(GRAPH.toarray())
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_held_out_samples_are_predicted():
    y = np.where(np.arange(240) % 8, np.nan, KINDS)
    classifier = classify(views="precomputed", max_epochs=40, lr=0.05)
    folds = KFold(3, shuffle=True, random_state=0)
    predicted = cross_val_predict(classifier, GRAPH, y, cv=folds)
    assert (predicted == KINDS).mean() > 0.95


def test_a_classifier_holds_out_samples_of_a_graph():
    classifier = classify(
        views="precomputed", max_epochs=40, early_stopping=True, lr=0.05
    ).fit(GRAPH, KINDS)
    assert classifier.score(GRAPH, KINDS) > 0.95
    assert "valid_accuracy" in classifier.history_[-1]


@pytest.mark.parametrize(
    "make",
    [
        sp.csr_array,
        sp.coo_matrix,
        sp.lil_array,
        sp.csr_matrix.toarray,
        lambda graph: graph.astype(bool),
        lambda graph: graph.astype(np.uint8).toarray(),
        lambda graph: pd.DataFrame(graph.toarray()),
        lambda graph: graph * 1e-200,
    ],
)
def test_a_graph_may_come_in_many_forms(make, found):
    again = on_graph().fit(make(sp.csr_matrix(part(GRAPH, OLD, OLD))))
    np.testing.assert_array_equal(again.labels_, found.labels_)


def test_the_weights_of_links_decide_where_all_are_linked():
    squares = ((POINTS[:, None] - POINTS) ** 2).sum(-1)
    clusterer = on_graph().fit(np.exp(-squares))
    assert adjusted_rand_score(KINDS, clusterer.labels_) == 1


def test_walks_are_on_the_graph_in_X(monkeypatch):
    seen = []

    def spy(graph, n_steps):
        seen.append((graph.toarray(), n_steps))
        return RandomWalk(graph, n_steps)

    monkeypatch.setattr("sklearn_cce._graph.geometry.RandomWalk", spy)
    on_graph(views=Neighbors(graph="precomputed", n_steps=2), max_epochs=2).fit(GRAPH)
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0][0], GRAPH.toarray())
    assert seen[0][1] == 2


def test_a_copy_and_a_pickle_do_the_same(found):
    for other in (
        pickle.loads(pickle.dumps(found)),
        clone(found).fit(part(GRAPH, OLD, OLD)),
    ):
        for X in (part(GRAPH, OLD, OLD), part(GRAPH, NEW, OLD)):
            np.testing.assert_array_equal(
                other.predict_proba(X), found.predict_proba(X)
            )


def test_a_fit_to_features_forgets_the_graph():
    clusterer = on_graph(max_epochs=2).fit(GRAPH)
    clusterer.set_params(views="auto").fit(POINTS)
    assert not hasattr(clusterer, "embedding_")
    assert clusterer.predict(POINTS).shape == (240,)


def test_training_goes_on_with_the_same_graph():
    clusterer = on_graph(warm_start=True).fit(GRAPH)
    before = clusterer.embedding_
    clusterer.fit(GRAPH)
    assert clusterer.embedding_ is before
    assert adjusted_rand_score(KINDS, clusterer.labels_) == 1


def test_samples_of_weight_0_are_clustered():
    weight = np.where(np.arange(240) % 3, 1.0, 0.0)
    clusterer = on_graph().fit(GRAPH, sample_weight=weight)
    assert adjusted_rand_score(KINDS, clusterer.labels_) == 1


def test_a_memory_and_a_checkpoint_change_nothing(tmp_path, monkeypatch):
    calls, eigenvectors = [], linked.eigenvectors

    def counted(*args):
        calls.append(1)
        return eigenvectors(*args)

    monkeypatch.setattr(linked, "eigenvectors", counted)
    kept = {"memory": tmp_path / "kept", "checkpoint": tmp_path / "unfinished"}
    expected = on_graph().fit(GRAPH).predict_proba(GRAPH)
    for _ in range(2):
        again = on_graph(**kept).fit(GRAPH).predict_proba(GRAPH)
        np.testing.assert_array_equal(again, expected)
    assert len(calls) == 2


def test_a_transformer_makes_the_graph_in_a_pipeline():
    transformer = KNeighborsTransformer(mode="connectivity", n_neighbors=10)
    pipeline = make_pipeline(transformer, on_graph()).fit(POINTS[OLD])
    assert not get_tags(pipeline).input_tags.pairwise
    assert adjusted_rand_score(KINDS[NEW], pipeline.predict(POINTS[NEW])) == 1


def test_stability_compares_parts_of_the_graph():
    curve = stability_curve(on_graph(), GRAPH, n_clusters=[3, 4, 6], random_state=0)
    assert curve.best_n_clusters == 4
    assert curve.stability_mean[1] == pytest.approx(1)


@pytest.mark.parametrize("kind", [CollisionClusterer, CollisionClassifier])
def test_tags_say_what_X_is(kind):
    views = "precomputed", Neighbors(graph="precomputed"), ["noise", "precomputed"]
    for view in views:
        tags = get_tags(kind(views=view)).input_tags
        assert tags.pairwise and tags.sparse and tags.positive_only
        assert not tags.three_d_array
    for view in ("auto", None, "neighbors", GRAPH, Neighbors(graph=GRAPH), ["noise"]):
        tags = get_tags(kind(views=view)).input_tags
        assert not (tags.pairwise or tags.sparse or tags.positive_only)


# What is no graph


@pytest.mark.parametrize(
    "X, match",
    [
        (GRAPH[:, :50], r"X must be square.*\(240, 50\)"),
        (-GRAPH, "Negative values in data passed to X"),
        (GRAPH * np.nan, "X contains NaN"),
        (GRAPH * np.inf, "X contains infinity"),
        (POINTS - POINTS.min(), r"X must be square.*\(240, 2\)"),
        (np.full((3, 3), "a"), "could not convert string"),
        (np.ones((2, 3, 3)), "dim 3"),
        (kneighbors_graph(POINTS, 5, mode="distance", include_self=True), "distances"),
    ],
)
def test_an_X_that_is_no_graph_is_refused(X, match):
    clusterer = on_graph()
    assert_untouched(clusterer, lambda: clusterer.fit(X), ValueError, f"(?s){match}")


def test_distances_of_a_transformer_are_refused():
    pipeline = make_pipeline(KNeighborsTransformer(), on_graph())
    with pytest.raises(ValueError, match=r"weights.*mode='connectivity'"):
        pipeline.fit(POINTS)


def test_only_zeros_that_are_stored_for_all_samples_are_distances():
    distances = KNeighborsTransformer(n_neighbors=3).fit_transform(POINTS)
    assert stores_zeros(distances)
    assert not stores_zeros(GRAPH)
    assert not stores_zeros(sp.csr_matrix((4, 4)))
    assert not stores_zeros(sp.csr_matrix(np.eye(4)))


def test_further_samples_need_a_weight_for_every_training_sample(found):
    with pytest.raises(ValueError, match="X has 240 features.*expecting 180"):
        found.predict(GRAPH)


def test_a_graph_beside_features_is_not_divided():
    search = GridSearchCV(
        on_graph(views=GRAPH), {"n_clusters": [3]}, cv=2, error_score="raise"
    )
    with pytest.raises(ValueError, match=r"120 samples.*views='precomputed'"):
        search.fit(POINTS)


@pytest.mark.parametrize("kind", [CollisionClusterer, CollisionClassifier])
def test_a_graph_comes_in_no_chunks(kind):
    assert hasattr(kind(), "partial_fit")
    assert not hasattr(kind(views="precomputed"), "partial_fit")


def test_weights_alone_do_not_predict_from_links(found):
    weights = found.module_.state_dict()
    with pytest.raises(ValueError, match="views='precomputed' needs the coordinates"):
        on_graph().load_weights(weights, in_shape=100)
