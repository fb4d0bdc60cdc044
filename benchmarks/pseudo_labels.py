"""Time of every pseudo-label solver to a given gap.

Run ``python -m benchmarks.pseudo_labels [--device cpu|cuda] [--quick]``.

Each method is run on the same predictions of a trained and of an untrained network.
EM and projected gradient are stopped at the first step whose objective is within the
gap of the certified optimum; evaluating that objective is not timed. The exact method
is timed as a user calls it, checks and certificate included. On one thread of a CPU the
seconds are those of the thread, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.paper_em import em_step
from sklearn_cce.pseudo_labels import solve_pseudo_labels
from sklearn_cce.pseudo_labels._em import em_steps, first_labels
from sklearn_cce.pseudo_labels._pgd import pgd_steps, project_rows
from sklearn_cce.pseudo_labels._problem import Problem, build_problem

GAPS = (1e-2, 1e-3, 1e-4, 1e-6)
FIELDS = (
    *("network", "n_samples", "n_classes", "fairness_weight", "method"),
    *("gap", "iterations", "seconds", "repeats"),
)


def network_rows(
    n_samples: int,
    n_classes: int,
    *,
    trained: bool,
    seed: int,
    device: str,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Softmax outputs of a 128-unit network on overlapping Gaussian clusters."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        centres = torch.randn(n_classes, 32) * 1.2
        classes = torch.randint(n_classes, (n_samples,))
        points = centres[classes] + torch.randn(n_samples, 32)
        network = torch.nn.Sequential(
            torch.nn.Linear(32, 128), torch.nn.ReLU(), torch.nn.Linear(128, n_classes)
        )
        if trained:
            train(network, points, classes)
    s = torch.empty(n_samples, n_classes, dtype=dtype)
    with torch.no_grad():
        for part, out in zip(points.split(10_000), s.split(10_000), strict=True):
            out.copy_(torch.softmax(network(part).double(), 1))
    return s.to(device)


def train(network: torch.nn.Module, points: Tensor, classes: Tensor) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(60):
        batch = torch.randint(len(points), (1000,))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(points[batch]), classes[batch])
        loss.backward()
        optimizer.step()


def plain_newton_rows(s: Tensor, a: Tensor) -> Tensor:
    """The paper's M-step: Newton on g(t) = 1 from the right, in t itself."""
    top, argmax = s.max(1, keepdim=True)
    mu = 1 + a.sum(1, keepdim=True)
    t = (mu - a.gather(1, argmax)) / top
    for _ in range(100):
        terms = a / (mu - s * t)
        excess = terms.sum(1, keepdim=True) - 1
        if float(excess.abs().max()) < 1e-10:
            break
        t = t - excess / (terms * s / (mu - s * t)).sum(1, keepdim=True)
    return terms / terms.sum(1, keepdim=True)


def paper_em(problem: Problem, labels: Tensor) -> Iterator[Tensor]:
    """EM as published, from the predictions."""
    labels.copy_(problem.probabilities)
    while True:
        prices = problem.prices(problem.mean_labels(labels))
        for rows in problem.chunks():
            pulls = labels[rows] * prices
            labels[rows] = plain_newton_rows(problem.probabilities[rows], pulls)
        yield labels


def distance_em(problem: Problem, labels: Tensor) -> Iterator[Tensor]:
    """EM with the root-finder in the distance to the pole, from the package's start."""
    while True:
        yield em_step(problem, labels, problem.mean_labels(labels))


def package_em(problem: Problem, labels: Tensor) -> Iterator[Tensor]:
    """What ``method="em"`` does."""
    return (state.labels for state in em_steps(problem, labels))


def package_pgd(problem: Problem, labels: Tensor) -> Iterator[Tensor]:
    """What ``method="pgd"`` does."""
    return (labels for _ in pgd_steps(problem, labels))


def fixed_pgd(size: float) -> Callable[[Problem, Tensor], Iterator[Tensor]]:
    """Projected gradient with a fixed step size, gradient scaled by n_samples."""

    def steps(problem: Problem, labels: Tensor) -> Iterator[Tensor]:
        while True:
            prices = problem.prices(problem.mean_labels(labels).clamp_min(1e-9))
            for rows in problem.chunks():
                s, y = problem.probabilities[rows], labels[rows]
                match = (s * y).sum(1, keepdim=True).clamp_min(1e-12)
                labels[rows] = project_rows(y + size * (s / match + prices))
            yield labels

    return steps


