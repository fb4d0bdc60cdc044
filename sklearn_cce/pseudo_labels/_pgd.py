"""Projected gradient descent on the labels, for comparison."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ._batch import smallest_positive
from ._checks import NEGLIGIBLE
from ._em import first_labels
from ._problem import Problem, relative_gap
from ._result import Solution

# A certificate costs as much as a step or two, and steps are many.
_CHECK_EVERY = 10
# Of an interval of length 1: the step's length to twelve digits.
_BISECTIONS = 40
# Bounds of the spectral step size, in units of the gradient's.
_SHORTEST, _LONGEST = 1e-8, 1e8
# Of the way to a logarithm of 0 that a step goes at most.
_TO_ZERO = 0.99
_TINY = smallest_positive(torch.float64)


def project_rows(points: Tensor) -> Tensor:
    """Euclidean projection of every row on the probability simplex, shape kept."""
    points = points - points.amax(1, keepdim=True)
    ordered = points.sort(1, descending=True).values
    count = torch.arange(1, points.shape[1] + 1, device=points.device)
    threshold = (ordered.cumsum(1) - 1) / count
    support = (ordered > threshold).sum(1, keepdim=True).clamp_min(1)
    return (points - threshold.gather(1, support - 1)).clamp_min(0)


class Along(NamedTuple):
    """The objective on the segment from the labels to labels + direction."""

    match: Tensor
    match_change: Tensor
    mean: Tensor
    mean_change: Tensor


def _slope(problem: Problem[Tensor], along: Along, length: Tensor) -> Tensor:
    """Derivative of the objective at a given length of the step."""
    match = along.match + length * along.match_change
    mean = along.mean + length * along.mean_change
    pull = problem.fairness_weight * problem.prior
    loss = torch.where(problem.weights > 0, along.match_change / match, 0.0)
    balance = torch.where(problem.prior > 0, pull * along.mean_change / mean, 0.0)
    return -(problem.weights @ loss) / problem.n_samples - balance.sum()


def line_search(problem: Problem[Tensor], along: Along) -> Tensor:
    """The minimiser on the segment, by bisection of the increasing derivative."""
    low, high = along.mean.new_zeros(()), _longest(problem, along)
    longest, full = high, _slope(problem, along, high) <= 0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        descends = _slope(problem, along, middle) < 0
        low, high = (
            torch.where(descends, middle, low),
            torch.where(descends, high, middle),
        )
    return torch.where(full, longest, low)


def _longest(problem: Problem[Tensor], along: Along) -> Tensor:
    """At most 1, and short enough to keep the arguments of the logarithms positive."""
    floor = torch.full_like(problem.prior, _TINY)
    floor.masked_fill_(problem.prior == 0, NEGLIGIBLE)
    shrinks = torch.maximum(
        (-along.match_change / along.match).amax(),
        (-along.mean_change / along.mean.maximum(floor)).amax(),
    )
    return (_TO_ZERO / shrinks.clamp_min(NEGLIGIBLE)).clamp_max(1.0)


def _matches(problem: Problem[Tensor], labels: Tensor) -> Tensor:
    """Inner products of labels and predictions, row by row, float64."""
    products = [
        (problem.probabilities[rows] * labels[rows]).sum(1) for rows in problem.chunks()
    ]
    return torch.cat(products).double()


def _gradient(
    problem: Problem[Tensor], match: Tensor, mean: Tensor, out: Tensor
) -> Tensor:
    """Gradient scaled by n_samples / weight, row by row, written to ``out``."""
    prices = problem.prices(mean).to(out.dtype)
    for rows in problem.chunks():
        t = (1 / match[rows, None].clamp_min(NEGLIGIBLE)).to(out.dtype)
        out[rows] = -torch.addcmul(prices, problem.probabilities[rows], t)
    return out


def _direction(
    problem: Problem[Tensor], labels: Tensor, gradient: Tensor, size: float
) -> Tensor:
    direction = torch.empty_like(labels)
    for rows in problem.chunks():
        target = torch.add(labels[rows], gradient[rows], alpha=-size)
        direction[rows] = project_rows(target) - labels[rows]
    return direction


def spectral_size(problem: Problem[Tensor], step: Tensor, change: Tensor) -> float:
    """Barzilai and Borwein's step size from the last step and change of gradient."""
    top, bottom = problem.prior.new_zeros(2)
    for rows in problem.chunks():
        weights = problem.weights[rows]
        top += weights @ torch.linalg.vecdot(step[rows], step[rows]).double()
        bottom += weights @ torch.linalg.vecdot(step[rows], change[rows]).double()
    top, bottom = torch.stack([top, bottom]).tolist()
    return min(max(top / bottom, _SHORTEST), _LONGEST) if bottom > 0 else _LONGEST


def pgd_steps(problem: Problem[Tensor], labels: Tensor) -> Iterator[None]:
    """Spectral projected gradient with an exact, hence monotone, line search.

    Changes ``labels``, float64, in place; yields after every step.
    """
    match, mean = _matches(problem, labels), problem.mean_labels(labels)
    gradient = _gradient(problem, match, mean, torch.empty_like(labels))
    size = 1.0 / (1 + problem.fairness_weight)
    while True:
        step = _direction(problem, labels, gradient, size)
        along = Along(match, _matches(problem, step), mean, problem.mean(step))
        length = line_search(problem, along)
        labels += step.mul_(length)
        yield
        match, mean = _matches(problem, labels), problem.mean_labels(labels)
        fresh = _gradient(problem, match, mean, torch.empty_like(labels))
        size = spectral_size(problem, step, fresh - gradient)
        gradient = fresh


def solve_pgd(
    problem: Problem[Tensor], *, max_iter: int, tol: float, init: Tensor | None
) -> Solution:
    """Projected gradient until the certified gap is small enough."""
    labels = first_labels(problem, init, NEGLIGIBLE).double()
    steps, bound = pgd_steps(problem, labels), -float("inf")
    for n_iter in range(1, max_iter + 1):
        next(steps)
        if n_iter % _CHECK_EVERY == 0 or n_iter == max_iter:
            prices = problem.prices(problem.mean_labels(labels))
            rounded = _rounded(labels, problem.probabilities.dtype)
            objective = problem.objective(rounded)
            bound = max(bound, problem.lower_bound(prices))
            if relative_gap(objective, bound) <= tol:
                break
    return Solution(rounded, objective, bound, n_iter, prices)


def _rounded(labels: Tensor, dtype: torch.dtype) -> Tensor:
    """Labels in the dtype that they are handed out in; positive ones stay positive."""
    if dtype == labels.dtype:
        return labels
    rounded = labels.to(dtype)
    return rounded.masked_fill_((rounded == 0) & (labels > 0), smallest_positive(dtype))
