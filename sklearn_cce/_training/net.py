"""The network under training: how one batch becomes one loss."""

from __future__ import annotations

import contextlib
import copyreg
import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from torch import Tensor

from sklearn_cce._training.batches import STEPS, Batches, BatchInfo, Samples
from sklearn_cce._training.callbacks import Progress
from sklearn_cce._training.heads import reorder_outputs
from sklearn_cce._training.inference import overflowing
from sklearn_cce._training.process import drawing, renew_drawing, seed_of
from sklearn_cce._training.projection import projected
from sklearn_cce._training.ranks import ALONE, Ranks, flag
from sklearn_cce._training.storing import (
    Whole,
    params_of_state,
    plain_state,
    restore,
)
from sklearn_cce._training.user_callbacks import RESERVED
from sklearn_cce.pseudo_labels._batch import initial_prices, update_pseudo_labels

ENDS = ("on_train_begin", "on_epoch_end", "on_train_end")
"""What every callback must be told, also if another one asks to stop then."""

UNIQUE_AT_ONCE = 2**20
"""Clusters of so many samples are sorted at a time."""

MANY_OUTPUTS = 150
"""For so many outputs the exact pseudo-labels of a batch take less time than EM's."""

ONLY_TRAINING = (
    "best_loss_",
    "clusters_",
    "clusters_before_",
    "marginals_",
    "n_changed_",
    "targets_known_",
    "trained_",
)
"""What a net has while it is trained only."""


