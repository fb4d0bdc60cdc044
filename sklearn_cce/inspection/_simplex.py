"""Soft memberships between the corners of a simplex, or of its shadow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import column_or_1d

from sklearn_cce._checks import check_probabilities, refusing
from sklearn_cce.inspection._display import (
    QUIET,
    Display,
    colours,
    predicted_probabilities,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.text import Text

GOLDEN = (np.sqrt(5) - 1) / 2
"""Its multiples, without the whole part, spread evenly."""
MARGIN = 0.13
"""Room for the names around the corners, as part of the picture."""

MOST_GROUPS = 20
"""How many groups a legend has at most."""


class SimplexDisplay(Display):
    """Soft memberships: each sample between the corners that are its clusters.

    A cluster is a corner of a regular polygon, and a sample lies at the mean of the
    corners, weighted by its probabilities: at a corner where it is certain, half way
    between two where it is undecided.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_clusters)
        Probability of each cluster, as from ``predict_proba``; at least two clusters.
    labels : array-like of shape (n_samples,), default=None
        What the colours mean, such as known classes. None means the most probable
        cluster.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    corners_ : ndarray of shape (n_clusters, 2)
        Where the corner of each cluster is.
    points_ : list of matplotlib PathCollection
        The samples of each colour, in the sorted order of the labels.
    texts_ : list of matplotlib Text
        The names of the clusters, at their corners.

    See Also
    --------
    ClusterExamplesDisplay : The most and the least certain samples themselves.

    Notes
    -----
    With three clusters the triangle shows all there is. With more the picture is flat
    where the simplex is not: a sample in the middle may be undecided between all
    clusters, or between two that lie opposite. The corners are therefore ordered so
    that clusters that share samples, ``sum_i p_ij p_ik``, are neighbours, as far as
    exchanges of two sides of the ring (2-opt) find. With two clusters, samples are
    spread across the line between them, to be seen.

    Examples
    --------
    >>> from sklearn_cce.inspection import SimplexDisplay
    >>> probabilities = [[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.5, 0.5]]
    >>> display = SimplexDisplay.from_predictions(probabilities)
    >>> display.corners_.round(2).tolist()
    [[0.0, 1.0], [-0.87, -0.5], [0.87, -0.5]]
    """

    corners_: np.ndarray
    points_: list[PathCollection]
    texts_: list[Text]

    def __init__(
        self, *, probabilities: ArrayLike, labels: ArrayLike | None = None
    ) -> None:
        self.probabilities = probabilities
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        labels: ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> SimplexDisplay:
        """Draw what a fitted estimator says of samples.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``predict_proba``.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        labels : array-like of shape (n_samples,), default=None
            What the colours mean. None means the most probable cluster.
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        SimplexDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError, ValueError
            If it has no ``predict_proba``, or labels and samples are not as many.
        """
        cls._need_matplotlib()
        probabilities = predicted_probabilities(estimator, X)
        return cls(probabilities=probabilities, labels=labels).plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        probabilities: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> SimplexDisplay:
        """Draw memberships.

        Parameters
        ----------
        probabilities : array-like of shape (n_samples, n_clusters)
            Probability of each cluster.
        labels : array-like of shape (n_samples,), default=None
            What the colours mean. None means the most probable cluster.
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        SimplexDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the rows are no distributions over two clusters or more, or labels and
            samples are not as many.
        """
        return cls(probabilities=probabilities, labels=labels).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> SimplexDisplay:
        """Draw the samples between the corners.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Options of the points, passed to matplotlib's ``scatter``.

        Returns
        -------
        SimplexDisplay
            The display itself.
        """
        probabilities = check_probabilities(self.probabilities)
        if probabilities.shape[1] < 2:
            raise ValueError("probabilities must be those of two clusters or more.")
        groups, of_group = self._groups(probabilities)
        ax = self._begin(ax)
        self.corners_ = corners(probabilities)
        points = positions(probabilities, self.corners_)
        style = {"s": 8, "alpha": 0.6, "linewidths": 0} | kwargs
        self.points_ = [
            ax.scatter(
                *points[of_group == i].T, color=colour, label=str(group), **style
            )
            for i, (group, colour) in enumerate(
                zip(groups, colours(len(groups)), strict=True)
            )
        ]
        self._name_corners(ax)
        if self.labels is not None and len(groups) <= MOST_GROUPS:
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
        return self

    def _groups(self, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what the colours mean, and which of them each sample has."""
        n_samples, K = probabilities.shape
        if self.labels is None:
            return np.arange(K), probabilities.argmax(1)
        accepted = "labels must hold one label a sample, of one sortable type"
        with refusing(accepted):
            labels = column_or_1d(self.labels)
            groups, of_group = np.unique(labels, return_inverse=True)
        if len(labels) != n_samples:
            raise ValueError(f"{accepted}: {n_samples} of them; got {len(labels)}.")
        return groups, of_group

    def _name_corners(self, ax: Axes) -> None:
        """Draw the sides, and the name of each cluster in its colour."""
        K = len(self.corners_)
        plain = self.labels is not None
        ring = self.corners_[np.argsort(angles(self.corners_))]
        ax.fill(*ring.T, fill=False, edgecolor=QUIET, linewidth=0.8, zorder=0)
        self.texts_ = [
            ax.text(
                1.13 * corner[0],
                1.13 * corner[1],
                str(k),
                color="black" if plain else colour,
                fontsize=12 if K <= MOST_GROUPS else 7,
                ha="center",
                va="center",
            )
            for k, (corner, colour) in enumerate(
                zip(self.corners_, colours(K), strict=True)
            )
        ]
        ax.margins(MARGIN)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_axis_off()


