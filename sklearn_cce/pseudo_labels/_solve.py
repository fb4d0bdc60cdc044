"""The public solver: check the input, choose the method, certify the answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ._checks import (
    check_floating,
    check_number,
    checked_init,
    checked_steps,
    real_array,
)
from ._em import solve_em
from ._exact import solve_exact
from ._pgd import solve_pgd
from ._problem import Labels, Problem, build_problem, relative_gap
from ._result import PseudoLabelResult, Solution


class Method(Protocol):
    """A solver of whole problems."""

    def __call__(
        self,
        problem: Problem[Tensor],
        *,
        max_iter: int,
        tol: float,
        init: Tensor | None,
    ) -> Solution:
        """Labels with a gap of ``tol * max(1, abs(objective))``, or the best found."""


METHODS: dict[str, Method] = {"exact": solve_exact, "em": solve_em, "pgd": solve_pgd}
_DEFAULT_MAX_ITER = {"exact": 500, "em": 1000, "pgd": 2000}
Restore = Callable[[Tensor], Any]


def solve_pseudo_labels(
    probabilities: Any,
    *,
    fairness_weight: float = 100.0,
    prior: Any = None,
    sample_weight: Any = None,
    method: str = "exact",
    max_iter: int | None = None,
    tol: float = 1e-4,
    init: Any = None,
    sparse_output: bool = False,
) -> PseudoLabelResult:
    """Find the soft pseudo-labels that best agree with predictions and are balanced.

    Minimises the convex function ``(1/N) sum_i w_i (-ln(y_i . s_i)) + fairness_weight
    * KL(u || mean of y)`` over rows y_i on the simplex.

    Parameters
    ----------
    probabilities : array-like or Tensor of shape (n_samples, n_classes)
        Predictions s: non-negative, rows sum to 1. float16 and bfloat16 are computed
        in float32.
    fairness_weight : float, default=100.0
        Weight of the balance term, positive. Taken for 1e-20 below it and for 1e15
        above it, as double precision tells no difference there.
    prior : array-like of shape (n_classes,), default=None
        Target distribution u of the classes, non-negative, with sum 1. Uniform if
        None. Entries below 1e-18 are taken for 0.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all zero; scaled to mean 1. Those below 1e-30 of
        the largest are taken for 0.
    method : {"exact", "em", "pgd"}, default="exact"
        ``"exact"`` climbs the dual or follows the central path, mostly in 10 to 60
        steps, with rows merged that are nearly one-hot and short lists of classes;
        two classes are a search over one number. ``"em"``
        is the expectation maximisation of [1]_, Section 3, with a closed form in
        place of the inner root and over-relaxed steps; it descends monotonically.
        ``"pgd"`` is projected gradient descent with spectral steps and an exact line
        search.
    max_iter : int, default=None
        Largest number of iterations; None takes the method's own.
    tol : float, default=1e-4
        Stop when ``objective - lower_bound <= tol * max(1, abs(objective))``, where
        the bound allows for rounding.
    init : array-like of shape (n_classes,) or (n_samples, n_classes), default=None
        Where to start: the prices of an earlier result, or labels. ``"exact"``
        returns at once where these prices are good enough, and else starts anew.
    sparse_output : bool, default=False
        Return the labels as a ``scipy.sparse.csr_array``, or as a sparse CSR tensor
        where ``probabilities`` is a tensor.

    Returns
    -------
    PseudoLabelResult
        Labels, objective, lower bound, iterations, convergence and prices.

    Raises
    ------
    TypeError, ValueError
        For input of the wrong type, shape or range; the message names the parameter.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If the gap is larger than ``tol`` asks for after ``max_iter`` iterations, or
        where rounding allows no smaller one.

    References
    ----------
    .. [1] Zhang and Boykov, "Collision Cross-Entropy for Soft Class Labels and Deep
       Clustering", arXiv:2303.07321, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cce.pseudo_labels import solve_pseudo_labels
    >>> s = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> result = solve_pseudo_labels(s, fairness_weight=100.0, tol=1e-3)
    >>> result.labels.mean(axis=0).round(2)
    array([0.5, 0.5])
    >>> result.objective - result.lower_bound < 1e-3
    True
    """
    _check_choices(method, sparse_output)
    steps = _DEFAULT_MAX_ITER[method] if max_iter is None else checked_steps(max_iter)
    tol = check_number("tol", tol, "a non-negative number", lambda value: value >= 0)
    tensor, restore, restore_prices = _as_tensor(probabilities)
    with torch.no_grad():
        problem = build_problem(tensor, fairness_weight, prior, sample_weight)
        start = checked_init(init, problem.shape, tensor.device)
        solution = METHODS[method](problem, max_iter=steps, tol=tol, init=start)
        if not _gap(solution) <= tol:
            _warn(solution, tol, _advice(solution, problem, steps, tol))
    shape = _sparse if sparse_output else _dense
    return PseudoLabelResult(
        labels=shape(solution.labels, problem, restore),
        objective=solution.objective,
        lower_bound=solution.lower_bound,
        n_iter=solution.n_iter,
        converged=_gap(solution) <= tol,
        prices=restore_prices(solution.prices),
    )


def _dense(labels: Labels, problem: Problem[Tensor], restore: Restore) -> Any:
    """The labels as a matrix of the user's library."""
    first, *others = problem.chunks()
    if isinstance(labels, Tensor) or not others:
        return restore(labels[:])
    whole = torch.empty_like(problem.probabilities)
    for rows in (first, *others):
        whole[rows] = labels[rows]
    return restore(whole)


