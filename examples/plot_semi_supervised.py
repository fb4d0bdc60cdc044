"""
A few labels are enough
=======================

Of all images of digits that we train on, only one of each class has a label. The others
are labelled on the way: softly, in balance over the classes, and so that neighbours
agree.
"""
# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sklearn_cce import CollisionClassifier

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.data / 16, digits.target, test_size=0.4, random_state=0
)


def hide(y, n_each, rng):
    """Keep n_each labels of every class, and put NaN in place of the others."""
    order = rng.permutation(len(y))
    kept = np.concatenate([order[y[order] == k][:n_each] for k in range(10)])
    hidden = np.full(len(y), np.nan)
    hidden[kept] = y[kept]
    return hidden


# %%
# The ten labels
# --------------
hidden = hide(y, 1, np.random.default_rng(0))
fig, axes = plt.subplots(1, 10, figsize=(10, 1.4))
for ax, i in zip(axes, np.flatnonzero(np.isfinite(hidden)), strict=True):
    ax.imshow(X[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{hidden[i]:.0f}")
    ax.set_axis_off()
plt.show()

# %%
# Fit
# ---
# NaN marks a sample without a label. Where there are such samples, neighbours serve as
# views by default: labels first spread over the graph of neighbours, and then every
# sample learns the pseudo-label of a neighbour.
classifier = CollisionClassifier(max_epochs=100, random_state=0).fit(X, hidden)
print(f"10 labels: {classifier.score(X_test, y_test):.3f} of the test images right")

# %%
# Compare
# -------
# The same labels for all, and settings that suit the data for ``LabelSpreading``. The
# methods of :mod:`sklearn.semi_supervised` want -1 where there is no label. The balance
# of the classes helps most where labels are fewest; with ten labels of each class,
# spreading them over the graph does as well on these images.
methods = {
    "CollisionClassifier": lambda: CollisionClassifier(max_epochs=100, random_state=0),
    "LabelSpreading": lambda: LabelSpreading(kernel="knn", alpha=0.9, max_iter=200),
    "SelfTrainingClassifier": lambda: SelfTrainingClassifier(LogisticRegression()),
}
numbers = [1, 4, 10]
accuracy = {name: [] for name in [*methods, "labels alone"]}
for n_each in numbers:
    hidden = hide(y, n_each, np.random.default_rng(0))
    marked = np.nan_to_num(hidden, nan=-1)
    for name, make in methods.items():
        labels = hidden if name == "CollisionClassifier" else marked
        accuracy[name].append(make().fit(X, labels).score(X_test, y_test))
    known = marked >= 0
    alone = LogisticRegression().fit(X[known], hidden[known])
    accuracy["labels alone"].append(alone.score(X_test, y_test))

fig, ax = plt.subplots(layout="constrained")
for name, values in accuracy.items():
    ax.plot([10 * n for n in numbers], values, marker="o", label=name)
    print(f"{name:24s}", *(f"{value:.3f}" for value in values))
ax.set(xlabel="labels", ylabel="accuracy on test images", xscale="log")
ax.set_xticks([10, 40, 100], ["10", "40", "100"])
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend()
plt.show()
