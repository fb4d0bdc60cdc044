"""Which method should label the batches: cost of a step, and accuracy.

Run ``python -m benchmarks.training_methods [--data-dir DIR] [--seeds 5]``. For every
method of ``update_pseudo_labels``: the share of a training step of an MLP-512 (batch
1,000) that the labels cost, at K = 10 and K = 100; and the clustering accuracy, mean
and standard deviation over seeds, of ``CollisionClusterer`` with otherwise default
parameters on digits, and on StackOverflow and the MNIST test part where they are.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks.data import add_data_dir, available, load
from sklearn_cce import CollisionClusterer
from sklearn_cce.losses import collision_cross_entropy
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.modules import MLP
from sklearn_cce.pseudo_labels import UPDATES, initial_prices, update_pseudo_labels

DATA = {"digits", "stackoverflow", "mnist_test"}


def step_times(method: str, n_clusters: int, repeats: int) -> tuple[float, float]:
    """Return the median seconds of the labels, and of the whole training step."""
    torch.manual_seed(0)
    module, X = MLP(784, n_clusters), torch.randn(1_000, 784)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True)
    prior = torch.full((n_clusters,), 1 / n_clusters)
    prices = initial_prices(prior, fairness_weight=100.0)
    labelling, whole = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        optimizer.zero_grad()
        logits = module(X)
        with torch.no_grad():
            before = time.perf_counter()
            labels, prices = update_pseudo_labels(
                logits.softmax(1),
                prices,
                fairness_weight=100.0,
                prior=prior,
                method=method,
            )
            labelling.append(time.perf_counter() - before)
        collision_cross_entropy(logits, labels).backward()
        optimizer.step()
        whole.append(time.perf_counter() - start)
    return statistics.median(labelling), statistics.median(whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_dir(parser)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for n_clusters in (10, 100):
        for method in UPDATES:
            labelling, whole = step_times(method, n_clusters, 100)
            print(
                f"K = {n_clusters}, {method}: labels {1e3 * labelling:.2f} ms of a "
                f"step of {1e3 * whole:.2f} ms; labels / rest = "
                f"{labelling / (whole - labelling):.2f}",
                flush=True,
            )
    for name in sorted(DATA & set(available(args.data_dir))):
        X, y = load(name, args.data_dir)
        n_clusters = len(np.unique(y))
        for method in UPDATES:
            accuracies, seconds = [], []
            for seed in range(args.seeds):
                start = time.perf_counter()
                labels = CollisionClusterer(
                    n_clusters, pseudo_labels=method, random_state=seed
                ).fit_predict(X)
                seconds.append(time.perf_counter() - start)
                accuracies.append(clustering_accuracy(y, labels))
            print(
                f"{name}, {method}: accuracy {np.mean(accuracies):.3f} +- "
                f"{np.std(accuracies):.3f}, {np.mean(seconds):.1f} s a fit, "
                f"{args.seeds} seeds",
                flush=True,
            )


if __name__ == "__main__":
    main()
