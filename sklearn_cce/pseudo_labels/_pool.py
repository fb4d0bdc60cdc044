"""The classes off a row's list: a pool that all rows share.

A row may give part of its label to the pool, as if its predictions there were 0. The
pool hands what it is given to the classes: ``received_k >= 0``, at a price of its own
that is at least that of any class. So every row reaches every class, and the prices of
classes that are on few lists stay comparable.

To the interior point the pool is one more row, of share ``1 / n_classes``, with fixed
multipliers and the equations ::

    slack_k = price of the pool - nu_k >= 0      received_k slack_k = 0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ._interior import Goal, Point


class Pool:
    """The pool's equations, linearised at a point: a drop-in for a chunk of rows.

    Parameters
    ----------
    point : Point
        Its last price is that of the pool.
    """

    def __init__(self, point: Point):
        self.received, prices = point.received, point.prices
        self.share = 1 / len(self.received)
        self.slack = prices[-1] - prices[:-1]
        self.ratio = self.received / self.slack

    def add_curvature(self, matrix: Tensor) -> None:
        """Subtract what the pool takes from the price matrix off its diagonal."""
        matrix[:-1, -1] -= self.share * self.ratio

    def diagonal(self) -> Tensor:
        """What the pool adds to the diagonal of the price matrix."""
        added = self.share * self.ratio
        return torch.cat([added, added.sum(0, keepdim=True)])

    def mean_labels(self) -> Tensor:
        """What the classes receive, and the pool hands out."""
        return self._net(self.received)

    def change(self, received: Tensor) -> Tensor:
        """Change of the mean labels by a step."""
        return self._net(received)

    def predicted_mean(self) -> Tensor:
        """Change of the mean labels by the predictor, were the prices fixed."""
        return self._net(-self.received)

    def corrected_mean(self, goal: Goal, predicted: Tensor) -> Tensor:
        """Change of the mean labels by the corrector, were the prices fixed."""
        return self._net(self._free(goal, predicted))

    def predict(self, prices: Tensor) -> tuple[Tensor, Tensor]:
        """The step to ``received * slack = 0``, given the step of the prices."""
        return self._step(-self.received, prices)

    def correct(
        self, goal: Goal, predicted: Tensor, prices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The step to the goal, given the predictor's and its own price steps."""
        return self._step(self._free(goal, predicted), prices)

    def store(self, step: Tensor, whole: Point) -> None:
        """Write the step to its place in the whole one."""
        whole.received.copy_(step)

    def blocks(self, step: Tensor, slack: Tensor) -> Tensor:
        """Inverse of the largest primal and dual step that stay positive."""
        primal = -(step / self.received).amin()
        return torch.stack([primal, -(slack / self.slack).amin()])

    def products(self, step: Tensor, slack: Tensor) -> Tensor:
        """Weighted sums of y z, dy z, y dz and dy dz, y being what is received."""
        received = torch.stack([self.received, step])
        return self.share * (torch.stack([self.slack, slack]) @ received.T).flatten()

    def _net(self, received: Tensor) -> Tensor:
        gain = self.share * received
        return torch.cat([gain, -gain.sum(0, keepdim=True)])

    def _free(self, goal: Goal, predicted: Tensor) -> Tensor:
        step, slack = self.predict(predicted)
        product = (step * slack).clamp_(-goal.limit, goal.limit)
        return (goal.level - product) / self.slack - self.received

    def _step(self, free: Tensor, prices: Tensor) -> tuple[Tensor, Tensor]:
        slack = prices[-1] - prices[:-1]
        return torch.addcmul(free, self.ratio, slack, value=-1), slack
