"""A primal-dual interior-point method for labels and prices at once.

Optimality, per row i with multipliers theta_i, t_i and prices nu::

    z_ik = theta_i - t_i s_ik - nu_k >= 0      y_ik z_ik = 0
    sum_k y_ik = 1        t_i (s_i . y_i) = 1        nu_k mean_k = lambda u_k

Every equation is linear or a product of two unknowns. A predictor and a corrector
(Mehrotra) follow the path ``y z = level`` to ``level = 0``. Eliminating the rows leaves
a K x K system for the prices, in which each row takes part with two vectors.

The rows may be restricted to short lists of classes and a pool of the others, see
``_lists`` and ``_pool``; all arrays of rows are then as wide as the lists. They are
worked through in chunks; beyond the labels and their step, nothing of the size of the
restricted problem is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ._lists import Restricted
from ._pool import Pool
from ._problem import relative_gap

_TO_THE_BOUNDARY = 0.995
_TINY = 1e-300
_RIDGES = (0.0, 1e-15, 1e-13, 1e-11, 1e-9, 1e-7)
_KEPT_ENTRIES = 1 << 21
_PATIENCE = 12
# Bound on the corrector's second-order term, in multiples of the mean product.
_LARGEST_BEND = 5.0
# The same for the product t (s . y), which is to be 1.
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
    """Where a corrector aims: the product labels * slack, and a bound on its bend."""

    level: float
    limit: float


class Chunk:
    """The row equations of one chunk, linearised at a point and solved for the rows.

    Parameters
    ----------
    problem : Restricted
    rows : slice
    point : Point
        The part that belongs to these rows; its prices are those of all classes.
    """

    def __init__(self, problem: Restricted, rows: slice, point: Point):
        self.rows, self.columns = rows, problem.columns(rows)
        self.values = problem.values[rows].double()
        self.share = problem.share[rows, None]
        self.point = point._replace(prices=self.columns.gather(point.prices))
        values, point = self.values, self.point
        self._predicted: tuple[Point, Tensor] | None = None
        self._free: tuple[Tensor, tuple[Tensor, Tensor]] | None = None
        self.slack = point.theta - torch.addcmul(point.prices, values, point.t)
        self.ratio = point.labels / self.slack
        self.total = self.ratio.sum(1, keepdim=True)
        self.weighted = self.ratio * values
        self.centre = self.weighted.sum(1, keepdim=True) / self.total
        self.match = (values * point.labels).sum(1, keepdim=True)
        self.tilt = torch.addcmul(self.weighted, self.ratio, self.centre, value=-1)
        self.pivot = (self.tilt * (values - self.centre)).sum(1, keepdim=True)
        self.pivot += self.match / point.t

    def add_curvature(self, matrix: Tensor) -> None:
        """Subtract what eliminating these rows takes from the price matrix."""
        first = self.ratio * (self.share / self.total).sqrt()
        second = self.tilt * (self.share / self.pivot).sqrt()
        self.columns.subtract_squares(matrix, first, second)

    def diagonal(self) -> Tensor:
        """What eliminating these rows adds to the diagonal of the price matrix."""
        return self._mean(self.ratio)

    def mean_labels(self) -> Tensor:
        """Weighted sum of the labels, by class."""
        return self._mean(self.point.labels)

    def change(self, step: Point) -> Tensor:
        """Change of the mean labels by a step."""
        return self._mean(step.labels)

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

    def predict(self, prices: Tensor) -> tuple[Point, Tensor]:
        """The step to ``labels * slack = 0``, given the step of the prices."""
        if self._predicted is None:
            errors = self._errors(None, None)
            self._predicted = self._step(-self.point.labels, errors, prices)
        return self._predicted

    def correct(
        self, goal: Goal, predicted: Tensor, prices: Tensor
    ) -> tuple[Point, Tensor]:
        """The step to the goal, given the predictor's and its own price steps."""
        free, errors = self._corrected(goal, predicted)
        return self._step(free, errors, prices)

    def predicted_mean(self) -> Tensor:
        """Change of the mean labels by the predictor, were the prices fixed."""
        return self._fixed_mean(-self.point.labels, self._errors(None, None))

    def corrected_mean(self, goal: Goal, predicted: Tensor) -> Tensor:
        """Change of the mean labels by the corrector, were the prices fixed."""
        return self._fixed_mean(*self._corrected(goal, predicted))

    def _corrected(
        self, goal: Goal, predicted: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if self._free is None:
            step, slack = self.predict(predicted)
            product = (step.labels * slack).clamp_(-goal.limit, goal.limit)
            free = (goal.level - product).div_(self.slack).sub_(self.point.labels)
            bend = step.t * (self.values * step.labels).sum(1, keepdim=True)
            bend.clamp_(-_LARGEST_TURN, _LARGEST_TURN)
            self._free = free, self._errors(free, bend)
        return self._free

    def _errors(
        self, free: Tensor | None, bend: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What is missing in sum and match once the free part of the step is taken."""
        if free is None:
            return torch.ones_like(self.match), 1 / self.point.t
        sum_error = 1 - (self.point.labels + free).sum(1, keepdim=True)
        match_error = (1 - bend) / self.point.t - self.match
        return sum_error, match_error - (self.values * free).sum(1, keepdim=True)

    def _rows(self, sum_error: Tensor, match_error: Tensor) -> tuple[Tensor, Tensor]:
        t = (match_error - self.centre * sum_error) / self.pivot
        return self.centre * t - sum_error / self.total, t

    def _fixed_mean(self, free: Tensor, errors: tuple[Tensor, Tensor]) -> Tensor:
        theta, t = self._rows(*errors)
        own = torch.addcmul(free, t, self.weighted)
        return self._mean(own.addcmul_(theta, self.ratio, value=-1))

    def _step(
        self, free: Tensor, errors: tuple[Tensor, Tensor], prices: Tensor
    ) -> tuple[Point, Tensor]:
        own = self.columns.gather(prices)
        theta, t = self._rows(
            errors[0] - (self.ratio * own).sum(1, keepdim=True),
            errors[1] - (self.weighted * own).sum(1, keepdim=True),
        )
        slack = theta - torch.addcmul(own, self.values, t)
        labels = torch.addcmul(free, self.ratio, slack, value=-1)
        return Point(labels, t, theta, prices, self.point.received), slack

    def store(self, step: Point, whole: Point) -> None:
        """Write the step to its place in the whole one."""
        for target, part in zip(whole[:3], step[:3], strict=True):
            target[self.rows] = part

    def blocks(self, step: Point, slack: Tensor) -> Tensor:
        """Inverse of the largest primal and dual step that stay positive."""
        primal = -(step.labels / self.point.labels).amin()
        dual = torch.maximum(
            -(slack / self.slack).amin(), -(step.t / self.point.t).amin()
        )
        return torch.stack([primal, dual])

    def products(self, step: Point, slack: Tensor) -> Tensor:
        """Weighted sums of y z, dy z, y dz and dy dz."""
        share = self.share[:, 0]
        pairs = (
            (self.point.labels, self.slack),
            (step.labels, self.slack),
            (self.point.labels, slack),
            (step.labels, slack),
        )
        return torch.stack([share @ torch.linalg.vecdot(a, b) for a, b in pairs])


class InteriorPath:
    """The iteration: a point, and how to move it along the path.

    Parameters
    ----------
    problem : Restricted
    """

    def __init__(self, problem: Restricted):
        self.problem = problem
        self.pull = problem.pull
        self.priced = problem.pull > 0
        self.moving = self.priced.clone()
        self.moving[problem.n_classes :] = True
        self.point = _start(problem)
        self.step = Point(*(torch.zeros_like(part) for part in self.point))
        self.lengths = (0.0, 0.0)
        self._kept: dict[int, Chunk] = {}

    def _chunks(self) -> Iterator[Chunk]:
        return map(self._chunk, self.problem.chunks())

    def _parts(self) -> Iterator[Chunk | Pool]:
        """The chunks and the pool."""
        yield from self._chunks()
        if self.problem.pooled:
            yield Pool(self.point)

    def _chunk(self, rows: slice) -> Chunk:
        """The linearised chunk, kept for this iteration while that costs little."""
        if rows.start in self._kept:
            return self._kept[rows.start]
        chunk = Chunk(self.problem, rows, self.point.rows(rows))
        if self.problem.values.numel() <= _KEPT_ENTRIES:
            self._kept[rows.start] = chunk
        return chunk

    def linearise(self) -> tuple[float, float]:
        """Set up the equations here; return objective and lower bound."""
        self._kept.clear()
        size = len(self.pull)
        matrix = self.pull.new_zeros(size, size)
        self.mean, self.diagonal, self.missing = self.pull.new_zeros(3, size)
        for part in self._parts():
            part.add_curvature(matrix)
            self.diagonal += part.diagonal()
            self.mean += part.mean_labels()
            self.missing += part.predicted_mean()
        self.matrix = matrix + matrix.T
        return self._values()

    def _values(self) -> tuple[float, float]:
        """Objective of the normalised labels, and lower bound."""
        normalised = torch.zeros_like(self.pull)
        loss, conjugate = self.pull.new_zeros(2)
        for chunk in self._chunks():
            terms = chunk.gap_terms()
            for total, term in zip((normalised, loss, conjugate), terms, strict=True):
                total += term
        if self.problem.pooled:
            received = self.point.received
            normalised[:-1] += normalised[-1] * received / received.sum()
        upper = loss + self.problem.balance(normalised)
        lower = self.problem.dual_balance(self.point.prices) - conjugate
        upper, lower = torch.stack([upper, lower]).tolist()
        return upper, lower

    def advance(self) -> bool:
        """One predictor and one corrector; False if rounding allows no step."""
        self._factorise()
        predicted = self._price_step(self.missing, 0.0)
        goal, mean = self._goal(predicted)
        missing = torch.zeros_like(self.mean)
        for part in self._parts():
            missing += part.corrected_mean(goal, predicted)
        prices = self._price_step(missing, self.priced * predicted * mean)
        self._correct(goal, predicted, prices)
        if not all(0 < length <= 1 for length in self.lengths):  # also catches NaN
            return False
        self.move(1.0)
        return True

    def _factorise(self) -> None:
        own = self.mean / self.point.prices.clamp_min(_TINY)
        own = torch.where(self.priced, own, torch.where(self.moving, 0.0, 1e30))
        self.diagonal = self.diagonal + own
        self.matrix.diagonal().add_(self.diagonal)
        self.factor = _cholesky(self.matrix, self.diagonal)

    def _price_step(self, missing: Tensor, bend: Tensor | float) -> Tensor:
        error = self.pull - self.point.prices * self.mean - bend
        right = error / self.point.prices.clamp_min(_TINY) - missing
        right = torch.where(self.moving, right, torch.zeros_like(right))
        step = torch.cholesky_solve(right[:, None], self.factor)[:, 0]
        return torch.where(self.moving, step, torch.zeros_like(step))

    def _goal(self, predicted: Tensor) -> tuple[Goal, Tensor]:
        """The level to aim at after the predictor, and its change of the mean."""
        sums, mean = self.pull.new_zeros(4), torch.zeros_like(self.mean)
        blocks = self._price_blocks(predicted)
        for part in self._parts():
            step, slack = part.predict(predicted)
            sums += part.products(step, slack)
            mean += part.change(step)
            blocks = torch.maximum(blocks, part.blocks(step, slack))
        primal, dual = (_TO_THE_BOUNDARY / blocks).clamp(0.0, 1.0)
        after = sums[0] + primal * sums[1] + dual * sums[2] + primal * dual * sums[3]
        now, ratio = torch.stack([sums[0], after / sums[0]]).tolist()
        now /= self.problem.values.shape[1] + self.problem.pooled
        level = now * min(1.0, max(1e-2, ratio)) ** 3
        return Goal(level, _LARGEST_BEND * now), mean

    def _price_blocks(self, prices: Tensor) -> Tensor:
        relative = -prices / self.point.prices.clamp_min(_TINY)
        relative = torch.where(self.moving, relative, torch.zeros_like(relative))
        dual = relative.amax()
        return torch.stack([torch.zeros_like(dual), dual]).clamp_min(_TO_THE_BOUNDARY)

    def _correct(self, goal: Goal, predicted: Tensor, prices: Tensor) -> None:
        blocks = self._price_blocks(prices)
        for part in self._parts():
            step, slack = part.correct(goal, predicted, prices)
            blocks = torch.maximum(blocks, part.blocks(step, slack))
            part.store(step, self.step)
        self.step = self.step._replace(prices=prices)
        primal, dual = (_TO_THE_BOUNDARY / blocks).clamp(0.0, 1.0).tolist()
        self.lengths = primal, dual

    def move(self, sign: float) -> None:
        """Take the step (sign 1), or take it back (sign -1)."""
        primal, dual = (sign * length for length in self.lengths)
        lengths = primal, dual, dual, dual, primal
        for part, step, length in zip(self.point, self.step, lengths, strict=True):
            part.add_(step, alpha=length)


def _start(problem: Restricted) -> Point:
    """A point with positive labels, slacks of one size, and matching prices."""
    labels, mean = _first_labels(problem)
    prices, received = _first_prices(problem, mean)
    t = torch.empty_like(problem.share)[:, None]
    top, slack = torch.empty_like(t), torch.zeros_like(prices[0])
    for rows in problem.chunks():
        values = problem.values[rows].double()
        t[rows] = 1 / (values * labels[rows]).sum(1, keepdim=True)
        line = torch.addcmul(problem.columns(rows).gather(prices), values, t[rows])
        top[rows] = line.amax(1, keepdim=True)
        slack += (top[rows, 0] - torch.linalg.vecdot(labels[rows], line)).sum()
    theta = top + (slack / len(labels)).clamp_min(1e-6)
    return Point(labels, t, theta, prices, received)


def _first_labels(problem: Restricted) -> tuple[Tensor, Tensor]:
    """Half the predictions and half the prior, of which the pool takes its part."""
    labels = problem.values.to(torch.float64, copy=True)
    prior = problem.pull / problem.pull.sum()
    mean = torch.zeros_like(prior)
    for rows in problem.chunks():
        columns = problem.columns(rows)
        own = columns.gather(prior)
        part = labels[rows] + own + 1e-6
        if problem.pooled:
            part[:, -1] += 1 - own.sum(1)
        labels[rows] = part / part.sum(1, keepdim=True)
        mean += columns.scatter(problem.share[rows, None] * labels[rows])
    return labels, mean


def _first_prices(problem: Restricted, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Prices of the mean labels, and what the pool hands out in proportion to u."""
    if not problem.pooled:
        return problem.pull / mean.clamp_min(1e-30), mean[:0]
    pull = problem.pull[:-1]
    prior = pull / pull.sum()
    received = (mean[-1] * prior).clamp_min(1e-12)
    prices = pull / (mean[:-1] + received).clamp_min(1e-30)
    rise = (prices.amax() - prices @ prior).clamp_min(1e-6)
    prices = torch.cat([prices, (prices.amax() + rise)[None]])
    return prices, received * len(received)


def _cholesky(matrix: Tensor, diagonal: Tensor) -> Tensor:
    """Cholesky factor, with a growing ridge where rounding has spoilt the matrix."""
    for ridge in _RIDGES:
        matrix.diagonal().add_(ridge * diagonal)
        factor, info = torch.linalg.cholesky_ex(matrix)
        if int(info) == 0:
            break
    return factor


def follow_path(
    problem: Restricted,
    *,
    tol: float,
    max_iter: int,
) -> tuple[Point, float, int]:
    """Iterate until the certified gap is at most ``tol * max(1, abs(objective))``.

    Also stops where rounding allows no further progress.

    Returns
    -------
    point : Point
        Labels not yet normalised.
    bound : float
        The best lower bound met.
    n_iter : int
    """
    path, best_gap, best_bound, since = (
        InteriorPath(problem),
        float("inf"),
        -1e300,
        0,
    )
    for n_iter in range(max_iter + 1):
        upper, lower = path.linearise()
        gap = relative_gap(upper, lower)
        if not abs(gap) < float("inf"):
            path.move(-1.0)
            break
        best_bound = max(best_bound, lower)
        since = 0 if gap < 0.9 * best_gap else since + 1
        best_gap = min(gap, best_gap)
        if gap <= tol or since > _PATIENCE or n_iter == max_iter:
            break
        if not path.advance():
            break
    return path.point, best_bound, n_iter
