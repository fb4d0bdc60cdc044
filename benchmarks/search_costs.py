"""What a search over λ and K costs, with a ``memory`` for graphs and without.

Run ``python -m benchmarks.search_costs WHAT [--data NAME] [--rows N]``. ``search``:
both searches try the same 16 candidates on the same split, one after the other on one
thread; their scores are equal to the last bit, which is checked. ``fits``: the first
one with a new memory, one with another λ, and the same one again. CPU seconds and
those of the clock are printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from benchmarks import data
from sklearn_cce import CollisionClusterer

WEIGHTS = (0.1, 0.5, 1.0, 10.0)
"""λ of the candidates."""

OTHER = 0.1
"""λ of the second fit."""

CLUSTERS = (0.5, 0.75, 1.0, 1.25)
"""K of the candidates, by the number of classes."""


def timed(name: str, call: Callable[[], object]) -> tuple[object, float]:
    """Call something, print the seconds, and return those of the CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = call()
    cpu = time.process_time() - cpu
    print(f"{name:16}{cpu:9.1f}{time.perf_counter() - clock:9.1f}", flush=True)
    return result, cpu


def search(X: np.ndarray, n_classes: int, memory: str | None) -> np.ndarray:
    """Return the scores of all candidates."""
    grid = {
        "n_clusters": [round(n_classes * share) for share in CLUSTERS],
        "fairness_weight": list(WEIGHTS),
    }
    model = CollisionClusterer(random_state=0, memory=memory)
    split = ShuffleSplit(1, test_size=0.2, random_state=0)
    found = GridSearchCV(model, grid, cv=split, refit=False).fit(X)
    return found.cv_results_["mean_test_score"]


def compare_searches(X: np.ndarray, n_classes: int) -> None:
    """Search with a memory and without."""
    with tempfile.TemporaryDirectory() as folder:
        kept, seconds = timed("with memory", lambda: search(X, n_classes, folder))
    plain, without = timed("without", lambda: search(X, n_classes, None))
    assert np.array_equal(kept, plain)
    print(f"{seconds / without:.0%}")


def compare_fits(X: np.ndarray, n_classes: int) -> None:
    """Fit three times with a memory."""
    with tempfile.TemporaryDirectory() as folder:
        model = CollisionClusterer(n_classes, random_state=0, memory=folder)
        _, first = timed("first fit", lambda: model.fit(X))
        model.set_params(fairness_weight=OTHER)
        _, later = timed("another λ", lambda: model.fit(X))
        _, again = timed("the same again", lambda: model.fit(X))
    print(f"{later / first:.0%}, {again / first:.0%}")


PARTS = {"search": compare_searches, "fits": compare_fits}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=PARTS)
    parser.add_argument("--data", default="stackoverflow")
    parser.add_argument("--rows", type=int, default=20_000)
    data.add_data_dir(parser)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    X, y = data.load(args.data, args.data_dir)
    rows = np.random.default_rng(0).permutation(len(X))[: args.rows]
    X, n_classes = X[rows], len(np.unique(y))
    CollisionClusterer(2, random_state=0).fit(X[:500])  # what is done once
    print(f"{'':16}{'CPU s':>9}{'clock s':>9}")
    PARTS[args.what](X, n_classes)


if __name__ == "__main__":
    main()
