"""Two classes: a search over one number, the mean label of the second class.

The mean gives both prices, and with them the label of every row. For the class that a
row favours it is ``1 / premium - s_low / (s_high - s_low)``, cut to [0, 1], where the
premium is how much dearer the other class is. So the mean that the labels have falls
as the mean that they are priced at grows, and the two meet once.
"""

from __future__ import annotations

import torch
from scipy.optimize import brentq
from torch import Tensor

from ._problem import Problem

_PRECISION = 1e-15


def two_class_prices(problem: Problem, max_iter: int) -> tuple[Tensor, int]:
    """The best prices, and the number of means that were tried."""
    sides = _sides(problem)
    pull = (problem.fairness_weight * problem.prior).tolist()

    def excess(mean: float) -> float:
        premium = pull[0] / max(1 - mean, 1e-30) - pull[1] / max(mean, 1e-30)
        share = _mean_share(*sides[premium > 0], abs(premium))
        return (share if premium > 0 else 1 - share) - mean

    mean, search = brentq(
        excess, 0, 1, xtol=_PRECISION, maxiter=max_iter, full_output=True, disp=False
    )
    means = torch.full_like(problem.prior, mean)
    means[0] = 1 - mean
    return problem.prices(means), search.iterations


def _mean_share(weights: Tensor, doubt: Tensor, premium: float) -> float:
    """What the class that some rows favour gets of all labels, though it is cheaper."""
    share = (1 / max(premium, 1e-300) - doubt).clamp_(0, 1)
    return float(weights @ share)


def _sides(problem: Problem) -> list[tuple[Tensor, Tensor]]:
    """Weights and ``s_low / (s_high - s_low)`` of the rows that favour either class."""
    low, rise = [], []
    for rows in problem.chunks():
        first, second = problem.probabilities[rows].double().unbind(1)
        low.append(torch.minimum(first, second))
        rise.append(second - first)
    rise = torch.cat(rise)
    doubt = torch.cat(low) / rise.abs()
    weights = problem.weights / problem.n_samples
    return [(weights[side], doubt[side]) for side in (rise <= 0, rise > 0)]
