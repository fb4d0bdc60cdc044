"""What the estimators share: parameters, networks, streams, and all or nothing."""

import copy
import ctypes
import functools
import gc
import pickle
import sys
import warnings

import numpy as np
import psutil
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn

from sklearn_cce._training.batches import ORDER
from sklearn_cce._training.process import seed_of
from tests.helpers import assert_untouched, classify, cluster, raising, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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


# Networks and optimizers


@pytest.mark.parametrize("module", [small, small(4, 3).double(), small(4, 3).half()])
def test_networks_of_any_precision(module, X, quick):
    clusterer = quick(module=module).fit(X)
    assert {p.dtype for p in clusterer.module_.parameters()} == {torch.float32}


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


# Streams


class Constant(torch.optim.SGD):
    """Gradient steps of a size that no schedule can change."""

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure()
        for parameter in self.param_groups[0]["params"]:
            parameter -= 0.1 * parameter.grad
        return loss


def untrained_state(data, **params):
    """Return the state that a fit starts its training from."""
    states = []

    class Snapshot(Callback):
        def on_train_begin(self, net, **kwargs):
            states.append(copy.deepcopy(net.module_.state_dict()))

        def __deepcopy__(self, memo):
            return self

    cluster(callbacks=[Snapshot()], **params).fit(data)
    return states[0]


def test_partial_fit_on_the_batches_is_an_epoch_of_fit(data):
    plain = {"max_epochs": 1, "init": "random", "n_init": 1, "views": None}
    plain |= {"optimizer": Constant, "loss": "collision"}
    whole = cluster(**plain).fit(data)
    seed = seed_of(whole.net_.iterator_train__seed, 0, ORDER)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data), generator=generator)
    streamed = cluster(**plain).fit(data)
    streamed.module_.load_state_dict(untrained_state(data, **plain))
    streamed.net_.prices_ = torch.full((3,), streamed.fairness_weight_)
    for index in order.tensor_split(-(-len(data) // 64)):
        streamed.partial_fit(data[index.numpy()])
    np.testing.assert_allclose(
        streamed.predict_proba(data), whole.predict_proba(data), rtol=1e-4, atol=1e-5
    )


def test_partial_fit_learns_from_a_stream(data):
    clusterer = cluster(lr=0.05, max_epochs=None)
    rng = np.random.default_rng(0)
    for _ in range(40):
        clusterer.partial_fit(data[rng.choice(300, 60, replace=False)])
    labels = clusterer.predict(data)
    assert [len(np.unique(labels[i : i + 100])) for i in (0, 100, 200)] == [1, 1, 1]
    assert len(np.unique(labels)) == 3
    assert clusterer.n_iter_ == 1
    assert clusterer.n_iter_ == 1


def test_partial_fit_checks_the_features_and_stays_as_it_was(data):
    clusterer = cluster().partial_fit(data)
    expected = clusterer.predict_proba(data)
    with pytest.raises(ValueError, match="features"):
        clusterer.partial_fit(data[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        clusterer.partial_fit(np.full((80, 4), np.nan))
    assert np.array_equal(clusterer.predict_proba(data), expected)


# What a fit leaves


def test_fit_keeps_neither_data_nor_optimizer_state(data):
    clusterer = cluster(module="mlp").fit(data)
    assert not clusterer.net_.optimizer_.state
    assert all(p.grad is None for p in clusterer.module_.parameters())
    large = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    sizes = [
        len(pickle.dumps(cluster(max_epochs=1).fit(large[:n])))
        - 12 * n  # labels_ and probabilities_
        for n in (2_000, 20_000)
    ]
    assert abs(sizes[1] - sizes[0]) < 1_000


def give_back():
    """Let the allocator of glibc return what is free; how much it keeps varies."""
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)(0)


def test_fifty_fits_leave_the_resident_memory_flat():
    X = np.random.default_rng(0).normal(size=(2_000, 50)).astype(np.float32)
    process = psutil.Process()

    def resident_after(n_fits):
        for seed in range(n_fits):
            cluster(module="mlp", max_epochs=2, n_init=1, random_state=seed).fit(X)
        gc.collect()
        give_back()
        return process.memory_info().rss

    first = resident_after(10)
    assert resident_after(50) - first < 20 * 2**20


def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was(X, quick):
    for clusterer in (quick(), quick().fit(X)):
        clusterer.set_params(max_epochs=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            assert_untouched(
                clusterer, lambda c=clusterer: c.fit(X), ConvergenceWarning, "converged"
            )


def test_ctrl_c_while_a_warning_is_shown(X, quick, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    clusterer = quick(max_epochs=1).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", interrupt)
        assert_untouched(clusterer, lambda: clusterer.fit(X), KeyboardInterrupt, None)
