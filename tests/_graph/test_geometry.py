"""Who is near whom: what a part of the samples is for, and what all are for."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import EfficiencyWarning
from skorch.callbacks import Callback

from sklearn_cce import CollisionClassifier, CollisionClusterer
from sklearn_cce._graph import geometry as _geometry
from sklearn_cce._graph import neighbors
from sklearn_cce._graph.geometry import Geometry, rows_for_start
from sklearn_cce._training.batches import Batches, Samples
from sklearn_cce._training.process import Stream
from sklearn_cce._training.sources import DatasetSource, PartSource, TensorSource
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.views import Neighbors
from tests.helpers import neighbor_graph

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, LARGEST, PART = 300, 200, 100
DRAWN = []


class Draws(Callback):
    """Note the samples of every step, and whether these have targets."""

    def on_batch_begin(self, net, batch, training, **kwargs):
        X, (index, _, target, _) = batch
        DRAWN.append((X.clone(), index.clone(), target is not None))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Let few samples be many."""
    monkeypatch.setattr(_geometry, "LARGEST_GRAPH", LARGEST)
    monkeypatch.setattr(_geometry, "SUBSET", PART)
    DRAWN.clear()


@pytest.fixture(scope="module")
def many():
    X, y = make_blobs(
        N, 5, centers=4, center_box=(-4, 4), random_state=1, cluster_std=1.5
    )
    return X.astype(np.float32), y


def clusterer(**params):
    quick = {"n_init": 2, "batch_size": 64, "random_state": 0, "callbacks": [Draws()]}
    return CollisionClusterer(4, **(quick | params))


def drawn(targets):
    """Return which samples were drawn in the steps with targets, or without."""
    return np.unique(np.concatenate([i for _, i, has in DRAWN if has == targets]))


def geometry(X, weight=None, views=(), seed=0, n_groups=4):
    weight = None if weight is None else torch.from_numpy(weight).float()
    source = TensorSource(torch.from_numpy(X))
    return Geometry(Samples(source, weight), list(views), n_groups, seed=seed)


def test_a_part_gives_the_start_and_all_samples_are_labelled(many):
    X, y = many
    model = clusterer().fit(X)
    assert len(drawn(targets=True)) == PART
    assert len(drawn(targets=False)) == N
    assert model.labels_.shape == (N,)
    assert np.array_equal(model.labels_, model.predict(X))
    assert clustering_accuracy(y, model.labels_) > 0.9


def test_no_more_steps_are_made_than_for_a_part_but_one_pass(many, monkeypatch):
    X, _ = many
    clusterer(max_epochs=4).fit(X)
    n_steps = [sum(has == targets for *_, has in DRAWN) for targets in (True, False)]
    assert n_steps == [2 * -(-PART // 64), 2 * -(-N // 64)]
    monkeypatch.setattr(CollisionClusterer, "_least_steps", 1)
    DRAWN.clear()
    clusterer().fit(X)
    usual = 10 * -(-PART // 64)
    assert sum(not has for *_, has in DRAWN) <= usual


def test_samples_of_weight_0_are_left_out(many):
    X, _ = many
    weight = np.ones(N)
    weight[::10] = 0
    model = clusterer().fit(X, sample_weight=weight)
    seen = torch.cat([X for X, *_ in DRAWN]).unique(dim=0)
    assert len(seen) == np.count_nonzero(weight)
    left_out = torch.from_numpy(X[::10])
    assert torch.cdist(seen, left_out).min() > 0
    assert model.labels_.shape == (N,)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_file_gives_the_same_result(many, weighted, tmp_path):
    X, _ = many
    weight = np.random.default_rng(0).integers(0, 5, N) if weighted else None
    X.tofile(tmp_path / "X.bin")
    mapped = np.memmap(tmp_path / "X.bin", np.float32, "r", shape=X.shape)
    one, two = (clusterer().fit(Z, sample_weight=weight) for Z in (X, mapped))
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))


def test_a_part_of_a_dataset_that_draws_begins_anew_with_it():
    class Noisy(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, i):
            return torch.rand(2)

    whole = DatasetSource(Noisy(), torch.device("cpu"), Stream(0, torch.device("cpu")))
    part = PartSource(whole, torch.tensor([1, 4]))
    epochs = [Batches(Samples(part), 2, seed=0, epoch=e) for e in (0, 1, 0)]
    one, other, again = (next(iter(batches))[0] for batches in epochs)
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_equal_samples_are_told_apart_among_many(many):
    X, _ = many
    doubled = np.repeat(X, 2, axis=0)
    model = clusterer().fit(doubled)
    assert np.array_equal(model.labels_[::2], model.labels_[1::2])


def test_labels_to_begin_with_are_learnt_by_all_samples(many):
    X, y = many
    clusterer(init=y % 4).fit(X)
    assert len(drawn(targets=True)) == len(drawn(targets=False)) == N


def test_a_given_graph_is_for_all_samples(many):
    X, _ = many
    graph = geometry(X).main_graph()
    clusterer(views=graph).fit(X)
    assert len(drawn(targets=True)) == len(drawn(targets=False)) == N


def test_a_stream_may_begin_with_a_large_chunk(many):
    X, _ = many
    model = clusterer().partial_fit(X).partial_fit(X[:50])
    assert model.predict(X).shape == (N,)


def test_a_classifier_learns_from_all_samples(many):
    X, y = many
    hidden = np.where(np.arange(N) % 10, -1, y + 1)
    quick = {"random_state": 0, "batch_size": 64, "callbacks": [Draws()]}
    with pytest.warns(UserWarning, match="-1"):
        model = CollisionClassifier(**quick).fit(X, hidden)
    assert len(drawn(targets=True)) == N
    assert np.mean(model.predict(X) == y + 1) > 0.9


def test_a_part_too_large_to_hold_is_read_batch_by_batch(many, monkeypatch):
    X, _ = many
    held = clusterer(max_epochs=4).fit(X)
    monkeypatch.setattr(_geometry, "HELD_BYTES", X[:PART].nbytes - 1)
    assert isinstance(geometry(X).begun.source, PartSource)
    read = clusterer(max_epochs=4).fit(X)
    assert np.array_equal(read.predict_proba(X), held.predict_proba(X))


def test_sizes_are_enforced_for_all_by_those_of_a_part(many):
    X, y = many
    uneven = np.concatenate([X[y == 0], X[y != 0][:150]])
    model = clusterer(fairness_weight=1000.0).fit(uneven)
    sizes = np.bincount(model.labels_, minlength=4) / len(uneven)
    np.testing.assert_allclose(sizes, 1 / 4, atol=0.1)


@pytest.mark.parametrize("n", [201, 300, 1000, 4321])
def test_parts_for_the_search_hold_every_sample_once(n):
    parts = list(_geometry.parts_for_search(n))
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(n))
    assert max(map(len, parts)) <= LARGEST
    assert min(map(len, parts)) > LARGEST / 3


