"""Labels of any kind as a matrix of targets: one distribution over classes a sample."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import assert_all_finite
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

UNLABELLED = -1
"""The label that marks samples without a label."""

SUM_TOLERANCE = 1e-3
"""How far the sum of a row of a distribution may be from 1."""

ACCEPTED = (
    "y must be n_samples class labels, or a matrix of shape (n_samples, n_classes) "
    "whose rows are distributions"
)


def make_targets(
    y: Any, n_samples: int, classes: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes and the targets that labels or distributions mean.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Class labels, or one distribution over the classes in each row. A label of -1,
        None or NaN, or a row of NaN, marks a sample without a label. -1 is a class if
        it is among `classes`, or if there is but one other label: labels of -1 and 1
        are two classes.
    n_samples : int
        Number of samples in X.
    classes : array-like of shape (n_classes,), default=None
        All classes that there may be. None means those in y, each of which must have
        a label then.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes in sorted order; 0, 1, ... where y is a matrix.
    targets : ndarray of shape (n_samples, n_classes), float32
        Rows sum to 1; a row of NaN marks a sample without a label.

    Raises
    ------
    ValueError
        If y is not as described, says nothing of any sample or of some class, has one
        class, or has labels that are not among `classes`.
    """
    y = as_array(y)
    if len(y) != n_samples:
        raise ValueError(f"{ACCEPTED}; X has {n_samples} samples, y has {len(y)}.")
    if classes is not None:
        classes = check_classes(classes)
    if y.ndim == 2 and y.shape[1] > 1:
        return from_distributions(y, classes)
    return from_labels(column_as_labels(y) if y.ndim == 2 else y, classes)


def as_array(y: Any) -> np.ndarray:
    """Return y as an array of one or two axes; a list of mixed types as objects."""
    if y is None:
        raise ValueError(
            "This classifier requires y to be passed, but the target y is None."
        )
    if isinstance(y, torch.Tensor):
        y = y.detach().cpu().numpy()
    mixed = isinstance(y, (list, tuple)) and len({type(label) for label in y}) > 1
    nullable = not isinstance(getattr(y, "dtype", None), (np.dtype, type(None)))
    try:
        y = np.asarray(y, dtype=object if mixed or nullable else None)
    except ValueError as error:
        raise ValueError(f"{ACCEPTED}; {error}") from error
    if y.ndim not in (1, 2) or not y.size:
        raise ValueError(f"{ACCEPTED}; got shape {y.shape}.")
    return y


def column_as_labels(y: np.ndarray) -> np.ndarray:
    """Return labels in a single column as a row of them, with scikit-learn's warning.

    A column of floating-point numbers is refused: it may be half of a matrix of two.
    """
    if y.dtype.kind == "f":
        raise ValueError(
            f"{ACCEPTED}, n_classes >= 2; got a matrix with one column. For two "
            "classes give both columns, np.column_stack([1 - p, p])."
        )
    warnings.warn(
        "A column-vector y was passed when a 1d array was expected. Please change the "
        "shape of y to (n_samples,), for example using ravel().",
        DataConversionWarning,
        stacklevel=4,
    )
    return y[:, 0]


def check_classes(classes: ArrayLike) -> np.ndarray:
    """Return the classes sorted, or say what is wrong with them."""
    classes = np.asarray(classes)
    found = np.unique(classes)
    if classes.ndim != 1 or not 2 <= len(found) == len(classes):
        raise ValueError(
            f"classes must be at least 2 class labels, each once; got {classes!r}."
        )
    return found


