"""Agreement of clusters with known classes, and calibration of their probabilities."""

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.utils import column_or_1d

from sklearn_cce._checks import as_whole, check_probabilities, refusing

__all__ = ["clustering_accuracy", "expected_calibration_error", "match_clusters"]

N_BINS = 1_000_000
"""More bins than this would only cost memory."""


def _column(labels: ArrayLike, name: str) -> NDArray:
    """Labels as an array with one axis."""
    with refusing(f"{name} must hold one label a sample"):
        return column_or_1d(labels)


def _encode(labels: ArrayLike, name: str) -> tuple[NDArray, NDArray]:
    """Distinct labels in sorted order, and the position of each label among them."""
    labels = _column(labels, name)
    accepted = f"{name} must hold labels of one sortable type (numbers, strings, ...)"
    with refusing(accepted, kind=TypeError):
        classes, codes = np.unique(labels, return_inverse=True)
        missing = any(label is None or label != label for label in classes)
    if missing:
        raise ValueError(f"{name} must not hold NaN, None or other missing labels.")
    return classes, codes


def _match(
    labels_true: ArrayLike, labels_pred: ArrayLike, name: str = "labels_pred"
) -> tuple[NDArray, NDArray, NDArray, tuple[NDArray, NDArray]]:
    """Classes, clusters, their contingency table and the best one-to-one matching."""
    classes, true = _encode(labels_true, "labels_true")
    clusters, pred = _encode(labels_pred, name)
    if len(true) != len(pred):
        raise ValueError(
            f"labels_true and {name} must be of one length; got inconsistent numbers "
            f"of samples: {len(true)} and {len(pred)}."
        )
    if len(true) == 0:
        raise ValueError(f"labels_true and {name} must hold at least one label.")
    shape = len(classes), len(clusters)
    pairs = np.ravel_multi_index((true, pred), shape)
    table = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    return classes, clusters, table, linear_sum_assignment(table, maximize=True)


def match_clusters(labels_true: ArrayLike, labels_pred: ArrayLike) -> dict:
    """Match clusters to classes, one to one, so that most samples agree.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Known classes: numbers, strings or anything else that can be sorted.
    labels_pred : array-like of shape (n_samples,)
        Clusters, of any such type and number.

    Returns
    -------
    dict
        Class of each matched cluster, ``{cluster: class}``. With more clusters than
        classes some clusters are missing, with fewer some classes.

    Raises
    ------
    TypeError
        If labels of one argument cannot be compared with one another.
    ValueError
        If the arguments are not 1-D, not of the same length, or empty, or if a label
        is missing (NaN, None, ...).

    See Also
    --------
    clustering_accuracy : Share of the samples that agree under this matching.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian Method for the Assignment Problem", Naval
       Research Logistics Quarterly 2, 1955.

    Examples
    --------
    >>> from sklearn_cce.metrics import match_clusters
    >>> match_clusters(["cat", "cat", "dog", "dog"], [1, 1, 0, 2])
    {1: 'cat', 0: 'dog'}
    """
    classes, clusters, _, (rows, columns) = _match(labels_true, labels_pred)
    return dict(zip(clusters[columns].tolist(), classes[rows].tolist(), strict=True))


