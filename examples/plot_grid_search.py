"""
Choose the number of clusters and the fairness weight
=====================================================

A grid search over both, without labels. The training loss cannot be compared between
numbers of clusters, nor between fairness weights, so scores are used that can:
the mean silhouette, and the prediction strength, which asks whether a second fit on
other samples finds the same clusters.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_cce import CollisionClusterer
from sklearn_cce.inspection import SearchDisplay
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.model_selection import prediction_strength_scorer, silhouette_scorer

X, y = make_blobs(n_samples=300, centers=5, cluster_std=0.8, random_state=3)

# %%
# Search
# ------
# Two scorers in one search; the scores are means over the held-out folds. No y is
# given. Where the fairness weight is small or there are more clusters than the data
# have, clusters stay empty. A warning says so at every fit; of a candidate in a search
# it is expected.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
n_clusters = [2, 3, 4, 5, 6, 7]
fairness_weights = [0.5, 1, 10]
pipeline = make_pipeline(
    StandardScaler(),
    CollisionClusterer(lr=0.01, max_epochs=60, random_state=0),
)
search = GridSearchCV(
    pipeline,
    {
        "collisionclusterer__fairness_weight": fairness_weights,
        "collisionclusterer__n_clusters": n_clusters,
    },
    scoring={
        "silhouette": silhouette_scorer,
        "prediction strength": prediction_strength_scorer,
    },
    refit="silhouette",
    cv=3,
)
search.fit(X)

# %%
# What each of them selects
# -------------------------
# Prediction strength is highest for few clusters by its nature: its authors advise to
# take the largest number of clusters that scores above 0.8. ``n_clusters`` is the most
# that there can be, so the number in use is printed beside it.
shape = (len(fairness_weights), len(n_clusters))
for name in search.scorer_:
    scores = search.cv_results_[f"mean_test_{name}"].reshape(shape)
    row, column = np.unravel_index(scores.argmax(), shape)
    print(
        f"{name}: {n_clusters[column]} clusters, fairness weight "
        f"{fairness_weights[row]}, score {scores.max():.3f}"
    )
strength = search.cv_results_["mean_test_prediction strength"].reshape(shape)
stable = [k for k, s in zip(n_clusters, strength[-1], strict=True) if s > 0.8]
print(f"Numbers with a prediction strength above 0.8 at the largest weight: {stable}")

clusters = search.predict(X)
print(
    f"What the silhouette selects uses {len(np.unique(clusters))} clusters; clustering "
    f"accuracy {clustering_accuracy(y, clusters):.3f}"
)

for name in search.scorer_:
    SearchDisplay.from_estimator(search, metric=name)
plt.show()

# %%
# The clusters of the best
# ------------------------
fig, ax = plt.subplots(figsize=(5, 4), layout="constrained")
ax.scatter(*X.T, c=clusters, cmap="tab10", s=8)
ax.set_title("Clusters of the pipeline that the silhouette selects")
plt.show()
