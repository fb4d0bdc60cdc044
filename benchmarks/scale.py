"""What a fit costs as rows and clusters grow: seconds by stage, memory, accuracy.

Run ``python -m benchmarks.scale [--rows N ...] [--clusters K ...] [--methods NAME ...]
[--ranks N]``. The rows are Gaussian classes in 64 dimensions, in half precision, in a
memory-mapped file in ``--folder``. Every fit has a process of its own, or several with
``--ranks``, on one thread each; its figures are added to a CSV file in
``benchmarks/results``, and the table is printed at the end. The classes overlap: of a
million rows of ten classes MiniBatchKMeans puts .976 where they belong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from sklearn.cluster import MiniBatchKMeans

import sklearn_cce._clusterer as clusterer_module
from benchmarks.records import Records
from sklearn_cce import CollisionClusterer
from sklearn_cce._graph import geometry, neighbors
from sklearn_cce._training import net
from sklearn_cce.metrics import clustering_accuracy

N_FEATURES, SPREAD = 64, 2.0
"""Features of a row, and standard deviation about means of variance 1."""

BLOCK = 2**18
"""So many rows are made at a time."""

KEY = ["rows", "clusters", "method", "ranks"]
STAGES = ["projection", "graph", "start", "training", "labels"]
FACTS = ["accuracy", "seconds", "cpu_seconds", "peak_mb"]
OURS = "CollisionClusterer"

PLACES: dict[str, list[tuple[Any, str]]] = {
    "projection": [(geometry, "infer"), (net, "projected")],
    "graph": [(neighbors, "neighbor_table"), (geometry, "distinct")],
    "start": [(geometry.Geometry, "initial_labels")],
    "training": [(net.CollisionNet, "train_on")],
    "labels": [(clusterer_module, "infer")],
}
"""Where the functions of a stage are."""


class Stopwatch:
    """Seconds by stage; a stage within another one counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.running: list[str] = []
        self.last = time.perf_counter()

    def lap(self) -> None:
        """Add the seconds since the last lap to the stage that is running."""
        now = time.perf_counter()
        if self.running:
            self.seconds[self.running[-1]] += now - self.last
        self.last = now

    def timed(self, stage: str, function: Callable) -> Callable:
        """Return the function, timed as a part of a stage."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self.lap()
            self.running.append(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.lap()
                self.running.pop()

        return call

    def watch(self) -> None:
        """Time the functions of all stages from now on."""
        for stage, places in PLACES.items():
            for owner, name in places:
                setattr(owner, name, self.timed(stage, getattr(owner, name)))


def make_rows(n: int, n_clusters: int, folder: Path) -> tuple[np.memmap, np.ndarray]:
    """Return rows in a file, which is made where it is not there, and their classes."""
    rng = np.random.default_rng(n_clusters)
    means = rng.normal(size=(n_clusters, N_FEATURES)).astype(np.float32)
    y = rng.integers(n_clusters, size=n)
    file, shape = folder / f"rows-{n}-{n_clusters}.f16", (n, N_FEATURES)
    if not file.exists():
        X = np.memmap(file.with_suffix(".part"), np.float16, "w+", shape=shape)
        for first in range(0, n, BLOCK):
            some = y[first : first + BLOCK]
            noise = rng.normal(size=(len(some), N_FEATURES))
            X[first : first + BLOCK] = means[some] + SPREAD * noise
        X.flush()
        file.with_suffix(".part").replace(file)
    return np.memmap(file, np.float16, "r", shape=shape), y


def fit_ours(X: np.ndarray, n_clusters: int) -> np.ndarray:
    several = dist.is_initialized()
    clusterer = CollisionClusterer(n_clusters, distributed=several, random_state=0)
    return clusterer.fit(X).labels_


def fit_minibatch(X: np.ndarray, n_clusters: int) -> np.ndarray:
    model = MiniBatchKMeans(n_clusters, n_init=3, random_state=0)
    return model.fit_predict(np.asarray(X, np.float32))


def fit_faiss(X: np.ndarray, n_clusters: int) -> np.ndarray:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    model = faiss.Kmeans(X.shape[1], n_clusters, seed=0)
    rows = np.ascontiguousarray(X, np.float32)
    model.train(rows)
    return model.index.search(rows, 1)[1].ravel()


METHODS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    OURS: fit_ours,
    "MiniBatchKMeans": fit_minibatch,
    "FAISS k-means": fit_faiss,
}


def peak_memory() -> float:
    """Return the most memory that this process had resident, in MB (Linux).

    What `getrusage` tells begins with what its parent had.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1000


def fit_here(task: dict[str, Any]) -> None:
    """Fit in this process, and leave the figures of the first one in a file."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if task["ranks"] > 1:
        dist.init_process_group(
            "gloo",
            f"file://{task['out']}.group",
            rank=task["rank"],
            world_size=task["ranks"],
        )
    X, y = make_rows(task["rows"], task["clusters"], Path(task["folder"]))
    stopwatch = Stopwatch()
    stopwatch.watch()
    clock, cpu = time.perf_counter(), time.process_time()
    labels = METHODS[task["method"]](X, task["clusters"])
    row = {"seconds": time.perf_counter() - clock}
    row["cpu_seconds"] = time.process_time() - cpu
    row["peak_mb"] = peak_memory()
    row["accuracy"] = clustering_accuracy(y, labels)
    if task["rank"] == 0:
        Path(task["out"]).write_text(json.dumps(row | dict(stopwatch.seconds)))


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Fit in processes of its own, and return the figures."""
    threads = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1")
    with tempfile.TemporaryDirectory() as folder:
        task = task | {"out": str(Path(folder, "figures"))}
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.scale", "--one"]
                + [json.dumps(task | {"rank": rank})],
                env=os.environ | threads,
            )
            for rank in range(task["ranks"])
        ]
        if any([process.wait() for process in processes]):
            return {}
        return json.loads(Path(task["out"]).read_text())


def report(path: Path) -> None:
    """Print the table of all that was measured."""
    table = pd.read_csv(path).set_index(KEY).sort_index()
    print(table.round(3).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--rows", nargs="+", type=int, default=[100_000, 1_000_000])
    add("--clusters", nargs="+", type=int, default=[10])
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    add("--ranks", type=int, default=1)
    add("--folder", type=Path, default=Path(tempfile.gettempdir()))
    add("--out", type=Path, default=Path("benchmarks/results/scale.csv"))
    add("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        return fit_here(json.loads(args.one))
    records = Records(args.out, [*KEY, *FACTS, *STAGES], KEY)
    for n in args.rows:
        for n_clusters in args.clusters:
            make_rows(n, n_clusters, args.folder)
            for method in args.methods:
                ranks = args.ranks if method == OURS else 1
                key = dict(zip(KEY, (n, n_clusters, method, ranks), strict=True))
                if not records.find(**key):
                    row = measure(key | {"folder": str(args.folder)})
                    records.add(key | row)
                    print(*key.values(), row, flush=True)
    report(args.out)


if __name__ == "__main__":
    main()
