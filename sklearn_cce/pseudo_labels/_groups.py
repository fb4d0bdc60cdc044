"""Rows that are nearly one-hot for the same class, merged to one weighted row.

With y fixed, the mean of ``ln(s_i . y)`` over a group differs from ``ln`` of the mean
row by half the variance of ``s_i . y`` over the group, relative to its square: merging
rows within a distance e of one-hot costs the objective some ``e ** 2``. The labels and
prices of the merged problem are certified on the whole one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._lists import Restricted
from ._problem import Problem

# Distances from one-hot that bound the groups, in units of the root of the tolerance.
_EDGES = (0.3, 1.0, 3.0)


class Groups(NamedTuple):
    """Merged rows, and the merged row of every row, shape (n_samples,)."""

    merged: Restricted
    index: Tensor


def merge_rows(problem: Problem, *, tol: float, most: int) -> Groups | None:
    """Merge rows at a cost of the order of ``tol``; None if over ``most`` are left."""
    index = _group_numbers(problem, tol)
    single = problem.n_classes * len(_EDGES)
    if int((index >= single).sum()) > most:
        return None
    keys, index = torch.unique(index, return_inverse=True)
    if len(keys) > most:
        return None
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


def _group_numbers(problem: Problem, tol: float) -> Tensor:
    """A number by class and distance from one-hot; one of its own for other rows."""
    edges = torch.tensor(_EDGES, dtype=torch.double, device=problem.prior.device)
    edges = edges * max(tol, 1e-12) ** 0.5
    numbers = torch.arange(problem.n_samples, device=edges.device)
    numbers += problem.n_classes * len(edges)
    for rows in problem.chunks():
        values = problem.probabilities[rows]
        top, best = values.max(1)
        distance = (values.sum(1) - top).double()
        place = torch.bucketize(distance, edges)
        number = best * len(edges) + place
        numbers[rows] = torch.where(place < len(edges), number, numbers[rows])
    return numbers
