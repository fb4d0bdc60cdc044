"""Ordinary data in awkward forms: what clustering must find in them all the same."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from torch import nn

from sklearn_cce import CollisionClassifier, CollisionClusterer
from sklearn_cce._training.causes import Outcome, likely_cause
from sklearn_cce._training.sources import TensorSource
from sklearn_cce.views import Neighbors

rng = np.random.default_rng(0)


def found(X, y, n_clusters=None, **params):
    """Return how well the clusters agree with those that there are, at most 1."""
    params = {"n_init": 8} | params
    n_clusters = len(np.unique(y)) if n_clusters is None else n_clusters
    clusterer = CollisionClusterer(n_clusters, random_state=0, **params).fit(X)
    assert np.array_equal(clusterer.labels_, clusterer.predict(X))
    return adjusted_rand_score(y, clusterer.labels_)


# Images and series with networks for tables


@pytest.mark.parametrize("module", ["mlp", "linear"])
@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (1, 6, 6), (3, 8, 8), (200, 2), (2, 3, 5, 7)]
)
def test_samples_of_any_shape_are_clustered_as_the_flattened_table(module, shape):
    X = np.random.default_rng(0).random((80, *shape))
    params = {"module": module, "random_state": 0, "max_epochs": 20}
    table = CollisionClusterer(3, **params).fit(X.reshape(80, -1))
    images = CollisionClusterer(3, **params).fit(X)
    assert np.array_equal(images.labels_, table.labels_)
    assert np.array_equal(
        images.predict_proba(X), table.predict_proba(X.reshape(80, -1))
    )


def test_the_classifier_takes_images_as_the_flattened_table():
    X, y = np.random.default_rng(0).random((60, 1, 12, 12)), np.arange(60) % 3.0
    y[::2] = np.nan
    flat = X.reshape(60, -1)
    for module in ("mlp", "linear"):
        params = {"module": module, "random_state": 0, "max_epochs": 10}
        table = CollisionClassifier(**params).fit(flat, y).predict_proba(flat)
        images = CollisionClassifier(**params).fit(X, y).predict_proba(X)
        assert np.array_equal(images, table)


# Repeated rows

POINTS = np.array([[0, 0], [1, 0], [0, 1], [5, 5], [9, 1.0]])


@pytest.mark.parametrize("n_copies", [2, 30, 103])
@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]])
def test_repeated_points_are_clustered_whatever_their_number(n_copies, groups):
    X, y = np.repeat(POINTS, n_copies, 0), np.repeat(groups, n_copies)
    assert found(X, y) == 1


@pytest.mark.parametrize("n_copies", [40, 200])
def test_columns_that_are_one_hot(n_copies):
    y = np.repeat(np.arange(6), n_copies)
    assert found(np.eye(6)[y], y) == 1


@pytest.mark.parametrize("n", [200, 600])
def test_answers_to_a_survey(n):
    draw = np.random.default_rng(0)
    y = draw.integers(3, size=n)
    typical = np.array(
        [[1, 1, 1, 4, 4, 4, 2, 2], [4, 4, 4, 1, 1, 1, 4, 4], [2] * 4 + [5] * 4]
    )
    X = np.clip(np.round(typical[y] + draw.normal(0, 0.6, (n, 8))), 1, 5)
    assert found(X, y) > 0.97


@pytest.mark.parametrize("n", [500, 600])
def test_binary_columns(n):
    draw = np.random.default_rng(0)
    y = draw.integers(3, size=n)
    likely = 0.05 + 0.9 * np.array(
        [[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0], [0, 1, 0, 0, 0, 1]]
    )
    assert found((draw.random((n, 6)) < likely[y]).astype(float), y) > 0.8


def test_one_row_that_stands_for_most_of_the_data():
    X, y = make_blobs(200, centers=[[0, 0], [9, 0]], random_state=0)
    X = np.r_[X, np.repeat([[0.0, 9.0]], 2000, 0)]
    assert found(X, np.r_[y, np.full(2000, 2)]) == 1


# Small tables, few rows a cluster


def test_six_rows():
    X = [[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]]
    assert found(X, [0, 0, 0, 1, 1, 1]) == 1


@pytest.mark.parametrize(
    "n, n_clusters", [(8, 2), (10, 2), (12, 2), (12, 4), (15, 5), (20, 2)]
)
def test_small_tables(n, n_clusters):
    X, y = make_blobs(
        n, centers=10 * np.eye(n_clusters), cluster_std=0.8, random_state=n
    )
    assert found(X, y) == 1


@pytest.mark.parametrize("n_each", [2, 10])
def test_many_groups_of_few_rows_on_a_ring(n_each):
    angle = np.repeat(np.arange(30) * 2 * np.pi / 30, n_each)
    X = 10 * np.c_[np.cos(angle), np.sin(angle)]
    X += np.random.default_rng(0).normal(0, 0.1, X.shape)
    assert found(X, np.repeat(np.arange(30), n_each)) == 1


# Rows far from all others


@pytest.mark.parametrize(
    "far",
    [
        [[100, 100]],
        [[9999, 9999]],
        [[-1e6, 1e6]],
        [[1e12, 0]],
        [[9999, 9999], [9990, 9999]],
    ],
)
def test_rows_far_away_do_not_set_the_scale(far):
    X, y = make_blobs(400, centers=[[0, 0], [8, 0], [0, 8], [8, 8]], random_state=0)
    X, y = np.r_[X, np.array(far, float)], np.r_[y, np.full(len(far), 4)]
    assert found(X, y) == 1
    assert found(X, y, 4) > 0.98


def test_a_row_far_away_does_not_spoil_a_classifier():
    X, y = make_blobs(200, centers=[[0, 0], [3, 0], [0, 3]], random_state=0)
    X = np.r_[X, [[1e5, -1e5]]]
    for module in ("mlp", "linear"):
        classifier = CollisionClassifier(module=module, random_state=0)
        usual = classifier.fit(X[:200], y).score(X[:200], y)
        spoilt = classifier.fit(X, np.r_[y, 0]).score(X[:200], y)
        assert spoilt > usual - 0.03


# Offsets and scales

BLOBS, KINDS = make_blobs(300, 4, centers=3, cluster_std=0.5, random_state=0)
FORMS = {
    "+1e8": BLOBS + 1e8,
    "+1e13": BLOBS * 1e3 + 1e13,
    "*1e-100": BLOBS * 1e-100,
    "*1e-300": BLOBS * 1e-300,
    "*1e-40": BLOBS * 1e-40,
    "*1e35": BLOBS * 1e35,
    "*1e300": BLOBS * 1e300,
}


@pytest.mark.parametrize("form", FORMS)
def test_neither_offset_nor_scale_matters(form):
    X = FORMS[form]
    assert found(X, KINDS) == 1
    assert found(torch.from_numpy(X), KINDS) == 1
    for module in ("mlp", "linear"):
        classifier = CollisionClassifier(module=module, random_state=0, max_epochs=60)
        assert classifier.fit(X, KINDS).score(X, KINDS) > 0.99


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_timestamps(dtype, tmp_path):
    kinds = np.repeat(np.arange(3), 100)
    X = (1.7e9 + 600 * kinds + rng.normal(0, 30, 300))[:, None].astype(dtype)
    assert found(X, kinds) == 1
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert found(mapped, kinds) == 1
    labelled = CollisionClassifier(random_state=0, max_epochs=60).fit(X, kinds)
    assert labelled.score(X, kinds) == 1


def test_timestamps_with_a_zero_for_those_that_are_missing():
    kinds = np.repeat(np.arange(3), 100)
    X = np.r_[1.7e9 + 600 * kinds + rng.normal(0, 30, 300), 0.0][:, None]
    assert found(X, np.r_[kinds, 3]) == 1


def test_a_stream_keeps_the_precision_of_its_first_chunk():
    clusterer = CollisionClusterer(3, random_state=0)
    for chunk in np.array_split(FORMS["+1e8"], 3):
        clusterer.partial_fit(chunk)
    assert adjusted_rand_score(KINDS, clusterer.predict(FORMS["+1e8"])) == 1


def test_a_network_of_the_users_gets_what_float32_cannot_hold():
    def network(n_features, n_outputs):
        return nn.Sequential(
            nn.Linear(n_features, 32), nn.Tanh(), nn.Linear(32, n_outputs)
        )

    assert found(FORMS["+1e8"], KINDS, module=network) == 1
    plain = CollisionClusterer(3, module=network, random_state=0, max_epochs=2).fit(
        BLOBS
    )
    assert isinstance(plain.module_[0], nn.Linear)


def test_the_module_takes_what_the_estimator_takes():
    clusterer = CollisionClusterer(3, random_state=0, max_epochs=20).fit(FORMS["+1e8"])
    logits = clusterer.module_(torch.from_numpy(FORMS["+1e8"]))
    assert logits.dtype == torch.float32
    assert np.array_equal(logits.argmax(1).numpy(), clusterer.labels_)


# Many clusters in few dimensions

GRID = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_a_grid_of_a_hundred_blobs(known):
    y = np.repeat(np.arange(100), 20)
    X = GRID[y] + np.random.default_rng(0).normal(0, 0.1, (2000, 2))
    assert found(X, y, init=y if known else "spectral") == 1


@pytest.mark.parametrize(
    "centres",
    [
        np.arange(15.0)[:, None],
        GRID[(GRID < 4).all(1)].astype(float),
        np.stack(np.meshgrid(*[np.arange(3.0)] * 3), -1).reshape(-1, 3),
    ],
)
def test_many_clusters_in_few_dimensions(centres):
    y = np.repeat(np.arange(len(centres)), 15)
    X = centres[y] + np.random.default_rng(0).normal(0, 0.1, (len(y), centres.shape[1]))
    assert found(X, y) == 1
    assert found(X, y, init=y) == 1


# Rare clusters


@pytest.mark.parametrize("n_features", [2, 10])
@pytest.mark.parametrize("sizes", [(1000, 50), (1000, 10), (1000, 5), (300, 2)])
def test_a_rare_cluster(sizes, n_features):
    draw = np.random.default_rng(0)
    y = np.repeat([0, 1], sizes)
    X = draw.normal(size=(len(y), n_features))
    X[:, 0] += 8 * y
    assert found(X, y) == 1


def test_a_rare_cluster_among_three_usual_ones():
    X, y = make_blobs([300, 300, 300, 12], centers=[[0, 0], [10, 0], [0, 10], [10, 10]])
    assert found(X, y) == 1


def test_scattered_rows_are_no_clusters():
    draw = np.random.default_rng(0)
    X, y = make_blobs(400, centers=[[0, 0], [4, 0]], random_state=0)
    X = np.r_[X, draw.uniform(-15, 15, (6, 2))]
    assert found(X, np.r_[y, (X[400:, 0] > 2)]) > 0.8


# Graphs as views

THREE, OF_THREE = make_blobs(150, 2, centers=3, cluster_std=0.5, random_state=0)
SQUARES = ((THREE[:, None] - THREE) ** 2).sum(-1)


@pytest.mark.parametrize(
    "make", [np.array, sp.csr_matrix, sp.coo_array, lambda g: Neighbors(graph=g)]
)
def test_the_weights_of_a_graph_steer_the_walk(make):
    assert found(THREE, OF_THREE, views=make(np.exp(-SQUARES))) == 1


def test_only_the_proportion_of_the_weights_counts():
    graph = np.exp(-SQUARES)
    for factor in (1e-200, 1e200):
        assert found(THREE, OF_THREE, views=graph * factor) == 1


@pytest.mark.parametrize(
    "graph",
    {
        "no links": np.zeros((150, 150)),
        "one link": np.eye(150, k=149),
        "loops": np.eye(150),
        "integers": (SQUARES < 0.5).astype(np.uint8),
        "truth values": SQUARES < 0.5,
        "half of the rows": np.where(np.arange(150) < 75, SQUARES < 0.5, 0).astype(
            float
        ),
    }.items(),
    ids=lambda item: item[0],
)
def test_graphs_with_few_links(graph):
    assert found(THREE, OF_THREE, views=graph[1]) == 1


@pytest.mark.parametrize(
    "graph, match",
    [
        (np.full((150, 150), 1j), "finite, non-negative numbers"),
        (np.full((150, 150), np.inf), "negative or non-finite"),
        (np.full((150, 150), np.nan), "negative or non-finite"),
        (-np.ones((150, 150)), "negative or non-finite"),
        (np.full((150, 150), "a"), "finite, non-negative numbers"),
        (np.ones((3, 3)), "a row and a column for each of the 150 samples"),
        (np.ones((150, 3)), "a row and a column for each of the 150 samples"),
        (np.ones((2, 150, 150)), "finite, non-negative numbers"),
    ],
)
def test_a_graph_that_is_none_is_refused(graph, match):
    with pytest.raises(ValueError, match=f"(?s)views.*{match}"):
        CollisionClusterer(3, views=graph).fit(THREE)


# What is said where clusters are missing


@pytest.mark.parametrize(
    "X, match",
    [
        (BLOBS[:2], "only 2 different samples"),
        (np.r_[BLOBS[:40], [[1e6] * 4]], "1 of 41 samples looked at lie far"),
        ((BLOBS + 1e8).astype(np.float32), "In float32 the samples of X"),
        (BLOBS, "Increase fairness_weight"),
    ],
)
def test_the_cause_of_missing_clusters_is_that_of_the_data(X, match):
    source = TensorSource(torch.from_numpy(X.astype(np.float32)))
    fit = Outcome(source, None, np.full(3, 1 / 3), n_steps=1000, max_epochs=None)
    assert match in likely_cause(fit)