ITERATIVE = {
    "EM, plain Newton (paper)": paper_em,
    "EM, Newton on 1/g": distance_em,
    "EM, accelerated": package_em,
    "PGD, line search": package_pgd,
    "PGD, step 0.1": fixed_pgd(0.1),
    "PGD, step 0.01": fixed_pgd(0.01),
    "PGD, step 0.001": fixed_pgd(0.001),
}


def clock(device: str) -> float:
    """Seconds of this thread if it works alone, else of the clock on the wall."""
    if device == "cuda":
        torch.cuda.synchronize()
    alone = device == "cpu" and torch.get_num_threads() == 1
    return time.process_time() if alone else time.perf_counter()


def first_below(
    steps: Callable, problem: Problem, optimum: float, options: argparse.Namespace
) -> dict[float, tuple[int, float]]:
    """Iterations and seconds at which each gap is first met within the limit."""
    met, seconds, n_iter = {}, 0.0, 0
    iteration = steps(problem, first_labels(problem, None))
    while len(met) < len(options.gaps) and seconds < options.limit:
        start = clock(options.device)
        labels = next(iteration)
        seconds += clock(options.device) - start
        n_iter += 1
        gap = (problem.objective(labels) - optimum) / max(1.0, abs(optimum))
        for target in options.gaps:
            if gap <= target:
                met.setdefault(target, (n_iter, seconds))
    return met


def exact_times(
    s: Tensor, fairness_weight: float, options: argparse.Namespace
) -> dict[float, tuple[int, float]]:
    """Iterations and median seconds of the exact method to each certified gap."""
    met = {}
    for target in options.gaps:
        seconds = []
        for _ in range(options.repeats):
            start = clock(options.device)
            result = solve_pseudo_labels(s, fairness_weight=fairness_weight, tol=target)
            seconds.append(clock(options.device) - start)
        if result.converged:
            met[target] = result.n_iter, statistics.median(seconds)
    return met


def compare(
    network: str, s: Tensor, fairness_weight: float, options: argparse.Namespace
) -> Iterator[tuple]:
    """Rows of the table for one problem."""
    key = (network, *s.shape, fairness_weight)
    exact = exact_times(s, fairness_weight, options)
    for gap in options.gaps:
        yield (*key, "exact", gap, *exact.get(gap, ("", "not met")), options.repeats)
    if not options.methods:
        return
    best = solve_pseudo_labels(
        s, fairness_weight=fairness_weight, tol=options.reference
    )
    optimum = (best.objective + best.lower_bound) / 2
    problem = build_problem(s, fairness_weight, None, None)
    for name in options.methods:
        for row in iterative_rows(ITERATIVE[name], problem, optimum, options):
            yield (*key, name, *row)


def iterative_rows(
    steps: Callable, problem: Problem, optimum: float, options: argparse.Namespace
) -> Iterator[tuple]:
    """Gap, iterations, median seconds and runs of one method."""
    runs = [first_below(steps, problem, optimum, options)]
    if len(runs[0]) == len(options.gaps):
        for _ in range(options.repeats - 1):
            runs.append(first_below(steps, problem, optimum, options))
    for gap in options.gaps:
        seconds = [run[gap][1] for run in runs if gap in run]
        if seconds:
            yield gap, runs[0][gap][0], statistics.median(seconds), len(seconds)
        else:
            yield gap, "", f">{options.limit:g}", len(runs)


def show(rows: list[tuple]) -> None:
    """One line a method: iterations and seconds to every gap."""
    gaps = list(dict.fromkeys(row[5] for row in rows))
    by_method = itertools.groupby(rows, key=lambda row: row[4])
    print("\n{} network, N={}, K={}, fairness weight {:g}".format(*rows[0][:4]))
    print(f"{'':26}" + "".join(f"{gap:>18.0e}" for gap in gaps))
    for method, lines in by_method:
        cells = {row[5]: (row[6], row[7]) for row in lines}
        text = ""
        for gap in gaps:
            steps, seconds = cells.get(gap, ("", "not met"))
            seconds = seconds if isinstance(seconds, str) else f"{seconds:.3g} s"
            text += f"{steps!s:>7}{seconds:>11}"
        print(f"{method:26}{text}", flush=True)


