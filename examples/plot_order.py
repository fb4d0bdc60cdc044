"""
The order of the loss
=====================

Rényi cross-entropy of order 1 is Shannon's, of order 2 collision cross-entropy. What
does the order change for a label that is not certain, and why does it rise while a
network learns from its own labels?
"""
# sphinx_gallery_thumbnail_number = 2

import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sklearn_cce import CollisionClusterer
from sklearn_cce.losses import renyi_cross_entropy
from sklearn_cce.metrics import clustering_accuracy

ORDERS = [1, 1.5, 2, 3]

# %%
# One doubtful label
# ------------------
# Two classes and a label of 0.7 for the first. The gradient in the logit vanishes at
# 0.7 for order 1, further out for order 1.5, and for orders from 2 on only where the
# network is certain. Order 3 believes the network: below a prediction of 0.3 it pulls
# away from the label.
logit = torch.linspace(-6, 6, 401, dtype=torch.float64)
prediction = torch.sigmoid(logit).numpy()


def with_gradient(label, order):
    """Losses of all predictions of the first class, and their gradients."""
    z = logit.clone().requires_grad_()
    logits = torch.stack([z, torch.zeros_like(z)], 1)
    target = torch.stack([label, 1 - label]).expand(len(z), 2)
    loss = renyi_cross_entropy(logits, target, order=order, reduction="none")
    loss.sum().backward()
    return loss.detach().numpy(), z.grad.numpy()


fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for order in ORDERS:
    _, gradient = with_gradient(torch.tensor(0.7, dtype=torch.float64), order)
    ax.plot(prediction, gradient, label=f"order {order}")
ax.axhline(0, color="black", linewidth=0.8)
ax.set(title="A label of 0.7", xlabel="prediction", ylabel="gradient in the logit")
ax.legend()
plt.show()

# %%
# The best prediction for every label
# -----------------------------------
# A copy at order 1, a sharpened copy, and a decision from order 2 on.
labels = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for order in ORDERS:
    best = [prediction[with_gradient(label, order)[0].argmin()] for label in labels]
    ax.plot(labels, best, label=f"order {order}")
ax.set(title="The best prediction", xlabel="label", ylabel="prediction")
ax.legend()
plt.show()

# %%
# A network that labels its samples itself
# ----------------------------------------
# From random weights, on the handwritten digits, with few passes. With order 1 the
# network copies its own doubt for ever: it stays free to change its mind, but is not
# certain at the end, and where balance weighs much it learns nothing but doubt. With
# order 2 it is certain early, also of what is wrong. A rising order has both in turn.
warnings.simplefilter("ignore", ConvergenceWarning)  # the passes are few
X, y = load_digits(return_X_y=True)
for weight in (1.0, 1000.0):
    for loss in (1, 2, "rising"):
        params = {"loss": loss, "fairness_weight": weight, "random_state": 0}
        clusterer = CollisionClusterer(
            n_clusters=10, init="random", max_epochs=150, patience=150, **params
        ).fit(X)
        proba = clusterer.predict_proba(X)
        doubt = -np.mean(np.sum(proba * np.log(proba + 1e-30), axis=1))
        print(
            f"fairness weight {weight:5g}, loss {loss!s:6s}: accuracy "
            f"{clustering_accuracy(y, clusterer.labels_):.2f}, "
            f"mean entropy {doubt:.2f} nats"
        )
