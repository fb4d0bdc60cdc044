"""
Find wrong labels with cleanlab
===============================

A classifier that does not learn wrong labels by heart can point at them. Here one in
five labels of the digits is replaced, and ``find_label_issues`` of cleanlab judges them
by probabilities from cross-validation.
"""

# sphinx_gallery_thumbnail_path = '_static/label_issues.png'
import matplotlib.pyplot as plt
import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_predict

from sklearn_cce import CollisionClassifier

X, y = load_digits(return_X_y=True)
X = X / 16
rng = np.random.default_rng(0)
given = np.where(rng.random(len(y)) < 0.2, rng.integers(10, size=len(y)), y)
wrong = given != y

# %%
# Probabilities of samples that were held out
# -------------------------------------------
# A sample must not be judged by a network that was trained with its label.
# ``label_smoothing`` makes collision cross-entropy robust against the wrong labels that
# are among those trained with.
classifier = CollisionClassifier(label_smoothing=0.5, max_epochs=20, random_state=0)
probabilities = cross_val_predict(classifier, X, given, cv=5, method="predict_proba")
issues = find_label_issues(
    given, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
)

# %%
# What was found
# --------------
# The precision is the share of the reported labels that are wrong, the recall the share
# of the wrong labels that are reported. The ten labels that are most surely wrong are
# shown.
#
# .. image:: /_static/label_issues.png
#    :alt: Ten digits, each with the label given and the right one
found = np.zeros(len(y), bool)
found[issues] = True
print(f"{wrong.sum()} wrong labels, {found.sum()} reported")
print(f"precision {wrong[found].mean():.3f}, recall {found[wrong].mean():.3f}")

fig, axes = plt.subplots(2, 5, figsize=(5, 3.2), layout="constrained")
for ax, i in zip(axes.flat, issues[:10], strict=True):
    ax.imshow(X[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"given {given[i]}\nis {y[i]}")
    ax.set_axis_off()
plt.show()
