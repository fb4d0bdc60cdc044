"""
Watch a training with TensorBoard
=================================

A callback of skorch writes what the history has to a folder, epoch by epoch, while the
training runs. ``tensorboard --logdir runs`` shows the curves in a browser, those of
several trainings beside each other.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from skorch.callbacks import TensorBoard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from sklearn_cce import CollisionClusterer

X = load_digits().data
folder = tempfile.TemporaryDirectory()  # in your work: runs = Path("runs")
runs = Path(folder.name)

# %%
# Two trainings
# -------------
# Every training has a folder of its own. From random weights there is no start to learn
# from, so that all epochs show how the network labels its own samples.
for weight in (1.0, 100.0):
    writer = SummaryWriter(runs / f"fairness_weight={weight:g}")
    clusterer = CollisionClusterer(
        10,
        fairness_weight=weight,
        init="random",
        max_epochs=60,
        callbacks=[TensorBoard(writer)],
        random_state=0,
    ).fit(X)

# %%
# The curves
# ----------
# What TensorBoard would show, read from the same files: the entropy of the clusters'
# sizes, and how many samples changed their cluster.
fig, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for run in sorted(runs.iterdir()):
    events = EventAccumulator(str(run)).Reload()
    for ax, tag in zip(axes, ("balance", "changed"), strict=True):
        scalars = events.Scalars(tag)
        ax.plot([s.step for s in scalars], [s.value for s in scalars], label=run.name)
        ax.set(xlabel="epoch", title=tag)
axes[0].legend()
plt.show()
print("written:", ", ".join(events.Tags()["scalars"]))
folder.cleanup()
