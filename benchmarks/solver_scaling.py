"""Seconds and memory of the exact method as the problem grows, on one CPU thread.

Run ``python -m benchmarks.solver_scaling [--networks trained untrained]``. Every size
is solved in a process of its own, float32, to a certified relative gap of 1e-4, with
sparse labels. Seconds are those of the thread. Memory is the peak of the process beyond
what it held when the solver was called, which includes the predictions; the peak of
making them is left out. A size that is in the file already is replaced. Needs Linux.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import warnings
from pathlib import Path

import psutil
import torch

from benchmarks.pseudo_labels import network_rows
from benchmarks.records import Records
from sklearn_cce.pseudo_labels import solve_pseudo_labels

SHAPES = (
    *((5_000, 20), (50_000, 20), (500_000, 20), (5_000_000, 20)),
    *((1_000, 100), (10_000, 100), (100_000, 100), (1_000_000, 100)),
    (10_000_000, 100),
    *((1_000, 1_000), (10_000, 1_000), (100_000, 1_000), (1_000_000, 1_000)),
)
KEY = ("network", "n_samples", "n_classes", "fairness_weight")
FIGURES = (
    *("iterations", "converged", "seconds", "ns_per_entry"),
    *("input_mib", "extra_mib"),
)


def measure(network: str, n_samples: int, n_classes: int, weight: float) -> tuple:
    """One line of the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    s = network_rows(
        n_samples,
        n_classes,
        trained=network == "trained",
        seed=0,
        device="cpu",
        dtype=torch.float32,
    )
    solve_pseudo_labels(s[:500], fairness_weight=weight)
    held = psutil.Process().memory_info().rss
    forget_peak()
    start = time.process_time()
    result = solve_pseudo_labels(s, fairness_weight=weight, sparse_output=True)
    seconds = time.process_time() - start
    peak = peak_memory()
    return (
        *(network, n_samples, n_classes, weight, result.n_iter, result.converged),
        *(f"{seconds:.4g}", f"{1e9 * seconds / s.numel():.0f}"),
        *(s.numel() * 4 >> 20, max(0, peak - held) >> 20),
    )


def forget_peak() -> None:
    """Let the peak of the resident memory start anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Bytes of resident memory at the peak (Linux)."""
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM"))
    return 1024 * int(peak.split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["trained", "untrained"])
    parser.add_argument("--classes", type=int, nargs="+", default=[20, 100, 1000])
    parser.add_argument("--largest", type=float, default=1e8, help="entries")
    parser.add_argument("--weight", type=float, default=10.0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--name", default="solver_scaling")
    options = parser.parse_args()
    records = Records(options.output / f"{options.name}.csv", KEY + FIGURES, KEY)
    spawn = multiprocessing.get_context("spawn")
    for network in options.networks:
        for shape in SHAPES:
            if shape[1] not in options.classes or shape[0] * shape[1] > options.largest:
                continue
            with spawn.Pool(1) as pool:
                row = pool.apply(measure, (network, *shape, options.weight))
            print(*row, flush=True)
            records.add(dict(zip(records.columns, row, strict=True)))


if __name__ == "__main__":
    main()
