"""
What else a sample may look like
================================

Samples that should have the same label are the only supervision there is. These *views*
of a sample are its neighbours, or changed copies of it: see :ref:`views`.
"""
# sphinx_gallery_thumbnail_number = 2

import warnings

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits, load_sample_image
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors

from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.views import (
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
)

# %%
# Neighbours
# ----------
# Five digits, each beside its nearest neighbours among the others. Nearly all of them
# are the same digit, which nobody had to say.
X, y = load_digits(return_X_y=True)
shown = [0, 2, 5, 8, 11]
nearest = NearestNeighbors(n_neighbors=8).fit(X).kneighbors(X[shown])[1]
fig, axes = plt.subplots(5, 8, figsize=(6, 3.9), layout="constrained")
for ax, i in zip(axes.flat, nearest.flat, strict=True):
    ax.imshow(X[i].reshape(8, 8), cmap="gray_r")
    ax.set_axis_off()
axes[0, 0].set_title("digit")
axes[0, 1].set_title("neighbours", loc="left")
plt.show()

# %%
# Changed copies
# --------------
# A photograph, and what each transform of :mod:`sklearn_cce.views` makes of it, drawn
# anew for every sample and every batch. They work on whole batches of shape
# ``(n, channels, height, width)``, on the device of the batch, and are composed by
# :class:`torch.nn.Sequential`.
photograph = load_sample_image("flower.jpg")[:400:4, 130:530:4] / 255
image = torch.from_numpy(photograph).float().permute(2, 0, 1)
transforms = [
    RandomAffine(),
    RandomCrop(),
    RandomHorizontalFlip(),
    ColorJitter(),
    GaussianBlur(),
    GaussianNoise(0.3),
]
torch.manual_seed(0)
fig, axes = plt.subplots(3, 6, figsize=(6.6, 3.8), layout="constrained")
pairs = axes.reshape(3, 2, 3).reshape(6, 3)
for row, transform in zip(pairs, transforms, strict=True):
    drawn = transform(image.expand(3, -1, -1, -1)).permute(0, 2, 3, 1).clamp(0, 1)
    for ax, view in zip(row, drawn, strict=True):
        ax.imshow(view)
        ax.set_axis_off()
    row[1].set_title(type(transform).__name__)
plt.show()

# %%
# What they are worth
# -------------------
# From random weights, without the start that has seen the neighbours already. The
# network learns to ignore what sets the views of a sample apart: a small move of a
# digit, and most of all what is special about it among its neighbours.
warnings.simplefilter("ignore", ConvergenceWarning)  # the passes are few
images = X.reshape(-1, 1, 8, 8) / 16
views = {
    "none": None,
    "noise": "noise",
    "affine maps": RandomAffine(),
    "neighbours": "neighbors",
    "neighbours and affine maps": ["neighbors", RandomAffine()],
}
accuracies = {}
for name, what in views.items():
    clusterer = CollisionClusterer(
        10, init="random", views=what, max_epochs=150, random_state=0
    )
    accuracies[name] = clustering_accuracy(y, clusterer.fit_predict(images))
    print(f"{name}: clustering accuracy {accuracies[name]:.3f}")

fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
bars = ax.barh(list(accuracies), list(accuracies.values()))
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlim=(0, 1.1), xlabel="clustering accuracy", ylabel="views")
ax.invert_yaxis()
plt.show()
