"""Nearest neighbours of many samples by FAISS, nearly all of them right."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from importlib.util import find_spec
from typing import Any

import numpy as np

from sklearn_cce._training.progress import progress

LISTS_PER_ROOT, N_PROBES = 4, 16
"""Number of lists per square root of the number of samples, and how many of them are
searched for a sample."""

TRAINED_PER_LIST = 64
"""Their centres are the means of k-means on so many samples each."""

BLOCK = 2**15
"""So many samples are searched for at a time."""


def is_available() -> bool:
    """Return whether FAISS is there and can be used beside torch.

    Not on macOS, where two copies of LLVM's OpenMP, its and torch's, end the process.
    """
    return sys.platform != "darwin" and find_spec("faiss") is not None


def nearly_nearest(Z: np.ndarray, n_neighbors: int, n_threads: int) -> np.ndarray:
    """Return mostly the nearest other samples: of those in the nearest lists [1]_.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features), float32
        Samples.
    n_neighbors : int
        How many, below n_samples.
    n_threads : int
        Number of threads, which does not change the result.

    Returns
    -------
    ndarray of shape (n_samples, n_neighbors), int32
        Their indices.

    References
    ----------
    .. [1] Douze et al. (2024), "The Faiss library", arXiv 2401.08281, section 5.1.
    """
    # OpenMP counts threads for each thread that calls it: one of its own changes
    # nothing for others, and leaves no idle ones behind that a fork would wait for.
    with ThreadPoolExecutor(1) as thread:
        in_context = copy_context().run
        return thread.submit(in_context, search, Z, n_neighbors, n_threads).result()


def search(Z: np.ndarray, n_neighbors: int, n_threads: int) -> np.ndarray:
    """Return what `nearly_nearest` does, and let this thread have so many threads."""
    import faiss

    # The matrix products here may round otherwise with more threads than one.
    faiss.omp_set_num_threads(1)
    index, lists = fill(faiss, Z)
    faiss.omp_set_num_threads(n_threads)
    found = np.empty((len(Z), n_neighbors), np.int32)
    for first in progress(range(0, len(Z), BLOCK), "neighbours"):
        rows = slice(first, first + BLOCK)
        links = look_up(index, Z[rows], lists[rows], n_neighbors + 1)
        found[rows] = others(links, np.arange(first, first + len(links)))
    return found


def fill(faiss: Any, Z: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return an index of contiguous rows, and the lists nearest to each of them."""
    n, d = Z.shape
    n_lists = min(int(LISTS_PER_ROOT * math.sqrt(n)), n)
    centres = faiss.IndexFlatL2(d)
    index = faiss.IndexIVFFlat(centres, d, n_lists)
    index.cp.min_points_per_centroid = 1  # else it prints a warning for less than 39
    index.cp.max_points_per_centroid = TRAINED_PER_LIST
    index.train(Z)
    lists = np.empty((n, min(N_PROBES, n_lists)), np.int32)
    for first in range(0, n, BLOCK):
        rows = slice(first, first + BLOCK)
        nearest = centres.search(Z[rows], lists.shape[1])[1]
        own = np.ascontiguousarray(nearest[:, 0])
        index.add_core(len(own), faiss.swig_ptr(Z[rows]), None, faiss.swig_ptr(own))
        lists[rows] = nearest
    return index, lists


def look_up(index: Any, Z: np.ndarray, lists: np.ndarray, n_found: int) -> np.ndarray:
    """Return the nearest samples in some lists, or in all where these hold too few."""
    distances = np.zeros(lists.shape, np.float32)  # to the centres: they do not matter
    index.nprobe = lists.shape[1]
    found = index.search_preassigned(Z, n_found, lists.astype(np.int64), distances)[1]
    few = (found < 0).any(1)
    if few.any():
        index.nprobe = index.nlist
        found[few] = index.search(Z[few], n_found)[1]
    return found


def others(found: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Leave out every sample itself, or else the farthest one."""
    itself = found == rows[:, None]
    itself[~itself.any(1), -1] = True
    return found[~itself].reshape(len(found), -1)
