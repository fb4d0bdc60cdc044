"""
Learning from uncertain labels
==============================

Three in four labels of the digits are replaced by random ones, and every label says so:
it is a mixture of the class that was given and the uniform distribution. Shannon's
cross-entropy teaches the network to copy that doubt, and to learn the wrong labels by
heart. Collision cross-entropy uses the same labels as evidence and lets the network
decide.
"""

import functools

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_cce import CollisionClassifier
from sklearn_cce.modules import MLP

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, test_size=0.4, random_state=0)


def corrupt(y, share, rng):
    """Replace a share of the labels at random, and say so in every label."""
    given = np.where(rng.random(len(y)) < share, rng.integers(10, size=len(y)), y)
    return (1 - share) * np.eye(10)[given] + share / 10


# %%
# Accuracy against the share of replaced labels
# ---------------------------------------------
# ``fit`` takes a matrix of labels, one distribution in each row. Smoothing makes labels
# still more doubtful: for collision cross-entropy it is a dial of robustness, and leads
# to the behaviour of the mean absolute error (see :doc:`/robust_losses`).
methods = {
    "Shannon": {"loss": "shannon"},
    "collision": {"loss": "collision"},
    "collision, label_smoothing=0.9": {"loss": "collision", "label_smoothing": 0.9},
}
network = {"module": functools.partial(MLP, hidden=(128,)), "max_epochs": 30}
shares = [0.0, 0.4, 0.6, 0.75, 0.9]
accuracy = {method: [] for method in methods}
models = {}
for share in shares:
    soft = corrupt(y, share, np.random.default_rng(0))
    for method, params in methods.items():
        model = CollisionClassifier(**params, **network, random_state=0).fit(X, soft)
        accuracy[method].append(model.score(X_test, y_test))
        models[method, share] = model

fig, ax = plt.subplots(layout="constrained")
for method, values in accuracy.items():
    ax.plot(shares, values, marker="o", label=method)
    print(method, [f"{value:.3f}" for value in values])
ax.axhline(0.1, color="gray", linestyle=":", label="chance")
ax.set(xlabel="share of replaced labels", ylabel="accuracy on clean test data")
ax.legend()
plt.show()

# %%
# Copies and decisions
# --------------------
# What the networks say of the test images at a share of 0.75. The labels that they were
# given have 0.325 for one class. The network trained with Shannon's cross-entropy is
# never more certain than that; the other decides, and the more certain it is, the more
# often it is right.
fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained", sharey=True)
for ax, method in zip(axes, ("Shannon", "collision"), strict=True):
    model = models[method, 0.75]
    certainty = model.predict_proba(X_test).max(1)
    right = model.predict(X_test) == y_test
    bins = np.linspace(0, 1, 21)
    ax.hist([certainty[right], certainty[~right]], bins, stacked=True)
    ax.set(title=f"{method}: {right.mean():.1%} right", xlabel="largest probability")
axes[0].set_ylabel("test images")
axes[0].legend(["right", "wrong"])
plt.show()

# %%
# Lists of candidates
# -------------------
# A label may also be a list: one of these four is right. Its soft label has the same
# probability for each.
rng = np.random.default_rng(0)
draws = rng.random((len(y), 10))
draws[np.arange(len(y)), y] = -1
lists = np.argsort(draws, axis=1)[:, :4]
soft = np.zeros((len(y), 10))
np.put_along_axis(soft, lists, 1 / 4, axis=1)
print(f"First image: one of {sorted(lists[0].tolist())}; it is a {y[0]}")
for loss in ("shannon", "collision"):
    model = CollisionClassifier(loss=loss, **network, random_state=0).fit(X, soft)
    print(f"{loss}: {model.score(X_test, y_test):.3f} right")
