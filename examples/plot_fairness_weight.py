"""
From free sizes to equal ones
=============================

``fairness_weight`` is what the balance of the clusters is worth, from the start to the
end of a fit. The smaller, the more the sizes are left to the data; the larger, the
nearer they come to those wanted, here equal ones. Two sets of handwritten digits: all
ten classes of one size, and classes whose sizes fall from 170 to 2.

Solid lines are the entropy of the sizes of the clusters, as part of the largest that
there is, dotted ones that of the classes; dashed lines are the accuracy. Where classes
are of one size a larger weight does no harm, and a small one merges what lies close.
Where they are not, equal clusters must cut the large classes into pieces.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy

K = 10
WEIGHTS = [0.05, 0.2, 0.5, 1, 3, 10, 100, 1000]


def evenness(labels):
    """Return the entropy of the sizes as part of that of equal ones."""
    sizes = np.bincount(labels, minlength=K) / len(labels)
    return -np.sum(sizes * np.log(np.maximum(sizes, 1e-12))) / np.log(K)


def unequal(X, y, rng):
    """Keep fewer and fewer samples of each class."""
    sizes = np.geomspace(170, 2, K).astype(int)
    kept = np.concatenate(
        [rng.permutation(np.flatnonzero(y == k))[:n] for k, n in enumerate(sizes)]
    )
    return X[kept], y[kept]


X, y = load_digits(return_X_y=True)
sets = {
    "equal classes": (X, y),
    "unequal classes": unequal(X, y, np.random.default_rng(0)),
}

figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.6), sharey=True, layout="constrained")
for ax, (title, (samples, classes)) in zip(axes, sets.items(), strict=True):
    even, accuracy = [], []
    for weight in WEIGHTS:
        clusterer = CollisionClusterer(K, fairness_weight=weight, random_state=0)
        labels = clusterer.fit_predict(samples)
        even.append(evenness(labels))
        accuracy.append(clustering_accuracy(classes, labels))
        print(f"{title}, {weight:g}: {even[-1]:.3f}, {accuracy[-1]:.3f}")
    ax.semilogx(WEIGHTS, even, "o-", label="evenness of the clusters")
    ax.axhline(evenness(classes), color="C0", ls=":", label="of the classes")
    ax.semilogx(WEIGHTS, accuracy, "s--", color="C1", label="accuracy")
    ax.set(title=title, xlabel="fairness_weight", ylim=(0, 1.05))
    ax.grid(alpha=0.3)
axes[0].legend(loc="lower right")
plt.show()
