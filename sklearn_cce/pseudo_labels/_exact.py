"""The exact method: climb in the prices where that is quick, else follow the path."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ._dual_newton import DualState, climb, dual_pass, sortable_gap
from ._interior import follow_path
from ._problem import Problem, relative_gap
from ._result import Solution
from ._rows import solve_rows

# Labels below are taken for zero; the largest that keeps the certificate is used.
_DUST = (1e-2, 1e-3, 1e-5, 1e-8, 0.0)


def labels_at_prices(problem: Problem, prices: Tensor) -> Tensor:
    """The best labels of each row at given prices: at most two classes a row."""
    labels = torch.zeros_like(problem.probabilities)
    for rows in problem.chunks():
        row = solve_rows(problem.probabilities[rows].double(), prices)
        share = row.share_high.to(labels.dtype)[:, None]
        labels[rows] = labels[rows].scatter_add(1, row.low[:, None], 1 - share)
        labels[rows] = labels[rows].scatter_add(1, row.high[:, None], share)
    return labels


def _without_dust(problem: Problem, labels: Tensor, dust: float) -> Tensor:
    """Normalised labels in the user's precision, entries below ``dust`` set to 0."""
    clean = torch.empty_like(problem.probabilities)
    for rows in problem.chunks():
        part = labels[rows] / labels[rows].sum(1, keepdim=True)
        part = part.masked_fill(part < dust, 0.0)
        clean[rows] = (part / part.sum(1, keepdim=True)).to(clean.dtype)
    return clean


def _cleaned(
    problem: Problem, labels: Tensor, bound: float, tol: float
) -> tuple[Tensor, float]:
    """Labels with as many exact zeros as the certificate allows, and their value."""
    for dust in _DUST:
        clean = _without_dust(problem, labels, min(dust, 0.5 / problem.n_classes))
        objective = problem.objective(clean)
        if relative_gap(objective, bound) <= tol:
            break
    return clean, objective


def _from_prices(
    problem: Problem, init: Tensor | None, tol: float, max_iter: int
) -> tuple[DualState, int]:
    """Climb from the best prices at hand; cheap, and enough for easy problems."""
    states = []
    for prices in _candidates(problem, init):
        states.append(dual_pass(problem, prices))
        if states[-1].gap <= tol:
            return states[-1], 0
    start = min(states, key=sortable_gap)
    return climb(problem, start, tol=tol, max_iter=max_iter)


def _candidates(problem: Problem, init: Tensor | None) -> Iterator[Tensor]:
    """Prices handed in; those of the predictions as labels; those of balance."""
    if init is not None:
        prices = init if init.ndim == 1 else problem.prices(problem.mean_labels(init))
        yield torch.where(problem.prior > 0, prices.clamp_min(1e-30), 0.0)
    yield problem.prices(problem.mean_labels(problem.probabilities))
    yield torch.where(problem.prior > 0, problem.fairness_weight, 0.0).double()


def solve_exact(
    problem: Problem, *, max_iter: int, tol: float, init: Tensor | None
) -> Solution:
    """Solve to a certified gap of ``tol * max(1, abs(objective))``."""
    state, n_climb = _from_prices(problem, init, 0.9 * tol, max_iter)
    if state.gap <= 0.9 * tol:
        labels = labels_at_prices(problem, state.prices)
        objective = problem.objective(labels)
        return Solution(labels, objective, state.bound, n_climb, state.prices)
    point, bound, n_iter = follow_path(
        problem, tol=0.5 * tol, max_iter=max(1, max_iter - n_climb)
    )
    bound = max(bound, problem.lower_bound(point.prices))
    labels, objective = _cleaned(problem, point.labels, bound, tol)
    return Solution(labels, objective, bound, n_climb + n_iter, point.prices)
