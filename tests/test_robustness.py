"""Awkward parameters, settings, networks, views, callbacks: right, or a clear error."""

import contextlib
import functools
import pickle
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sklearn_cce import CollisionClassifier, CollisionClusterer, _checks
from sklearn_cce._training.causes import OTHERWISE, Outcome, likely_cause
from sklearn_cce._training.sources import TensorSource
from sklearn_cce.views import GaussianNoise, RandomAffine

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classify(**params):
    quick = {"module": "linear", "max_epochs": 4, "batch_size": 16, "random_state": 0}
    return CollisionClassifier(**(quick | params))


def small(in_features, n_outputs):
    return nn.Sequential(nn.Linear(in_features, 8), nn.Tanh(), nn.Linear(8, n_outputs))


@pytest.fixture
def y(blobs):
    return blobs[1]


def assert_untouched(estimator, fit, error, match):
    """Check an error, and that it leaves an estimator as it was."""
    before = vars(estimator).copy()
    with pytest.raises(error, match=match):
        fit()
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())


# Numbers of any type

NUMBERS = {
    "n_clusters": [np.uint8(3), np.int8(3), np.int64(3)],
    "max_epochs": [np.int8(100), np.uint8(7)],
    "batch_size": [np.uint8(2), np.int8(60), np.uint16(16)],
    "patience": [np.uint8(20), np.int8(3)],
    "n_init": [np.uint8(2), np.int8(2)],
    "fairness_weight": [np.float16(1), np.float32(1), np.uint8(2), np.int8(1)],
    "lr": [np.float16(0.01), np.float32(0.01), np.float64(0.01)],
    "tol": [np.float16(1e-3), np.uint8(0)],
    "weight_decay": [np.float16(0.01), np.int8(0)],
    "verbose": [np.bool_(False), np.uint8(0)],
    "warm_start": [np.bool_(False)],
    "mixed_precision": [np.bool_(False)],
    "random_state": [np.uint8(0), np.int64(0)],
}


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, values in NUMBERS.items() for v in values]
)
def test_numbers_of_numpy_are_those_of_python(name, value, X, y, quick):
    makers = {"cluster": quick, "classify": classify}
    for maker in makers.values():
        params = {"max_epochs": 2, "batch_size": 30} | {name: value}
        if name not in maker().get_params():
            continue
        estimator = maker(**params)
        expected = maker(**params | {name: value.item()}).fit(X, y)
        assert_array_equal(
            estimator.fit(X, y).predict_proba(X), expected.predict_proba(X)
        )
        assert estimator.get_params()[name] is value
        estimator.partial_fit(X, *([] if maker is quick else [y]))


HUGE = [(name, 10**400) for name in ("lr", "weight_decay", "tol", "patience")]


@pytest.mark.parametrize(("name", "value"), [*HUGE, ("fairness_weight", 1e39)])
def test_numbers_that_are_too_large_are_named(name, value, X, y, quick):
    for estimator in (quick(**{name: value}), classify(**{name: value})):
        fit = functools.partial(estimator.fit, X, y)
        assert_untouched(estimator, fit, ValueError, f"^{name} must be at most")


def test_a_truth_value_is_a_number(X, quick):
    assert_array_equal(quick(True).fit(X).labels_, np.zeros(60))
    assert quick(max_epochs=True, init="random").fit(X).n_iter_ == 1


def test_numbers_of_numpy_after_an_error_are_still_there(X, quick):
    clusterer = quick(np.uint8(3), batch_size=np.uint8(200), views="nothing")
    assert_untouched(clusterer, lambda: clusterer.fit(X), ValueError, "views")


# Settings of torch


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


SAME_BITS = {
    "inference mode": torch.inference_mode,
    "no gradient": torch.no_grad,
    "deterministic": deterministic,
    "on the host": lambda: default_device("cpu"),
    "on no device": lambda: default_device("meta"),
    "as a mode": lambda: torch.device("meta"),
}
MODULES = ["linear", "mlp", small]


