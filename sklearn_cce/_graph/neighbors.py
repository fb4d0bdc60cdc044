"""Who is near whom, and walks from neighbour to neighbour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.exceptions import EfficiencyWarning
from torch import Tensor

from sklearn_cce._checks import warn
from sklearn_cce._graph.approximate import is_available, nearly_nearest
from sklearn_cce._training.progress import progress

BLOCK_VALUES = 2**24
"""Similarities are held for about so many pairs of samples at a time."""

MANY_DIRECTIONS = 20.0
"""With more effective dimensions than this, angles tell more than distances."""

EXACT_UP_TO = 30_000
"""Of more samples on the CPU, nearest ones are found approximately if that can be."""

SLOW_FROM = 200_000
"""From so many samples on, a user should know what makes the search faster."""


class TableWalk:
    """Where a random walk from a sample ends: every step goes to any neighbour alike.

    It draws as `RandomWalk` does on the graph of the same neighbours.

    Parameters
    ----------
    table : ndarray of shape (n_samples, n_neighbors), int32
        The neighbours of every sample. Where there are none, a walk stays where it is.
    n_steps : int
        Number of steps.
    """

    def __init__(self, table: np.ndarray, n_steps: int) -> None:
        if not table.shape[1]:
            table = np.arange(len(table), dtype=np.int32)[:, None]
        self.n_neighbors = table.shape[1]
        self.links = torch.from_numpy(np.require(table, requirements="W").reshape(-1))
        self.n_steps = n_steps

    def __call__(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the samples that walks from these samples end at."""
        index, k = index.cpu(), self.n_neighbors
        for _ in range(self.n_steps):
            draw = torch.rand(len(index), generator=generator, dtype=torch.float64)
            first = k * index
            link = (first + k * draw).long()
            index = self.links[link.clamp(first, first + k - 1)].long()
        return index


class RandomWalk:
    """Where a random walk from a sample ends.

    Parameters
    ----------
    graph : csr_matrix of shape (n_samples, n_samples)
        Non-negative weights of the links, in proportion to which they are followed. A
        sample without one stays where it is.
    n_steps : int
        Number of steps.
    """

    def __init__(self, graph: sp.csr_matrix, n_steps: int) -> None:
        alone = np.flatnonzero(np.diff(graph.indptr) == 0)
        if len(alone):
            loops = sp.csr_matrix((np.ones(len(alone)), (alone, alone)), graph.shape)
            graph = (graph + loops).tocsr()
        first, ends = graph.indptr[:-1], graph.indptr[1:]
        sums = np.concatenate([[0.0], np.cumsum(graph.data, dtype=np.float64)])
        self.first, self.last = torch.from_numpy(np.stack([first, ends - 1])).long()
        self.low = torch.from_numpy(sums[first])
        self.width = torch.from_numpy(sums[ends] - sums[first])
        self.sums = torch.from_numpy(sums[1:])
        self.links = torch.from_numpy(graph.indices.astype(np.int64))
        self.n_steps = n_steps

    def __call__(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the samples that walks from these samples end at."""
        index = index.cpu()
        for _ in range(self.n_steps):
            draw = torch.rand(len(index), generator=generator, dtype=torch.float64)
            place = self.low[index] + draw * self.width[index]
            link = torch.searchsorted(self.sums, place, right=True)
            link = link.clamp(self.first[index], self.last[index])
            index = self.links[link]
        return index


def effective_dimension(Z: Tensor) -> float:
    """Return the participation ratio of the variances of centred features.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_features)
        Samples.

    Returns
    -------
    float
        ``(sum w)^2 / sum w^2`` over the eigenvalues of the covariance.
    """
    gram = (Z.T @ Z).double()
    return float(gram.trace() ** 2 / gram.square().sum().clamp_min(1e-30))


def nearest(Z: Tensor, n_neighbors: int) -> Tensor:
    """Return the nearest other samples, exactly, by blocks of rows.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_features)
        Samples.
    n_neighbors : int
        How many, below n_samples.

    Returns
    -------
    Tensor of shape (n_samples, n_neighbors), int32
        Their indices, on the host.
    """
    half = Z.square().sum(1) / 2
    block = max(BLOCK_VALUES // len(Z), 1)
    found = []
    for first in progress(range(0, len(Z), block), "neighbours"):
        similarity = torch.addmm(-half, Z[first : first + block], Z.T)
        similarity.diagonal(offset=first).fill_(-torch.inf)
        found.append(similarity.topk(n_neighbors, dim=1).indices.int().cpu())
    return torch.cat(found)


def compares_angles(Z: Tensor) -> bool:
    """Return whether centred features have so many directions that angles tell more."""
    return effective_dimension(Z) > MANY_DIRECTIONS


def neighbor_table(
    Z: Tensor, n_neighbors: int, angles: bool | None = None
) -> np.ndarray:
    """Return the nearest neighbours of every sample.

    Many samples on the CPU are searched approximately if FAISS is installed.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_features)
        Centred samples, float32.
    n_neighbors : int
        Number of neighbours of a sample, if there are so many other samples.
    angles : bool, default=None
        Whether angles are compared, not distances. None: where there are many
        effective dimensions.

    Returns
    -------
    ndarray of shape (n_samples, n_neighbors), int32
        Their indices.
    """
    k = min(n_neighbors, len(Z) - 1)
    if k == 0:
        return np.empty((len(Z), 0), np.int32)
    approximate = is_approximate(len(Z), Z.device)
    if compares_angles(Z) if angles is None else angles:
        Z = torch.nn.functional.normalize(Z)
    if approximate:
        return nearly_nearest(Z.contiguous().numpy(), k, torch.get_num_threads())
    return nearest(Z, k).numpy()


def is_approximate(n_samples: int, device: torch.device) -> bool:
    """Return whether so many samples are searched approximately."""
    return n_samples > EXACT_UP_TO and device.type == "cpu" and is_available()


def warn_if_slow(n_samples: int, device: torch.device) -> None:
    """Say what helps where neighbours of very many samples are looked for exactly."""
    if n_samples >= SLOW_FROM and device.type == "cpu" and not is_available():
        warn(
            f"The neighbours of {n_samples} samples are found by comparing them with "
            "each other, which takes long. FAISS needs a fraction of that time, and is "
            "used where it is installed: pip install 'sklearn-cce[approximate]' (not "
            "on macOS).",
            EfficiencyWarning,
        )


def as_graph(table: np.ndarray) -> sp.csr_matrix:
    """Return the graph whose links lead to the neighbours in a table.

    Parameters
    ----------
    table : ndarray of shape (n_samples, n_neighbors), int32
        The neighbours of every sample.

    Returns
    -------
    csr_matrix of shape (n_samples, n_samples)
        Ones, float32.
    """
    n, k = table.shape
    starts = k * np.arange(n + 1)
    return sp.csr_matrix(
        (np.ones(n * k, np.float32), table.reshape(-1), starts), (n, n)
    )


@dataclass(frozen=True)
class Search:
    """How neighbours are looked for, whatever the features.

    Attributes
    ----------
    n_neighbors : int
        Number of links of a sample.
    angles : bool
        Whether angles are compared, not distances.
    device : str
        Where they are looked for: its type, and its number if there are several.
    """

    n_neighbors: int
    angles: bool
    device: str

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        """Return the neighbours in centred features on the host, as a table."""
        on_device = torch.from_numpy(Z).to(self.device)
        return neighbor_table(on_device, self.n_neighbors, self.angles)
