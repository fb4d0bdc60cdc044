"""
Cluster handwritten digits
==========================

1,797 images of digits, 8 x 8 pixels each, are clustered without their labels. The
labels serve afterwards to see what the clusters are, and the probabilities to see which
images the network is least and most certain of.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay, normalized_mutual_info_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_cce import CollisionClusterer
from sklearn_cce.inspection import ClusterExamplesDisplay
from sklearn_cce.metrics import clustering_accuracy, match_clusters

digits = load_digits()
X, y = digits.data, digits.target

# %%
# Fit
# ---
# :class:`~sklearn_cce.CollisionClusterer` is the last step of an ordinary pipeline.
# Only the images are given to ``fit``. What is found depends on the random start, as
# with k-means.
pipeline = make_pipeline(
    MinMaxScaler(), CollisionClusterer(n_clusters=10, random_state=0)
)
clusters = pipeline.fit_predict(X)
n_epochs = pipeline[-1].n_iter_
print(f"{len(X)} images, {len(np.unique(clusters))} clusters, {n_epochs} epochs")

# %%
# Compare with the labels
# -----------------------
# The clusters have numbers but no names. The matching of clusters with digits that
# agrees for most images gives them names, and the share of these images is the
# clustering accuracy.
accuracy = clustering_accuracy(y, clusters)
nmi = normalized_mutual_info_score(y, clusters)
print(f"Clustering accuracy {accuracy:.3f}, normalised mutual information {nmi:.3f}")

digit_of = match_clusters(y, clusters)
named = np.array([digit_of.get(cluster, -1) for cluster in clusters])
for digit in range(10):
    share = np.mean(named[y == digit] == digit)
    print(f"  {digit}: {share:6.1%} are in the cluster that is matched with it")

display = ConfusionMatrixDisplay.from_predictions(
    y, named, labels=range(10), colorbar=False, cmap="Blues"
)
display.ax_.set(xlabel="Digit of the cluster", ylabel="Digit of the image")
display.ax_.set_title(f"Clusters and digits, accuracy {accuracy:.1%}")
plt.show()

# %%
# The least and the most certain digits
# -------------------------------------
# ``predict_proba`` says how sure the network is of an image's cluster.
certainty = pipeline.predict_proba(X).max(1)
order = np.argsort(certainty, kind="stable")
right = named == y
for name, chosen in (("least", order[:180]), ("most", order[-180:])):
    print(
        f"The 180 {name} certain images: mean probability "
        f"{certainty[chosen].mean():.3f}, {right[chosen].mean():.1%} in the cluster of "
        "their digit"
    )

ClusterExamplesDisplay.from_estimator(pipeline, X, image_shape=(8, 8))
plt.show()
