"""Clustering methods, losses and fairness weights beside each other.

Run ``python -m benchmarks.clustering [--data-dir DIR] [--quick]`` to compare
``CollisionClusterer`` with other clustering methods, all on their defaults (see
`benchmarks.clustering_methods`); with ``--losses`` to compare self-labelling losses on
one network (see `benchmarks.self_labelling`); with ``--weights`` to run
``CollisionClusterer`` over fairness weights.

Every fit is added to a CSV file in ``benchmarks/results`` as soon as it is measured,
and what is there already is not measured again (unless ``--again``), so that a long
table may be made in pieces: choose ``--datasets``, ``--methods`` and ``--seeds``. Each
fit of the first and the last comparison has a process of its own, which is ended after
``--limit`` seconds of CPU time; the row then says so, and further seeds are not tried.
At the end the tables of all rows measured so far are printed, and accuracies drawn.
CPU time, rather than the clock, is compared, as it depends less on what else runs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from benchmarks.clustering_methods import METHODS, OURS, SEEDLESS, missing
from benchmarks.clustering_report import report_methods, report_parameter
from benchmarks.data import NAMES, add_data_dir, available, load
from benchmarks.records import Records
from benchmarks.self_labelling import LOSSES, WEIGHTLESS, Setting, train
from sklearn_cce.metrics import (
    clustering_accuracy,
    expected_calibration_error,
    match_clusters,
)

SCORES = ["accuracy", "nmi", "ari", "smallest_recall", "ece", "clusters"]
TIMES = ["seconds", "cpu_seconds"]
SIZES = ["n_samples", "n_features", "n_classes"]
LOSS_DATA = ["digits", "mnist_test", "stackoverflow", "cifar10"]
QUICK = ["iris", "digits"]
QUICK_METHODS = list(METHODS)[:6]


def smallest_recall(y: np.ndarray, labels: np.ndarray) -> float:
    """Share of the smallest class that its matched cluster finds, 0 without one."""
    classes, counts = np.unique(y, return_counts=True)
    smallest = classes[counts.argmin()]
    clusters = {match: cluster for cluster, match in match_clusters(y, labels).items()}
    if smallest not in clusters:
        return 0.0
    return float(np.mean(labels[y == smallest] == clusters[smallest]))


def scores(y: np.ndarray, labels: np.ndarray, probabilities: np.ndarray | None) -> dict:
    """Return all measures of agreement of one clustering."""
    calibrated = probabilities is not None
    return {
        "accuracy": clustering_accuracy(y, labels),
        "nmi": normalized_mutual_info_score(y, labels),
        "ari": adjusted_rand_score(y, labels),
        "smallest_recall": smallest_recall(y, labels),
        "ece": expected_calibration_error(y, probabilities) if calibrated else "",
        "clusters": len(np.unique(labels)),
    }


def timed(fit: Callable[[], np.ndarray]) -> tuple[np.ndarray, dict]:
    """Return what a function returns, and the time by the clock and of the CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = fit()
    times = [time.perf_counter() - clock, time.process_time() - cpu]
    return result, dict(zip(TIMES, times, strict=True))


def fit_one(args: argparse.Namespace) -> None:
    """Fit one method once, in this process, and print the row as JSON."""
    name, method, seed, *weight = args.one
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    X, y = load(name, args.data_dir)
    clusterer = METHODS[method](len(np.unique(y)), int(seed))
    if weight:
        clusterer.set_params(fairness_weight=float(weight[0]))
    signal.setitimer(signal.ITIMER_PROF, args.limit)  # SIGPROF ends the process
    labels, times = timed(lambda: clusterer.fit_predict(X))
    signal.setitimer(signal.ITIMER_PROF, 0)
    proba = getattr(clusterer, "predict_proba", None)
    row = scores(y, labels, proba(X) if proba is not None else None)
    print(json.dumps({**row, **times, "status": "ok"}, default=float))


def fit_apart(args: argparse.Namespace, *task: object) -> dict:
    """Return what a process of its own measures, or how it ended."""
    command = [sys.executable, "-m", "benchmarks.clustering", "--one", *map(str, task)]
    command += ["--threads", str(args.threads), "--limit", str(args.limit)]
    if args.data_dir is not None:
        command += ["--data-dir", str(args.data_dir)]
    threads = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    environment = os.environ | dict.fromkeys(threads, str(args.threads))
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if done.returncode == -signal.SIGPROF:
        return {"status": f"over {args.limit:g} s"}
    last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    return {"status": f"failed: {last[:80]}"}


def sizes(name: str, folder: Path | None) -> dict:
    X, y = load(name, folder)
    return dict(zip(SIZES, [*X.shape, len(np.unique(y))], strict=True))


def shown(row: dict) -> str:
    """Return one line about a fit."""
    if row["status"] != "ok":
        return row["status"]
    return (
        f"accuracy {row['accuracy']:.3f}, NMI {row['nmi']:.3f}, {row['seconds']:.1f} s"
    )


