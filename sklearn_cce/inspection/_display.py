"""What the displays share: matplotlib where it is needed, axes, colours, checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_cce._checks import as_numbers, check_probabilities, refusing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

COLOUR_MAPS = {10: "tab10", 20: "tab20"}
"""Maps of colours that are told apart, by how many there are."""

QUIET = "0.6"
"""The grey of what is drawn to compare with."""


class Display:
    """What has axes to draw in."""

    ax_: Axes
    figure_: Figure | SubFigure

    @classmethod
    def _need_matplotlib(cls) -> None:
        """Say how to install matplotlib where it is missing."""
        try:
            import matplotlib.pyplot  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"{cls.__name__} needs matplotlib, which is not installed. "
                "pip install 'sklearn-cce[plot]' brings it."
            ) from error

    def _begin(
        self, ax: Axes | None, figsize: tuple[float, float] | None = None
    ) -> Axes:
        """Keep and return the axes to draw in; new ones where none are given."""
        self._need_matplotlib()
        from matplotlib import pyplot
        from matplotlib.axes import Axes

        if ax is None:
            _, ax = pyplot.subplots(figsize=figsize, layout="constrained")
        if not isinstance(ax, Axes):
            raise TypeError(f"ax must be a matplotlib Axes or None; got {ax!r}.")
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def colours(n: int) -> np.ndarray:
    """Return n colours, of shape (n, 4), told apart as well as they can be."""
    from matplotlib import colormaps

    for most, name in COLOUR_MAPS.items():
        if n <= most:
            return colormaps[name](np.arange(n))
    return colormaps["turbo"](np.linspace(0.05, 0.95, n))


def whole_ticks(ax: Axes) -> None:
    """Let the ticks of the horizontal axis be whole numbers."""
    from matplotlib.ticker import MaxNLocator

    steps = [1, 2, 5, 10]
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=steps))


def check_estimator(estimator: Any, *methods: str) -> None:
    """Raise an error unless it is a fitted estimator that has these methods."""
    needed = " and ".join(["fit", *methods])
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(
            f"estimator must be a fitted estimator with {needed}; got {estimator!r}."
        )
    check_is_fitted(estimator)
    if not all(hasattr(estimator, method) for method in methods):
        raise TypeError(
            f"estimator must be a fitted estimator with {needed}; got {estimator!r}."
        )


def last_step(estimator: Any) -> Any:
    """Return what a search or a pipeline ends in, or the estimator itself."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    return last_step(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def predicted_probabilities(estimator: Any, X: Any) -> np.ndarray:
    """Return what an estimator says of samples, checked."""
    check_estimator(estimator, "predict_proba")
    return check_probabilities(estimator.predict_proba(X))


def check_numbers(name: str, values: ArrayLike, length: int | None = None) -> Any:
    """Return a column of numbers, which may be missing, or say that it is none."""
    accepted = f"{name} must be an array of numbers with one axis"
    with refusing(accepted):
        numbers = as_numbers(values)
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"{accepted}; got shape {numbers.shape}.")
    if length not in (None, len(numbers)):
        raise ValueError(f"{name} must have length {length}; got {len(numbers)}.")
    return numbers
