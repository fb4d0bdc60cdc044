"""One row of the dual, solved to rounding: see ``_batch`` for its lines in t."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._batch import HIGHER, cut_rows, pick, row_argmax, share_of_high

# Planes per row at most. On softmax rows, K = 20 to 500, one row in eight takes a
# second one and none more than five. Stopping early keeps the bound valid: it is taken
# at the highest line.
_MOST_CUTS = 60


class RowSolution(NamedTuple):
    """Maximisers of a chunk of rows; every field has shape (n_rows,).

    ``height`` is that of the highest line at t. The label gives ``share_high`` to the
    class ``high`` and the rest to ``low``, so that ``s . y = 1 / t``. The maximum is
    at most ``height - ln t - 1``, and that but for rounding after convergence.
    """

    height: Tensor
    t: Tensor
    low: Tensor
    high: Tensor
    share_high: Tensor


def solve_rows(probabilities: Tensor, prices: Tensor) -> RowSolution:
    """Solve every row of a chunk for the given prices.

    The label of a row is first taken to be its steepest line alone; where another line
    lies above, the two are the start of the cutting planes.

    Parameters
    ----------
    probabilities : Tensor of shape (n_rows, n_classes)
    prices : Tensor of shape (n_classes,), same dtype, non-negative
    """
    high = row_argmax(probabilities)
    t = 1 / pick(probabilities, high)
    lines = torch.addcmul(prices, probabilities, t[:, None])
    height = lines.amax(1)
    own = 1 + prices.index_select(0, high)
    split = height > own * (1 + HIGHER * torch.finfo(t.dtype).eps)
    found = RowSolution(height, t, high.clone(), high, torch.ones_like(t))
    rows = split.nonzero()[:, 0]
    if len(rows):
        part = probabilities.index_select(0, rows)
        low = row_argmax(lines.index_select(0, rows))
        two = _solve_two_lines(part, prices, low, high[rows])
        for whole, some in zip(found, two, strict=True):
            whole[rows] = some
    return found


def _solve_two_lines(
    probabilities: Tensor, prices: Tensor, low: Tensor, high: Tensor
) -> RowSolution:
    """Cutting planes from two lines on."""
    cut = cut_rows(probabilities, prices, low, high)
    t, height = cut.t, cut.height
    rows = cut.better.nonzero()[:, 0]
    for _ in range(_MOST_CUTS - 1):
        if not len(rows):
            break
        part = probabilities.index_select(0, rows)
        low[rows], high[rows] = cut.low[cut.better], cut.high[cut.better]
        cut = cut_rows(part, prices, low[rows], high[rows])
        t[rows], height[rows] = cut.t, cut.height
        rows = rows[cut.better]
    share = share_of_high(probabilities, t, low, high)
    return RowSolution(height, t, low, high, share)
