"""Which number of clusters and fairness weight the label-free scorers select.

Run ``python -m benchmarks.model_selection [--data-dir DIR] [--datasets digits wine]``.
A ``GridSearchCV`` without y over ``n_clusters`` (from half to one and a half times the
number of classes) and ``fairness_weight`` (0.25, 0.5, 1), with the defaults of
``CollisionClusterer``, on at most 1,500 samples of a data set. For every data set, seed
and scorer it prints what is selected and how well the refitted clusters agree with the
classes, and writes the score of every candidate to a CSV file.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from benchmarks.data import Data, add_data_dir, available, load
from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.model_selection import (
    prediction_strength_scorer,
    silhouette_scorer,
    stability_scorer,
)

BLOBS = {
    "blobs-3": [200] * 3,
    "blobs-5": [120] * 5,
    "blobs-10": [60] * 10,
    "blobs-5, 30 : 1": [300, 130, 55, 25, 10],
}
"""Sizes of made-up clusters in five dimensions."""
NAMES = [
    *("iris", "wine", "breast_cancer", "digits", "digits_lt100", "usps", "texture"),
    *("reuters", "stackoverflow", "worm_neurons", "mnist_test"),
]
SCORERS = {
    "silhouette": silhouette_scorer,
    "prediction strength": prediction_strength_scorer,
    "stability": stability_scorer,
}
WEIGHTS = [0.25, 0.5, 1.0]
SHARES = [0.5, 0.7, 0.85, 1.0, 1.2, 1.5]
"""The numbers of clusters to choose from, as shares of the number of classes."""
N_SAMPLES = 1500
COLUMNS = ["data", "seed", "scorer", "n_clusters", "fairness_weight", "score", "std"]
ROW = "{:16} {:>4} {:20} {:>7} {:>8} {:>6} {:>6} {:>6} {:>8}"
HEADER = "data seed scorer classes selected in_use weight score accuracy"


def samples(name: str, seed: int, folder: Path | None) -> Data:
    """Return samples and their classes in random order."""
    if name in BLOBS:
        X, y = make_blobs(BLOBS[name], 5, random_state=seed)
    else:
        X, y = load(name, folder)
    order = np.random.default_rng(seed).permutation(len(X))[:N_SAMPLES]
    return X[order], y[order]


def candidates(n_classes: int) -> list[int]:
    """Return numbers of clusters around the number of classes."""
    return sorted({max(2, round(share * n_classes)) for share in SHARES})


def search(X: np.ndarray, n_classes: int, seed: int, n_folds: int) -> GridSearchCV:
    """Return the fitted search of one data set, with every scorer."""
    grid = {"fairness_weight": WEIGHTS, "n_clusters": candidates(n_classes)}
    with tempfile.TemporaryDirectory() as memory:
        clusterer = CollisionClusterer(random_state=seed, memory=memory)
        found = GridSearchCV(clusterer, grid, scoring=SCORERS, refit=False, cv=n_folds)
        return found.fit(X)


def scores(found: GridSearchCV, scorer: str) -> Iterator[tuple[int, int, float, float]]:
    """Yield n_clusters, fairness_weight, mean and standard deviation."""
    results = found.cv_results_
    for params, mean, std in zip(
        results["params"],
        results[f"mean_test_{scorer}"],
        results[f"std_test_{scorer}"],
        strict=True,
    ):
        yield params["n_clusters"], params["fairness_weight"], mean, std


def measure(name: str, seed: int, n_folds: int, folder: Path | None) -> Iterator[tuple]:
    """Search one data set, print the table's rows, and yield the CSV's."""
    X, y = samples(name, seed, folder)
    n_classes = len(np.unique(y))
    found = search(X, n_classes, seed, n_folds)
    for scorer in SCORERS:
        rows = list(scores(found, scorer))
        k, weight, score, _ = max(rows, key=lambda row: row[2])
        best = CollisionClusterer(k, fairness_weight=weight, random_state=seed)
        clusters = best.fit_predict(X)
        in_use, accuracy = len(np.unique(clusters)), clustering_accuracy(y, clusters)
        cells = (name, seed, scorer, n_classes, k, in_use, weight)
        print(ROW.format(*cells, f"{score:.3f}", f"{accuracy:.3f}"), flush=True)
        for row in rows:
            yield (name, seed, scorer, *row)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_dir(parser)
    parser.add_argument("--datasets", nargs="+", choices=[*BLOBS, *NAMES])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--folds", type=int, default=2)
    default = Path("benchmarks/results/model_selection.csv")
    parser.add_argument("--out", type=Path, default=default)
    return parser.parse_args()


def main() -> None:
    args = parse()
    there = [*BLOBS, *(name for name in NAMES if name in available(args.data_dir))]
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print(ROW.format(*HEADER.split()))
    start = time.perf_counter()
    with args.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name in args.datasets or there:
            for seed in args.seeds:
                writer.writerows(measure(name, seed, args.folds, args.data_dir))
                file.flush()
    print(f"{time.perf_counter() - start:.0f} s; every score is in {args.out}")


if __name__ == "__main__":
    main()
