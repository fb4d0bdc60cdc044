"""One row of the dual: max over the simplex of ln(s.y) + prices.y, exactly.

The maximum over y equals the minimum over t > 0 of the convex function
``max_k (t s_k + prices_k) - ln t - 1``. Two of the K lines suffice: one whose slope
is at most 1/t at the minimum, one whose slope is at least 1/t. They are found by
cutting planes: minimise over the two lines in hand, look for a line that lies above,
replace the one on its side.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class RowSolution(NamedTuple):
    """Maximisers of a chunk of rows; every field has shape (n_rows,).

    ``height`` is that of the highest line at t. The label gives ``share_high`` to the
    class ``high`` and the rest to ``low``, so that ``s . y = 1 / t``.
    """

    height: Tensor
    t: Tensor
    low: Tensor
    high: Tensor
    share_high: Tensor

    @property
    def value(self) -> Tensor:
        """An upper bound of the maximum; equal to it to rounding after convergence."""
        return self.height - torch.log(self.t) - 1


def two_line_minimum(
    slope_low: Tensor, slope_high: Tensor, price_low: Tensor, price_high: Tensor
) -> Tensor:
    """Minimise max(t s_low + p_low, t s_high + p_high) - ln t over t > 0."""
    rise = slope_high - slope_low
    cross = (price_low - price_high) / rise
    cross = torch.where(rise > 0, cross, torch.zeros_like(cross))
    return torch.minimum(torch.maximum(cross, 1 / slope_high), 1 / slope_low)


class Cut(NamedTuple):
    """One cutting plane: the minimum over two lines, and the line above it."""

    t: Tensor
    height: Tensor
    better: Tensor
    low: Tensor
    high: Tensor


def cut_rows(probabilities: Tensor, prices: Tensor, low: Tensor, high: Tensor) -> Cut:
    """Minimise over the lines ``low`` and ``high``; swap one for the highest line."""
    slope_low, slope_high = _pick(probabilities, low), _pick(probabilities, high)
    price_low, price_high = prices.index_select(0, low), prices.index_select(0, high)
    t = two_line_minimum(slope_low, slope_high, price_low, price_high)
    model = torch.maximum(t * slope_low + price_low, t * slope_high + price_high)
    lines = torch.addcmul(prices, probabilities, t[:, None])
    line = row_argmax(lines)
    height = _pick(lines, line)
    slack = 8 * torch.finfo(prices.dtype).eps
    better = height > model + slack * height.abs()
    rises = _pick(probabilities, line) * t >= 1
    return Cut(
        t,
        height,
        better,
        torch.where(better & ~rises, line, low),
        torch.where(better & rises, line, high),
    )


def share_of_high(
    probabilities: Tensor, t: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """The share of class ``high`` in the label that has ``s . y = 1 / t``."""
    slope_low, slope_high = _pick(probabilities, low), _pick(probabilities, high)
    share = (1 / t - slope_low) / (slope_high - slope_low)
    return torch.where(slope_high > slope_low, share.clamp(0, 1), torch.ones_like(t))


def solve_rows(
    probabilities: Tensor, prices: Tensor, *, max_steps: int = 60
) -> RowSolution:
    """Solve every row of a chunk for the given prices.

    The label of a row is first taken to be its steepest line alone; where another line
    lies above, the two are the start of the cutting planes.

    Parameters
    ----------
    probabilities : Tensor of shape (n_rows, n_classes)
    prices : Tensor of shape (n_classes,), same dtype, non-negative
    max_steps : int
        Largest number of cutting planes; stopping early keeps the bound valid.
    """
    high = row_argmax(probabilities)
    t = 1 / _pick(probabilities, high)
    lines = torch.addcmul(prices, probabilities, t[:, None])
    height = lines.amax(1)
    own = 1 + prices.index_select(0, high)
    split = height > own * (1 + 8 * torch.finfo(t.dtype).eps)
    found = RowSolution(height, t, high.clone(), high, torch.ones_like(t))
    rows = split.nonzero()[:, 0]
    if len(rows):
        part = probabilities.index_select(0, rows)
        low = row_argmax(lines.index_select(0, rows))
        two = _solve_two_lines(part, prices, low, high[rows], max_steps)
        for whole, some in zip(found, two, strict=True):
            whole[rows] = some
    return found


def _solve_two_lines(
    probabilities: Tensor, prices: Tensor, low: Tensor, high: Tensor, max_steps: int
) -> RowSolution:
    """Cutting planes from two lines on."""
    cut = cut_rows(probabilities, prices, low, high)
    t, height = cut.t, cut.height
    rows = cut.better.nonzero()[:, 0]
    for _ in range(max_steps - 1):
        if not len(rows):
            break
        part = probabilities.index_select(0, rows)
        low[rows], high[rows] = cut.low[cut.better], cut.high[cut.better]
        cut = cut_rows(part, prices, low[rows], high[rows])
        t[rows], height[rows] = cut.t, cut.height
        rows = rows[cut.better]
    share = share_of_high(probabilities, t, low, high)
    return RowSolution(height, t, low, high, share)


def _pick(matrix: Tensor, columns: Tensor) -> Tensor:
    return matrix.gather(1, columns[:, None]).squeeze(1)


def first_lines(probabilities: Tensor, prices: Tensor) -> tuple[Tensor, Tensor]:
    """The highest line at t = 0, and the steepest."""
    high = row_argmax(probabilities)
    return prices.argmax().repeat(len(high)), high


def row_argmax(matrix: Tensor) -> Tensor:
    """Column of the largest entry of every row, shape (n_rows,).

    numpy's uses vector instructions on the CPU, torch's does not (2.13).
    """
    if matrix.is_cpu and not torch.compiler.is_compiling():
        return torch.from_numpy(matrix.numpy().argmax(1))
    return matrix.argmax(1)
