"""What parts of the exact solver gain: the same problems with a part and without.

Run ``python -m benchmarks.exact_parts [--samples N ...] [--classes K ...]``. It prints,
for random softmax rows with classes of unequal size and for the rows of an untrained
and of a trained network, the seconds of one thread and the iterations

- of short lists of classes and of all classes, whatever the number of classes, from
  which follows how many classes make lists pay;
- of two classes, by the search over one number and by the ways for more classes.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from unittest import mock

import torch
from torch import Tensor

from benchmarks.frozen_results import predictions
from benchmarks.pseudo_labels import network_rows
from sklearn_cce.pseudo_labels import solve_pseudo_labels
from sklearn_cce.pseudo_labels._exact import _solver

WEIGHTS = (1.0, 10.0, 100.0)
NEVER = 1 << 30


def problems(n_samples: int, n_classes: int) -> Iterator[tuple[str, Tensor]]:
    """Name and predictions."""
    yield "skewed", torch.tensor(predictions(n_samples, n_classes))
    for trained in (False, True):
        rows = network_rows(n_samples, n_classes, trained=trained, seed=0, device="cpu")
        yield "trained" if trained else "untrained", rows


def measure(s: Tensor, fairness_weight: float, tol: float, repeats: int) -> str:
    """The least of some times, and the iterations."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = solve_pseudo_labels(
            s, fairness_weight=fairness_weight, tol=tol, sparse_output=True
        )
        seconds.append(time.process_time() - start)
    return f"{min(seconds):8.4f} s ({result.n_iter:3})"


def compare_lists(n_samples: int, n_classes: int, options: argparse.Namespace) -> None:
    for name, s in problems(n_samples, n_classes):
        for weight in WEIGHTS:
            with mock.patch.object(_solver, "_NARROW", 0):
                lists = measure(s, weight, options.tol, options.repeats)
            with mock.patch.object(_solver, "_NARROW", NEVER):
                whole = measure(s, weight, options.tol, options.repeats)
            head = f"{n_samples:7} {n_classes:5} {name:10} {weight:5g}"
            print(f"{head}  lists {lists}  all classes {whole}", flush=True)


def compare_search(n_samples: int, options: argparse.Namespace) -> None:
    for name, s in problems(n_samples, 2):
        for weight in WEIGHTS:
            search = measure(s, weight, options.tol, options.repeats)
            with mock.patch.object(_solver.Attempts, "search", lambda self: None):
                without = measure(s, weight, options.tol, options.repeats)
            head = f"{n_samples:7}     2 {name:10} {weight:5g}"
            print(f"{head}  search {search}  without {without}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[3000])
    parser.add_argument("--classes", type=int, nargs="*", default=[40, 50, 64, 80, 100])
    parser.add_argument("--tol", type=float, default=1e-4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for n_samples in options.samples:
        compare_search(n_samples, options)
        for n_classes in options.classes:
            compare_lists(n_samples, n_classes, options)


if __name__ == "__main__":
    main()
