"""Rows restricted to short lists of classes: what the interior point works on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ._problem import Problem, chunk_rows
from ._rows import solve_rows

# Rows that are looked at to see how far each class is from its share.
_SAMPLE = 3000
# Lists of rows with equal slacks should not be equal; the size of a random bonus.
_BONUS = 0.1


class AllClasses:
    """Rows that may use every class; their arrays have n_classes columns."""

    def gather(self, prices: Tensor) -> Tensor:
        """Prices in the shape of the rows."""
        return prices

    def scatter(self, part: Tensor) -> Tensor:
        """Sum over the rows, by class."""
        return part.sum(0)

    def subtract_squares(self, matrix: Tensor, *factors: Tensor) -> None:
        """Subtract half of ``factor.T @ factor`` for every factor."""
        for factor in factors:
            matrix.addmm_(factor.T, factor, alpha=-0.5)


class ListedClasses(NamedTuple):
    """Rows that may use the classes of their lists; a drop-in for AllClasses."""

    lists: Tensor
    n_classes: int

    def gather(self, prices: Tensor) -> Tensor:
        """Prices in the shape of the lists."""
        return prices[self.lists]

    def scatter(self, part: Tensor) -> Tensor:
        """Sum over the rows, by class."""
        total = part.new_zeros(self.n_classes)
        return total.index_add_(0, self.lists.flatten(), part.flatten())

    def subtract_squares(self, matrix: Tensor, *factors: Tensor) -> None:
        """Subtract the squares of AllClasses, but for a skew-symmetric part."""
        width = self.lists.shape[1]
        left, right = torch.triu_indices(width, width, device=matrix.device)
        pair = self.lists[:, left] * self.n_classes + self.lists[:, right]
        block = sum(factor[:, left] * factor[:, right] for factor in factors)
        block *= torch.where(left == right, 0.5, 1.0)
        matrix.view(-1).index_add_(0, pair.flatten(), block.flatten(), alpha=-1)


@dataclass(frozen=True)
class Restricted:
    """Rows and the classes that they may use.

    Attributes
    ----------
    values : Tensor of shape (n_rows, width)
        Predictions.
    share : Tensor of shape (n_rows,)
        Weights with sum 1, float64.
    pull : Tensor of shape (n_classes,)
        Fairness weight times prior.
    lists : Tensor of shape (n_rows, width), int64, or None
        Classes of the columns; None where a row may use all of them in order.
    """

    values: Tensor
    share: Tensor
    pull: Tensor
    lists: Tensor | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes, listed or not."""
        return len(self.pull)

    def chunks(self) -> Iterator[slice]:
        """Slices of rows whose temporaries stay small."""
        return chunk_rows(self.values)

    def columns(self, rows: slice) -> AllClasses | ListedClasses:
        """How the columns of a chunk of rows belong to the classes."""
        if self.lists is None:
            return AllClasses()
        return ListedClasses(self.lists[rows], self.n_classes)

    def balance(self, mean: Tensor) -> Tensor:
        """The balance term of a mean of the labels."""
        weight = self.pull.sum()
        ratio = self.pull / weight / mean
        return torch.xlogy(self.pull, ratio).nansum()

    def dual_balance(self, prices: Tensor) -> Tensor:
        """The part of the dual that comes from the balance term."""
        weight = self.pull.sum()
        return weight * (1 - torch.log(weight)) + torch.xlogy(self.pull, prices).sum()


def unrestricted(problem: Problem) -> Restricted:
    """Every class for every row."""
    return Restricted(
        values=problem.probabilities,
        share=problem.weights / problem.n_samples,
        pull=problem.fairness_weight * problem.prior,
    )


def listed(problem: Problem, prices: Tensor, width: int) -> Restricted:
    """Lists of the classes that are best, or within reach of their share, at prices."""
    reach = _reach(problem, prices)
    generator = torch.Generator(prices.device).manual_seed(0)
    lists, values = [], []
    for rows in problem.chunks():
        part = problem.probabilities[rows].double()
        lines = torch.addcmul(prices, part, solve_rows(part, prices).t[:, None])
        bonus = torch.empty_like(lines).uniform_(0, _BONUS, generator=generator)
        lists.append(_best_columns(lines, bonus + reach, width))
        values.append(part.gather(1, lists[-1]))
    short = {"values": torch.cat(values), "lists": torch.cat(lists)}
    return replace(unrestricted(problem), **short)


def _best_columns(lines: Tensor, bonus: Tensor, width: int) -> Tensor:
    """Half of the columns by height, the others by height and bonus."""
    best = lines.topk(width - width // 2, 1).indices
    others = (lines + bonus).scatter(1, best, -torch.inf)
    return torch.cat([best, others.topk(width // 2, 1).indices], 1)


def _reach(problem: Problem, prices: Tensor) -> Tensor:
    """The rise in price that would bring every class to its share, on a sample."""
    every = -(-problem.n_samples // _SAMPLE)
    values = problem.probabilities[::every].double()
    lines = torch.addcmul(prices, values, solve_rows(values, prices).t[:, None])
    slack = (lines.amax(1, keepdim=True) - lines).T.contiguous()
    count = (len(values) * problem.prior).ceil().long().clamp(1, len(values))
    nearest = slack.topk(int(count.max()), 1, largest=False).values
    return nearest.gather(1, count[:, None] - 1)[:, 0]
