"""What goes with a training: progress, the learning rate, held-out samples."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import noop

from sklearn_cce._training.inference import infer, most_probable
from sklearn_cce._training.progress import bar
from sklearn_cce._training.sources import Source
from sklearn_cce._training.validation import hits


class Progress(Callback):
    """One progress bar over the epochs, with the figures of the last one."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = bar(total=net.max_epochs, desc="training", unit="epoch")

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Move the bar on."""
        row = net.history[-1]
        self.bar_.set_postfix(
            loss=f"{row['train_loss']:.4f}",
            balance=f"{row['balance']:.4f}",
            changed=f"{row['changed']:.2%}",
            refresh=False,
        )
        self.bar_.update()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()
        del self.bar_


class CosineAnnealing(Callback):
    """Let the learning rates fall to 0 along half a period of a cosine.

    The schedulers of torch, as skorch calls them, count the steps from the first
    training of a net on, not from the one that begins.

    Parameters
    ----------
    n_steps : int
        Number of gradient steps of the training.
    """

    def __init__(self, n_steps: int) -> None:
        self.n_steps = n_steps

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Note the learning rates to begin with."""
        self.step_ = 0
        self.rates_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_batch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Set the learning rates of the next step."""
        left = (1 + math.cos(math.pi * self.step_ / self.n_steps)) / 2
        self.step_ += 1
        for group, rate in zip(net.optimizer_.param_groups, self.rates_, strict=True):
            group["lr"] = left * rate


class RisingOrder(Callback):
    """Let the order of a Rényi cross-entropy rise evenly from 1, Shannon's, to 2.

    At first doubt is copied, and the network stays free; at last, with collision,
    doubtful labels have no say, and it becomes certain.

    Parameters
    ----------
    n_steps : int
        Number of gradient steps of the training.
    first_weight : float or None
        The fairness weight to begin with, which comes to that of the net evenly on a
        logarithmic scale. None means that of the net throughout.
    """

    def __init__(self, n_steps: int, first_weight: float | None) -> None:
        self.n_steps = n_steps
        self.first_weight = first_weight

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Note the fairness weight to end with."""
        self.step_, self.weight_ = 0, net.fairness_weight

    def on_batch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Set the order and the fairness weight of the next step."""
        done = self.step_ / self.n_steps
        self.step_ += 1
        net.criterion_.options["order"] = 1.0 + done
        if self.first_weight is not None:
            net.fairness_weight = self.first_weight ** (1 - done) * self.weight_**done

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Leave the net with collision and its own fairness weight."""
        net.criterion_.options["order"] = 2.0
        net.fairness_weight = self.weight_


class Validation(EarlyStopping):
    """Note the accuracy on held-out samples, stop in time, and return to the best.

    Parameters
    ----------
    source : Source
        The samples.
    targets : ndarray of shape (n_samples, n_classes)
        Their targets.
    weight : ndarray of shape (n_samples,) or None
        Their weights.
    patience : int
        Training ends after so many epochs without a new best.
    """

    def __init__(
        self,
        source: Source,
        targets: np.ndarray,
        weight: np.ndarray | None,
        patience: int,
    ) -> None:
        super().__init__(
            monitor="valid_accuracy",
            lower_is_better=False,
            threshold=0.0,
            threshold_mode="abs",
            patience=patience,
            sink=noop,
            load_best=True,
        )
        self.source = source
        self.targets = targets
        self.weight = weight

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the accuracy, and raise KeyboardInterrupt to end the training."""
        classes = infer(net.module_.eval(), self.source, most_probable)
        right = hits(classes, self.targets)
        accuracy = float(np.average(right, weights=self.weight))
        net.history.record("valid_accuracy", accuracy)
        net.history.record("valid_accuracy_best", self._is_score_improved(accuracy))
        super().on_epoch_end(net, **kwargs)


@contextlib.contextmanager
def watched(net: NeuralNet, watch: Callback | None) -> Iterator[None]:
    """Let a callback watch a net inside the block, before those of the user."""
    if watch is None:
        yield
        return
    own = net.callbacks_
    net.callbacks_ = [("validation", watch.initialize()), *own]
    try:
        yield
    finally:
        net.callbacks_ = own
