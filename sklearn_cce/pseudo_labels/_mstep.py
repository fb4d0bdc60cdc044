"""The M-step of the paper's EM: one scalar root per row."""

from __future__ import annotations

import torch
from torch import Tensor

from ._problem import Problem


def smallest_positive(dtype: torch.dtype) -> float:
    """A floor for entries of the labels that leaves room for products and ratios."""
    return torch.finfo(dtype).tiny * 2.0**20


def maximise_rows(
    probabilities: Tensor, pulls: Tensor, *, n_newton: int
) -> tuple[Tensor, Tensor]:
    """M-step: minimise ``-ln(s.y) - sum_k pulls_k ln y_k`` over the simplex, by row.

    The solution is ``y_k = a_k / (mu (1 - r_k) + r_k d)`` with ``r = s / max(s)``,
    ``mu = 1 + sum(a)`` and d, the distance to the pole, the root of
    ``g(d) = sum_k y_k = 1``. 1/g is concave and increasing in d, so Newton's method
    on ``1/g - 1`` climbs monotonically to the root from the smallest d that keeps
    every entry at most 1.

    Parameters
    ----------
    probabilities : Tensor of shape (n_rows, n_classes)
    pulls : Tensor of shape (n_rows, n_classes)
        The coefficients a of the majorised balance term, non-negative.
    n_newton : int
        Number of Newton steps.

    Returns
    -------
    labels : Tensor of shape (n_rows, n_classes)
        Rows on the simplex.
    excess : Tensor of shape (n_rows,)
        g - 1 before the last normalisation: the error of the root.
    """
    pulls = pulls.clamp_min(smallest_positive(pulls.dtype))
    ratio = probabilities / probabilities.amax(1, keepdim=True)
    far = (1 - ratio) * (1 + pulls.sum(1, keepdim=True))
    distance = ((pulls - far) / ratio).amax(1, keepdim=True)
    for _ in range(n_newton):
        inverse = 1 / torch.addcmul(far, ratio, distance)
        labels = pulls * inverse
        total = labels.sum(1, keepdim=True)
        slope = (labels * inverse * ratio).sum(1, keepdim=True)
        distance = distance + total * (total - 1) / slope
    labels = pulls / torch.addcmul(far, ratio, distance)
    total = labels.sum(1, keepdim=True)
    return labels / total, (total - 1).squeeze(1)


def em_step(problem: Problem, labels: Tensor, mean: Tensor) -> Tensor:
    """One step of the paper's EM; overwrites and returns ``labels``."""
    prices = problem.prices(mean).to(labels.dtype)
    for rows in problem.chunks():
        pulls = labels[rows] * prices
        labels[rows] = _solved_rows(problem.probabilities[rows], pulls)
    return labels


def _solved_rows(probabilities: Tensor, pulls: Tensor) -> Tensor:
    tolerance = 64 * torch.finfo(pulls.dtype).eps
    for n_newton in (6, 12, 40):
        labels, excess = maximise_rows(probabilities, pulls, n_newton=n_newton)
        if float(excess.abs().max()) <= tolerance:
            break
    return labels
