"""
Choose the number of clusters by stability
==========================================

With a number of clusters that suits the data, other samples of the same kind give the
same clusters. :func:`~sklearn_cce.model_selection.stability_curve` clusters random
subsets, compares them on the samples that two of them share, and trains no network.
"""

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from sklearn_cce import CollisionClusterer
from sklearn_cce.inspection import StabilityDisplay

X = StandardScaler().fit_transform(load_wine().data)

# %%
# The start of the clusterer
# --------------------------
# There are three cultivars of wine. The weight of the balance is 1, as they are of
# about one size. The star marks the largest number whose mean is level with the best.
clusterer = CollisionClusterer(fairness_weight=1.0)
display = StabilityDisplay.from_estimator(
    clusterer, X, n_clusters=range(2, 9), random_state=0
)
print(f"CollisionClusterer: {display.best_n_clusters} clusters")
plt.show()

# %%
# Any other clusterer
# -------------------
# The curve needs a clusterer with ``fit_predict`` and a number of clusters, no more.
display = StabilityDisplay.from_estimator(
    KMeans(n_init=10), X, n_clusters=range(2, 9), random_state=0
)
print(f"KMeans: {display.best_n_clusters} clusters")
plt.show()
