"""Scorers that choose the number of clusters and the fairness weight without labels.

The training loss is of no use for that: it falls with the fairness weight and changes
its range with the number of clusters. The functions here are comparable across both.
The scorers, ``scorer(estimator, X, y=None)``, are what ``GridSearchCV(scoring=...)``
takes, for any clusterer with ``fit`` and ``predict``. A curve compares numbers of
clusters at once, and needs no prediction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from itertools import combinations
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.parallel import Parallel, delayed
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_cce._checks import (
    InvalidParameterError,
    as_whole,
    is_sliced,
    num_samples,
    take_part,
    take_rows,
)

__all__ = [
    "prediction_strength_scorer",
    "silhouette_scorer",
    "stability_curve",
    "stability_scorer",
]

N_SILHOUETTE_SAMPLES = 5_000
"""The silhouette costs the square of the number of samples, so it takes no more."""

BLOCK = 4_096
"""What is no array is read in slices of about so many rows."""

SHARE, MOST_RESAMPLED = 0.7, 5_000
"""Part of the samples in a random subset, and bound of their number: any two subsets
have about half of the samples in common."""


def _check_estimator(estimator: Any, *methods: str) -> None:
    has_all = all(hasattr(estimator, method) for method in methods)
    if isinstance(estimator, type) or not has_all:
        raise TypeError(
            f"estimator must be an estimator with {' and '.join(methods)}; got "
            f"{estimator!r}."
        )


def _n_samples(X: Any) -> int:
    """The number of samples; X must not be iterated, as a dataset may have no end."""
    try:
        if isinstance(X, (str, bytes, dict, set)):
            raise TypeError("it has no order")
        n_samples = len(cast(Sized, X)) if isinstance(X, Dataset) else num_samples(X)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            "X must be an array, a tensor or a dataset that has a length; got "
            f"{type(X).__name__}."
        ) from error
    if not n_samples:
        raise ValueError("X must have at least one sample; got none.")
    return n_samples


def _sample(item: Any) -> np.ndarray:
    """The sample in an item of a dataset: the item, or what it begins with."""
    if isinstance(item, (tuple, list)):
        if not item:
            raise TypeError("X must give samples; an item of it is empty.")
        item = item[0]
    return np.asarray(item.detach().cpu() if isinstance(item, Tensor) else item)


def _sliced(X: Any, every: int) -> np.ndarray:
    """Every so-manieth sample of what is read in slices of rows."""
    n_rows = every * max(BLOCK // every, 1)
    starts = range(0, _n_samples(X), n_rows)
    return np.concatenate([np.asarray(X[i : i + n_rows])[::every] for i in starts])


def _readable(X: Any, every: int = 1) -> Any:
    """Samples that any estimator can read; a dataset becomes an array."""
    if is_sliced(X):
        return _sliced(X, every)
    if isinstance(X, Dataset):
        items = (X[i] for i in range(0, _n_samples(X), every))
        return np.stack([_sample(item) for item in items])
    if isinstance(X, Tensor):
        if X.layout != torch.strided:
            raise TypeError(f"X must be a dense tensor; got {X.layout}.")
        X = X.detach().float() if X.dtype == torch.bfloat16 else X.detach()
    return take_rows(X, np.arange(0, _n_samples(X), every)) if every > 1 else X


@contextmanager
def _naming_X() -> Iterator[None]:
    """Say that X is at fault where an estimator does not."""
    try:
        yield
    except (NotFittedError, InvalidParameterError, torch.OutOfMemoryError):
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        if "X" in str(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"X is no data for this estimator. {error}") from error


def _points(X: Any) -> Any:
    """Samples as rows of numbers below 1, of which no square overflows."""
    if issparse(X):
        return X
    try:
        points = np.asarray(X.cpu() if isinstance(X, Tensor) else X)
        points = points.astype(float) if points.dtype.kind in "Oiub" else points
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"X must hold numbers in one shape; {error}.") from error
    if points.dtype.kind != "f" or not points.size:
        raise ValueError(
            f"X must hold real numbers; got {points.dtype} of shape {points.shape}."
        )
    exponent = np.frexp(np.abs(points).max())[1]
    return np.ldexp(points, -exponent).reshape(len(points), -1)


def silhouette_scorer(
    estimator: BaseEstimator, X: ArrayLike | Tensor | Dataset, y: Any = None
) -> float:
    """Mean silhouette of the predicted clusters, in the space of X.

    It measures whether samples lie nearer to their own cluster than to the next one,
    by Euclidean distance [1]_. It favours compact clusters far from each other, and so
    misjudges clusters that are long, curved, or that only the network tells apart.

    Parameters
    ----------
    estimator : estimator
        Fitted, with ``predict``.
    X : array-like, Tensor or Dataset
        Held-out samples, of shape (n_samples, n_features) or (n_samples, ...). The
        mean is over at most 5,000 of them, evenly spaced; no others are read.
    y : None
        Ignored.

    Returns
    -------
    float
        Between -1 and 1, larger is better; -1 where fewer than two clusters, or as
        many as samples, are predicted.

    Raises
    ------
    TypeError, ValueError
        If the estimator or X is of the wrong type, or X is empty or no numbers.

    References
    ----------
    .. [1] Rousseeuw (1987), "Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis".

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn_cce.model_selection import silhouette_scorer
    >>> X = [[0.0], [0.1], [5.0], [5.1]]
    >>> round(silhouette_scorer(KMeans(2, random_state=0).fit(X), X), 2)
    0.98
    """
    _check_estimator(estimator, "predict")
    every = -(-_n_samples(X) // N_SILHOUETTE_SAMPLES)
    with _naming_X():
        X = _readable(X, every)
        points = _points(X)
        labels = estimator.predict(X)
    if not 2 <= len(np.unique(labels)) < len(labels):
        return -1.0
    return float(silhouette_score(points, labels))


def prediction_strength_scorer(
    estimator: BaseEstimator, X: ArrayLike | Tensor | Dataset, y: Any = None
) -> float:
    """Prediction strength: whether a second fit finds the same clusters.

    A clone of the estimator is fitted to X. For every cluster of the clone, the share
    of its pairs of samples that the estimator puts into one cluster, too, is taken;
    the smallest share is the score [1]_. It measures stability, so it favours a small
    number of clusters; the authors take the largest number that scores above 0.8.

    Parameters
    ----------
    estimator : estimator
        Fitted on other samples, with ``fit`` and ``predict``.
    X : array-like, Tensor or Dataset
        Held-out samples, of shape (n_samples, n_features) or (n_samples, ...). A
        dataset is read as a whole.
    y : None
        Ignored.

    Returns
    -------
    float
        Between 0 and 1, larger is better; 0 where either fit uses one cluster only.

    Raises
    ------
    TypeError, ValueError
        If the estimator or X is of the wrong type, or X is empty.

    References
    ----------
    .. [1] Tibshirani & Walther (2005), "Cluster validation by prediction strength".

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn_cce.model_selection import prediction_strength_scorer
    >>> X = [[0.0], [0.1], [5.0], [5.1]]
    >>> prediction_strength_scorer(KMeans(2, random_state=0).fit(X), X)
    1.0
    """
    counts = contingency_matrix(*_two_labels(estimator, X))
    if min(counts.shape) < 2:
        return 0.0
    sizes = counts.sum(1)
    counts, sizes = counts[sizes > 1], sizes[sizes > 1]
    shares = (counts * (counts - 1)).sum(1) / (sizes * (sizes - 1))
    return float(shares.min()) if len(shares) else 0.0


def stability_curve(
    estimator: BaseEstimator,
    X: ArrayLike | Tensor | Dataset,
    *,
    n_clusters: Sequence[int],
    n_resamples: int = 5,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> Bunch:
    """Agreement of clusterings of random subsets, for several numbers of clusters.

    A number of clusters that is right is found again among other samples [1]_. Every
    subset has 70 % of the samples, and at most 5,000; any two are compared on the
    samples they share, by the adjusted Rand index. Of a
    :class:`~sklearn_cce.CollisionClusterer` only the start is made, and no network is
    trained.

    Parameters
    ----------
    estimator : estimator
        A clusterer, or a pipeline that ends in one, with ``fit_predict`` and the
        parameter ``n_clusters``, or ``n_components`` as mixtures have it. It is not
        changed.
    X : array-like, Tensor or Dataset
        Samples, of shape (n_samples, n_features) or (n_samples, ...).
    n_clusters : sequence of int
        The numbers to compare, each at least 2.
    n_resamples : int, default=5
        Number of subsets, at least 2.
    random_state : int, RandomState or None, default=None
        Draws the subsets, and seeds the estimator where it has a ``random_state``.
    n_jobs : int, default=None
        Number of subsets that are worked on at a time, as in joblib.

    Returns
    -------
    Bunch
        ``n_clusters``, ``stability_mean`` and ``stability_std``, arrays of shape
        (n_numbers,): the mean over all pairs of subsets, at most 1, and the standard
        deviation. ``best_n_clusters``: the largest number whose mean is no further
        below the best than the standard error of the difference; where clusters are
        nested several numbers are level, and the largest says most.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    References
    ----------
    .. [1] Ben-Hur, Elisseeff & Guyon (2002), "A stability based method for discovering
       structure in clustered data".

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_cce import CollisionClusterer
    >>> from sklearn_cce.model_selection import stability_curve
    >>> X, _ = make_blobs(300, centers=4, cluster_std=0.5, random_state=3)
    >>> curve = stability_curve(
    ...     CollisionClusterer(), X, n_clusters=range(2, 7), random_state=0
    ... )
    >>> int(curve.best_n_clusters)
    4
    """
    _check_estimator(estimator, "fit_predict", "get_params")
    name = _number_parameter(estimator)
    n_samples = _n_samples(X)
    n_rows = min(int(SHARE * n_samples), MOST_RESAMPLED)
    numbers = _check_numbers(n_clusters, n_rows)
    if as_whole(n_resamples) < 2:
        raise ValueError(f"n_resamples must be an integer >= 2; got {n_resamples!r}.")
    rng = check_random_state(random_state)
    with _naming_X():
        X = _readable(X)
    drawn = [
        (np.sort(rng.permutation(n_samples)[:n_rows]), int(rng.randint(2**31 - 1)))
        for _ in range(n_resamples)
    ]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_cluster)(estimator, name, numbers, take_part(estimator, X, rows), seed)
        for rows, seed in drawn
    )
    agreement = np.array(
        [
            _agreements([rows for rows, _ in drawn], [labels[i] for labels in found])
            for i in range(len(numbers))
        ]
    )
    mean, std = agreement.mean(axis=1), agreement.std(axis=1)
    best = mean.argmax()
    error = np.sqrt((std**2 + std[best] ** 2) / agreement.shape[1])
    level = mean >= mean[best] - error
    return Bunch(
        n_clusters=np.array(numbers),
        stability_mean=mean,
        stability_std=std,
        best_n_clusters=max(K for K, good in zip(numbers, level, strict=True) if good),
    )


def stability_scorer(
    estimator: BaseEstimator, X: ArrayLike | Tensor | Dataset, y: Any = None
) -> float:
    """Agreement of a fitted clusterer with a clone that is fitted to X.

    The adjusted Rand index of their clusters of X; see :func:`stability_curve`.

    Parameters
    ----------
    estimator : estimator
        Fitted on other samples, with ``fit`` and ``predict``.
    X : array-like, Tensor or Dataset
        Held-out samples, of shape (n_samples, n_features) or (n_samples, ...). A
        dataset is read as a whole.
    y : None
        Ignored.

    Returns
    -------
    float
        At most 1; about 0 by chance, and 0 where either fit uses one cluster only.

    Raises
    ------
    TypeError, ValueError
        If the estimator or X is of the wrong type, or X is empty.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn_cce.model_selection import stability_scorer
    >>> X = [[0.0], [0.1], [5.0], [5.1]]
    >>> stability_scorer(KMeans(2, random_state=0).fit(X), X)
    1.0
    """
    refitted, fitted = _two_labels(estimator, X)
    if min(len(np.unique(refitted)), len(np.unique(fitted))) < 2:
        return 0.0
    return float(adjusted_rand_score(refitted, fitted))


def _two_labels(
    estimator: BaseEstimator, X: ArrayLike | Tensor | Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """The clusters that a clone fitted to X finds, and those that are predicted."""
    _check_estimator(estimator, "fit", "predict")
    _n_samples(X)
    with _naming_X():
        X = _readable(X)
        refitted = clone(estimator).fit(X)
        return refitted.predict(X), estimator.predict(X)


def _number_parameter(estimator: BaseEstimator) -> str:
    """The name of the parameter that is the number of clusters."""
    names = estimator.get_params()
    for name in ("n_clusters", "n_components"):
        if name in names:
            return name
    ends = [name for name in names if name.endswith("__n_clusters")]
    if len(ends) != 1:
        raise TypeError(
            "estimator must have one parameter n_clusters, or n_components; got "
            f"{estimator!r}."
        )
    return ends[0]


def _check_numbers(n_clusters: Any, n_rows: int) -> list[int]:
    accepted = (
        "n_clusters must be a sequence of integers from 2 to the samples in a subset, "
        f"{n_rows}"
    )
    try:
        numbers = list(n_clusters)
    except TypeError as error:
        raise TypeError(f"{accepted}; got {n_clusters!r}.") from error
    whole = [as_whole(K) for K in numbers]
    if not whole or min(whole) < 2 or max(whole) > n_rows:
        raise ValueError(f"{accepted}; got {n_clusters!r}.")
    return whole


def _cluster(
    estimator: BaseEstimator, name: str, numbers: list[int], X: Any, seed: int
) -> list[np.ndarray]:
    """The clusters of some samples, for every number of clusters."""
    seeded = clone(estimator)
    for key in seeded.get_params():
        if key.split("__")[-1] == "random_state":
            seeded.set_params(**{key: seed})
    init = getattr(seeded, "init", None)
    if hasattr(seeded, "start_labels") and isinstance(init, str) and init == "spectral":
        return seeded.start_labels(X, n_clusters=numbers)
    return [clone(seeded).set_params(**{name: K}).fit_predict(X) for K in numbers]


def _agreements(
    subsets: list[np.ndarray], clusterings: list[np.ndarray]
) -> list[float]:
    """The adjusted Rand index of all pairs on the samples they share."""
    found = []
    for i, j in combinations(range(len(subsets)), 2):
        _, one, two = np.intersect1d(
            subsets[i], subsets[j], assume_unique=True, return_indices=True
        )
        found.append(adjusted_rand_score(clusterings[i][one], clusterings[j][two]))
    return found
