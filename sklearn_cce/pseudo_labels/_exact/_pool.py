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

import torch
from torch import Tensor

from ._chunk import Forecast, Goal, Point


class Pool:
    """The pool's equations, linearised at a point: see ``Part``.

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

    def predicted_mean(self) -> Tensor:
        """Change of the mean labels by the predictor, were the prices fixed."""
        return self._net(-self.received)

    def corrected_mean(self, goal: Goal, predicted: Tensor) -> Tensor:
        """Change of the mean labels by the corrector, were the prices fixed."""
        return self._net(self._free(goal, predicted))

    def foresee(self, predicted: Tensor) -> Forecast:
        """What the predictor does, given its step of the prices."""
        step, slack = self._step(-self.received, predicted)
        products = self._products(step, slack)
        return Forecast(products, self._net(step), self._blocks(step, slack))

    def correct(
        self, goal: Goal, predicted: Tensor, prices: Tensor, whole: Point
    ) -> Tensor:
        """Write the step to the goal to its place in the whole one; its blocks."""
        step, slack = self._step(self._free(goal, predicted), prices)
        whole.received.copy_(step)
        return self._blocks(step, slack)

    def _net(self, received: Tensor) -> Tensor:
        gain = self.share * received
        return torch.cat([gain, -gain.sum(0, keepdim=True)])

    def _free(self, goal: Goal, predicted: Tensor) -> Tensor:
        step, slack = self._step(-self.received, predicted)
        product = goal.second_order(step * slack)
        return (goal.level - product) / self.slack - self.received

    def _step(self, free: Tensor, prices: Tensor) -> tuple[Tensor, Tensor]:
        slack = prices[-1] - prices[:-1]
        return torch.addcmul(free, self.ratio, slack, value=-1), slack

    def _blocks(self, step: Tensor, slack: Tensor) -> Tensor:
        primal = -(step / self.received).amin()
        return torch.stack([primal, -(slack / self.slack).amin()])

    def _products(self, step: Tensor, slack: Tensor) -> Tensor:
        received = torch.stack([self.received, step])
        return self.share * (torch.stack([self.slack, slack]) @ received.T).flatten()
