"""Learning from wrong, soft, missing and partial labels, loss by loss.

Run ``python -m benchmarks.label_noise --data-dir DIR``, or set ``SKLEARN_CCE_DATA`` to
DIR. Five parts, each over the same seeds:

corruption
    A share eta of the labels is replaced at random, and every label is mixed with the
    uniform distribution, ``(1 - eta) onehot + eta / K``, as in Figure 2 of the paper.
    Accuracy on clean test data against eta.
varying
    The same, but every sample has an eta of its own, known to the learner, drawn
    uniformly from the widest interval in [0, 1] around the level.
partial
    Every label is a list of candidates: the true class and others at random.
semi
    A few labels of each class, all other training samples without any.
hard
    True labels, beside scikit-learn's perceptron and logistic regression. Features are
    taken as they are; training samples are a half of each class, of MNIST the usual
    60,000 (``--data mnist``).

In the other parts the 100 leading principal components of the training samples take the
place of more features, and all features are divided by one scale, to mean variance 1.
In the parts semi and hard ``CollisionClassifier`` keeps its defaults. In the others the
networks are perceptrons with one hidden layer of 256 units, trained for 30 epochs with
decoupled weight decay, which acts on all losses alike. Rows are added to the CSV file
one by one, and what it has already is not run again.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from benchmarks.data import FILES, SHIPPED, add_data_dir, load
from benchmarks.records import Records
from sklearn_cce import CollisionClassifier
from sklearn_cce.modules import MLP

N_TRAIN, N_USED = {"digits": 1000}, 10_000
"""Training samples, half of all where not given, of so many that are used at most."""

N_COMPONENTS = 100
"""Features are reduced to so many principal components."""

LEVELS = [0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95]
MEAN_LEVELS = [0.4, 0.6, 0.8, 0.9]
CANDIDATES = [2, 4, 6, 8]
LABELS = [10, 40, 100, 1000]

LOSSES: dict[str, dict] = {
    "shannon": {"loss": "shannon"},
    "collision": {"loss": "collision"},
    "reverse": {"loss": "reverse"},
    "generalized": {"loss": "generalized"},
    "symmetric": {"loss": "symmetric"},
    "mae": {"loss": "mae"},
    "order 1.25": {"loss": 1.25},
    "order 1.5": {"loss": 1.5},
    "order 1.75": {"loss": 1.75},
    "order 3": {"loss": 3.0},
    "rising": {"loss": "rising"},
    "collision, smoothing 0.9": {"loss": "collision", "label_smoothing": 0.9},
}
COLUMNS = ["part", "data", "level", "method", "seed", "accuracy", "seconds"]

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@functools.cache
def split(name: str, folder: Path, seed: int, n_test: int | None = None) -> Split:
    """Return training and test samples, and their classes."""
    X, y = load(name, folder)
    order = np.random.default_rng(seed).permutation(len(X))[:N_USED]
    n = N_TRAIN.get(name, len(order) // 2) if n_test is None else len(order) - n_test
    X, y = X[order].astype(np.float32), y[order].astype(int)
    X, X_test = X[:n], X[n:]
    if X.shape[1] > N_COMPONENTS:
        pca = PCA(N_COMPONENTS, svd_solver="covariance_eigh").fit(X)
        X, X_test = pca.transform(X), pca.transform(X_test)
    scale = np.sqrt(X.var(0).mean())
    return X / scale, X_test / scale, y[:n], y[n:]


def corrupt(y: np.ndarray, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace labels at random, each with its probability, and mix in that doubt."""
    n_classes = y.max() + 1
    wrong = rng.random(len(y)) < eta
    given = np.where(wrong, rng.integers(n_classes, size=len(y)), y)
    onehot = np.eye(n_classes)[given]
    return (1 - eta)[:, None] * onehot + eta[:, None] / n_classes