def test_neighbors_in_a_part_are_the_nearest_of_it(many):
    X, _ = many
    table = geometry(X)._table(Neighbors(4))
    for rows in _geometry.parts_for_search(N):
        own = X[rows] - X[rows].mean(0)
        expected = neighbor_graph(torch.from_numpy(own), 4).indices.reshape(-1, 4)
        found = np.searchsorted(rows.numpy(), table[rows])
        assert np.isin(table[rows], rows).all()
        assert np.mean(np.sort(found) == np.sort(expected)) > 0.99


def test_who_waits_long_is_told_what_helps(many, monkeypatch):
    monkeypatch.setattr(neighbors, "is_available", lambda: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", EfficiencyWarning)
        clusterer().fit(many[0])
    monkeypatch.setattr(neighbors, "SLOW_FROM", N)
    with pytest.warns(EfficiencyWarning, match=r"sklearn-cce\[approximate\]"):
        clusterer().fit(many[0])


def test_few_different_samples_among_many_have_neighbors(many):
    X = np.repeat(many[0][:3], 100, axis=0)
    table = geometry(X, n_groups=1)._table(Neighbors())
    assert table.shape == (N, 10)
    assert (X[table] != X[:, None]).any(2).all()


def test_the_seed_draws_the_part():
    rows = rows_for_start(N, 0)
    assert len(rows.unique()) == PART and torch.equal(rows, rows.sort().values)
    assert torch.equal(rows, rows_for_start(N, 0))
    assert not torch.equal(rows, rows_for_start(N, 1))
    assert rows_for_start(LARGEST, 0) is None


def test_a_part_has_the_features_and_weights_of_its_samples(many):
    weight = np.random.default_rng(0).uniform(1, 2, N)
    whole, rows = geometry(many[0], weight), rows_for_start(N, 0)
    part = whole.beginning
    assert torch.equal(part.embedding, whole.embedding[rows])
    assert torch.equal(part.samples.source[:], whole.samples.source[rows])
    expected = weight[rows] / weight[rows].mean()
    np.testing.assert_allclose(part.samples.weight, expected, rtol=1e-5)
    assert whole.beginning is part and part.beginning is part


def test_all_neighbors_are_looked_for_on_the_axes_that_the_start_found():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 100)
    X = np.column_stack([rng.normal(y, 0.2), rng.normal(0, 1, (N, 2))])
    whole = geometry(X.astype(np.float32), n_groups=3)
    before = whole.main_graph()
    balance = _geometry.Balance(0.5, np.full(3, 1 / 3))
    start = whole.initial_labels(np.ones(PART), balance, 4, 0)
    assert start.turned is not None and start.labels.shape == (PART, 3)
    after = whole.main_graph()
    agree = [np.mean(y[g.indices] == np.repeat(y, 10)) for g in (before, after)]
    assert agree[1] > agree[0]


def test_a_walk_ends_where_one_on_the_graph_of_the_same_neighbors_does(many):
    X = np.repeat(many[0], 2, axis=0)
    view = Neighbors(n_neighbors=6, n_steps=2)
    whole = geometry(X, views=[view])
    walks = whole.walk(view), _geometry.RandomWalk(whole.graph(view), 2)
    index = torch.arange(2 * N).repeat(5)
    ends = [walk(index, torch.Generator().manual_seed(3)) for walk in walks]
    assert torch.equal(*ends)
