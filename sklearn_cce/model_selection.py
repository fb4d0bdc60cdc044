"""Scorers that choose the number of clusters and the fairness weight without labels.

The training loss is of no use for that: it falls with the fairness weight and changes
its range with the number of clusters. The functions here are comparable across both.
Each is a scorer, ``scorer(estimator, X, y=None)``, as ``GridSearchCV(scoring=...)``
takes it, for any clusterer with ``fit`` and ``predict``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_cce._checks import InvalidParameterError, num_samples, take_rows

__all__ = ["prediction_strength_scorer", "silhouette_scorer"]

N_SILHOUETTE_SAMPLES = 5_000
"""The silhouette costs the square of the number of samples, so it takes no more."""


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


def _readable(X: Any, every: int = 1) -> Any:
    """Samples that any estimator can read; a dataset becomes an array."""
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
    _check_estimator(estimator, "fit", "predict")
    _n_samples(X)
    with _naming_X():
        X = _readable(X)
        refitted = clone(estimator).fit(X)
        labels = refitted.predict(X), estimator.predict(X)
    counts = contingency_matrix(*labels)
    if min(counts.shape) < 2:
        return 0.0
    sizes = counts.sum(1)
    counts, sizes = counts[sizes > 1], sizes[sizes > 1]
    shares = (counts * (counts - 1)).sum(1) / (sizes * (sizes - 1))
    return float(shares.min()) if len(shares) else 0.0
