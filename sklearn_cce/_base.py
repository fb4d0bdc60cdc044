"""What the estimators share: parameters, device, seeding, training and inference."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.history import History
from skorch.utils import noop
from torch import nn

from sklearn_cce._checks import HasMethods, Interval, StrOptions, plain_number
from sklearn_cce._graph.geometry import (
    Geometry,
    has_given_graph,
    usual_samples,
    with_weight,
)
from sklearn_cce._graph.linked import InputEstimator, with_links
from sklearn_cce._graph.remembered import open_memory
from sklearn_cce._training.batches import (
    N_TRIED,
    Samples,
    check_transforms,
    make_samples,
    n_batches,
)
from sklearn_cce._training.callbacks import CosineAnnealing, RisingOrder
from sklearn_cce._training.checkpoints import (
    CheckpointFolder,
    digest_of_samples,
    facts_of_fit,
)
from sklearn_cce._training.devices import resolve_device
from sklearn_cce._training.errors import lacks_memory, memory_error
from sklearn_cce._training.heads import ends_in_linear, without_order
from sklearn_cce._training.inference import centre, flatten, infer
from sklearn_cce._training.making import (
    OPTIMIZERS,
    check_outputs,
    fit_scaling,
    make_module,
    make_optimizer,
)
from sklearn_cce._training.net import CollisionNet
from sklearn_cce._training.process import drawing, seeded, usual_settings
from sklearn_cce._training.progress import showing
from sklearn_cce._training.ranks import ALONE, Ranks, comparable, joined
from sklearn_cce._training.sources import Source, TensorSource
from sklearn_cce._training.storing import take_weights
from sklearn_cce._training.user_callbacks import check_callbacks
from sklearn_cce._version import doc_link_template, project_urls
from sklearn_cce.losses import LOSSES, RenyiCrossEntropyLoss
from sklearn_cce.modules import FLATTENING, MODULES, sample_shape, without_head
from sklearn_cce.views import Neighbors, View, takes_graph

ARRAYS = ("sparse matrix", np.ndarray)
"""What a graph may be given as."""


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed without touching any global random state."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


RISING = "rising"
"""The loss whose order rises from that of Shannon's to that of collision."""

SETTLED = 0.01
"""Share of the samples that may change clusters in the last epoch of a training."""

ORDERS = Interval(Real, 0, 10, closed="both")
"""The orders that a loss may have."""

