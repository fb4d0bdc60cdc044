"""Cells: arrays and the graph of an AnnData, and what scanpy does with the clusters."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import adjusted_rand_score

from sklearn_cce import CollisionClusterer


@pytest.fixture(scope="module")
def scanpy():
    return pytest.importorskip("scanpy")


@pytest.fixture(scope="module")
def cells(scanpy):
    """700 cells of blood, with their components and a graph, and Leiden's clusters."""
    cells = scanpy.datasets.pbmc68k_reduced()
    pytest.importorskip("igraph")
    how = {"flavor": "igraph", "n_iterations": 2, "random_state": 0}
    scanpy.tl.leiden(cells, resolution=0.3, **how)
    return cells


def cluster_cells(cells, n_clusters):
    graph = cells.obsp["connectivities"]
    clusterer = CollisionClusterer(n_clusters, views=graph, random_state=0)
    return clusterer.fit(cells.obsm["X_pca"])


@pytest.fixture(scope="module")
def clusterer(cells):
    return cluster_cells(cells, cells.obs.leiden.nunique())


def weight_inside(graph, labels):
    """Return the share of the weight of a graph's links that lies in clusters."""
    links = graph.tocoo()
    same = labels[links.row] == labels[links.col]
    return links.data[same].sum() / links.data.sum()


def test_clusters_of_the_graph_agree_with_the_types_of_cells(cells, clusterer):
    found, leiden = [
        adjusted_rand_score(cells.obs.bulk_labels, labels)
        for labels in (clusterer.labels_, cells.obs.leiden)
    ]
    assert found > 0.4
    assert found > leiden - 0.02
    graph = cells.obsp["connectivities"]
    assert weight_inside(graph, clusterer.labels_) > 0.95
    assert adjusted_rand_score(cells.obs.leiden, clusterer.labels_) > 0.7


def test_a_part_of_the_cells(cells, clusterer):
    part = cells[cells.obs.bulk_labels != "Dendritic"]
    assert part.is_view
    own = cluster_cells(part, 4)
    assert len(own.labels_) == part.n_obs
    assert weight_inside(part.obsp["connectivities"], own.labels_) > 0.95
    rows = cells.obs.bulk_labels != "Dendritic"
    assert_array_equal(
        clusterer.predict(part.obsm["X_pca"]), clusterer.labels_[np.asarray(rows)]
    )


def test_scanpy_works_with_the_clusters(cells, clusterer, scanpy):
    kept = cells.copy()
    kept.obs["cluster"] = pd.Categorical(clusterer.labels_.astype(str))
    kept.obsm["X_clusters"] = clusterer.predict_proba(kept.obsm["X_pca"])
    part = kept[kept.obs.cluster == "1"]
    assert (part.obsm["X_clusters"].argmax(1) == 1).all()
    scanpy.tl.rank_genes_groups(kept, "cluster", method="t-test")
    genes = kept.uns["rank_genes_groups"]["names"]
    b_cells = kept.obs.cluster[kept.obs.bulk_labels == "CD19+ B"].mode()[0]
    assert {"CD79A", "CD79B"} <= set(genes[b_cells][:10])