def _sparse(labels: Labels, problem: Problem[Tensor], restore: Restore) -> Any:
    """The non-zero labels, in the sparse format of the user's library."""
    counts, columns, values = [], [], []
    for rows in problem.chunks():
        part = labels[rows]
        used = part != 0
        counts.append(used.sum(1))
        columns.append(used.nonzero()[:, 1])
        values.append(part[used])
    ends = torch.cat([columns[0].new_zeros(1), torch.cat(counts).cumsum(0)])
    entries, classes = restore(torch.cat(values)), torch.cat(columns)
    if not isinstance(entries, Tensor):
        return csr_array((entries, classes.numpy(), ends.numpy()), shape=problem.shape)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            ends, classes, entries, size=problem.shape, check_invariants=False
        )


def _gap(solution: Solution) -> float:
    gap = relative_gap(solution.objective, solution.lower_bound)
    return gap if gap == gap else float("inf")


def _warn(solution: Solution, tol: float, advice: str) -> None:
    warnings.warn(
        f"The pseudo-labels did not converge: relative gap {_gap(solution):.3g} after"
        f" {solution.n_iter} iterations, tol={tol:.3g}. {advice}",
        ConvergenceWarning,
        stacklevel=3,
    )


def _advice(
    solution: Solution, problem: Problem[Tensor], max_iter: int, tol: float
) -> str:
    """What helps where the gap stays too large."""
    rounding = problem.certify(solution.prices).rounding
    least = rounding / max(1.0, abs(solution.objective))
    if least <= tol and solution.n_iter >= max_iter:
        return "Raise max_iter or tol."
    dtype = str(problem.probabilities.dtype).removeprefix("torch.")
    return (
        f"The precision of {dtype} is the limit: rounding alone may make up {least:.3g}"
        " of it. Raise tol or lower fairness_weight."
    )


def _check_choices(method: Any, sparse_output: Any) -> None:
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method must be one of {sorted(METHODS)}, got {method!r}")
    if not isinstance(sparse_output, (bool, np.bool_)):
        raise TypeError(f"sparse_output must be True or False, got {sparse_output!r}")


def _as_tensor(probabilities: Any) -> tuple[Tensor, Restore, Restore]:
    """The input as a floating tensor, and the ways back for labels and for prices.

    Half precision would hold labels, but not prices above 65504.
    """
    if isinstance(probabilities, Tensor):
        return _from_torch(probabilities)
    array = real_array("probabilities", probabilities)
    kind = array.dtype if array.dtype.kind == "f" else np.dtype(float)
    kind = kind.newbyteorder("=")
    native = np.float32 if kind.itemsize <= 4 else np.float64
    with np.errstate(over="ignore"):
        tensor = torch.from_numpy(np.require(array, native, ["C", "W"]))
    wide = np.promote_types(kind, np.float32)
    return tensor, _to_numpy(kind), _to_numpy(wide)


def _to_numpy(dtype: np.dtype) -> Restore:
    return lambda out: out.numpy().astype(dtype, copy=False)


def _from_torch(probabilities: Tensor) -> tuple[Tensor, Restore, Restore]:
    check_floating("probabilities", probabilities)
    kind = probabilities.dtype
    wide = kind if kind.itemsize > 4 else torch.float32
    tensor = probabilities.detach().to(wide)
    return tensor, lambda out: out.to(kind), lambda out: out.to(wide)
