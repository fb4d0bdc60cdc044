"""Rows restricted to short lists of classes: what the interior point works on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from .._problem import Predictions, Problem, chunk_rows
from .._rows import solve_rows

# Rows that are looked at to see how far each class is from its share.
_SAMPLE = 3000
# Above any line of a class: prices are at most 1e30.
_FIRST = 1e300


class AllClasses:
    """Rows that may use every class; their arrays have n_classes columns."""

    def gather(self, prices: Tensor) -> Tensor:
        """Prices in the shape of the rows, or in one that is broadcast to it."""
        return prices

    def scatter(self, part: Tensor) -> Tensor:
        """Sum over the rows, by class."""
        return part.sum(0)

    def subtract_squares(self, matrix: Tensor, *factors: Tensor) -> None:
        """Subtract half of ``factor.T @ factor`` for every factor.

        Up to a skew-symmetric part: the matrix and its transpose are added up later.
        """
        for factor in factors:
            matrix.addmm_(factor.T, factor, alpha=-0.5)


class ListedClasses(NamedTuple):
    """Rows that may use the classes of their lists."""

    lists: Tensor
    n_prices: int

    def gather(self, prices: Tensor) -> Tensor:
        """Prices in the shape of the lists."""
        return prices[self.lists]

    def scatter(self, part: Tensor) -> Tensor:
        """Sum over the rows, by class."""
        total = part.new_zeros(self.n_prices)
        return total.index_add_(0, self.lists.flatten(), part.flatten())

    def subtract_squares(self, matrix: Tensor, *factors: Tensor) -> None:
        """Subtract the squares of AllClasses, but for a skew-symmetric part."""
        width = self.lists.shape[1]
        left, right = torch.triu_indices(width, width, device=matrix.device)
        lists = self.lists.index_select
        pair = lists(1, left).mul_(self.n_prices).add_(lists(1, right))
        first, *others = factors
        block = first.index_select(1, left).mul_(first.index_select(1, right))
        for factor in others:
            block.addcmul_(factor.index_select(1, left), factor.index_select(1, right))
        block *= torch.where(left == right, 0.5, 1.0)
        matrix.view(-1).index_add_(0, pair.flatten(), block.flatten(), alpha=-1)


# How the columns of a chunk of rows belong to the prices.
Columns = AllClasses | ListedClasses


@dataclass(frozen=True)
class PathRows:
    """What the interior point works on: rows that may use every class.

    Attributes
    ----------
    values : Tensor of shape (n_rows, width)
        Predictions.
    share : Tensor of shape (n_rows,)
        Weights with sum 1, float64.
    pull : Tensor of shape (n_prices,)
        Fairness weight times prior.
    """

    values: Tensor
    share: Tensor
    pull: Tensor
    pooled: ClassVar[bool] = False

    @property
    def n_classes(self) -> int:
        """Number of classes, listed or not."""
        return len(self.pull) - self.pooled

    def chunks(self) -> Iterator[slice]:
        """Slices of rows whose temporaries stay small."""
        return chunk_rows(self.values)

    def columns(self, rows: slice) -> Columns:
        """How the columns of a chunk of rows belong to the prices."""
        return AllClasses()

    def balance(self, mean: Tensor) -> Tensor:
        """The balance term of a mean of the labels."""
        weight = self.pull.sum()
        ratio = self.pull / weight / mean
        return torch.xlogy(self.pull, ratio).nansum()

    def dual_balance(self, prices: Tensor) -> Tensor:
        """The part of the dual that comes from the balance term."""
        weight = self.pull.sum()
        return weight * (1 - torch.log(weight)) + torch.xlogy(self.pull, prices).sum()


@dataclass(frozen=True)
class ListedRows(PathRows):
    """Rows that may use the classes of their lists, and a pool that all rows share.

    The pool is the last column of every row, and its pull is 0.

    Attributes
    ----------
    lists : Tensor of shape (n_rows, width), int64
        Classes of the columns.
    """

    lists: Tensor
    pooled: ClassVar[bool] = True

    def columns(self, rows: slice) -> Columns:
        """How the columns of a chunk of rows belong to the prices."""
        return ListedClasses(self.lists[rows], len(self.pull))


def unrestricted(problem: Problem[Predictions]) -> PathRows:
    """Every class for every row."""
    return PathRows(
        values=problem.probabilities[:],
        share=problem.weights / problem.n_samples,
        pull=problem.fairness_weight * problem.prior,
    )


def listed(
    problem: Problem[Predictions],
    prices: Tensor,
    width: int,
    reach: Tensor | float = 0.0,
    used: Tensor | None = None,
) -> ListedRows:
    """Lists of the classes that are best at prices, and a pool of the others.

    Parameters
    ----------
    problem : Problem
    prices : Tensor of shape (n_classes,)
    width : int
        Length of the lists without the pool.
    reach : Tensor of shape (n_classes,) or float, default=0.0
        What is added to the lines of the classes for one half of every list, see
        ``reach_of_shares``.
    used : Tensor of shape (n_samples, n_used), default=None
        Classes that stay on the lists; at most half of the width.
    """
    shape = problem.n_samples, width + 1
    values = problem.weights.new_zeros(shape)
    lists = torch.full_like(values, problem.n_classes, dtype=torch.int64)
    for rows in problem.chunks():
        part = problem.probabilities[rows].double()
        lines = torch.addcmul(prices, part, solve_rows(part, prices).t[:, None])
        if used is not None:
            lines.scatter_(1, used[rows], _FIRST)
        best = _best_columns(lines, reach, width)
        lists[rows, :-1], values[rows, :-1] = best, part.gather(1, best)
    pull = problem.fairness_weight * problem.prior
    return ListedRows(
        values=values,
        share=problem.weights / problem.n_samples,
        pull=torch.cat([pull, pull.new_zeros(1)]),
        lists=lists,
    )


def _best_columns(lines: Tensor, reach: Tensor | float, width: int) -> Tensor:
    """Half of the columns by height, the others by height and reach."""
    best = lines.topk(width - width // 2, 1).indices
    others = (lines + reach).scatter(1, best, -torch.inf)
    return torch.cat([best, others.topk(width // 2, 1).indices], 1)


def reach_of_shares(problem: Problem[Predictions], prices: Tensor) -> Tensor:
    """The rise in price that would bring every class to its share, on a sample."""
    every = -(-problem.n_samples // _SAMPLE)
    values = problem.probabilities[::every].double()
    lines = torch.addcmul(prices, values, solve_rows(values, prices).t[:, None])
    slack = (lines.amax(1, keepdim=True) - lines).T.contiguous()
    count = (len(values) * problem.prior).ceil().long().clamp(1, len(values))
    nearest = slack.topk(int(count.max()), 1, largest=False).values
    return nearest.gather(1, count[:, None] - 1)[:, 0]
