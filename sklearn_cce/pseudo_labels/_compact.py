"""Labels that give their rows on demand, in place of an N x K matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Labels(Protocol):
    """What a matrix of labels and its compact forms have in common."""

    def __getitem__(self, rows: slice) -> Tensor:
        """Labels of some rows, of shape (n_rows, n_classes)."""


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

    def __getitem__(self, rows: slice) -> Tensor:
        """Labels of some rows, of shape (n_rows, n_classes)."""
        values = self.values[rows]
        labels = values.new_zeros(len(values), self.n_classes)
        return labels.scatter_add_(1, self.lists[rows], values).to(self.dtype)


@dataclass(frozen=True)
class MergedLabels:
    """Labels of merged rows.

    Attributes
    ----------
    merged : Tensor of shape (n_merged, n_classes)
    index : Tensor of shape (n_samples,)
        The merged row of every row.
    """

    merged: Tensor
    index: Tensor

    def __getitem__(self, rows: slice) -> Tensor:
        """Labels of some rows, of shape (n_rows, n_classes)."""
        return self.merged[self.index[rows]]


def without_dust(labels: Tensor, dust: float) -> Tensor:
    """Normalised labels, entries below ``dust`` set to 0."""
    part = labels / labels.sum(1, keepdim=True)
    part = part.masked_fill(part < dust, 0.0)
    return part / part.sum(1, keepdim=True)
