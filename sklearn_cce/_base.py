"""What the estimators share: parameters, device, seeding, training and inference."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.history import History
from skorch.utils import noop
from torch import nn

from sklearn_cce._checks import HasMethods, Interval, StrOptions, refusing
from sklearn_cce._graph.geometry import Geometry, has_given_graph, rows_for_graph
from sklearn_cce._graph.remembered import open_memory
from sklearn_cce._training.batches import (
    N_TRIED,
    Changes,
    Samples,
    make_samples,
    n_batches,
    rows_for_scale,
)
from sklearn_cce._training.callbacks import CosineAnnealing, RisingOrder
from sklearn_cce._training.errors import blaming, lacks_memory, memory_error
from sklearn_cce._training.heads import ends_in_linear, without_order
from sklearn_cce._training.inference import infer
from sklearn_cce._training.inputs import check_samples
from sklearn_cce._training.net import CollisionNet
from sklearn_cce._training.process import drawing, seeded, usual_settings
from sklearn_cce._training.sources import Source, TensorSource, take
from sklearn_cce.losses import LOSSES, RenyiCrossEntropyLoss
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

Made = TypeVar("Made")

ARRAYS = ("sparse matrix", np.ndarray)
"""What a graph may be given as."""

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
    with refusing(f"{accepted}, with an index if wanted; got {device!r}"):
        resolved = torch.device(device)
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
        accepted = (
            "module must be a torch.nn.Module or a callable that takes (in_shape, "
            f"n_outputs), here ({in_shape}, {n_outputs}), and returns one; {module!r}"
        )
        made = made_by(accepted, nn.Module, lambda: module(in_shape, n_outputs))
    if not any(p.requires_grad for p in made.parameters()):
        raise ValueError(f"module must have parameters to train; {module!r} has none.")
    if any(p.is_meta for p in made.parameters()):
        raise ValueError("module must have weights; some lie on the device 'meta'.")
    made = made.float()
    scales = any(isinstance(layer, Scaling) for layer in made.modules())
    if dtype == torch.float32 or scales:
        return made
    return nn.Sequential(Scaling(in_shape), made)


def made_by(accepted: str, kind: type[Made], make: Callable[[], Any]) -> Made:
    """Return what code of the user's makes, or say what it must be if that fails."""
    with blaming(accepted):
        made = make()
    if not isinstance(made, kind):
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
    make = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    return made_by(accepted, torch.optim.Optimizer, lambda: make(*args, **kwargs))


RISING = "rising"
"""The loss whose order rises from that of Shannon's to that of collision."""

SETTLED = 0.01
"""Share of the samples that may change clusters in the last epoch of a training."""

ORDERS = Interval(Real, 0, 10, closed="both")
"""The orders that a loss may have."""

RESERVED = {
    "epoch_timer",
    "progress",
    "convergence",
    "annealing",
    "order",
    "validation",
}
"""Names of the callbacks that a fit adds itself."""


def check_callbacks(callbacks: list | None) -> None:
    """Raise an error unless every entry is a callback, or one with a name."""
    accepted = (
        "callbacks must be a list of skorch.callbacks.Callback, or of (name, callback) "
        "with names that differ"
    )
    names = []
    for entry in callbacks or []:
        named = isinstance(entry, tuple)
        if named and not (len(entry) == 2 and isinstance(entry[0], str)):
            raise TypeError(f"{accepted}; got {entry!r} in it.")
        if not hasattr(entry[1] if named else entry, "on_train_begin"):
            raise TypeError(f"{accepted}; got {entry!r} in it.")
        names += [entry[0]] if named else []
    if len(set(names)) < len(names) or RESERVED & set(names):
        raise ValueError(
            f"{accepted}, and from {sorted(RESERVED)}; got the names {names}."
        )


def check_outputs(module: nn.Module, X: torch.Tensor, n_outputs: int) -> None:
    """Raise a ValueError unless the module gives n_outputs numbers a sample."""
    accepted = ("n_samples", *X.shape[1:])
    with blaming(f"module must take a tensor of shape {accepted}"):
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
    X, weight = rows_for_scale(samples)
    for layer in layers:
        layer.fit(X, weight)


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


def loss_params(loss: str | float) -> dict[str, Any]:
    """Return the parameters of a net that a loss, its order or 'rising' stand for."""
    if loss == RISING:
        return {"criterion": RenyiCrossEntropyLoss, "rising": True}
    if isinstance(loss, str):
        return {"criterion": LOSSES[loss]}
    return {"criterion": RenyiCrossEntropyLoss, "criterion__order": loss}


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


