"""What X may be: arrays and what becomes one, device tensors, torch datasets."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    validate_data,
)
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_cce._batches import (
    ArraySource,
    DatasetSource,
    Source,
    TensorSource,
    as_tensor,
    check_finite,
    check_length,
    memory_map,
)
from sklearn_cce._errors import lacks_memory
from sklearn_cce._process import Stream, on_host

ACCEPTED = (
    "X must hold finite real numbers, in an array of shape (n_samples, n_features) or "
    "(n_samples, ...), or in a dataset"
)

FLOATS_OF_NUMPY = (torch.float16, torch.float32, torch.float64)

MEMORY_SHARE = 0.5
"""Data that take more than this share of the free device memory stay on the host."""


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
        Samples.
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
        is left to their first use where X is a memory map or a dataset, and in
        prediction.

    Raises
    ------
    ValueError, TypeError
        If X is not numeric, finite, non-empty, of two axes or more, or has other
        features than those seen in fit.
    """
    if isinstance(X, Dataset):
        own = Stream(0, device) if training else None
        return check_source(estimator, DatasetSource(X, device, own), reset)
    if isinstance(X, Tensor) and X.device.type != "cpu":
        source = check_source(estimator, TensorSource(with_data(X.detach())), reset)
        check_finite(source.X)
        return TensorSource(source.X.to(device, torch.float32))
    if isinstance(X, Tensor):
        X = X.detach()
        unknown = X.is_floating_point() and X.dtype not in FLOATS_OF_NUMPY
        X = (X.float() if unknown else X).numpy()
    return check_array(estimator, X, device, reset, training)


def with_data(X: Tensor) -> Tensor:
    """Return a tensor of real numbers that autograd can use."""
    if X.is_meta or X.is_complex():
        raise TypeError(f"got a tensor of {X.dtype} on the device {X.device}.")
    return X.clone() if X.is_inference() else X


def check_array(
    estimator: BaseEstimator,
    X: ArrayLike,
    device: torch.device,
    reset: bool,
    training: bool,
) -> Source:
    """Validate what scikit-learn takes as an array."""
    file = memory_map(X)
    mapped = file is not None and X.dtype.kind in "fiub"
    dtype = None if mapped else np.float32
    if mapped:
        check_length(file)
    with config_context(assume_finite=mapped or not training):
        X = validate_data(estimator, X, dtype=dtype, allow_nd=True, reset=reset)
    passes = not training and device.type != "cpu"
    stays = mapped or passes or 4 * X.size > room(device)
    return ArraySource(X, device) if stays else TensorSource(as_tensor(X, device))


def check_source(estimator: BaseEstimator, source: Source, reset: bool) -> Source:
    """Validate the shape of samples that are no array, and their number of features."""
    if len(source.shape) < 2 or 0 in source.shape:
        raise ValueError(
            "X must have at least one sample, and samples with at least one axis and "
            f"value; got shape {source.shape}."
        )
    _check_feature_names(estimator, source, reset=reset)
    _check_n_features(estimator, source, reset=reset)
    return source


def check_weight(sample_weight: ArrayLike | None, source: Source) -> Tensor | None:
    """Return the weights as float64 on the host, below 1; None where all are equal."""
    if sample_weight is None:
        return None
    weight = _check_sample_weight(
        sample_weight, np.empty(len(source)), dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError("sample_weight must have a positive entry; all are 0.")
    return torch.from_numpy(np.ldexp(weight, -np.frexp(weight.max())[1]))


def room(device: torch.device) -> float:
    """Return how many bytes of data may be put on the device."""
    if device.type != "cuda":
        return float("inf")
    return MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]
