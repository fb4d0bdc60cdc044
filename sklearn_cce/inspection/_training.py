"""The training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_cce._checks import as_whole, refusing, whole_number
from sklearn_cce.inspection._display import (
    QUIET,
    Display,
    check_estimator,
    check_numbers,
    last_step,
    whole_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

NAMES = {
    "train_loss": "loss\n(nats)",
    "balance": "balance\n(nats)",
    "changed": "changed\nclusters",
    "valid_accuracy": "accuracy,\nheld out",
}
"""The columns of a history, and what their panels are called."""

*NEEDED, HELD_OUT = NAMES
"""The columns that a history must have, and one that it may have."""

ROOM = 0.12
"""Room between panels, as part of the height of one."""


class TrainingDisplay(Display):
    """Loss, balance and changes of clusters over the epochs of a training.

    A fit trains in phases: on the labels of a start, and then on the network's own. A
    dashed line marks where a further one begins.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        The mean loss of each epoch, in nats. It can be compared within a phase only.
    balance : array-like of shape (n_epochs,)
        The entropy of the shares of the clusters, in nats.
    changed : array-like of shape (n_epochs,)
        The share of the samples whose cluster changed. It is 1 where a phase begins,
        since clusters are then forgotten, and not drawn there.
    valid_accuracy : array-like of shape (n_epochs,), default=None
        The accuracy on held-out samples, where there is one.
    n_clusters : int, default=None
        Number of clusters. If given, the largest balance, ``ln(n_clusters)``, is drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes whose room the panels take; title and legend go here.
    axes_ : ndarray of shape (n_panels,)
        The panels, from the top.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The curve of each panel.
    phases_ : ndarray of int
        The epochs, from 1, in which a further phase begins; empty where every epoch is
        a phase of its own, as in a stream.

    See Also
    --------
    ClusterSizesDisplay : The sizes of the clusters in the end.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_cce import CollisionClusterer
    >>> from sklearn_cce.inspection import TrainingDisplay
    >>> X, _ = make_blobs(300, centers=3, cluster_std=2.0, random_state=0)
    >>> clusterer = CollisionClusterer(n_clusters=3, random_state=0).fit(X)
    >>> display = TrainingDisplay.from_estimator(clusterer)
    >>> [panel.get_ylabel().split()[0] for panel in display.axes_]
    ['loss', 'balance', 'changed']
    """

    axes_: np.ndarray
    lines_: list[Line2D]
    phases_: np.ndarray

    def __init__(
        self,
        *,
        train_loss: ArrayLike,
        balance: ArrayLike,
        changed: ArrayLike,
        valid_accuracy: ArrayLike | None = None,
        n_clusters: int | None = None,
    ) -> None:
        self.train_loss = train_loss
        self.balance = balance
        self.changed = changed
        self.valid_accuracy = valid_accuracy
        self.n_clusters = n_clusters

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Axes | None = None, **kwargs: Any
    ) -> TrainingDisplay:
        """Draw the training of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``history_``; or a pipeline or search that ends in one.
        ax : matplotlib Axes, default=None
            Whose room the panels take. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        TrainingDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no ``history_``.
        """
        cls._need_matplotlib()
        check_estimator(estimator)
        final = last_step(estimator)
        if not hasattr(final, "history_"):
            raise TypeError(
                f"estimator must be fitted and have history_; got {estimator!r}."
            )
        classes = getattr(final, "classes_", None)
        n_clusters = final.n_clusters if classes is None else len(classes)
        return cls.from_history(final.history_, n_clusters=n_clusters, ax=ax, **kwargs)

    @classmethod
    def from_history(
        cls,
        history: Sequence[dict],
        *,
        n_clusters: int | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> TrainingDisplay:
        """Draw a training from its history.

        Parameters
        ----------
        history : History or list of dict
            One row an epoch, with ``train_loss``, ``balance`` and ``changed``, and
            perhaps ``valid_accuracy``.
        n_clusters : int, default=None
            Number of clusters.
        ax : matplotlib Axes, default=None
            Whose room the panels take. None means a new figure.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        TrainingDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the history has no rows, or not these columns.
        """
        accepted = (
            "history must have a row for each epoch with train_loss, balance and "
            "changed"
        )
        with refusing(accepted, (TypeError, KeyError, IndexError, AttributeError)):
            rows = list(history)
            if not rows:
                raise TypeError("it has none.")
            columns = {name: [row[name] for row in rows] for name in NEEDED}
            if any(HELD_OUT in row for row in rows):
                columns[HELD_OUT] = [row.get(HELD_OUT, np.nan) for row in rows]
            display = cls(**columns, n_clusters=n_clusters)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> TrainingDisplay:
        """Draw the panels, one below the other.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose room the panels take. None means a new figure.
        **kwargs : dict
            Options of the curves, passed to matplotlib's ``plot``.

        Returns
        -------
        TrainingDisplay
            The display itself.
        """
        columns = self._columns()
        if self.n_clusters is not None:
            whole_number("n_clusters", self.n_clusters)
        begins = columns["changed"] == 1
        begins[0] = True
        columns["changed"][begins] = np.nan
        self.phases_ = np.flatnonzero(begins)[1:] + 1
        if begins.all():
            self.phases_ = self.phases_[:0]
        whole = self._begin(ax)
        whole.set_axis_off()
        self.axes_ = stacked(whole, len(columns))
        epochs = np.arange(1, len(begins) + 1)
        self.lines_ = []
        for panel, (name, column) in zip(self.axes_, columns.items(), strict=True):
            self.lines_ += panel.plot(epochs, column, **kwargs)
            panel.set_ylabel(NAMES[name])
            for phase in self.phases_:
                panel.axvline(phase - 0.5, color=QUIET, linestyle="--", linewidth=1)
        self._say_more(list(columns))
        return self

    def _columns(self) -> dict[str, np.ndarray]:
        """Return the columns that there are, checked."""
        found: dict[str, np.ndarray] = {}
        for name in NAMES:
            values = getattr(self, name)
            if values is not None:
                length = len(found["train_loss"]) if found else None
                found[name] = check_numbers(name, values, length)
        return found

    def _say_more(self, names: list[str]) -> None:
        """Draw what the curves are compared with, and say what is what."""
        marks, labels = [], []
        if len(self.phases_):
            marks.append(self.axes_[0].get_lines()[1])
            labels.append("a further phase begins")
        if self.n_clusters is not None:
            panel, largest = self.axes_[names.index("balance")], np.log(self.n_clusters)
            marks.append(panel.axhline(largest, color=QUIET, linestyle=":"))
            labels.append(f"ln {as_whole(self.n_clusters)}, equal sizes")
        if marks:
            self.axes_[0].legend(marks, labels, loc="upper right", fontsize="small")
        self._scale_changes(self.axes_[names.index("changed")])
        self.axes_[-1].set_xlabel("epoch")
        for panel in self.axes_[:-1]:
            panel.tick_params(labelbottom=False)
        whole_ticks(self.axes_[-1])

    def _scale_changes(self, panel: Axes) -> None:
        """Show few changes beside many: a logarithmic scale that has a zero."""
        changed = self.lines_[self.axes_.tolist().index(panel)].get_ydata()
        some = np.asarray(changed)[np.asarray(changed) > 0]
        if len(some):
            n_decades = int(np.ceil(-np.log10(some.min())))
            panel.set_yscale("symlog", linthresh=10.0**-n_decades, linscale=0.3)
            few = n_decades <= 2
            decades = range(0, n_decades + few, 1 if few else 2)
            ticks = [0.0, *(10.0**-i for i in decades)]
            panel.set_yticks(ticks, [f"{tick:.2g}" for tick in ticks])
        panel.set_ylim(0, 1)


def stacked(whole: Axes, n: int) -> np.ndarray:
    """Divide the room of axes into n panels, one below the other."""
    step = 1 / (n - ROOM)
    panels: list[Axes] = []
    for i in range(n):
        bottom = 1 - (i + 1 - ROOM) * step
        bounds = (0.0, bottom, 1.0, (1 - ROOM) * step)
        panels.append(whole.inset_axes(bounds, sharex=panels[0] if panels else None))
    return np.array(panels)
