"""
Cells of an AnnData beside Leiden
=================================

scanpy keeps cells, their principal components and a graph of neighbours in one object.
The clusterer takes both: the components are its samples, and the graph says which cells
are neighbours. What it gives beside labels, probabilities and a network that takes new
cells, goes back into the same object.
"""

import matplotlib.pyplot as plt
import pandas as pd
import scanpy as sc
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from sklearn_cce import CollisionClusterer

cells = sc.datasets.pbmc68k_reduced()  # 700 cells of blood, comes with scanpy
print(cells)

# %%
# Leiden and the clusterer, on the same graph
# -------------------------------------------
# Leiden has a resolution in the place of a number of clusters. Here the clusterer is
# given the number that Leiden found.
sc.tl.leiden(cells, resolution=0.5, flavor="igraph", n_iterations=2, random_state=0)
n_clusters = cells.obs["leiden"].nunique()
clusterer = CollisionClusterer(
    n_clusters, views=cells.obsp["connectivities"], random_state=0
)
labels = clusterer.fit_predict(cells.obsm["X_pca"])
cells.obs["collision"] = pd.Categorical(labels.astype(str))
cells.obsm["X_collision"] = clusterer.predict_proba(cells.obsm["X_pca"])

# %%
# Agreement with the types of cells
# ---------------------------------
# ``bulk_labels`` are types that were given to the cells by their likeness with sorted
# ones; neither method saw them. On these cells the two agree with them about equally.
types = cells.obs["bulk_labels"]
for name in ("leiden", "collision"):
    ari = adjusted_rand_score(types, cells.obs[name])
    nmi = normalized_mutual_info_score(types, cells.obs[name])
    print(f"{name}: {cells.obs[name].nunique()} clusters, ARI {ari:.3f}, NMI {nmi:.3f}")
print(pd.crosstab(types, cells.obs["collision"]))

# %%
# Doubtful cells
# --------------
# Leiden says nothing of how sure it is. The picture on the right shows the probability
# of each cell's own cluster.
cells.obs["probability"] = clusterer.probabilities_
fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
sc.pl.umap(cells, color="collision", ax=axes[0], show=False)
sc.pl.umap(cells, color="probability", ax=axes[1], show=False)
plt.show()

# %%
# Genes of the clusters
# ---------------------
# The labels are a column like any other, so all that scanpy does with groups of cells
# works with them.
sc.tl.rank_genes_groups(cells, "collision", method="t-test")
genes = pd.DataFrame(cells.uns["rank_genes_groups"]["names"])
print(genes.head(4).T)
