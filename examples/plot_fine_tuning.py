"""
Fine-tune the last layers of a network
======================================

The first layers of a pretrained network often suit new data, while its last layers are
made for the old task. So the first are frozen, the last are trained on, and a new head
with one output per cluster is put on top. Here the network is pretrained on the spot,
without a label, so that nothing has to be downloaded.
"""

import copy
import time

import matplotlib.pyplot as plt
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from torch import nn

from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.views import Neighbors, RandomAffine

X, y = load_digits(return_X_y=True)
images = torch.from_numpy(X).float().view(-1, 1, 8, 8) / 16
torch.manual_seed(0)

# %%
# A pretrained network
# --------------------
# Its old task is to say by how many quarter turns an image was rotated.
first = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(32, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
)
last = nn.Sequential(
    nn.Conv2d(32, 64, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(64 * 4 * 4, 128),
    nn.ReLU(),
)
old_network = nn.Sequential(first, last, nn.Linear(128, 4))

start = time.perf_counter()
optimizer = torch.optim.AdamW(old_network.parameters(), lr=2e-3)
rotated = torch.cat([images.rot90(k, (2, 3)) for k in range(4)])
turns = torch.arange(4).repeat_interleave(len(images))
for _ in range(4):
    for batch in torch.randperm(len(rotated)).split(64):
        logits = old_network(rotated[batch])
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, turns[batch]).backward()
        optimizer.step()
print(f"Pretrained in {time.perf_counter() - start:.0f} s")

# %%
# What its layers know
# --------------------
# k-means on the pixels, on what the first layers give, and on what the last layers
# give: these know how a digit is turned, not which one it is.


@torch.inference_mode()
def kmeans_accuracy(network):
    features = network(images).flatten(1).numpy()
    clusters = KMeans(10, n_init=10, random_state=0).fit_predict(features)
    return clustering_accuracy(y, clusters)


layers = {
    "pixels": nn.Identity(),
    "first layers": first,
    "last layers": nn.Sequential(first, last),
}
accuracies = {f"k-means, {name}": kmeans_accuracy(net) for name, net in layers.items()}

# %%
# Freeze, and put a new head on top
# ---------------------------------
# A parameter that requires no gradient stays as it is. Where frozen layers have batch
# normalisation, its running means would still move: put such a layer into evaluation
# mode in the module's ``train`` method. A network that is passed is copied, and the one
# that was passed is not changed.
network = nn.Sequential(
    copy.deepcopy(first).requires_grad_(False),
    copy.deepcopy(last),
    nn.Linear(128, 10),
)
clusterer = CollisionClusterer(
    10,
    module=network,
    views=[Neighbors(), RandomAffine()],
    batch_size=256,
    random_state=0,
)
start = time.perf_counter()
clusters = clusterer.fit_predict(images)
print(f"Fine-tuned in {time.perf_counter() - start:.0f} s")
accuracies["fine-tuned"] = clustering_accuracy(y, clusters)

tuned = clusterer.module_[0].parameters()
unchanged = all(map(torch.equal, tuned, first.parameters()))
print(f"The first layers are unchanged: {unchanged}")

# %%
# What came out
# -------------
# For comparison, the default perceptron on pixels. Both begin with labels from spectral
# clusterings of the pixels, so a network of one's own has to know what these do not
# show; on such small and centred digits the perceptron is hard to beat.
default = CollisionClusterer(10, random_state=0).fit_predict(X)
accuracies["perceptron"] = clustering_accuracy(y, default)
for name, accuracy in accuracies.items():
    print(f"{name}: clustering accuracy {accuracy:.3f}")

fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
bars = ax.barh(list(accuracies), list(accuracies.values()))
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlim=(0, 1.1), xlabel="clustering accuracy")
ax.invert_yaxis()
plt.show()
