"""The order of the attempts: the cheapest first, each certified on the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Generic, TypeVar

import torch
from torch import Tensor

from .._batch import smallest_positive
from .._checks import NEGLIGIBLE
from .._problem import Labels, Predictions, Problem, relative_gap
from .._result import Solution
from ._labels import MergedLabels, served_in_order, without_dust
from ._lists import ListedRows, listed, reach_of_shares, unrestricted
from ._merge import merge_rows
from ._newton import DualState, by_gap, climb, dual_pass, rounded_objective
from ._path import follow_path
from ._two_classes import two_class_prices

# Labels below are taken for zero; the largest that keeps the certificate is used. None
# is above half of an equal share, so that something is left of every row.
_DUST = (1e-2, 1e-3, 1e-5, 1e-8, 0.0)
# Width of the first lists; they become twice as wide up to a quarter of the classes,
# where all classes cost no more.
_WIDTH, _WIDEST = 8, 4
# Problems of fewer classes are too narrow for lists to pay. Seconds by lists and by all
# classes (python -m benchmarks.exact_parts; N = 3,000, fairness weight 10):
#   K          40         50         64         80         100        128
#   skewed     .32, .16   .37, .18   .37, .24   .46, .34   .39, .43   .42, .58
#   untrained  .10, .10   .13, .11   .08, .14   .10, .22   .10, .31   .10, .38
_NARROW = 64
# Problems are merged up to so many times, each time with a smaller budget.
_ROUNDS = 3
# Mean square distance from one-hot of merged rows, in units of the root of the
# tolerance, at first; measured gaps go with the root of it.
_FIRST_BUDGET = 0.01
# What is spent of the budget that would just do, by that rule.
_CAUTION = 0.3
# Rows are merged where at most this share of them is left; else it costs two passes and
# saves few steps' work.
_MOST_LEFT = 0.7
# A sample tells the prices if it has so many rows, and so many a class; one row in so
# many is taken, so that solving it costs a tenth.
_SAMPLE_LEAST, _SAMPLE_ROWS, _SAMPLE_EVERY = 2000, 20, 10
# Shares of the tolerance that the path may use up: of the merged or listed problem, the
# rest being left for what these lose; and of the whole, the rest being left for dust.
_INNER, _WHOLE = 0.3, 0.5

Rows = TypeVar("Rows", bound=Predictions)
Expand = Callable[[Tensor], Labels]


class PathAttempts(Generic[Rows]):
    """Ways along the central path, for merged rows too; the best answer so far.

    An attempt returns an answer that is certified to the tolerance, or None.

    Parameters
    ----------
    problem : Problem
    tol : float
        Relative gap to reach.
    max_iter : int
        Largest number of steps of all attempts together.
    """

    def __init__(self, problem: Problem[Rows], tol: float, max_iter: int):
        self.problem, self.tol, self.left = problem, tol, max_iter
        self.n_iter = 0
        self.best: Solution | None = None
        self.dtype = problem.probabilities.dtype

    def list_likely_classes(self) -> Solution | None:
        """Solve on lists of the most probable classes, the right ones for one-hot rows.

        At the best prices the lines of the classes that are short of labels tie, and
        tell little.
        """
        level, width = _level_prices(self.problem), _WIDTH
        while self._may_list(width):
            found, _ = self._follow_lists(listed(self.problem, level, width))
            if self._keep(found):
                return found
            width *= 2
        return None

    def follow_whole_path(self) -> Solution:
        """Every class for every row; the best answer of all attempts."""
        tol, max_iter = _WHOLE * self.tol, max(1, self.left)
        point, n_iter = follow_path(
            unrestricted(self.problem), tol=tol, max_iter=max_iter
        )
        self._count(n_iter)
        found = self._certified(point.labels, lambda y: y.to(self.dtype), point.prices)
        return self._better(found)

    def _may_list(self, width: int) -> bool:
        """Whether lists of this width are worth a step."""
        n_classes = self.problem.n_classes
        pays = n_classes >= _NARROW and width * _WIDEST <= n_classes
        return pays and self.left > 0

    def _follow_lists(self, short: ListedRows) -> tuple[Solution, Tensor]:
        """The answer on lists, and the two classes that every row uses most."""
        tol = _INNER * self.tol
        point, n_iter = follow_path(short, tol=tol, max_iter=self.left)
        self._count(n_iter)

        def expand(labels: Tensor) -> Labels:
            return served_in_order(labels, short, point.received, self.dtype)

        used = short.lists.gather(1, point.labels[:, :-1].topk(2, 1).indices)
        return self._certified(point.labels, expand, point.prices[:-1]), used

    def _certified(self, labels: Tensor, expand: Expand, prices: Tensor) -> Solution:
        """Cleaned labels with their objective, and the bound of the prices."""
        bound = self.problem.lower_bound(prices)
        clean, objective = self._cleaned(labels, expand, bound)
        return Solution(clean, objective, bound, self.n_iter, prices)

    def _cleaned(
        self, labels: Tensor, expand: Expand, bound: float
    ) -> tuple[Labels, float]:
        """Labels with as many exact zeros as the certificate allows, their value."""
        most = 0.5 / self.problem.n_classes
        for dust in _DUST:
            clean = expand(without_dust(labels, min(dust, most)))
            objective = self.problem.objective(clean)
            if relative_gap(objective, bound) <= self.tol:
                break
        return clean, objective

    def _count(self, n_iter: int) -> None:
        self.n_iter += n_iter
        self.left -= n_iter

    def _better(self, solution: Solution) -> Solution:
        """The best answer so far or this one, whichever has the smaller gap."""
        best = self.best
        gap = solution.objective - solution.lower_bound
        if best is None or not gap >= best.objective - best.lower_bound:
            return solution
        return best

    def _keep(self, solution: Solution) -> bool:
        """Keep an answer if it is the best; whether it is good enough."""
        self.best = self._better(solution)
        return relative_gap(solution.objective, solution.lower_bound) <= self.tol


class Attempts(PathAttempts[Tensor]):
    """All ways to solve a problem whose predictions are a tensor."""

    def at_prices(self, prices: Tensor) -> Solution | None:
        """Take the labels that given prices imply."""
        return self._settle(dual_pass(self.problem, prices))

    def _settle(self, state: DualState) -> Solution | None:
        if not state.gap <= self.tol:
            return None
        objective = state.objective
        if self.dtype != torch.float64:
            objective = rounded_objective(self.problem, state)
        found = state.labels, objective, state.bound, self.n_iter, state.prices
        solution = Solution(*found)
        return solution if self._keep(solution) else None

    @cached_property
    def first(self) -> DualState:
        """What the prices of the predictions imply."""
        prices = self.problem.prices(self.problem.mean(self.problem.probabilities))
        return dual_pass(self.problem, prices)

    @cached_property
    def start(self) -> DualState:
        """The better of these and of other prices that are at hand."""
        other = _other_prices(self.problem, self.tol, self.left)
        return min(self.first, dual_pass(self.problem, other), key=by_gap)

    def guess(self) -> Solution | None:
        """Take the labels that the prices of the predictions imply."""
        return self._settle(self.first)

    def search(self) -> Solution | None:
        """Search for the one number that two classes leave open."""
        if self.problem.n_classes != 2:
            return None
        prices, n_iter = two_class_prices(self.problem, self.left)
        self._count(n_iter)
        return self.at_prices(prices)

    def merge(self) -> Solution | None:
        """Merge rows that are nearly one-hot, if they are many."""
        most = int(_MOST_LEFT * self.problem.n_samples)
        budget = _FIRST_BUDGET * self.tol**0.5
        for _ in range(_ROUNDS):
            groups = merge_rows(self.problem, budget=budget, most=most)
            if groups is None or self.left < 1:
                return None
            found = solve_merged(groups.merged, max_iter=self.left, tol=self.tol)
            self._count(found.n_iter)
            labels = MergedLabels(found.labels, groups.group)
            objective = self.problem.objective(labels)
            bound = self.problem.lower_bound(found.prices)
            answer = Solution(labels, objective, bound, self.n_iter, found.prices)
            if self._keep(answer):
                return answer
            best = self._better(answer)
            gap = relative_gap(best.objective, best.lower_bound)
            budget *= _CAUTION * min(1.0, self.tol / gap) ** 2
        return None

    def climb(self) -> Solution | None:
        """Newton's method on the prices, from the best that are at hand."""
        state, n_iter = climb(
            self.problem, self.start, tol=self.tol, max_iter=self.left
        )
        self._count(n_iter)
        return self._settle(state)

    def list_classes(self) -> Solution | None:
        """Solve on short lists of classes, made anew at the prices that result.

        The two classes that a row uses most stay on its list. Lists become wider where
        the bound did not rise.
        """
        prices, used = self.start.prices, None
        width, bound = _WIDTH, -float("inf")
        while self._may_list(width):
            reach = reach_of_shares(self.problem, prices)
            short = listed(self.problem, prices, width, reach, used)
            found, used = self._follow_lists(short)
            if self._keep(found):
                return found
            width *= 1 if found.lower_bound > bound + self.tol else 2
            prices, bound = found.prices, found.lower_bound
        return None