def plot(rows: list[tuple], path: Path) -> None:
    """Seconds to a gap of 1e-4 over the number of classes, a panel a problem."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = sorted({(row[0], row[3], row[1]) for row in rows})
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(4 * columns, 3 * lines), squeeze=False, sharey=True
    )
    for axis, panel in zip(axes.flat, panels, strict=False):
        for index, method in enumerate(dict.fromkeys(row[4] for row in rows)):
            points = [
                (row[2], row[7])
                for row in rows
                if (row[0], row[3], row[1]) == panel
                and row[4] == method
                and row[5] == 1e-4
                and not isinstance(row[7], str)
            ]
            x, y = zip(*points, strict=True) if points else ((), ())
            axis.plot(x, y, "o-", label=method, color=f"C{index}")
        axis.set(xscale="log", yscale="log", xlabel="classes", ylabel="seconds to 1e-4")
        axis.set_title("{}, weight {:g}, N={}".format(*panel), fontsize=9)
    axes.flat[0].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def earlier_rows(path: Path) -> list[tuple]:
    """The rows of a file that is there, numbers as numbers."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        lines = list(csv.reader(file))[1:]
    kinds = (str, int, int, float, str, float, str, _number, int)
    return [
        tuple(kind(cell) for kind, cell in zip(kinds, line, strict=True))
        for line in lines
    ]


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def together(earlier: list[tuple], rows: list[tuple]) -> list[tuple]:
    """Earlier rows, but for those whose problem, method and gap the new ones have."""
    new = {row[:6] for row in rows}
    both = [row for row in earlier if row[:6] not in new] + rows
    return sorted(both, key=_place)


def _place(row: tuple) -> tuple:
    """Order of the rows: by problem, then method, then from the widest gap."""
    methods = ["exact", *ITERATIVE]
    return row[1], row[2], row[0], row[3], methods.index(row[4]), -row[5]


def write(rows: list[tuple], folder: Path, name: str) -> None:
    """The table as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.csv", "w", newline="") as file:
        csv.writer(file).writerows([FIELDS, *rows])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="under two minutes")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--classes", type=int, nargs="+")
    parser.add_argument("--samples", type=int, nargs="+")
    parser.add_argument("--weights", type=float, nargs="+", default=[1.0, 10.0, 100.0])
    parser.add_argument("--networks", nargs="+", default=["untrained", "trained"])
    parser.add_argument("--methods", nargs="*", default=list(ITERATIVE))
    parser.add_argument("--gaps", type=float, nargs="+", default=list(GAPS))
    parser.add_argument("--limit", type=float, help="seconds a method may take")
    parser.add_argument(
        "--reference", type=float, default=2e-7, help="gap of the certified optimum"
    )
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="pseudo_labels")
    parser.add_argument(
        "--append", action="store_true", help="keep what else is in the file"
    )
    options = parser.parse_args()
    quick = options.quick
    options.classes = options.classes or ([2, 20, 200] if quick else [2, 20, 200, 1000])
    options.samples = options.samples or ([500] if quick else [5_000, 100_000])
    options.limit = options.limit or (0.25 if quick else 300.0)
    options.repeats = options.repeats or (1 if quick else 3)
    return options


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    solve_pseudo_labels(torch.full((10, 2), 0.5).to(options.device))  # warm up
    path = options.output / f"{options.name}.csv"
    earlier = earlier_rows(path) if options.append else []
    rows: list[tuple] = []
    for n_samples, n_classes in itertools.product(options.samples, options.classes):
        for network in options.networks:
            s = network_rows(
                n_samples,
                n_classes,
                trained=network == "trained",
                seed=0,
                device=options.device,
            )
            for weight in options.weights:
                some = list(compare(network, s, weight, options))
                show(some)
                rows += some
                write(together(earlier, rows), options.output, options.name)
    plot(together(earlier, rows), path.with_suffix(".png"))


if __name__ == "__main__":
    main()