def clustering_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Share of the samples that agree under the best matching of clusters to classes.

    Each cluster stands for at most one class and each class for at most one cluster;
    samples of clusters without a class count as wrong.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Known classes: numbers, strings or anything else that can be sorted.
    labels_pred : array-like of shape (n_samples,)
        Clusters, of any such type and number.

    Returns
    -------
    float
        Accuracy in (0, 1]; 1 if and only if both partitions are the same.

    Raises
    ------
    TypeError
        If labels of one argument cannot be compared with one another.
    ValueError
        If the arguments are not 1-D, not of the same length, or empty, or if a label
        is missing (NaN, None, ...).

    See Also
    --------
    match_clusters : The matching itself.
    sklearn.metrics.adjusted_rand_score : Agreement corrected for chance.
    sklearn.metrics.normalized_mutual_info_score : Agreement in terms of information.

    References
    ----------
    .. [1] Y. Yang, D. Xu, F. Nie, S. Yan and Y. Zhuang, "Image Clustering Using Local
       Discriminant Models and Global Integration", IEEE Transactions on Image
       Processing 19, 2010.

    Examples
    --------
    >>> from sklearn_cce.metrics import clustering_accuracy
    >>> clustering_accuracy(["cat", "cat", "dog", "dog"], [1, 1, 0, 2])
    0.75
    """
    _, _, table, matching = _match(labels_true, labels_pred)
    return float(table[matching].sum() / table.sum())


def _agrees(labels_true: ArrayLike, pred: NDArray) -> NDArray:
    """Say for each sample whether its cluster is matched to its class."""
    true = _column(labels_true, "labels_true")
    classes, clusters, _, (rows, columns) = _match(true, pred, "probabilities")
    matched = np.zeros((len(classes), len(clusters)), dtype=bool)
    matched[rows, columns] = True
    return matched[np.searchsorted(classes, true), np.searchsorted(clusters, pred)]


class _Binned(NamedTuple):
    """How certain each sample is, whether that is right, and its bin, from 1."""

    confidence: NDArray
    right: NDArray
    bins: NDArray

    @property
    def error(self) -> float:
        """The expected calibration error."""
        gaps = np.bincount(self.bins, weights=self.right - self.confidence)
        return float(np.abs(gaps).sum() / len(self.bins))


def _binned(labels_true: ArrayLike, probabilities: ArrayLike, n_bins: Any) -> _Binned:
    """Check the input and bin the samples by the probability of their cluster."""
    n_bins = _checked_n_bins(n_bins)
    probabilities = check_probabilities(probabilities)
    confidence = probabilities.max(axis=1)
    right = _agrees(labels_true, probabilities.argmax(axis=1))
    bins = np.ceil(confidence * n_bins).astype(int).clip(1, n_bins)
    return _Binned(confidence, right, bins)


def _checked_n_bins(n_bins: Any) -> int:
    number = as_whole(n_bins)
    if 1 <= number <= N_BINS:
        return number
    whole = isinstance(n_bins, Integral) and not isinstance(n_bins, bool)
    kind = ValueError if whole else TypeError
    raise kind(f"n_bins must be an integer from 1 to {N_BINS:,}; got {n_bins!r}.")


def expected_calibration_error(
    labels_true: ArrayLike, probabilities: ArrayLike, *, n_bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy, after matching clusters to classes.

    Samples are binned by the probability of their most probable cluster; the error
    is the mean over the samples of the absolute difference between accuracy and mean
    confidence in their bin.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Known classes: numbers, strings or anything else that can be sorted.
    probabilities : array-like of shape (n_samples, n_clusters)
        Probability of each cluster, as from ``predict_proba``.
    n_bins : int, default=15
        Number of bins of equal width in (0, 1], from 1 to a million.

    Returns
    -------
    float
        Error in [0, 1]; 0 for confidences that are right on average in every bin.

    Raises
    ------
    TypeError
        If the labels cannot be compared with one another, or `n_bins` is no integer.
    ValueError
        If shapes or lengths do not fit, a label is missing, `probabilities` has rows
        that are no distributions, or `n_bins` lies outside its range.

    See Also
    --------
    match_clusters : The matching of clusters to classes.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern
       Neural Networks", ICML 2017. Equation 3.

    Examples
    --------
    >>> from sklearn_cce.metrics import expected_calibration_error
    >>> probabilities = [[0.75, 0.25]] * 4 + [[0.0, 1.0]] * 4
    >>> labels = ["a", "a", "a", "b", "b", "b", "b", "b"]
    >>> expected_calibration_error(labels, probabilities)
    0.0
    """
    return _binned(labels_true, probabilities, n_bins).error