def angles(corners: np.ndarray) -> np.ndarray:
    """Return the angle of each corner, seen from the middle."""
    return np.arctan2(corners[:, 1], corners[:, 0])


def corners(probabilities: np.ndarray) -> np.ndarray:
    """Return a corner for each cluster, the first one above, or two on a line."""
    K = probabilities.shape[1]
    if K == 2:
        return np.array([[-1.0, 0.0], [1.0, 0.0]])
    place = np.empty(K)
    place[ring(probabilities.T @ probabilities)] = np.arange(K)
    turn = np.pi / 2 + 2 * np.pi * place / K
    return np.column_stack([np.cos(turn), np.sin(turn)])


def positions(probabilities: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return where each sample lies between the corners."""
    points = probabilities @ corners
    if len(corners) == 2:  # across the line between them
        points[:, 1] = np.arange(len(points)) * GOLDEN % 1 - 0.5
    return points


def ring(shared: np.ndarray) -> np.ndarray:
    """Order clusters on a ring so that neighbours share much; the first is 0.

    The next is the one that shares most with the last, and then pairs of sides are
    exchanged while that makes neighbours share more (2-opt).
    """
    K = len(shared)
    order, left = [0], set(range(1, K))
    while left:
        order.append(max(sorted(left), key=lambda k: shared[order[-1], k]))
        left.remove(order[-1])
    found, least = np.array(order), 1e-9 * shared.sum()
    improved = K > 3
    while improved:
        improved = any([exchange(found, shared, i, least) for i in range(K - 2)])
    return found


def exchange(order: np.ndarray, shared: np.ndarray, i: int, least: float) -> bool:
    """Exchange the side after place i and the best other one, if that gains."""
    K = len(order)
    j = np.arange(i + 2, K - (i == 0))
    one, two, three, four = order[i], order[i + 1], order[j], order[(j + 1) % K]
    gain = shared[one, three] + shared[two, four] - shared[one, two]
    gain -= shared[three, four]
    best = gain.argmax()
    if gain[best] <= least:
        return False
    order[i + 1 : j[best] + 1] = order[i + 1 : j[best] + 1][::-1].copy()
    return True
