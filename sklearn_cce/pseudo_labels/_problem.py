"""The convex problem of the pseudo-labels: its data, objective and lower bound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ._rows import solve_rows

# Entries of one chunk of rows: small enough for a core's cache, large enough to
# hide the overhead of a tensor operation.
_CHUNK_ENTRIES = {"cpu": 1 << 17}
_CHUNK_ENTRIES_ACCELERATOR = 1 << 24


@dataclass(frozen=True)
class Problem:
    """Predictions, weights, prior and fairness weight of one labelling problem.

    Attributes
    ----------
    probabilities : Tensor of shape (n_samples, n_classes)
        The predictions s; every row lies on the simplex.
    weights : Tensor of shape (n_samples,)
        Sample weights with mean 1, float64.
    prior : Tensor of shape (n_classes,)
        The target distribution u, float64.
    fairness_weight : float
        The weight of KL(u || mean of the labels), positive.
    """

    probabilities: Tensor
    weights: Tensor
    prior: Tensor
    fairness_weight: float

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.probabilities.shape[0]

    @property
    def n_classes(self) -> int:
        """Number of columns."""
        return self.probabilities.shape[1]

    def chunks(self) -> Iterator[slice]:
        """Slices of rows whose temporaries stay small."""
        return chunk_rows(self.probabilities)

    def take(self, rows: slice) -> Problem:
        """The problem of some of the rows."""
        weights = self.weights[rows]
        if not bool(weights.any()):
            return self
        weights = weights / weights.mean()
        return replace(self, probabilities=self.probabilities[rows], weights=weights)

    def mean_labels(self, labels: Tensor) -> Tensor:
        """Weighted mean of the labels, float64, shape (n_classes,)."""
        total = torch.zeros_like(self.prior)
        for rows in self.chunks():
            part = labels[rows].double()
            total += (self.weights[rows] / part.sum(1)) @ part
        return total / self.n_samples

    def mean_predictions(self) -> Tensor:
        """Weighted mean of the predictions, float64, shape (n_classes,)."""
        total = torch.zeros_like(self.prior)
        for rows in self.chunks():
            total += self.weights[rows] @ self.probabilities[rows].double()
        return total / self.n_samples

    def prices(self, mean_labels: Tensor) -> Tensor:
        """Prices lambda u / mean, the derivative of the balance term."""
        return self.fairness_weight * self.prior / mean_labels.clamp_min(1e-30)

    def balance(self, mean_labels: Tensor) -> Tensor:
        """Lambda KL(u || mean of the labels), a scalar tensor."""
        ratio = self.prior / mean_labels
        return self.fairness_weight * torch.xlogy(self.prior, ratio).nansum()

    def objective(self, labels: Any) -> float:
        """The full objective at labels on the simplex, balance term included.

        ``labels`` is a matrix, or gives rows on demand when indexed with a slice.
        """
        mean, loss = torch.zeros_like(self.prior), self.weights.new_zeros(())
        for rows in self.chunks():
            part, weights = labels[rows].double(), self.weights[rows]
            total = part.sum(1)
            mean += (weights / total) @ part
            match = torch.linalg.vecdot(part, self.probabilities[rows].double())
            loss -= torch.xlogy(weights, match / total).sum()
        return float(loss / self.n_samples + self.balance(mean / self.n_samples))

    def lower_bound(self, prices: Tensor) -> float:
        """The dual function: at most the optimum, for any positive prices."""
        value = self.weights.new_zeros(())
        for rows in self.chunks():
            solution = solve_rows(self.probabilities[rows].to(prices.dtype), prices)
            value -= self.weights[rows] @ solution.value
        return float(value / self.n_samples + dual_balance(self, prices))


def chunk_rows(matrix: Tensor) -> Iterator[slice]:
    """Slices of the rows of a matrix whose temporaries stay small."""
    n_rows, n_columns = matrix.shape
    entries = _CHUNK_ENTRIES.get(matrix.device.type, _CHUNK_ENTRIES_ACCELERATOR)
    rows = max(256, entries // n_columns)
    for start in range(0, n_rows, rows):
        yield slice(start, min(start + rows, n_rows))


def dual_balance(problem: Problem, prices: Tensor) -> Tensor:
    """The part of the dual that comes from the balance term, a scalar tensor."""
    weight, prior = problem.fairness_weight, problem.prior
    return weight * (1 - math.log(weight) + torch.xlogy(prior, prices).sum())


def relative_gap(objective: float, lower_bound: float) -> float:
    """The certificate: (objective - lower bound) / max(1, abs(objective))."""
    return (objective - lower_bound) / max(1.0, abs(objective))


def build_problem(
    probabilities: Tensor,
    fairness_weight: float,
    prior: Any,
    sample_weight: Any,
) -> Problem:
    """Check the user's input and put it into the form that the solvers take."""
    _check_probabilities(probabilities)
    n_samples, n_classes = probabilities.shape
    device = probabilities.device
    return Problem(
        probabilities=probabilities,
        weights=_normalised_weights(sample_weight, n_samples, device),
        prior=_checked_prior(prior, n_classes, device),
        fairness_weight=_checked_positive("fairness_weight", fairness_weight),
    )


def _checked_positive(name: str, value: Any) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} must be a positive finite number, got {value!r}")
    return number


def _check_probabilities(probabilities: Tensor) -> None:
    shape = tuple(probabilities.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            "probabilities must have shape (n_samples, n_classes) with at least one"
            f" row and one column, got {shape}"
        )
    sums = probabilities @ probabilities.new_ones(shape[1])
    figures = *torch.aminmax(probabilities), *torch.aminmax(sums)
    low, high, least, most = torch.stack(figures).tolist()
    if not (low >= 0 and high < float("inf")):  # also catches NaN
        raise ValueError(
            f"probabilities must be finite and non-negative, got [{low}, {high}]"
        )
    error = max(1 - least, most - 1)
    if error > 1e-2:
        raise ValueError(
            f"rows of probabilities must sum to 1, got a row that is off by {error:.3g}"
        )


def _vector(name: str, values: Any, length: int, device: torch.device) -> Tensor:
    vector = torch.as_tensor(values, dtype=torch.float64, device=device).detach()
    if tuple(vector.shape) != (length,):
        raise ValueError(
            f"{name} must have shape ({length},), got {tuple(vector.shape)}"
        )
    low, high = (float(v) for v in torch.aminmax(vector))
    if not (low >= 0 and high < float("inf")):
        raise ValueError(f"{name} must be finite and non-negative")
    if high == 0:
        raise ValueError(f"{name} must have at least one positive entry")
    return vector


def _normalised_weights(
    sample_weight: Any, n_samples: int, device: torch.device
) -> Tensor:
    if sample_weight is None:
        return torch.ones(n_samples, dtype=torch.float64, device=device)
    weights = _vector("sample_weight", sample_weight, n_samples, device)
    weights = weights / weights.max()
    return weights / weights.mean()


def _checked_prior(prior: Any, n_classes: int, device: torch.device) -> Tensor:
    if prior is None:
        return torch.full(
            (n_classes,), 1 / n_classes, dtype=torch.float64, device=device
        )
    vector = _vector("prior", prior, n_classes, device)
    if abs(float(vector.sum()) - 1) > 1e-4:
        raise ValueError(f"prior must sum to 1, got {float(vector.sum()):.6g}")
    return vector / vector.sum()
