"""The clustering methods that are compared, each with its default settings.

What differs from the defaults: the number of clusters and the seed; ``n_init=10`` for
k-means; the mixtures work on at most 50 principal components;
spectral clustering takes the graph of nearest neighbours; GemClus's MMD model takes
batches of 500, as its default is one batch of all samples with a kernel matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.cluster import HDBSCAN, KMeans, MiniBatchKMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_array

from benchmarks.peers import TURTLE, EVoC, Leiden, UMAPKMeans
from sklearn_cce import CollisionClusterer

REFERENCE = "KMeans"
OURS = "CollisionClusterer"


class _UpTo50(PCA):
    """Principal components, 50 of them or as many as there are features."""

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        self.n_components = min(50, *check_array(X).shape)
        return super().fit_transform(X)


def _mixture(n_clusters: int, seed: int, covariance: str = "full") -> BaseEstimator:
    mixture = GaussianMixture(n_clusters, covariance_type=covariance, random_state=seed)
    return make_pipeline(_UpTo50(random_state=seed), mixture)


def _imported(module: str, name: str, **params: Any) -> Callable:
    """Return a function that makes an estimator of an optional package."""

    def make(n_clusters: int, seed: int) -> BaseEstimator:
        estimator = getattr(import_module(module), name)
        return estimator(n_clusters=n_clusters, random_state=seed, **params)

    return make


METHODS: dict[str, Callable[[int, int], BaseEstimator]] = {
    OURS: lambda k, seed: CollisionClusterer(k, random_state=seed),
    REFERENCE: lambda k, seed: KMeans(k, n_init=10, random_state=seed),
    "MiniBatchKMeans": lambda k, seed: MiniBatchKMeans(k, random_state=seed),
    "GaussianMixture": _mixture,
    "Tied mixture": partial(_mixture, covariance="tied"),
    "UMAP + KMeans": UMAPKMeans,
    "EVoC": EVoC,
    "Leiden": Leiden,
    "TURTLE": TURTLE,
    "SpectralClustering": lambda k, seed: SpectralClustering(
        k, affinity="nearest_neighbors", random_state=seed
    ),
    "HDBSCAN": lambda k, seed: HDBSCAN(copy=True),
    "GemClus RIM": _imported("gemclus.linear", "RIM"),
    "GemClus MLPMMD": _imported("gemclus.mlp", "MLPMMD", batch_size=500),
    "ClustPy DEC": _imported("clustpy.deep", "DEC"),
    "ClustPy IDEC": _imported("clustpy.deep", "IDEC"),
}
NEEDS = {
    "UMAP + KMeans": ("umap",),
    "EVoC": ("evoc",),
    "Leiden": ("igraph", "leidenalg"),
    "GemClus RIM": ("gemclus",),
    "GemClus MLPMMD": ("gemclus",),
    "ClustPy DEC": ("clustpy", "torchvision"),
    "ClustPy IDEC": ("clustpy", "torchvision"),
}


def missing(method: str) -> list[str]:
    """Return the packages that a method needs and that are not installed."""
    return [name for name in NEEDS.get(method, ()) if find_spec(name) is None]
