"""Displays: what people look at before they believe a clustering.

They follow scikit-learn's convention: a display is made by ``from_estimator`` or from
plain arrays, draws with ``plot(ax=None)``, and keeps what it drew in attributes whose
names end in an underscore. They need matplotlib, which the extra ``plot`` brings.
"""

from sklearn_cce.inspection._calibration import CalibrationDisplay
from sklearn_cce.inspection._examples import ClusterExamplesDisplay
from sklearn_cce.inspection._search import SearchDisplay
from sklearn_cce.inspection._simplex import SimplexDisplay
from sklearn_cce.inspection._sizes import ClusterSizesDisplay
from sklearn_cce.inspection._stability import StabilityDisplay
from sklearn_cce.inspection._training import TrainingDisplay

__all__ = [
    "CalibrationDisplay",
    "ClusterExamplesDisplay",
    "ClusterSizesDisplay",
    "SearchDisplay",
    "SimplexDisplay",
    "StabilityDisplay",
    "TrainingDisplay",
]
