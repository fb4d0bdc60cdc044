"""The curve that chooses the number of clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from sklearn_cce._checks import refusing
from sklearn_cce.inspection._display import Display, check_numbers, whole_ticks
from sklearn_cce.model_selection import stability_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import Line2D

FIELDS = ("n_clusters", "stability_mean", "stability_std", "best_n_clusters")


class StabilityDisplay(Display):
    """How surely clusters are found again, for several numbers of clusters.

    Parameters
    ----------
    n_clusters : array-like of shape (n_numbers,)
        The numbers of clusters.
    stability_mean : array-like of shape (n_numbers,)
        The mean agreement of the clusters of two subsets of the samples.
    stability_std : array-like of shape (n_numbers,)
        Its standard deviation over the pairs of subsets.
    best_n_clusters : int
        The number that was chosen, one of `n_clusters`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D
        The means.
    band_ : matplotlib PolyCollection
        One standard deviation to either side.
    best_ : matplotlib Line2D
        The mark at the number chosen.

    See Also
    --------
    sklearn_cce.model_selection.stability_curve : The curve in numbers.
    SearchDisplay : Scores of a grid search.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_cce import CollisionClusterer
    >>> from sklearn_cce.inspection import StabilityDisplay
    >>> X, _ = make_blobs(300, centers=4, cluster_std=0.5, random_state=3)
    >>> display = StabilityDisplay.from_estimator(
    ...     CollisionClusterer(), X, n_clusters=range(2, 7), random_state=0
    ... )
    >>> display.best_.get_label()
    'chosen: 4'
    """

    line_: Line2D
    band_: PolyCollection
    best_: Line2D

    def __init__(
        self,
        *,
        n_clusters: ArrayLike,
        stability_mean: ArrayLike,
        stability_std: ArrayLike,
        best_n_clusters: int,
    ) -> None:
        self.n_clusters = n_clusters
        self.stability_mean = stability_mean
        self.stability_std = stability_std
        self.best_n_clusters = best_n_clusters

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_clusters: Sequence[int],
        n_resamples: int = 5,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> StabilityDisplay:
        """Compute the curve of an estimator and draw it.

        Parameters
        ----------
        estimator : estimator
            A clusterer, as in :func:`~sklearn_cce.model_selection.stability_curve`. It
            need not be fitted and is not changed.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        n_clusters : sequence of int
            The numbers to compare, each at least 2.
        n_resamples : int, default=5
            Number of subsets, at least 2.
        random_state : int, RandomState or None, default=None
            Draws the subsets, and seeds the estimator.
        n_jobs : int, default=None
            Number of subsets that are worked on at a time.
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        StabilityDisplay
            The display, drawn.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described.
        """
        cls._need_matplotlib()
        curve = stability_curve(
            estimator,
            X,
            n_clusters=n_clusters,
            n_resamples=n_resamples,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        return cls.from_curve(curve, ax=ax, **kwargs)

    @classmethod
    def from_curve(
        cls, curve: Bunch, *, ax: Axes | None = None, **kwargs: Any
    ) -> StabilityDisplay:
        """Draw a curve that was computed before.

        Parameters
        ----------
        curve : Bunch
            As from :func:`~sklearn_cce.model_selection.stability_curve`.
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        StabilityDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If it is no such curve.
        """
        accepted = f"curve must be what stability_curve returns, with {list(FIELDS)}"
        with refusing(accepted, (TypeError, KeyError, IndexError), TypeError):
            display = cls(**{name: curve[name] for name in FIELDS})
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> StabilityDisplay:
        """Draw the curve and mark the choice.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Options of the curve, passed to matplotlib's ``plot``.

        Returns
        -------
        StabilityDisplay
            The display itself.
        """
        numbers = check_numbers("n_clusters", self.n_clusters)
        mean = check_numbers("stability_mean", self.stability_mean, len(numbers))
        std = check_numbers("stability_std", self.stability_std, len(numbers))
        (chosen,) = np.nonzero(numbers == self.best_n_clusters)
        if not len(chosen):
            raise ValueError(
                f"best_n_clusters must be one of n_clusters, {numbers.tolist()}; got "
                f"{self.best_n_clusters!r}."
            )
        ax, rise = self._begin(ax), np.argsort(numbers)
        style = {"marker": "o", "color": "C0", "label": "mean"} | kwargs
        (self.line_,) = ax.plot(numbers[rise], mean[rise], **style)
        self.band_ = ax.fill_between(
            numbers[rise],
            (mean - std)[rise],
            (mean + std)[rise],
            color=self.line_.get_color(),
            alpha=0.2,
            linewidth=0,
            label="one standard deviation",
        )
        (self.best_,) = ax.plot(
            numbers[chosen[:1]],
            mean[chosen[:1]],
            linestyle="none",
            marker="*",
            markersize=15,
            color="C3",
            zorder=3,
            label=f"chosen: {int(self.best_n_clusters)}",
        )
        ax.set(xlabel="number of clusters", ylabel="stability (adjusted Rand index)")
        whole_ticks(ax)
        ax.legend()
        return self
