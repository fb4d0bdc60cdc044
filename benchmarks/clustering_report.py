"""Tables and pictures of what `benchmarks.clustering` measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.clustering_methods import METHODS, REFERENCE
from benchmarks.data import NAMES

LARGE = 10_000
MEASURES = {
    "accuracy": "accuracy",
    "nmi": "NMI",
    "ari": "ARI",
    "smallest_recall": "recall of the smallest class",
    "ece": "expected calibration error",
    "cpu_seconds": "CPU seconds",
}


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Put data sets, and methods if they are the columns, in their usual order."""
    table = table.reindex([name for name in NAMES if name in table.index])
    columns = [name for name in METHODS if name in table.columns]
    return table[columns] if columns else table


def means(rows: pd.DataFrame, column: str, by: str) -> pd.DataFrame:
    """Mean over the seeds: data sets down, methods across."""
    return ordered(rows.pivot_table(column, "data", by, "mean", dropna=False))


def spreads(rows: pd.DataFrame, column: str, by: list[str]) -> pd.Series:
    """Return ``mean ± standard deviation (number of seeds)`` as text."""

    def spread(part: pd.DataFrame) -> str:
        if (part["status"] != "ok").any():
            return part["status"][part["status"] != "ok"].iloc[0].split(":")[0]
        values = part[column]
        if values.isna().all():
            return "-"
        digits = 1 if column == "cpu_seconds" else 3
        mean, std = values.mean(), values.std(ddof=0)
        return f"{mean:.{digits}f} ± {std:.{digits}f} ({len(values)})"

    return rows.groupby(by).apply(spread, include_groups=False)


def shared_parts(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the parts that every method was tried on, so that like meets like.

    A method that failed on a part is not tried on further ones: it counts as tried.
    """
    status = rows.pivot(index=["data", "seed"], columns="method", values="status")
    failed = (status.notna() & (status != "ok")).groupby("data").transform("any")
    tried = (status.notna() | failed).all(axis=1)
    parts = pd.MultiIndex.from_frame(rows[["data", "seed"]])
    return rows[parts.isin(tried.index[tried])]


def mean_ranks(rows: pd.DataFrame, column: str) -> pd.Series:
    """Rank of a method by its mean, averaged over data sets; no result is last."""
    table = means(rows, column, "method").fillna(-np.inf)
    return table.rank(axis=1, ascending=False).mean()


def against_reference(rows: pd.DataFrame) -> pd.DataFrame:
    """Means and ranks of the methods, and how they stand to the reference method.

    The rows are those of `shared_parts`.
    """
    tables = {name: means(rows, name, "method") for name in ("accuracy", "nmi", "ari")}
    accuracy, seconds = tables["accuracy"], means(rows, "cpu_seconds", "method")
    points = 100 * accuracy.sub(accuracy[REFERENCE], axis=0)
    times = seconds.div(seconds[REFERENCE], axis=0)
    n_samples = rows.groupby("data")["n_samples"].first()
    large = times[n_samples.reindex(times.index) >= LARGE]
    kept = [name for name in points if points[name].notna().any()]
    summary = pd.DataFrame(
        {
            **{MEASURES[name]: table.mean().round(3) for name, table in tables.items()},
            **{f"rank of {MEASURES[n]}": mean_ranks(rows, n).round(2) for n in tables},
            "data sets": accuracy.notna().sum(),
            "worst difference in points": points.min().round(1),
            "on": points[kept].idxmin(),
            "median time": times.median().round(1),
            f"most, n >= {LARGE:,}": large.max().round(1),
        }
    )
    return summary.sort_values("rank of accuracy")


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Draw the accuracies, one line of points for each data set."""
    from matplotlib.figure import Figure

    table = means(rows, "accuracy", "method")
    std = rows.pivot_table("accuracy", "data", "method", "std").reindex_like(table)
    figure = Figure(figsize=(8, 1.5 + 0.5 * len(table)), layout="constrained")
    axes = figure.subplots()
    heights = np.arange(len(table))[::-1]
    for number, method in enumerate(table):
        shift = 0.3 - 0.6 * number / max(1, table.shape[1] - 1)
        axes.errorbar(
            table[method],
            heights + shift,
            xerr=std[method].fillna(0),
            fmt="s" if number == 0 else "o",
            markersize=7 if number == 0 else 4,
            color=f"C{number % 10}",
            label=method,
        )
    axes.set_yticks(heights, table.index)
    axes.set_xlabel("clustering accuracy, mean and standard deviation over seeds")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=120)


