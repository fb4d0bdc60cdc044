"""The samples that clusters are most and least certain of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_cce._checks import (
    as_numbers,
    check_finite_numbers,
    check_probabilities,
    refusing,
    whole_entries,
    whole_number,
)
from sklearn_cce.inspection._display import (
    QUIET,
    Display,
    check_numbers,
    predicted_probabilities,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

GAP = 0.5
"""Room between the most and the least certain images, in widths of one."""

LONGEST = 48
"""The most letters of a text that are shown."""


class ClusterExamplesDisplay(Display):
    """The most and the least certain samples of each cluster, images or texts.

    Each row is a cluster: on the left what it is most certain of, on the right what it
    is least certain of, with the probability of the cluster.

    Parameters
    ----------
    samples : array-like of images, or list of str, of length n_samples
        What to show: images of shape (n_samples, height, width) or (n_samples,
        channels, height, width) with 1 or 3 channels, or texts.
    certainty : array-like of shape (n_samples,)
        The probability of the cluster of each sample.
    most : list of array-like of int
        For each cluster, the indices of its most certain samples.
    least : list of array-like of int
        For each cluster, the indices of its least certain samples.
    clusters : sequence of int, default=None
        The numbers of the clusters. None means 0, 1, ...

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    images_ : list of matplotlib AxesImage
        The images, row by row; empty for texts.
    texts_ : list of matplotlib Text
        The probabilities of the images, or the texts, row by row.

    See Also
    --------
    SimplexDisplay : All samples at once, by their probabilities.

    Examples
    --------
    >>> from sklearn_cce.inspection import ClusterExamplesDisplay
    >>> texts = ["good", "fine", "well", "bad", "poor"]
    >>> probabilities = [[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7]]
    >>> display = ClusterExamplesDisplay.from_predictions(
    ...     texts, probabilities, n_examples=1
    ... )
    >>> [text.get_text() for text in display.texts_]
    ['0.90  good', '0.60  fine', '0.90  bad', '0.70  poor']
    """

    images_: list[AxesImage]
    texts_: list[Text]

    def __init__(
        self,
        *,
        samples: ArrayLike | Sequence[str],
        certainty: ArrayLike,
        most: Sequence[ArrayLike],
        least: Sequence[ArrayLike],
        clusters: Sequence[int] | None = None,
    ) -> None:
        self.samples = samples
        self.certainty = certainty
        self.most = most
        self.least = least
        self.clusters = clusters

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        samples: ArrayLike | Sequence[str] | None = None,
        image_shape: Sequence[int] | None = None,
        n_examples: int = 5,
        clusters: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ClusterExamplesDisplay:
        """Draw the samples that a fitted estimator is most and least certain of.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``predict_proba``.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples, as the estimator takes them.
        samples : array-like or list of str, default=None
            What to show of them, such as texts of which X has the features. None means
            X.
        image_shape : sequence of int, default=None
            (height, width) or (channels, height, width) of the images that are rows of
            numbers in X or `samples`.
        n_examples : int, default=5
            How many to show of each kind and cluster.
        clusters : sequence of int, default=None
            Which clusters to show. None means all that are used.
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        ClusterExamplesDisplay
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
            X if samples is None else samples,
            probabilities,
            image_shape=image_shape,
            n_examples=n_examples,
            clusters=clusters,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        samples: ArrayLike | Sequence[str],
        probabilities: ArrayLike,
        *,
        image_shape: Sequence[int] | None = None,
        n_examples: int = 5,
        clusters: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ClusterExamplesDisplay:
        """Draw the samples with the largest and the smallest probabilities.

        Parameters
        ----------
        samples : array-like of images, or list of str, of length n_samples
            What to show: images, or with `image_shape` rows of numbers, or texts.
        probabilities : array-like of shape (n_samples, n_clusters)
            Probability of each cluster.
        image_shape : sequence of int, default=None
            (height, width) or (channels, height, width) of the images.
        n_examples : int, default=5
            How many to show of each kind and cluster. None is shown twice, so a small
            cluster has fewer that are least certain.
        clusters : sequence of int, default=None
            Which clusters to show. None means all that are used.
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        ClusterExamplesDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is not as described.
        """
        probabilities = check_probabilities(probabilities)
        samples = readable(samples, image_shape)
        n = whole_number("n_examples", n_examples)
        if len(samples) != len(probabilities):
            raise ValueError(
                f"samples must be as many as rows of probabilities, "
                f"{len(probabilities)}; got {len(samples)}."
            )
        labels, certainty = probabilities.argmax(1), probabilities.max(1)
        shown = chosen_clusters(clusters, labels, probabilities.shape[1])
        ranks = [ranked(np.flatnonzero(labels == k), certainty) for k in shown]
        return cls(
            samples=samples,
            certainty=certainty,
            most=[rank[:n] for rank in ranks],
            least=[rank[n:][: -n - 1 : -1] for rank in ranks],
            clusters=shown,
        ).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> ClusterExamplesDisplay:
        """Draw a row for each cluster.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure, as high as the rows need.
        **kwargs : dict
            Options of the images or texts, passed to matplotlib's ``imshow`` or
            ``text``.

        Returns
        -------
        ClusterExamplesDisplay
            The display itself.
        """
        samples = readable(self.samples, None)
        check_numbers("certainty", self.certainty, len(samples))
        n_rows = len(self.most)
        clusters = range(n_rows) if self.clusters is None else self.clusters
        if len(self.least) != n_rows or len(clusters) != n_rows or not n_rows:
            raise ValueError(
                "most, least and clusters must have an entry for each cluster; got "
                f"{n_rows}, {len(self.least)} and {len(clusters)}."
            )
        self.images_, self.texts_ = [], []
        names = [str(k) for k in clusters]
        if isinstance(samples, list):
            self._draw_texts(ax, samples, names, kwargs)
        else:
            self._draw_images(ax, drawable(samples), names, kwargs)
        return self

    def _draw_images(
        self, ax: Axes | None, images: np.ndarray, names: list[str], options: dict
    ) -> None:
        n_most, n_least = longest(self.most), longest(self.least)
        ratio = images.shape[1] / images.shape[2]
        width, step = n_most + GAP + n_least, ratio + 0.35
        high = 6.0 / width * step * len(names) + 0.6
        ax = self._begin(ax, (6.4, min(high, 20)))
        style = {"cmap": "gray_r", "interpolation": "nearest"} | options
        style = {"vmin": images.min(), "vmax": images.max()} | style
        for row, places in enumerate(zip(self.most, self.least, strict=True)):
            for start, indices in zip((0, n_most + GAP), places, strict=True):
                for column, i in enumerate(np.asarray(indices, int)):
                    left, top = start + column, row * step
                    box = (left + 0.04, left + 0.96, top + ratio * 0.92, top)
                    self.images_.append(ax.imshow(images[i], extent=box, **style))
                    self.texts_.append(
                        ax.text(
                            left + 0.5,
                            top + ratio * 0.92 + 0.03,
                            self._probability(i),
                            ha="center",
                            va="top",
                            fontsize=7,
                        )
                    )
        ax.set(xlim=(0, width), ylim=(step * len(names), -0.05), aspect="equal")
        rows = np.arange(len(names)) * step + ratio / 2
        self._name(ax, rows, names, (n_most / 2, n_most + GAP + n_least / 2))

    def _draw_texts(
        self, ax: Axes | None, texts: list[str], names: list[str], options: dict
    ) -> None:
        step = max(longest(self.most), longest(self.least)) + 0.8
        ax = self._begin(ax, (6.4, min(0.17 * step * len(names) + 0.6, 20)))
        ax.set(xlim=(0, 2), ylim=(step * len(names) - 0.4, -0.6))
        style = {"fontsize": 7, "va": "center", "clip_on": True} | options
        for row, places in enumerate(zip(self.most, self.least, strict=True)):
            for start, indices in zip((0.0, 1.0), places, strict=True):
                for line, i in enumerate(np.asarray(indices, int)):
                    text = f"{self._probability(i)}  {shortened(texts[i])}"
                    drawn = ax.text(start + 0.02, row * step + line, text, **style)
                    drawn.set_clip_path(column_of(ax, start))
                    drawn.set_in_layout(False)
                    self.texts_.append(drawn)
            if row:
                ax.axhline(row * step - 0.9, color=QUIET, linewidth=0.5)
        rows = np.arange(len(names)) * step + (step - 1.8) / 2
        self._name(ax, rows, names, (0.5, 1.5))

    def _probability(self, i: int) -> str:
        return f"{np.asarray(self.certainty)[i]:.2f}"

    def _name(
        self, ax: Axes, rows: np.ndarray, names: list[str], halves: tuple[float, float]
    ) -> None:
        """Name the rows and the two halves of the picture."""
        ax.set_yticks(rows, names)
        ax.set_xticks(halves, ["most certain", "least certain"])
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        ax.set_ylabel("cluster")
        ax.spines[:].set_visible(False)


