"""A graph in place of features: links as X, and coordinates that a network can take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_cce._graph.candidates import eigenvectors
from sklearn_cce._graph.geometry import N_COMPONENTS
from sklearn_cce._graph.remembered import bare, open_memory, remembered
from sklearn_cce._graph.start import symmetric
from sklearn_cce._training.inputs import check_samples
from sklearn_cce._training.net import CollisionNet
from sklearn_cce._training.sources import Source, TensorSource
from sklearn_cce._training.user_callbacks import CallbackParams
from sklearn_cce.views import Neighbors, View, takes_graph
from sklearn_cce.views._neighbors import as_links

N_STEPS = 3
"""Coordinates are those of a walk of so many steps: what it soon forgets is small."""

FORGOTTEN = 1e-5
"""Eigenvalues up to this, of which float32 knows little, are taken for 0."""


class LinkedSource(TensorSource):
    """Coordinates of samples, and the links that they come from.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_coordinates)
        The coordinates.
    links : csr_matrix of shape (n_samples, n_training_samples)
        Weights of the links to the samples that were trained on.
    """

    def __init__(self, X: torch.Tensor, links: sp.csr_matrix) -> None:
        super().__init__(X)
        self.links = links


def coordinates(links: sp.csr_matrix) -> np.ndarray:
    """Return a diffusion map of the samples of a graph [1]_.

    Its axes are the leading eigenvectors of a random walk, times a power of their
    eigenvalues. Links are taken in both directions.

    Parameters
    ----------
    links : csr_matrix of shape (n_samples, n_samples)
        Non-negative weights.

    Returns
    -------
    ndarray of shape (n_samples, n_coordinates), float32
        Their variances, where samples count by the weight of their links, are the
        eigenvalues to the power of ``2 * N_STEPS``.

    References
    ----------
    .. [1] Coifman & Lafon (2006), "Diffusion maps", Applied and Computational Harmonic
       Analysis 21.
    """
    n = links.shape[0]
    both = symmetric(links, np.ones(n))
    rng = np.random.default_rng(0)
    values, vectors = eigenvectors(both, min(N_COMPONENTS, n), rng)
    degree = np.asarray(both.sum(axis=1, dtype=np.float64)).reshape(-1, 1)
    factors = np.where(values > FORGOTTEN, values, 0) ** N_STEPS
    return (vectors * np.sqrt(degree.sum() / degree) * factors).astype(np.float32)


def mean_over_links(links: sp.csr_matrix, Z: np.ndarray) -> np.ndarray:
    """Return the mean of the coordinates that each sample is linked to.

    Eigenvectors of a walk are their own means over links, but for a factor, so that
    these extend them to further samples [1]_.

    Parameters
    ----------
    links : csr_matrix of shape (n_samples, n_training_samples)
        Weights of the links; a sample without any has coordinates 0.
    Z : ndarray of shape (n_training_samples, n_coordinates)
        Coordinates.

    Returns
    -------
    ndarray of shape (n_samples, n_coordinates), float32
        The means.

    References
    ----------
    .. [1] Bengio et al. (2003), "Out-of-sample extensions for LLE, Isomap, MDS,
       Eigenmaps, and spectral clustering", NIPS.
    """
    total = np.asarray(links.sum(axis=1, dtype=np.float64)).ravel()
    share = sp.diags(1 / np.where(total > 0, total, 1)) @ links
    return (share @ Z).astype(np.float32)


def modularity(links: sp.csr_matrix, ends: np.ndarray, others: np.ndarray) -> float:
    """Return how much more links stay within clusters than they would by chance.

    Parameters
    ----------
    links : csr_matrix of shape (n_samples, n_others)
        Weights.
    ends, others : ndarray of shape (n_samples,) and (n_others,), int64
        Clusters at both ends.

    Returns
    -------
    float
        From -1 to 1; 0 for one cluster, or no links.
    """
    K = 1 + max(ends.max(), others.max())
    link = sp.coo_array(links)
    pairs = K * ends[link.row] + others[link.col]
    weight = np.bincount(pairs, link.data, K**2).reshape(K, K)
    shares = weight / (weight.sum() or 1)
    return float(np.trace(shares) - shares.sum(1) @ shares.sum(0))


def with_links(views: Sequence[View], source: Source) -> list[View]:
    """Return the views, those that walk on the graph in X with its links."""
    if not isinstance(source, LinkedSource):
        return list(views)
    return [
        replace(v, graph=source.links)
        if isinstance(v, Neighbors) and takes_graph(v)
        else v
        for v in views
    ]


def takes_features(estimator: Any) -> bool:
    """Return True, or raise an AttributeError where X is a graph."""
    if takes_graph(estimator.views):
        raise AttributeError(
            "With views='precomputed' X is a graph of all samples, which comes in no "
            "parts: call fit."
        )
    return True


class InputEstimator(CallbackParams):
    """An estimator that reads features, or with views='precomputed' a graph, as X."""

    views: Any
    memory: Any
    net_: CollisionNet
    embedding_: np.ndarray
    _sample_shape: tuple[int, ...]

    def __sklearn_tags__(self) -> Tags:
        """Say what the estimator can do, for scikit-learn."""
        tags, graph = super().__sklearn_tags__(), takes_graph(self.views)
        tags.input_tags.three_d_array = not graph
        tags.input_tags.pairwise = tags.input_tags.sparse = graph
        tags.input_tags.positive_only = graph
        return tags

    def _read(
        self, X: Any, device: torch.device, *, reset: bool, training: bool
    ) -> Source:
        """Validate X and return the source of its samples, as `check_samples` does."""
        if reset:
            self.__dict__.pop("embedding_", None)
        if not (takes_graph(self.views) if reset else "embedding_" in vars(self)):
            return check_samples(self, X, device, reset=reset, training=training)
        links = self._read_links(X, reset, training)
        if reset:
            memory = open_memory(self.memory)
            self.embedding_ = remembered(memory, coordinates, bare(links))
        Z = mean_over_links(links, self.embedding_)
        whole = check_samples(BaseEstimator(), Z, device, reset=True, training=training)
        return LinkedSource(whole[:], links)

    def _read_links(self, X: Any, reset: bool, training: bool) -> sp.csr_matrix:
        """Validate X and return it as links to the samples that are trained on."""
        kinds = {"accept_sparse": "csr", "dtype": np.float64}
        X = validate_data(self, X, reset=reset, ensure_non_negative=True, **kinds)
        if training and X.shape[0] != X.shape[1]:
            raise ValueError(
                "X must be square with views='precomputed': the weights of the links "
                f"between any two samples; got shape {X.shape}."
            )
        if training and sp.issparse(X) and stores_zeros(X):
            raise ValueError(
                "X must hold weights of links with views='precomputed', the larger the "
                "nearer; got distances: those of all samples to themselves are stored, "
                "and 0. Use KNeighborsTransformer(mode='connectivity')."
            )
        return as_links(X)

    def _check_X(self, X: Any) -> Source:
        """Return the samples, if they are like those seen in fit."""
        check_is_fitted(self)
        device = torch.device(self.net_.device)
        source = self._read(X, device, reset=False, training=False)
        if source.shape[1:] != self._sample_shape:
            raise ValueError(
                f"X has samples of shape {source.shape[1:]}, but "
                f"{type(self).__name__} was fitted with samples of shape "
                f"{self._sample_shape}."
            )
        return source


def stores_zeros(graph: sp.csr_matrix) -> bool:
    """Return whether every sample has a link to itself that is stored, and 0."""
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    own = graph.data[rows == graph.indices]
    return len(own) == graph.shape[0] and not own.any()