POSITIVE = Interval(Real, 0, None, closed="neither")
"""Finite numbers above 0."""


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
        numbers = {name: plain_number(name, value) for name, value in given.items()}
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

    @property
    def finds_neighbors(self) -> bool:
        """Whether neighbours have to be found."""
        near = any(isinstance(view, Neighbors) for view in self.views)
        return not has_given_graph(self.views) and (near or self.needs_graph)

    def facts(self, source: Source) -> dict[str, Any]:
        """Return what all processes of a fit must have alike, by name."""
        total = None if self.weight is None else float(self.weight.sum())
        return {
            "shape of X": tuple(source.shape),
            "number of clusters or classes": self.n_outputs,
            "sum of sample_weight": total,
        }


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
    folder : CheckpointFolder or None
        Where the fit is saved while it is unfinished.
    """

    goes_on: bool
    one_pass: bool
    epochs: int
    n_steps: int
    seed: int
    folder: CheckpointFolder | None


TaskT = TypeVar("TaskT", bound=Task)


class BaseCollisionEstimator(InputEstimator, Generic[TaskT]):
    """The fit that the estimators share; each says what its net is to learn, and how.

    An estimator defines `_task`, which checks its input, and `_learn`, which trains a
    net. It may extend `_check_params`, `_with_watch`, `_usual_epochs` and
    `_conclude`.
    """

    _least_epochs: int
    _least_steps: int
    _n_neighbors: int
    _net_type: type[CollisionNet] = CollisionNet
    _modules: dict[str, Callable[..., nn.Module]] = MODULES
    _doc_link_module = "sklearn_cce"
    _doc_link_template = doc_link_template(project_urls())

    _parameter_constraints: dict = {
        "fairness_weight": [POSITIVE],
        "module": [StrOptions(set(MODULES)), callable],
        "views": [str, Neighbors, callable, *ARRAYS, list, tuple, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [POSITIVE],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "device": [str, torch.device],
        "compile": ["boolean"],
        "distributed": ["boolean"],
        "mixed_precision": ["boolean"],
        "on_interrupt": [StrOptions({"raise", "keep"})],
        "warm_start": ["boolean"],
        "memory": [str, os.PathLike, HasMethods("cache"), None],
        "callbacks": [list, None],
        "checkpoint": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @property
    def module_(self) -> nn.Module:
        """The trained network, which `net_` owns."""
        return self._trained("module_").module_

    @property
    def history_(self) -> History:
        """What was noted of every epoch; `net_` owns it."""
        return self._trained("history_").history

    def _trained(self, name: str) -> CollisionNet:
        """Return the net that an attribute belongs to."""
        net = vars(self).get("net_")
        if net is None:
            raise AttributeError(
                f"This {type(self).__name__} is not fitted and has no {name} yet. "
                "Call fit first."
            )
        return net

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
            if one_pass:  # of which none are held out
                check_callbacks(self.callbacks, validated=False)
            ranks = joined(self.distributed)
            device = self._device(goes_on)
            with ranks.together():
                source = self._read(X, device, reset=not goes_on, training=True)
                task = self._task(source, sample_weight, labels, goes_on)
                task = replace(task, views=with_links(task.views, source))
                if goes_on:
                    self._check_goes_on(source, task)
                check_transforms(task.views, source)
                ranks.check_parts(len(source), self.batch_size)
            ranks.check_equal(
                task.facts(source) | comparable(self.get_params(deep=False))
            )
            seed = draw_seed(self.random_state)
            folder = None
            if self.checkpoint is not None and not one_pass:
                folder = CheckpointFolder(self.checkpoint, ranks)
                seed = self._unfinished(folder, source, task, goes_on, seed)
            seed = ranks.share(seed)
            task = self._with_watch(task, source, seed)
            shown = self.verbose > 0 and not ranks.rank
            with seeded(seed, device), showing(shown):
                memory = self.memory
                if memory is None and folder is not None:
                    memory = folder.starts
                geometry = self._geometry(source, task, seed, ranks, memory)
                n_steps = n_batches(geometry.samples, self.batch_size)
                n_usual = n_steps
                if task.finds_neighbors:
                    n = usual_samples(len(geometry.samples))
                    n_usual = min(n_steps, -(-n // self.batch_size))
                epochs = self._epochs(n_steps, goes_on, n_usual)
                plan = Plan(goes_on, one_pass, epochs, n_steps, seed, folder)
                net, converged = self._learn(geometry, task, plan)
                del geometry  # its graphs may be larger than what follows
                self._keep(net, source, task, plan)
                self._conclude(source, task, plan, converged)
            if folder is not None:
                folder.clear()
        return self

    def _unfinished(
        self,
        folder: CheckpointFolder,
        source: Source,
        task: TaskT,
        goes_on: bool,
        seed: int,
    ) -> int:
        """Return the seed of the unfinished fit, or of this one if there is none.

        Raise a ValueError if it is another fit than this.
        """
        facts = facts_of_fit(
            self.get_params(deep=False),
            X=digest_of_samples(source),
            sample_weight=task.weight,
            y=task.target,
            outputs=task.outputs,
            network=self.module_ if goes_on else None,
            processes=folder.ranks.size,
            random_state=None if self.random_state is None else seed,
        )
        if self.random_state is None and folder.seed is not None:
            seed = folder.seed
        folder.begin(facts, seed)
        return seed

    def _check_params(self) -> None:
        """Raise an error unless the parameters are what they may be."""
        check_callbacks(self.callbacks, getattr(self, "early_stopping", False))
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

    def _geometry(
        self,
        source: Source,
        task: TaskT,
        seed: int,
        ranks: Ranks = ALONE,
        memory: Any = None,
    ) -> Geometry:
        """Return the samples to train on, and what relates them."""
        weight, target = task.weight, task.target
        if task.finds_neighbors:
            source, rows = with_weight(source, weight)
            if weight is not None and rows is not None:
                weight = weight[rows.numpy()]
                target = None if target is None else target[rows]
        mergeable = 0 if has_given_graph(task.views) else self.batch_size
        samples = make_samples(source, weight, mergeable, target)
        k, kept = self._n_neighbors, open_memory(memory)
        return Geometry(samples, task.views, task.n_outputs, k, seed, ranks, kept)

    def _epochs(self, n_steps: int, goes_on: bool, n_usual: int | None = None) -> int:
        """Return the number of passes, of so many steps each, that a fit takes.

        They make as many steps as the usual passes of `n_usual` steps each.
        """
        n_usual = n_usual or n_steps
        usual = max(self._least_epochs, -(-self._least_steps // n_usual))
        usual = self._usual_epochs(usual, goes_on)
        return self.max_epochs or -(-usual * n_usual // n_steps)

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
        plan: Plan,
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
        saving = plan.folder.next_training() if plan.folder is not None else None
        if saving is not None:
            saving.restore(net)
            if saving.converged is not None:
                return saving.converged
            epochs -= saving.n_done(net)
            extra.append(("checkpoint", saving))
        own = net.callbacks_
        net.callbacks_ = own + extra
        net.max_epochs, net.iterator_train__seed = epochs, plan.seed
        net.iterator_train__epoch, net.iterator_train__ranks = (
            len(net.history),
            net.ranks,
        )
        try:
            net.train_on(samples)
        finally:
            net.callbacks_ = own
        net.drop_empty_epoch()
        if net.interrupted_ and self.on_interrupt == "raise":
            raise KeyboardInterrupt
        converged = stop.misses_ >= self.patience
        if rises:
            converged = bool(net.history) and net.history[-1, "changed"] <= SETTLED
        if saving is not None:
            saving.write(net, bool(converged))
        return converged

    def _make_net(
        self, samples: Samples, n_outputs: int, **params: Any
    ) -> CollisionNet:
        """Return a new net, ready to be trained."""
        source = samples.source
        net = self._bare_net(
            source.shape[1:], source.dtype, source.device, n_outputs, **params
        )
        with drawing():
            net.initialize()
            check_outputs(net.module_, source[:2], n_outputs)
            fit_scaling(net.module_, samples)
        net.ranks.copy_first(net.module_.state_dict().values())
        return net

    def _bare_net(
        self,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        n_outputs: int,
        **params: Any,
    ) -> CollisionNet:
        """Return a net that has no network yet."""
        in_shape = shape[0] if len(shape) == 1 else shape
        named = isinstance(self.module, str)
        module = self._modules[self.module] if named else self.module
        named = named and isinstance(self.optimizer, str)
        return self._net_type(
            functools.partial(make_module, module, in_shape, n_outputs, dtype),
            batch_size=self.batch_size,
            optimizer=functools.partial(make_optimizer, self.optimizer),
            optimizer__weight_decay=self.weight_decay,
            iterator_train__seed=0,
            callbacks=list(self.callbacks or []),
            device=str(device),
            verbose=self.verbose,
            mixed_precision=self.mixed_precision,
            compiled=self.compile,
            may_draw=not named or bool(self.callbacks),
            **params,
        )

    def _load(
        self,
        weights: Mapping[str, torch.Tensor],
        in_shape: int | Sequence[int],
        n_outputs: int,
        outputs: str,
        params: dict[str, Any],
    ) -> None:
        """Take over a network of given weights, as if it had been trained."""
        if takes_graph(self.views):
            raise ValueError(
                "views='precomputed' needs the coordinates of the samples trained on, "
                "which weights do not hold; pickle the estimator, or use skops."
            )
        shape, device = sample_shape(in_shape), self._device(goes_on=False)
        double = any(w.dtype == torch.float64 for w in weights.values())
        dtype = torch.float64 if double else torch.float32
        net = self._bare_net(shape, dtype, device, n_outputs, **params)
        take_weights(net, weights)
        some = torch.zeros((2, *shape), dtype=dtype, device=device)
        check_outputs(net.module_, some, n_outputs)
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self.n_features_in_, self.n_iter_ = shape[0], 0
        self._take_over(net, some, shape, outputs)

    def _copy_net(self, **params: Any) -> CollisionNet:
        """Return a copy of the net with the present parameters, to go on with."""
        net = copy.deepcopy(self.net_)
        net.set_params(batch_size=self.batch_size, verbose=self.verbose, **params)
        net.go_on_with(self.callbacks or [], self.net_)
        return net

    def _keep(self, net: CollisionNet, source: Source, task: TaskT, plan: Plan) -> None:
        """Take over a trained net."""
        self.n_iter_ = len(net.history) - (len(self.history_) if plan.goes_on else 0)
        some = source[: min(len(source), N_TRIED)]
        self._take_over(net, some, source.shape[1:], task.outputs)

    def _take_over(
        self, net: CollisionNet, some: torch.Tensor, shape: tuple, outputs: str
    ) -> None:
        """Predict with a net from now on, after a look at some samples."""
        net.check_trained(some)
        self.net_ = net
        self._sample_shape, self._outputs = shape, outputs
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
