"""A primal-dual interior-point method for labels and prices at once.

A predictor and a corrector (Mehrotra) follow the path ``y z = level`` to ``level = 0``.
The equations of the rows are in ``_chunk``, those of the pool in ``_pool``. What is
left of them is a K x K system for the prices.

Where rows are restricted to short lists of classes and a pool of the others, all arrays
of rows are as wide as the lists. They are worked through in chunks; beyond the labels
and their step, nothing of the size of the restricted problem is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .._checks import NEGLIGIBLE
from .._problem import relative_gap
from ._chunk import Chunk, Goal, Part, Point
from ._lists import PathRows
from ._pool import Pool

# Share of the way to the boundary: all products stay positive, and so the next matrix
# regular.
_TO_THE_BOUNDARY = 0.995
# Between the predictor's forecast of the mean product and the level aimed at lies
# Mehrotra's cube of their ratio; the ratio's floor keeps some of the path's centre.
_LEAST_RATIO = 1e-2
# Prices of classes without prior are 0; they are divided by this, and stay where they
# are, for the diagonal of the matrix is as good as infinite there.
_TINY, _FIXED = 1e-300, 1e30
# Parts of the diagonal that are added to it until Cholesky's method finds no negative
# pivot. The matrix is positive definite up to rounding, which near the end, with slacks
# of all sizes, is more than the last bit.
_RIDGES = (0.0, 1e-15, 1e-13, 1e-11, 1e-9, 1e-7)
# Entries up to which the linearised chunks are kept for an iteration, about 130 MB for
# eight arrays of float64; above, each of the passes makes them anew.
_KEPT_ENTRIES = 1 << 21
# Steps without a gain of a tenth before rounding is taken for the limit. Rows that are
# nearly one-hot make short steps, several of them in turn.
_PATIENCE, _GAIN = 12, 0.9
# Labels and slacks of the start, at least: it is to be well inside.
_INSIDE = 1e-6
# What a class receives from the pool at first, at least: less than any label's share.
_LEAST_RECEIVED = 1e-12


class InteriorPath:
    """The iteration: a point, and how to move it along the path.

    Parameters
    ----------
    problem : PathRows
    """

    def __init__(self, problem: PathRows):
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

    def _parts(self) -> Iterator[Part]:
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
        own = torch.where(self.priced, own, torch.where(self.moving, 0.0, _FIXED))
        self.diagonal = self.diagonal + own
        self.matrix.diagonal().add_(self.diagonal)
        self.factor = _cholesky(self.matrix, self.diagonal)

    def _price_step(self, missing: Tensor, bend: Tensor | float) -> Tensor:
        """The step of the prices, given what the parts do without it."""
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
            forecast = part.foresee(predicted)
            sums += forecast.products
            mean += forecast.change
            blocks = torch.maximum(blocks, forecast.blocks)
        primal, dual = (_TO_THE_BOUNDARY / blocks).clamp(0.0, 1.0)
        after = sums[0] + primal * sums[1] + dual * sums[2] + primal * dual * sums[3]
        now, ratio = torch.stack([sums[0], after / sums[0]]).tolist()
        # The rows' shares sum to 1: the sum over the columns, and the pool's, are left.
        now /= self.problem.values.shape[1] + self.problem.pooled
        level = now * min(1.0, max(_LEAST_RATIO, ratio)) ** 3
        return Goal(level, now), mean

    def _price_blocks(self, prices: Tensor) -> Tensor:
        relative = -prices / self.point.prices.clamp_min(_TINY)
        relative = torch.where(self.moving, relative, torch.zeros_like(relative))
        dual = relative.amax()
        # At least this much, so that no step is longer than 1.
        return torch.stack([torch.zeros_like(dual), dual]).clamp_min(_TO_THE_BOUNDARY)

    def _correct(self, goal: Goal, predicted: Tensor, prices: Tensor) -> None:
        blocks = self._price_blocks(prices)
        for part in self._parts():
            own = part.correct(goal, predicted, prices, self.step)
            blocks = torch.maximum(blocks, own)
        self.step = self.step._replace(prices=prices)
        primal, dual = (_TO_THE_BOUNDARY / blocks).clamp(0.0, 1.0).tolist()
        self.lengths = primal, dual

    def move(self, sign: float) -> None:
        """Take the step (sign 1), or take it back (sign -1)."""
        primal, dual = (sign * length for length in self.lengths)
        lengths = primal, dual, dual, dual, primal
        for part, step, length in zip(self.point, self.step, lengths, strict=True):
            part.add_(step, alpha=length)


def _start(problem: PathRows) -> Point:
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
    theta = top + (slack / len(labels)).clamp_min(_INSIDE)
    return Point(labels, t, theta, prices, received)


def _first_labels(problem: PathRows) -> tuple[Tensor, Tensor]:
    """Half the predictions and half the prior, of which the pool takes its part."""
    labels = problem.values.to(torch.float64, copy=True)
    prior = problem.pull / problem.pull.sum()
    mean = torch.zeros_like(prior)
    for rows in problem.chunks():
        columns = problem.columns(rows)
        own = columns.gather(prior)
        part = labels[rows] + own + _INSIDE
        if problem.pooled:
            part[:, -1] += 1 - own.sum(1)
        labels[rows] = part / part.sum(1, keepdim=True)
        mean += columns.scatter(problem.share[rows, None] * labels[rows])
    return labels, mean


def _first_prices(problem: PathRows, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Prices of the mean labels, and what the pool hands out in proportion to u."""
    if not problem.pooled:
        return problem.pull / mean.clamp_min(NEGLIGIBLE), mean[:0]
    pull = problem.pull[:-1]
    prior = pull / pull.sum()
    received = (mean[-1] * prior).clamp_min(_LEAST_RECEIVED)
    prices = pull / (mean[:-1] + received).clamp_min(NEGLIGIBLE)
    rise = (prices.amax() - prices @ prior).clamp_min(_INSIDE)
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


def follow_path(problem: PathRows, *, tol: float, max_iter: int) -> tuple[Point, int]:
    """Iterate until the certified gap is at most ``tol * max(1, abs(objective))``.

    Also stops where rounding allows no further progress.

    Returns
    -------
    point : Point
        Labels not yet normalised.
    n_iter : int
    """
    path, best, since = InteriorPath(problem), float("inf"), 0
    for n_iter in range(max_iter + 1):
        gap = relative_gap(*path.linearise())
        if not abs(gap) < float("inf"):
            path.move(-1.0)
            break
        since = 0 if gap < _GAIN * best else since + 1
        best = min(gap, best)
        if gap <= tol or since > _PATIENCE or n_iter == max_iter:
            break
        if not path.advance():
            break
    return path.point, n_iter
