"""Newton's method on the K prices alone: quick where the dual function is smooth.

The dual function is concave and, where no three lines of a row meet, has a continuous
gradient. A row that is split over the classes l and h adds ``w / (nu_l - nu_h)^2``
times the Laplacian of the edge (l, h) to the second derivative; a row with one class
adds nothing. Nothing of size N x K is kept, only the two classes of each row.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .._problem import Predictions, Problem, certificate, dual_figures, relative_gap
from .._rows import solve_rows
from ._labels import PairLabels

# Share of the way to a price of 0 that a step goes at most.
_TO_ZERO = 0.9
# The curvature of a class without prior, as good as infinite: its price stays 0.
_FIXED = 1e30
# What a step must leave of the gap at most. Where the dual function has kinks, steps
# gain little, and other ways are quicker.
_LEFT = 0.5


class DualState(NamedTuple):
    """What one pass over the predictions tells about given prices."""

    prices: Tensor
    labels: PairLabels
    mean: Tensor
    objective: float
    bound: float

    @property
    def gap(self) -> float:
        """Relative gap between the labels that the prices imply and the bound."""
        return relative_gap(self.objective, self.bound)


def dual_pass(problem: Problem[Predictions], prices: Tensor) -> DualState:
    """Dual function, gradient, and the labels that the prices imply."""
    mean = torch.zeros_like(prices)
    loss, excess = prices.new_zeros(2)
    labels = _empty_pairs(problem)
    for rows in problem.chunks():
        share = problem.weights[rows] / problem.n_samples
        row = solve_rows(problem.probabilities[rows].double(), prices)
        labels.low[rows], labels.high[rows] = row.low, row.high
        labels.share_high[rows] = row.share_high
        high = share * row.share_high
        mean.index_add_(0, row.high, high).index_add_(0, row.low, share - high)
        loss += share @ torch.log(row.t)
        excess += share @ (row.height - problem.fairness_weight)
    objective = loss + problem.fairness(mean)
    figures = torch.stack([objective, *dual_figures(problem, prices, loss, excess)])
    objective, *terms = figures.tolist()
    bound = certificate(problem, *terms).bound
    return DualState(prices, labels, mean, objective, bound)


def rounded_objective(problem: Problem[Tensor], state: DualState) -> float:
    """The objective of the labels as they are handed out, rounded to their dtype.

    Rows of one class do not change.
    """
    labels, share = state.labels, problem.weights / problem.n_samples
    rows = (labels.share_high.frac() > 0).nonzero()[:, 0]
    columns = torch.stack([labels.low[rows], labels.high[rows]], 1)
    slopes = problem.probabilities[rows[:, None], columns].double()
    high = labels.share_high[rows]
    exact = torch.stack([1 - high, high], 1)
    rounded = torch.stack(labels.shares(rows), 1).double()
    rounded /= rounded.sum(1, keepdim=True)
    ratio = torch.linalg.vecdot(rounded, slopes) / torch.linalg.vecdot(exact, slopes)
    change = share[rows, None] * (rounded - exact)
    mean = state.mean.index_add(0, columns.flatten(), change.flatten())
    balance = problem.balance(mean) - problem.balance(state.mean)
    return state.objective + float(balance - share[rows] @ ratio.log())


def _empty_pairs(problem: Problem[Predictions]) -> PairLabels:
    """Room for two classes a row and the share of the second."""
    share = torch.empty_like(problem.weights)
    low, high = (torch.empty_like(share, dtype=torch.int64) for _ in range(2))
    return PairLabels(low, high, share, problem.n_classes, problem.probabilities.dtype)


def curvature(problem: Problem[Predictions], state: DualState) -> Tensor:
    """Minus the second derivative of the conjugate's mean: a graph's Laplacian."""
    edges = state.prices.new_zeros(problem.n_classes**2)
    for rows in problem.chunks():
        low, high = state.labels.low[rows], state.labels.high[rows]
        part = state.labels.share_high[rows]
        split = (part > 0) & (part < 1)
        premium = torch.where(split, state.prices[low] - state.prices[high], 1.0)
        share = problem.weights[rows] / problem.n_samples
        stiffness = torch.where(split, share / premium.square(), 0.0)
        edges.index_add_(0, low * problem.n_classes + high, stiffness)
    matrix = edges.view(problem.n_classes, problem.n_classes)
    matrix = matrix + matrix.T
    return torch.diag(matrix.sum(1)) - matrix


def newton_direction(problem: Problem[Predictions], state: DualState) -> Tensor:
    """The step to the maximum of the quadratic model, cut to keep prices positive."""
    pull = problem.fairness_weight * problem.prior
    priced = problem.prior > 0
    prices = torch.where(priced, state.prices, 1.0)
    own = torch.where(priced, pull / prices.square(), _FIXED)
    slope = torch.where(priced, pull / prices - state.mean, 0.0)
    hessian = curvature(problem, state) + torch.diag(own)
    step, _ = torch.linalg.solve_ex(hessian, slope)
    longest = _TO_ZERO / (-step / prices).amax().clamp_min(_TO_ZERO)
    return longest * torch.where(priced, step, 0.0)


def climb(
    problem: Problem[Predictions], state: DualState, *, tol: float, max_iter: int
) -> tuple[DualState, int]:
    """Newton ascent for as long as each step at least halves the gap.

    Returns
    -------
    state : DualState
        The best one met; its gap may be above ``tol``.
    n_iter : int
    """
    for n_iter in range(max_iter):
        if not tol < state.gap < float("inf"):
            return state, n_iter
        step = newton_direction(problem, state)
        trial = dual_pass(problem, state.prices + step)
        if not trial.gap < _LEFT * state.gap:
            return min(state, trial, key=by_gap), n_iter + 1
        state = trial
    return state, max_iter


def by_gap(state: DualState) -> tuple[float, float]:
    """Sorts states by gap, those without a finite one by their bound."""
    return state.gap if state.gap == state.gap else float("inf"), -state.bound