def candidates(y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return equal probabilities for the true class and n - 1 others."""
    n_classes = y.max() + 1
    draws = rng.random((len(y), n_classes))
    draws[np.arange(len(y)), y] = -1
    chosen = np.argsort(draws, axis=1)[:, :n]
    soft = np.zeros((len(y), n_classes))
    np.put_along_axis(soft, chosen, 1 / n, axis=1)
    return soft


def uncertain(y: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Corrupt every label by the same level."""
    return corrupt(y, np.full(len(y), level), rng)


def varying(y: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Corrupt every label by a level of its own with this mean."""
    reach = min(level, 1 - level)
    return corrupt(y, rng.uniform(level - reach, level + reach, len(y)), rng)


SOFT: dict[str, tuple[Callable[..., np.ndarray], list]] = {
    "corruption": (uncertain, LEVELS),
    "varying": (varying, MEAN_LEVELS),
    "partial": (candidates, CANDIDATES),
}


def perceptron(seed: int, **params) -> CollisionClassifier:
    """Return the classifier of the parts with soft labels."""
    return CollisionClassifier(
        module=functools.partial(MLP, hidden=(256,)),
        max_epochs=30,
        tol=0.0,
        patience=30,
        optimizer="adamw",
        lr=3e-3,
        weight_decay=1e-4,
        random_state=seed,
        **params,
    )


def soft_tasks(part: str, name: str, folder: Path, seed: int) -> Iterator[tuple]:
    """Give every level and loss of a part with soft labels."""
    make, levels = SOFT[part]
    for level in levels:
        X, X_test, y, y_test = split(name, folder, seed)
        soft = make(y, level, np.random.default_rng(1000 + seed))
        for method, params in LOSSES.items():
            yield level, method, perceptron(seed, **params), X, soft, X_test, y_test


def few_labels(y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Hide all labels but about n, the same number of each class."""
    n_classes = y.max() + 1
    order = rng.permutation(len(y))
    each = max(1, n // n_classes)
    kept = [order[y[order] == k][:each] for k in range(n_classes)]
    hidden = np.full(len(y), -1)
    hidden[np.concatenate(kept)] = y[np.concatenate(kept)]
    return hidden


def logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=500)


SEMI: dict[str, tuple[bool, Callable[[int, int], ClassifierMixin]]] = {
    "collision": (True, lambda seed, d: CollisionClassifier(random_state=seed)),
    "collision, no views": (
        True,
        lambda seed, d: CollisionClassifier(views=None, random_state=seed),
    ),
    "collision, labels alone": (
        False,
        lambda seed, d: CollisionClassifier(random_state=seed),
    ),
    "logistic regression, labels alone": (False, lambda seed, d: logistic()),
    "SelfTrainingClassifier": (
        True,
        lambda seed, d: SelfTrainingClassifier(logistic()),
    ),
    "LabelSpreading": (True, lambda seed, d: LabelSpreading(gamma=20 / d)),
    "LabelSpreading, knn": (
        True,
        lambda seed, d: LabelSpreading(kernel="knn", alpha=0.9, max_iter=100),
    ),
}


def semi_tasks(part: str, name: str, folder: Path, seed: int) -> Iterator[tuple]:
    """Give every number of labels and method of semi-supervised learning."""
    n_test = 797 if name == "digits" else 2000
    for n in LABELS:
        X, X_test, y, y_test = split(name, folder, seed, n_test)
        hidden = few_labels(y, n, np.random.default_rng(1000 + seed))
        for method, (takes_all, make) in SEMI.items():
            used = slice(None) if takes_all else hidden >= 0
            model, known = make(seed, X.shape[1]), hidden[used]
            if isinstance(model, CollisionClassifier):
                known = np.where(known < 0, np.nan, known)
            yield n, method, model, X[used], known, X_test, y_test


HARD: dict[str, Callable[[int], ClassifierMixin]] = {
    "collision, mlp": lambda seed: CollisionClassifier(random_state=seed),
    "MLPClassifier(512)": lambda seed: MLPClassifier(512, random_state=seed),
    "collision, linear": lambda seed: CollisionClassifier(
        module="linear", random_state=seed
    ),
    "logistic regression": lambda seed: LogisticRegression(max_iter=1000),
    "StandardScaler, logistic regression": lambda seed: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000)
    ),
}


def hard_split(name: str, folder: Path, seed: int) -> Split:
    """Return the usual parts of MNIST, and else random halves; the features as is."""
    X, y = load(name, folder)
    if name == "mnist":
        return X[:60_000], X[60_000:], y[:60_000], y[60_000:]
    order = np.random.default_rng(seed).permutation(len(X))[:N_USED]
    return tuple(
        train_test_split(
            *(X[order], y[order]),
            test_size=0.5,
            stratify=y[order],
            random_state=seed,
        )
    )


