"""EM with a closed form, over-relaxed by a spectral step size.

The paper's EM bounds the balance term by Jensen's inequality. Bounding
``ln(s . y)`` in the same way gives an M-step without a root to find::

    y_k <- y_k (t s_k + prices_k) / (1 + prices . y),    t = 1 / (s . y)

It descends monotonically, in smaller steps. In the logarithms of the labels it is a
gradient step, so the factor may be raised to a power, and Barzilai and Borwein's rule,
in the metric weighted by y, gives the power. Where the objective would rise, the power
is lowered, at last to 1: the plain step.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from ._batch import smallest_positive
from ._problem import Problem, relative_gap
from ._result import Solution

# Of the first labels: EM never leaves a zero, so all must be positive.
_SHARE_OF_PRIOR = 0.01
# The power's factor where the objective would rise, and where the spectral rule sees no
# curvature; its bound keeps exponents finite.
_LOWER, _RAISE, _LARGEST_POWER = 0.25, 4.0, 1e8


class Labelling(NamedTuple):
    """Labels, and what one pass over them tells; match is s . y of every row."""

    labels: Tensor
    match: Tensor
    mean: Tensor
    objective: float


def raised(
    problem: Problem[Tensor], labels: Tensor, growth: Tensor, power: float, out: Tensor
) -> Labelling:
    """Labels times ``exp(power * growth)``, normalised, written to ``out``."""
    match, mean = torch.empty_like(problem.weights), torch.zeros_like(problem.prior)
    floor = smallest_positive(labels.dtype)
    for rows in problem.chunks():
        part = growth[rows] * power
        part = part.sub_(part.amax(1, keepdim=True)).exp_().mul_(labels[rows])
        part = part.clamp_min_(floor).div_(part.sum(1, keepdim=True))
        out[rows] = part
        match[rows] = torch.linalg.vecdot(part, problem.probabilities[rows]).double()
        mean += problem.weights[rows] @ part.double()
    mean /= problem.n_samples
    loss = -(problem.weights @ match.log()) / problem.n_samples
    return Labelling(out, match, mean, float(loss + problem.balance(mean)))


def spectral_power(
    problem: Problem[Tensor], state: Labelling, growth: Tensor, power: float
) -> float:
    """Set ``growth`` to the logarithm of the plain step; the power for the next one.

    Parameters
    ----------
    problem : Problem
    state : Labelling
    growth : Tensor of shape (n_samples, n_classes)
        That of the last step, zero before the first; overwritten.
    power : float
        That of the last step.
    """
    prices = problem.prices(state.mean).to(growth.dtype)
    square, product = problem.prior.new_zeros(2)
    for rows in problem.chunks():
        t = (1 / state.match[rows, None]).to(growth.dtype)
        labels, before = state.labels[rows], growth[rows]
        now = torch.addcmul(prices, problem.probabilities[rows], t)
        now = now.clamp_min_(torch.finfo(now.dtype).tiny).log_()
        now -= torch.log1p(labels @ prices)[:, None]
        weights, weighted = problem.weights[rows], labels * before
        square += weights @ torch.linalg.vecdot(weighted, before).double()
        product += weights @ torch.linalg.vecdot(weighted, now).double()
        growth[rows] = now
    square, product = torch.stack([square, product]).tolist()
    if square == 0:
        return power
    ratio = square / (square - product) if product < square else _RAISE
    return min(max(1.0, ratio * power), _LARGEST_POWER)


def em_steps(problem: Problem[Tensor], labels: Tensor) -> Iterator[Labelling]:
    """Steps of the over-relaxed EM from given labels; the objective never rises."""
    growth, spare, power = torch.zeros_like(labels), torch.empty_like(labels), 1.0
    state = raised(problem, labels, growth, 0.0, torch.empty_like(labels))
    while True:
        power = spectral_power(problem, state, growth, power)
        trial = raised(problem, state.labels, growth, power, spare)
        while not trial.objective <= state.objective and power > 1:
            power = max(1.0, power * _LOWER)
            trial = raised(problem, state.labels, growth, power, spare)
        if trial.objective <= state.objective:
            state, spare = trial, state.labels
        yield state


def first_labels(
    problem: Problem[Tensor], init: Tensor | None, least: float = 0.0
) -> Tensor:
    """A start inside the simplex: given labels, or the predictions with some of u.

    Labels that come from ``init`` are at least ``least``, and always positive.
    """
    probabilities = problem.probabilities
    prior = problem.prior.to(probabilities.dtype)
    floor = max(least, smallest_positive(probabilities.dtype))
    if init is not None and init.ndim == 2:
        labels = init.to(probabilities.dtype).clamp_min(floor)
        return labels / labels.sum(1, keepdim=True)
    labels = torch.lerp(probabilities, prior.expand_as(probabilities), _SHARE_OF_PRIOR)
    if init is not None:
        labels *= (init / init.mean()).to(labels.dtype)
        labels.clamp_min_(floor)
    return labels / labels.sum(1, keepdim=True)


def solve_em(
    problem: Problem[Tensor], *, max_iter: int, tol: float, init: Tensor | None
) -> Solution:
    """EM until the certified gap is at most ``tol * max(1, abs(objective))``."""
    bound, check = -float("inf"), 2
    steps = islice(em_steps(problem, first_labels(problem, init)), max_iter)
    for n_iter, state in enumerate(steps, 1):
        if n_iter < min(check, max_iter):
            continue
        check = n_iter + max(2, n_iter // 4)
        objective = problem.objective(state.labels)
        bound = max(bound, problem.lower_bound(problem.prices(state.mean)))
        if relative_gap(objective, bound) <= tol:
            break
    return Solution(state.labels, objective, bound, n_iter, problem.prices(state.mean))
