"""What the estimators share: parameters, device, seeding, training and inference."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.utils import noop
from torch import nn

from sklearn_cce._training.batches import N_TRIED, Changes, Samples
from sklearn_cce._training.callbacks import CosineAnnealing
from sklearn_cce._training.errors import blaming, lacks_memory, memory_error
from sklearn_cce._training.heads import ends_in_linear, without_order
from sklearn_cce._training.inference import infer
from sklearn_cce._training.inputs import check_samples
from sklearn_cce._training.net import CollisionNet
from sklearn_cce._training.process import drawing, usual_settings
from sklearn_cce._training.sources import Source, TensorSource, spread_blocks
from sklearn_cce.modules import FLATTENING, MODULES, Scaling, without_head
from sklearn_cce.views import Neighbors, View

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": functools.partial(torch.optim.Adam, fused=True),
    "adamw": functools.partial(torch.optim.AdamW, fused=True),
    "sgd": functools.partial(torch.optim.SGD, momentum=0.9, fused=True),
}

LARGEST = torch.finfo(torch.float64).max
LARGEST_WEIGHT = torch.finfo(torch.float32).max
"""No number among the parameters may be larger, and no fairness weight."""

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


def make_module(
    module: nn.Module | Callable[..., nn.Module],
    in_shape: int | Sequence[int],
    n_outputs: int,
    dtype: torch.dtype,
) -> nn.Module:
    """Make a network; a given network is copied. Its numbers become float32.

    Where float32 does not hold the samples, it must begin with a layer that scales.
    """
    if isinstance(module, nn.Module):
        with blaming("module must be one that can be copied"):
            made = copy.deepcopy(module)
    else:
        made = call_factory(module, in_shape, n_outputs)
    if not any(p.requires_grad for p in made.parameters()):
        raise ValueError(f"module must have parameters to train; {module!r} has none.")
    made = made.float()
    scales = any(isinstance(layer, Scaling) for layer in made.modules())
    if dtype == torch.float32 or scales:
        return made
    return nn.Sequential(Scaling(in_shape), made)


def call_factory(
    factory: Callable[..., nn.Module], in_shape: int | Sequence[int], n_outputs: int
) -> nn.Module:
    """Call what makes a network, and say what it must be if that fails."""
    accepted = (
        "module must be a torch.nn.Module or a callable that takes (in_shape, "
        f"n_outputs), here ({in_shape}, {n_outputs}), and returns one; {factory!r}"
    )
    with blaming(accepted):
        made = factory(in_shape, n_outputs)
    if not isinstance(made, nn.Module):
        raise ValueError(f"{accepted} returned {type(made).__name__}.")
    return made


def make_optimizer(
    optimizer: str | Callable[..., torch.optim.Optimizer], *args: Any, **kwargs: Any
) -> torch.optim.Optimizer:
    """Make an optimizer, and say what it must be if that fails."""
    accepted = (
        f"optimizer must be one of {sorted(OPTIMIZERS)} or a callable that takes "
        "parameters, lr and weight_decay, and returns a torch.optim.Optimizer; "
        f"{optimizer!r}"
    )
    with blaming(accepted):
        made = OPTIMIZERS.get(optimizer, optimizer)(*args, **kwargs)
    if not isinstance(made, torch.optim.Optimizer):
        raise ValueError(f"{accepted} returned {type(made).__name__}.")
    return made


def check_callbacks(callbacks: list | None) -> None:
    """Raise a TypeError unless every entry is a callback, or a name with one."""
    for entry in callbacks or []:
        callback = entry[-1] if isinstance(entry, tuple) else entry
        if not hasattr(callback, "on_train_begin"):
            raise TypeError(
                "callbacks must be a list of skorch.callbacks.Callback, or of (name, "
                f"callback); got {entry!r} in it."
            )


def check_outputs(module: nn.Module, X: torch.Tensor, n_outputs: int) -> None:
    """Raise a ValueError unless the module gives n_outputs numbers a sample."""
    shape = ("n_samples", *X.shape[1:])
    with blaming(f"module must take a tensor of shape {shape}"):
        outputs = module.eval()(X)
    shape = getattr(outputs, "shape", None)
    if not isinstance(outputs, torch.Tensor) or shape != (len(X), n_outputs):
        raise ValueError(
            f"module must return a tensor of shape (n_samples, {n_outputs}), one logit "
            f"per cluster or class; for {len(X)} samples it returned "
            f"{type(outputs).__name__ if shape is None else tuple(shape)}."
        )
    if not outputs.is_floating_point() or not outputs.requires_grad:
        raise ValueError(
            "module must return logits, floating-point numbers that its parameters "
            f"can be trained by; it returned {outputs.dtype} without a gradient."
        )


def fit_scaling(module: nn.Module, samples: Samples) -> None:
    """Set the scaling layers of a module from blocks of the samples."""
    layers = [layer for layer in module.modules() if isinstance(layer, Scaling)]
    if not layers:
        return
    some = spread_blocks(len(samples))
    X, weight = samples.source[some], samples.weight
    for layer in layers:
        layer.fit(X, None if weight is None else weight[some])


def centre(logits: torch.Tensor) -> torch.Tensor:
    """Subtract the mean of every row."""
    logits = logits.float()
    return logits - logits.mean(1, keepdim=True)


def flatten(features: torch.Tensor) -> torch.Tensor:
    """Turn the representation of every sample into a vector."""
    return features.float().flatten(1)


PLAIN: dict[Any, Callable[[Any], Any]] = {(Integral, np.bool_): int, Real: float}


def plain(name: str, value: Any) -> Any:
    """Return a number as one of Python, which does not overflow; all else as it is."""
    for kind, make in PLAIN.items():
        if isinstance(value, kind):
            number = make(value)
            largest = LARGEST_WEIGHT if name == "fairness_weight" else LARGEST
            if abs(number) > largest:
                raise ValueError(f"{name} must be at most {largest:g}; got {value!r}.")
            return number
    return value


@contextlib.contextmanager
def all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Run a fit: give an estimator its attributes back if the block raises.

    In the block its parameters are Python's numbers, and torch's settings the usual
    ones.
    """
    state, given = vars(estimator).copy(), estimator.get_params(deep=False)
    try:
        numbers = {name: plain(name, value) for name, value in given.items()}
        vars(estimator).update(numbers)
        with usual_settings():
            yield
        vars(estimator).update(given)
    except BaseException as error:
        vars(estimator).clear()
        vars(estimator).update(state)
        if lacks_memory(error):
            raise memory_error(error) from error
        raise


