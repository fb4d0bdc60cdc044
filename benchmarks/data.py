"""The data sets of the benchmarks, by name.

Those of scikit-learn are always there. The others are read from a folder that the user
names by ``--data-dir`` or ``SKLEARN_CCE_DATA``; it holds ``mnist.npz`` (``X_train``,
``y_train``, ``X_test``, ``y_test``) and the files of `FEATURES` (``X``, ``y``), or some
of them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

Data = tuple[np.ndarray, np.ndarray]


def _pixels(images: np.ndarray) -> np.ndarray:
    """Images as rows of values from 0 to 1."""
    X = images.reshape(len(images), -1).astype(np.float32)
    X /= 255
    return X


def _mnist(folder: Path, *parts: str) -> Data:
    with np.load(folder / "mnist.npz") as file:
        X = np.concatenate([file[f"X_{part}"] for part in parts])
        return _pixels(X), np.concatenate([file[f"y_{part}"] for part in parts])


def _features(file_name: str, folder: Path) -> Data:
    with np.load(folder / file_name) as file:
        return file["X"].astype(np.float32), file["y"]


def _standardised(load: Callable[..., Data]) -> Data:
    """Data whose features have different units, each scaled to variance 1."""
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def long_tailed(X: np.ndarray, y: np.ndarray, ratio: float) -> Data:
    """Keep samples at random so that class sizes fall geometrically.

    Parameters
    ----------
    X, y : arrays of n_samples rows
        Samples and their classes.
    ratio : float
        Size of the first class over that of the last, at least 1.

    Returns
    -------
    X, y : arrays
        The samples kept, in their old order. The first class has as many samples as
        the smallest had before. The same call always keeps the same samples.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.data import long_tailed
    >>> X, y = long_tailed(np.zeros((300, 2)), np.repeat([0, 1, 2], 100), 100)
    >>> np.bincount(y).tolist()
    [100, 10, 1]
    """
    rng = np.random.default_rng(0)
    classes, counts = np.unique(y, return_counts=True)
    sizes = counts.min() * ratio ** -np.linspace(0, 1, len(classes))
    kept = [
        rng.choice(np.flatnonzero(y == label), round(size), replace=False)
        for label, size in zip(classes, sizes, strict=True)
    ]
    kept = np.sort(np.concatenate(kept))
    return X[kept], y[kept]


SHIPPED: dict[str, Callable[[], Data]] = {
    "iris": partial(load_iris, return_X_y=True),
    "wine": partial(_standardised, load_wine),
    "breast_cancer": partial(_standardised, load_breast_cancer),
    "digits": partial(load_digits, return_X_y=True),
}
FEATURES = {
    "stackoverflow": "stackoverflow_minilm.npz",
    "cifar10": "cifar10_effnetlite0.npz",
    "cifar100_20": "cifar100_20_lite2.npz",
    "caltech101": "caltech101_lite2.npz",
    "fashion_mnist": "fashion_mnist_test.npz",
    "usps": "usps_pixels.npz",
    "clinc150": "clinc150_minilm.npz",
    "reuters": "reuters_r8_minilm.npz",
    "trec": "trec6_minilm.npz",
    "worm_neurons": "worm_neuron_pca50.npz",
    "texture": "texture.npz",
    "letter": "letter.npz",
    "mnist_fashion": "large_mnist_fashion140k_pca64.npz",
}
"""Files of one matrix of features each, float16, float32 or uint8."""
FILES: dict[str, tuple[str, Callable[[Path], Data]]] = {
    "mnist_test": ("mnist.npz", lambda folder: _mnist(folder, "test")),
    "mnist": ("mnist.npz", lambda folder: _mnist(folder, "train", "test")),
    **{name: (file, partial(_features, file)) for name, file in FEATURES.items()},
}
LONG_TAILED = {
    f"{name}_lt{ratio}": (name, ratio)
    for name in ("digits", "mnist_test")
    for ratio in (10, 100)
}
NAMES = [*SHIPPED, *FILES, *LONG_TAILED]


def available(folder: Path | None) -> list[str]:
    """Return the names of the data sets that can be loaded."""

    def is_there(name: str) -> bool:
        name = LONG_TAILED.get(name, (name,))[0]
        if name in SHIPPED:
            return True
        return folder is not None and (folder / FILES[name][0]).is_file()

    return [name for name in NAMES if is_there(name)]


def load(name: str, folder: Path | None = None) -> Data:
    """Return samples and classes of a data set.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    folder : Path, default=None
        Where the files lie that scikit-learn does not ship.

    Returns
    -------
    X : array of shape (n_samples, n_features)
        Features, float32 or float64.
    y : array of shape (n_samples,)
        Classes, for evaluation only.

    Raises
    ------
    ValueError
        If the data set is unknown or its file is not there.
    """
    if name not in available(folder):
        raise ValueError(
            f"{name!r} is not there; with --data-dir {folder} there are "
            f"{', '.join(available(folder))}."
        )
    if name in LONG_TAILED:
        name, ratio = LONG_TAILED[name]
        return long_tailed(*load(name, folder), ratio)
    return SHIPPED[name]() if name in SHIPPED else FILES[name][1](folder)


def part(X: np.ndarray, y: np.ndarray, number: int, share: float = 0.8) -> Data:
    """Return a random part of the samples; another one for each number.

    Where clusterings flip between two solutions, seeds hide it and parts show it.

    Parameters
    ----------
    X, y : arrays of n_samples rows
        Samples and their classes.
    number : int
        Which part, from 0.
    share : float, default=0.8
        Part of the samples.

    Returns
    -------
    X, y : arrays
        The samples drawn, in their old order.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.data import part
    >>> X, y = part(np.arange(10.0)[:, None], np.arange(10), 0)
    >>> len(y), bool((np.diff(y) > 0).all())
    (8, True)
    """
    rng = np.random.default_rng(100 + number)
    rows = np.sort(rng.permutation(len(y))[: int(share * len(y))])
    return X[rows], y[rows]


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Give a command the option that says where the files lie."""
    folder = os.environ.get("SKLEARN_CCE_DATA")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=None if folder is None else Path(folder),
        help="folder of the npz files (default: SKLEARN_CCE_DATA)",
    )
