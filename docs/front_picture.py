"""Draw the picture at the top of the README: ``python docs/front_picture.py``.

Digits without labels go in; clusters come out, and probabilities for new images.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from sklearn.datasets import load_digits

from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy

FILE = Path(__file__).parent / "_static" / "front.png"
SIDE = 10
COLORS = plt.colormaps["tab10"].colors
N_TRAIN = 1500


def mosaic(images):
    """Return SIDE rows of SIDE images as one, with a margin around each."""
    padded = np.pad(images.reshape(SIDE, SIDE, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
    return padded.swapaxes(1, 2).reshape(10 * SIDE, 10 * SIDE)


def draw_mosaic(ax, images, title):
    """Draw images on white, without axes."""
    ax.imshow(mosaic(images), cmap="gray_r")
    ax.set_title(title, fontsize=15)
    ax.set_axis_off()


def frame_rows(ax):
    """Draw a frame in its colour around each row, which is a cluster."""
    for k in range(SIDE):
        place = (-0.5, 10 * k), 10 * SIDE, 9
        ax.add_patch(Rectangle(*place, fill=False, edgecolor=COLORS[k], linewidth=2.5))


def draw_new(fig, grid, images, proba):
    """Draw new images, each beside the probabilities of its clusters."""
    rows = grid.subgridspec(len(images), 2, width_ratios=[1, 2], hspace=0.25)
    for i, (image, row) in enumerate(zip(images, proba, strict=True)):
        picture, bars = fig.add_subplot(rows[i, 0]), fig.add_subplot(rows[i, 1])
        picture.imshow(image.reshape(8, 8), cmap="gray_r")
        picture.set_axis_off()
        bars.bar(range(SIDE), row, color=COLORS)
        bars.set(ylim=(0, 1), xticks=[], yticks=[0, 1])
        bars.spines[["top", "right"]].set_visible(False)
        if i == 0:
            bars.set_title("probabilities\nof new images", fontsize=15, x=0.3)


def main():
    """Fit to the first images, predict the others and draw all three."""
    X, y = load_digits(return_X_y=True)
    clusterer = CollisionClusterer(SIDE, random_state=0).fit(X[:N_TRAIN])
    of_new = clusterer.predict_proba(X[N_TRAIN:])
    accuracy = clustering_accuracy(y[N_TRAIN:], of_new.argmax(1))
    print(f"Clustering accuracy of the new images {accuracy:.3f}")

    rng = np.random.default_rng(0)
    given = rng.permutation(N_TRAIN)[: SIDE**2]
    rows = [np.flatnonzero(clusterer.labels_ == k) for k in range(SIDE)]
    found = np.concatenate([rng.permutation(row)[:SIDE] for row in rows])
    by_certainty = np.argsort(of_new.max(1))
    shown = by_certainty[[-1, 12, 0]]

    fig = plt.figure(figsize=(10, 4.2), layout="constrained")
    grid = fig.add_gridspec(1, 3, width_ratios=[1, 1, 0.75], wspace=0.08)
    draw_mosaic(fig.add_subplot(grid[0]), X[given], "images without labels")
    ax = fig.add_subplot(grid[1])
    draw_mosaic(ax, X[found], "ten clusters, a row each")
    frame_rows(ax)
    draw_new(fig, grid[2], X[N_TRAIN:][shown], of_new[shown])
    fig.savefig(FILE, dpi=110)


if __name__ == "__main__":
    main()
