"""The callbacks that a user passes: which may be, and their parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from sklearn.base import BaseEstimator
from skorch.callbacks import (
    BatchScoring,
    Callback,
    EpochScoring,
    InputShapeSetter,
    PassthroughScoring,
    WandbLogger,
)
from skorch.utils import to_numpy

RESERVED = {
    "checkpoint",
    "epoch_timer",
    "progress",
    "convergence",
    "annealing",
    "order",
    "validation",
}
"""Names of the callbacks that a fit adds itself."""

COLUMNS = {
    "balance",
    "changed",
    "dur",
    "epoch",
    "train_batch_count",
    "train_loss",
    "train_loss_best",
}
"""What the history of a fit has without the user's callbacks."""

VALIDATED = {"valid_accuracy", "valid_accuracy_best"}
"""What it has too where samples are held out."""


def split(entry: Any) -> tuple[str | None, Any]:
    """Return the name that a user gave a callback, if any, and the callback."""
    return entry if isinstance(entry, tuple) else (None, entry)


def check_callbacks(callbacks: list | None, validated: bool) -> None:
    """Raise an error unless every entry is a callback that works, or one with a name.

    Parameters
    ----------
    callbacks : list or None
        What the user passed.
    validated : bool
        Whether samples are held out, and their accuracy is noted.
    """
    accepted = (
        "callbacks must be a list of skorch.callbacks.Callback, or of (name, callback) "
        "with names that differ"
    )
    names = []
    for entry in callbacks or []:
        named = isinstance(entry, tuple)
        if named and not (len(entry) == 2 and isinstance(entry[0], str)):
            raise TypeError(f"{accepted}; got {entry!r} in it.")
        name, callback = split(entry)
        if not hasattr(callback, "on_train_begin"):
            raise TypeError(f"{accepted}; got {entry!r} in it.")
        names += [] if name is None else [name]
    if len(set(names)) < len(names) or RESERVED & set(names):
        raise ValueError(
            f"{accepted}, and from {sorted(RESERVED)}; got the names {names}."
        )
    check_uses(callbacks or [], COLUMNS | (VALIDATED if validated else set()))


def check_uses(callbacks: list, columns: set[str]) -> None:
    """Raise a ValueError if a callback of skorch needs what a fit here has not."""
    entries = [split(entry)[1] for entry in callbacks]
    made = [c() if isinstance(c, type) else c for c in entries]
    known = columns.union(*map(recorded, made)) if all(map(is_usual, made)) else None
    for callback in filter(is_usual, made):
        for reason in (*lacks(callback), *lacks_column(callback, known)):
            raise ValueError(
                f"callbacks has {type(callback).__name__}, which cannot work: {reason}."
            )


def is_usual(callback: Callback) -> bool:
    """Return whether a callback is of skorch itself, so that one knows what it does."""
    return type(callback).__module__.startswith("skorch.")


def recorded(callback: Callback) -> set[str]:
    """Return the columns of the history that a callback of skorch fills."""
    column = getattr(callback, "event_name", None) or getattr(callback, "name", None)
    if column is None and isinstance(callback, EpochScoring | BatchScoring):
        column = getattr(callback.scoring, "__name__", None)
    return set() if column is None else {column, f"{column}_best"}


def lacks(callback: Callback) -> Iterator[str]:
    """Yield why a callback of skorch cannot work here."""
    scores = EpochScoring | BatchScoring | PassthroughScoring
    if isinstance(callback, InputShapeSetter):
        yield "a callable as module is given the shape of a sample, in its place"
    if isinstance(callback, scores) and not callback.on_train:
        yield "there are no validation samples here; set on_train=True"
    if isinstance(callback, EpochScoring | BatchScoring):
        source = getattr(callback.scoring, "__module__", None) or ""
        if not callable(callback.scoring) or source.startswith("sklearn."):
            yield (
                "there is no y here; scoring must be a function of (net, X, y) that "
                f"needs none, not {callback.scoring!r}"
            )
    if isinstance(callback, BatchScoring) and callback.target_extractor is to_numpy:
        yield (
            "what belongs to a batch is no array; set target_extractor, for example to "
            "operator.attrgetter('target')"
        )


def lacks_column(callback: Callback, known: set[str] | None) -> Iterator[str]:
    """Yield which column of the history a callback of skorch looks for in vain."""
    if known is None:
        return
    monitor = getattr(callback, "monitor", None)
    if isinstance(monitor, str) and monitor not in known:
        yield f"the history has no {monitor!r} to monitor, but {sorted(known)}"
    saves = isinstance(callback, WandbLogger) and callback.save_model
    if saves and "valid_loss_best" not in known:
        yield "the history has no 'valid_loss_best'; set save_model=False"


class CallbackParams(BaseEstimator):
    """An estimator whose named callbacks have parameters that can be set, as skorch's.

    ``callbacks__name`` is a callback, ``callbacks__name__param`` one of its parameters.
    """

    callbacks: list | None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, and those of callbacks with a name.

        Parameters
        ----------
        deep : bool, default=True
            Whether parameters of parameters are returned too.

        Returns
        -------
        dict
            The values by name.
        """
        params = super().get_params(deep)
        if not deep:
            return params
        for name, callback in self._named_callbacks().items():
            own = {} if isinstance(callback, type) else callback.get_params()
            prefix = f"callbacks__{name}"
            params |= {prefix: callback}
            params |= {f"{prefix}__{key}": value for key, value in own.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also of callbacks with a name.

        Parameters
        ----------
        **params : object
            The values by name.

        Returns
        -------
        Self
            The estimator.
        """
        nested = {k: v for k, v in params.items() if k.startswith("callbacks__")}
        super().set_params(**{k: v for k, v in params.items() if k not in nested})
        for key in sorted(nested, key=lambda key: key.count("__")):
            name, _, param = key.removeprefix("callbacks__").partition("__")
            there = self._named_callbacks()
            if name not in there:
                raise ValueError(
                    f"{key} is no parameter: callbacks has the names {list(there)}."
                )
            if param:
                there[name].set_params(**{param: nested[key]})
            else:
                self._replace_callback(name, nested[key])
        return self

    def _named_callbacks(self) -> dict[str, Any]:
        """Return the callbacks that the user gave names."""
        if not isinstance(self.callbacks, list):
            return {}
        return {
            e[0]: e[1] for e in self.callbacks if isinstance(e, tuple) and len(e) == 2
        }

    def _replace_callback(self, name: str, callback: Any) -> None:
        """Put a callback into another's place, in a list of its own."""
        self.callbacks = [
            (name, callback) if isinstance(e, tuple) and e[0] == name else e
            for e in self.callbacks or []
        ]
