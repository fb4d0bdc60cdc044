"""Who is near whom among the samples of a fit: features, graphs and views."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from sklearn_cce._graph.information import Balance
from sklearn_cce._graph.metric import turned
from sklearn_cce._graph.neighbors import (
    RandomWalk,
    Search,
    TableWalk,
    as_graph,
    compares_angles,
    effective_dimension,
    warn_if_slow,
)
from sklearn_cce._graph.remembered import NOWHERE, bare, remembered
from sklearn_cce._graph.start import Start, initial_labels
from sklearn_cce._training.batches import Samples, Walk, rows_for_scale
from sklearn_cce._training.inference import infer
from sklearn_cce._training.process import once
from sklearn_cce._training.progress import progress, showing
from sklearn_cce._training.ranks import ALONE, Ranks
from sklearn_cce._training.sources import (
    BLOCK,
    HELD_BYTES,
    PartSource,
    Source,
    take,
)
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
"""Of more samples than the first number, neighbours are looked for in parts of fewer, a
random subset of the second gives the start, and training makes as many gradient steps
as for that, but one pass at least."""

FILLED = 0.9
"""So full may a part be, as blocks of samples make some larger than others."""


def embedder(samples: Samples) -> nn.Module:
    """Return what makes of samples centred features on one scale.

    Distances are measured in these.

    Parameters
    ----------
    samples : Samples
        The samples.
    """
    X, weight = rows_for_scale(samples)
    layer = input_scaling(math.prod(samples.source.shape[1:]), N_COMPONENTS)
    layer.fit(X.flatten(1), weight)
    return nn.Sequential(nn.Flatten(), layer).to(X.device).eval()


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
    seed : int, default=0
        Draws the samples that the start is made of.
    ranks : Ranks, optional
        The processes of a fit, of which the first looks for neighbours and the start.
    memory : joblib.Memory, default=NOWHERE
        Keeps graphs and starts.
    """

    def __init__(
        self,
        samples: Samples,
        views: Sequence[View],
        n_groups: int,
        n_neighbors: int = N_NEIGHBORS,
        seed: int = 0,
        ranks: Ranks = ALONE,
        memory: Any = NOWHERE,
    ) -> None:
        self.samples, self.seed, self.ranks = samples, seed, ranks
        self.neighbors = [view for view in views if isinstance(view, Neighbors)]
        self.transforms = [view for view in views if not isinstance(view, Neighbors)]
        self.n_groups, self.n_neighbors = n_groups, n_neighbors
        self.memory = memory
        self._tables: dict[int, np.ndarray] = {}
        self._axes: np.ndarray | None = None

    @once
    def embedder(self) -> nn.Module:
        """What makes the features of samples."""
        return embedder(self.samples)

    @once
    def embedding(self) -> Tensor:
        """Features of the samples, of shape (n_samples, n_components)."""
        source = self.samples.source
        Z = infer(self.embedder, source, name="projection")
        return torch.from_numpy(Z).to(source.device)

    @once
    def distinct(self) -> Distinct:
        """Which samples are equal."""
        return distinct(self.embedding.cpu().numpy())

    def with_groups(self, n_groups: int) -> Geometry:
        """Return the geometry for another number of groups, with the same graphs."""
        other = self._like(self.samples, n_groups)
        for name in ("embedding", "distinct", "angles"):
            vars(other)[name] = getattr(self, name)
        other._tables = self._tables
        return other

    @once
    def begun(self) -> Samples:
        """The samples that the start is made of: all, or a random part."""
        rows = self._rows_for_start
        if rows is None:
            return self.samples
        weight = self.samples.weight
        if weight is not None:
            weight = weight[rows.to(weight.device)]
            weight = weight / weight.mean()
        whole = self.samples.source
        fits = 4 * len(rows) * math.prod(whole.shape[1:]) <= HELD_BYTES
        return Samples(take(whole, rows) if fits else PartSource(whole, rows), weight)

    @once
    def beginning(self) -> Geometry:
        """The geometry of these samples."""
        return self._part(self.begun) if self.begins_with_part else self

    @property
    def begins_with_part(self) -> bool:
        """Whether the start is made of a part of the samples."""
        return self._rows_for_start is not None

    def _like(self, samples: Samples, n_groups: int) -> Geometry:
        """Return a geometry of samples or groups of its own, and all else alike."""
        views: list[View] = [*self.neighbors, *self.transforms]
        k, seed = self.n_neighbors, self.seed
        return Geometry(samples, views, n_groups, k, seed, memory=self.memory)

    def _part(self, samples: Samples) -> Geometry:
        """Return the geometry of some of the samples, with the same features."""
        part = self._like(samples, self.n_groups)
        vars(part)["embedder"] = self.embedder
        return part

    @once
    def _rows_for_start(self) -> Tensor | None:
        if self.main_view().graph is not None:
            return None
        return rows_for_start(len(self.samples), self.seed)

    @once
    def features(self) -> Tensor:
        """What neighbours are looked for in: the embedding, or what the start found."""
        if self._axes is None:
            return self.embedding
        Z = turned(self.embedding.cpu().numpy(), self._axes)
        return torch.from_numpy(Z).to(self.embedding.device)

    @once
    def angles(self) -> bool:
        """Whether angles are compared to find neighbours."""
        return compares_angles(self.beginning.embedding)

    def neighbors_of_distinct(self, n_neighbors: int | None) -> np.ndarray:
        """Return the table of the neighbours of the samples that differ."""
        k, same = self._n_links(n_neighbors), self.distinct
        if k not in self._tables:
            Z = self.features
            Z = Z[torch.from_numpy(same.rows).to(Z.device)] if same.repeats else Z
            search = self._search(k)
            self._tables[k] = remembered(self.memory, search, Z.cpu().numpy())
        return self._tables[k]

    def _n_links(self, n_neighbors: int | None) -> int:
        """Return the number of neighbours that a view sets, or one that suits."""
        n_distinct = len(self.distinct.rows)
        return n_neighbors or suitable_neighbors(
            n_distinct, self.n_groups, self.n_neighbors
        )

    def graph(self, neighbors: Neighbors) -> sp.csr_matrix:
        """Return the graph of a view."""
        given = neighbors.given(len(self.samples))
        return as_graph(self._table(neighbors)) if given is None else given

    def _table(self, neighbors: Neighbors) -> np.ndarray:
        """Return the neighbours of all samples; those of equal samples are equal."""
        if is_large(len(self.samples)):
            return self._table_by_parts(neighbors)
        table, same = self.neighbors_of_distinct(neighbors.n_neighbors), self.distinct
        if not same.repeats:
            return table
        return same.rows.astype(np.int32)[table][same.kind]

    def _table_by_parts(self, neighbors: Neighbors) -> np.ndarray:
        """Return the neighbours of all samples, each in its own part of them."""
        n, k = len(self.samples), neighbors.n_neighbors or self.n_neighbors
        warn_if_slow(n, self.samples.source.device)
        table = np.empty((n, k), np.int32)
        for rows in progress(parts_for_search(n), "neighbours", n_parts_for_search(n)):
            part = self._part(Samples(PartSource(self.samples.source, rows)))
            vars(part)["angles"], part._axes = self.angles, self._axes
            with showing(False):
                own, found = rows.numpy().astype(np.int32), part._table(neighbors)
            if not found.shape[1]:
                found = np.arange(len(own))[:, None]
            table[own] = own[found[:, np.arange(k) % found.shape[1]]]
        return table

    def walk(self, neighbors: Neighbors) -> Walk:
        """Return the walk that a view makes."""
        given = neighbors.given(len(self.samples))
        if given is not None:
            return RandomWalk(given, neighbors.n_steps)
        return TableWalk(self._table(neighbors), neighbors.n_steps)

    @once
    def crowding(self) -> float:
        """How many times faster a network must turn to tell the groups apart.

        K groups in d effective dimensions lie in rows of ``K**(1/d)``; at the usual
        rate a network learns to tell about three in a row apart.
        """
        d = self.ranks.first(lambda: effective_dimension(self.beginning.embedding))
        d = max(d, 1.0)
        return min(max(self.n_groups ** (1 / d) / IN_A_ROW, 1.0), MOST_CROWDED)

    def initial_labels(
        self, weight: np.ndarray, balance: Balance, n_spectral: int, seed: int
    ) -> Start:
        """Return labels of `beginning` that the graph of the main view suggests.

        Neighbours are then looked for in the features that suit these labels best.

        Parameters
        ----------
        weight : ndarray of shape (n_begun,), float64
            Sample weights of `beginning`, above 0.
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
        if self.begins_with_part:
            start = self.beginning.initial_labels(weight, balance, n_spectral, seed)
            if start.turned is not None:
                self._turn(start.turned.axes)
            return start
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
            as_graph(self.neighbors_of_distinct(view.n_neighbors)),
            balance,
            np.bincount(same.kind, weight) if same.repeats else weight,
            n_spectral,
            seed,
            self._search(k),
        )
        kind = same.kind if same.repeats else slice(None)
        if start.turned is not None:
            self._turn(start.turned.axes)
            self._tables[k] = start.turned.table
        return start._replace(labels=np.array(start.labels[kind]))

    def _turn(self, axes: np.ndarray) -> None:
        """Look for neighbours on other axes from now on."""
        self._axes, self._tables = axes, {}
        vars(self).pop("features", None)

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
        walks = self.ranks.first(lambda: [self.walk(view) for view in self.neighbors])
        return replace(self.samples, walks=walks, transforms=self.transforms)


def has_given_graph(views: Sequence[View]) -> bool:
    """Return whether a view belongs to the samples in the order they are given."""
    return any(isinstance(v, Neighbors) and v.graph is not None for v in views)


def is_large(n_samples: int) -> bool:
    """Return whether there are so many samples that a part of them gives the start."""
    return n_samples > LARGEST_GRAPH


def usual_samples(n_samples: int) -> int:
    """Return for how many samples the usual number of passes is meant."""
    return SUBSET if is_large(n_samples) else n_samples


def rows_for_start(n_samples: int, seed: int) -> Tensor | None:
    """Return which samples the start is made of.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    seed : int
        Draws them.

    Returns
    -------
    Tensor of shape (n_rows,), int64, or None
        Rising indices; None for all.
    """
    if not is_large(n_samples):
        return None
    rng = np.random.default_rng(seed)
    rows = rng.choice(n_samples, SUBSET, replace=False, shuffle=False)
    return torch.from_numpy(np.sort(rows))


def n_parts_for_search(n_samples: int) -> int:
    """Return how many parts there are."""
    return math.ceil(n_samples / (FILLED * LARGEST_GRAPH))


def parts_for_search(n_samples: int) -> Iterator[Tensor]:
    """Yield which samples are in each of the parts that neighbours are looked for in.

    Parts have nearly equal sizes, and blocks of samples from everywhere.

    Parameters
    ----------
    n_samples : int
        Number of samples.

    Yields
    ------
    Tensor of shape (n_rows,), int64
        Rising indices.
    """
    n_parts = n_parts_for_search(n_samples)
    block = min(BLOCK, -(-n_samples // n_parts))
    for part in range(n_parts):
        starts = torch.arange(part * block, n_samples, n_parts * block)
        rows = (starts[:, None] + torch.arange(block)).flatten()
        yield rows[rows < n_samples]


def with_weight(
    source: Source, weight: np.ndarray | None
) -> tuple[Source, Tensor | None]:
    """Return the samples of weight, and which they are, or None for all."""
    if weight is None or weight.all():
        return source, None
    rows = torch.from_numpy(np.flatnonzero(weight))
    if is_large(len(rows)):
        return PartSource(source, rows), rows
    return take(source, rows), rows
