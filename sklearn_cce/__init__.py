"""Deep discriminative clustering with collision cross-entropy."""

from sklearn_cce._version import __version__

__all__ = ["__version__"]
