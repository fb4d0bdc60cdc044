"""The interior point's equations for a chunk of rows.

Optimality, per row i with multipliers theta_i, t_i and prices nu::

    z_ik = theta_i - t_i s_ik - nu_k >= 0      y_ik z_ik = 0
    sum_k y_ik = 1        t_i (s_i . y_i) = 1        nu_k mean_k = lambda u_k

Every equation is linear or a product of two unknowns. Given a step of the prices, the
steps of a row's labels and multipliers follow from two equations in theta_i and t_i,
sum and match. So the rows can be eliminated: each takes part in the K x K system for
the prices with two vectors.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ._lists import PathRows

# Bound on the corrector's second-order term, in multiples of the mean product. It is
# that of a whole step of the predictor, which is not taken where labels vanish soon; a
# larger one would throw the corrector off the path.
_LARGEST_BEND = 5.0
# The same for the product t (s . y), which is to be 1: it must stay positive.
_LARGEST_TURN = 0.9


class Point(NamedTuple):
    """Labels, row multipliers (columns), prices; also a step between two points.

    ``received`` is what the pool hands to every class, in units of its share; empty
    where there is no pool.
    """

    labels: Tensor
    t: Tensor
    theta: Tensor
    prices: Tensor
    received: Tensor

    def rows(self, rows: slice) -> Point:
        """The part that belongs to a chunk of rows."""
        labels, t, theta = (part[rows] for part in self[:3])
        return self._replace(labels=labels, t=t, theta=theta)


class Goal(NamedTuple):
    """Where a corrector aims: the product labels * slack, and the mean one now."""

    level: float
    now: float

    def second_order(self, product: Tensor) -> Tensor:
        """A second-order term, bounded; overwrites ``product``."""
        limit = _LARGEST_BEND * self.now
        return product.clamp_(-limit, limit)


class Forecast(NamedTuple):
    """What the predictor would do to a part of the problem.

    Attributes
    ----------
    products : Tensor of shape (4,)
        Weighted sums of y z, dy z, y dz and dy dz.
    change : Tensor of shape (n_prices,)
        Of the mean labels.
    blocks : Tensor of shape (2,)
        Inverse of the largest primal and dual step that stay positive.
    """

    products: Tensor
    change: Tensor
    blocks: Tensor


class Part(Protocol):
    """A part of the problem, linearised at a point: a chunk of rows, or the pool.

    A part adds to the system of the prices, and its own unknowns follow from their
    step. All sums over classes have the shape of the prices.
    """

    def add_curvature(self, matrix: Tensor) -> None:
        """Subtract what eliminating the part takes from the price matrix.

        The matrix and its transpose are added up at the end; halves may lie in either.
        """

    def diagonal(self) -> Tensor:
        """What eliminating the part adds to the diagonal of the price matrix."""

    def mean_labels(self) -> Tensor:
        """What the part adds to the mean labels."""

    def predicted_mean(self) -> Tensor:
        """Change of the mean labels by the predictor, were the prices fixed."""

    def corrected_mean(self, goal: Goal, predicted: Tensor) -> Tensor:
        """Change of the mean labels by the corrector, were the prices fixed."""

    def foresee(self, predicted: Tensor) -> Forecast:
        """What the predictor does, given its step of the prices."""

    def correct(
        self, goal: Goal, predicted: Tensor, prices: Tensor, whole: Point
    ) -> Tensor:
        """Write the step to the goal to its place in the whole one; its blocks.

        Parameters
        ----------
        goal : Goal
        predicted, prices : Tensor of shape (n_prices,)
            The predictor's and the corrector's steps of the prices.
        whole : Point
        """


class RowErrors(NamedTuple):
    """What a row's sum and match still miss; columns."""

    sum: Tensor
    match: Tensor


