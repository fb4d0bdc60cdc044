"""What users give, read as numbers, and what is said of it."""

from __future__ import annotations

import contextlib
import math
import operator
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn import base, utils
from sklearn.utils import (
    _param_validation,
    assert_all_finite,
    check_array,
    metaestimators,
    validation,
)
from sklearn.utils.validation import check_non_negative

# Private names of scikit-learn, that are used under these names and nowhere else.
fit_context = base._fit_context
Interval, StrOptions = _param_validation.Interval, _param_validation.StrOptions
HasMethods = _param_validation.HasMethods
InvalidParameterError = _param_validation.InvalidParameterError
take_rows = utils._safe_indexing
num_samples = validation._num_samples
check_feature_names = validation._check_feature_names
check_n_features = validation._check_n_features


def take_part(estimator: Any, X: Any, rows: np.ndarray) -> Any:
    """Return some samples, and of a graph or distances those between them alone."""
    return metaestimators._safe_split(estimator, X, None, rows)[0]


SHARES_TOLERANCE = 1e-4
"""How far the sum of shares, perhaps of float32, may be from 1."""


def type_of(value: Any) -> str:
    """Return the type of the numbers of an array or tensor, or that of anything."""
    return str(getattr(value, "dtype", type(value).__name__))


def is_sliced(X: Any) -> bool:
    """Return whether it is no array, but gives arrays for slices of its rows.

    Such as arrays of zarr and Dask, and datasets of h5py: anything with a shape of two
    axes or more and a dtype of NumPy, but arrays that are in memory.
    """
    if isinstance(X, np.ndarray) or hasattr(X, "__array_namespace__") or issparse(X):
        return False
    shape = getattr(X, "shape", None)
    return (
        isinstance(shape, tuple)
        and len(shape) > 1
        and isinstance(getattr(X, "dtype", None), np.dtype)
        and hasattr(X, "__getitem__")
    )


UNREADABLE = TypeError, ValueError, RuntimeError, ArithmeticError
"""What is raised where something cannot be read as numbers or labels."""


@contextlib.contextmanager
def refusing(
    accepted: str,
    caught: type[Exception] | tuple[type[Exception], ...] = UNREADABLE,
    kind: type[Exception] = ValueError,
) -> Iterator[None]:
    """Turn errors that reading a parameter raises into one that says what it may be.

    Parameters
    ----------
    accepted : str
        The name of the parameter, and what it must be.
    caught : type of exception, or tuple of these, default=UNREADABLE
        What to turn.
    kind : type of exception, default=ValueError
        What to raise instead.
    """
    try:
        yield
    except caught as error:
        raise kind(f"{accepted}; {error}") from error


def is_real(value: Any) -> bool:
    """Return whether it is a real number, and no truth value or duration."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.timedelta64))


def as_float(value: Any) -> float:
    """Return a real number as a float, infinite beyond the range, NaN for what is none.

    The numbers of NumPy overflow in arithmetic, and not all numbers multiply tensors.
    """
    try:
        return float(value) if is_real(value) else math.nan
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_whole(value: Any) -> int:
    """Return a whole number as an int, or 0 for what is none, such as a truth value."""
    if isinstance(value, (bool, np.bool_)):
        return 0
    try:
        return operator.index(value)
    except TypeError:
        return 0


def whole_number(name: str, value: Any) -> int:
    """Return a parameter as an int of at least 1, or raise a ValueError that names it.

    Parameters
    ----------
    name : str
        Its name.
    value : object
        What the user gave.

    Returns
    -------
    int
        The value; the integers of NumPy, which overflow, become Python's.
    """
    number = as_whole(value)
    if number < 1:
        raise ValueError(f"{name} must be an int of at least 1; got {value!r}.")
    return number


def whole_entries(values: Any) -> tuple[int, ...] | None:
    """Return the entries of a sequence of whole numbers of at least 1 as ints.

    None is returned where it is no sequence, such as text or a set, or an entry is no
    such number.
    """
    sequence = isinstance(values, Sequence) or getattr(values, "ndim", 0) == 1
    if not sequence or isinstance(values, (str, bytes, bytearray)):
        return None
    entries = tuple(map(as_whole, values))
    return entries if all(entry >= 1 for entry in entries) else None


RUNS_MANY = ("sklearn.model_selection", "joblib")
"""Modules that fit many estimators for the user."""

NEGLIGIBLE = 2.0**-100
"""Weights below this share of the largest come to 0; single precision holds others."""


def to_array(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return an array of what may be a list, column or tensor, and what is missing.

    Lists of mixed types become arrays of objects, so that numbers stay numbers.

    Parameters
    ----------
    values : object
        Anything.

    Returns
    -------
    array : ndarray
        Its values; without axes where it is no array.
    missing : ndarray of the same shape, bool
        Where it has None, NaN, NaT or NA, or is masked.

    Raises
    ------
    TypeError
        If it is ragged, or is a tensor that holds no values.
    """
    masked = np.ma.getmask(values) if isinstance(values, np.ma.MaskedArray) else False
    sequence = isinstance(values, Sequence) and not isinstance(values, str)
    mixed = sequence and len({type(value) for value in values}) > 1
    nullable = not isinstance(getattr(values, "dtype", None), (np.dtype, type(None)))
    try:
        if isinstance(values, torch.Tensor):
            array = tensor_to_array(values)
        else:
            array = np.asarray(values, dtype=object if mixed or nullable else None)
        if array.dtype.kind == "T":
            array = array.astype(object)
        return array, is_missing(array) | masked
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise TypeError(str(error)) from error


