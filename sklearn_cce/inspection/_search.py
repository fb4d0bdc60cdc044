"""The scores of a search over parameters."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_cce._checks import as_numbers, is_real, refusing
from sklearn_cce.inspection._display import Display

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

MEAN = "mean_test_"

MOST_COLUMNS = 12
"""With more columns no number has room in a cell."""

WIDE = 10
"""How many times the least value the largest is where the scale is logarithmic."""

LONGEST = 12
"""The most letters of a value at a tick."""


class SearchDisplay(Display):
    """Scores of a grid search over one parameter, or over two as a map.

    Parameters
    ----------
    scores : array-like of shape (n_values,) or (n_rows, n_columns)
        The mean score of each value, or of each pair of values; NaN where there is
        none.
    values : list of one or two sequences
        The values of each parameter: of the one, or of rows and columns.
    names : list of one or two str
        The names of the parameters.
    best : tuple of int
        Where among the scores the choice is: one index, or row and column.
    score_name : str, default='score'
        What the scores are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D or None
        The curve of one parameter.
    im_ : matplotlib AxesImage or None
        The map of two parameters.
    best_ : matplotlib Line2D
        The mark at the choice.
    texts_ : list of matplotlib Text
        The scores in the cells of a map of at most 12 columns.

    See Also
    --------
    StabilityDisplay : Chooses the number of clusters without training a network.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_cce.inspection import SearchDisplay
    >>> from sklearn_cce.model_selection import silhouette_scorer
    >>> X, _ = make_blobs(60, centers=3, cluster_std=0.3, random_state=0)
    >>> grid, options = {"n_clusters": [2, 3, 4]}, {"scoring": silhouette_scorer}
    >>> search = GridSearchCV(KMeans(random_state=0), grid, **options).fit(X)
    >>> display = SearchDisplay.from_estimator(search)
    >>> display.line_.get_xdata().tolist(), display.best_.get_label()
    ([2.0, 3.0, 4.0], 'best: 3')
    """

    line_: Line2D | None
    im_: AxesImage | None
    best_: Line2D
    texts_: list[Text]

    def __init__(
        self,
        *,
        scores: ArrayLike,
        values: Sequence[Sequence],
        names: Sequence[str],
        best: tuple[int, ...],
        score_name: str = "score",
    ) -> None:
        self.scores = scores
        self.values = values
        self.names = names
        self.best = best
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        params: str | Sequence[str] | None = None,
        metric: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> SearchDisplay:
        """Draw what a fitted search found.

        Parameters
        ----------
        estimator : GridSearchCV or another search
            Fitted, with ``cv_results_``.
        params : str or list of one or two str, default=None
            Names of the parameters to show, whole (``'kmeans__n_clusters'``) or their
            ends (``'n_clusters'``). The best over all others is taken. None means those
            that vary, at most two; the one with more values is that of the columns.
        metric : str, default=None
            Name of the scorer, where there are several. None means the one that the
            search refitted for.
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        SearchDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        TypeError
            If it is no search.
        ValueError
            If there is no such parameter or metric, or more than two parameters vary.
        """
        cls._need_matplotlib()
        if isinstance(estimator, type) or not hasattr(estimator, "refit"):
            raise TypeError(
                "estimator must be a fitted search, such as GridSearchCV, with "
                f"cv_results_; got {estimator!r}."
            )
        check_is_fitted(estimator, "cv_results_")
        rows, refit = estimator.cv_results_["params"], estimator.refit
        metric = chosen_metric(estimator.cv_results_, metric, refit)
        score = np.asarray(estimator.cv_results_[f"{MEAN}{metric}"], float)
        if np.isnan(score).all():
            raise ValueError(f"estimator must have scores; all of {metric!r} are NaN.")
        best = np.nanargmax(score)
        if metric in (refit, "score") and hasattr(estimator, "best_index_"):
            best = estimator.best_index_
        shown = chosen_params(rows, params)
        values = [distinct(rows, name) for name in shown]
        if params is None and len(shown) == 2 and len(values[0]) > len(values[1]):
            shown, values = shown[::-1], values[::-1]
        place = [places(rows, *pair) for pair in zip(shown, values, strict=True)]
        table = np.full([len(v) for v in values], -np.inf)
        np.fmax.at(table, tuple(place), score)
        return cls(
            scores=np.where(np.isinf(table), np.nan, table),
            values=values,
            names=short(shown),
            best=tuple(int(p[best]) for p in place),
            score_name=metric,
        ).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> SearchDisplay:
        """Draw a curve, or a map, and mark the choice.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None means a new figure.
        **kwargs : dict
            Options of the curve or the map, passed to matplotlib's ``plot`` or
            ``imshow``.

        Returns
        -------
        SearchDisplay
            The display itself.
        """
        scores = self._checked_scores()
        ax = self._begin(ax)
        self.line_, self.im_, self.texts_ = None, None, []
        draw = self._draw_curve if scores.ndim == 1 else self._draw_map
        draw(ax, scores, kwargs)
        return self

    def _checked_scores(self) -> np.ndarray:
        """Return the scores, if everything is of one shape."""
        accepted = "scores must be an array of numbers with one axis or two"
        with refusing(accepted):
            scores = as_numbers(self.scores)
        shape = tuple(len(v) for v in self.values)
        if scores.ndim not in (1, 2) or not scores.size:
            raise ValueError(f"{accepted}; got shape {scores.shape}.")
        if scores.shape != shape or len(self.names) != scores.ndim:
            raise ValueError(
                f"values and names must fit scores of shape {scores.shape}; got values "
                f"of lengths {shape} and names {list(self.names)}."
            )
        inside = len(self.best) == scores.ndim and all(
            0 <= i < n for i, n in zip(self.best, shape, strict=False)
        )
        if not inside:
            raise ValueError(
                f"best must be a place in scores of shape {shape}; got {self.best!r}."
            )
        return scores

    def _draw_curve(self, ax: Axes, scores: np.ndarray, options: dict) -> None:
        (values,) = self.values
        numeric = all(is_real(value) for value in values)
        place = np.array(values, float) if numeric else np.arange(len(values))
        (self.line_,) = ax.plot(place, scores, **({"marker": "o"} | options))
        (best,) = self.best
        label = f"best: {written(values[best])}"
        self.best_ = mark(ax, place[best], scores[best], label)
        if numeric and place.min() > 0 and place.max() >= WIDE * place.min():
            ax.set_xscale("log")
        if not numeric or len(values) <= MOST_COLUMNS:
            ax.set_xticks(place, [written(value) for value in values])
            ax.set_xticks([], minor=True)
        ax.set(xlabel=self.names[0], ylabel=f"mean {self.score_name}")
        ax.legend()

    def _draw_map(self, ax: Axes, scores: np.ndarray, options: dict) -> None:
        self.im_ = image = ax.imshow(
            scores, **({"aspect": "auto", "cmap": "viridis"} | options)
        )
        ax.figure.colorbar(self.im_, ax=ax, label=f"mean {self.score_name}")
        row, column = self.best
        label = f"best: {written(scores[self.best])}"
        numbered = scores.shape[1] <= MOST_COLUMNS
        self.best_ = mark(ax, column, row + (0.28 if numbered else 0), label)
        axes = (ax.yaxis, ax.xaxis)
        for axis, values, name in zip(axes, self.values, self.names, strict=True):
            every = -(-len(values) // 25)
            ticks = range(0, len(values), every)
            axis.set_ticks(ticks, [written(values[i]) for i in ticks])
            axis.set_label_text(name)
        if numbered:
            self._number_cells(image, scores)
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)

    def _number_cells(self, image: AxesImage, scores: np.ndarray) -> None:
        for (i, j), score in np.ndenumerate(scores):
            if np.isnan(score):
                continue
            shade = image.cmap(image.norm(score))[:3]
            color = "black" if np.dot(shade, [0.299, 0.587, 0.114]) > 0.5 else "white"
            lift = 0.15 if (i, j) == tuple(self.best) else 0
            text = self.ax_.text(j, i - lift, f"{score:.2f}", color=color)
            text.set(ha="center", va="center", fontsize=9)
            self.texts_.append(text)


def mark(ax: Axes, x: float, y: float, label: str) -> Line2D:
    """Draw a star at the choice."""
    style: dict = {"linestyle": "none", "marker": "*", "markersize": 14, "zorder": 3}
    (star,) = ax.plot(
        [x], [y], color="C3", markeredgecolor="white", label=label, **style
    )
    return star


def written(value: Any) -> str:
    """Return a value as it stands at a tick."""
    if is_real(value):
        return f"{value:.3g}" if isinstance(value, Real) else str(value)
    text = value if isinstance(value, str) else getattr(value, "__name__", repr(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def chosen_metric(results: dict, metric: str | None, refit: Any) -> str:
    """Return the name of the scorer to show."""
    names = [key.removeprefix(MEAN) for key in results if key.startswith(MEAN)]
    if metric is None:
        metric = refit if isinstance(refit, str) and refit in names else None
        metric = names[0] if len(names) == 1 else metric
    if metric is None or metric not in names:
        raise ValueError(f"metric must be one of {names}; got {metric!r}.")
    return metric


def chosen_params(rows: list[dict], params: str | Sequence[str] | None) -> list[str]:
    """Return the whole names of the parameters to show."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if params is None:
        varying = [name for name in names if len(distinct(rows, name)) > 1]
        if 1 <= len(varying) <= 2:
            return varying
        raise ValueError(
            f"params must name one or two of {names} where {len(varying)} of them vary."
        )
    wanted = [params] if isinstance(params, str) else list(params)
    found = [[n for n in names if n == w or n.endswith(f"__{w}")] for w in wanted]
    if len(wanted) not in (1, 2) or any(len(fits) != 1 for fits in found):
        raise ValueError(f"params must be one or two of {names}; got {params!r}.")
    return [fits[0] for fits in found]


MISSING = "–"
"""Stands for a parameter that some of the grids of a search leave as it is."""


def distinct(rows: list[dict], name: str) -> list:
    """Return the different values of a parameter: numbers in order, others as given."""
    values = list(
        {repr(v): v for v in (row.get(name, MISSING) for row in rows)}.values()
    )
    return sorted(values) if all(is_real(value) for value in values) else values


def places(rows: list[dict], name: str, values: list) -> np.ndarray:
    """Return where among its values each row has a parameter."""
    known = [repr(value) for value in values]
    return np.array([known.index(repr(row.get(name, MISSING))) for row in rows])


def short(names: list[str]) -> list[str]:
    """Return the names without those of the steps, where they are told apart then."""
    ends = [name.rpartition("__")[2] for name in names]
    return ends if len(set(ends)) == len(ends) else names
