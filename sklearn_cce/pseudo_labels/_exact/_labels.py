"""Labels that give their rows on demand, in place of an N x K matrix."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._problem import Labels
from ._lists import ListedRows

# Rows that take nothing from the pool stand in line too, so that their place in it is
# found; it is smaller than any label that counts.
_PLACE = 1e-12
_TINY = 1e-300


@dataclass(frozen=True)
class PairLabels:
    """Labels of two classes a row, or one.

    Attributes
    ----------
    low, high : Tensor of shape (n_samples,), int64
        The two classes.
    share_high : Tensor of shape (n_samples,)
        The label of ``high``; 1 where both are the same class.
    n_classes : int
    dtype : torch.dtype
    """

    low: Tensor
    high: Tensor
    share_high: Tensor
    n_classes: int
    dtype: torch.dtype

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Labels of some rows, of shape (n_rows, n_classes)."""
        low, high = self.shares(rows)
        labels = low.new_zeros(len(low), self.n_classes)
        labels.scatter_(1, self.low[rows, None], low[:, None])
        return labels.scatter_(1, self.high[rows, None], high[:, None])

    def shares(self, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Labels of ``low`` and ``high``, each of shape (n_rows,)."""
        high = self.share_high[rows]
        low = 1 - high  # before rounding, which might leave nothing of a small share
        return low.to(self.dtype), high.to(self.dtype)


@dataclass(frozen=True)
class ListedLabels:
    """Labels of the classes on short lists; the others are zero.

    Attributes
    ----------
    values, lists : Tensor of shape (n_samples, width)
    n_classes : int
    dtype : torch.dtype
    """

    values: Tensor
    lists: Tensor
    n_classes: int
    dtype: torch.dtype

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Labels of some rows, of shape (n_rows, n_classes)."""
        values = self.values[rows].to(self.dtype)
        labels = values.new_zeros(len(values), self.n_classes)
        return labels.scatter_add_(1, self.lists[rows], values)


@dataclass(frozen=True)
class PooledLabels:
    """Labels of the classes on short lists, and of a pool that serves rows in order.

    Attributes
    ----------
    listed : ListedLabels
        In float64.
    begin, end : Tensor of shape (n_samples,)
        The part of the pool that a row takes, all rows standing in line.
    pooled : Tensor of shape (n_samples,)
        What the label of a row has in the pool.
    borders : Tensor of shape (n_classes + 1,)
        Where the classes begin and end in the pool.
    dtype : torch.dtype
    """

    listed: ListedLabels
    begin: Tensor
    end: Tensor
    pooled: Tensor
    borders: Tensor
    dtype: torch.dtype

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Labels of some rows, of shape (n_rows, n_classes)."""
        begin = self.begin[rows, None].maximum(self.borders[:-1])
        end = self.end[rows, None].minimum(self.borders[1:])
        part = (end - begin).clamp_min_(0)
        served = part.sum(1, keepdim=True)
        part *= self.pooled[rows, None] / served.clamp_min(_TINY)
        part += self.listed[rows]
        # The place of a row that hardly weighs may vanish in the sums of the others.
        total = torch.where(served > 0, 1.0, part.sum(1, keepdim=True))
        return part.div_(total).to(self.dtype)


def served_in_order(
    labels: Tensor, restricted: ListedRows, received: Tensor, dtype: torch.dtype
) -> PooledLabels:
    """Labels on lists, the pool's last; each row takes classes from it in turn.

    Taking in turn splits the pool at ``n_rows + n_classes`` places at most, so the
    labels stay sparse.
    """
    values, lists = labels[:, :-1], restricted.lists[:, :-1]
    listed = ListedLabels(values, lists, restricted.n_classes, torch.float64)
    taken = (restricted.share + _PLACE) * (labels[:, -1] + _PLACE)
    end = taken.cumsum(0)
    borders = torch.nn.functional.pad(received.cumsum(0), (1, 0))
    borders *= end[-1] / borders[-1]
    return PooledLabels(listed, end - taken, end, labels[:, -1], borders, dtype)


@dataclass(frozen=True)
class MergedLabels:
    """Labels of merged rows.

    Attributes
    ----------
    merged : Labels
        Of the merged problem.
    index : Tensor of shape (n_samples,)
        The merged row of every row.
    """

    merged: Labels
    index: Tensor

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Labels of some rows, of shape (n_rows, n_classes)."""
        return self.merged[self.index[rows]]


def without_dust(labels: Tensor, dust: float) -> Tensor:
    """Normalised labels, entries below ``dust`` set to 0."""
    part = labels / labels.sum(1, keepdim=True)
    part = part.masked_fill(part < dust, 0.0)
    return part / part.sum(1, keepdim=True)
