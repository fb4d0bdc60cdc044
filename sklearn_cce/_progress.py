"""What a user sees while a net is trained."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm.auto import tqdm


class Progress(Callback):
    """One progress bar over the epochs, with the figures of the last one."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=net.max_epochs, unit="epoch")

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
