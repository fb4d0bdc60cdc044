"""
Losses of a soft label, for two classes
=======================================

Which predictions does a loss reward for a label that is not certain, and how hard does
it pull? With two classes, label and prediction are one number each, so the whole loss
fits into a picture.
"""
# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
import torch

from sklearn_cce.losses import LOSSES

n = 101
grid = torch.linspace(0.005, 0.995, n, dtype=torch.float64)
label, prediction = torch.meshgrid(grid, grid, indexing="ij")
target = torch.stack([label, 1 - label], -1).reshape(-1, 2)
logit = torch.logit(prediction).reshape(-1)

# %%
# Loss and gradient
# -----------------
# Each column is a label, each row a prediction of the first class. The white line is
# the best prediction for each label: Shannon's cross-entropy and the mean absolute
# error want a copy of the label, collision and reverse cross-entropy a decision. The
# lower row shows the size of the gradient in the logit.
fig, axes = plt.subplots(2, len(LOSSES), figsize=(15, 5.4), layout="constrained")
gradients = {}
for (name, loss), (above, below) in zip(LOSSES.items(), axes.T, strict=True):
    z = logit.clone().requires_grad_()
    values = loss(reduction="none")(torch.stack([z, torch.zeros_like(z)], 1), target)
    values.sum().backward()
    value = values.detach().reshape(n, n).numpy()
    gradients[name] = z.grad.reshape(n, n).numpy()
    extent = dict(origin="lower", extent=(0, 1, 0, 1))
    above.imshow(np.minimum(value.T, 2.5), cmap="viridis", **extent)
    above.plot(grid, grid[value.argmin(1)], color="white")
    below.imshow(np.abs(gradients[name]).T, cmap="magma", vmin=0, vmax=1, **extent)
    above.set(title=name, xticks=[], yticks=[])
    below.set(xlabel="label", xticks=[0, 0.5, 1], yticks=[])
for row, what in zip(axes, ("loss", "|gradient|"), strict=True):
    row[0].set(ylabel=f"{what}\nprediction", yticks=[0, 0.5, 1])
plt.show()

# %%
# In the middle column of each picture the label is uniform: it says nothing. Collision
# and reverse cross-entropy have no gradient there, the others pull to 1/2.
for name, gradient in gradients.items():
    largest = np.abs(gradient[n // 2]).max()
    print(f"{name:12s} largest gradient of a uniform label: {largest:.2f}")

# %%
# One label of 0.7
# ----------------
# The gradient in the logit along one column. Positive values pull the prediction down.
# Collision cross-entropy pulls up everywhere, most where the network is undecided, and
# less where it strongly disagrees with the doubtful label. Shannon's is zero at 0.7 and
# largest at a confident prediction, on either side.
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
column = int(np.argmin(np.abs(grid.numpy() - 0.7)))
for name, gradient in gradients.items():
    ax.plot(grid, gradient[column], label=name)
ax.axhline(0, color="black", linewidth=0.8)
ax.set(xlabel="prediction", ylabel="gradient in the logit", title="A label of 0.7")
ax.legend()
plt.show()
