"""
How a training went
===================

The history of a fit says how the loss fell, how even the clusters were, and when they
came to rest. Two displays show it: one over the epochs, one of the sizes in the end.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_cce import CollisionClusterer
from sklearn_cce.inspection import ClusterSizesDisplay, TrainingDisplay

X, y = load_digits(return_X_y=True)

# %%
# Over the epochs
# ---------------
# A fit has two phases. In the first the network learns the soft labels of the start, in
# the second those that it makes itself, which have another loss: curves are compared
# within a phase. Both should end level, with hardly a change of clusters. Where they do
# not, more epochs (``max_epochs``) help.
clusterer = CollisionClusterer(10, random_state=0).fit(X)
TrainingDisplay.from_estimator(clusterer)
plt.show()

# %%
# A fit that ended too early
# --------------------------
# From random weights, with five epochs only: the loss still falls, and more than one
# image in a hundred changes its cluster in the last epoch. The fit warns that a cluster
# is left empty and that the steps may be too few.
early = CollisionClusterer(10, init="random", max_epochs=5, random_state=0).fit(X)
TrainingDisplay.from_estimator(early)
plt.show()

# %%
# The sizes in the end
# --------------------
# The shares of the images, and those wanted, for a set without most of the zeros and
# ones. With the default weight of the balance the neighbours may outweigh it, and with
# a large one they may not. Where the shares are known they are the ``cluster_prior``.
rng = np.random.default_rng(0)
kept = (y > 1) | (rng.random(len(y)) < 0.2)
shares = np.sort(np.bincount(y[kept]) / kept.sum())
settings = {
    "fairness_weight=0.5": {"fairness_weight": 0.5},
    "fairness_weight=100": {"fairness_weight": 100},
    "fairness_weight=100 and the prior": {
        "fairness_weight": 100,
        "cluster_prior": shares,
    },
}
fig, axes = plt.subplots(3, 1, figsize=(6.4, 7), sharex=True, layout="constrained")
for ax, (name, params) in zip(axes, settings.items(), strict=True):
    fitted = CollisionClusterer(10, **params, random_state=0).fit(X[kept])
    ClusterSizesDisplay.from_estimator(fitted, ax=ax)
    ax.set(title=name, ylim=(0, 0.22))
    ax.label_outer()
plt.show()
