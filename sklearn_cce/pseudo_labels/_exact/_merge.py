"""Rows that are nearly one-hot for the same class, merged to one weighted row.

With y fixed, the mean of ``ln(s_i . y)`` over a group differs from ``ln`` of the mean
row by half the variance of ``s_i . y`` over the group, relative to its square. It is at
most of the order of the mean square distance from one-hot, of which a budget is spent
on the rows that are nearest. The labels and prices of the merged problem are certified
on the whole one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .._batch import row_argmax
from .._problem import Problem

# Rows without weight are merged too; a group of nothing else needs a mean row.
_SHARE_OF_NONE = 1e-12


@dataclass(frozen=True)
class MergedRows:
    """The predictions of merged rows, then those of the rows left alone.

    See ``Predictions``; rows are made when they are asked for.

    Attributes
    ----------
    centres : Tensor of shape (n_merged, n_classes)
        Mean predictions of the merged rows, float64.
    source : Tensor of shape (n_samples, n_classes)
    alone : Tensor of shape (n_alone,)
        The rows of ``source`` that are left alone.
    """

    centres: Tensor
    source: Tensor
    alone: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, merged or alone, and of classes."""
        return len(self.centres) + len(self.alone), self.source.shape[1]

    @property
    def device(self) -> torch.device:
        """Device of the predictions."""
        return self.source.device

    @property
    def dtype(self) -> torch.dtype:
        """That of the predictions, which is that of labels; rows are float64."""
        return self.source.dtype

    def __getitem__(self, rows: slice) -> Tensor:
        """Predictions of some rows, float64."""
        start, stop, _ = rows.indices(self.shape[0])
        first, last = (max(0, i - len(self.centres)) for i in (start, stop))
        alone = self.source[self.alone[first:last]].double()
        return torch.cat([self.centres[start:stop], alone])


class Groups(NamedTuple):
    """Merged rows, and the merged row of every row, shape (n_samples,)."""

    merged: Problem[MergedRows]
    group: Tensor


def merge_rows(problem: Problem[Tensor], *, budget: float, most: int) -> Groups | None:
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
    alone = (~near).nonzero()[:, 0]
    if len(alone) > most:
        return None
    used, group = best[near].unique(return_inverse=True)
    index = torch.empty_like(best)
    index[near] = group
    index[alone] = torch.arange(len(alone), device=index.device) + len(used)
    share = problem.weights / problem.n_samples + _SHARE_OF_NONE
    total = share.new_zeros(len(used) + len(alone)).index_add_(0, index, share)
    centres = _weighted_sums(problem, near, index, share, len(used))
    centres /= total[: len(used), None]
    rows = MergedRows(centres, problem.probabilities, alone)
    weights = total / total.mean()
    merged = Problem(rows, weights, problem.prior, problem.fairness_weight)
    return Groups(merged, index)


def _weighted_sums(
    problem: Problem[Tensor], near: Tensor, index: Tensor, share: Tensor, n_groups: int
) -> Tensor:
    sums = share.new_zeros(n_groups, problem.n_classes)
    for rows in problem.chunks():
        some = near[rows]
        part = share[rows][some, None] * problem.probabilities[rows][some]
        sums.index_add_(0, index[rows][some], part)
    return sums


def _distances(problem: Problem[Tensor]) -> tuple[Tensor, Tensor]:
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
