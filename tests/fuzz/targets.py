"""What is called: every public name, good arguments, and the contract of its result."""

from __future__ import annotations

import functools
import inspect
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch.nn import functional as F
from torch.utils.data import Dataset

from sklearn_cce import (
    CollisionClassifier,
    CollisionClusterer,
    losses,
    metrics,
    model_selection,
    modules,
    pseudo_labels,
    views,
)

from .values import N_SAMPLES

N_FEATURES, N_GROUPS = 3, 3

Kwargs = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """Something to call.

    Attributes
    ----------
    name : str
        How the cases begin.
    good : dict
        Arguments that are right.
    kinds : dict
        What is put in the place of which argument: keys of ``values.KINDS``.
    call : callable
        From a subject and the arguments to the result.
    check : callable
        Raises an AssertionError unless the result keeps the contract; called with the
        result and the arguments.
    subject : callable
        Makes an estimator that an error must not change; None where there is none.
    reads : bool
        Whether a result must leave the subject unchanged as well.
    left_out : tuple of str
        Bad values that are not tried.
    """

    name: str
    good: Kwargs
    kinds: Mapping[str, str]
    call: Callable[[Any, Kwargs], Any]
    check: Callable[[Any, Kwargs], None]
    subject: Callable[[], Any] = lambda: None
    reads: bool = False
    left_out: tuple[str, ...] = ()


# Data.


def groups() -> tuple[np.ndarray, np.ndarray]:
    """Return samples of three groups, far apart, and their labels."""
    labels = np.arange(N_SAMPLES) % N_GROUPS
    noise = np.random.default_rng(0).normal(size=(N_SAMPLES, N_FEATURES))
    return noise + 8 * np.eye(N_GROUPS)[labels], labels


X, Y = groups()
WEIGHT = np.linspace(0.5, 2, N_SAMPLES)
SOFT = 0.1 + 0.7 * np.eye(N_GROUPS)[Y]
PRIOR = np.array([0.2, 0.3, 0.5])
IMAGES = np.random.default_rng(0).normal(size=(N_SAMPLES, 1, 8, 8))
PARTLY = np.where(np.arange(N_SAMPLES) < 6, Y, -1)

# Messages of scikit-learn's own checks, some of which its estimator checks ask for.
SAMPLES = (
    "Found array with",
    "Expected 2D array",
    "Expected a 2-dimensional container",
    "column names",
    "feature names",
    "Complex data not supported",
    "Sparse data was passed",
    "n_samples",
    "samples of shape",
    "one per sample",
)
LENGTHS = ("labels_true", "labels_pred", "inconsistent numbers of samples")
WORDS = {
    "X": SAMPLES,
    "y": ("Unknown label type", "labels represented as bytes"),
    "sample_weight": ("Sample weights",),
    "module": ("VGG4",),
    "n_clusters": ("n_samples",),
    "estimator": ("predict", "fit"),
    "probabilities": ("sample_weight", "prior", *LENGTHS),
    "labels_true": LENGTHS,
    "labels_pred": LENGTHS,
    "logits": ("target",),
    "x": ("images", "batch"),
    "graph": ("views",),
}
"""Other words by which a message may name a parameter."""


# Contracts.


def is_finite(values: Any) -> bool:
    return bool(np.isfinite(np.asarray(values, dtype=float)).all())


def check_distributions(rows: np.ndarray, n_columns: int, tolerance: float) -> None:
    """Assert that every row is a distribution."""
    assert rows.ndim == 2 and rows.shape[1] == n_columns, f"shape {rows.shape}"
    assert is_finite(rows), "probabilities that are not finite"
    assert (rows >= 0).all(), "negative probabilities"
    sums = rows.astype(float).sum(1)
    assert np.allclose(sums, 1, rtol=0, atol=tolerance), "rows do not sum to 1"


def check_history(estimator: Any) -> None:
    loss = [row["train_loss"] for row in estimator.history_]
    assert is_finite(loss), f"the losses {loss}"
    assert 0 <= estimator.n_iter_ <= len(loss), f"n_iter_ {estimator.n_iter_}"


