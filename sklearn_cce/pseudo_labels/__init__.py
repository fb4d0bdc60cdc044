"""Soft pseudo-labels: the convex half of self-labelled clustering.

References
----------
.. [1] Zhang and Boykov, "Collision Cross-Entropy for Soft Class Labels and Deep
   Clustering", arXiv:2303.07321, 2023.
"""

from ._batch import UPDATES, initial_prices, update_pseudo_labels
from ._result import PseudoLabelResult
from ._solve import solve_pseudo_labels

__all__ = [
    "UPDATES",
    "PseudoLabelResult",
    "initial_prices",
    "solve_pseudo_labels",
    "update_pseudo_labels",
]