def column_of(ax: Axes, start: float) -> Any:
    """Return the half of the picture that a text must not leave."""
    from matplotlib.patches import Rectangle

    bottom, top = ax.get_ylim()
    return Rectangle((start, top), 0.98, bottom - top, transform=ax.transData)


def shortened(text: str) -> str:
    """Return a text on one line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def longest(lists: Sequence[ArrayLike]) -> int:
    """Return the length of the longest list, at least 1."""
    return max(1, *(len(np.asarray(entries)) for entries in lists))


def ranked(members: np.ndarray, certainty: np.ndarray) -> np.ndarray:
    """Return the members of a cluster, the most certain first."""
    return members[np.argsort(-certainty[members], kind="stable")]


def chosen_clusters(
    clusters: Sequence[int] | None, labels: np.ndarray, K: int
) -> list[int]:
    """Return the clusters to show."""
    if clusters is None:
        return np.unique(labels).tolist()
    accepted = f"clusters must be a sequence of whole numbers from 0 to {K - 1}"
    with refusing(accepted):
        numbers = as_numbers(clusters)
    if numbers.ndim != 1 or not len(numbers) or not np.isin(numbers, range(K)).all():
        raise ValueError(f"{accepted}; got {clusters!r}.")
    return numbers.astype(int).tolist()


def readable(samples: Any, image_shape: Sequence[int] | None) -> list[str] | np.ndarray:
    """Return texts as a list, or images of shape (n, [channels,] height, width)."""
    accepted = (
        "samples must be texts, or images of shape (n_samples, [channels,] height, "
        "width) with 1 or 3 channels, or rows of numbers with their image_shape"
    )
    is_list = isinstance(samples, (list, tuple)) or getattr(samples, "ndim", 0) == 1
    if is_list and all(isinstance(sample, str) for sample in samples):
        return [str(sample) for sample in samples]
    with refusing(accepted):
        images = as_numbers(samples)
    if image_shape is not None:
        images = shaped(images, image_shape)
    in_colour = images.ndim == 4 and images.shape[1] in (1, 3)
    if not images.size or not (images.ndim == 3 or in_colour):
        raise ValueError(f"{accepted}; got shape {images.shape}.")
    check_finite_numbers(images, "samples")
    return images


def shaped(rows: np.ndarray, image_shape: Sequence[int]) -> np.ndarray:
    """Return rows of numbers as images."""
    shape, size = whole_entries(image_shape), int(np.prod(rows.shape[1:]))
    if shape is None or len(shape) not in (2, 3) or np.prod(shape) != size:
        raise ValueError(
            "image_shape must be (height, width) or (channels, height, width) of "
            f"images of {size} numbers; got {image_shape!r}."
        )
    return rows.reshape(len(rows), *shape)


def drawable(images: np.ndarray) -> np.ndarray:
    """Return images of shape (n, height, width[, 3]), colours from 0 to 1."""
    if images.ndim == 3 or images.shape[1] == 1:
        return images.reshape(len(images), *images.shape[-2:])
    low, high = images.min(), images.max()
    if low < 0 or high > 1:
        images = (images - low) / (high - low)
    return np.moveaxis(images, 1, -1)
