"""One step of the paper's EM, to compare with what the package does in its place."""

from __future__ import annotations

import torch
from torch import Tensor

from sklearn_cce.pseudo_labels._batch import maximise_rows
from sklearn_cce.pseudo_labels._problem import Problem


def em_step(problem: Problem[Tensor], labels: Tensor, mean: Tensor) -> Tensor:
    """One step of the paper's EM; overwrites and returns ``labels``."""
    prices = problem.prices(mean).to(labels.dtype)
    for rows in problem.chunks():
        pulls = labels[rows] * prices
        labels[rows] = solved_rows(problem.probabilities[rows], pulls)
    return labels


def solved_rows(probabilities: Tensor, pulls: Tensor) -> Tensor:
    """The M-step to rounding, most rows within the first six steps of Newton."""
    tolerance = 64 * torch.finfo(pulls.dtype).eps
    for n_newton in (6, 12, 40):
        labels, excess = maximise_rows(probabilities, pulls, n_newton=n_newton)
        if float(excess.abs().max()) <= tolerance:
            break
    return labels
