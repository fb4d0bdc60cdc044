"""What each stage of a fit adds: the start, the network that has learnt it, the end.

Run ``python -m benchmarks.stages --data-dir DIR [--datasets NAME ...] [--seeds 0 ...]
[--params '{"loss": "collision"}']``. ``CollisionClusterer`` is fitted to random parts
of 80 % of the samples, one for each seed; the accuracies are added to a CSV file in
``benchmarks/results``, and a table of means over the seeds is printed.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from benchmarks.data import NAMES, add_data_dir, available, load, part
from benchmarks.records import Records
from sklearn_cce import CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy

KEY = ["data", "params", "seed"]
STAGES = ["start", "learnt", "end"]
LARGEST = 20_000
"""Sets of more samples are left out unless they are asked for."""


class Learnt(Callback):
    """Note the clusters when the first training of a net has ended."""

    def __init__(self, X: torch.Tensor) -> None:
        self.X = X

    def on_train_end(self, net, **kwargs) -> None:
        if not hasattr(self, "labels_"):
            with torch.no_grad():
                self.labels_ = net.module_.eval()(self.X).argmax(1).numpy()


def stages(X: np.ndarray, y: np.ndarray, params: dict, seed: int) -> dict:
    """Return the accuracy after each stage of a fit."""
    watch = [("learnt", Learnt(torch.from_numpy(np.asarray(X, np.float32))))]
    clusterer = CollisionClusterer(
        len(np.unique(y)), callbacks=watch, device="cpu", random_state=seed, **params
    )
    (start,) = clusterer.start_labels(X)
    clusterer.fit(X)
    learnt = dict(clusterer.net_.callbacks_)["learnt"].labels_
    found = (start, learnt, clusterer.labels_)
    return {
        stage: clustering_accuracy(y, labels)
        for stage, labels in zip(STAGES, found, strict=True)
    }


def measure(args: argparse.Namespace, records: Records) -> None:
    """Add a row for every data set and seed that is not there."""
    for name in args.datasets or available(args.data_dir):
        X, y = load(name, args.data_dir)
        if len(X) > LARGEST and not args.datasets:
            continue
        for seed in args.seeds:
            key = dict(zip(KEY, (name, args.params, seed), strict=True))
            if not records.find(**key):
                row = stages(*part(X, y, seed), json.loads(args.params), seed)
                records.add(key | row)
                print(*key.values(), *(f"{value:.3f}" for value in row.values()))


def report(path: Path) -> None:
    """Print the means over the seeds, and over the data sets."""
    table = pd.read_csv(path).groupby(["params", "data"])[STAGES].mean()
    print(table.round(3).to_string())
    print(table.groupby("params").mean().round(4).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_dir(parser)
    parser.add_argument("--datasets", nargs="+", choices=NAMES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--params", default="{}", help="parameters as JSON")
    parser.add_argument("--threads", type=int, default=1)
    default = Path("benchmarks/results/stages.csv")
    parser.add_argument("--out", type=Path, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    measure(args, Records(args.out, [*KEY, *STAGES], KEY))
    report(args.out)


if __name__ == "__main__":
    main()