def show(title: str, table: pd.DataFrame | pd.Series) -> None:
    print(f"\n{title}\n{table.to_string(na_rep='-')}")


def report_methods(path: Path, methods: Sequence[str] | None = None) -> None:
    """Print the tables of the comparison of methods, and draw its picture.

    The methods named, or else all, are set against the reference on the parts that they
    share, as some have fewer than others.
    """
    rows = pd.read_csv(path)
    for column, title in MEASURES.items():
        table = ordered(spreads(rows, column, ["data", "method"]).unstack("method"))
        show(f"{title}, mean ± std (number of seeds)", table.T)
    chosen = [REFERENCE, *(methods or rows["method"].unique())]
    shared = shared_parts(rows[rows["method"].isin(chosen)])
    if REFERENCE in set(shared["method"]):
        show(f"On shared parts, against {REFERENCE}", against_reference(shared))
        balanced = shared[~shared["data"].str.contains("_lt")]
        show("Without the long-tailed ones", against_reference(balanced))
    draw(rows, path.with_suffix(".png"))
    print(f"\n{path} holds every fit, {path.with_suffix('.png')} is the picture")


def report_losses(path: Path) -> None:
    """Print and draw the accuracy over the fairness weight, a curve for each loss."""
    from matplotlib.figure import Figure

    rows = pd.read_csv(path)
    keys, no_weight = ["protocol", "data", "loss"], rows["fairness_weight"].isna()
    table = rows[~no_weight].pivot_table("accuracy", keys, "fairness_weight")
    fixed = rows[no_weight].groupby(keys)["accuracy"].mean()
    show("accuracy over the fairness weight, mean over parts", table.round(3))
    show("losses without one", fixed.round(3))
    protocols, names = (table.index.unique(level) for level in ("protocol", "data"))
    names = [name for name in NAMES if name in names]
    figure = Figure(
        figsize=(3.2 * len(names), 3 * len(protocols)), layout="constrained"
    )
    grid = figure.subplots(len(protocols), len(names), squeeze=False, sharex=True)
    losses = list(table.index.unique("loss"))
    for i, protocol in enumerate(protocols):
        for axes, name in zip(grid[i], names, strict=True):
            measured = table.query("protocol == @protocol and data == @name")
            for loss, curve in measured.droplevel(["protocol", "data"]).iterrows():
                color = f"C{losses.index(loss)}"
                axes.semilogx(curve.index, curve, "o-", ms=3, color=color, label=loss)
            for loss, value in fixed.get((protocol, name), pd.Series()).items():
                axes.axhline(value, ls=":", color="0.4", label=loss)
            axes.set(title=f"{name}, {protocol}", ylim=(0, 1))
    for axes in grid[-1]:
        axes.set_xlabel("fairness weight")
    grid[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path.with_suffix(".png"), dpi=120)
    print(f"\n{path} holds every fit, {path.with_suffix('.png')} is the picture")


def report_parameter(path: Path, by: str, parameter: str) -> None:
    """Print accuracy and NMI over a parameter, for each of the methods."""
    rows = pd.read_csv(path)
    rows[parameter] = rows[parameter].fillna("none")
    keys = [by, parameter] + (["n_steps"] if "n_steps" in rows else [])
    for column in ("accuracy", "nmi"):
        table = spreads(rows, column, ["data", *keys]).unstack("data")
        names = [name for name in NAMES if name in table.columns]
        show(f"{MEASURES[column]}, mean ± std (number of seeds)", table[names])
    print(f"\n{path} holds every fit")
