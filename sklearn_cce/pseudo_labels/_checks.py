"""What the user hands to the solver, checked and turned into numbers and tensors."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_cce._checks import (
    SHARES_TOLERANCE,
    as_float,
    as_whole,
    is_real,
    refusing,
    type_of,
)

# Where double precision tells no difference: a fairness weight below the range hardly
# weighs, above it no labels are more balanced.
FAIRNESS_RANGE = 1e-20, 1e15
# Room for products and ratios of prices in single precision, which ends at 3e38.
LARGEST_PRICE = 1e30
# A class or a row with less than its share of the prior or of the largest weight adds
# less to the objective than double precision tells.
_NEGLIGIBLE_PRIOR, _NEGLIGIBLE_WEIGHT = 1e-18, 1e-30
# Smallest mean label, or price, that is divided by: its inverse is a price that single
# precision holds with room for products.
NEGLIGIBLE = 1e-30
# Rows may be off by what single precision and a rough softmax leave.
_ROW_ERROR = 1e-2

_INFINITY = float("inf")


def check_number(
    name: str, value: Any, accepted: str, test: Callable[[float], bool]
) -> float:
    """A real number that passes the test, also from an array without axes."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if not is_real(value):
        raise TypeError(f"{name} must be {accepted}, got {value!r}")
    number = as_float(value)
    if not test(number):  # also catches NaN
        raise ValueError(f"{name} must be {accepted}, got {value!r}")
    return number


def confined(fairness_weight: float) -> float:
    """The nearest fairness weight that makes a difference in double precision."""
    lowest, highest = FAIRNESS_RANGE
    return min(max(fairness_weight, lowest), highest)


def checked_fairness(fairness_weight: Any) -> float:
    """The fairness weight, in the range that double precision can use."""
    weight = check_number(
        "fairness_weight",
        fairness_weight,
        "a positive finite number",
        lambda value: 0 < value < _INFINITY,
    )
    return confined(weight)


def checked_steps(max_iter: Any) -> int:
    """The largest number of iterations."""
    steps = as_whole(max_iter)
    if steps < 1:
        whole = isinstance(max_iter, numbers.Integral)
        kind = ValueError if whole and not isinstance(max_iter, bool) else TypeError
        raise kind(f"max_iter must be a positive integer, got {max_iter!r}")
    return min(steps, 2**62)


def real_array(name: str, values: Any) -> np.ndarray:
    """Real numbers as an array; those of a table or series by position."""
    with refusing(f"{name} must be an array of real numbers", kind=TypeError):
        array = np.asarray(values)
        if np.ma.is_masked(values):
            raise ValueError("masked entries have no value")
        if array.dtype.kind == "O" and array.ndim:
            array = np.array([_real(v) for v in array.flat]).reshape(array.shape)
    if array.dtype.kind not in "fiub":
        got = array.dtype if array.ndim else type(values).__name__
        raise TypeError(f"{name} must be real numbers, got {got}")
    return array


def _real(value: Any) -> float:
    if not isinstance(value, numbers.Real):
        raise TypeError(f"got {value!r}")
    return float(value)


def check_dense(name: str, tensor: Tensor) -> None:
    """Raise a TypeError for sparse, blocked and nested tensors, or without data."""
    # A subclass may hold its data elsewhere than its storage says.
    is_empty = tensor.is_meta and type(tensor) is Tensor
    if tensor.layout != torch.strided or tensor.is_nested or is_empty:
        raise TypeError(
            f"{name} must be a dense tensor with data, got {tensor.layout} on "
            f"{tensor.device}"
        )


def check_floating(name: str, tensor: Any) -> None:
    """Raise a TypeError for what is no dense tensor of floating-point numbers."""
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        raise TypeError(f"{name} must be a floating tensor, got {type_of(tensor)}")
    check_dense(name, tensor)


def real_tensor(name: str, values: Any, device: torch.device) -> Tensor:
    """Real numbers as a tensor of float64, row after row: sums round by their order."""
    if not isinstance(values, Tensor):
        with np.errstate(over="ignore"):
            array = real_array(name, values).astype(np.float64, order="C")
            values = torch.from_numpy(array)
    check_dense(name, values)
    if values.is_complex():
        raise TypeError(f"{name} must be real numbers, got {values.dtype}")
    return values.detach().to(device, torch.float64).contiguous()


def _check_range(name: str, values: Tensor) -> None:
    low, high = (float(v) for v in torch.aminmax(values))
    if not (low >= 0 and high < _INFINITY):
        raise ValueError(f"{name} must be finite and non-negative")
    if high == 0:
        raise ValueError(f"{name} must have at least one positive entry")


def _vector(name: str, values: Any, length: int, device: torch.device) -> Tensor:
    vector = real_tensor(name, values, device)
    if tuple(vector.shape) != (length,):
        raise ValueError(
            f"{name} must have shape ({length},), got {tuple(vector.shape)}"
        )
    _check_range(name, vector)
    return vector


def normalised_weights(
    sample_weight: Any, n_samples: int, device: torch.device
) -> Tensor:
    """Weights with mean 1; the negligible ones are 0."""
    if sample_weight is None:
        return torch.ones(n_samples, dtype=torch.float64, device=device)
    weights = _vector("sample_weight", sample_weight, n_samples, device)
    weights = weights / weights.max()
    weights = torch.where(weights < _NEGLIGIBLE_WEIGHT, 0.0, weights)
    return weights / weights.mean()


def checked_prior(prior: Any, n_classes: int, device: torch.device) -> Tensor:
    """The prior with sum 1; negligible entries are 0."""
    if prior is None:
        return torch.full(
            (n_classes,), 1 / n_classes, dtype=torch.float64, device=device
        )
    vector = _vector("prior", prior, n_classes, device)
    if abs(float(vector.sum()) - 1) > SHARES_TOLERANCE:
        raise ValueError(f"prior must sum to 1, got {float(vector.sum()):.6g}")
    vector = torch.where(vector < _NEGLIGIBLE_PRIOR, 0.0, vector)
    return vector / vector.sum()


def check_probabilities(probabilities: Tensor) -> None:
    """Raise a ValueError unless every row lies on the simplex."""
    shape = tuple(probabilities.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            "probabilities must have shape (n_samples, n_classes) with at least one"
            f" row and one column, got {shape}"
        )
    sums = probabilities @ probabilities.new_ones(shape[1])
    figures = *torch.aminmax(probabilities), *torch.aminmax(sums)
    low, high, least, most = torch.stack(figures).tolist()
    if not (low >= 0 and high < _INFINITY):  # also catches NaN
        raise ValueError(
            f"probabilities must be finite and non-negative, got [{low}, {high}]"
        )
    error = max(1 - least, most - 1)
    if error > _ROW_ERROR:
        raise ValueError(
            f"rows of probabilities must sum to 1, got a row that is off by {error:.3g}"
        )


def checked_init(
    init: Any, shape: tuple[int, int], device: torch.device
) -> Tensor | None:
    """Prices or labels to start from, in a range that leaves room for their sums."""
    if init is None:
        return None
    start = real_tensor("init", init, device)
    shapes = shape[1:], shape
    if tuple(start.shape) not in shapes:
        raise ValueError(
            f"init must have shape {shapes[0]} (prices) or {shapes[1]} (labels), got"
            f" {tuple(start.shape)}"
        )
    _check_range("init", start)
    if start.ndim == 2:
        return start / start.amax(1, keepdim=True).clamp_min(1.0)
    return torch.where(start > 0, start.clamp(NEGLIGIBLE, LARGEST_PRICE), 0.0)
