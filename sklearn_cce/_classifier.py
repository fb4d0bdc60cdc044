"""CollisionClassifier: learning from hard, soft, partial and missing labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from skorch.callbacks import Callback
from torch import nn

from sklearn_cce._base import (
    ORDERS,
    RISING,
    BaseCollisionEstimator,
    Plan,
    Task,
    all_or_nothing,
    loss_params,
)
from sklearn_cce._checks import Interval, StrOptions, check_weight, fit_context
from sklearn_cce._graph.geometry import Geometry
from sklearn_cce._graph.linked import takes_features
from sklearn_cce._graph.spreading import spread_labels
from sklearn_cce._training.batches import Samples
from sklearn_cce._training.callbacks import Validation, watched
from sklearn_cce._training.inference import infer, most_probable, probabilities
from sklearn_cce._training.net import CollisionNet
from sklearn_cce._training.process import drawing
from sklearn_cce._training.shares import check_shares
from sklearn_cce._training.sources import Source, take
from sklearn_cce._training.targets import (
    as_array,
    check_classes,
    class_masses,
    class_weights,
    make_targets,
    read_labels,
    smooth,
)
from sklearn_cce._training.validation import held_out, hits
from sklearn_cce.losses import LOSSES
from sklearn_cce.modules import CLASSIFIER_MODULES
from sklearn_cce.pseudo_labels._batch import UPDATES
from sklearn_cce.views import View, make_views


@dataclass(frozen=True)
class Labels:
    """What the user says of the samples, and all classes, where these are known."""

    y: Any
    classes: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class ClassTask(Task):
    """What a net is to learn of classes.

    Attributes
    ----------
    target : Tensor of shape (n_samples, n_outputs)
        As in any task, but never None.
    classes : ndarray of shape (n_outputs,)
        The classes in sorted order.
    targets : ndarray of shape (n_samples, n_outputs)
        The distributions as they were given.
    holds_out : bool
        Whether samples are kept out to watch the training.
    """

    target: torch.Tensor
    classes: np.ndarray
    targets: np.ndarray
    holds_out: bool


class CollisionClassifier(ClassifierMixin, BaseCollisionEstimator[ClassTask]):
    """Classifier that learns from hard, soft, partial, noisy and missing labels.

    A network trained with collision cross-entropy, which does not teach it to copy
    the uncertainty of soft labels [1]_. Samples without a label are given soft
    pseudo-labels that are balanced over the classes.

    Parameters
    ----------
    loss : {'collision', 'shannon', 'reverse', 'generalized', 'symmetric', 'mae', \
'rising'} or float, default='collision'
        What the network minimises; see :mod:`sklearn_cce.losses`. A number in [0, 10]
        is the order of a Rényi cross-entropy: 1 is Shannon's, 2 is collision. 'rising':
        the order rises from 1 to 2 in the training.
    label_smoothing : float, default=0.0
        Share of the uniform distribution that is mixed into every label, in [0, 1).
        With collision cross-entropy it makes wrong labels harmless, the more the
        larger it is, and does not make the predictions less certain.
    class_weight : dict or 'balanced', default=None
        Weight of each class in the loss, or weights that give all classes the same
        total. None means that every sample counts the same.
    fairness_weight : float, default=1.0
        Weight of the balance of the classes in the pseudo-labels of samples without
        a label, > 0.
    class_prior : array-like of shape (n_classes,), default=None
        Shares that the classes should have in the pseudo-labels, in the order of
        `classes_`. None means their shares in the labelled samples, with one sample
        more for every class.
    views : str, Neighbors, sparse matrix, callable, list of these or None, \
