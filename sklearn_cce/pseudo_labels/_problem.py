"""The convex problem of the pseudo-labels: its data, objective and lower bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ._checks import (
    LARGEST_PRICE,
    NEGLIGIBLE,
    check_probabilities,
    checked_fairness,
    checked_prior,
    normalised_weights,
)
from ._rows import solve_rows

# Entries of one chunk of rows: small enough for a core's cache, large enough to
# hide the overhead of a tensor operation.
_CHUNK_ENTRIES = {"cpu": 1 << 17}
_CHUNK_ENTRIES_ACCELERATOR = 1 << 24
# Largest relative error of one operation in float64.
_UNIT = torch.finfo(torch.float64).eps / 2


class Predictions(Protocol):
    """Predictions of all rows: a tensor, or what makes rows when asked for them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows and of classes."""

    @property
    def device(self) -> torch.device:
        """Where the rows are."""

    @property
    def dtype(self) -> torch.dtype:
        """That of the labels that are handed out."""

    def __getitem__(self, rows: slice, /) -> Tensor:
        """Predictions of some rows, of shape (n_rows, n_classes)."""


class Labels(Protocol):
    """Labels of all rows: a tensor, or a compact form that makes rows of it."""

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor:
        """Labels of some rows, of shape (n_rows, n_classes)."""


Rows = TypeVar("Rows", bound=Predictions, covariant=True)


@dataclass(frozen=True)
class Problem(Generic[Rows]):
    """Predictions, weights, prior and fairness weight of one labelling problem.

    Attributes
    ----------
    probabilities : Predictions of shape (n_samples, n_classes)
        The predictions s; every row lies on the simplex. A ``Problem[Tensor]`` has
        them as a tensor, which EM and projected gradient need.
    weights : Tensor of shape (n_samples,)
        Sample weights with mean 1, float64.
    prior : Tensor of shape (n_classes,)
        The target distribution u, float64.
    fairness_weight : float
        The weight of KL(u || mean of the labels), positive.
    """

    probabilities: Rows
    weights: Tensor
    prior: Tensor
    fairness_weight: float

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of classes."""
        n_samples, n_classes = self.probabilities.shape
        return n_samples, n_classes

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.probabilities.shape[0]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.probabilities.shape[1]

    def chunks(self) -> Iterator[slice]:
        """Slices of rows whose temporaries stay small."""
        return chunk_rows(self.probabilities)

    def mean_labels(self, labels: Labels) -> Tensor:
        """Weighted mean of the labels, float64, shape (n_classes,)."""
        total = torch.zeros_like(self.prior)
        for rows in self.chunks():
            part = labels[rows].double()
            total += (self.weights[rows] / part.sum(1)) @ part
        return total / self.n_samples

    def mean(self, matrix: Labels) -> Tensor:
        """Weighted mean of the rows as they are, float64, shape (n_classes,)."""
        total = torch.zeros_like(self.prior)
        for rows in self.chunks():
            total += self.weights[rows] @ matrix[rows].double()
        return total / self.n_samples

    def prices(self, mean_labels: Tensor) -> Tensor:
        """Prices lambda u / mean, the derivative of the balance term."""
        mean = mean_labels.clamp_min(NEGLIGIBLE)
        return (self.fairness_weight * self.prior / mean).clamp_max(LARGEST_PRICE)

    def balance(self, mean_labels: Tensor) -> Tensor:
        """Lambda KL(u || mean of the labels), a scalar tensor."""
        ratio = self.prior / mean_labels
        return self.fairness_weight * torch.xlogy(self.prior, ratio).nansum()

    def fairness(self, mean_labels: Tensor) -> Tensor:
        """The balance term, freed of the rounding that all classes have in common."""
        return self.balance(mean_labels / mean_labels.sum())

    def objective(self, labels: Labels) -> float:
        """The full objective at labels on the simplex, balance term included.

        Rows need not be normalised to the last bit.
        """
        mean, loss = torch.zeros_like(self.prior), self.weights.new_zeros(())
        for rows in self.chunks():
            part, weights = labels[rows].double(), self.weights[rows]
            total = part.sum(1)
            mean += (weights / total) @ part
            match = torch.linalg.vecdot(part, self.probabilities[rows].double())
            loss -= torch.xlogy(weights, match / total).sum()
        return float(loss / self.n_samples + self.fairness(mean / self.n_samples))

    def lower_bound(self, prices: Tensor) -> float:
        """The dual function: at most the optimum, for any positive prices."""
        return self.certify(prices).bound

    def certify(self, prices: Tensor) -> Certificate:
        """The lower bound at given prices, and what rounding takes from it."""
        log_t, excess = self.weights.new_zeros(2)
        for rows in self.chunks():
            share = self.weights[rows] / self.n_samples
            row = solve_rows(self.probabilities[rows].to(prices.dtype), prices)
            log_t += share @ torch.log(row.t)
            excess += share @ (row.height - self.fairness_weight)
        figures = torch.stack(dual_figures(self, prices, log_t, excess))
        return certificate(self, *figures.tolist())


