"""How the learning rate falls during a training."""

from __future__ import annotations

import math
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback


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