def measure_seeds(
    args: argparse.Namespace,
    records: Records,
    common: dict,
    measure: Callable[[int], dict],
    seeds: list[int],
) -> None:
    """Add a row for every seed that is not there, until one does not end well."""
    for seed in seeds:
        if not args.again and records.find(**common, seed=seed):
            continue
        if any(row["status"] != "ok" for row in records.find(**common)):
            if not args.again:
                return
        row = {**common, "seed": seed, **measure(seed)}
        records.add({**row, **sizes(row["data"], args.data_dir)})
        values = [str(value) for value in [*common.values(), seed]]
        print(*values, shown(row), sep=", ", flush=True)


def compare_methods(args: argparse.Namespace) -> None:
    """Fit every method on every data set with every seed."""
    key = ["data", "method", "seed"]
    columns = [*key, "status", *SIZES, *SCORES, *TIMES]
    records = Records(args.results / "clustering.csv", columns, key)
    for name in args.datasets or available(args.data_dir):
        for method in args.methods or METHODS:
            if missing(method):
                print(f"{method} needs {' and '.join(missing(method))}: left out")
                continue
            measure_seeds(
                args,
                records,
                {"data": name, "method": method},
                lambda seed, task=(name, method): fit_apart(args, *task, seed),
                args.seeds[:1] if method in SEEDLESS else args.seeds,
            )
    report_methods(records.path)


def compare_losses(args: argparse.Namespace) -> None:
    """Train one network with every loss, weight and seed."""
    key = ["data", "loss", "fairness_weight", "seed", "n_steps"]
    columns = [*key, "status", *SIZES, *SCORES, *TIMES]
    records = Records(args.results / "clustering_losses.csv", columns, key)
    torch.set_num_threads(args.threads)
    n_steps = 100 if args.quick else 1000
    there = [name for name in LOSS_DATA if name in available(args.data_dir)]
    for name in args.datasets or there:
        setting = Setting(*load(name, args.data_dir))
        for weight in args.fairness_weights or [1, 10, 100]:
            for loss in args.methods or LOSSES:
                shown_weight = "" if loss in WEIGHTLESS else f"{weight:g}"
                measure_seeds(
                    args,
                    records,
                    {"data": name, "loss": loss, "fairness_weight": shown_weight}
                    | {"n_steps": n_steps},
                    lambda seed, task=(setting, loss, weight): train_one(
                        *task, seed, n_steps
                    ),
                    args.seeds,
                )
    report_parameter(records.path, "loss")


def train_one(
    setting: Setting, loss: str, weight: float, seed: int, n_steps: int
) -> dict:
    """Return a row about one training of the comparison of losses."""
    probabilities, times = timed(
        lambda: train(setting, loss, weight, seed=seed, n_steps=n_steps)
    )
    row = scores(setting.y, probabilities.argmax(1), probabilities)
    return {**row, **times, "status": "ok"}


def compare_weights(args: argparse.Namespace) -> None:
    """Fit ``CollisionClusterer`` with every fairness weight."""
    key = ["data", "method", "fairness_weight", "seed"]
    columns = [*key, "status", *SIZES, *SCORES, *TIMES]
    records = Records(args.results / "clustering_weights.csv", columns, key)
    for name in args.datasets or available(args.data_dir):
        for weight in args.fairness_weights or [0.1, 1, 10, 100, 1000]:
            measure_seeds(
                args,
                records,
                {"data": name, "method": OURS, "fairness_weight": f"{weight:g}"},
                lambda seed, name=name, weight=weight: fit_apart(
                    args, name, OURS, seed, weight
                ),
                args.seeds,
            )
    report_parameter(records.path, "method")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_dir(parser)
    add = parser.add_argument
    add("--losses", action="store_const", const="losses", dest="part")
    add("--weights", action="store_const", const="weights", dest="part")
    add("--quick", action="store_true", help="small data, few methods, two seeds")
    add("--seeds", nargs="*", type=int)
    add("--datasets", nargs="+", choices=NAMES)
    add("--methods", nargs="+", choices=[*METHODS, *LOSSES], metavar="NAME")
    add("--fairness-weights", nargs="+", type=float, metavar="WEIGHT")
    add("--threads", type=int, default=1)
    add("--limit", type=float, default=300, help="CPU seconds of a fit")
    add("--again", action="store_true", help="measure anew what is there")
    add("--results", type=Path, default=Path("benchmarks/results"))
    add("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    allowed = LOSSES if args.part == "losses" else METHODS
    if unknown := set(args.methods or []) - set(allowed):
        parser.error(f"--methods takes {', '.join(allowed)} here; got {unknown}")
    if args.quick:
        args.datasets = args.datasets or (["digits"] if args.part else QUICK)
        if args.part != "losses":
            args.methods = args.methods or QUICK_METHODS
    if args.seeds is None:
        args.seeds = [0, 1] if args.quick else [0, 1, 2, 3, 4]
    return args


PARTS = {None: compare_methods, "losses": compare_losses, "weights": compare_weights}


def main() -> None:
    args = parse()
    if args.one is not None:
        return fit_one(args)
    PARTS[args.part](args)


if __name__ == "__main__":
    main()