@dataclass(frozen=True)
class Task:
    """What a net is to learn, checked, before any work starts.

    Attributes
    ----------
    n_outputs : int
        Number of clusters or classes.
    outputs : str
        What they are, in words.
    views : sequence of Neighbors and callables
        What makes further views of a sample.
    weight : ndarray of shape (n_samples,) or None
        Sample weights, float64.
    target : Tensor of shape (n_samples, n_outputs) or None
        Distributions to learn, float32, on the host; rows of NaN where none is known.
    params : dict
        Parameters of a new net.
    needs_graph : bool
        Whether neighbours have to be found for something else than the views.
    watch : Callback or None
        What watches the training.
    """

    n_outputs: int
    outputs: str
    views: Sequence[View]
    weight: np.ndarray | None
    target: torch.Tensor | None
    params: dict[str, Any]
    needs_graph: bool = False
    watch: Callback | None = None


@dataclass(frozen=True)
class Plan:
    """What is decided once at the start of a fit.

    Attributes
    ----------
    goes_on : bool
        Whether training goes on with the net of the last fit.
    one_pass : bool
        Whether the samples are a chunk of a stream.
    epochs : int
        Number of passes over the samples.
    n_steps : int
        Number of gradient steps in a pass.
    seed : int
        Determines all that is random.
    """

    goes_on: bool
    one_pass: bool
    epochs: int
    n_steps: int
    seed: int


@contextlib.contextmanager
def watched(net: CollisionNet, watch: Callback | None) -> Iterator[None]:
    """Let a callback watch a net inside the block."""
    if watch is None:
        yield
        return
    net.callbacks_.append(("validation", watch.initialize()))
    try:
        yield
    finally:
        net.callbacks_.remove(("validation", watch))


TaskT = TypeVar("TaskT", bound=Task)