def chunk_rows(matrix: Predictions) -> Iterator[slice]:
    """Slices of the rows of a matrix whose temporaries stay small."""
    n_rows, n_columns = matrix.shape
    entries = _CHUNK_ENTRIES.get(matrix.device.type, _CHUNK_ENTRIES_ACCELERATOR)
    rows = max(256, entries // n_columns)
    for start in range(0, n_rows, rows):
        yield slice(start, min(start + rows, n_rows))


class Certificate(NamedTuple):
    """A lower bound of the optimum, and by how much rounding has lowered it."""

    bound: float
    rounding: float


def dual_figures(
    problem: Problem[Predictions], prices: Tensor, log_t: Tensor, excess: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The dual function, and the sizes of what it sums over rows and over prices.

    Prices are near the fairness weight where that is large, so heights and prices are
    taken relative to it: the sums over rows are then small, and so is their rounding.

    Parameters
    ----------
    problem : Problem
    prices : Tensor of shape (n_classes,)
    log_t, excess : Tensor of shape ()
        Weighted means over the rows of the logarithm of t and of the height above the
        fairness weight, see ``solve_rows``.
    """
    weight = problem.fairness_weight
    terms = torch.xlogy(problem.prior, prices / weight)
    value = torch.add(log_t - excess + 1, terms.sum(), alpha=weight)
    return value, excess + log_t, torch.linalg.vector_norm(terms, 1)


def certificate(
    problem: Problem[Predictions], value: float, of_rows: float, of_prices: float
) -> Certificate:
    """The dual function less all that rounding may have done to it or the objective.

    Sums over rows are taken in chunks, so their terms pass through at most as many
    additions as a chunk has rows and there are chunks. The objective's error counts
    here too: then ``objective - bound`` is at least the distance to the optimum, and
    the objective is reported as it was computed. An error that the mean labels have in
    common does not touch it, any other counts with the imbalance, of which the
    logarithms of the prices are a bound, and of how far heights may lie below zero.

    Parameters
    ----------
    problem : Problem
    value, of_rows, of_prices : float
        See ``dual_figures``.
    """
    n_classes, rows = problem.n_classes, next(problem.chunks()).stop
    depth = rows + problem.n_samples // rows + 4 * n_classes + 8
    weight = problem.fairness_weight
    of_rows = 2 * (of_rows + 4 * weight * of_prices + abs(value) + 5)
    of_prices = weight * (of_prices + 1)
    rounding = _UNIT * (depth * of_rows + (n_classes + 8) * of_prices)
    return Certificate(value - rounding, rounding)


def relative_gap(objective: float, lower_bound: float) -> float:
    """The certificate: (objective - lower bound) / max(1, abs(objective))."""
    return (objective - lower_bound) / max(1.0, abs(objective))


def build_problem(
    probabilities: Tensor,
    fairness_weight: Any,
    prior: Any,
    sample_weight: Any,
) -> Problem[Tensor]:
    """Check the user's input and put it into the form that the solvers take."""
    check_probabilities(probabilities)
    n_samples, n_classes = probabilities.shape
    device = probabilities.device
    return Problem(
        probabilities=probabilities,
        weights=normalised_weights(sample_weight, n_samples, device),
        prior=checked_prior(prior, n_classes, device),
        fairness_weight=checked_fairness(fairness_weight),
    )
