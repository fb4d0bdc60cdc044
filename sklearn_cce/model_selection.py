"""Scorers that choose the number of clusters and the fairness weight without labels.

The training loss is of no use for that: it falls with the fairness weight and changes
its range with the number of clusters. The functions here are comparable across both.
Each is a scorer, ``scorer(estimator, X, y=None)``, as ``GridSearchCV(scoring=...)``
takes it, for any clusterer with ``fit`` and ``predict``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import _safe_indexing

__all__ = ["prediction_strength_scorer", "silhouette_scorer"]

N_SILHOUETTE_SAMPLES = 5_000
"""The silhouette costs the square of the number of samples, so it takes no more."""


def silhouette_scorer(estimator: BaseEstimator, X: ArrayLike, y: Any = None) -> float:
    """Mean silhouette of the predicted clusters, in the space of X.

    It measures whether samples lie nearer to their own cluster than to the next one,
    by Euclidean distance [1]_. It favours compact clusters far from each other, and so
    misjudges clusters that are long, curved, or that only the network tells apart.

    Parameters
    ----------
    estimator : estimator
        Fitted, with ``predict``.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Held-out samples. The mean is over at most 5,000 of them, evenly spaced.
    y : None
        Ignored.

    Returns
    -------
    float
        Between -1 and 1, larger is better; -1 where fewer than two clusters, or as
        many as samples, are predicted.

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
    n_samples = np.shape(X)[0]
    step = -(-n_samples // N_SILHOUETTE_SAMPLES)
    X = _safe_indexing(X, np.arange(0, n_samples, step))
    labels = estimator.predict(X)
    if not 2 <= len(np.unique(labels)) < len(labels):
        return -1.0
    return float(silhouette_score(np.asarray(X).reshape(len(labels), -1), labels))


def prediction_strength_scorer(
    estimator: BaseEstimator, X: ArrayLike, y: Any = None
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
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Held-out samples.
    y : None
        Ignored.

    Returns
    -------
    float
        Between 0 and 1, larger is better; 0 where either fit uses one cluster only.

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
    refitted = clone(estimator).fit(X)
    counts = contingency_matrix(refitted.predict(X), estimator.predict(X))
    if min(counts.shape) < 2:
        return 0.0
    sizes = counts.sum(1)
    counts, sizes = counts[sizes > 1], sizes[sizes > 1]
    shares = (counts * (counts - 1)).sum(1) / (sizes * (sizes - 1))
    return float(shares.min()) if len(shares) else 0.0
