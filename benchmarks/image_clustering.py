"""VGG4 with augmentations on MNIST images, beside the paper's set-up.

Run ``python -m benchmarks.image_clustering --data-dir DIR``, or set
``SKLEARN_CCE_DATA`` to DIR. The 10,000 test images (``--samples 70000``: all of them;
another number: a random subset of the test images) are clustered into 10 clusters.
``--setups`` chooses among

* ``neighbors``: VGG4, batches of 250, a learning rate of 1e-3, and by default:
  spectral labels to begin with, then neighbours and random affine maps as views;
* ``affine``: the same with random affine maps as the only further view;
* ``paper``: random start, a random crop with a horizontal flip as the second view,
  batches of 250 and a fairness weight of 100, as in Zhang & Boykov (2023), section 4;
  the images, the strength of the crop, the learning rate and the number of passes are
  not theirs;
* ``mlp``: the perceptron on pixels with all defaults, which sees no augmentation.

The first two differ from the paper's set-up in the labels to begin with, in affine maps
in place of crops and flips, in a fairness weight of 1, and in 10,000 images in place of
60,000.

An epoch of VGG4 on 10,000 images takes minutes on one CPU core. ``--bfloat16`` trains
in mixed precision, ``--verbose`` prints the accuracy of every epoch. Every fit appends
a row to ``benchmarks/results/image_clustering.csv``.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import normalized_mutual_info_score
from skorch import NeuralNet
from skorch.callbacks import Callback

from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.views import (
    Neighbors,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
)

VGG4 = {"module": "vgg4", "batch_size": 250, "lr": 1e-3}
SETUPS: dict[str, Callable[[], dict]] = {
    "neighbors": lambda: VGG4 | {"views": [Neighbors(), RandomAffine()]},
    "affine": lambda: VGG4 | {"views": [RandomAffine()]},
    "paper": lambda: (
        VGG4
        | {
            "init": "random",
            "views": torch.nn.Sequential(RandomCrop(), RandomHorizontalFlip()),
            "fairness_weight": 100.0,
        }
    ),
    "mlp": lambda: {"module": "mlp"},
}
COLUMNS = [
    "data", "n_samples", "setup", "epochs", "batch_size", "fairness_weight",
    "bfloat16", "threads", "seed", "accuracy", "nmi", "balance", "clusters", "seconds",
]  # fmt: skip


class EpochAccuracy(Callback):
    """Print the accuracy of the clusters that each epoch saw, as it went along.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        The classes.
    """

    def __init__(self, y: np.ndarray) -> None:
        self.y = y

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Print one line."""
        accuracy = clustering_accuracy(self.y, net.clusters_.cpu().numpy())
        row = net.history[-1]
        print(
            f"epoch {row['epoch']}: accuracy {accuracy:.4f}, loss "
            f"{row['train_loss']:.4f}, {row['dur']:.0f} s",
            flush=True,
        )


def load_images(folder: Path, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return MNIST images of shape (n, 1, 28, 28), from 0 to 1, and their digits."""
    with np.load(folder / "mnist.npz") as file:
        X, y = file["X_test"], file["y_test"]
        if n_samples > len(X):
            X = np.concatenate([file["X_train"], X])
            y = np.concatenate([file["y_train"], y])
    if n_samples < len(X):
        chosen = np.random.default_rng(0).choice(len(X), n_samples, replace=False)
        X, y = X[chosen], y[chosen]
    return X[:, None].astype(np.float32) / 255, y


def measure(args: argparse.Namespace, setup: str, seed: int) -> dict:
    """Fit once and return a row of the table."""
    X, y = load_images(args.data_dir, args.samples)
    if setup == "mlp":
        X = X.reshape(len(X), -1)
    clusterer = CollisionClusterer(
        10,
        max_epochs=args.epochs,
        mixed_precision=args.bfloat16,
        random_state=seed,
        callbacks=[EpochAccuracy(y)] if args.verbose else None,
        **SETUPS[setup](),
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clusters = clusterer.fit_predict(X)
    seconds = time.perf_counter() - start
    return {
        "data": "mnist",
        "n_samples": len(X),
        "setup": setup,
        "epochs": clusterer.n_iter_,
        "batch_size": clusterer.batch_size,
        "fairness_weight": clusterer.fairness_weight,
        "bfloat16": args.bfloat16,
        "threads": args.threads,
        "seed": seed,
        "accuracy": round(clustering_accuracy(y, clusters), 4),
        "nmi": round(normalized_mutual_info_score(y, clusters), 4),
        "balance": round(clusterer.history_[-1, "balance"], 4),
        "clusters": len(np.unique(clusters)),
        "seconds": round(seconds, 1),
    }


def append(row: dict, path: Path) -> None:
    """Add a row to the table, which is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    folder = os.environ.get("SKLEARN_CCE_DATA")
    parser.add_argument("--data-dir", type=Path, default=folder)
    parser.add_argument("--setups", nargs="+", choices=SETUPS, default=["affine"])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    default = Path("benchmarks/results/image_clustering.csv")
    parser.add_argument("--out", type=Path, default=default)
    args = parser.parse_args()
    if args.data_dir is None:
        parser.error("give --data-dir or set SKLEARN_CCE_DATA")
    args.data_dir = Path(args.data_dir)
    return args


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    for setup in args.setups:
        for seed in args.seeds:
            row = measure(args, setup, seed)
            append(row, args.out)
            print(
                ", ".join(f"{name} {value}" for name, value in row.items()), flush=True
            )


if __name__ == "__main__":
    main()
