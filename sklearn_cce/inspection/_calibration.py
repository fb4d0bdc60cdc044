"""Whether probabilities of clusters can be taken at their word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_cce.inspection._display import (
    QUIET,
    Display,
    check_numbers,
    predicted_probabilities,
)
from sklearn_cce.metrics import _binned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.lines import Line2D


class CalibrationDisplay(Display):
    """Accuracy against confidence, after matching clusters with classes.

    Samples are binned by the probability of their most probable cluster. On the
    diagonal probabilities are right; below it the network is too certain.

    Parameters
    ----------
    confidence : array-like of shape (n_bins,)
        The mean probability of the most probable cluster in each bin that has samples.
    accuracy : array-like of shape (n_bins,)
        The share of the samples in it whose cluster is matched with their class.
    shares : array-like of shape (n_bins,)
        The share of all samples that are in it.
    error : float, default=None
        The expected calibration error, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D
        Accuracy against confidence.
    bars_ : matplotlib BarContainer
        The shares of the samples.

    See Also
    --------
    sklearn_cce.metrics.expected_calibration_error : The number in the legend.
    sklearn.calibration.CalibrationDisplay : The same for two known classes.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern
       Neural Networks", ICML 2017. Figure 1.

    Examples
    --------
    >>> from sklearn_cce.inspection import CalibrationDisplay
    >>> probabilities = [[0.75, 0.25]] * 4 + [[0.0, 1.0]] * 4
    >>> labels = ["a", "a", "a", "b", "b", "b", "b", "b"]
    >>> display = CalibrationDisplay.from_predictions(labels, probabilities)
    >>> display.line_.get_xydata().tolist()
    [[0.75, 0.75], [1.0, 1.0]]
    """

    line_: Line2D
    bars_: BarContainer

    def __init__(
        self,
        *,
        confidence: ArrayLike,
        accuracy: ArrayLike,
        shares: ArrayLike,
        error: float | None = None,
    ) -> None:
        self.confidence = confidence
        self.accuracy = accuracy
        self.shares = shares
        self.error = error

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        labels_true: ArrayLike,
        *,
        n_bins: int = 15,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> CalibrationDisplay:
        """Draw how right a fitted estimator is where it says how certain it is.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``predict_proba``.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        labels_true : array-like of shape (n_samples,)
            Their known classes, of any sortable type.
        n_bins : int, default=15
            Number of bins of equal width in (0, 1].
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        CalibrationDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError, ValueError
            If it has no ``predict_proba``, or an argument is not as described.
        """
        cls._need_matplotlib()
        probabilities = predicted_probabilities(estimator, X)
        return cls.from_predictions(
            labels_true, probabilities, n_bins=n_bins, ax=ax, **kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        labels_true: ArrayLike,
        probabilities: ArrayLike,
        *,
        n_bins: int = 15,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> CalibrationDisplay:
        """Draw how right probabilities are.

        Parameters
        ----------
        labels_true : array-like of shape (n_samples,)
            Known classes, of any sortable type.
        probabilities : array-like of shape (n_samples, n_clusters)
            Probability of each cluster.
        n_bins : int, default=15
            Number of bins of equal width in (0, 1].
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        CalibrationDisplay
            The display, drawn.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described.
        """
        binned = _binned(labels_true, probabilities, n_bins)
        _, of_bin = np.unique(binned.bins, return_inverse=True)
        sizes = np.bincount(of_bin)
        display = cls(
            confidence=np.bincount(of_bin, binned.confidence) / sizes,
            accuracy=np.bincount(of_bin, binned.right) / sizes,
            shares=sizes / len(of_bin),
            error=binned.error,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> CalibrationDisplay:
        """Draw accuracy against confidence.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Options of the curve, passed to matplotlib's ``plot``.

        Returns
        -------
        CalibrationDisplay
            The display itself.
        """
        confidence = check_numbers("confidence", self.confidence)
        accuracy = check_numbers("accuracy", self.accuracy, len(confidence))
        shares = check_numbers("shares", self.shares, len(confidence))
        ax = self._begin(ax)
        label = "clusters"
        if self.error is not None:
            label = f"clusters (calibration error {self.error:.3f})"
        style = {"marker": "o", "label": label} | kwargs
        ax.plot([0, 1], [0, 1], color=QUIET, linestyle=":", label="right on average")
        (self.line_,) = ax.plot(confidence, accuracy, **style)
        self.bars_ = ax.bar(
            confidence, shares, width=0.02, color="0.8", label="share of the samples"
        )
        ax.set(xlabel="mean probability of the cluster chosen", ylabel="accuracy")
        ax.set(xlim=(0, 1.02), ylim=(0, 1.02))
        ax.legend()
        return self
