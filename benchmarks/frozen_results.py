"""Frozen results: six fits and twenty solves, and what differs from the stored ones.

Run ``python -m benchmarks.frozen_results [--write] [--file FILE] [--only NAME ...]``
before and after a change that must not change results; it takes under a minute on one
core. Fits are compared by hashes of their labels and probabilities, solves by
objective, bound and number of iterations, all to the bit. Every line says what differs
and, so that one can judge the size of it, how accuracy, adjusted Rand index and
confidence have changed. The exit status is 1 if something differs.

Bits depend on versions and on the processor too. The file notes both, and where they
are others now, the last lines say so. Then run this on the commit before the change,
with ``--write`` and a file elsewhere, and compare with that one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from sklearn_cce import CollisionClassifier, CollisionClusterer
from sklearn_cce.metrics import clustering_accuracy
from sklearn_cce.pseudo_labels import solve_pseudo_labels
from sklearn_cce.views import RandomAffine

FILE = Path(__file__).parent / "results" / "frozen.json"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "skorch")
Record = dict[str, Any]


class Outcome(NamedTuple):
    """What a fit has found, and what it should have."""

    labels: np.ndarray
    probabilities: np.ndarray
    truth: np.ndarray


# --- the fits -------------------------------------------------------------------------


def fit_digits() -> Outcome:
    """Default parameters, all digits."""
    X, y = load_digits(return_X_y=True)
    clusterer = CollisionClusterer(10, random_state=0).fit(X)
    return Outcome(clusterer.labels_, clusterer.predict_proba(X), y)


def fit_weighted_blobs() -> Outcome:
    """Sample weights, a prior and another loss."""
    X, y = make_blobs([300, 200, 100, 50], 6, cluster_std=2.0, random_state=0)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    clusterer = CollisionClusterer(
        4, loss="shannon", cluster_prior=[0.4, 0.3, 0.2, 0.1], random_state=0
    ).fit(X, sample_weight=weight)
    return Outcome(clusterer.labels_, clusterer.predict_proba(X), y)


def fit_images() -> Outcome:
    """A convolutional network with augmented images beside neighbours."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:400].reshape(-1, 1, 8, 8).astype(np.float32), y[:400]
    clusterer = CollisionClusterer(
        10,
        module="vgg4",
        views=["neighbors", RandomAffine(10)],
        n_init=4,
        max_epochs=4,
        batch_size=100,
        random_state=0,
    ).fit(X)
    return Outcome(clusterer.labels_, clusterer.predict_proba(X), y)


def fit_semi_supervised() -> Outcome:
    """A classifier with NaN in place of nineteen labels of twenty."""
    X, y = load_digits(return_X_y=True)
    known = np.where(np.arange(len(y)) % 20 == 0, y, np.nan)
    classifier = CollisionClassifier(max_epochs=10, random_state=0).fit(X, known)
    return Outcome(classifier.predict(X), classifier.predict_proba(X), y)


def fit_random_start() -> Outcome:
    """No start: two networks from random weights, the better one kept."""
    X, y = load_digits(return_X_y=True)
    clusterer = CollisionClusterer(
        10, init="random", n_init=2, fairness_weight=10.0, max_epochs=15, random_state=0
    ).fit(X[:1000])
    return Outcome(clusterer.labels_, clusterer.predict_proba(X), y)


def fit_stream() -> Outcome:
    """The digits in ten pieces, three times."""
    X, y = load_digits(return_X_y=True)
    clusterer = CollisionClusterer(10, fairness_weight=10.0, random_state=0)
    for _ in range(3):
        for piece in np.array_split(X, 10):
            clusterer.partial_fit(piece)
    return Outcome(clusterer.predict(X), clusterer.predict_proba(X), y)


FITS: dict[str, Callable[[], Outcome]] = {
    "digits": fit_digits,
    "weighted blobs": fit_weighted_blobs,
    "images": fit_images,
    "semi-supervised": fit_semi_supervised,
    "random start": fit_random_start,
    "stream": fit_stream,
}


# --- the solves -----------------------------------------------------------------------


def predictions(n: int, k: int, *, sharpness: float = 3.0) -> np.ndarray:
    """Rows of a softmax with classes of unequal size; the sharper, the more one-hot."""
    rng = np.random.default_rng(k)
    logits = sharpness * (rng.normal(size=(n, k)) + np.linspace(0, 1, k))
    exp = np.exp(logits - logits.max(1, keepdims=True))
    return exp / exp.sum(1, keepdims=True)


def solve(
    n: int,
    k: int,
    *,
    prior: bool = False,
    weights: bool = False,
    sharpness: float = 3.0,
    dtype: str = "float64",
    **options: Any,
) -> Any:
    """Solve one problem, with a prior and sample weights if these are asked for."""
    if prior:
        options["prior"] = np.arange(1, k + 1) / np.arange(1, k + 1).sum()
    if weights:
        options["sample_weight"] = np.random.default_rng(1).uniform(0.5, 2.0, n)
    rows = predictions(n, k, sharpness=sharpness).astype(dtype)
    return solve_pseudo_labels(rows, **{"fairness_weight": 10.0} | options)


