"""Who is near whom among the samples of a fit: features, graphs and views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from sklearn_cce._graph.information import Balance
from sklearn_cce._graph.neighbors import (
    RandomWalk,
    Search,
    compares_angles,
    effective_dimension,
)
from sklearn_cce._graph.remembered import NOWHERE, bare, remembered
from sklearn_cce._graph.start import Start, initial_labels
from sklearn_cce._training.batches import Samples, rows_for_scale
from sklearn_cce._training.inference import infer
from sklearn_cce._training.process import once
from sklearn_cce.modules import input_scaling
from sklearn_cce.views import Neighbors, View

N_COMPONENTS = 100
"""Neighbours are looked for in so many principal components."""

N_NEIGHBORS = 10
"""Number of neighbours where nothing else is said."""

IN_A_ROW, MOST_CROWDED = 3.0, 10.0
"""Number of groups in a row for which the usual learning rate is enough, and bound of
how many times larger it becomes."""

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
    X, weight = rows_for_scale(samples)
    layer = input_scaling(math.prod(source.shape[1:]), N_COMPONENTS)
    layer.fit(X.flatten(1), weight)
    embedding = nn.Sequential(nn.Flatten(), layer).to(X.device).eval()
    return torch.from_numpy(infer(embedding, source)).to(X.device)


@dataclass(frozen=True)
class Distinct:
    """Which samples differ, and which of them each sample is equal to.

    Attributes
    ----------
    rows : ndarray of shape (n_distinct,), int64
        The first sample of every kind, rising.
    kind : ndarray of shape (n_samples,), int64
        Index in `rows` of the sample that each one is equal to.
    """

    rows: np.ndarray
    kind: np.ndarray

    @property
    def repeats(self) -> bool:
        """Whether some samples are equal."""
        return len(self.rows) < len(self.kind)


def distinct(Z: np.ndarray) -> Distinct:
    """Tell which rows of a matrix are equal, by sums that only equal rows share."""
    # Sums of integers wrap around, so that equal rows have equal ones in any order.
    bits = np.ascontiguousarray(Z + 0.0, np.float32).view(np.uint32)
    factors = np.random.default_rng(0).integers(
        2**63, size=bits.shape[1], dtype=np.uint64
    )
    keys = bits @ (2 * factors + 1)
    _, first, kind = np.unique(keys, return_index=True, return_inverse=True)
    order = first.argsort()
    return Distinct(first[order], order.argsort()[kind.reshape(-1)])


def suitable_neighbors(n_samples: int, n_groups: int, usual: int) -> int:
    """Return how many neighbours suit: at most half of a group of equal size."""
    return min(usual, n_samples // (2 * n_groups))


class Geometry:
    """The graphs that views walk on, and the features that they come from.

    Equal samples are one node of the graphs of neighbours: a sample is no neighbour of
    its copies, which would tie them to each other and to nothing else.

    Parameters
    ----------
    samples : Samples
        The samples of a fit.
    views : sequence of Neighbors and callables
        What the views are.
    n_groups : int
        Number of clusters or classes.
    n_neighbors : int, default=N_NEIGHBORS
        Number of neighbours where a view does not say, and no more than suit.
    memory : joblib.Memory, default=NOWHERE
        Keeps graphs and starts.
    """

    def __init__(
        self,
        samples: Samples,
        views: Sequence[View],
        n_groups: int,
        n_neighbors: int = N_NEIGHBORS,
        memory: Any = NOWHERE,
    ) -> None:
        self.samples = samples
        self.neighbors = [view for view in views if isinstance(view, Neighbors)]
        self.transforms = [view for view in views if not isinstance(view, Neighbors)]
        self.n_groups, self.n_neighbors = n_groups, n_neighbors
        self.memory = memory
        self._graphs: dict[int, sp.csr_matrix] = {}
        self._features: Tensor | None = None

    @once
    def embedding(self) -> Tensor:
        """Features of the samples."""
        return embed(self.samples)

    @once
    def distinct(self) -> Distinct:
        """Which samples are equal."""
        return distinct(self.embedding.cpu().numpy())

    def with_groups(self, n_groups: int) -> Geometry:
        """Return the geometry for another number of groups, with the same graphs."""
        other = Geometry(
            self.samples,
            [*self.neighbors, *self.transforms],
            n_groups,
            self.n_neighbors,
            self.memory,
        )
        for name in ("embedding", "distinct", "angles"):
            vars(other)[name] = getattr(self, name)
        other._graphs = self._graphs
        return other

    @property
    def features(self) -> Tensor:
        """What neighbours are looked for in: the embedding, or what the start found."""
        return self.embedding if self._features is None else self._features

    @once
    def angles(self) -> bool:
        """Whether angles are compared to find neighbours."""
        return compares_angles(self.embedding)

    def graph_of_distinct(self, n_neighbors: int | None) -> sp.csr_matrix:
        """Return the graph of the samples that differ."""
        k, same = self._n_links(n_neighbors), self.distinct
        if k not in self._graphs:
            Z = self.features
            Z = Z[torch.from_numpy(same.rows).to(Z.device)] if same.repeats else Z
            search = self._search(k)
            self._graphs[k] = remembered(self.memory, search, Z.cpu().numpy())
        return self._graphs[k]

    def _n_links(self, n_neighbors: int | None) -> int:
        """Return the number of neighbours that a view sets, or one that suits."""
        n_distinct = len(self.distinct.rows)
        return n_neighbors or suitable_neighbors(
            n_distinct, self.n_groups, self.n_neighbors
        )

    def graph(self, neighbors: Neighbors) -> sp.csr_matrix:
        """Return the graph of a view."""
        given = neighbors.given(len(self.samples))
        if given is not None:
            return given
        graph, same = self.graph_of_distinct(neighbors.n_neighbors), self.distinct
        if not same.repeats:
            return graph
        lifted = graph[same.kind]
        links = lifted.data, same.rows[lifted.indices], lifted.indptr
        return sp.csr_matrix(links, shape=(len(same.kind), len(same.kind)))

    @once
    def crowding(self) -> float:
        """How many times faster a network must turn to tell the groups apart.

        K groups in d effective dimensions lie in rows of ``K**(1/d)``; at the usual
        rate a network learns to tell about three in a row apart.
        """
        d = max(effective_dimension(self.embedding), 1.0)
        return min(max(self.n_groups ** (1 / d) / IN_A_ROW, 1.0), MOST_CROWDED)

    def initial_labels(
        self, weight: np.ndarray, balance: Balance, n_spectral: int, seed: int
    ) -> Start:
        """Return labels that the graph of the main view suggests.

        Neighbours are then looked for in the features that suit these labels best.

        Parameters
        ----------
        weight : ndarray of shape (n_samples,), float64
            Sample weights, above 0.
        balance : Balance
            What the sizes of the clusters should be.
        n_spectral : int
            Number of spectral clusterings.
        seed : int
            Determines the result.

        Returns
        -------
        Start
            Equal samples have equal labels.
        """
        view, same = self.main_view(), self.distinct
        Z = self.embedding.cpu().numpy()
        if view.graph is not None:
            graph = self.graph(view)
            return self._remembered_start(
                Z, graph, balance, weight, n_spectral, seed, None
            )
        k = self._n_links(view.n_neighbors)
        start = self._remembered_start(
            Z[same.rows] if same.repeats else Z,
            self.graph_of_distinct(view.n_neighbors),
            balance,
            np.bincount(same.kind, weight) if same.repeats else weight,
            n_spectral,
            seed,
            self._search(k),
        )
        kind = same.kind if same.repeats else slice(None)
        if start.rounded is not None:
            features = np.array(start.rounded.features[kind])
            self._features = torch.from_numpy(features).to(self.embedding.device)
            self._graphs = {k: start.rounded.graph}
        return start._replace(labels=np.array(start.labels[kind]))

    def _search(self, n_neighbors: int) -> Search:
        """Return how so many neighbours are looked for."""
        return Search(n_neighbors, self.angles, str(self.embedding.device))

    def _remembered_start(self, Z: np.ndarray, graph: Any, *args: Any) -> Start:
        """Return what `initial_labels` does, from the memory if that has it."""
        ignored = (self.memory,)
        return remembered(
            self.memory, initial_labels, Z, bare(graph), *args, ignored=ignored
        )

    def main_view(self) -> Neighbors:
        """Return the first view that has a graph, or the default."""
        return next(iter(self.neighbors), Neighbors())

    def main_graph(self) -> sp.csr_matrix:
        """Return the graph of the main view."""
        return self.graph(self.main_view())

    def with_views(self) -> Samples:
        """Return the samples with their views."""
        walks = [RandomWalk(self.graph(view), view.n_steps) for view in self.neighbors]
        return replace(self.samples, walks=walks, transforms=self.transforms)


def has_given_graph(views: Sequence[View]) -> bool:
    """Return whether a view belongs to the samples in the order they are given."""
    return any(isinstance(v, Neighbors) and v.graph is not None for v in views)


def rows_for_graph(
    n_samples: int, weight: np.ndarray | None, seed: int
) -> Tensor | None:
    """Return which samples a graph is made of: those of weight, and not too many.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    weight : ndarray of shape (n_samples,) or None
        Their weights.
    seed : int
        Draws the subset.

    Returns
    -------
    Tensor of shape (n_rows,), int64, or None
        Rising indices; None for all.
    """
    rows = np.arange(n_samples) if weight is None else np.flatnonzero(weight)
    if len(rows) > LARGEST_GRAPH:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(rows, SUBSET, replace=False, shuffle=False))
    return None if len(rows) == n_samples else torch.from_numpy(rows)
