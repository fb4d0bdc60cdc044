"""Who is near whom, and where walks end."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.neighbors import NearestNeighbors

from sklearn_cce._graph.neighbors import (
    RandomWalk,
    TableWalk,
    as_graph,
    effective_dimension,
    nearest,
)
from sklearn_cce.views import Neighbors, make_views, takes_graph
from tests.helpers import neighbor_graph


def cycle(n):
    """Return the graph in which every sample leads to the next one only."""
    return sp.csr_matrix((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)))


def walk(graph, index, n_steps=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return RandomWalk(sp.csr_matrix(graph), n_steps)(torch.as_tensor(index), generator)


@pytest.mark.parametrize("n, d, k", [(50, 3, 5), (300, 10, 10), (7, 2, 6)])
def test_nearest_agrees_with_scikit_learn(n, d, k):
    Z = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    expected = NearestNeighbors(n_neighbors=k).fit(Z).kneighbors()[1]
    found = nearest(torch.from_numpy(Z), k).numpy()
    assert np.array_equal(np.sort(found, 1), np.sort(expected, 1))


def test_blocks_do_not_change_the_neighbors(monkeypatch):
    Z = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    expected = nearest(Z, 5)
    monkeypatch.setattr("sklearn_cce._graph.neighbors.BLOCK_VALUES", 7 * 200)
    assert torch.equal(nearest(Z, 5), expected)


def test_every_sample_is_linked_to_others_only():
    Z = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    graph = neighbor_graph(Z, 4)
    assert (np.diff(graph.indptr) == 4).all()
    assert not graph.diagonal().any()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_there_are_no_more_neighbors_than_other_samples(n):
    graph = neighbor_graph(torch.randn(n, 2), 10)
    assert graph.shape == (n, n)
    assert (np.diff(graph.indptr) == n - 1).all()


def test_angles_count_where_there_are_many_directions():
    generator = torch.Generator().manual_seed(0)
    Z = torch.randn(400, 60, generator=generator)
    assert effective_dimension(Z) > 20
    scale = torch.rand(400, 1, generator=generator) + 0.5
    assert (neighbor_graph(scale * Z, 5) != neighbor_graph(Z, 5)).nnz < 0.05 * 2000


def test_the_effective_dimension_counts_equal_variances():
    Z = torch.zeros(8, 5)
    Z[:6, :3] = torch.cat([torch.eye(3), -torch.eye(3)])
    assert effective_dimension(Z) == pytest.approx(3)


@pytest.mark.parametrize("n_steps", [1, 3, 7])
def test_a_walk_makes_as_many_steps_as_asked(n_steps):
    index = torch.arange(20)
    assert torch.equal(walk(cycle(20), index, n_steps), (index + n_steps) % 20)


def test_a_walk_takes_every_link_alike():
    graph = sp.csr_matrix(np.array([[0, 1, 1, 1], [0] * 4, [0] * 4, [0] * 4]))
    ends = walk(graph, torch.zeros(3000, dtype=torch.int64))
    assert sorted(ends.unique().tolist()) == [1, 2, 3]
    assert np.allclose(np.bincount(ends.numpy())[1:] / 3000, 1 / 3, atol=0.04)


def test_steps_over_a_table_take_every_neighbor_alike():
    table = np.random.default_rng(0).integers(0, 30, (30, 7), np.int32)
    index = torch.arange(30).repeat(400)
    one, two = TableWalk(table, 3), RandomWalk(as_graph(table), 3)
    ends = [w(index, torch.Generator().manual_seed(1)) for w in (one, two)]
    assert torch.equal(*ends)
    last = TableWalk(table, 1)(index, torch.Generator().manual_seed(2))
    counts = np.bincount(last[index == 4].numpy(), minlength=30) / 400
    expected = np.bincount(table[4], minlength=30) / 7
    assert np.allclose(counts, expected, atol=0.08)


def test_a_walk_over_an_empty_table_stays_where_it_is():
    table, index = np.empty((3, 0), np.int32), torch.tensor([2, 0, 1])
    assert TableWalk(table, 4)(index, torch.Generator()).tolist() == [2, 0, 1]


def test_a_walk_from_a_sample_without_links_stays_there():
    assert walk(sp.csr_matrix((3, 3)), [0, 2, 1]).tolist() == [0, 2, 1]


@pytest.mark.parametrize("n_steps", [1, 2])
def test_links_are_followed_in_proportion_to_their_weights(n_steps):
    graph = np.random.default_rng(0).integers(0, 5, (6, 6)).astype(float)
    graph[0], graph[1:, 0] = [0, 1, 2, 5, 0, 0.5], 0.1
    step = graph / graph.sum(1, keepdims=True)
    expected = np.linalg.matrix_power(step, n_steps)[0]
    n = 40_000
    ends = walk(graph, torch.zeros(n, dtype=torch.int64), n_steps)
    shares = np.bincount(ends, minlength=6) / n
    assert (shares[expected == 0] == 0).all()
    deviation = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(shares - expected) <= 4 * deviation).all()


def test_the_generator_determines_a_walk():
    graph = neighbor_graph(torch.randn(50, 3), 5)
    index = torch.arange(50)
    assert torch.equal(walk(graph, index, 2, seed=1), walk(graph, index, 2, seed=1))
    assert not torch.equal(walk(graph, index, 2, seed=1), walk(graph, index, 2, seed=2))


def test_a_given_graph_is_copied_without_loops_and_zeros():
    graph = sp.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))
    given = Neighbors(graph=graph).given(2)
    assert given.toarray().tolist() == [[0, 2], [0, 0]]
    assert given.nnz == 1
    assert graph.nnz == 3


@pytest.mark.parametrize("name", ["n_neighbors", "n_steps"])
@pytest.mark.parametrize(
    "value", [0, -1, 1.5, "two", True, [1], np.True_, 1j, np.timedelta64(2, "D")]
)
def test_numbers_of_neighbors_and_steps_are_checked(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an int of at least 1"):
        Neighbors(**{name: value})


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.array])
def test_numbers_of_neighbors_and_steps_are_numbers_of_python(kind):
    view = Neighbors(n_neighbors=kind(5), n_steps=kind(3))
    assert view == Neighbors(n_neighbors=5, n_steps=3)
    assert type(view.n_neighbors) is type(view.n_steps) is int


@pytest.mark.parametrize(
    "graph, match",
    [
        (sp.eye_array(3), r"each of the 4 samples; got shape \(3, 3\)"),
        (-sp.eye_array(4), "non-negative"),
    ],
)
def test_a_given_graph_is_checked(graph, match):
    with pytest.raises(ValueError, match=match):
        Neighbors(graph=graph).given(4)


def test_precomputed_means_neighbors_on_a_graph_that_is_X():
    assert make_views("precomputed", 1) == [Neighbors(graph="precomputed")]
    assert takes_graph(["noise", Neighbors(n_steps=2, graph="precomputed")])
    graph = sp.eye_array(3)
    for views in ("neighbors", graph, Neighbors(graph=graph), [torch.neg], None, []):
        assert not takes_graph(views)


def test_auto_means_neighbors_and_augmentation_for_images():
    assert [type(view).__name__ for view in make_views("auto", 1)] == ["Neighbors"]
    names = [type(view).__name__ for view in make_views("auto", 3)]
    assert names == ["Neighbors", "RandomAffine"]


def test_views_may_be_many_and_none():
    assert make_views(None, 1) == []
    views = make_views(["neighbors", torch.neg, sp.eye_array(3)], 1)
    assert views[0] == Neighbors()
    assert views[1] is torch.neg
    assert isinstance(views[2], Neighbors)


@pytest.mark.parametrize("views", ["neighbours", 3, [None], ["auto", 1], [["noise"]]])
def test_other_views_are_refused(views):
    with pytest.raises(ValueError, match="views must be one of .*'neighbors'"):
        make_views(views, 1)
