"""Who is near whom among the samples of a fit: features, graphs and views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from sklearn_cce._batches import Samples, Source, TensorSource, spread_blocks
from sklearn_cce._net import infer
from sklearn_cce.modules import input_scaling
from sklearn_cce.views import Neighbors, View
from sklearn_cce.views._neighbors import RandomWalk, neighbor_graph

N_COMPONENTS = 100
"""Neighbours are looked for in so many principal components."""

LARGEST_GRAPH, SUBSET = 100_000, 50_000
"""Of more samples than the first number, a random subset of the second is used."""


def embed(samples: Samples) -> Tensor:
    """Return centred features on one scale, in which distances are measured.

    Parameters
    ----------
    samples : Samples
        The samples.

    Returns
    -------
    Tensor of shape (n_samples, n_components), float32
        On the device of the samples.
    """
    source = samples.source
    some = spread_blocks(len(source))
    X = source[some].flatten(1)
    layer = input_scaling(math.prod(source.shape[1:]), N_COMPONENTS)
    layer.fit(X, None if samples.weight is None else samples.weight[some])
    embedding = nn.Sequential(nn.Flatten(), layer).to(X.device).eval()
    return torch.from_numpy(infer(embedding, source)).to(X.device)


class Geometry:
    """The graphs that views walk on, and the features that they come from.

    Parameters
    ----------
    samples : Samples
        The samples of a fit.
    views : sequence of Neighbors and callables
        What the views are.
    """

    def __init__(self, samples: Samples, views: Sequence[View]) -> None:
        self.samples = samples
        self.neighbors = [view for view in views if isinstance(view, Neighbors)]
        self.transforms = [view for view in views if not isinstance(view, Neighbors)]
        self._embedding: Tensor | None = None
        self._graphs: dict[int, sp.csr_matrix] = {}

    @property
    def embedding(self) -> Tensor:
        """Features of the samples, made when first needed."""
        if self._embedding is None:
            self._embedding = embed(self.samples)
        return self._embedding

    def graph(self, neighbors: Neighbors) -> sp.csr_matrix:
        """Return the graph of a view, made when first needed."""
        given = neighbors.given(len(self.samples))
        if given is not None:
            return given
        k = neighbors.n_neighbors
        if k not in self._graphs:
            self._graphs[k] = neighbor_graph(self.embedding, k)
        return self._graphs[k]

    def main_graph(self) -> sp.csr_matrix:
        """Return the graph of the first view that has one, or that of the default."""
        return self.graph(next(iter(self.neighbors), Neighbors()))

    def with_views(self) -> Samples:
        """Return the samples with their views."""
        walks = [RandomWalk(self.graph(view), view.n_steps) for view in self.neighbors]
        return replace(self.samples, walks=walks, transforms=self.transforms)


def has_given_graph(views: Sequence[View]) -> bool:
    """Return whether a view belongs to the samples in the order they are given."""
    return any(isinstance(v, Neighbors) and v.graph is not None for v in views)


def rows_for_graph(n_samples: int, weight: Tensor | None, seed: int) -> Tensor | None:
    """Return which samples a graph is made of: those of weight, and not too many.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    weight : Tensor of shape (n_samples,) or None
        Their weights.
    seed : int
        Draws the subset.

    Returns
    -------
    Tensor of shape (n_rows,), int64, or None
        Rising indices; None for all.
    """
    rows = np.arange(n_samples) if weight is None else np.flatnonzero(weight.numpy())
    if len(rows) > LARGEST_GRAPH:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(rows, SUBSET, replace=False, shuffle=False))
    return None if len(rows) == n_samples else torch.from_numpy(rows)


def take(source: Source, rows: Tensor) -> TensorSource:
    """Return some of the samples, on the device."""
    return TensorSource(source[rows.to(source.X.device) if source.resident else rows])
