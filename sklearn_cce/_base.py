"""What the estimators share: parameters, device, seeding, training and inference."""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)
from skorch.callbacks import EarlyStopping
from skorch.utils import noop
from torch import nn

from sklearn_cce._batches import Samples, as_tensor
from sklearn_cce._net import CollisionNet, infer
from sklearn_cce.modules import MODULES, Scaling, without_head

N_SCALING_SAMPLES = 65_536
"""The scale of the input is estimated on no more samples than this."""

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}

AVAILABLE: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that a parameter means, or say which there are."""
    usable = [name for name, available in AVAILABLE.items() if available()]
    if device == "auto":
        return torch.device(next(d for d in ("cuda", "mps", "cpu") if d in usable))
    accepted = f"device must be 'auto' or one of {usable} on this machine"
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{accepted}, with an index if wanted; got {device!r}.") from (
            error
        )
    count = torch.cuda.device_count() if resolved.type == "cuda" else 1
    if resolved.type not in usable or (resolved.index or 0) >= count:
        raise ValueError(f"{accepted}; got {device!r}, which is not available.")
    return resolved


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed without touching any global random state."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside the block, and give back the states of before after it."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def make_module(
    module: str | nn.Module | Callable[..., nn.Module],
    in_shape: int | Sequence[int],
    n_outputs: int,
) -> nn.Module:
    """Make the network that a parameter means; a given network is copied."""
    if isinstance(module, nn.Module):
        return copy.deepcopy(module)
    made = MODULES.get(module, module)(in_shape, n_outputs)
    if not isinstance(made, nn.Module):
        raise ValueError(
            "module must be a torch.nn.Module or a callable that takes (in_shape, "
            f"n_outputs) and returns one; {module!r} returned {type(made).__name__}."
        )
    return made


def check_outputs(module: nn.Module, X: torch.Tensor, n_outputs: int) -> None:
    """Raise a ValueError unless the module gives n_outputs numbers a sample."""
    training = module.training
    with torch.no_grad():
        outputs = module.eval()(X[:2])
    module.train(training)
    shape = getattr(outputs, "shape", None)
    if shape != (len(X[:2]), n_outputs):
        raise ValueError(
            f"module must return a tensor of shape (n_samples, {n_outputs}), one logit "
            f"per cluster; for {len(X[:2])} samples it returned "
            f"{type(outputs).__name__ if shape is None else tuple(shape)}."
        )


def fit_scaling(
    module: nn.Module, X: torch.Tensor, weight: torch.Tensor | None
) -> None:
    """Set the scaling layers of a module from evenly spaced samples."""
    step = -(-len(X) // N_SCALING_SAMPLES)
    for layer in module.modules():
        if isinstance(layer, Scaling):
            layer.fit(X[::step], None if weight is None else weight[::step])


class BaseCollisionEstimator(BaseEstimator):
    """Base of the estimators that own a ``CollisionNet``."""

    _parameter_constraints: dict = {
        "module": [StrOptions(set(MODULES)), callable],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def _check_fit_input(
        self, X: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return X as float32, and the weights with mean 1."""
        X = validate_data(self, X, dtype=np.float32, allow_nd=True)
        if sample_weight is None:
            return X, None
        weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError("sample_weight must have a positive entry; all are 0.")
        return X, weight / weight.mean()

    def _check_input(self, X: ArrayLike) -> np.ndarray:
        """Return X as float32, if its samples are like those seen in fit."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, allow_nd=True, reset=False)
        if X.shape[1:] != self._sample_shape:
            raise ValueError(
                f"X has samples of shape {X.shape[1:]}, but {type(self).__name__} was "
                f"fitted with samples of shape {self._sample_shape}."
            )
        return X

    def _training_samples(
        self, X: np.ndarray, weight: np.ndarray | None, device: torch.device
    ) -> Samples:
        """Put on the device what has a weight.

        Where one batch holds everything, equal samples are merged, so that a sample
        of weight 2 is the same to the bit as two samples.
        """
        if weight is not None:
            X, weight = X[weight > 0], weight[weight > 0]
        if len(X) <= self.batch_size:
            X, index = np.unique(X, axis=0, return_inverse=True)
            weight = np.bincount(index.ravel(), weight)
        if weight is not None:
            weight = torch.as_tensor(weight / weight.mean(), dtype=torch.float32)
            weight = weight.to(device)
        return Samples(as_tensor(X, device), weight)

    def _train(
        self,
        X: np.ndarray,
        sample_weight: np.ndarray | None,
        n_outputs: int,
        **net_params: Any,
    ) -> None:
        """Make a net, train it, and keep it if nothing went wrong."""
        device = resolve_device(self.device)
        samples = self._training_samples(X, sample_weight, device)
        seed = draw_seed(self.random_state)
        stop = EarlyStopping(
            monitor="train_loss",
            threshold=self.tol,
            threshold_mode="abs",
            patience=self.patience,
            sink=noop,
        )
        with seeded(seed, device):
            net = self._make_net(samples, n_outputs, seed, device, net_params)
            net.callbacks_.append(("convergence", stop))
            n_earlier = len(net.history)
            net.partial_fit(samples)
        self._keep(net, X)
        self.n_iter_ = len(net.history) - n_earlier
        if stop.misses_ < self.patience:
            warnings.warn(
                f"The training loss was still falling after {self.n_iter_} epochs. "
                "Increase max_epochs, lr or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _make_net(
        self,
        samples: Samples,
        n_outputs: int,
        seed: int,
        device: torch.device,
        net_params: dict[str, Any],
    ) -> CollisionNet:
        """Return an initialized net; a warm start goes on with a copy of the last."""
        if self.warm_start and hasattr(self, "net_"):
            return copy.deepcopy(self.net_)
        shape = tuple(samples.X.shape[1:])
        in_shape = shape[0] if len(shape) == 1 else shape
        net = CollisionNet(
            functools.partial(make_module, self.module, in_shape, n_outputs),
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            optimizer=OPTIMIZERS.get(self.optimizer, self.optimizer),
            optimizer__weight_decay=self.weight_decay,
            lr=self.lr,
            iterator_train__seed=seed,
            callbacks=self.callbacks,
            device=str(device),
            verbose=self.verbose,
            **net_params,
        ).initialize()
        check_outputs(net.module_, samples.X, n_outputs)
        fit_scaling(net.module_, samples.X, samples.weight)
        return net

    def _keep(self, net: CollisionNet, X: np.ndarray) -> None:
        """Take over a trained net."""
        net.module_.eval()
        self.net_ = net
        self.module_ = net.module_
        self.history_ = net.history
        self._sample_shape = X.shape[1:]
        self._n_features_out = self._represent(X[:1]).shape[1]

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        """Return the logits of the network."""
        return infer(self.module_, X, self.net_.device)

    def _represent(self, X: np.ndarray) -> np.ndarray:
        """Return what the last layer sees, or centred logits where that is X."""
        body = without_head(self.module_)
        if body is not None:
            return infer(body, X, self.net_.device).reshape(len(X), -1)
        logits = self._outputs(X)
        return logits - logits.mean(1, keepdims=True)
