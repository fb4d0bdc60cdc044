"""Clustering methods, losses and fairness weights beside each other.

Run ``python -m benchmarks.clustering [--data-dir DIR] [--quick]`` to compare
``CollisionClusterer`` with other clustering methods, all on their defaults (see
`benchmarks.clustering_methods`); with ``--losses`` to compare self-labelling losses on
one network (see `benchmarks.self_labelling`); with ``--weights`` to run
``CollisionClusterer`` over fairness weights; with ``--networks`` to run it with its
networks for tables.

Methods are fitted to random parts of 80 % of the samples, one for each seed.
Every fit is added to a CSV file in ``benchmarks/results`` as soon as it is measured,
and what is there already is not measured again (unless ``--again``), so that a long
table may be made in pieces: choose ``--datasets``, ``--methods`` and ``--seeds``. In
the first and the last comparison the fits of one method on one data set have a process
of their own, which is ended when a fit takes more than ``--limit`` seconds of CPU time;
the row then says so, and further seeds are not tried.
At the end the tables of all rows measured so far are printed, and accuracies drawn;
means and ranks are those of the ``--methods``, over the parts that all of them share.
CPU time, rather than the clock, is compared, as it depends less on what else runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.base import ClusterMixin
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from benchmarks.clustering_methods import METHODS, OURS, missing
from benchmarks.clustering_report import report_losses, report_methods, report_parameter
from benchmarks.data import NAMES, add_data_dir, available, load, part
from benchmarks.records import Records
from benchmarks.self_labelling import LOSSES, PROTOCOLS, WEIGHTLESS, train
from sklearn_cce.metrics import (
    clustering_accuracy,
    expected_calibration_error,
    match_clusters,
)

SCORES = ["accuracy", "nmi", "ari", "smallest_recall", "ece", "clusters"]
TIMES = ["seconds", "cpu_seconds"]
SIZES = ["n_samples", "n_features", "n_classes"]
LOSS_DATA = ["digits", "mnist_test", "stackoverflow", "cifar10"]
LOSS_WEIGHTS = [0.1, 1, 10, 100, 1000, 10_000]
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


def fit_here(args: argparse.Namespace) -> None:
    """Fit one method with every seed, in this process; print a line of JSON for each.

    Whatever the methods print themselves goes to the standard error.
    """
    name, method, params = args.one
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    X, y = load(name, args.data_dir)
    for seed in args.seeds:
        some, classes = part(X, y, seed)
        clusterer = METHODS[method](len(np.unique(y)), seed)
        clusterer.set_params(**json.loads(params))
        with contextlib.redirect_stdout(sys.stderr):
            row = fit_one(clusterer, some, classes, args.limit)
        print(json.dumps(row, default=float), flush=True)


def fit_one(
    clusterer: ClusterMixin, X: np.ndarray, y: np.ndarray, limit: float
) -> dict:
    """Return scores and times of one fit; SIGPROF ends the process at the limit."""
    signal.setitimer(signal.ITIMER_PROF, limit)
    labels, times = timed(lambda: clusterer.fit_predict(X))
    signal.setitimer(signal.ITIMER_PROF, 0)
    proba = getattr(clusterer, "predict_proba", None)
    row = scores(y, labels, proba(X) if proba is not None else None)
    return {**row, **times, "status": "ok"}


def command_for(
    args: argparse.Namespace, task: tuple[object, ...], seeds: list[int]
) -> list[str]:
    """Return the command that fits one method with these seeds."""
    options = {"--one": task, "--seeds": seeds}
    options |= {"--threads": [args.threads], "--limit": [args.limit]}
    if args.data_dir is not None:
        options["--data-dir"] = [args.data_dir]
    command = [sys.executable, "-m", "benchmarks.clustering"]
    for option, values in options.items():
        command += [option, *map(str, values)]
    return command


def fit_apart(
    args: argparse.Namespace, task: tuple[object, ...], seeds: list[int]
) -> Iterator[dict]:
    """Yield a row for each seed from a process of their own; the last says its end."""
    variables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command_for(args, task, seeds),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | dict.fromkeys(variables, str(args.threads)),
        ) as process,
    ):
        yield from map(json.loads, process.stdout)
        if process.wait() == -signal.SIGPROF:
            yield {"status": f"over {args.limit:g} s"}
        elif process.returncode != 0:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["no message"])[-1]
            yield {"status": f"failed: {last[:80]}"}


def sizes(name: str, folder: Path | None) -> dict:
    X, y = load(name, folder)
    return dict(zip(SIZES, [*X.shape, len(np.unique(y))], strict=True))


def shown(row: dict) -> str:
    """Return one line about a fit."""
    if row["status"] != "ok":
        return row["status"]
    figures = f"accuracy {row['accuracy']:.3f}, NMI {row['nmi']:.3f}"
    return f"{figures}, {row['cpu_seconds']:.1f} s of CPU time"


def measure_seeds(
    args: argparse.Namespace,
    records: Records,
    common: dict,
    measure: Callable[[list[int]], Iterator[dict]],
    seeds: list[int],
) -> None:
    """Add a row for every seed that is not there, unless an earlier one failed."""
    if not args.again:
        there = records.find(**common)
        if any(row["status"] != "ok" for row in there):
            return
        seeds = [s for s in seeds if str(s) not in {row["seed"] for row in there}]
    if not seeds:
        return
    facts = sizes(common["data"], args.data_dir)
    for seed, row in zip(seeds, measure(seeds), strict=False):
        records.add({**common, "seed": seed, **row, **facts})
        print(*common.values(), seed, shown(row), sep=", ", flush=True)


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
            common = {"data": name, "method": method}
            fit = partial(fit_apart, args, (name, method, "{}"))
            measure_seeds(args, records, common, fit, args.seeds)
    report_methods(records.path, args.methods)


def compare_losses(args: argparse.Namespace) -> None:
    """Train one network with every loss, weight, part and protocol."""
    key = ["data", "protocol", "loss", "fairness_weight", "seed"]
    columns = [*key, "status", *SIZES, *SCORES, *TIMES]
    records = Records(args.results / "clustering_losses.csv", columns, key)
    torch.set_num_threads(args.threads)
    there = [name for name in LOSS_DATA if name in available(args.data_dir)]
    for name in args.datasets or there:
        X, y = load(name, args.data_dir)
        for protocol in args.protocols or PROTOCOLS:
            for weight in args.fairness_weights or LOSS_WEIGHTS:
                for loss in args.methods or LOSSES:
                    value = "" if loss in WEIGHTLESS else f"{weight:g}"
                    values = (name, protocol, loss, value)
                    common = dict(zip(key, values, strict=False))
                    fit = partial(train_all, X, y, loss, protocol, weight)
                    measure_seeds(args, records, common, fit, args.seeds)
    report_losses(records.path)


def train_all(
    X: np.ndarray,
    y: np.ndarray,
    loss: str,
    protocol: str,
    weight: float,
    seeds: list[int],
) -> Iterator[dict]:
    """Yield a row about the training on each part."""
    for seed in seeds:
        some, classes = part(X, y, seed)
        run = partial(train, some, classes, loss, protocol, weight, seed)
        probabilities, times = timed(run)
        row = scores(classes, probabilities.argmax(1), probabilities)
        yield {**row, **times, "status": "ok"}


def compare_values(
    args: argparse.Namespace, part: str, parameter: str, values: Sequence
) -> None:
    """Fit ``CollisionClusterer`` with every value of a parameter."""
    key = ["data", "method", parameter, "seed"]
    columns = [*key, "status", *SIZES, *SCORES, *TIMES]
    records = Records(args.results / f"clustering_{part}.csv", columns, key)
    for name in args.datasets or available(args.data_dir):
        for value in values:
            text = value if isinstance(value, str) else f"{value:g}"
            common = dict(zip(key, (name, OURS, text), strict=False))
            task = (name, OURS, json.dumps({parameter: value}))
            fit = partial(fit_apart, args, task)
            measure_seeds(args, records, common, fit, args.seeds)
    report_parameter(records.path, "method", parameter)


def compare_weights(args: argparse.Namespace) -> None:
    """Fit ``CollisionClusterer`` with every fairness weight."""
    weights = args.fairness_weights or [0.1, 1, 10, 100, 1000]
    compare_values(args, "weights", "fairness_weight", weights)


def compare_networks(args: argparse.Namespace) -> None:
    """Fit ``CollisionClusterer`` with the networks for tables."""
    compare_values(args, "networks", "module", ["linear", "mlp"])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_dir(parser)
    add = parser.add_argument
    add("--losses", action="store_const", const="losses", dest="part")
    add("--weights", action="store_const", const="weights", dest="part")
    add("--networks", action="store_const", const="networks", dest="part")
    add("--quick", action="store_true", help="small data, few methods, two seeds")
    add("--seeds", nargs="*", type=int, help="without numbers: print the tables only")
    add("--datasets", nargs="+", choices=NAMES)
    add("--methods", nargs="+", choices=[*METHODS, *LOSSES], metavar="NAME")
    add("--protocols", nargs="+", choices=PROTOCOLS)
    add("--fairness-weights", nargs="+", type=float, metavar="WEIGHT")
    add("--threads", type=int, default=1)
    add("--limit", type=float, default=300, help="CPU seconds of a fit")
    add("--again", action="store_true", help="measure anew what is there")
    add("--results", type=Path, default=Path("benchmarks/results"))
    add("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    allowed = {None: METHODS, "losses": LOSSES}.get(args.part, [OURS])
    if unknown := set(args.methods or []) - set(allowed):
        parser.error(f"--methods takes {', '.join(allowed)} here; got {unknown}")
    if absent := set(args.datasets or []) - set(available(args.data_dir)):
        parser.error(f"--data-dir does not have what {absent} needs")
    if args.quick:
        args.datasets = args.datasets or (["digits"] if args.part else QUICK)
        if args.part is None:
            args.methods = args.methods or QUICK_METHODS
    if args.seeds is None:
        args.seeds = [0, 1] if args.quick else [0, 1, 2, 3, 4]
    return args


PARTS = {
    None: compare_methods,
    "losses": compare_losses,
    "weights": compare_weights,
    "networks": compare_networks,
}


def main() -> None:
    args = parse()
    if args.one is not None:
        return fit_here(args)
    PARTS[args.part](args)


if __name__ == "__main__":
    main()
