"""What X may be: arrays and what becomes or slices into some, tensors, datasets."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from sklearn_cce._checks import check_feature_names, check_n_features, is_sliced
from sklearn_cce._training.errors import lacks_memory
from sklearn_cce._training.pages import check_length, memory_map
from sklearn_cce._training.process import Stream, on_host
from sklearn_cce._training.sources import (
    ArraySource,
    DatasetSource,
    SlicedSource,
    Source,
    TensorSource,
    as_tensor,
    check_finite,
)
from sklearn_cce.modules import Scaling

ACCEPTED = (
    "X must hold finite real numbers, in an array of shape (n_samples, n_features) or "
    "(n_samples, ...), or in a dataset"
)

FLOATS_OF_NUMPY = (torch.float16, torch.float32, torch.float64)

MEMORY_SHARE = 0.5
"""Data that take more than this share of the free device memory stay on the host."""

N_PRECISION_ROWS = 1_024
"""Whether float32 holds the samples is judged by about so many of them."""

ROUNDING, N_STEPS = 2.0**-24, 2**10
"""Relative error of float32, and the least number of such steps that the spread of a
feature must have."""

SAME = 1e-12
"""A feature that varies by less than this part of its size is constant."""

SMALLEST, LARGEST = 1e-30, 1e30
"""Range within which samples, and what they are divided by, are safe in float32."""

SourceT = TypeVar("SourceT", bound=Source)


@contextlib.contextmanager
def naming_X() -> Iterator[None]:
    """Turn every error into a TypeError or ValueError that names X."""
    try:
        with on_host():
            yield
    except Exception as error:
        expected = isinstance(error, (TypeError, ValueError))
        if lacks_memory(error) or (expected and re.search(r"\bX\b", str(error))):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{ACCEPTED}; {error}") from error


@naming_X()
def check_samples(
    estimator: BaseEstimator,
    X: Any,
    device: torch.device,
    *,
    reset: bool,
    training: bool,
) -> Source:
    """Validate X and return the source of its samples.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are set, or checked.
    X : array-like, Tensor or Dataset of length n_samples
        Samples; or anything with shape, dtype and slices of rows.
    device : torch.device
        Where the samples are needed.
    reset : bool
        Whether the estimator is fitted anew, and so takes any number of features.
    training : bool
        Whether the samples are for training, and not for prediction.

    Returns
    -------
    Source
        The samples, without a copy where there need be none. Whether they are finite
        is left to their first use where X is a memory map, read in slices or a dataset,
        and in prediction.

    Raises
    ------
    ValueError, TypeError
        If X is not numeric, finite, non-empty, of two axes or more, or has other
        features than those seen in fit.
    """
    check_no_stream(X)
    dtype = None if reset else input_dtype(estimator.module_)
    if isinstance(X, Dataset):
        own = Stream(0, device) if training else None
        dataset = check_source(estimator, DatasetSource(X, device, own), reset)
        dataset.dtype = dtype or suitable_dtype(dataset)
        return dataset
    if isinstance(X, Tensor) and X.device.type != "cpu":
        source = check_source(estimator, TensorSource(with_data(X.detach())), reset)
        check_finite(source.X)
        return TensorSource(source.X.to(device, dtype or suitable_dtype(source)))
    if isinstance(X, Tensor):
        X = X.detach()
        unknown = X.is_floating_point() and X.dtype not in FLOATS_OF_NUMPY
        X = (X.float() if unknown else X).numpy()
    if is_sliced(X):
        check_slices(estimator, X, reset)
        slices = SlicedSource(X, device)
        slices.dtype = dtype or suitable_dtype(slices)
        return slices
    return check_array(estimator, X, device, dtype, reset, training)


def check_no_stream(X: Any) -> None:
    """Raise a TypeError if X gives samples one after the other, and has no length."""
    has_batches = hasattr(X, "iter_batches") or hasattr(X, "to_batches")
    counted = hasattr(X, "__len__") or hasattr(X, "shape")
    is_stream = isinstance(X, (IterableDataset, DataLoader, Iterator))
    if is_stream or (has_batches and not counted):
        raise TypeError(
            "X must be samples with a length, as an array or a map-style dataset is: "
            f"fit reads them several times; got {type(X).__name__}. Call partial_fit "
            "with one batch after another, and predict as well."
        )


def check_slices(estimator: BaseEstimator, X: Any, reset: bool) -> None:
    """Validate shape and type of samples that are read in slices, without reading."""
    if not all(isinstance(n, Integral) for n in X.shape):
        raise ValueError(f"X must be of known shape; got shape {X.shape}.")
    if X.dtype.kind not in "fiub":
        raise TypeError(f"got {type(X).__name__} of dtype {X.dtype}.")
    # An array of the same shape, in no memory, gives the errors that arrays give.
    alike = np.broadcast_to(np.zeros((), X.dtype), X.shape)
    with config_context(assume_finite=True):
        validate_data(estimator, alike, dtype=None, allow_nd=True, reset=reset)


def with_data(X: Tensor) -> Tensor:
    """Return a tensor of real numbers that autograd can use."""
    if X.is_meta or X.is_complex():
        raise TypeError(f"got a tensor of {X.dtype} on the device {X.device}.")
    return X.clone() if X.is_inference() else X


def check_array(
    estimator: BaseEstimator,
    X: Any,
    device: torch.device,
    dtype: torch.dtype | None,
    reset: bool,
    training: bool,
) -> Source:
    """Validate what scikit-learn takes as an array."""
    is_date = getattr(getattr(X, "dtype", None), "kind", None) in ("m", "M")
    if is_date and np.isnat(X).any():
        raise ValueError("X contains NaT, a date without a value.")
    file = memory_map(X)
    mapped = file is not None and X.dtype.kind in "fiub"
    narrow = dtype == torch.float32 or is_narrow(getattr(X, "dtype", None))
    wanted = None if mapped else np.float32 if narrow else np.float64
    if file is not None and mapped:
        check_length(file)
    if not training and is_like_seen(estimator, X):
        with quiet_casts():
            X = X.astype(wanted or X.dtype, copy=False)
    else:
        with config_context(assume_finite=mapped or not training), quiet_casts():
            X = validate_data(estimator, X, dtype=wanted, allow_nd=True, reset=reset)
    passes = not training and device.type != "cpu"
    stays = mapped or passes or 4 * X.size > room(device)
    source = ArraySource(X, device)
    source.dtype = dtype or suitable_dtype(source)
    return source if stays else TensorSource(as_tensor(X, device, source.dtype))


def is_like_seen(estimator: BaseEstimator, X: Any) -> bool:
    """Return whether scikit-learn's checks, slow for one row, would find nothing."""
    return (
        type(X) is np.ndarray
        and X.dtype in (np.float32, np.float64)
        and X.ndim == 2
        and len(X) > 0
        and X.shape[1] == getattr(estimator, "n_features_in_", None)
        and not hasattr(estimator, "feature_names_in_")
    )


