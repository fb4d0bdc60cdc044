"""
What a network is sure of
=========================

``predict_proba`` gives a probability of every cluster. These displays show which
samples lie between clusters, which clusters these are, and whether the probabilities
can be taken at their word.
"""
# sphinx_gallery_thumbnail_number = 3

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_cce import CollisionClusterer
from sklearn_cce.inspection import (
    CalibrationDisplay,
    ClusterExamplesDisplay,
    SimplexDisplay,
)

# %%
# Three clusters: a triangle
# --------------------------
# Each wine lies between the corners, which are the clusters: at a corner where the
# network is certain, half way between two where it is undecided. The colours are the
# cultivars, which it was not shown.
wine = load_wine()
pipeline = make_pipeline(StandardScaler(), CollisionClusterer(3, random_state=0))
pipeline.fit(wine.data)
SimplexDisplay.from_estimator(
    pipeline, wine.data, labels=wine.target_names[wine.target]
)
plt.show()

# %%
# Ten clusters: a ring
# --------------------
# With more clusters the corners are put in a ring, those next to each other that share
# most images. An image in the middle may lie between any two that are far apart, so the
# picture is read along its sides.
digits = load_digits()
X, y = digits.data, digits.target
clusterer = CollisionClusterer(10, random_state=0).fit(X)
SimplexDisplay.from_estimator(clusterer, X)
plt.show()

# %%
# The images themselves
# ---------------------
# What each cluster is most and least certain of. For texts, or where X has features in
# place of what can be seen, ``samples`` says what to show.
ClusterExamplesDisplay.from_estimator(
    clusterer, X, image_shape=(8, 8), n_examples=6, clusters=range(5)
)
plt.show()

# %%
# Is it right as often as it says?
# --------------------------------
# Where classes are known, clusters are matched with them, and the share of the images
# that are in the cluster of their class is compared with the probability. The curve is
# below the diagonal where most images are, as the bars say: the network is somewhat too
# certain.
CalibrationDisplay.from_estimator(clusterer, X, y, n_bins=10)
plt.show()