class CollisionNet(NeuralNet):
    """A skorch net that labels every batch itself and learns from those labels.

    Each batch is solved for soft pseudo-labels with the network fixed, and then makes
    one gradient step with the pseudo-labels fixed. Samples with a target are not
    labelled, but count in the balance.

    All that differs from skorch is here; a comment says why its own would not do.

    Parameters
    ----------
    module : callable
        Makes the network, given nothing; its outputs are logits.
    criterion : type
        A loss from ``losses``, made with ``reduction="none"``.
    fairness_weight : float
        Weight of the balance term in the problem of the pseudo-labels.
    prior : ndarray of shape (n_clusters,)
        Target share of every cluster.
    pseudo_labels : str
        Method of ``update_pseudo_labels``, or 'auto' for the faster one.
    ranks : Ranks
        The processes that train it together.
    rising : bool
        Whether the order of the loss is to rise in a training.
    mixed_precision : bool
        Whether the network is trained in bfloat16 where that is safe.
    compiled : bool
        Whether the network is compiled for training. skorch's ``compile`` would put
        another module in its place, also to predict.
    may_draw : bool
        Whether a step or a callback may draw from torch's global generators. It then
        draws from a state of the fit's own, while other threads wait.
    **kwargs
        Parameters of :class:`skorch.NeuralNet`.
    """

    # Tensors on the device: without this, a net from a GPU loads only where one is, and
    # one that is pickled in training loads with two networks.
    cuda_dependent_attributes_ = ["trained_", "prior_", "prices_"]

    callbacks_: list[tuple[str, Callback]]
    module_: torch.nn.Module
    prior_: Tensor
    prices_: Tensor

    def __init__(
        self,
        module: Callable[[], torch.nn.Module],
        *,
        criterion: type[torch.nn.Module],
        fairness_weight: float,
        prior: np.ndarray,
        pseudo_labels: str,
        ranks: Ranks = ALONE,
        rising: bool = False,
        mixed_precision: bool = False,
        compiled: bool = False,
        may_draw: bool = True,
        **kwargs: Any,
    ) -> None:
        self.fairness_weight = fairness_weight
        self.prior = prior
        self.pseudo_labels = pseudo_labels
        self.ranks = ranks
        self.rising = rising
        self.mixed_precision = mixed_precision
        self.compiled = compiled
        self.may_draw = may_draw
        super().__init__(
            module,
            criterion,
            criterion__reduction="none",
            iterator_train=Batches,
            train_split=None,
            predict_nonlinearity=None,
            use_caching=False,
            **kwargs,
        )

    # skorch's has a pickle in it, which would run code also where no pickle is read.
    def __getstate__(self) -> dict[str, Any]:
        """Return what a trained net is, in numbers, text and names of classes."""
        return plain_state(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become the net of a state; only that of a pickle may run code."""
        if isinstance(state, Whole):
            super().__setstate__(dict(state))
            return
        self.__init__(**params_of_state(state))  # type: ignore[misc]
        restore(self, state)

    # A callback is the user's, and may hold what cannot be copied.
    def __reduce_ex__(self, protocol: Any) -> tuple:
        """Return all of the net but its callbacks, for a pickle or a copy."""
        new: Any = vars(copyreg)["__newobj__"]
        own = {"callbacks": [], "callbacks_": self._default_callbacks}
        return new, (type(self),), Whole(super().__getstate__() | own)

    # skorch's measure and print what it records of batches. `get_default_callbacks` has
    # no underscore, but `get_params` reads this.
    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        progress = [("progress", Progress())] if self._shows else []
        return [("epoch_timer", EpochTimer()), *progress]

    @property
    def _shows(self) -> bool:
        return self.verbose > 0 and not self.ranks.rank

    def go_on_with(self, callbacks: list, last: CollisionNet) -> None:
        """Use callbacks, and initialise them unless the last net had the same ones.

        Parameters
        ----------
        callbacks : list
            Callbacks, or names and callbacks.
        last : CollisionNet
            The net that this one is a copy of.
        """
        self.callbacks = list(callbacks)
        self.may_draw = self.may_draw or bool(callbacks)
        if [*map(id, callbacks)] == [*map(id, last.callbacks or [])]:
            known = [entry for entry in last.callbacks_ if entry[0] not in RESERVED]
            self.callbacks_ = self._default_callbacks + known
        else:
            with drawing():
                self.initialize_callbacks()

    # The prior and the prices go with a network, and live as long.
    def initialize_module(self) -> CollisionNet:
        """Make the network, and the prior and the prices on its device."""
        super().initialize_module()
        self.prior_ = torch.as_tensor(
            self.prior, dtype=torch.float32, device=self.device
        )
        self.prices_ = initial_prices(self.prior_, fairness_weight=self.fairness_weight)
        return self

    def train_on(self, samples: Samples) -> None:
        """Train on samples, projected once and by a compiled network where that is so.

        Parameters
        ----------
        samples : Samples
            The samples.
        """
        with self.drawing():
            seen, network = projected(self.module_, samples)
            network = self.ranks.averaging(network, seen.source[:2])
        if self.compiled:
            network = cast(torch.nn.Module, torch.compile(network))
        # Wrapped: skorch lets no module be added after the start.
        self.trained_ = functools.partial(network)
        self.partial_fit(seen)

    # skorch's knows neither bfloat16 nor a network that is trained in another form.
    def infer(self, x: Tensor, **fit_params: Any) -> Tensor:
        """Apply the network to a batch that lies on its device."""
        network = self.module_
        if network.training:
            network = self.__dict__.get("trained_", network)
        if not self.mixed_precision:
            return network(x)
        with torch.autocast(x.device.type, torch.bfloat16):
            return network(x)

    # skorch's knows neither pseudo-labels nor weights.
    def get_loss(
        self,
        y_pred: Tensor,
        y_true: BatchInfo,
        X: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Solve for the batch's pseudo-labels and return the loss against them.

        Every view of a sample learns the label of its next view, so that the views
        come to agree. Known targets take the place of pseudo-labels.

        Parameters
        ----------
        y_pred : Tensor of shape (n_views * n, n_outputs)
            Logits, view by view.
        y_true : BatchInfo
            What belongs to the samples.
        X : Tensor, optional
            Not used; there because skorch passes it.
        training : bool, default=False
            Not used; there because skorch passes it.

        Returns
        -------
        Tensor of shape ()
            The weighted mean loss; with other processes, what has the mean loss of the
            whole batch for its mean over these.
        """
        rows, weight, target, n_in_all = y_true
        n, n_views = len(rows), len(y_pred) // len(rows)
        if weight is not None:
            weight = weight.repeat(n_views)
        if target is not None:
            target = target.repeat(n_views, 1)
        with torch.no_grad():
            probabilities = y_pred.float().softmax(1)
            labels = self._labels(probabilities, weight, target, n)
            self._note(rows, probabilities[:n], None if weight is None else weight[:n])
        losses = self.criterion_(y_pred.float(), labels)
        total = (losses if weight is None else losses * weight).sum()
        return total * (self.ranks.size / (n_views * n_in_all))

    def _labels(
        self,
        probabilities: Tensor,
        weight: Tensor | None,
        target: Tensor | None,
        n: int,
    ) -> Tensor:
        """Return the targets, and the next view's pseudo-label where there is none."""
        if target is not None and self.targets_known_:
            return target
        if target is None:
            return self._pseudo_labels(probabilities, weight, n)
        known, target = target.isfinite().all(1, keepdim=True), target.nan_to_num()
        probabilities = torch.where(known, target, probabilities)
        labels = self._pseudo_labels(probabilities, weight, n)
        return torch.where(known, target, labels)

    @property
    def method(self) -> str:
        """How pseudo-labels are solved for."""
        if self.pseudo_labels != "auto":
            return self.pseudo_labels
        many = len(self.prior_) >= MANY_OUTPUTS and self.prior_.device.type == "cpu"
        return "exact" if many else "em"

    def _pseudo_labels(
        self, probabilities: Tensor, weight: Tensor | None, n: int
    ) -> Tensor:
        """Return the next view's pseudo-labels, and keep the prices."""
        labels, self.prices_ = update_pseudo_labels(
            probabilities,
            self.prices_,
            fairness_weight=self.fairness_weight,
            prior=self.prior_,
            sample_weight=weight,
            method=self.method,
            all_sum=None if self.ranks.alone else self.ranks.sum,
        )
        return labels.roll(n, 0)

    def _note(self, rows: Tensor, probabilities: Tensor, weight: Tensor | None) -> None:
        """Keep what the history of this epoch needs, on the device until its end."""
        clusters = probabilities.argmax(1).int()
        self.n_changed_ += (self.clusters_[rows] != clusters).sum()
        self.clusters_[rows] = clusters
        if weight is not None:
            probabilities = probabilities * weight[:, None]
        self.marginals_ += probabilities.sum(0)

    # Each row of skorch's stays, in every pickle too.
    def on_batch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Make a row in the history only where a callback may want to fill it."""
        if self.callbacks:
            super().on_batch_begin(net, **kwargs)

    def drawing(self) -> contextlib.AbstractContextManager:
        """Let a block draw from the fit's own random state, where it may draw."""
        return drawing(only_torch=True) if self.may_draw else contextlib.nullcontext()

    # skorch's does not tell a callback that stops from Ctrl-C, nor hold random states.
    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call all callbacks, and note if one of them asks to stop."""
        with self.drawing():
            getattr(self, method_name)(self, **cb_kwargs)
            for _, callback in self.callbacks_:
                try:
                    getattr(callback, method_name)(self, **cb_kwargs)
                except KeyboardInterrupt:
                    self.stopped_ = True
                    if self.ranks.alone and method_name not in ENDS:
                        raise
        if method_name == "on_epoch_end" and self._all_stop():
            raise KeyboardInterrupt

    def _all_stop(self) -> bool:
        """Return whether a callback of any process has asked to stop.

        With other processes the epoch goes on to its end, as these wait for this one.
        """
        if not self.ranks.alone:
            self.stopped_ = bool(self.ranks.sum(flag(self.stopped_, self.device)))
        return self.stopped_

    # skorch swallows a KeyboardInterrupt above this, and does not say so.
    def fit_loop(self, *args: Any, **kwargs: Any) -> CollisionNet:
        """Run skorch's loop, and note if something else than a callback ends it."""
        try:
            if self._all_stop():
                self.on_epoch_begin(self)  # callbacks look for a row at the end
                raise KeyboardInterrupt
            return super().fit_loop(*args, **kwargs)
        except KeyboardInterrupt:
            self.interrupted_ = not self.stopped_
            raise

    # This and the next two are skorch's hooks for what a net needs at these times.
    def on_train_begin(self, net: NeuralNet, X: Samples, **kwargs: Any) -> None:
        """Forget the clusters of earlier data."""
        self.stopped_ = self.interrupted_ = False
        self.n_used_, self.best_loss_ = 0, math.inf
        self.targets_known_ = X.target is not None and bool(X.target.isfinite().all())
        self.clusters_ = torch.full(
            (len(X),), -1, dtype=torch.int32, device=self.device
        )

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Start the sums over the epoch, and random numbers of its own."""
        super().on_epoch_begin(net, **kwargs)
        if self.may_draw:
            fit, epoch = self.iterator_train__seed, len(self.history)
            renew_drawing(seed_of(fit, epoch, STEPS, self.ranks.rank))
        self.clusters_before_ = None if self.ranks.alone else self.clusters_.clone()
        self.marginals_ = torch.zeros_like(self.prior_)
        self.n_changed_ = torch.zeros((), dtype=torch.int64, device=self.device)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Drop what only training needs."""
        self.module_.zero_grad(set_to_none=True)
        for name in ONLY_TRAINING:
            self.__dict__.pop(name, None)

    # skorch's waits for the device at every step, to record a loss per batch.
    def run_single_epoch(
        self,
        iterator: Iterable | None,
        training: bool,
        prefix: str,
        step_fn: Callable,
        **fit_params: Any,
    ) -> None:
        """Run one epoch; the device is waited for at its end only, or by callbacks."""
        if iterator is None:
            return
        total, n_steps = torch.zeros(1, device=self.device, dtype=torch.float32), 0
        try:
            for batch in iterator:
                with self.drawing():
                    self.notify("on_batch_begin", batch=batch, training=training)
                    step = step_fn(batch, **fit_params)
                    total += step["loss"].detach()
                    n_steps += 1
                    self._record_batch(batch[1], step["loss"])
                    self.notify("on_batch_end", batch=batch, training=training, **step)
        except KeyboardInterrupt:
            if n_steps:
                self._record(total, n_steps)
            raise
        self._record(total, n_steps)

    def _record_batch(self, info: BatchInfo, loss: Tensor) -> None:
        """Note what callbacks may look for in the row of a batch."""
        if self.callbacks:
            self.history.record_batch("train_loss", loss.item())
            self.history.record_batch("train_batch_size", len(info.rows))

    def _combine(self, total: Tensor) -> Tensor:
        """Bring together what the processes saw of an epoch; return the mean loss."""
        sums = [total / self.ranks.size, self.n_changed_[None], self.marginals_]
        total, self.n_changed_, self.marginals_ = self.ranks.sum(torch.cat(sums)).split(
            [1, 1, len(self.prior_)]
        )
        before = cast(Tensor, self.clusters_before_)
        moved = torch.where(self.clusters_ == before, -1, self.clusters_)
        moved = self.ranks.largest(moved)
        self.clusters_ = torch.where(moved < 0, before, moved)
        self.ranks.copy_first(self.module_.buffers())
        return total

    def _record(self, total: Tensor, n_steps: int) -> None:
        """Add what was seen of an epoch to the history."""
        if not self.ranks.alone:
            total = self._combine(total)
        loss = float(total) / n_steps
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The training loss became {loss} in epoch {len(self.history)}. "
                f"{self._remedy()}"
            )
        used = [part.unique() for part in self.clusters_.split(UNIQUE_AT_ONCE)]
        self.n_used_ = int((torch.cat(used).unique() >= 0).sum())
        best, self.best_loss_ = loss < self.best_loss_, min(loss, self.best_loss_)
        shares = self.marginals_ / self.marginals_.sum()
        self.history.record("train_batch_count", n_steps)
        self.history.record("train_loss", loss)
        self.history.record("train_loss_best", best)
        self.history.record("balance", float(torch.special.entr(shares).sum()))
        self.history.record("changed", float(self.n_changed_) / len(self.clusters_))

    def _remedy(self) -> str:
        return (
            f"Try a smaller lr (now {self.lr}), or check the module and the views for "
            "overflow."
        )

    def check_trained(self, X: Tensor) -> None:
        """Raise a FloatingPointError if the last step made the network useless.

        Parameters
        ----------
        X : Tensor of shape (n, ...)
            Some samples.
        """
        finite = all(bool(p.isfinite().all()) for p in self.module_.parameters())
        with torch.no_grad(), self.drawing():
            if not finite or len(overflowing(self.module_.eval()(X))):
                raise FloatingPointError(
                    "The network's weights or outputs became infinite or NaN in the "
                    f"last step. {self._remedy()}"
                )

    def reorder(self, order: np.ndarray, X: Tensor) -> None:
        """Number the outputs otherwise, and what is kept for each of them.

        Parameters
        ----------
        order : ndarray of shape (n_outputs,), int64
            Which output comes first, second, ...
        X : Tensor of shape (n, ...)
            Some samples.
        """
        moved = torch.from_numpy(order).to(self.device)
        with self.drawing():
            self.module_ = reorder_outputs(self.module_, moved, X)
        self.prior = self.prior[order]
        self.prior_, self.prices_ = self.prior_[moved], self.prices_[moved]

    def drop_empty_epoch(self) -> None:
        """Drop the last row of the history if no step of that epoch was made."""
        if self.history and "train_loss" not in self.history[-1]:
            self.history.pop()

    def last_loss(self) -> float:
        """Return the loss of the last epoch; infinity if there was none."""
        return self.history[-1, "train_loss"] if self.history else math.inf
