"""Rows that are nearly one-hot for the same class, merged to one weighted row.

With y fixed, the mean of ``ln(s_i . y)`` over a group differs from ``ln`` of the mean
row by half the variance of ``s_i . y`` over the group, relative to its square. It is at
most of the order of the mean square distance from one-hot, of which a budget is spent
on the rows that are nearest. The labels and prices of the merged problem are certified
on the whole one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._lists import Restricted
from ._problem import Problem
from ._rows import row_argmax


class Groups(NamedTuple):
    """Merged rows, and the merged row of every row, shape (n_samples,)."""

    merged: Restricted
    index: Tensor


def merge_rows(problem: Problem, *, budget: float, most: int) -> Groups | None:
    """Merge rows by class, nearest to one-hot first; None if over ``most`` are left.

    Parameters
    ----------
    problem : Problem
    budget : float
        Bound on the mean square distance from one-hot, rows left alone taken as 0.
    most : int
        Largest number of rows that the merged problem may have.
    """
    best, distance = _distances(problem)
    near = _nearest(distance, problem.weights, budget)
    if problem.n_samples - int(near.sum()) > most:
        return None
    alone = torch.arange(problem.n_samples, device=best.device) + problem.n_classes
    index = torch.where(near, best, alone)
    keys, index = torch.unique(index, return_inverse=True)
    share = (problem.weights + 1e-12) / problem.n_samples
    values = problem.prior.new_zeros(len(keys), problem.n_classes)
    for rows in problem.chunks():
        part = share[rows, None] * problem.probabilities[rows]
        values.index_add_(0, index[rows], part)
    total = share.new_zeros(len(keys)).index_add_(0, index, share)
    merged = Restricted(
        values=values / total[:, None],
        share=total / total.sum(),
        pull=problem.fairness_weight * problem.prior,
    )
    return Groups(merged, index)


def _distances(problem: Problem) -> tuple[Tensor, Tensor]:
    """The best class of every row, and one minus its probability, float64."""
    best, distance = [], []
    for rows in problem.chunks():
        values = problem.probabilities[rows]
        best.append(row_argmax(values))
        top = values.gather(1, best[-1][:, None])[:, 0]
        distance.append((values.sum(1) - top).double())
    return torch.cat(best), torch.cat(distance).clamp_min_(0)


def _nearest(distance: Tensor, weights: Tensor, budget: float) -> Tensor:
    """The rows nearest to one-hot whose mean square distance is within the budget."""
    ordered, order = distance.sort()
    spent = (weights[order] * ordered.square()).cumsum(0) / len(distance)
    near = torch.empty_like(order, dtype=torch.bool)
    near[order] = spent <= budget
    return near