def check_fitted_clusterer(estimator: CollisionClusterer, kwargs: Kwargs) -> None:
    """Assert that labels, predictions and probabilities agree."""
    X = kwargs.get("X", globals()["X"])
    probabilities, labels = estimator.predict_proba(X), estimator.predict(X)
    check_distributions(probabilities, int(estimator.n_clusters), 1e-5)
    assert probabilities.dtype == np.float32, f"dtype {probabilities.dtype}"
    assert labels.dtype == np.int64, f"dtype {labels.dtype}"
    assert (labels == probabilities.argmax(1)).all(), "predict is not the argmax"
    assert np.array_equal(labels, estimator.labels_), "labels_ differs from predict"
    assert is_finite(estimator.transform(X)), "transform is not finite"
    check_history(estimator)


def check_fitted_classifier(estimator: CollisionClassifier, kwargs: Kwargs) -> None:
    """Assert that classes, predictions and probabilities agree."""
    X, y = kwargs.get("X", globals()["X"]), kwargs.get("y", Y)
    classes = estimator.classes_
    probabilities, predicted = estimator.predict_proba(X), estimator.predict(X)
    check_distributions(probabilities, len(classes), 1e-5)
    assert probabilities.dtype == np.float32, f"dtype {probabilities.dtype}"
    assert classes.ndim == 1 and len(set(classes.tolist())) == len(classes)
    chosen = classes[probabilities.argmax(1)]
    assert (predicted == chosen).all(), "predict is not the argmax"
    check_history(estimator)
    check_share(scored(estimator, X, y), kwargs)


def scored(estimator: CollisionClassifier, X: Any, y: Any) -> float:
    """Return the score on what was learnt."""
    try:
        return estimator.score(X, y)
    except Exception as error:
        raise AssertionError(f"fit takes y, score says {error!r}") from error


def check_partly(estimator: CollisionClassifier, kwargs: Kwargs) -> None:
    check_fitted_classifier(estimator, kwargs | {"y": PARTLY})


def check_unlabelled(estimator: CollisionClassifier, kwargs: Kwargs) -> None:
    """Assert the contract where there may be no label to score."""
    check_fitted_classifier(estimator, kwargs | {"y": Y % len(estimator.classes_)})


def n_rows(X: Any) -> int:
    if isinstance(X, Dataset):
        return len(X)
    return X.shape[0] if hasattr(X, "shape") else len(np.asarray(X))


def check_predictions(labels: np.ndarray, kwargs: Kwargs) -> None:
    assert labels.shape == (n_rows(kwargs["X"]),), f"shape {labels.shape}"
    assert labels.dtype == np.int64, f"dtype {labels.dtype}"
    assert np.isin(labels, range(N_GROUPS)).all(), "labels beyond the clusters"


def check_probabilities(rows: np.ndarray, kwargs: Kwargs) -> None:
    assert len(rows) == n_rows(kwargs["X"]), f"shape {rows.shape}"
    assert rows.dtype == np.float32, f"dtype {rows.dtype}"
    check_distributions(rows, N_GROUPS, 1e-5)


def check_representation(rows: np.ndarray, kwargs: Kwargs) -> None:
    assert rows.ndim == 2 and len(rows) == n_rows(kwargs["X"]), f"shape {rows.shape}"
    assert rows.dtype == np.float32 and is_finite(rows), "not finite float32"


def check_silhouette(score: float, kwargs: Kwargs) -> None:
    assert isinstance(score, float) and -1 <= score <= 1, f"score {score!r}"


def check_share(score: float, kwargs: Kwargs) -> None:
    assert isinstance(score, float) and 0 <= score <= 1, f"score {score!r}"


def check_matching(matching: dict, kwargs: Kwargs) -> None:
    assert isinstance(matching, dict) and matching, "no matching"
    assert len(set(map(repr, matching.values()))) == len(matching), "a class twice"


