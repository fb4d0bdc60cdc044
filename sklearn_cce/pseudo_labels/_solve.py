"""The public solver: check the input, choose the method, certify the answer."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ._compact import Labels
from ._em import solve_em
from ._exact import solve_exact
from ._pgd import solve_pgd
from ._problem import Problem, build_problem, relative_gap
from ._result import PseudoLabelResult, Solution

METHODS = {"exact": solve_exact, "em": solve_em, "pgd": solve_pgd}
_DEFAULT_MAX_ITER = {"exact": 500, "em": 1000, "pgd": 2000}
_HALF = (torch.float16, torch.bfloat16)


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
        Weight of the balance term, positive.
    prior : array-like of shape (n_classes,), default=None
        Target distribution u of the classes, non-negative, with sum 1. Uniform if
        None.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all zero; scaled to mean 1.
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
        Stop when ``objective - lower_bound <= tol * max(1, abs(objective))``.
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
        If the gap is larger than ``tol`` asks for after ``max_iter`` iterations.

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
    _check_options(method, max_iter, tol)
    tensor, restore = _as_tensor(probabilities)
    with torch.no_grad():
        problem = build_problem(tensor, fairness_weight, prior, sample_weight)
        steps = _DEFAULT_MAX_ITER[method] if max_iter is None else int(max_iter)
        start = _checked_init(init, problem)
        solution = METHODS[method](problem, max_iter=steps, tol=tol, init=start)
    shape = _sparse if sparse_output else _dense
    labels = shape(solution.labels, problem, restore)
    return _certified(solution, tol, restore, labels)


def _dense(labels: Labels, problem: Problem, restore: Any) -> Any:
    """The labels as a matrix of the user's library."""
    first, *others = problem.chunks()
    if isinstance(labels, Tensor) or not others:
        return restore(labels[:])
    whole = torch.empty_like(problem.probabilities)
    for rows in (first, *others):
        whole[rows] = labels[rows]
    return restore(whole)


def _sparse(labels: Labels, problem: Problem, restore: Any) -> Any:
    """The non-zero labels, in the sparse format of the user's library."""
    counts, columns, values = [], [], []
    for rows in problem.chunks():
        part = labels[rows]
        used = part != 0
        counts.append(used.sum(1))
        columns.append(used.nonzero()[:, 1])
        values.append(part[used])
    ends = torch.cat([columns[0].new_zeros(1), torch.cat(counts).cumsum(0)])
    entries, columns = restore(torch.cat(values)), torch.cat(columns)
    shape = tuple(problem.probabilities.shape)
    if not isinstance(entries, Tensor):
        return csr_array((entries, columns.numpy(), ends.numpy()), shape=shape)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            ends, columns, entries, size=shape, check_invariants=False
        )


def _certified(
    solution: Solution, tol: float, restore: Any, labels: Any
) -> PseudoLabelResult:
    gap = relative_gap(solution.objective, solution.lower_bound)
    if not gap <= tol:
        warnings.warn(
            f"The pseudo-labels did not converge: relative gap {gap:.3g} after"
            f" {solution.n_iter} iterations, tol={tol:.3g}. Raise max_iter or tol.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return PseudoLabelResult(
        labels=labels,
        objective=solution.objective,
        lower_bound=solution.lower_bound,
        n_iter=solution.n_iter,
        converged=gap <= tol,
        prices=restore(solution.prices),
    )


def _check_options(method: Any, max_iter: Any, tol: Any) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {sorted(METHODS)}, got {method!r}")
    if max_iter is not None and not (
        isinstance(max_iter, numbers.Integral) and max_iter >= 1
    ):
        raise ValueError(f"max_iter must be a positive integer, got {max_iter!r}")
    if not (isinstance(tol, numbers.Real) and tol >= 0):
        raise ValueError(f"tol must be a non-negative number, got {tol!r}")


def _as_tensor(probabilities: Any) -> tuple[Tensor, Any]:
    """The input as a floating tensor, and the way back to the user's kind."""
    if isinstance(probabilities, Tensor):
        if not probabilities.is_floating_point():
            raise TypeError(
                f"probabilities must be floating point, got {probabilities.dtype}"
            )
        dtype = probabilities.dtype
        inner = torch.float32 if dtype in _HALF else dtype
        return probabilities.detach().to(inner), lambda out: out.to(dtype)
    array = np.asarray(probabilities)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"probabilities must be real numbers, got {array.dtype}")
    kind = array.dtype if array.dtype.kind == "f" else np.dtype(float)
    native = np.float32 if kind.itemsize <= 4 else np.float64
    array = np.ascontiguousarray(array, dtype=native)
    if not array.flags.writeable:
        array = array.copy()
    out_dtype = kind.newbyteorder("=")
    return torch.from_numpy(array), lambda out: out.numpy().astype(
        out_dtype, copy=False
    )


def _checked_init(init: Any, problem: Problem) -> Tensor | None:
    if init is None:
        return None
    start = torch.as_tensor(init, device=problem.prior.device).detach().to(torch.double)
    shapes = (problem.n_classes,), (problem.n_samples, problem.n_classes)
    if tuple(start.shape) not in shapes:
        raise ValueError(
            f"init must have shape {shapes[0]} (prices) or {shapes[1]} (labels), got"
            f" {tuple(start.shape)}"
        )
    low, high = (float(v) for v in torch.aminmax(start))
    if not (low >= 0 and 0 < high < float("inf")):
        raise ValueError("init must be finite and non-negative, not all zero")
    return start
