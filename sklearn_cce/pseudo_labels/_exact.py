"""The exact method: restrict the problem, follow the path, certify on the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ._batch import smallest_positive
from ._checks import NEGLIGIBLE
from ._compact import MergedLabels, served_in_order, without_dust
from ._dual_newton import DualState, by_gap, climb, dual_pass, rounded_objective
from ._groups import merge_rows
from ._interior import follow_path
from ._lists import Restricted, listed, reach_of_shares, unrestricted
from ._problem import Labels, Problem, relative_gap
from ._result import Solution
from ._two_classes import two_class_prices

# Labels below are taken for zero; the largest that keeps the certificate is used.
_DUST = (1e-2, 1e-3, 1e-5, 1e-8, 0.0)
# Width of the first lists, and the problems that are too narrow for lists to pay.
_WIDTH, _NARROW = 8, 32
_ROUNDS = 3
# Mean square distance from one-hot of merged rows, in units of the root of the
# tolerance, at first; measured gaps go with the root of it.
_FIRST_BUDGET = 0.01
# Rows are merged where at most this share of them is left.
_MOST_LEFT = 0.7
# Rough prices: rows per class of their sample, and relative gap.
_ROUGH_ROWS, _ROUGH_TOL = 3, 1e-2
# Rows per class of a sample that tells the prices; one row in so many is taken.
_SAMPLE_ROWS, _SAMPLE_EVERY = 20, 10
# Share of the tolerance that the merged or listed problem may use up.
_INNER = 0.3


def _cleaned(
    problem: Problem,
    labels: Tensor,
    expand: Callable[[Tensor], Labels],
    bound: float,
    tol: float,
) -> tuple[Labels, float]:
    """Labels with as many exact zeros as the certificate allows, and their value."""
    for dust in _DUST:
        clean = expand(without_dust(labels, min(dust, 0.5 / problem.n_classes)))
        objective = problem.objective(clean)
        if relative_gap(objective, bound) <= tol:
            break
    return clean, objective


class Attempts:
    """Ways to solve one problem, from the cheapest on; the best answer so far.

    Parameters
    ----------
    problem : Problem
    tol : float
        Relative gap to reach.
    max_iter : int
        Largest number of steps of all attempts together.
    """

    def __init__(self, problem: Problem, tol: float, max_iter: int):
        self.problem, self.tol, self.left = problem, tol, max_iter
        self.n_iter, self.best = 0, None
        self.start: DualState | None = None
        self.dtype = problem.probabilities.dtype

    def _count(self, n_iter: int) -> None:
        self.n_iter += n_iter
        self.left -= n_iter

    def _certified(
        self, labels: Tensor, expand: Callable[[Tensor], Labels], prices: Tensor
    ) -> Solution:
        """Cleaned labels with their objective, and the bound of the prices."""
        bound = self.problem.lower_bound(prices)
        clean, objective = _cleaned(self.problem, labels, expand, bound, self.tol)
        return Solution(clean, objective, bound, self.n_iter, prices)

    def _keep(self, solution: Solution) -> bool:
        """Keep an answer if it is the best; whether it is good enough."""
        best = self.best
        gap = solution.objective - solution.lower_bound
        if best is None or not gap >= best.objective - best.lower_bound:
            self.best = solution
        return relative_gap(solution.objective, solution.lower_bound) <= self.tol

    def at_prices(self, prices: Tensor) -> bool:
        """Take the labels that given prices imply."""
        return self._settle(dual_pass(self.problem, prices))

    def _settle(self, state: DualState) -> bool:
        if not state.gap <= self.tol:
            return False
        objective = state.objective
        if self.dtype != torch.float64:
            objective = rounded_objective(self.problem, state)
        found = state.labels, objective, state.bound, self.n_iter, state.prices
        return self._keep(Solution(*found))

    def guess(self) -> bool:
        """Take the labels that the prices of the predictions imply."""
        prices = self.problem.prices(self.problem.mean_predictions())
        self.start = dual_pass(self.problem, prices)
        return self._settle(self.start)

    def search(self) -> bool:
        """Search for the one number that two classes leave open."""
        if self.problem.n_classes != 2:
            return False
        prices, n_iter = two_class_prices(self.problem, self.left)
        self._count(n_iter)
        return self.at_prices(prices)

    def climb(self) -> bool:
        """Newton's method on the prices, from the best that are at hand."""
        other = _other_prices(self.problem, self.tol, self.left)
        self.start = min(self.start, dual_pass(self.problem, other), key=by_gap)
        state, n_iter = climb(
            self.problem, self.start, tol=self.tol, max_iter=self.left
        )
        self._count(n_iter)
        return self._settle(state)

    def merge(self) -> bool:
        """Merge rows that are nearly one-hot, if they are many."""
        most = int(_MOST_LEFT * self.problem.n_samples)
        budget = _FIRST_BUDGET * self.tol**0.5
        for _ in range(_ROUNDS):
            groups = merge_rows(self.problem, budget=budget, most=most)
            if groups is None or self.left < 1:
                return False
            found = solve_merged(groups.merged, max_iter=self.left, tol=self.tol)
            self._count(found.n_iter)
            labels = MergedLabels(found.labels, groups.index)
            objective = self.problem.objective(labels)
            bound = self.problem.lower_bound(found.prices)
            answer = labels, objective, bound, self.n_iter, found.prices
            if self._keep(Solution(*answer)):
                return True
            gap = relative_gap(self.best.objective, self.best.lower_bound)
            budget *= 0.3 * min(1.0, self.tol / gap) ** 2
        return False

    def list_classes(self) -> bool:
        """Solve on short lists of classes, made anew at the prices that result.

        The two classes that a row uses most stay on its list. Lists become wider where
        the bound did not rise.
        """
        if self.problem.n_classes <= _NARROW:
            return False
        prices, used = self.start.prices, None
        if not _is_large(self.problem):
            prices = _rough_prices(self.problem, self.left)
        width, bound = _WIDTH, -float("inf")
        while width <= self.problem.n_classes // 4 and self.left > 0:
            reach = reach_of_shares(self.problem, prices)
            short = listed(self.problem, prices, width, reach, used)
            found, used = self._follow_lists(short)
            if self._keep(found):
                return True
            width *= 1 if found.lower_bound > bound + self.tol else 2
            prices, bound = found.prices, found.lower_bound
        return False

    def list_likely_classes(self) -> bool:
        """Solve on lists of the most probable classes, the right ones for one-hot rows.

        At the best prices the lines of the classes that are short of labels tie, and
        tell little.
        """
        if self.problem.n_classes <= _NARROW:
            return False
        level, width = _level_prices(self.problem), _WIDTH
        while width <= self.problem.n_classes // 4 and self.left > 0:
            found, _ = self._follow_lists(listed(self.problem, level, width))
            if self._keep(found):
                return True
            width *= 2
        return False

    def _follow_lists(self, short: Restricted) -> tuple[Solution, Tensor]:
        """The answer on lists, and the two classes that every row uses most."""
        point, _, n_iter = follow_path(short, tol=_INNER * self.tol, max_iter=self.left)
        self._count(n_iter)

        def expand(labels: Tensor) -> Labels:
            return served_in_order(labels, short, point.received, self.dtype)

        used = short.lists.gather(1, point.labels[:, :-1].topk(2, 1).indices)
        return self._certified(point.labels, expand, point.prices[:-1]), used

    def follow_whole_path(self) -> bool:
        """Every class for every row."""
        point, _, n_iter = follow_path(
            unrestricted(self.problem), tol=0.5 * self.tol, max_iter=max(1, self.left)
        )
        self._count(n_iter)
        found = self._certified(point.labels, lambda y: y.to(self.dtype), point.prices)
        return self._keep(found)