def has_nan(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and bool(value.isnan().any())


def torch_gives_nan(kwargs: Kwargs) -> bool:
    """Return whether PyTorch's cross-entropy of the same arguments is NaN."""
    logits, target, weight = (kwargs[name] for name in ("logits", "target", "weight"))
    ignored, reduction = kwargs["ignore_index"], kwargs["reduction"]
    loss = F.cross_entropy(
        logits,
        target if target.is_floating_point() else target.long(),
        weight=None if weight is None else weight.to(logits.dtype),
        ignore_index=int(ignored) if abs(ignored) < 100 else -100,
        reduction=reduction,
    )
    return has_nan(loss)


def check_loss(loss: torch.Tensor, kwargs: Kwargs) -> None:
    """Assert the shape and type, and that NaN in the target is not lost."""
    logits, target = kwargs["logits"], kwargs["target"]
    assert isinstance(loss, torch.Tensor), f"type {type(loss)}"
    assert loss.dtype == logits.dtype, f"dtype {loss.dtype}"
    if kwargs["reduction"] != "none":
        assert loss.shape == (), f"shape {loss.shape}"
    if has_nan(target):
        assert has_nan(loss), "NaN in target, but a loss without"
    elif has_nan(loss):
        assert may_be_nan(kwargs), "NaN from finite numbers"


def may_be_nan(kwargs: Kwargs) -> bool:
    """Return whether arguments mean nothing, or PyTorch's loss is NaN as well."""
    given = [kwargs[name] for name in ("logits", "target", "weight")]
    finite = all(value is None or value.isfinite().all() for value in given)
    return not finite or bool((given[1] < 0).any()) or torch_gives_nan(kwargs)


def check_solution(result: Any, kwargs: Kwargs) -> None:
    """Assert that labels are distributions and the bound is one."""
    labels, prices = result.labels, result.prices
    if hasattr(labels, "toarray"):
        labels = labels.toarray()
    if isinstance(labels, torch.Tensor):
        labels, prices = labels.to_dense().double().numpy(), prices.double().numpy()
    tolerance = 1e-2 if half_precision(kwargs["probabilities"]) else 1e-4
    check_distributions(np.asarray(labels), len(prices), tolerance)
    assert is_finite(prices), "prices that are not finite"
    low, high = result.lower_bound, result.objective
    assert is_finite([low, high]), f"objective {high}, lower bound {low}"
    slack = 1e-5 * max(1, abs(high))
    assert low <= high + slack, f"lower bound {low} above the objective {high}"
    assert isinstance(result.converged, bool), f"converged {type(result.converged)}"
    assert result.n_iter >= 0, f"n_iter {result.n_iter}"


def half_precision(values: Any) -> bool:
    return getattr(getattr(values, "dtype", None), "itemsize", 8) < 4


def check_prices(prices: torch.Tensor, kwargs: Kwargs) -> None:
    assert prices.shape == kwargs["prior"].shape, f"shape {prices.shape}"
    assert prices.isfinite().all() and (prices > 0).all(), f"prices {prices}"


def check_outputs(module: Any, kwargs: Kwargs) -> None:
    """Assert that a network maps two samples of its shape to logits."""
    shape = np.atleast_1d(kwargs["in_shape"]).tolist()
    outputs = module.eval()(torch.zeros(2, *shape))
    assert outputs.shape == (2, int(kwargs["n_outputs"])), f"shape {outputs.shape}"
    assert outputs.isfinite().all(), "outputs that are not finite"


def check_scaling(layer: Any, kwargs: Kwargs) -> None:
    """Assert that a layer of scales maps zeros to finite numbers."""
    scaled = layer(torch.zeros(2, *layer.shift.shape))
    assert len(scaled) == 2 and scaled.isfinite().all(), "scaled to what is not finite"


def check_view(image: torch.Tensor, kwargs: Kwargs) -> None:
    """Assert that a view is like the batch, and finite where that is."""
    x = kwargs["x"]
    assert isinstance(image, torch.Tensor), f"type {type(image)}"
    assert (image.shape, image.dtype) == (x.shape, x.dtype), f"shape {image.shape}"
    if x.isfinite().all():
        assert image.isfinite().all(), "a view that is not finite"


# Estimators.

QUICK: dict[type, Kwargs] = {
    CollisionClusterer: {
        "n_clusters": N_GROUPS,
        "module": "linear",
        "max_epochs": 2,
        "n_init": 1,
        "lr": 0.1,
        "random_state": 0,
        "device": "cpu",
    },
    CollisionClassifier: {
        "module": "linear",
        "max_epochs": 2,
        "random_state": 0,
        "device": "cpu",
    },
}

PARAMETER_KINDS = {
    "n_clusters": "scalar",
    "cluster_prior": "array",
    "class_prior": "array",
    "init": "init",
    "n_init": "count",
    "views": "views",
    "module": "module",
    "loss": "name",
    "pseudo_labels": "name",
    "optimizer": "optimizer",
    "compile": "boolean",
    "device": "device",
    "callbacks": "callbacks",
    "on_interrupt": "name",
    "random_state": "random_state",
    "class_weight": "class_weight",
}

ARGUMENT_KINDS = {
    "X": "samples",
    "y": "labels",
    "sample_weight": "array",
    "classes": "classes",
}

GOOD_ARGUMENTS: Kwargs = {"X": X, "y": Y, "sample_weight": None, "classes": [0, 1, 2]}


@functools.cache
def pickled(cls: type) -> bytes:
    """Return a fitted estimator, pickled: quickly copied."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pickle.dumps(cls(**QUICK[cls]).fit(X, Y))


def make_subject(cls: type, params: Kwargs, fitted: bool) -> BaseEstimator:
    """Return an estimator with some parameters, fitted before or not."""
    if fitted:
        return pickle.loads(pickled(cls)).set_params(**params)
    return cls(**QUICK[cls] | params)


def with_parameters(
    method: str, names: frozenset, given: Kwargs, estimator: Any, kwargs: Kwargs
) -> Any:
    """Set the arguments that are parameters, call a method with the others."""
    estimator.set_params(**{k: v for k, v in kwargs.items() if k in names})
    arguments = given | {k: v for k, v in kwargs.items() if k not in names}
    return getattr(estimator, method)(**arguments)


def parameter_target(
    cls: type, method: str, given: Kwargs, check: Callable, params: Kwargs, label: str
) -> Target:
    """Return a target for all parameters of the constructor."""
    defaults = cls(**QUICK[cls] | params).get_params(deep=False)
    kinds = {k: PARAMETER_KINDS.get(k, "scalar") for k in defaults}
    return Target(
        name=f"{cls.__name__}{label}.{method}",
        good=defaults,
        kinds=kinds,
        call=functools.partial(with_parameters, method, frozenset(defaults), given),
        check=check,
        subject=functools.partial(make_subject, cls, {}, True),
        # scikit-learn's own validation of parameters fails on these.
        left_out=("fraction", "np_duration"),
    )


def method_target(
    cls: type,
    method: str,
    check: Callable,
    params: Kwargs | None = None,
    label: str = "",
    fitted: bool = True,
    **good: Any,
) -> Target:
    """Return a target for the arguments of a method."""
    signature = inspect.signature(getattr(cls, method)).parameters
    names = [name for name in signature if name in ARGUMENT_KINDS]
    if cls is CollisionClusterer and "y" in names:
        names.remove("y")
    return Target(
        name=f"{cls.__name__}{label}.{method}",
        good={name: GOOD_ARGUMENTS[name] for name in names} | good,
        kinds={name: ARGUMENT_KINDS[name] for name in names},
        call=lambda estimator, kwargs: getattr(estimator, method)(**kwargs),
        check=check,
        subject=functools.partial(make_subject, cls, params or {}, fitted),
        reads="fit" not in method,
    )


SEMI = {"y": PARTLY}
WATCHED = {"early_stopping": True, "validation_fraction": 0.3}
METHODS = [
    method_target(CollisionClusterer, "fit", check_fitted_clusterer),
    method_target(
        CollisionClusterer, "fit", check_fitted_clusterer, {"module": "mlp"}, ":mlp"
    ),
    method_target(
        CollisionClusterer, "fit", check_fitted_clusterer, {"batch_size": 7}, ":batches"
    ),
    method_target(
        CollisionClusterer,
        "fit",
        check_fitted_clusterer,
        {"init": "random", "views": None, "fairness_weight": 100.0},
        ":random",
    ),
    method_target(
        CollisionClusterer, "fit", check_fitted_clusterer, {"warm_start": True}, ":warm"
    ),
    method_target(
        CollisionClusterer,
        "fit",
        check_fitted_clusterer,
        {"init": "random"},
        ":images",
        X=IMAGES,
    ),
    method_target(CollisionClusterer, "partial_fit", check_fitted_clusterer),
    method_target(
        CollisionClusterer,
        "partial_fit",
        check_fitted_clusterer,
        label=":new",
        fitted=False,
    ),
    method_target(CollisionClusterer, "fit_predict", check_predictions),
    method_target(CollisionClusterer, "fit_transform", check_representation),
    method_target(CollisionClusterer, "predict", check_predictions),
    method_target(CollisionClusterer, "predict_proba", check_probabilities),
    method_target(
        CollisionClusterer, "predict", check_predictions, label=":new", fitted=False
    ),
    method_target(CollisionClusterer, "transform", check_representation),
    method_target(CollisionClusterer, "score", check_silhouette),
    method_target(CollisionClassifier, "fit", check_fitted_classifier),
    method_target(
        CollisionClassifier, "fit", check_fitted_classifier, {}, ":partly", **SEMI
    ),
    method_target(
        CollisionClassifier, "fit", check_fitted_classifier, WATCHED, ":watched"
    ),
    method_target(
        CollisionClassifier,
        "fit",
        check_fitted_classifier,
        {"module": "mlp", "batch_size": 7, "label_smoothing": 0.2},
        ":mlp",
    ),
    method_target(CollisionClassifier, "partial_fit", check_unlabelled),
    method_target(
        CollisionClassifier, "partial_fit", check_unlabelled, label=":new", fitted=False
    ),
    method_target(
        CollisionClassifier,
        "predict",
        lambda labels, kwargs: check_predictions(labels.astype(np.int64), kwargs),
    ),
    method_target(CollisionClassifier, "predict_proba", check_probabilities),
    method_target(CollisionClassifier, "score", check_share),
]

XY = {"X": X, "y": Y}
PARAMETERS = [
    parameter_target(
        CollisionClusterer, "fit", {"X": X}, check_fitted_clusterer, {}, "()"
    ),
    parameter_target(
        CollisionClusterer,
        "partial_fit",
        {"X": X},
        check_fitted_clusterer,
        {"module": "mlp", "init": "random"},
        "()",
    ),
    parameter_target(CollisionClassifier, "fit", XY, check_fitted_classifier, {}, "()"),
    parameter_target(
        CollisionClassifier,
        "fit",
        {"X": X, "y": PARTLY},
        check_partly,
        {},
        "(partly)",
    ),
]


# Losses.

LOGITS = torch.from_numpy(X).float()
OPTIONS = {"weight": None, "ignore_index": -100, "reduction": "mean"}
OWN_OPTIONS: dict[str, Kwargs] = {
    "renyi_cross_entropy": {"order": 1.5},
    "reverse_cross_entropy": {"log_zero": -13.8},
    "generalized_cross_entropy": {"q": 0.7},
    "symmetric_cross_entropy": {"alpha": 0.1, "beta": 1.0, "log_zero": -4.0},
}
LOSS_KINDS = {
    "logits": "tensor",
    "target": "tensor",
    "weight": "tensor",
    "reduction": "name",
}


def loss_target(name: str, target: torch.Tensor, label: str) -> Target:
    function = getattr(losses, name)
    good = OPTIONS | OWN_OPTIONS.get(name, {}) | {"logits": LOGITS, "target": target}
    return Target(
        name=f"{name}{label}",
        good=good,
        kinds={key: LOSS_KINDS.get(key, "scalar") for key in good},
        call=lambda subject, kwargs: function(**kwargs),
        check=check_loss,
    )


def module_of(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_")) + "Loss"


def loss_module_target(name: str) -> Target:
    make = getattr(losses, module_of(name))
    good = OPTIONS | OWN_OPTIONS.get(name, {})
    fixed = {"logits": LOGITS, "target": torch.from_numpy(Y)}
    return Target(
        name=module_of(name),
        good=good,
        kinds={key: LOSS_KINDS.get(key, "scalar") for key in good},
        call=lambda subject, kwargs: make(**kwargs)(**fixed),
        check=lambda loss, kwargs: check_loss(loss, kwargs | fixed),
    )


LOSS_NAMES = [name for name in losses.__all__ if name.islower()]
LOSS_TARGETS = [
    *(loss_target(name, torch.from_numpy(Y), "(hard)") for name in LOSS_NAMES),
    *(
        loss_target(name, torch.from_numpy(SOFT).float(), "(soft)")
        for name in LOSS_NAMES
    ),
    *map(loss_module_target, LOSS_NAMES),
]


# Functions.


def forked(function: Callable) -> Callable:
    """Give torch's random state back, from which networks and views draw."""

    def call(**kwargs: Any) -> Any:
        with torch.random.fork_rng():
            return function(**kwargs)

    call.__name__ = function.__name__
    return call


def function_target(
    function: Callable, check: Callable, kinds: Mapping[str, str], **good: Any
) -> Target:
    return Target(
        name=function.__name__,
        good=good,
        kinds=kinds,
        call=lambda subject, kwargs: function(**kwargs),
        check=check,
    )


LABEL_KINDS = {"labels_true": "labels", "labels_pred": "labels"}
SOLVER_KINDS = {
    "probabilities": "array",
    "fairness_weight": "scalar",
    "prior": "array",
    "sample_weight": "array",
    "method": "name",
    "max_iter": "scalar",
    "tol": "scalar",
    "init": "array",
    "sparse_output": "scalar",
}


def scorer_target(scorer: Callable, check: Callable) -> Target:
    return Target(
        name=scorer.__name__,
        good={"X": X},
        kinds={"estimator": "scalar", "X": "samples"},
        call=lambda subject, kwargs: scorer(**{"estimator": subject} | kwargs),
        check=check,
        subject=functools.partial(make_subject, CollisionClusterer, {}, True),
        reads=True,
    )


def solver_target(**changed: Any) -> Target:
    good = {
        "probabilities": SOFT,
        "fairness_weight": 10.0,
        "prior": PRIOR,
        "sample_weight": WEIGHT,
        "method": "exact",
        "max_iter": 200,
        "tol": 1e-4,
        "init": None,
        "sparse_output": False,
    }
    target = function_target(
        pseudo_labels.solve_pseudo_labels,
        check_solution,
        SOLVER_KINDS,
        **good | changed,
    )
    label = ",".join(str(value) for value in changed.values())
    return Target(**vars(target) | {"name": f"solve_pseudo_labels:{label}"})


FUNCTIONS = [
    function_target(
        metrics.clustering_accuracy,
        check_share,
        LABEL_KINDS,
        labels_true=Y,
        labels_pred=Y,
    ),
    function_target(
        metrics.match_clusters,
        check_matching,
        LABEL_KINDS,
        labels_true=Y,
        labels_pred=Y,
    ),
    function_target(
        metrics.expected_calibration_error,
        check_share,
        {"labels_true": "labels", "probabilities": "array", "n_bins": "count"},
        labels_true=Y,
        probabilities=SOFT,
        n_bins=15,
    ),
    scorer_target(model_selection.silhouette_scorer, check_silhouette),
    scorer_target(model_selection.prediction_strength_scorer, check_share),
    solver_target(method="exact"),
    solver_target(method="em"),
    solver_target(method="pgd"),
    solver_target(method="exact", fairness_weight=1e4),
    function_target(
        pseudo_labels.initial_prices,
        check_prices,
        {"prior": "tensor", "fairness_weight": "scalar"},
        prior=torch.from_numpy(PRIOR),
        fairness_weight=10.0,
    ),
]


# Networks.


def layer_fit_target(name: str, *args: Any) -> Target:
    make = getattr(modules, name)
    return Target(
        name=f"{name}.fit",
        good={"X": LOGITS, "sample_weight": torch.from_numpy(WEIGHT)},
        kinds={"X": "tensor", "sample_weight": "tensor"},
        call=lambda subject, kwargs: make(*args).fit(**kwargs),
        check=check_scaling,
    )


NETWORKS = [
    function_target(
        forked(modules.Linear),
        check_outputs,
        {"in_shape": "count", "n_outputs": "count", "n_components": "scalar"},
        in_shape=4,
        n_outputs=3,
        n_components=None,
    ),
    function_target(
        forked(modules.MLP),
        check_outputs,
        {
            "in_shape": "count",
            "n_outputs": "count",
            "hidden": "count",
            "n_components": "scalar",
        },
        in_shape=(2, 2),
        n_outputs=3,
        hidden=(5, 4),
        n_components=None,
    ),
    function_target(
        forked(modules.VGG4),
        check_outputs,
        {"in_shape": "count", "n_outputs": "count"},
        in_shape=(1, 8, 8),
        n_outputs=3,
    ),
    function_target(
        modules.Scaling, check_scaling, {"in_shape": "count"}, in_shape=(2, 3)
    ),
    function_target(
        modules.PrincipalComponents,
        check_scaling,
        {"n_features": "count", "n_components": "count"},
        n_features=4,
        n_components=2,
    ),
    layer_fit_target("Scaling", 3),
    layer_fit_target("PrincipalComponents", 3, 2),
]


# Views.


def view_target(name: str, **good: Any) -> Target:
    """Return a target for the parameters of a transform."""
    make, x = getattr(views, name), torch.from_numpy(IMAGES).float()

    @forked
    def call(x: Any, **kwargs: Any) -> torch.Tensor:
        return make(**kwargs)(x)

    return Target(
        name=name,
        good=good | {"x": x},
        kinds=dict.fromkeys(good, "name") | {"x": "tensor"},
        call=lambda subject, kwargs: call(**kwargs),
        check=check_view,
    )


def fit_with_neighbors(estimator: Any, kwargs: Kwargs) -> Any:
    before = estimator.views
    try:
        return estimator.set_params(views=views.Neighbors(**kwargs)).fit(X)
    finally:
        estimator.views = before


VIEWS = [
    view_target("GaussianNoise", scale=0.1),
    view_target(
        "RandomAffine",
        degrees=15.0,
        translate=0.1,
        scale=0.15,
        shear=10.0,
        padding="border",
    ),
    view_target("RandomCrop", area=(0.5, 1.0), ratio=(0.75, 1.3)),
    view_target("RandomHorizontalFlip", p=0.5),
    view_target("ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4),
    view_target("GaussianBlur", sigma=(0.1, 2.0)),
    Target(
        name="Neighbors",
        good={"n_neighbors": 10, "n_steps": 1, "graph": None},
        kinds={"n_neighbors": "scalar", "n_steps": "count", "graph": "graph"},
        call=fit_with_neighbors,
        check=lambda estimator, kwargs: check_fitted_clusterer(estimator, {}),
        subject=functools.partial(make_subject, CollisionClusterer, {}, True),
    ),
]

TARGETS = {
    target.name: target
    for target in (
        *METHODS,
        *PARAMETERS,
        *LOSS_TARGETS,
        *FUNCTIONS,
        *NETWORKS,
        *VIEWS,
    )
}
