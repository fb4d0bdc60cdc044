"""Who is near whom, and walks from neighbour to neighbour."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

BLOCK_VALUES = 2**24
"""Similarities are held for about so many pairs of samples at a time."""

MANY_DIRECTIONS = 20.0
"""With more effective dimensions than this, angles tell more than distances."""

EXACT_UP_TO = 50_000
"""Of more samples on the CPU, nearest ones are found approximately if that can be."""


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
    Tensor of shape (n_samples, n_neighbors), int64
        Their indices, on the host.
    """
    half = Z.square().sum(1) / 2
    block = max(BLOCK_VALUES // len(Z), 1)
    found = []
    for first in range(0, len(Z), block):
        similarity = torch.addmm(-half, Z[first : first + block], Z.T)
        similarity.diagonal(offset=first).fill_(-torch.inf)
        found.append(similarity.topk(n_neighbors, dim=1).indices.cpu())
    return torch.cat(found)


def nearly_nearest(Z: Tensor, n_neighbors: int) -> Tensor:
    """Return mostly the nearest other samples, by nearest neighbour descent [1]_.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_features)
        Samples, on the CPU.
    n_neighbors : int
        How many, below n_samples.

    Returns
    -------
    Tensor of shape (n_samples, n_neighbors), int64
        Their indices.

    References
    ----------
    .. [1] Dong, Moses & Li (2011), "Efficient k-nearest neighbor graph construction for
       generic similarity measures".
    """
    from pynndescent import NNDescent

    # With several threads the result would depend on their timing.
    search = NNDescent(Z.numpy(), n_neighbors=n_neighbors + 1, random_state=0, n_jobs=1)
    found = torch.from_numpy(search.neighbor_graph[0].astype(np.int64))
    itself = found == torch.arange(len(Z))[:, None]
    itself[~itself.any(1), -1] = True
    return found[~itself].reshape(len(Z), n_neighbors)


def compares_angles(Z: Tensor) -> bool:
    """Return whether centred features have so many directions that angles tell more."""
    return effective_dimension(Z) > MANY_DIRECTIONS


def neighbor_graph(
    Z: Tensor, n_neighbors: int, angles: bool | None = None
) -> sp.csr_matrix:
    """Return the graph of nearest neighbours.

    Many samples on the CPU are searched approximately if pynndescent is
    installed.

    Parameters
    ----------
    Z : Tensor of shape (n_samples, n_features)
        Centred samples, float32.
    n_neighbors : int
        Number of links of a sample, if there are so many other samples.
    angles : bool, default=None
        Whether angles are compared, not distances. None: where there are many
        effective dimensions.

    Returns
    -------
    csr_matrix of shape (n_samples, n_samples)
        Ones, float32.
    """
    n, k = len(Z), min(n_neighbors, len(Z) - 1)
    if compares_angles(Z) if angles is None else angles:
        Z = torch.nn.functional.normalize(Z)
    approximate = (
        n > EXACT_UP_TO and Z.device.type == "cpu" and find_spec("pynndescent")
    )
    search = nearly_nearest if approximate else nearest
    links = search(Z, k).flatten().numpy() if k else np.empty(0, np.int64)
    starts = np.arange(0, n * k + 1, k) if k else np.zeros(n + 1, np.int64)
    return sp.csr_matrix((np.ones(n * k, np.float32), links, starts), (n, n))


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

    def __call__(self, Z: np.ndarray) -> sp.csr_matrix:
        """Return the graph of nearest neighbours in centred features on the host."""
        on_device = torch.from_numpy(Z).to(self.device)
        return neighbor_graph(on_device, self.n_neighbors, self.angles)