class Chunk:
    """The row equations of one chunk, linearised at a point and solved for the rows.

    Parameters
    ----------
    problem : PathRows
    rows : slice
    point : Point
        The part that belongs to these rows; its prices are those of all classes.
    """

    def __init__(self, problem: PathRows, rows: slice, point: Point):
        self.rows, self.columns = rows, problem.columns(rows)
        self.values = problem.values[rows].double()
        self.share = problem.share[rows, None]
        self.point = point._replace(prices=self.columns.gather(point.prices))
        values, point = self.values, self.point
        self._predicted: tuple[Point, Tensor] | None = None
        self._free: tuple[Tensor, RowErrors] | None = None
        self.slack = point.theta - torch.addcmul(point.prices, values, point.t)
        self.ratio = point.labels / self.slack
        self.total = self.ratio.sum(1, keepdim=True)
        self.weighted = self.ratio * values
        self.centre = self.weighted.sum(1, keepdim=True) / self.total
        self.match = (values * point.labels).sum(1, keepdim=True)
        self.tilt = torch.addcmul(self.weighted, self.ratio, self.centre, value=-1)
        # p . s = p . (s - m), since p sums to 0: this way nothing cancels.
        self.pivot = (self.tilt * (values - self.centre)).sum(1, keepdim=True)
        self.pivot += self.match / point.t

    def add_curvature(self, matrix: Tensor) -> None:
        """Subtract what eliminating these rows takes from the price matrix.

        The matrix and its transpose are added up at the end; halves may lie in either.
        """
        first = self.ratio * (self.share / self.total).sqrt()
        second = self.tilt * (self.share / self.pivot).sqrt()
        self.columns.subtract_squares(matrix, first, second)

    def diagonal(self) -> Tensor:
        """What eliminating these rows adds to the diagonal of the price matrix."""
        return self._mean(self.ratio)

    def mean_labels(self) -> Tensor:
        """Weighted sum of the labels, by class."""
        return self._mean(self.point.labels)

    def _mean(self, part: Tensor) -> Tensor:
        return self.columns.scatter(self.share * part)

    def gap_terms(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean of the normalised labels, their loss, and the conjugate's value."""
        total = self.point.labels.sum(1, keepdim=True)
        share = self.share[:, 0]
        mean = self._mean(self.point.labels / total)
        loss = -torch.xlogy(share, (self.match / total)[:, 0]).sum()
        conjugate = share @ (self.point.theta - torch.log(self.point.t) - 1)[:, 0]
        return mean, loss, conjugate

    def predicted_mean(self) -> Tensor:
        """Change of the mean labels by the predictor, were the prices fixed."""
        return self._fixed_mean(-self.point.labels, self._predictor_errors())

    def corrected_mean(self, goal: Goal, predicted: Tensor) -> Tensor:
        """Change of the mean labels by the corrector, were the prices fixed."""
        return self._fixed_mean(*self._corrected(goal, predicted))

    def foresee(self, predicted: Tensor) -> Forecast:
        """What the predictor does, given its step of the prices."""
        step, slack = self._predict(predicted)
        change = self._mean(step.labels)
        return Forecast(self._products(step, slack), change, self._blocks(step, slack))

    def correct(
        self, goal: Goal, predicted: Tensor, prices: Tensor, whole: Point
    ) -> Tensor:
        """Write the step to the goal to its place in the whole one; its blocks.

        Parameters
        ----------
        goal : Goal
        predicted, prices : Tensor of shape (n_prices,)
            The predictor's and the corrector's steps of the prices.
        whole : Point
        """
        step, slack = self._step(*self._corrected(goal, predicted), prices)
        for target, part in zip(whole[:3], step[:3], strict=True):
            target[self.rows] = part
        return self._blocks(step, slack)

    def _predict(self, prices: Tensor) -> tuple[Point, Tensor]:
        """The step to ``labels * slack = 0``, and its change of the slacks."""
        if self._predicted is None:
            errors = self._predictor_errors()
            self._predicted = self._step(-self.point.labels, errors, prices)
        return self._predicted

    def _corrected(self, goal: Goal, predicted: Tensor) -> tuple[Tensor, RowErrors]:
        """The corrector's free part, the step of the labels at fixed slacks."""
        if self._free is None:
            step, slack = self._predict(predicted)
            product = goal.second_order(step.labels * slack)
            free = (goal.level - product).div_(self.slack).sub_(self.point.labels)
            bend = step.t * (self.values * step.labels).sum(1, keepdim=True)
            bend.clamp_(-_LARGEST_TURN, _LARGEST_TURN)
            self._free = free, self._corrector_errors(free, bend)
        return self._free

    def _predictor_errors(self) -> RowErrors:
        """The free part, minus the labels, leaves nothing of sum and match."""
        return RowErrors(torch.ones_like(self.match), 1 / self.point.t)

    def _corrector_errors(self, free: Tensor, bend: Tensor) -> RowErrors:
        """What is missing once the free part of the step is taken."""
        sum_error = 1 - (self.point.labels + free).sum(1, keepdim=True)
        match_error = (1 - bend) / self.point.t - self.match
        match_error = match_error - (self.values * free).sum(1, keepdim=True)
        return RowErrors(sum_error, match_error)

    def _multipliers(self, errors: RowErrors) -> tuple[Tensor, Tensor]:
        """Steps of theta and t that make up for the errors."""
        t = (errors.match - self.centre * errors.sum) / self.pivot
        return self.centre * t - errors.sum / self.total, t

    def _fixed_mean(self, free: Tensor, errors: RowErrors) -> Tensor:
        theta, t = self._multipliers(errors)
        own = torch.addcmul(free, t, self.weighted)
        return self._mean(own.addcmul_(theta, self.ratio, value=-1))

    def _step(
        self, free: Tensor, errors: RowErrors, prices: Tensor
    ) -> tuple[Point, Tensor]:
        own = self.columns.gather(prices)
        theta, t = self._multipliers(
            RowErrors(
                errors.sum - (self.ratio * own).sum(1, keepdim=True),
                errors.match - (self.weighted * own).sum(1, keepdim=True),
            )
        )
        slack = theta - torch.addcmul(own, self.values, t)
        labels = torch.addcmul(free, self.ratio, slack, value=-1)
        return Point(labels, t, theta, prices, self.point.received), slack

    def _blocks(self, step: Point, slack: Tensor) -> Tensor:
        primal = -(step.labels / self.point.labels).amin()
        dual = torch.maximum(
            -(slack / self.slack).amin(), -(step.t / self.point.t).amin()
        )
        return torch.stack([primal, dual])

    def _products(self, step: Point, slack: Tensor) -> Tensor:
        share = self.share[:, 0]
        pairs = (
            (self.point.labels, self.slack),
            (step.labels, self.slack),
            (self.point.labels, slack),
            (step.labels, slack),
        )
        return torch.stack([share @ torch.linalg.vecdot(a, b) for a, b in pairs])