class BaseCollisionEstimator(BaseEstimator, Generic[TaskT]):
    """The fit that the estimators share; each says what its net is to learn, and how.

    An estimator defines `_task`, which checks its input, and `_learn`, which trains a
    net. It may extend `_check_params`, `_with_watch`, `_rows`, `_usual_epochs` and
    `_conclude`.
    """

    _least_epochs: int
    _least_steps: int
    _n_neighbors: int
    _net_type: type[CollisionNet] = CollisionNet
    _modules: dict[str, Callable[..., nn.Module]] = MODULES

    net_: CollisionNet
    module_: nn.Module
    history_: History

    _parameter_constraints: dict = {
        "fairness_weight": [Interval(Real, 0, None, closed="neither")],
        "module": [StrOptions(set(MODULES)), callable],
        "views": [str, Neighbors, callable, *ARRAYS, list, tuple, None],
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
        "memory": [str, os.PathLike, HasMethods("cache"), None],
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

    def _fit(
        self,
        X: Any,
        sample_weight: ArrayLike | None,
        labels: Any = None,
        *,
        goes_on: bool,
        one_pass: bool = False,
    ) -> Self:
        """Train a new net, or a copy of the last, and take it over."""
        self._validate_params()  # scikit-learn leaves this out in further partial_fits
        with all_or_nothing(self):
            self._check_params()
            device = self._device(goes_on)
            source = check_samples(self, X, device, reset=not goes_on, training=True)
            task = self._task(source, sample_weight, labels, goes_on)
            if goes_on:
                self._check_goes_on(source, task)
            check_transforms(task.views, source)
            seed = draw_seed(self.random_state)
            task = self._with_watch(task, source, seed)
            with seeded(seed, device):
                geometry = self._geometry(source, task, seed)
                n_steps = n_batches(geometry.samples, self.batch_size)
                epochs = self._epochs(n_steps, goes_on)
                plan = Plan(goes_on, one_pass, epochs, n_steps, seed)
                net, converged = self._learn(geometry, task, plan)
                self._keep(net, source, task, plan)
                self._conclude(source, task, plan, converged)
        return self

    def _check_params(self) -> None:
        """Raise an error unless the parameters are what they may be."""
        check_callbacks(self.callbacks)
        open_memory(self.memory)

    def _task(
        self,
        source: Source,
        sample_weight: ArrayLike | None,
        labels: Any,
        goes_on: bool,
    ) -> TaskT:
        """Check the input and return what a net is to learn."""
        raise NotImplementedError

    def _with_watch(self, task: TaskT, source: Source, seed: int) -> TaskT:
        """Return the task with what watches the training, if something does."""
        return task

    def _learn(
        self, geometry: Geometry, task: TaskT, plan: Plan
    ) -> tuple[CollisionNet, bool]:
        """Return a trained net, and whether its training converged."""
        raise NotImplementedError

    def _conclude(
        self, source: Source, task: TaskT, plan: Plan, converged: bool
    ) -> None:
        """Set what the estimator alone has, after its net was taken over."""

    def _check_goes_on(self, source: Source, task: TaskT) -> None:
        """Raise a ValueError unless the last network suits samples and outputs."""
        if (source.shape[1:], task.outputs) != (self._sample_shape, self._outputs):
            raise ValueError(
                "Training goes on with the network of the last fit, for samples of "
                f"shape {self._sample_shape} and {self._outputs}; got samples of shape "
                f"{source.shape[1:]} and {task.outputs}. Use fit with warm_start=False."
            )

    def _geometry(self, source: Source, task: TaskT, seed: int) -> Geometry:
        """Return the samples to train on, and what relates them."""
        weight, target = task.weight, task.target
        keep_order = has_given_graph(task.views)
        near = any(isinstance(view, Neighbors) for view in task.views)
        if not keep_order and (near or task.needs_graph):
            rows = self._rows(len(source), task, seed)
            if rows is not None:
                source = take(source, rows)
                weight = None if weight is None else weight[rows.numpy()]
                target = None if target is None else target[rows]
        mergeable = 0 if keep_order else self.batch_size
        samples = make_samples(source, weight, mergeable, target)
        memory = open_memory(self.memory)
        return Geometry(samples, task.views, task.n_outputs, self._n_neighbors, memory)

    def _rows(self, n_samples: int, task: TaskT, seed: int) -> torch.Tensor | None:
        """Return which samples to train on where neighbours are needed, or None."""
        return rows_for_graph(n_samples, task.weight, seed)

    def _epochs(self, n_steps: int, goes_on: bool) -> int:
        """Return the number of passes, of so many steps each, that a fit takes."""
        usual = max(self._least_epochs, -(-self._least_steps // n_steps))
        return self.max_epochs or self._usual_epochs(usual, goes_on)

    def _usual_epochs(self, usual: int, goes_on: bool) -> int:
        """Return how many of the usual passes this fit takes."""
        return usual

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
        rising: bool = True,
        first_weight: float | None = None,
    ) -> bool:
        """Train a net, and return whether that converged.

        Annealed training begins with a fresh optimizer, whose learning rate falls to 0
        along a cosine; a scheduler among the callbacks takes its place. The order of
        the loss 'rising' rises in such a training, unless that is not wanted, and the
        fairness weight begins at `first_weight`. As the loss falls with the order, all
        passes are made, and few clusters should change at last.
        """
        stop = EarlyStopping(
            monitor="train_loss",
            threshold=self.tol,
            threshold_mode="abs",
            patience=self.patience,
            sink=noop,
        )
        rises = anneal and rising and net.rising
        n_steps = epochs * n_batches(samples, net.batch_size)
        extra: list[tuple[str, Callback]] = [("convergence", stop)]
        if rises:
            extra = [("order", RisingOrder(n_steps, first_weight))]
        scheduled = any(isinstance(c, LRScheduler) for _, c in net.callbacks_)
        if anneal and not scheduled:
            net.initialize_optimizer()
            extra.append(("annealing", CosineAnnealing(n_steps)))
        own = net.callbacks_
        net.callbacks_ = own + extra
        net.max_epochs, net.iterator_train__seed = epochs, seed + len(net.history)
        try:
            net.train_on(samples)
        finally:
            net.callbacks_ = own
        net.drop_empty_epoch()
        if net.interrupted_ and self.on_interrupt == "raise":
            raise KeyboardInterrupt
        if rises:
            return bool(net.history) and net.history[-1, "changed"] <= SETTLED
        return stop.misses_ >= self.patience

    def _make_net(
        self, samples: Samples, n_outputs: int, **params: Any
    ) -> CollisionNet:
        """Return a new net, ready to be trained."""
        shape = samples.source.shape[1:]
        in_shape = shape[0] if len(shape) == 1 else shape
        named = isinstance(self.module, str)
        module = self._modules[self.module] if named else self.module
        named = named and isinstance(self.optimizer, str)
        net = self._net_type(
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
            mixed_precision=self.mixed_precision,
            compiled=self.compile,
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

    def _keep(self, net: CollisionNet, source: Source, task: TaskT, plan: Plan) -> None:
        """Take over a trained net."""
        self.n_iter_ = len(net.history) - (len(self.history_) if plan.goes_on else 0)
        some = source[: min(len(source), N_TRIED)]
        net.check_trained(some)
        self.net_ = net
        self.module_ = net.module_
        self.history_ = net.history
        self._sample_shape, self._outputs = source.shape[1:], task.outputs
        with net.drawing():
            self._shows_body = ends_in_linear(without_order(net.module_), some)
            self._n_features_out = self._represent(TensorSource(some[:1])).shape[1]

    def _represent(self, source: Source) -> np.ndarray:
        """Return what the last layer sees, or centred logits where that is X."""
        whole = without_order(self.module_)
        body = without_head(whole) if self._shows_body else None
        if body is None:
            return infer(self.module_, source, centre)
        return infer(body, source, flatten)