def _is_large(problem: Problem[Tensor]) -> bool:
    """Whether a sample tells the prices well."""
    enough = max(_SAMPLE_LEAST, _SAMPLE_ROWS * problem.n_classes)
    return problem.n_samples >= _SAMPLE_EVERY * enough


def _other_prices(problem: Problem[Tensor], tol: float, max_iter: int) -> Tensor:
    """Prices of a sample, or those of balance."""
    if _is_large(problem):
        some = _some_rows(problem, _SAMPLE_EVERY)
        return solve_exact(some, max_iter=max_iter, tol=tol, init=None).prices
    return _level_prices(problem)


def _some_rows(problem: Problem[Tensor], every: int) -> Problem[Tensor]:
    """The problem of one row in so many; the whole where those have no weight."""
    weights = problem.weights[::every]
    if not bool(weights.any()):
        return problem
    probabilities, weights = problem.probabilities[::every], weights / weights.mean()
    return replace(problem, probabilities=probabilities, weights=weights)


def _level_prices(problem: Problem[Predictions]) -> Tensor:
    return torch.where(problem.prior > 0, problem.fairness_weight, 0.0).double()


def _prices_of(problem: Problem[Tensor], init: Tensor) -> Tensor:
    if init.ndim == 2:
        labels = init.clamp_min(smallest_positive(init.dtype))
        init = problem.prices(problem.mean_labels(labels))
    return torch.where(problem.prior > 0, init.clamp_min(NEGLIGIBLE), 0.0)


def solve_merged(
    problem: Problem[Predictions], *, max_iter: int, tol: float
) -> Solution:
    """Solve a problem of merged rows to a part of the tolerance."""
    tries = PathAttempts(problem, _INNER * tol, max_iter)
    return tries.list_likely_classes() or tries.follow_whole_path()


def solve_exact(
    problem: Problem[Tensor], *, max_iter: int, tol: float, init: Tensor | None
) -> Solution:
    """Solve to a certified gap of ``tol * max(1, abs(objective))``."""
    tries = Attempts(problem, tol, max_iter)
    if init is not None and (given := tries.at_prices(_prices_of(problem, init))):
        return given
    ways = tries.guess, tries.search, tries.merge, tries.climb, tries.list_classes
    certified = (answer for way in ways if (answer := way()))
    return next(certified, None) or tries.follow_whole_path()