def results(maker, X, y, module):
    estimator = maker(module=module).fit(X, y)
    estimator.partial_fit(
        X, *([] if isinstance(estimator, CollisionClusterer) else [y])
    )
    return estimator.predict_proba(X)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("setting", SAME_BITS.values(), ids=SAME_BITS)
def test_settings_of_torch_do_not_change_the_result(setting, module, X, y, quick):
    for maker in (quick, classify):
        expected = results(maker, X, y, module)
        with setting():
            found = results(maker, X, y, module)
        assert_array_equal(found, expected)


@pytest.mark.parametrize("module", [*MODULES, small(4, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_default_types_of_torch(dtype, module, X, y, quick):
    for maker in (quick, classify):
        with default_dtype(dtype):
            found = results(maker, X, y, module)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
        if isinstance(module, str) and maker is classify:
            assert (found.argmax(1) == y).mean() > 0.9


@pytest.mark.parametrize("module", [small, small(4, 3).double(), small(4, 3).half()])
def test_networks_of_any_precision(module, X, quick):
    clusterer = quick(module=module).fit(X)
    assert {p.dtype for p in clusterer.module_.parameters()} == {torch.float32}


@pytest.mark.parametrize("setting", [torch.inference_mode, torch.no_grad])
def test_samples_and_networks_made_without_gradients(setting, X, quick):
    with setting():
        tensor, module = torch.tensor(X), small(4, 3)
    expected = quick(module=pickle.loads(pickle.dumps(module)), batch_size=16).fit(X)
    for batch_size in (16, 100):
        clusterer = quick(module=module, batch_size=batch_size).fit(tensor)
        assert_array_equal(clusterer.predict(tensor), clusterer.predict(X))
    assert_array_equal(
        quick(module=module, batch_size=16).fit(tensor).predict_proba(X),
        expected.predict_proba(X),
    )


# Networks


def raising(error):
    def factory(in_shape, n_outputs):
        raise error

    return factory


class Raises(nn.Module):
    """A network that fails in a way of its own."""

    def __init__(self, in_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(in_features, n_outputs)

    def forward(self, x):
        return self.layers(x)


class Detached(nn.Linear):
    def forward(self, x):
        return super().forward(x).detach()


class Counts(nn.Linear):
    def forward(self, x):
        return super().forward(x).round().long()


class Arrays(nn.Linear):
    def forward(self, x):
        return super().forward(x).detach().numpy()


def frozen(in_features, n_outputs):
    return nn.Linear(in_features, n_outputs).requires_grad_(False)


def not_to_be_copied():
    module = nn.Linear(4, 3)
    module.lock = (i for i in range(3))
    return module


BAD_MODULES = {
    "AttributeError": raising(AttributeError("no such layer")),
    "KeyError": raising(KeyError("width")),
    "RuntimeError": raising(RuntimeError("mat1 and mat2")),
    "ZeroDivisionError": raising(ZeroDivisionError("by 0")),
    "OSError": raising(OSError("no weights")),
    "in forward": Raises,
    "detached": Detached,
    "integers": Counts,
    "arrays": Arrays,
    "frozen": frozen,
    "not to be copied": not_to_be_copied(),
    "a class of something else": dict,
    "a number": lambda in_shape, n_outputs: 3,
}


@pytest.mark.parametrize("module", BAD_MODULES.values(), ids=BAD_MODULES)
def test_bad_networks_are_named(module, X, y, quick):
    for estimator in (quick(module=module), classify(module=module)):
        fit = functools.partial(estimator.fit, X, y)
        assert_untouched(estimator, fit, (TypeError, ValueError), "^module must")


BAD_OPTIMIZERS = {
    "nothing": lambda *args, **kwargs: None,
    "an error": raising(KeyError("betas")),
    "a class of something else": dict,
    "no arguments": lambda: None,
}


@pytest.mark.parametrize("optimizer", BAD_OPTIMIZERS.values(), ids=BAD_OPTIMIZERS)
def test_bad_optimizers_are_named(optimizer, X, quick):
    clusterer = quick(optimizer=optimizer)
    fit = functools.partial(clusterer.fit, X)
    assert_untouched(clusterer, fit, (TypeError, ValueError), "^optimizer must")


# Views


def in_place(x):
    return x.mul_(1.01)


RIGHT_VIEWS = {
    "float64": (lambda x: 1.01 * x.double(), lambda x: (1.01 * x.double()).float()),
    "in place": (in_place, lambda x: 1.01 * x),
    "a gradient": (
        lambda x: x * torch.ones(4, requires_grad=True),
        lambda x: x.clone(),
    ),
    "the batch itself": (lambda x: x, lambda x: x.clone()),
    "not contiguous": (lambda x: x.T.contiguous().T, lambda x: x.clone()),
}


@pytest.mark.parametrize("names", RIGHT_VIEWS.values(), ids=RIGHT_VIEWS)
def test_views_of_another_kind_are_as_good(names, X, y, quick):
    view, plain = names
    for maker in (quick, classify):
        one, two = (maker(views=v, batch_size=16).fit(X, y) for v in (view, plain))
        assert_array_equal(one.predict_proba(X), two.predict_proba(X))


def fails_later(x):
    fails_later.calls += 1
    return x if fails_later.calls < 3 else x[:1]


BAD_VIEWS = {
    "None": lambda x: None,
    "an array": lambda x: x.numpy(),
    "complex": lambda x: x + 1j,
    "fewer samples": lambda x: x[1:],
    "fewer features": lambda x: x[:, :2],
    "another axis": lambda x: x[None],
    "a mean": lambda x: x.mean(),
    "no device": lambda x: x.to("meta"),
    "a tuple": lambda x: (x, x),
    "KeyError": raising(KeyError("mean")),
    "IndexError": lambda x: x[:, 99],
    "StopIteration": lambda x: next(iter(())),
    "for images": RandomAffine(),
    "a class": GaussianNoise,
    "no batch": lambda: 3,
}


@pytest.mark.parametrize("view", BAD_VIEWS.values(), ids=BAD_VIEWS)
@pytest.mark.parametrize("init", ["spectral", "random"])
def test_bad_views_are_named_before_the_training(init, view, X, y, quick):
    class Untrainable(Callback):
        def on_train_begin(self, net, X=None, y=None):
            raise AssertionError("The training has started.")

    for estimator in (quick(init=init), classify()):
        estimator.set_params(views=["neighbors", view], callbacks=[Untrainable()])
        fit = functools.partial(estimator.fit, X, y)
        assert_untouched(estimator, fit, (TypeError, ValueError), "^views must take")


def test_a_view_that_fails_in_the_training_is_named(X, quick):
    fails_later.calls = 0
    clusterer = quick(views=fails_later, init="random")
    match = r"^views must take.*here \(60, 4\).*got shape \(1, 4\)"
    assert_untouched(clusterer, lambda: clusterer.fit(X), ValueError, match)


# Callbacks that stop


HOOKS = [
    f"on_{what}_{when}"
    for what in ("train", "epoch", "batch")
    for when in ("begin", "end")
] + ["on_grad_computed"]


class Stop(Callback):
    """Ask to stop when a hook is called once more."""

    def __init__(self, hook, after=0):
        self.hook, self.after = hook, after

    def called(self, hook, net, *args, **kwargs):
        self.after -= hook == self.hook
        if self.after < 0:
            raise KeyboardInterrupt


for name in HOOKS:
    setattr(Stop, name, functools.partialmethod(Stop.called, name))


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_callback_may_stop_at_any_time(after, hook, X, y, quick):
    params = {"callbacks": [Stop(hook, after)]}
    for estimator in (
        quick(**params, batch_size=16, on_interrupt="keep"),
        quick(**params, init="random", n_init=2),
        classify(**params, early_stopping=True),
        classify(**params, views="neighbors"),
    ):
        estimator.fit(X, y)
        assert np.isfinite(estimator.predict_proba(X)).all()
        history = estimator.history_
        assert estimator.n_iter_ == len(history) <= 8
        assert all(np.isfinite(row["train_loss"]) for row in history)
        pickle.dumps(estimator)
        estimator.partial_fit(X, *([] if hasattr(estimator, "labels_") else [y]))


@pytest.mark.parametrize("hook", HOOKS)
def test_a_stop_closes_the_bar(hook, X, quick, capsys):
    clusterer = quick(callbacks=[Stop(hook)], verbose=1).fit(X)
    pickle.dumps(clusterer)


def test_a_stop_keeps_the_weights_and_a_part_of_an_epoch(X, quick):
    params = {"init": "random", "batch_size": 10, "max_epochs": 3}
    stop = Stop("on_batch_end", 8)
    clusterer = quick(**params, callbacks=[stop]).fit(X)
    assert clusterer.n_iter_ == 2  # six steps an epoch, and three of the second
    assert set(clusterer.history_[-1]) >= {"train_loss", "balance", "changed"}


def test_early_stopping_of_skorch_that_looks_for_its_best(X, quick):
    best = EarlyStopping("train_loss", patience=1, load_best=True)
    for hook in HOOKS:
        callbacks = [Stop(hook), best]
        assert quick(callbacks=callbacks).fit(X).predict(X).shape == (60,)


# Divergence


def spoiling(value, hook="on_epoch_end"):
    """Return a callback that puts a value into the weights after the last epoch."""

    class Spoil(Callback):
        def spoil(self, net, **kwargs):
            if hook != "on_epoch_end" or len(net.history) % net.max_epochs == 0:
                next(net.module_.parameters()).data.fill_(value)

    setattr(Spoil, hook, Spoil.spoil)
    return Spoil()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_end"])
def test_weights_that_are_spoilt_at_the_end(hook, value, X, y, quick):
    spoil = spoiling(value, hook)
    for maker in (quick, classify):
        estimator = maker(module="mlp").fit(X, y)
        estimator.set_params(callbacks=[spoil], init="random") if maker is quick else (
            estimator.set_params(callbacks=[spoil])
        )
        fit = functools.partial(estimator.fit, X, y)
        assert_untouched(estimator, fit, FloatingPointError, "smaller lr")


@pytest.mark.parametrize("lr", [1e20, 1e30, 1e38])
@pytest.mark.parametrize("max_epochs", [1, 2])
def test_any_learning_rate_ends_in_finite_predictions_or_an_error(
    lr, max_epochs, X, y, quick
):
    for maker in (quick, classify):
        for module in ("linear", "mlp"):
            estimator = maker(lr=lr, max_epochs=max_epochs, module=module)
            with contextlib.suppress(FloatingPointError):
                assert np.isfinite(estimator.fit(X, y).predict_proba(X)).all()


class Overflow(nn.Linear):
    """A network whose outputs overflow in evaluation only."""

    def forward(self, x):
        return super().forward(x) * (1.0 if self.training else 1e38) * 1e3


def test_a_network_that_overflows(X, y, quick):
    for estimator in (quick(module=Overflow), classify(module=Overflow)):
        fit = functools.partial(estimator.fit, X, y)
        assert_untouched(estimator, fit, FloatingPointError, "module.*overflow")


@pytest.mark.parametrize("module", ["linear", "mlp"])
def test_samples_too_large_for_the_network_are_named(module, X, y, quick):
    large = np.vstack([X, 1e38 * np.array([[1, -1, 1, -1]])]).astype(np.float32)
    for estimator in (quick(module=module), classify(module=module)):
        estimator.fit(X, y)
        scale = np.array(1.0)
        for parameter in estimator.module_.parameters():
            parameter.data.mul_(100)
        methods = {"predict", "predict_proba", "transform"} & set(dir(estimator))
        for method in methods:
            call = getattr(estimator, method)
            with pytest.raises(ValueError, match="^X has values too large.*sample 60"):
                call(large)
            assert np.isfinite(call(X * scale)).all()


# Errors at the end of a fit


def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was(X, quick):
    for clusterer in (quick(), quick().fit(X)):
        clusterer.set_params(max_epochs=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            assert_untouched(
                clusterer, lambda c=clusterer: c.fit(X), ConvergenceWarning, "falling"
            )


def test_ctrl_c_while_a_warning_is_shown(X, quick, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    clusterer = quick(max_epochs=1).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", interrupt)
        assert_untouched(clusterer, lambda: clusterer.fit(X), KeyboardInterrupt, None)


class Hungry(nn.Linear):
    """A network that asks for more memory than there is, in training only."""

    def forward(self, x):
        if self.training:
            torch.empty(2**46)
        return super().forward(x)


def lacking(*args):
    raise MemoryError("Unable to allocate 5. TiB for an array")


def test_too_little_memory_has_a_remedy(X, y, quick):
    match = "too little memory.*batch_size or module.*X"
    for maker in (quick, classify):
        for params in ({"module": Hungry}, {"module": lacking}, {"views": lacking}):
            estimator = maker(**params)
            fit = lambda estimator=estimator: estimator.fit(X, y)  # noqa: E731
            assert_untouched(estimator, fit, MemoryError, match)


# What is said at the end of a fit


def said(fit):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit()
    return [str(w.message) for w in caught]


@pytest.mark.parametrize(
    ("batch_size", "max_epochs", "steps"),
    [
        (512, 2, "2 epochs of 1 gradient step each"),
        (16, 3, "3 epochs of 4 gradient steps"),
    ],
)
def test_steps_are_said_not_epochs_alone(batch_size, max_epochs, steps, X, quick):
    params = {"batch_size": batch_size, "max_epochs": max_epochs, "lr": 1e-3}
    found = {m for seed in range(3) for m in said(lambda: quick(**params).fit(X))}
    assert len(found) == 1
    assert f"still falling after {steps}" in found.pop()


CAUSES = {
    "different": (lambda X: np.repeat(X[:2], 30, 0), {}, "only 2 different samples"),
    "of weight": (lambda X: X, {"n_weighted": 2}, "only 2 different samples"),
    "steps": (
        lambda X: X,
        {"max_epochs": 1, "n_clusters": 30},
        "max_epochs=1 came to, 1,",
    ),
    "other": (
        lambda X: np.random.default_rng(0).normal(size=(60, 4)),
        {
            "max_epochs": 700,
            "n_clusters": 20,
            "lr": 0.5,
            "fairness_weight": 1e-6,
            "init": "random",
        },
        "Increase fairness_weight or max_epochs, try another random_state",
    ),
}


@pytest.mark.parametrize(("change", "params", "cause"), CAUSES.values(), ids=CAUSES)
def test_the_likely_cause_of_missing_clusters(change, params, cause, X, quick):
    weight = (np.arange(60) < params.get("n_weighted", 60)).astype(float)
    params = {"max_epochs": 300} | params
    params.pop("n_weighted", None)
    clusterer = quick(**params)
    (message,) = said(lambda: clusterer.fit(change(X), sample_weight=weight))
    assert message.startswith("Only ")
    assert "clusters are used. " in message
    assert cause in message


@pytest.mark.parametrize(
    ("prior", "match"),
    [
        ([0.495, 0.495, 0.01], "less than one sample, 0.01 of 60"),
        ([0.5, 0.5, 0.0], OTHERWISE),
    ],
)
def test_a_share_of_less_than_a_sample(prior, match, X):
    source = TensorSource(torch.tensor(X))
    assert match in likely_cause(Outcome(source, None, np.array(prior), 10, None))


# A search, in which many fits have the same to say


@pytest.mark.parametrize("action", ["default", "always"])
def test_many_fits_of_a_search_warn_once(action, monkeypatch):
    monkeypatch.setattr(_checks, "_said", set())
    X = np.random.default_rng(0).normal(size=(120, 3))
    quick = CollisionClusterer(module="linear", max_epochs=3, n_init=2, random_state=0)
    search = GridSearchCV(quick, {"n_clusters": [2, 3]}, cv=2, error_score="raise")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        search.fit(X)
    (said,) = (str(w.message) for w in caught if "still falling" in str(w.message))
    assert "after 3 epochs of 1 gradient step each" in said
