"""The sizes of the clusters beside those wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sklearn_cce._checks import (
    SHARES_TOLERANCE,
    as_numbers,
    as_whole,
    check_weight,
    refusing,
)
from sklearn_cce.inspection._display import (
    Display,
    check_estimator,
    check_numbers,
    last_step,
    whole_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.container import BarContainer

MOST_TICKS = 20
"""With more clusters not every one is named."""


class ClusterSizesDisplay(Display):
    """Shares of the samples that the clusters have, beside the shares wanted.

    Parameters
    ----------
    shares : array-like of shape (n_clusters,)
        The shares that were found.
    wanted : array-like of shape (n_clusters,), default=None
        The shares wanted. None means that there are none to compare with.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    bars_ : matplotlib BarContainer
        A bar for each cluster.
    marks_ : matplotlib LineCollection or None
        A line across each bar, at the share wanted.

    See Also
    --------
    TrainingDisplay : How the balance of the clusters went in the training.

    Examples
    --------
    >>> from sklearn_cce.inspection import ClusterSizesDisplay
    >>> display = ClusterSizesDisplay.from_predictions([0, 0, 0, 1], n_clusters=2)
    >>> [float(bar.get_height()) for bar in display.bars_]
    [0.75, 0.25]
    >>> display.wanted.tolist()
    [0.5, 0.5]
    """

    bars_: BarContainer
    marks_: LineCollection | None

    def __init__(self, *, shares: ArrayLike, wanted: ArrayLike | None = None) -> None:
        self.shares = shares
        self.wanted = wanted

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ClusterSizesDisplay:
        """Draw the sizes of the clusters of a fitted clusterer.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``labels_`` or ``predict``; or a pipeline or search that ends
            in one. The shares wanted are those that it was trained for (its
            ``cluster_prior``: equal shares, those given, or with 'free' those of the
            start); a clusterer that wants none has none drawn.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...), \
default=None
            Samples. None means those of the training, from ``labels_``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        ClusterSizesDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError, ValueError
            If it has neither labels nor `predict`, or the weights do not fit.
        """
        cls._need_matplotlib()
        check_estimator(estimator, *(["predict"] if X is not None else []))
        final = last_step(estimator)
        if X is None and not hasattr(final, "labels_"):
            raise TypeError(
                "estimator must have labels_ where no X is given; got "
                f"{type(final).__name__}."
            )
        labels = final.labels_ if X is None else estimator.predict(X)
        # The outputs that end empty come last, and the shares wanted go with them.
        wanted = getattr(getattr(final, "net_", None), "prior", None)
        number = getattr(final, "n_clusters", None) if wanted is None else len(wanted)
        shares = shares_of(labels, number, sample_weight)
        return cls(shares=shares, wanted=wanted).plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        labels: ArrayLike,
        *,
        cluster_prior: ArrayLike | Literal["free"] | None = None,
        n_clusters: int | None = None,
        sample_weight: ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ClusterSizesDisplay:
        """Draw the sizes of clusters.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)
            The cluster of each sample, from 0.
        cluster_prior : array-like of shape (n_clusters,), 'free' or None, default=None
            The shares wanted: None means equal ones, 'free' none.
        n_clusters : int, default=None
            Number of clusters. None means the length of `cluster_prior`, or as many as
            the labels have.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        ClusterSizesDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If labels are not whole numbers from 0 to the last cluster, or lengths do
            not fit.
        """
        free = isinstance(cluster_prior, str)
        if free and cluster_prior != "free":
            raise ValueError(
                "cluster_prior must be an array of shares, 'free' or None; got "
                f"{cluster_prior!r}."
            )
        wanted = None
        if cluster_prior is not None and not free:
            wanted = check_numbers("cluster_prior", cluster_prior, n_clusters)
            if not (wanted >= 0).all() or abs(wanted.sum() - 1) > SHARES_TOLERANCE:
                raise ValueError(
                    "cluster_prior must be non-negative shares with sum 1; got "
                    f"{cluster_prior!r}."
                )
            n_clusters = len(wanted)
        shares = shares_of(labels, n_clusters, sample_weight)
        if cluster_prior is None:
            wanted = np.full(len(shares), 1 / len(shares))
        return cls(shares=shares, wanted=wanted).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> ClusterSizesDisplay:
        """Draw a bar for each cluster, and a line across it at the share wanted.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Options of the bars, passed to matplotlib's ``bar``.

        Returns
        -------
        ClusterSizesDisplay
            The display itself.
        """
        shares, wanted = check_numbers("shares", self.shares), self.wanted
        if wanted is not None:
            wanted = check_numbers("wanted", wanted, len(shares))
        ax = self._begin(ax)
        place = np.arange(len(shares))
        style: dict[str, Any] = {"label": "found", "color": "C0", "alpha": 0.7} | kwargs
        self.bars_, self.marks_ = ax.bar(place, shares, **style), None
        if wanted is not None:
            left, right = place - 0.48, place + 0.48
            options: dict = {"color": "black", "linewidth": 2, "label": "wanted"}
            self.marks_ = ax.hlines(wanted, left, right, **options)
            ax.set_ylim(top=1.25 * max(shares.max(), wanted.max()))
            ax.legend(loc="upper right", ncols=2)
        ax.set(xlabel="cluster", ylabel="share of the samples")
        ax.set_xlim(-0.7, len(shares) - 0.3)
        if len(shares) <= MOST_TICKS:
            ax.set_xticks(place)
        else:
            whole_ticks(ax)
        return self


def shares_of(
    labels: ArrayLike, n_clusters: int | None, sample_weight: ArrayLike | None
) -> np.ndarray:
    """Return the share of each cluster in the weight of the samples."""
    accepted = "labels must be an array of whole numbers, one a sample"
    with refusing(accepted):
        numbers = as_numbers(labels)
    if numbers.ndim != 1 or not len(numbers) or (numbers != np.floor(numbers)).any():
        raise ValueError(f"{accepted}; got shape {numbers.shape}.")
    if n_clusters is not None and as_whole(n_clusters) < 1:
        raise ValueError(
            f"n_clusters must be an int of at least 1; got {n_clusters!r}."
        )
    K = int(numbers.max()) + 1 if n_clusters is None else as_whole(n_clusters)
    if numbers.min() < 0 or numbers.max() >= K:
        raise ValueError(
            f"labels must be from 0 to {K - 1}, one of the n_clusters={K}; got labels "
            f"from {numbers.min():g} to {numbers.max():g}."
        )
    weight = check_weight(sample_weight, numbers)
    sizes = np.bincount(numbers.astype(int), weight, K)
    return sizes / sizes.sum()