def hard_tasks(part: str, name: str, folder: Path, seed: int) -> Iterator[tuple]:
    """Give every method for true labels."""
    X, X_test, y, y_test = hard_split(name, folder, seed)
    for method, make in HARD.items():
        yield 0, method, make(seed), X, y, X_test, y_test


PARTS: dict[str, Callable[..., Iterator[tuple]]] = {
    **dict.fromkeys(SOFT, soft_tasks),
    "semi": semi_tasks,
    "hard": hard_tasks,
}


def measure(model: ClassifierMixin, X, y, X_test, y_test) -> tuple[float, float]:
    """Return accuracy on the test samples, and seconds of the fit."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    seconds = time.perf_counter() - start
    return float(np.mean(model.predict(X_test) == y_test)), seconds


def run_all(args: argparse.Namespace, records: Records) -> None:
    """Run what is missing, and add it to the records."""
    done = {tuple(row[c] for c in COLUMNS[:5]) for row in records.rows()}
    for part, seed, name in itertools.product(args.parts, args.seeds, args.data):
        tasks = PARTS[part](part, name, args.data_dir, seed)
        for level, method, *task in tasks:
            key = (part, name, str(level), method, str(seed))
            wanted = level in (args.levels or [level])
            wanted &= method in (args.methods or [method])
            if key in done or not wanted:
                continue
            accuracy, seconds = measure(*task)
            figures = (f"{accuracy:.4f}", f"{seconds:.2f}")
            records.add(dict(zip(COLUMNS, [*key, *figures], strict=True)))


def report(records: Records) -> None:
    """Print mean and standard deviation over the seeds, a line for each level."""
    groups: dict[tuple, dict[str, list[float]]] = {}
    for row in records.rows():
        key = (row["part"], row["data"], float(row["level"]))
        methods = groups.setdefault(key, {})
        methods.setdefault(row["method"], []).append(float(row["accuracy"]))
    for (part, name, level), methods in sorted(groups.items()):
        figures = (
            f"{method} {np.mean(a):.3f} ± {np.std(a):.3f} ({len(a)})"
            for method, a in methods.items()
        )
        print(f"{part} {name} {level:g}: " + " | ".join(figures))


def plot(out: Path, picture: Path) -> None:
    """Draw the curves of the corruption, with bands of one standard deviation."""
    import matplotlib.pyplot as plt
    import pandas as pd

    table = pd.read_csv(out)
    table = table[table["part"] == "corruption"]
    names = list(table["data"].unique())
    fig, axes = plt.subplots(1, len(names), figsize=(5 * len(names), 4), squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        for method, rows in table[table["data"] == name].groupby("method", sort=False):
            by_level = rows.groupby("level")["accuracy"]
            mean, spread = by_level.mean(), by_level.std(ddof=0)
            ax.plot(mean.index, mean, label=method)
            ax.fill_between(mean.index, mean - spread, mean + spread, alpha=0.2)
        ax.set(title=name, xlabel="share of replaced labels", ylabel="test accuracy")
    axes[0, 0].legend(fontsize=8)
    fig.tight_layout()
    fig.savefig(picture, dpi=80)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_dir(parser)
    parser.add_argument("--data", nargs="+", choices=[*SHIPPED, *FILES])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--levels", nargs="+", type=float, help="only these")
    parser.add_argument("--methods", nargs="+", help="only these")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="digits, seeds 0 and 1")
    default = Path("benchmarks/results/label_noise.csv")
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--plot", type=Path, help="where to draw the curves")
    args = parser.parse_args()
    if args.quick:
        args.data, args.seeds = ["digits"], [0, 1]
    args.data = args.data or ["digits", "mnist_test", "stackoverflow"]
    if args.data_dir is None and not set(args.data) <= set(SHIPPED):
        parser.error("give --data-dir or set SKLEARN_CCE_DATA, or --data digits")
    return args


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    records = Records(args.out, COLUMNS, COLUMNS[:5])
    run_all(args, records)
    report(records)
    if args.plot:
        plot(args.out, args.plot)


if __name__ == "__main__":
    main()