def from_labels(
    y: np.ndarray, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return classes and targets of class labels."""
    labelled = is_labelled(y, classes)
    if classes is None and not labelled.any():
        raise ValueError("y must label at least one sample; all are unlabelled.")
    labels = check_labels(y[labelled])
    found, codes = np.unique(labels, return_inverse=True)
    if classes is None:
        classes = found
        if len(classes) < 2:
            raise ValueError(
                f"y must have at least 2 classes; got 1 class, {classes.tolist()[0]!r}."
            )
    elif not np.isin(found, classes).all():
        unknown = found[~np.isin(found, classes)].tolist()
        raise ValueError(f"y must hold labels from classes only; it has {unknown}.")
    targets = np.full((len(y), len(classes)), np.nan, np.float32)
    targets[labelled] = np.eye(len(classes), dtype=np.float32)[
        np.searchsorted(classes, found)[codes]
    ]
    return classes, targets


def is_labelled(y: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """Return where labels name a class."""
    labelled = ~is_missing(y)
    marked = labelled.copy()
    marked[marked] = y[marked] == UNLABELLED
    if classes is None:
        others = set(y[labelled & ~marked].tolist())
        is_class = len(others) == 1
    else:
        is_class = UNLABELLED in classes.tolist()
    return labelled if is_class else labelled & ~marked


def is_missing(y: np.ndarray) -> np.ndarray:
    """Return where an array of objects has None or NaN."""
    if y.dtype.kind != "O":
        return np.zeros(len(y), bool)
    return np.array([v is None or is_scalar_nan(v) or is_pandas_na(v) for v in y], bool)


def check_labels(labels: np.ndarray) -> np.ndarray:
    """Return labels if they are of one type and discrete."""
    if not len(labels):
        return labels
    if labels.dtype.kind == "O":
        kinds = {isinstance(label, str) for label in labels}
        if len(kinds) > 1:
            raise ValueError(f"{ACCEPTED}; the labels must not mix text and numbers.")
        labels = labels if kinds == {True} else np.array(labels.tolist())
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    return labels


def from_distributions(
    y: np.ndarray, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return classes and targets of a matrix of distributions."""
    try:
        targets = y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{ACCEPTED}; y holds no numbers: {error}") from error
    absent = np.isnan(targets).all(1)
    check_rows(targets, absent)
    if absent.all() and classes is None:
        raise ValueError("y must label at least one sample; all rows are NaN.")
    n_classes = targets.shape[1]
    if classes is not None and len(classes) != n_classes:
        raise ValueError(
            f"y must have one column for each of the {len(classes)} classes; got "
            f"{n_classes}."
        )
    if classes is None:
        classes = np.arange(n_classes)
        empty = np.flatnonzero(~targets[~absent].any(0))
        if len(empty):
            raise ValueError(
                "y must give every class some probability in some row; column "
                f"{empty[0]} is 0 throughout."
            )
    targets /= targets.sum(1, keepdims=True)
    return classes, targets.astype(np.float32)


def check_rows(targets: np.ndarray, absent: np.ndarray) -> None:
    """Raise a ValueError that names the first row that is no distribution, if any."""
    with np.errstate(invalid="ignore"):
        complaints = {
            "has NaN beside numbers": np.isnan(targets).any(1),
            "has an infinite entry": np.isinf(targets).any(1),
            "has a negative entry": (targets < 0).any(1),
            "does not sum to 1": np.abs(targets.sum(1) - 1) > SUM_TOLERANCE,
        }
    for complaint, where in complaints.items():
        bad = np.flatnonzero(where & ~absent)
        if len(bad):
            raise ValueError(
                f"{ACCEPTED}: non-negative, with a sum within {SUM_TOLERANCE} of 1, or "
                f"all NaN for a sample without a label; row {bad[0]}, "
                f"{targets[bad[0]]}, {complaint}."
            )


def class_masses(targets: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the weight that the labelled samples put on each class, float64."""
    labelled = ~np.isnan(targets[:, 0])
    weight = np.ones(len(targets)) if weight is None else weight
    return weight[labelled] @ targets[labelled].astype(np.float64)


def smooth(targets: np.ndarray, amount: float) -> np.ndarray:
    """Return targets mixed with the uniform distribution."""
    if not amount:
        return targets
    return ((1 - amount) * targets + amount / targets.shape[1]).astype(np.float32)


def class_weights(
    class_weight: dict | str | None, classes: np.ndarray, masses: np.ndarray
) -> np.ndarray | None:
    """Return the weight of each class, or None for equal ones.

    Parameters
    ----------
    class_weight : dict, 'balanced' or None
        Weights by class, 1 for those left out; or inversely proportional to `masses`.
    classes : ndarray of shape (n_classes,)
        The classes.
    masses : ndarray of shape (n_classes,)
        From :func:`class_masses`.

    Returns
    -------
    ndarray of shape (n_classes,), float64, or None
        Weights; 'balanced' gives a class that nothing is known of a weight of 0.

    Raises
    ------
    ValueError
        If `class_weight` has classes that are not among `classes`, or weights that
        are negative or not finite.
    """
    if class_weight is None:
        return None
    if class_weight == "balanced":
        means = masses.sum() / max(np.count_nonzero(masses), 1)
        return np.divide(means, masses, np.zeros_like(masses), where=masses > 0)
    weights = compute_class_weight(class_weight, classes=classes, y=classes)
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(
            f"class_weight must give non-negative numbers to the classes; got "
            f"{class_weight!r}."
        )
    return weights


def check_prior(
    prior: ArrayLike | None, classes: np.ndarray, masses: np.ndarray
) -> np.ndarray:
    """Return the share that each class should have.

    Parameters
    ----------
    prior : array-like of shape (n_classes,) or None
        Shares; None means those of `masses`, each class with one sample more.
    classes : ndarray of shape (n_classes,)
        The classes.
    masses : ndarray of shape (n_classes,)
        From :func:`class_masses`.

    Returns
    -------
    ndarray of shape (n_classes,), float64
        Non-negative, sum 1.

    Raises
    ------
    ValueError
        If `prior` is no distribution over the classes.
    """
    if prior is None:
        return (masses + 1) / (masses + 1).sum()
    accepted = (
        f"class_prior must be {len(classes)} non-negative numbers that sum to 1, one "
        f"per class; got {prior!r}."
    )
    try:
        shares = np.asarray(prior, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(accepted) from error
    fits = shares.shape == classes.shape and (shares >= 0).all()
    if not fits or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(accepted)
    return shares