METHODS = {"exact": {}, "em": {"max_iter": 50}, "pgd": {"max_iter": 50}}
SHAPES: dict[str, dict[str, Any]] = {
    "K=2": {"n": 500, "k": 2},
    "K=5 prior": {"n": 500, "k": 5, "prior": True},
    "K=20 weights": {"n": 500, "k": 20, "weights": True},
    "K=50 float32": {"n": 500, "k": 50, "dtype": "float32"},
    "K=200 prior weights": {"n": 500, "k": 200, "prior": True, "weights": True},
}
FURTHER: dict[str, dict[str, Any]] = {
    "exact K=20 many rows": {"n": 25_000, "k": 20, "tol": 1e-6},
    "exact K=20 one-hot": {"n": 2_000, "k": 20, "sharpness": 30.0},
    "exact K=100 one-hot": {"n": 1_500, "k": 100, "sharpness": 20.0, "tol": 1e-6},
    "exact K=40 loose": {"n": 1_000, "k": 40, "fairness_weight": 0.1, "tol": 1e-8},
    "exact K=10 tight": {"n": 1_000, "k": 10, "fairness_weight": 1e4, "tol": 1e-8},
}
SOLVES: dict[str, Callable[[], Any]] = {
    f"{method} {name}": partial(solve, method=method, **shape, **options)
    for name, shape in SHAPES.items()
    for method, options in METHODS.items()
} | {name: partial(solve, **case) for name, case in FURTHER.items()}


# --- what is kept of them -------------------------------------------------------------


def digest(values: Any) -> str:
    """Hash the bits of an array, its type and shape included."""
    values = np.ascontiguousarray(values)
    head = f"{values.dtype.str}{values.shape}".encode()
    return hashlib.sha256(head + values.tobytes()).hexdigest()[:16]


def fit_record(outcome: Outcome) -> Record:
    """Hashes of a fit, and three figures that say how good it is."""
    labels, probabilities, truth = outcome
    truth_of_labels = truth[: len(labels)]
    return {
        "labels": digest(np.asarray(labels, dtype=np.int64)),
        "probabilities": digest(probabilities),
        "accuracy": clustering_accuracy(truth_of_labels, labels),
        "ARI": float(adjusted_rand_score(truth_of_labels, labels)),
        "confidence": float(probabilities.max(1).mean()),
    }


def solve_record(result: Any) -> Record:
    """The figures of a solve."""
    return {
        "objective": result.objective,
        "lower bound": result.lower_bound,
        "iterations": result.n_iter,
    }


CASES: dict[str, Callable[[], Record]] = {
    **{f"fit {name}": lambda fit=fit: fit_record(fit()) for name, fit in FITS.items()},
    **{
        f"solve {name}": lambda run=run: solve_record(run())
        for name, run in SOLVES.items()
    },
}


def environment() -> Record:
    """Versions and platform, on which the bits depend."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "machine": platform.machine(),
        "system": platform.system(),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
    }


def compute(names: Iterable[str]) -> Iterator[tuple[str, Record]]:
    """Run the named cases on one thread, one after the other."""
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name in names:
            yield name, CASES[name]()


# --- what differs ---------------------------------------------------------------------


def change(key: str, before: Any, after: Any) -> str:
    """Say in a few words how one entry changed."""
    if isinstance(before, int | float) and isinstance(after, int | float):
        return f"{key} {before:.10g} -> {after:.10g} ({after - before:+.2g})"
    return f"{key} differ"


def difference(before: Record, after: Record) -> str:
    """Say how two records of a case differ; empty if they do not."""
    entries = [(key, before.get(key), after.get(key)) for key in before | after]
    return ", ".join(change(key, old, new) for key, old, new in entries if old != new)


def differences(before: dict[str, Record], after: dict[str, Record]) -> list[str]:
    """Return one line for every case that differs or is in one of the two only."""
    lines = {name: "only in the file" for name in before.keys() - after.keys()}
    lines |= {name: "not in the file" for name in after.keys() - before.keys()}
    for name in before.keys() & after.keys():
        lines[name] = difference(before[name], after[name])
    return [f"{name}: {text}" for name, text in sorted(lines.items()) if text]


def hints(before: Record, after: Record) -> list[str]:
    """Say in what the environment is another than that of the stored results."""
    keys = sorted(before.keys() | after.keys())
    return [
        f"hint: {key} was {before.get(key)} and is {after.get(key)}"
        for key in keys
        if before.get(key) != after.get(key)
    ]


def report(stored: Record, found: Record) -> list[str]:
    """Return the lines to print; none if all is equal."""
    lines = differences(stored["results"], found["results"])
    return lines and lines + hints(stored["environment"], found["environment"])


# --- the command ----------------------------------------------------------------------


def write(file: Path, content: Record) -> None:
    """Store results, readable and with small diffs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read(file: Path, names: Iterable[str]) -> Record:
    """Load the stored results, those of other cases than the named ones left out."""
    content = json.loads(file.read_text(encoding="utf-8"))
    others = CASES.keys() - set(names)
    results = content["results"]
    return content | {"results": {k: results[k] for k in results.keys() - others}}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="store instead of compare")
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="NAME")
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("--write stores all cases; leave out --only.")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Compute, and store or compare; return the exit status."""
    options = parse(arguments)
    names = options.only or list(CASES)
    found = {"environment": environment(), "results": dict(compute(names))}
    if options.write:
        write(options.file, found)
        return 0
    lines = report(read(options.file, names), found)
    print("\n".join(lines) or f"{len(names)} results are equal to the bit.")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
