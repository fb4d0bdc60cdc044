"""Neighbours as views: what a user says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from sklearn_cce._checks import refusing, whole_number

PRECOMPUTED = "precomputed"
"""The graph that is X itself."""

SMALLEST_WEIGHT = 1e-20
"""Weights whose largest lies between this and its inverse are taken as they are."""


@dataclass(frozen=True)
class Neighbors:
    """A near sample as the second view: the end of a walk on the graph of neighbours.

    Parameters
    ----------
    n_neighbors : int, default=None
        Number of nearest samples that every sample is linked to. None means 10, or 5
        for a classifier, and fewer where clusters or classes of equal size would have
        less than twice as many different samples.
    n_steps : int, default=1
        Number of steps of the random walk. One step keeps to direct neighbours; more
        steps reach farther into a cluster where the graph has few wrong links.
    graph : sparse matrix, array of shape (n_samples, n_samples), 'precomputed' or \
            None, default=None
        A graph to walk on instead, for the samples passed to ``fit``: non-negative
        weights of the links, 0 for none. A link is followed as often as its weight
        says. 'precomputed': X is such a graph. None means the graph of the nearest
        neighbours.

    Raises
    ------
    ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_cce import CollisionClusterer
    >>> from sklearn_cce.views import Neighbors
    >>> X, _ = load_iris(return_X_y=True)
    >>> views = Neighbors(n_neighbors=5, n_steps=3)
    >>> CollisionClusterer(3, views=views, random_state=0).fit(X).labels_.shape
    (150,)
    """

    n_neighbors: int | None = None
    n_steps: int = 1
    graph: Any = None

    def __post_init__(self) -> None:
        for name in ("n_neighbors", "n_steps"):
            value = getattr(self, name)
            if value is not None or name == "n_steps":
                object.__setattr__(self, name, whole_number(name, value))

    def given(self, n_samples: int) -> sp.csr_matrix | None:
        """Return the links of the given graph, if there is one.

        Parameters
        ----------
        n_samples : int
            Number of samples that it must be for.

        Returns
        -------
        csr_matrix of shape (n_samples, n_samples) or None
            Weights of the links, float32.
        """
        if self.graph is None:
            return None
        graph = as_links(self.graph)
        if graph.shape != (n_samples, n_samples):
            raise ValueError(
                "A graph in views must have a row and a column for each of the "
                f"{n_samples} samples; got shape {graph.shape}. To follow the folds of "
                "a cross-validation pass the graph as X, with views='precomputed'."
            )
        graph.setdiag(0)
        graph.eliminate_zeros()
        return graph


def as_links(graph: Any) -> sp.csr_matrix:
    """Return a matrix of weights as float32, scaled where that cannot hold them.

    Raises
    ------
    ValueError
        If it is no matrix of finite, non-negative numbers.
    """
    accepted = "A graph in views must be a matrix of finite, non-negative numbers"
    with refusing(f"{accepted}; got {type(graph).__name__}"):
        links = sp.csr_matrix(graph, copy=True)
    if links.dtype.kind not in "fiub":
        raise ValueError(f"{accepted}; its type is {links.dtype}.")
    links = links.astype(np.float64)
    links.sum_duplicates()
    largest = links.data.max(initial=0.0)
    if not (np.isfinite(largest) and links.data.min(initial=0.0) >= 0):
        raise ValueError(f"{accepted}; it has negative or non-finite entries.")
    if largest and not SMALLEST_WEIGHT <= largest <= 1 / SMALLEST_WEIGHT:
        links.data /= largest
    return links.astype(np.float32)