def _is_large(problem: Problem) -> bool:
    """Whether a sample tells the prices well."""
    enough = max(2000, _SAMPLE_ROWS * problem.n_classes)
    return problem.n_samples >= _SAMPLE_EVERY * enough


def _other_prices(problem: Problem, tol: float, max_iter: int) -> Tensor:
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


def _level_prices(problem: Problem) -> Tensor:
    return torch.where(problem.prior > 0, problem.fairness_weight, 0.0).double()


def _prices_of(problem: Problem, init: Tensor) -> Tensor:
    if init.ndim == 2:
        labels = init.clamp_min(smallest_positive(init.dtype))
        init = problem.prices(problem.mean_labels(labels))
    return torch.where(problem.prior > 0, init.clamp_min(NEGLIGIBLE), 0.0)


def _rough_prices(problem: Problem, max_iter: int) -> Tensor:
    """Rough prices, from some of the rows."""
    every = max(1, problem.n_samples // (_ROUGH_ROWS * problem.n_classes))
    some = _some_rows(problem, every)
    prices = _level_prices(some)
    short = listed(some, prices, _WIDTH, reach_of_shares(some, prices))
    point, _, _ = follow_path(short, tol=_ROUGH_TOL, max_iter=max_iter)
    return point.prices[:-1]


def solve_merged(problem: Problem, *, max_iter: int, tol: float) -> Solution:
    """Solve a problem of merged rows to a part of the tolerance."""
    tries = Attempts(problem, _INNER * tol, max_iter)
    if not tries.list_likely_classes():
        tries.follow_whole_path()
    return tries.best


def solve_exact(
    problem: Problem, *, max_iter: int, tol: float, init: Tensor | None
) -> Solution:
    """Solve to a certified gap of ``tol * max(1, abs(objective))``."""
    tries = Attempts(problem, tol, max_iter)
    if init is not None and tries.at_prices(_prices_of(problem, init)):
        return tries.best
    attempts = tries.guess, tries.search, tries.merge, tries.climb, tries.list_classes
    if not any(attempt() for attempt in attempts):
        tries.follow_whole_path()
    return tries.best