default='auto'
        What makes further views of a sample, which learn its label, or where it has
        none, each other's pseudo-label: 'neighbors', 'noise', an object of
        :mod:`sklearn_cce.views`, a sparse graph of the samples in `fit`, a callable
        that takes and returns a batch of samples as a tensor. 'precomputed': X is such
        a graph, as for :class:`~sklearn_cce.CollisionClusterer`. 'auto' means the 5
        nearest neighbours (and for images small shifts, rotations and changes of
        size) if samples without a label are given, and None otherwise. With
        neighbours, samples near a labelled one begin with its label.
    module : {'mlp', 'linear', 'vgg4'}, torch.nn.Module or callable, default='mlp'
        The network. 'mlp' has one hidden layer of 512 units and divides all features by
        one scale; 'linear' scales every feature by itself, those that hardly vary less
        than the others; 'vgg4' is for images. A callable, such as a class of modules,
        is called with ``(in_shape, n_classes)``, where ``in_shape`` is the number of
        features, or the shape of a sample with more than one axis, and must return a
        module with one logit per class. A module is copied before training.
    pseudo_labels : {'auto', 'em', 'exact'}, default='auto'
        Method that solves for the pseudo-labels of a batch, see
        :func:`~sklearn_cce.pseudo_labels.update_pseudo_labels`. 'auto': 'exact' for 150
        classes and more on the CPU, where it takes less time, else 'em'.
    max_epochs : int, default=None
        Maximum number of passes over the data. None means 30, or as many as make
        1,000 gradient steps if that is more. The learning rate falls to 0 on the way.
        If samples without a label are given, the first half of the passes is on the
        labels that are known or spread over neighbours. Of more than 100,000 samples,
        where neighbours have to be found, as many steps as for 50,000 are made, but one
        pass at least.
    tol : float, default=1e-3
        Training ends when the loss, in nats, has not fallen by `tol` in `patience`
        epochs.
    patience : int, default=20
        See `tol` and `early_stopping`.
    early_stopping : bool, default=False
        Whether to keep labelled samples out of the training, note the accuracy on
        them after every epoch, end the training when it has not risen in `patience`
        epochs, and take the network of the best epoch.
    validation_fraction : float, default=0.1
        Share of the labelled samples that `early_stopping` keeps out.
    batch_size : int, default=256
        Number of samples in a gradient step. The batches of an epoch have nearly
        equal sizes, none larger than this.
    optimizer : {'adamw', 'adam', 'sgd'} or callable, default='adamw'
        A name, or a class of :class:`torch.optim.Optimizer`.
    lr : float, default=3e-3
        Learning rate.
    weight_decay : float, default=1e-4
        Weight decay of the optimizer. With 'adamw' its effect does not depend on the
        size of the gradients, which is small where labels are uncertain.
    compile : bool, default=False
        Whether to compile the network with :func:`torch.compile` for training.
    mixed_precision : bool, default=False
        Whether to train the network in bfloat16 where that is safe; for recent GPUs.
    device : str or torch.device, default='auto'
        Where to train and predict: 'cpu', 'cuda', 'cuda:1', 'mps'. 'auto' takes the
        first of CUDA, MPS and CPU that there is.
    distributed : bool, default=False
        Whether `fit` and `partial_fit` are called by all processes of the default group
        of torch.distributed, which a launcher such as torchrun has made, with the same
        parameters and data; each works on its part of every batch, and all end with the
        same network.
    warm_start : bool, default=False
        Whether `fit` goes on from the network of the last `fit`, with the present
        `fairness_weight`, `lr`, `batch_size` and `max_epochs`; the other parameters
        of the network stay as they were.
    memory : str, path or joblib.Memory, default=None
        Where to keep graphs of neighbours, for further fits to the same samples: the
        path of a directory, or a memory of joblib. None: nowhere.
    callbacks : list of skorch callbacks, default=None
        Called during the training, each as it is, or ``(name, callback)``; as in skorch
        they are initialised for every new network. The user guide says which work.
    checkpoint : str, path or None, default=None
        Folder in which `fit` writes after every epoch where it stands. If it is killed,
        a `fit` with the same parameters and data goes on from there, and ends with the
        same bits; the folder is empty again when it has ended. One folder serves one
        fit at a time.
    on_interrupt : {'raise', 'keep'}, default='raise'
        What Ctrl-C during `fit` does: raise KeyboardInterrupt and leave the estimator
        as it was, or end the training and keep the network as it stands.
    random_state : int, RandomState instance or None, default=None
        Determines the initial network and the order of the samples. The same value
        gives bit-identical results on one device. Global random states are neither
        read nor changed.
    verbose : int, default=0
        Whether to show bars on stderr: of every training, and of other parts of a fit
        that take longer than a second. 0: nothing is printed.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes in sorted order; 0, 1, ... where y was a matrix.
    net_ : CollisionNet
        The trained skorch net.
    module_ : torch.nn.Module
        The trained network.
    history_ : skorch.history.History
        One row an epoch: ``train_loss``, ``train_loss_best`` (whether it is the
        smallest of this training so far), ``balance`` (the entropy of the predicted
        classes' shares, in nats), ``changed`` (the share of samples whose predicted
        class changed), ``dur`` (seconds) and, with `early_stopping`,
        ``valid_accuracy`` and ``valid_accuracy_best``.
    n_iter_ : int
        Number of epochs run.
    n_features_in_ : int
        Number of features (for images, of channels) seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    CollisionClusterer : The same without any label.
    sklearn.neural_network.MLPClassifier : Perceptrons for certain labels.
    sklearn.semi_supervised.LabelSpreading : Spreads labels over a graph.

    Notes
    -----
    Labels are of one of two kinds. **Class labels** are whole numbers, text or dates;
    None, NaN, NaT or NA marks a sample without one. **Distributions** are the rows of a
    matrix with one column for each class; a sample that is known to belong to some of
    the classes has equal probabilities for these, and a row of NaN marks a sample
    without a label.

    Beside two or more other labels, -1 marks a sample without a label too, with a
    warning; beside one other label, or among the `classes` of `partial_fit`, it is a
    class.

    References
    ----------
    .. [1] Zhang & Boykov (2023), "Collision Cross-entropy for Soft Class Labels and
       Entropy-based Clustering", arXiv 2303.07321, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_cce import CollisionClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> soft = np.where(np.eye(3)[y] == 1, 0.6, 0.2)
    >>> classifier = CollisionClassifier(random_state=0).fit(X, soft)
    >>> bool(classifier.score(X, y) > 0.95)
    True
    """

    _least_epochs, _least_steps = 30, 1000
    _n_neighbors = 5
    _modules = CLASSIFIER_MODULES

    _parameter_constraints: dict = {
        **BaseCollisionEstimator._parameter_constraints,
        "loss": [StrOptions({*LOSSES, RISING}), ORDERS],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "class_prior": ["array-like", None],
        "pseudo_labels": [StrOptions({"auto", *UPDATES})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        *,
        loss: str | float = "collision",
        label_smoothing: float = 0.0,
        class_weight: dict | str | None = None,
        fairness_weight: float = 1.0,
        class_prior: ArrayLike | None = None,
        views: str | View | sp.spmatrix | Sequence | None = "auto",
        module: str | nn.Module | Callable[..., nn.Module] = "mlp",
        pseudo_labels: str = "auto",
        max_epochs: int | None = None,
        tol: float = 1e-3,
        patience: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        batch_size: int = 256,
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        lr: float = 3e-3,
        weight_decay: float = 1e-4,
        compile: bool = False,
        mixed_precision: bool = False,
        device: str | torch.device = "auto",
        distributed: bool = False,
        warm_start: bool = False,
        memory: Any = None,
        callbacks: list[Callback] | None = None,
        checkpoint: str | os.PathLike | None = None,
        on_interrupt: str = "raise",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.fairness_weight = fairness_weight
        self.class_prior = class_prior
        self.views = views
        self.module = module
        self.pseudo_labels = pseudo_labels
        self.max_epochs = max_epochs
        self.tol = tol
        self.patience = patience
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.compile = compile
        self.mixed_precision = mixed_precision
        self.device = device
        self.distributed = distributed
        self.warm_start = warm_start
        self.memory = memory
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.on_interrupt = on_interrupt
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> CollisionClassifier:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples: a table, or images of shape (n_samples, channels, height, width).
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Class labels, or a distribution over the classes in each row, non-negative,
            with a sum within 0.001 of 1. None, NaN, NaT or NA, or a row of these, marks
            a sample without a label; so does -1 beside two or more other labels, with a
            warning. Every class needs a label.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. A sample of weight 0 has no part in the training.

        Returns
        -------
        CollisionClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input or a parameter is not as described, or `distributed` is True
            and there is no process group; nothing is changed then.
        FloatingPointError
            If the loss becomes non-finite; an earlier fit is then left as it was.
        """
        goes_on = self.warm_start and hasattr(self, "net_")
        return self._fit(X, sample_weight, Labels(y), goes_on=goes_on)

    @available_if(takes_features)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> CollisionClassifier:
        """Train the network by one pass over a chunk of a stream.

        The network and the optimizer's state are carried over from the chunk before.
        The scale of the input and the prior are taken from the first chunk.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples of this chunk; as in `fit`, but any number of them.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            As in `fit`, but classes may be missing, and so may all labels.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever be seen. Needed in the first call, unless y is a
            matrix, whose columns are the classes then. If -1 is among them, it is a
            class; if not, it marks samples without a label, with a warning.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`; relative to the other samples of this chunk.

        Returns
        -------
        CollisionClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input or a parameter is not as described, or `distributed` is True
            and there is no process group; nothing is changed then.
        FloatingPointError
            If the loss becomes non-finite; the estimator is then left as it was.
        """
        goes_on = hasattr(self, "net_")
        labels = Labels(y, self._check_classes(classes, y, goes_on))
        return self._fit(X, sample_weight, labels, goes_on=goes_on, one_pass=True)

    def load_weights(
        self,
        weights: Mapping[str, torch.Tensor],
        in_shape: int | Sequence[int],
        classes: ArrayLike,
    ) -> CollisionClassifier:
        """Predict with weights that were trained before, without a fit.

        The parameters, above all `module`, must make the network that the weights are
        of.

        Parameters
        ----------
        weights : mapping from str to Tensor
            What ``module_.state_dict()`` was, as safetensors reads it.
        in_shape : int or tuple of int
            Number of features, or the shape of a sample with more than one axis.
        classes : array-like of shape (n_classes,)
            What `classes_` was.

        Returns
        -------
        CollisionClassifier
            An estimator that predicts, and whose training can go on.

        Raises
        ------
        ValueError
            If the weights are of another network; the estimator is then as it was.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_cce import CollisionClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> trained = CollisionClassifier(max_epochs=10, random_state=0).fit(X, y)
        >>> weights = trained.module_.state_dict()
        >>> again = CollisionClassifier()
        >>> again = again.load_weights(weights, in_shape=4, classes=trained.classes_)
        >>> bool((again.predict(X) == trained.predict(X)).all())
        True
        """
        self._validate_params()
        with all_or_nothing(self):
            self._check_params()
            found = check_classes(classes)
            params = self._class_params(found, np.ones(len(found)))
            outputs = f"classes {found.tolist()}"
            self._load(weights, in_shape, len(found), outputs, params)
            self.classes_ = found
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable class of every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Entries of `classes_`.
        """
        source = self._check_X(X)
        return self.classes_[infer(self.module_, source, most_probable)]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of every class for every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float32
            Non-negative; every row sums to 1. The columns are those of `classes_`.
        """
        source = self._check_X(X)
        return infer(self.module_, source, probabilities)

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy, or for soft labels the expected accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels as in `fit`. Samples without a label are left out, with a warning
            where -1 says so and is no class. A label that is of no class is wrong.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        float
            Mean probability, under y, of the predicted class: for certain labels the
            share of the samples that are predicted rightly.

        Raises
        ------
        ValueError
            If the input is not as described, or no sample has a label and a weight.
        """
        source = self._check_X(X)
        weight = check_weight(sample_weight, source)
        _, labelled, known = read_labels(y, len(source), self.classes_, others=True)
        if not labelled.any():
            raise ValueError("y must label at least one sample; all are unlabelled.")
        if weight is not None:
            weight = weight[labelled]
            check_label_weight(weight.any())
        chosen = infer(self.module_, source, most_probable)
        return float(np.average(hits(chosen[labelled], known), weights=weight))

    def _check_classes(
        self, classes: ArrayLike | None, y: Any, goes_on: bool
    ) -> np.ndarray:
        """Return the classes that `partial_fit` works with."""
        given = None if classes is None else check_classes(classes)
        if goes_on:
            return self._check_same_classes(given)
        if given is not None:
            return given
        labels, _ = as_array(y)
        if labels.ndim == 1 or labels.shape[1] == 1:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return np.arange(labels.shape[1])

    def _check_same_classes(self, given: np.ndarray | None) -> np.ndarray:
        """Return the classes of the last network, if no others are given."""
        if given is None or np.array_equal(given, self.classes_):
            return self.classes_
        raise ValueError(
            "classes must be those of the first call of partial_fit, "
            f"{self.classes_.tolist()}; got {given.tolist()}."
        )

    def _task(
        self,
        source: Source,
        sample_weight: ArrayLike | None,
        labels: Labels,
        goes_on: bool,
    ) -> ClassTask:
        classes, targets = make_targets(labels.y, len(source), labels.classes)
        weight = relative(check_weight(sample_weight, source))
        masses = class_masses(targets, weight)
        if labels.classes is None:
            check_label_weight(bool(masses.any()))
        return ClassTask(
            n_outputs=len(classes),
            outputs=f"classes {classes.tolist()}",
            views=self._make_views(targets, self._n_axes(source)),
            weight=weight,
            target=torch.from_numpy(smooth(targets, self.label_smoothing)),
            params=self._class_params(classes, masses),
            classes=classes,
            targets=targets,
            holds_out=self.early_stopping and labels.classes is None,
        )

    def _class_params(self, classes: np.ndarray, masses: np.ndarray) -> dict[str, Any]:
        """Return the parameters of a new net that depend on the classes."""
        by_class = class_weights(self.class_weight, classes, masses)
        weight = None if by_class is None else torch.tensor(by_class).float()
        shares = (masses + 1) / (masses + 1).sum()
        if self.class_prior is not None:
            given = self.class_prior
            shares = check_shares("class_prior", given, len(classes), "class")
        return {
            **loss_params(self.loss),
            "criterion__weight": weight,
            "fairness_weight": self.fairness_weight,
            "prior": shares,
            "pseudo_labels": self.pseudo_labels,
            "lr": self.lr,
        }

    def _make_views(self, targets: np.ndarray, n_axes: int) -> list[View]:
        """Return the views; 'auto' means none if all samples have labels."""
        if not (isinstance(self.views, str) and self.views == "auto"):
            return make_views(self.views, n_axes)
        if not np.isnan(targets).any():
            return []
        return make_views("auto", n_axes)

    def _with_watch(self, task: ClassTask, source: Source, seed: int) -> ClassTask:
        """Keep samples out of the training, and let them watch it."""
        if not task.holds_out:
            return task
        targets, weight = task.targets, task.weight
        rng = np.random.default_rng(seed)
        index = held_out(targets, weight, self.validation_fraction, rng)
        weight = np.ones(len(targets)) if weight is None else weight.copy()
        some = take(source, torch.from_numpy(index))
        watch = Validation(some, targets[index], weight[index], self.patience)
        weight[index] = 0
        return replace(task, watch=watch, weight=weight)

    def _learn(
        self, geometry: Geometry, task: ClassTask, plan: Plan
    ) -> tuple[CollisionNet, bool]:
        if plan.goes_on:
            net = self._copy_net(
                fairness_weight=self.fairness_weight, lr=self.lr, ranks=geometry.ranks
            )
        else:
            params = task.params | {"ranks": geometry.ranks}
            net = self._make_net(geometry.samples, task.n_outputs, **params)
        with watched(net, task.watch):
            return net, self._learn_labels(net, geometry, plan)

    def _learn_labels(self, net: CollisionNet, geometry: Geometry, plan: Plan) -> bool:
        """Train a net; if labels are missing, first on labels of samples nearby."""
        with drawing(only_torch=True):
            samples = geometry.with_views()
        if plan.one_pass:
            return self._train(net, samples, 1, plan, anneal=False)
        epochs, missing = plan.epochs, not bool(samples.labelled.all())
        if missing and not plan.goes_on and epochs > 1:
            self._train(net, warm_up_samples(geometry), epochs // 2, plan)
            epochs -= epochs // 2
            if net.interrupted_:
                return True
        return self._train(net, samples, epochs, plan)

    def _conclude(
        self, source: Source, task: ClassTask, plan: Plan, converged: bool
    ) -> None:
        self.classes_ = task.classes
        if not (self.warm_start or plan.one_pass):
            self.net_.optimizer_.state.clear()


def warm_up_samples(geometry: Geometry) -> Samples:
    """Return samples with labels for all that neighbours reach, or the labelled."""
    samples = geometry.samples
    target, weight = samples.target, samples.weight
    if geometry.neighbors and target is not None:
        on_host = None if weight is None else weight.cpu().numpy()
        given = target.cpu().numpy()
        spread = geometry.ranks.first(
            lambda: spread_labels(geometry.main_graph(), given, on_host)
        )
        return replace(samples, target=torch.from_numpy(spread).to(target.device))
    known = samples.labelled.float()
    weight = known if weight is None else known * weight
    return replace(samples, weight=weight / weight[weight > 0].mean())


def check_label_weight(has_weight: bool) -> None:
    """Raise a ValueError unless some label has a weight."""
    if not has_weight:
        raise ValueError("sample_weight must be positive for a labelled sample.")


def relative(weight: np.ndarray | None) -> np.ndarray | None:
    """Return weights whose positive entries have mean 1."""
    return None if weight is None else weight / weight[weight > 0].mean()
