"""Gaussian classes that overlap, so that neighbours say little about each other's.

Run ``python -m benchmarks.overlapping``. Classes have normal means and one standard
deviation. The table has the fairness weight that 'auto' took, accuracies with weights
of 'auto', 0.5 and 1 and of k-means, and the CPU seconds of the fit with 'auto'.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy

CASES = [
    (600, 10, 32, 1.0),
    (2000, 10, 32, 2.5),
    (900, 30, 32, 1.7),
    (3000, 30, 32, 1.5),
    (4000, 20, 64, 2.4),
    (4000, 50, 64, 2.0),
    (5000, 100, 64, 2.0),
]
"""Numbers of samples, of classes, of features, and the standard deviation."""

WEIGHTS = [0.5, 1.0]
ROW = "{:>7} {:>7} {:>8} {:>6} {:>6} {:>6} {:>6} {:>6} {:>7} {:>6}"
HEADER = "samples classes features std weight auto 0.5 1.0 k-means s".split()


def make(n: int, n_classes: int, n_features: int, std: float, seed: int) -> tuple:
    """Return samples and their classes."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_classes, n_features))
    y = rng.integers(n_classes, size=n)
    return (means[y] + std * rng.normal(size=(n, n_features))).astype(np.float32), y


def measure(case: tuple, seed: int) -> list[str]:
    """Return the cells of a row behind those of the case."""
    (X, y), K = make(*case, seed), case[1]
    start = time.process_time()
    usual = CollisionClusterer(K, random_state=seed).fit(X)
    seconds = time.process_time() - start
    labels = [usual.labels_]
    for weight in WEIGHTS:
        fixed = CollisionClusterer(K, fairness_weight=weight, random_state=seed)
        labels.append(fixed.fit_predict(X))
    labels.append(KMeans(K, n_init=3, random_state=seed).fit_predict(X))
    found = [f"{clustering_accuracy(y, h):.3f}" for h in labels]
    return [f"{usual.fairness_weight_:.2f}", *found, f"{seconds:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    print(ROW.format(*HEADER))
    for case in CASES:
        print(ROW.format(*case, *measure(case, seed)), flush=True)


if __name__ == "__main__":
    main()
