"""
Cluster images with a network of one's own
==========================================

Any :class:`torch.nn.Module` can be the network. Here it is a small convolutional one,
which sees the 8 x 8 digits as images of shape ``(channels, height, width)``.
"""
# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from sklearn_cce import CollisionClusterer
from sklearn_cce.inspection import TrainingDisplay
from sklearn_cce.metrics import clustering_accuracy

X, y = load_digits(return_X_y=True)
images = X.reshape(-1, 1, 8, 8) / 16
print(f"Images: an array of shape {images.shape}")

# %%
# The network
# -----------
# A class that is called with the shape of a sample and the number of clusters. It
# returns logits, one per cluster: no softmax.


class SmallConv(nn.Sequential):
    """Two convolutions and a linear layer."""

    def __init__(self, in_shape, n_outputs):
        channels, height, width = in_shape
        super().__init__(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (height // 2) * (width // 2), n_outputs),
        )


# %%
# Fit
# ---
# The class itself is passed, so that ``clone`` and a grid search can make new networks.
# A network that exists already, such as one that was trained before, can be passed as
# well; it is copied.
clusterer = CollisionClusterer(
    10, module=SmallConv, lr=2e-3, batch_size=256, random_state=0
)
clusters = clusterer.fit_predict(images)
n_parameters = sum(p.numel() for p in clusterer.module_.parameters())
accuracy = clustering_accuracy(y, clusters)
print(
    f"{n_parameters:,} parameters, {clusterer.n_iter_} epochs, clustering accuracy "
    f"{accuracy:.3f}"
)

# %%
# The history
# -----------
# ``balance`` is the entropy of the sizes of the clusters, at most ln 10, and
# ``changed`` the share of the images that went to another cluster in an epoch. The
# second phase learns from labels of the network's own, by another loss.
TrainingDisplay.from_estimator(clusterer)
plt.show()

# %%
# The representation
# ------------------
# ``transform`` gives what the last layer sees, here drawn by its two principal
# components and coloured by cluster.
Z = clusterer.transform(images)
print(f"Representation: an array of shape {Z.shape}")
fig, ax = plt.subplots(figsize=(5, 4), layout="constrained")
ax.scatter(*PCA(2).fit_transform(Z).T, c=clusters, cmap="tab10", s=6)
ax.set_title("Representation before the last layer, by cluster")
plt.show()
