"""Deep discriminative clustering with collision cross-entropy."""

from sklearn_cce._classifier import CollisionClassifier
from sklearn_cce._clusterer import CollisionClusterer
from sklearn_cce._version import __version__

__all__ = ["CollisionClassifier", "CollisionClusterer", "__version__"]
