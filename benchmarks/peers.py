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

    Two linear maps of the standardised features. The task encoder, its weights
    normalised, says the labels; the classifier learns them by 10 steps of Adam on their
    cross-entropy, from where it stands. Then the encoder makes one step on that
    cross-entropy less 10 times the entropy of the mean labels. As in the authors'
    first-order method, the gradient is that of the labels, the classifier held fixed.

    Optimiser, rates and weight are the authors'. What differs: batches of 1,000 rather
    than 10,000, fewer outer steps, and features that are standardised, as tables and
    embeddings come in any scale. Of the authors' two starts of the classifier the warm
    one is taken, as it did better.

    Parameters
    ----------
    n_clusters : int
        Number of clusters.
    random_state : int
        Seed.
    n_steps : int, default=1000
        Outer steps; the authors make 6,000.
    """

    def __init__(
        self, n_clusters: int = 8, random_state: int = 0, n_steps: int = 1000
    ) -> None:
        self.n_clusters, self.random_state = n_clusters, random_state
        self.n_steps = n_steps

    def fit(self, X: Any, y: Any = None) -> TURTLE:
        """Train encoder and classifier side by side."""
        rng = torch.Generator().manual_seed(self.random_state)
        Z = torch.from_numpy(StandardScaler().fit_transform(X).astype(np.float32))
        Z = functional.pad(Z, (0, 1), value=1.0)
        directions, classifier = (self._linear_map(Z.shape[1], rng) for _ in range(2))
        norms = directions[:, :-1].norm(dim=1, keepdim=True)
        encoder = [directions.requires_grad_(), norms.requires_grad_()]
        outer = torch.optim.Adam(encoder, lr=1e-3)
        inner = torch.optim.Adam([classifier], lr=1e-3)
        for _ in range(self.n_steps):
            batch = Z[torch.randperm(len(Z), generator=rng)[:1_000]]
            labels = self._logits(batch, *encoder).softmax(1)
            for _ in range(10):
                errors = (batch @ classifier.T).softmax(1) - labels.detach()
                classifier.grad = errors.T @ batch / len(batch)
                inner.step()
            outer.zero_grad()
            loss = functional.cross_entropy(batch @ classifier.T, labels)
            (loss - 10 * torch.special.entr(labels.mean(0)).sum()).backward()
            outer.step()
        with torch.no_grad():
            self.labels_ = self._logits(Z, *encoder).argmax(1).numpy()
        return self

    def _linear_map(self, n_columns: int, rng: torch.Generator) -> torch.Tensor:
        """Random weights as in a linear layer, the last column for the constant."""
        values = torch.rand(self.n_clusters, n_columns, generator=rng)
        return (2 * values - 1) / (n_columns - 1) ** 0.5

    @staticmethod
    def _logits(
        Z: torch.Tensor, directions: torch.Tensor, norms: torch.Tensor
    ) -> torch.Tensor:
        """Linear map whose weights have these norms; the constant is not scaled."""
        weights = functional.normalize(directions[:, :-1], dim=1) * norms
        return functional.linear(Z[:, :-1], weights, directions[:, -1])
