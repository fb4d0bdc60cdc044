"""Accuracy, time and memory on real data, beside k-means in the same run.

Run ``python -m benchmarks.first_figures --data-dir DIR [--data mnist stackoverflow]``,
or set ``SKLEARN_CCE_DATA`` to DIR. All 70,000 MNIST images (784 pixels from 0 to 1) and
the 20,000 StackOverflow embeddings are clustered by ``CollisionClusterer`` with its
defaults, with a linear module and a perceptron, and by ``KMeans(n_init=10)``, into as
many clusters as there are classes. Every fit has a process of its own, whose peak of
resident memory is noted. ``--n-samples`` takes a subset.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.base import ClusterMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score

from benchmarks.data import NAMES, SHIPPED, add_data_dir, load
from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy

METHODS: dict[str, Callable[[int, int], ClusterMixin]] = {
    "linear": lambda k, seed: CollisionClusterer(k, module="linear", random_state=seed),
    "mlp": lambda k, seed: CollisionClusterer(k, module="mlp", random_state=seed),
    "k-means": lambda k, seed: KMeans(k, n_init=10, random_state=seed),
}
COLUMNS = [
    "data", "n_samples", "method", "seed", "accuracy", "nmi", "seconds",
    "peak_mib", "data_mib", "n_iter", "clusters", "warnings",
]  # fmt: skip


def peak_mib() -> float:
    """Return the peak of this process's resident memory in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def measure(
    name: str, folder: Path | None, n_samples: int | None, method: str, seed: int
) -> dict:
    """Fit one method once and return a row of the table."""
    X, y = load(name, folder)
    if n_samples is not None and n_samples < len(X):
        chosen = np.random.default_rng(0).choice(len(X), n_samples, replace=False)
        X, y = X[chosen], y[chosen]
    clusterer = METHODS[method](len(np.unique(y)), seed)
    before = peak_mib()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        start = time.perf_counter()
        labels = clusterer.fit_predict(X)
        seconds = time.perf_counter() - start
    return dict(
        zip(
            COLUMNS,
            [
                name,
                len(X),
                method,
                seed,
                clustering_accuracy(y, labels),
                normalized_mutual_info_score(y, labels),
                seconds,
                peak_mib(),
                before,
                clusterer.n_iter_,
                len(np.unique(labels)),
                " ".join(str(w.message) for w in caught),
            ],
            strict=True,
        )
    )


def measure_apart(args: argparse.Namespace, *task: str) -> dict:
    """Return what a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.first_figures", "--one", *task]
    command += ["--threads", str(args.threads)]
    if args.data_dir is not None:
        command += ["--data-dir", str(args.data_dir)]
    if args.n_samples is not None:
        command += ["--n-samples", str(args.n_samples)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def summary(rows: list[dict]) -> str:
    """Return mean and range over the seeds of one method on one data set."""

    def spread(column: str, digits: int) -> str:
        values = [row[column] for row in rows]
        low, high = min(values), max(values)
        mean = statistics.fmean(values)
        return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    return (
        f"{rows[0]['data']} {rows[0]['n_samples']:,} {rows[0]['method']}: "
        f"accuracy {spread('accuracy', 3)}, NMI {spread('nmi', 3)}, "
        f"seconds {spread('seconds', 1)}, peak MiB {spread('peak_mib', 0)} "
        f"(before the fit {spread('data_mib', 0)}), epochs {spread('n_iter', 0)}, "
        f"clusters {spread('clusters', 0)}"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_dir(parser)
    parser.add_argument(
        "--data", nargs="+", choices=NAMES, default=["mnist", "stackoverflow"]
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--n-samples", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    default = Path("benchmarks/results/first_figures.csv")
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.data_dir is None and not set(args.data) <= set(SHIPPED) and not args.one:
        parser.error("give --data-dir or set SKLEARN_CCE_DATA, or --data digits")
    return args


def run_all(args: argparse.Namespace) -> None:
    """Measure everything in turn, print a line for each method, and write the CSV."""
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for name in args.data:
            for method in args.methods:
                rows = []
                for seed in args.seeds:
                    rows.append(measure_apart(args, name, method, str(seed)))
                    writer.writerow(rows[-1])
                    file.flush()
                print(summary(rows), flush=True)
                print(*sorted({row["warnings"] for row in rows} - {""}), sep="\n")
    print(f"{args.threads} threads; every fit is in {args.out}")


def main() -> None:
    args = parse()
    if args.one is None:
        return run_all(args)
    torch.set_num_threads(args.threads)
    name, method, seed = args.one
    row = measure(name, args.data_dir, args.n_samples, method, int(seed))
    print(json.dumps(row, default=float))


if __name__ == "__main__":
    main()
