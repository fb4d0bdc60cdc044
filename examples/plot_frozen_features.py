"""
Cluster the features of a frozen transformer
============================================

A pretrained network can stay as it is: it becomes one step of a pipeline, which turns
every sample into features once, and only what follows is trained on them. The recipe
is the same for any network. Here it is a small transformer, pretrained on the spot, so
that nothing has to be downloaded.
"""

import time

import matplotlib.pyplot as plt
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy

X, y = load_digits(return_X_y=True)
torch.manual_seed(0)

# %%
# A pretrained transformer
# ------------------------
# An 8 x 8 digit is read as 16 patches of 2 x 2 pixels, one token each. In the
# pretraining a random half of the tokens is hidden, and the network has to guess their
# pixels from the others. It never sees a label.


class MaskedEncoder(nn.Module):
    """A transformer over patches, with a token that stands for a hidden patch."""

    def __init__(self, width=64):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.place = nn.Parameter(0.1 * torch.randn(16, width))
        self.hidden = nn.Parameter(0.1 * torch.randn(width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.pixels = nn.Linear(width, 4)

    def forward(self, patches, mask=None):
        tokens = self.embed(patches)
        if mask is not None:
            tokens = torch.where(mask[:, :, None], self.hidden, tokens)
        return self.layers(tokens + self.place)


def to_patches(X):
    """Cut rows of 64 pixels into 16 patches of 4."""
    pixels = torch.as_tensor(X, dtype=torch.float32) / 16
    return pixels.view(-1, 4, 2, 4, 2).transpose(2, 3).reshape(-1, 16, 4)


start = time.perf_counter()
network, patches = MaskedEncoder(), to_patches(X)
optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
for _ in range(20):
    for batch in patches[torch.randperm(len(patches))].split(128):
        mask = torch.rand(batch.shape[:2]) < 0.5
        guess = network.pixels(network(batch, mask))
        loss = (guess - batch).square()[mask].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(
    f"Pretrained in {time.perf_counter() - start:.0f} s; mean squared error of hidden "
    f"pixels {loss.item():.3f}, of the mean grey {patches.var().item():.3f}"
)

# %%
# Frozen features
# ---------------
# A function from an array to an array, without gradients and in evaluation mode, is all
# that :class:`~sklearn.preprocessing.FunctionTransformer` needs. For many samples go
# through them in batches. All tokens are kept here, one after the other; the mean token
# or the class token of a larger network takes less room.
network.eval()


@torch.inference_mode()
def frozen_features(X):
    return network(to_patches(X)).flatten(1).numpy()


pipeline = make_pipeline(
    FunctionTransformer(frozen_features),
    CollisionClusterer(10, random_state=0),
)
clusters = pipeline.fit_predict(X)
print(f"Features: an array of shape {pipeline[0].transform(X).shape}")

# %%
# What the features are worth
# ---------------------------
# The same two methods on pixels and on frozen features. So short a pretraining makes
# features that are no better than the pixels of centred digits, which is why one
# compares. A network that has learnt from many more images or texts is another matter.
results = {
    "k-means on pixels": KMeans(10, n_init=10, random_state=0).fit_predict(X),
    "k-means on features": KMeans(10, n_init=10, random_state=0).fit_predict(
        frozen_features(X)
    ),
    "collision on pixels": CollisionClusterer(10, random_state=0).fit_predict(X),
    "collision on features": clusters,
}
accuracies = {name: clustering_accuracy(y, found) for name, found in results.items()}
for name, accuracy in accuracies.items():
    print(f"{name}: clustering accuracy {accuracy:.3f}")

# %%
# The frozen features, and what the clusterer's own hidden layer makes of them, by their
# two principal components, coloured by cluster.
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, name, Z in zip(
    axes,
    ("frozen features", "clusterer's representation"),
    (frozen_features(X), pipeline.transform(X)),
    strict=True,
):
    ax.scatter(*PCA(2).fit_transform(Z).T, c=clusters, cmap="tab10", s=6)
    ax.set(title=name, xticks=[], yticks=[])
plt.show()
