"""Settings of the whole process: no matter to a fit."""

import contextlib
import pickle
import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sklearn_cce import CollisionClusterer
from sklearn_cce._training.process import once
from tests.helpers import classify, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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


def test_a_property_computed_once_makes_no_thread_wait_for_another():
    class Slow:
        def __init__(self, wait):
            self.wait = wait

        @once
        def value(self):
            """What the wait gives."""
            return self.wait()

    begun, ended = threading.Event(), threading.Event()

    def long():
        begun.set()
        return ended.wait(10)

    first = Slow(long)
    thread = threading.Thread(target=lambda: first.value)
    thread.start()
    assert begun.wait(10)
    other = Slow(lambda: object())
    assert other.value is other.value  # while the first is still computing
    ended.set()
    thread.join(10)
    assert first.value is True
