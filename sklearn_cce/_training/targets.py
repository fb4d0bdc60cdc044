"""Labels of any kind as a matrix of targets: one distribution over classes a sample."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from sklearn_cce._checks import (
    NEGLIGIBLE,
    as_numbers,
    check_finite_numbers,
    map_objects,
    numeric,
    refusing,
    to_array,
    warn,
)

UNLABELLED = -1
"""The label that marks samples without a label, unless it is a class."""

SUM_TOLERANCE = 1e-3
"""How far the sum of a row of a distribution may be from 1."""

WHOLE_BITS = 53
"""Whole numbers with more bits may be the same floating-point number."""

ACCEPTED = (
    "y must be n_samples class labels, or a matrix of shape (n_samples, n_classes) "
    "whose rows are distributions"
)

MINUS_ONE = (
    "y has labels of -1, which mark samples without a label here and are no class. "
    "Give None or NaN in their place to say so without this warning. If -1 is a class "
    "beside several others, as in -1, 0, 1, give it another name: pass y + 1, or text."
)

TOO_LARGE = 2.0**60
"""A class weight from here on: the squares of gradients overflow in optimizers."""

WEIGHTS_ACCEPTED = (
    "class_weight must give non-negative numbers to the classes, below 2**60 and not "
    "all 0"
)

LABELS_ACCEPTED = "labels must be numbers, text or dates without a time zone"

DTYPES = {"numbers": "biuf", "text": "UO", "dates": "M", "durations": "m"}
"""The kinds of labels, and the kinds of their arrays; objects are text."""

OBJECTS: dict[str, tuple[type | tuple, Callable[[np.ndarray], np.ndarray]]] = {
    "text": (str, lambda labels: labels),
    "numbers": ((Number, np.bool_), lambda labels: np.array(labels.tolist())),
    "dates": (
        (date, np.datetime64),
        lambda labels: np.array(labels.tolist(), "datetime64"),
    ),
}
"""Of which types the objects of a kind are, and what makes an array of them."""


def make_targets(
    y: Any, n_samples: int, classes: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes and the targets that labels or distributions mean.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Class labels, or one distribution over the classes in each row. Whatever marks
        a missing value, such as None or NaN, or a row of these, marks a sample without
        a label; so does a label of -1, with a warning, unless it is among `classes`,
        or, where these are not given, beside but one other label.
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
    if classes is not None:
        classes = check_classes(classes)
    classes, labelled, known = read_labels(y, n_samples, classes)
    if known.ndim == 1:
        known = np.eye(len(classes), dtype=np.float32)[known]
    targets = np.full((n_samples, len(classes)), np.nan, np.float32)
    targets[labelled] = known
    return classes, targets


def read_labels(
    y: Any,
    n_samples: int,
    classes: np.ndarray | None,
    *,
    others: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes, which samples have a label, and these labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        As in :func:`make_targets`.
    n_samples : int
        Number of samples in X.
    classes : ndarray of shape (n_classes,) or None
        The classes in sorted order, or None for those in y.
    others : bool, default=False
        Whether labels may be of no class.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes in sorted order; 0, 1, ... where y is a matrix.
    labelled : ndarray of shape (n_samples,), bool
        Which samples have a label.
    known : ndarray of shape (n_labelled,), int, or (n_labelled, n_classes), float32
        Indices of the classes, -1 for a label of no class; or distributions.
    """
    y, missing = as_array(y)
    if len(y) != n_samples:
        raise ValueError(f"{ACCEPTED}; X has {n_samples} samples, y has {len(y)}.")
    if y.ndim == 2 and y.shape[1] > 1:
        return from_distributions(y, missing, classes)
    if y.ndim == 2:
        y, missing = column_as_labels(y), missing[:, 0]
    with refusing(ACCEPTED, TypeError):
        return from_labels(y, missing, classes, others)