def quiet_casts() -> np.errstate:
    """Return a context in which numbers too large for a type become infinite."""
    return np.errstate(over="ignore", invalid="ignore")


def is_narrow(dtype: Any) -> bool:
    """Return whether float32 holds all numbers of a type."""
    kind, size = getattr(dtype, "kind", "O"), getattr(dtype, "itemsize", 8)
    return kind == "b" or size <= {"f": 4, "i": 2, "u": 2}.get(kind, 0)


def input_dtype(module: nn.Module) -> torch.dtype:
    """Return the precision that a fitted network takes its samples in."""
    scaled = (layer for layer in module.modules() if isinstance(layer, Scaling))
    return next((layer.shift.dtype for layer in scaled), torch.float32)


def suitable_dtype(source: Source) -> torch.dtype:
    """Return float64 if in float32 the samples would lose what sets them apart."""
    if source.device.type == "mps":
        return torch.float32
    source.dtype, rows = torch.float64, torch.arange(len(source))
    X = source[rows[:: max(len(rows) // N_PRECISION_ROWS, 1)]]
    X = X.flatten(1).cpu().double()
    return torch.float32 if fits_float32(X.numpy()) else torch.float64


@quiet_casts()
def fits_float32(X: np.ndarray) -> bool:
    """Return whether rounding to float32 is small beside the spread of every feature.

    The spread is taken with and without the lowest and the highest tenth, since a few
    values far off hide how close the others are.
    """
    tenth = len(X) // 10
    inner = np.partition(X, (tenth, len(X) - 1 - tenth), axis=0)
    inner = inner[[tenth, len(X) - 1 - tenth]]
    ends = np.stack([X.min(0), X.max(0)])
    lossy = any(is_lossy(low, high).any() for low, high in (ends, inner))
    largest, widest = np.abs(ends).max(), (ends[1] - ends[0]).max()
    in_range = widest == 0 or widest >= SMALLEST
    return bool(in_range and largest <= LARGEST and not lossy)


def is_lossy(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return for which features float32 has few steps between two values."""
    largest, width = np.maximum(np.abs(low), np.abs(high)), high - low
    return (width > largest * SAME) & (width < largest * ROUNDING * N_STEPS)


def check_source(estimator: BaseEstimator, source: SourceT, reset: bool) -> SourceT:
    """Validate the shape of samples that are no array, and their number of features."""
    if len(source.shape) < 2 or 0 in source.shape:
        raise ValueError(
            "X must have at least one sample, and samples with at least one axis and "
            f"value; got shape {source.shape}."
        )
    check_feature_names(estimator, source, reset=reset)
    check_n_features(estimator, source, reset=reset)
    return source


def room(device: torch.device) -> float:
    """Return how many bytes of data may be put on the device."""
    if device.type != "cuda":
        return float("inf")
    return MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]
