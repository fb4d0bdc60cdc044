"""Which number of clusters and fairness weight the label-free scorers select.

Run ``python -m benchmarks.model_selection [--data digits wine ...] [--n-jobs 2]``. A
``GridSearchCV`` without y over ``n_clusters`` (six values around the number of
classes) and ``fairness_weight`` (1, 10, 100), with the defaults of
``CollisionClusterer`` but for what ``--params`` sets. For every data set, seed and
scorer it prints what is selected and how well the refitted clusters agree with the
classes, and writes the score of every candidate to a CSV file.
"""

from __future__ import annotations

import argparse
import ast
import csv
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.model_selection import prediction_strength_scorer, silhouette_scorer

Data = tuple[np.ndarray, np.ndarray]


def blobs(n_clusters: int) -> Callable[[int], Data]:
    """Return a function that draws blobs, given a seed."""
    return lambda seed: make_blobs(600, 5, centers=n_clusters, random_state=seed)


DATA: dict[str, Callable[[int], Data]] = {
    "digits": lambda seed: load_digits(return_X_y=True),
    "wine": lambda seed: load_wine(return_X_y=True),
    "iris": lambda seed: load_iris(return_X_y=True),
    "blobs-3": blobs(3),
    "blobs-5": blobs(5),
    "blobs-10": blobs(10),
}
SCALERS = {"digits": MinMaxScaler}
SCORERS = {
    "silhouette": silhouette_scorer,
    "prediction strength": prediction_strength_scorer,
}
WEIGHTS = [1, 10, 100]
COLUMNS = ["data", "seed", "scorer", "n_clusters", "fairness_weight", "score", "std"]
ROW = "{:10} {:>4} {:20} {:>7} {:>8} {:>6} {:>6} {:>8} {:>8}"
HEADER = "data seed scorer classes selected in_use weight score accuracy"


def candidates(n_classes: int) -> list[int]:
    """Return six numbers of clusters around the number of classes."""
    first = max(2, n_classes - 2)
    return list(range(first, first + 6))


def search(
    pipeline: Pipeline, X: np.ndarray, n_clusters: list[int], n_folds: int, n_jobs: int
) -> GridSearchCV:
    """Return the fitted search of one data set, with every scorer."""
    grid = {
        "collisionclusterer__fairness_weight": WEIGHTS,
        "collisionclusterer__n_clusters": n_clusters,
    }
    return GridSearchCV(
        pipeline, grid, scoring=SCORERS, refit=False, cv=n_folds, n_jobs=n_jobs
    ).fit(X)


def scores(found: GridSearchCV, scorer: str) -> Iterator[tuple[int, int, float, float]]:
    """Yield n_clusters, fairness_weight, mean and standard deviation."""
    results = found.cv_results_
    for params, mean, std in zip(
        results["params"],
        results[f"mean_test_{scorer}"],
        results[f"std_test_{scorer}"],
        strict=True,
    ):
        weight, k = params.values()
        yield k, weight, mean, std


def selected(found: GridSearchCV, scorer: str) -> dict[str, int]:
    """Return the parameters of the candidate with the best score."""
    return found.cv_results_["params"][
        found.cv_results_[f"mean_test_{scorer}"].argmax()
    ]


def measure(
    name: str, seed: int, params: dict, n_folds: int, n_jobs: int
) -> Iterator[tuple]:
    """Search one data set, print the table's rows, and yield the CSV's."""
    X, y = DATA[name](seed)
    order = np.random.default_rng(seed).permutation(len(X))
    X, y = X[order], y[order]
    clusterer = CollisionClusterer(random_state=seed, **params)
    pipeline = make_pipeline(SCALERS.get(name, StandardScaler)(), clusterer)
    n_classes = len(np.unique(y))
    found = search(pipeline, X, candidates(n_classes), n_folds, n_jobs)
    for scorer in SCORERS:
        best = selected(found, scorer)
        clusters = clone(pipeline).set_params(**best).fit_predict(X)
        weight, k = best.values()
        score = found.cv_results_[f"mean_test_{scorer}"].max()
        in_use, accuracy = len(np.unique(clusters)), clustering_accuracy(y, clusters)
        cells = (name, seed, scorer, n_classes, k, in_use, weight)
        print(ROW.format(*cells, f"{score:.3f}", f"{accuracy:.3f}"), flush=True)
        for candidate in scores(found, scorer):
            yield (name, seed, scorer, *candidate)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument(
        "--params",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="parameters of the clusterer, such as max_epochs=50",
    )
    default = Path("benchmarks/results/model_selection.csv")
    parser.add_argument("--out", type=Path, default=default)
    return parser.parse_args()


def literal(text: str) -> object:
    """Return the Python value that a text means, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def main() -> None:
    args = parse()
    pairs = (pair.split("=", 1) for pair in args.params)
    params = {name: literal(value) for name, value in pairs}
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print(ROW.format(*HEADER.split()))
    start = time.perf_counter()
    with args.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name in args.data:
            for seed in args.seeds:
                writer.writerows(measure(name, seed, params, args.folds, args.n_jobs))
    print(f"{time.perf_counter() - start:.0f} s; every score is in {args.out}")


if __name__ == "__main__":
    main()
