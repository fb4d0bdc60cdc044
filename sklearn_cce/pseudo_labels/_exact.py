"""The exact method: try the prices that were handed in, else follow the path."""

from __future__ import annotations

import torch
from torch import Tensor

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


def _at_init(problem: Problem, init: Tensor) -> Solution:
    """The answer that the prices (or labels) of ``init`` imply, with its bound."""
    prices = init if init.ndim == 1 else problem.prices(problem.mean_labels(init))
    labels = labels_at_prices(problem, prices)
    bound = problem.lower_bound(prices)
    return Solution(labels, problem.objective(labels), bound, 0, prices)


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


def solve_exact(
    problem: Problem, *, max_iter: int, tol: float, init: Tensor | None
) -> Solution:
    """Solve to a certified gap of ``tol * max(1, abs(objective))``."""
    if init is not None:
        known = _at_init(problem, init)
        if relative_gap(known.objective, known.lower_bound) <= tol:
            return known
    point, bound, n_iter = follow_path(problem, tol=0.5 * tol, max_iter=max_iter)
    bound = max(bound, problem.lower_bound(point.prices))
    labels, objective = _cleaned(problem, point.labels, bound, tol)
    return Solution(labels, objective, bound, n_iter, point.prices)
