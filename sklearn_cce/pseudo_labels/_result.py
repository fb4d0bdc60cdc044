"""What a solver returns, inside the package and to the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from ._problem import Labels


class Solution(NamedTuple):
    """What every method hands back to ``solve_pseudo_labels``."""

    labels: Labels
    objective: float
    lower_bound: float
    n_iter: int
    prices: Tensor


@dataclass(frozen=True)
class PseudoLabelResult:
    """Pseudo-labels with a proof of how good they are.

    Attributes
    ----------
    labels : ndarray or Tensor of shape (n_samples, n_classes)
        The pseudo-labels; rows lie on the simplex. Same kind, device and dtype as
        the input.
    objective : float
        The objective at ``labels``, the full balance term included; before labels of
        half precision are rounded.
    lower_bound : float
        At most the optimum, so ``objective - lower_bound`` bounds the error. Lowered
        by what rounding may have added to either.
    n_iter : int
        Steps taken.
    converged : bool
        Whether ``objective - lower_bound <= tol * max(1, abs(objective))``.
    prices : ndarray or Tensor of shape (n_classes,)
        Dual variables; at the optimum ``fairness_weight * prior / mean label``.
        float32 for labels of half precision.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_cce.pseudo_labels import solve_pseudo_labels
    >>> predictions = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    >>> result = solve_pseudo_labels(predictions, fairness_weight=10.0)
    >>> result.converged, bool(result.lower_bound <= result.objective)
    (True, True)
    """

    labels: Any
    objective: float
    lower_bound: float
    n_iter: int
    converged: bool
    prices: Any