def tensor_to_array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's values; NumPy has no floating-point numbers of some types."""
    tensor = tensor.detach().cpu()
    small = tensor.is_floating_point() and tensor.element_size() < 4
    return (tensor.float() if small else tensor).numpy()


def is_missing(array: np.ndarray) -> np.ndarray:
    """Return where an array has None, NaN, NaT or NA."""
    tests: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "O": map_objects(marks_missing),
        "f": np.isnan,
        "M": np.isnat,
        "m": np.isnat,
    }
    if not array.ndim or array.dtype.kind not in tests:
        return np.zeros(array.shape, bool)
    return tests[array.dtype.kind](array)


def marks_missing(value: Any) -> bool:
    """Return whether an object is None, NaN, NaT or NA."""
    differs = value != value
    if isinstance(differs, (bool, np.bool_)):
        return value is None or bool(differs)
    # pandas' NA and NumPy's masked say neither yes nor no, but return themselves.
    return differs is value


def map_objects(test: Callable[[Any], bool]) -> Callable[[np.ndarray], np.ndarray]:
    """Return what applies a test to every entry of an array of objects."""
    return lambda array: np.frompyfunc(test, 1, 1)(array).astype(bool)


def as_numbers(values: Any) -> np.ndarray:
    """Return real numbers as float64, NaN where one is missing, or raise a TypeError.

    Text is not read as numbers, and complex numbers are not cut to their real parts.
    """
    return numeric(*to_array(values))


def numeric(array: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return an array as float64, NaN where it is missing, or raise a TypeError."""
    objects = array.dtype.kind == "O"
    types = (Real, Decimal, np.bool_)
    if objects and array.ndim:
        fits = all(isinstance(value, types) for value in array[~missing])
    else:
        fits = array.dtype.kind in "biuf"
    if not fits:
        raise TypeError("there must be real numbers only.")
    array = np.where(missing, np.nan, array) if objects else array
    try:
        with np.errstate(over="ignore"):
            numbers = array.astype(np.float64)
    except OverflowError as error:
        raise TypeError(str(error)) from error
    numbers[missing] = np.nan
    return numbers


def check_finite_numbers(numbers: np.ndarray, name: str) -> None:
    """Raise a ValueError that names the parameter if a number is not finite."""
    with np.errstate(invalid="ignore"):
        assert_all_finite(numbers, input_name=name)


def check_probabilities(probabilities: ArrayLike) -> np.ndarray:
    """Return a table of probabilities, or raise a ValueError that names it."""
    with (
        refusing("probabilities must be a table of numbers"),
        np.errstate(over="ignore"),
    ):
        checked = check_array(
            probabilities, dtype=[np.float64, np.float32], input_name="probabilities"
        )
        sums = checked.sum(axis=1)
    if checked.min() < 0 or not np.allclose(sums, 1, atol=1e-3):
        raise ValueError(
            "probabilities must be non-negative, with rows that sum to 1 within 1e-3."
        )
    return checked


_said: set[tuple[str, int, str]] = set()
"""Where scikit-learn ran many fits for the user, and what was said of them there."""


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called this package, be it through scikit-learn.

    Of the many fits of a search only the first one says it. Python's default filter
    would see to that, but forgets what was said whenever scikit-learn catches warnings.
    """
    frame, level, of_many = sys._getframe(1), 2, False
    while frame.f_back is not None and is_library(frame.f_globals.get("__name__", "")):
        of_many |= frame.f_globals["__name__"].startswith(RUNS_MANY)
        frame, level = frame.f_back, level + 1
    place = frame.f_code.co_filename, frame.f_lineno, text
    if of_many and place in _said:
        return
    if of_many:
        _said.add(place)
    warnings.warn(text, category, stacklevel=level)


def is_library(module: str) -> bool:
    """Return whether a module is of this package or of those that call it for users."""
    return module.partition(".")[0] in ("sklearn_cce", "sklearn", "joblib")


def check_weight(sample_weight: ArrayLike | None, samples: Any) -> np.ndarray | None:
    """Return the weights as float64 on the host, below 1; None where all are equal."""
    if sample_weight is None:
        return None
    n_samples = len(samples)
    accepted = f"sample_weight must be {n_samples} non-negative numbers, one per sample"
    if getattr(sample_weight, "dtype", None) == np.dtype(object):
        raise ValueError(f"{accepted}; got an array of objects.")
    with refusing(accepted, TypeError):
        weight = as_numbers(sample_weight)
    if weight.shape not in ((), (n_samples,)):
        raise ValueError(f"{accepted}; got shape {weight.shape}.")
    check_finite_numbers(weight, "sample_weight")
    check_non_negative(weight, "`sample_weight`")
    if not weight.any():
        raise ValueError("sample_weight must not be zero for all samples.")
    weight = np.broadcast_to(weight, n_samples)
    weight = np.ldexp(weight, -np.frexp(weight.max())[1])
    weight[weight < NEGLIGIBLE] = 0
    return weight


LARGEST = float(np.finfo(np.float64).max)
LARGEST_WEIGHT = float(np.finfo(np.float32).max)
"""No number among the parameters may be larger, and no fairness weight."""

PLAIN: dict[Any, Callable[[Any], Any]] = {(Integral, np.bool_): int, Real: float}


def plain_number(name: str, value: Any) -> Any:
    """Return a number as one of Python, which does not overflow; all else as it is."""
    for kind, make in PLAIN.items():
        if isinstance(value, kind):
            number = make(value)
            largest = LARGEST_WEIGHT if name == "fairness_weight" else LARGEST
            if abs(number) > largest:
                raise ValueError(f"{name} must be at most {largest:g}; got {value!r}.")
            return number
    return value
