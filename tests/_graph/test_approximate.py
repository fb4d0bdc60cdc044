"""Nearest neighbours by FAISS: how many are right, and that threads do not matter."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_cce._graph import approximate, neighbors
from sklearn_cce._graph.approximate import nearly_nearest, others
from sklearn_cce._graph.neighbors import nearest, neighbor_table

needs_faiss = pytest.mark.skipif(
    not approximate.is_available(), reason="faiss is not installed, or not used here"
)
ROOT = Path(neighbors.__file__).parents[2]


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def recall(found, Z):
    exact = nearest(torch.from_numpy(Z), found.shape[1]).numpy()
    right = [len(np.intersect1d(*pair)) for pair in zip(found, exact, strict=True)]
    return np.mean(right) / found.shape[1]


@needs_faiss
def test_nearly_all_neighbors_are_right_and_none_is_the_sample_itself():
    Z = draw(6000, 8)
    Z[1::3] = Z[::3]  # a sample is not its own neighbour, even where it has a twin
    found = nearly_nearest(Z, 5, 1)
    assert found.dtype == np.int32 and found.shape == (6000, 5)
    assert (found != np.arange(6000)[:, None]).all()
    assert all(len(set(row)) == 5 for row in found.tolist())
    assert recall(found, Z) > 0.95


@needs_faiss
@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_do_not_change_a_bit(n_threads, monkeypatch):
    monkeypatch.setattr(approximate, "BLOCK", 1000)
    Z = draw(5000, 12)
    assert np.array_equal(nearly_nearest(Z, 7, 1), nearly_nearest(Z, 7, n_threads))


@needs_faiss
def test_the_threads_of_others_are_left_as_they_are():
    import faiss

    before = faiss.omp_get_max_threads()
    nearly_nearest(draw(500, 3), 4, before + 1)
    assert faiss.omp_get_max_threads() == before


@needs_faiss
def test_blocks_do_not_change_what_is_found(monkeypatch):
    Z = draw(3000, 6)
    expected = nearly_nearest(Z, 4, 1)
    monkeypatch.setattr(approximate, "BLOCK", 512)
    assert np.mean(nearly_nearest(Z, 4, 1) == expected) > 0.999


@needs_faiss
@pytest.mark.parametrize("n, k", [(3, 2), (40, 39), (200, 150)])
def test_as_many_are_found_as_asked_where_lists_are_short(n, k):
    found = nearly_nearest(draw(n, 2), k, 1)
    assert found.min() >= 0
    assert all(len(set(row)) == k for row in found.tolist())


def test_of_twins_without_the_sample_the_farthest_is_left_out():
    found = np.array([[0, 5, 6], [7, 8, 9]])
    assert others(found, np.array([0, 1])).tolist() == [[5, 6], [7, 8]]


@needs_faiss
def test_many_samples_are_searched_so(monkeypatch):
    Z = torch.from_numpy(draw(900, 4))
    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 800)
    table = neighbor_table(Z, 6)
    assert np.array_equal(table, nearly_nearest(Z.numpy(), 6, 1))


def test_faiss_is_not_used_on_macos(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not approximate.is_available()


TOGETHER = """
import sys
{imports}
from sklearn_cce._graph.approximate import nearly_nearest
import numpy as np
Z = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
product = torch.from_numpy(Z).T @ torch.from_numpy(Z)
nearly_nearest(Z, 5, 2)
assert torch.equal(torch.from_numpy(Z).T @ torch.from_numpy(Z), product)
print("faiss" in sys.modules)
"""


@pytest.mark.slow
@needs_faiss
@pytest.mark.parametrize("imports", ["import faiss, torch", "import torch, faiss"])
def test_faiss_and_torch_live_together(imports):
    code = TOGETHER.format(imports=imports)
    environment = os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.slow
def test_faiss_is_imported_only_where_it_is_needed():
    code = "import sys, sklearn_cce; sys.exit('faiss' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
