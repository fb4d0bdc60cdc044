"""Clustering methods that are no estimators with a number of clusters by themselves.

Each takes the number of clusters and a seed, as `benchmarks.clustering_methods` does;
UMAP, EVoC and Leiden need their packages, TURTLE is written here from its paper.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import StandardScaler
from torch.nn import functional


class UMAPKMeans(ClusterMixin, BaseEstimator):
    """k-means on an embedding by UMAP, with what its documentation says of clustering.

    Parameters
    ----------
    n_clusters : int
        Number of clusters.
    random_state : int
        Seed of both.
    """

    def __init__(self, n_clusters: int = 8, random_state: int | None = None) -> None:
        self.n_clusters, self.random_state = n_clusters, random_state

    def fit(self, X: Any, y: Any = None) -> UMAPKMeans:
        """Embed the samples and cluster them."""
        from umap import UMAP

        embedding = UMAP(n_neighbors=30, min_dist=0.0, random_state=self.random_state)
        kmeans = KMeans(self.n_clusters, n_init=10, random_state=self.random_state)
        self.labels_ = kmeans.fit_predict(embedding.fit_transform(X))
        return self


class Leiden(ClusterMixin, BaseEstimator):
    """Modularity of the graph of 15 neighbours, at the resolution that gives K parts.

    Parameters
    ----------
    n_clusters : int
        Number of clusters; the nearest number that is met is taken.
    random_state : int
        Seed.
    """

    def __init__(self, n_clusters: int = 8, random_state: int = 0) -> None:
        self.n_clusters, self.random_state = n_clusters, random_state

    def fit(self, X: Any, y: Any = None) -> Leiden:
        """Bisect the logarithm of the resolution."""
        import igraph
        import leidenalg

        links = kneighbors_graph(X, min(15, len(X) - 1))
        rows, columns = (links + links.T).nonzero()
        once = rows < columns
        pairs = np.column_stack([rows[once], columns[once]])
        graph = igraph.Graph(n=len(X), edges=pairs.tolist())
        low, high, best = np.log(1e-3), np.log(1e2), None
        for _ in range(16):
            middle = (low + high) / 2
            labels = leidenalg.find_partition(
                graph,
                leidenalg.RBConfigurationVertexPartition,
                resolution_parameter=float(np.exp(middle)),
                seed=self.random_state,
            ).membership
            found = max(labels) + 1
            off = abs(found - self.n_clusters)
            if best is None or off < best[0]:
                best = off, labels
            if off == 0:
                break
            low, high = (middle, high) if found < self.n_clusters else (low, middle)
        self.labels_ = np.array(best[1])
        return self


class EVoC(ClusterMixin, BaseEstimator):
    """EVoC with about as many clusters; what it calls noise is one more.

    Parameters
    ----------
    n_clusters : int
        Number of clusters that it aims at.
    random_state : int
        Seed.
    """

    def __init__(self, n_clusters: int = 8, random_state: int | None = None) -> None:
        self.n_clusters, self.random_state = n_clusters, random_state

    def fit(self, X: Any, y: Any = None) -> EVoC:
        """Cluster the samples."""
        import evoc

        model = evoc.EVoC(
            approx_n_clusters=self.n_clusters, random_state=self.random_state
        )
        self.labels_ = model.fit_predict(np.ascontiguousarray(X, np.float32))
        return self


class TURTLE(ClusterMixin, BaseEstimator):
    """Labels that a linear classifier learns best (Gadetsky et al. 2024).

    A linear task encoder and a linear classifier of its labels on the same features:
    the encoder is trained so that the classifier, after 10 more steps, has a small
    cross-entropy, with an entropy of the sizes of weight 10. The gradient is that of
    the encoder's labels alone, as in the authors' first-order method.

    Parameters
    ----------
    n_clusters : int
        Number of clusters.
    random_state : int
        Seed.
    n_steps : int, default=2000
        Outer steps; the authors make 6,000.
    """

    def __init__(
        self, n_clusters: int = 8, random_state: int = 0, n_steps: int = 2000
    ) -> None:
        self.n_clusters, self.random_state = n_clusters, random_state
        self.n_steps = n_steps

    def fit(self, X: Any, y: Any = None) -> TURTLE:
        """Train encoder and classifier side by side."""
        rng = torch.Generator().manual_seed(self.random_state)
        Z = torch.from_numpy(StandardScaler().fit_transform(X).astype(np.float32))
        size = (Z.shape[1], self.n_clusters)
        encoder = (0.01 * torch.randn(size, generator=rng)).requires_grad_()
        classifier = torch.zeros(size, requires_grad=True)
        outer = torch.optim.Adam([encoder], lr=1e-3)
        inner = torch.optim.Adam([classifier], lr=1e-3)
        for _ in range(self.n_steps):
            batch = Z[torch.randint(len(Z), (min(len(Z), 1_000),), generator=rng)]
            labels = (batch @ encoder).softmax(1)
            for _ in range(10):
                inner.zero_grad()
                functional.cross_entropy(batch @ classifier, labels.detach()).backward()
                inner.step()
            outer.zero_grad()
            loss = functional.cross_entropy((batch @ classifier).detach(), labels)
            sizes = labels.mean(0)
            (loss + 10 * torch.xlogy(sizes, sizes).sum()).backward()
            outer.step()
        self.labels_ = (Z @ encoder.detach()).argmax(1).numpy()
        return self