def check_transforms(views: Sequence[View], source: Source) -> None:
    """Raise an error that names `views` unless those that make samples do so."""
    transforms = [view for view in views if not isinstance(view, Neighbors)]
    if transforms:
        X = source[: min(len(source), N_TRIED)]
        Changes(transforms, 0, X.device)(X)


class BaseCollisionEstimator(BaseEstimator):
    """Base of the estimators that own a ``CollisionNet``."""

    _modules: dict[str, Callable[..., nn.Module]] = MODULES

    _parameter_constraints: dict = {
        "fairness_weight": [Interval(Real, 0, None, closed="neither")],
        "module": [StrOptions(set(MODULES)), callable],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "device": [str, torch.device],
        "compile": ["boolean"],
        "mixed_precision": ["boolean"],
        "on_interrupt": [StrOptions({"raise", "keep"})],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def _check_X(self, X: Any) -> Source:
        """Return the samples, if they are like those seen in fit."""
        check_is_fitted(self)
        device = torch.device(self.net_.device)
        source = check_samples(self, X, device, reset=False, training=False)
        if source.shape[1:] != self._sample_shape:
            raise ValueError(
                f"X has samples of shape {source.shape[1:]}, but "
                f"{type(self).__name__} was fitted with samples of shape "
                f"{self._sample_shape}."
            )
        return source

    def _n_axes(self, source: Source) -> int:
        """Return how many axes a sample has to the network."""
        flattens = isinstance(self.module, str) and self.module in FLATTENING
        return 1 if flattens else len(source.shape) - 1

    def _device(self, goes_on: bool) -> torch.device:
        """Return the device of a new net, or of the net that training goes on with."""
        if goes_on:
            return torch.device(self.net_.device)
        return resolve_device(self.device)

    def _train(
        self,
        net: CollisionNet,
        samples: Samples,
        epochs: int,
        seed: int,
        anneal: bool = True,
    ) -> bool:
        """Train a net, and return whether the loss stopped falling.

        Annealed training begins with a fresh optimizer, whose learning rate falls to 0
        along a cosine; a scheduler among the callbacks takes its place.
        """
        stop = EarlyStopping(
            monitor="train_loss",
            threshold=self.tol,
            threshold_mode="abs",
            patience=self.patience,
            sink=noop,
        )
        extra: list[tuple[str, Callback]] = [("convergence", stop)]
        scheduled = any(isinstance(c, LRScheduler) for _, c in net.callbacks_)
        if anneal and not scheduled:
            net.initialize_optimizer()
            n_steps = epochs * net.n_batches(samples)
            extra.append(("annealing", CosineAnnealing(n_steps)))
        own = net.callbacks_
        net.callbacks_ = own + extra
        net.max_epochs, net.iterator_train__seed = epochs, seed + len(net.history)
        try:
            net.partial_fit(samples)
        finally:
            net.callbacks_ = own
        net.drop_empty_epoch()
        if net.interrupted_ and self.on_interrupt == "raise":
            raise KeyboardInterrupt
        return stop.misses_ >= self.patience

    def _make_net(
        self, samples: Samples, n_outputs: int, **params: Any
    ) -> CollisionNet:
        """Return a new net, ready to be trained."""
        check_callbacks(self.callbacks)
        shape = samples.source.shape[1:]
        in_shape = shape[0] if len(shape) == 1 else shape
        named = isinstance(self.module, str)
        module = self._modules[self.module] if named else self.module
        named = named and isinstance(self.optimizer, str)
        net = CollisionNet(
            functools.partial(
                make_module, module, in_shape, n_outputs, samples.source.dtype
            ),
            batch_size=self.batch_size,
            optimizer=functools.partial(make_optimizer, self.optimizer),
            optimizer__weight_decay=self.weight_decay,
            iterator_train__seed=0,
            callbacks=copy.deepcopy(self.callbacks),
            device=str(samples.source.device),
            verbose=self.verbose,
            compile=self.compile,
            mixed_precision=self.mixed_precision,
            may_draw=not named or bool(self.callbacks),
            **params,
        )
        with drawing():
            net.initialize()
            check_outputs(net.module_, samples.source[:2], n_outputs)
            fit_scaling(net.module_, samples)
        return net

    def _copy_net(self, **params: Any) -> CollisionNet:
        """Return a copy of the net with the present parameters, to go on with."""
        net = copy.deepcopy(self.net_)
        net.set_params(batch_size=self.batch_size, **params)
        return net

    def _keep(self, net: CollisionNet, source: Source) -> None:
        """Take over a trained net."""
        some = source[: min(len(source), N_TRIED)]
        net.check_trained(some)
        self.net_ = net
        self.module_ = net.module_
        self.history_ = net.history
        self._sample_shape = source.shape[1:]
        with net.drawing():
            self._shows_body = ends_in_linear(without_order(net.module_), some)
            self._n_features_out = self._represent(TensorSource(some[:1])).shape[1]

    def _represent(self, source: Source) -> np.ndarray:
        """Return what the last layer sees, or centred logits where that is X."""
        if not self._shows_body:
            return infer(self.module_, source, centre)
        body = without_head(without_order(self.module_))
        return infer(body, source, flatten)