def as_array(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return y as an array of one or two axes, and where it is missing."""
    if y is None:
        raise ValueError(
            "This classifier requires y to be passed, but the target y is None."
        )
    with refusing(ACCEPTED, TypeError):
        array, missing = to_array(y)
    if array.ndim not in (1, 2) or not array.size:
        got = f"shape {array.shape}" if array.ndim else type(y).__name__
        raise ValueError(f"{ACCEPTED}; got {got}.")
    return array, missing


def column_as_labels(y: np.ndarray) -> np.ndarray:
    """Return labels in a single column as a row of them, with scikit-learn's warning.

    A column of floating-point numbers is refused: it may be half of a matrix of two.
    """
    if y.dtype.kind == "f":
        raise ValueError(
            f"{ACCEPTED}, n_classes >= 2; got a matrix with one column. For two "
            "classes give both columns, np.column_stack([1 - p, p])."
        )
    warn(
        "A column-vector y was passed when a 1d array was expected. Please change the "
        "shape of y to (n_samples,), for example using ravel().",
        DataConversionWarning,
    )
    return y[:, 0]


def check_classes(classes: ArrayLike) -> np.ndarray:
    """Return the classes sorted, or say what is wrong with them."""
    accepted = "classes must be at least 2 class labels, each once"
    with refusing(accepted, TypeError):
        given, missing = to_array(classes)
        found = np.unique(check_labels(given[~missing], "classes"))
    if given.ndim != 1 or not 2 <= len(found) == len(given):
        raise ValueError(f"{accepted}; got {classes!r}.")
    return found


def from_labels(
    y: np.ndarray, missing: np.ndarray, classes: np.ndarray | None, others: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return classes, where there are labels, and the indices of their classes."""
    labelled = is_labelled(y, missing, classes)
    if classes is None and not labelled.any():
        raise ValueError("y must label at least one sample; all are unlabelled.")
    found, codes = np.unique(check_labels(y[labelled], "y"), return_inverse=True)
    if classes is not None:
        return classes, labelled, look_up(found, classes, others)[codes]
    if len(found) < 2:
        raise ValueError(
            f"y must have at least 2 classes; got 1 class, {found.tolist()[0]!r}."
        )
    # Codes are always discrete; this warns where there are too many for classes.
    check_classification_targets(codes)
    return found, labelled, codes


def look_up(found: np.ndarray, classes: np.ndarray, others: bool) -> np.ndarray:
    """Return the index of the class of every label, -1 for none where that may be."""
    if not len(found):
        return np.zeros(0, int)
    if kind_of(found) != kind_of(classes):
        raise ValueError(
            f"y must hold labels from classes only, which are {kind_of(classes)}, "
            f"{classes.tolist()}; it has {kind_of(found)}."
        )
    index = np.searchsorted(classes, found).clip(max=len(classes) - 1)
    known = classes[index] == found
    if not (others or known.all()):
        raise ValueError(
            f"y must hold labels from classes only; it has {found[~known].tolist()}."
        )
    return np.where(known, index, -1)


def is_labelled(
    y: np.ndarray, missing: np.ndarray, classes: np.ndarray | None
) -> np.ndarray:
    """Return where labels name a class, and warn where -1 does not."""
    marked = ~missing & is_minus_one(y)
    if not marked.any():
        return ~missing
    if classes is None:
        named = check_labels(y[~missing & ~marked], "y")
        is_class = len(np.unique(named)) == 1
    else:
        is_class = bool(is_minus_one(classes).any())
    if is_class:
        return ~missing
    warn(MINUS_ONE)
    return ~missing & ~marked


def is_minus_one(labels: np.ndarray) -> np.ndarray:
    """Return where labels are the number -1."""
    kind = labels.dtype.kind
    if kind == "O":
        numbers, _ = OBJECTS["numbers"]
        return map_objects(lambda v: isinstance(v, numbers) and v == UNLABELLED)(labels)
    if kind in DTYPES["numbers"]:
        return labels == UNLABELLED
    return np.zeros(len(labels), bool)


def check_labels(labels: np.ndarray, name: str) -> np.ndarray:
    """Return labels of one kind and discrete, or raise a TypeError or ValueError."""
    if labels.dtype.kind == "O" and len(labels):
        labels = of_one_kind(labels)
    if kind_of(labels) is None:
        raise TypeError(f"{LABELS_ACCEPTED}; got {labels.dtype}.")
    if labels.dtype.kind == "f":
        check_finite_numbers(labels, name)
        if ((labels != np.floor(labels)) | (np.frexp(labels)[1] > WHOLE_BITS)).any():
            raise TypeError(
                "Unknown label type: continuous. Labels that are floating-point "
                f"numbers must be whole, and below 2**{WHOLE_BITS}."
            )
    return labels


def kind_of(labels: np.ndarray) -> str | None:
    """Return the kind of labels, None for one that is not accepted."""
    kinds = (kind for kind, dtypes in DTYPES.items() if labels.dtype.kind in dtypes)
    return next(kinds, None)


def of_one_kind(labels: np.ndarray) -> np.ndarray:
    """Return an array of objects that are labels as one of a fitting type."""
    kinds = sorted({kind_of_object(label) for label in labels}, reverse=True)
    if len(kinds) > 1:
        raise TypeError(f"the labels must not mix {' and '.join(kinds)}.")
    _, make = OBJECTS.get(kinds[0], (None, lambda labels: None))
    try:
        made = make(labels)
    except (ValueError, OverflowError):
        made = None
    if made is None or kind_of(made) != kinds[0]:
        raise TypeError(f"{LABELS_ACCEPTED}; got {type(labels[0]).__name__}.")
    return made


def kind_of_object(label: Any) -> str:
    """Return the kind of a label, or the name of its type if it is of none."""
    if getattr(label, "tzinfo", None) is not None:
        return "dates with a time zone"
    kinds = (kind for kind, (types, _) in OBJECTS.items() if isinstance(label, types))
    return next(kinds, type(label).__name__)


def from_distributions(
    y: np.ndarray, missing: np.ndarray, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return classes, which rows of a matrix hold a distribution, and these."""
    with refusing(f"{ACCEPTED}; y holds no numbers", TypeError):
        targets = numeric(y, missing)
    labelled = ~np.isnan(targets).all(1)
    check_rows(targets, ~labelled)
    targets = targets[labelled]
    if classes is None:
        classes = check_columns(targets)
    elif len(classes) != targets.shape[1]:
        raise ValueError(
            f"y must have one column for each of the {len(classes)} classes; got "
            f"{targets.shape[1]}."
        )
    targets /= targets.sum(1, keepdims=True)
    return classes, labelled, targets.astype(np.float32)


def check_columns(targets: np.ndarray) -> np.ndarray:
    """Return the numbers of the columns as classes, if every one has a probability."""
    if not len(targets):
        raise ValueError("y must label at least one sample; all rows are NaN.")
    empty = np.flatnonzero(~targets.any(0))
    if len(empty):
        raise ValueError(
            "y must give every class some probability in some row; column "
            f"{empty[0]} is 0 throughout."
        )
    return np.arange(targets.shape[1])


def check_rows(targets: np.ndarray, absent: np.ndarray) -> None:
    """Raise a ValueError that names the first row that is no distribution, if any."""
    with np.errstate(invalid="ignore", over="ignore"):
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
        are no numbers, negative, 2**60 or more, or all 0.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        means = masses.sum() / max(np.count_nonzero(masses), 1)
        known = masses > NEGLIGIBLE * masses.sum()
        return np.divide(means, masses, np.zeros_like(masses), where=known)
    with refusing(WEIGHTS_ACCEPTED):
        as_numbers(list(class_weight.values()))
        weights = compute_class_weight(class_weight, classes=classes, y=classes)
    if not (weights.any() and ((weights >= 0) & (weights < TOO_LARGE)).all()):
        raise ValueError(f"{WEIGHTS_ACCEPTED}; got {class_weight!r}.")
    return weights
