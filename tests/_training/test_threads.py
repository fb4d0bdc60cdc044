"""Fits in several threads at once: the bits of fits one by one, and no trace left."""

import os
import random
import threading
import warnings

import joblib
import numpy as np
import pytest
import threadpoolctl
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import Dataset

from sklearn_cce import CollisionClassifier, CollisionClusterer
from sklearn_cce._training.process import (
    InnerWarning,
    Stream,
    alone,
    drawing,
    seeded,
    undisturbed,
)
from sklearn_cce.views import GaussianNoise, RandomAffine, RandomHorizontalFlip

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
CPU = torch.device("cpu")


class Dropout(nn.Sequential):
    """A network that draws in every step."""

    def __init__(self, in_features, n_outputs):
        layers = nn.Linear(in_features, 16), nn.Dropout(0.5), nn.Linear(16, n_outputs)
        super().__init__(*layers)


def add_noise(x):
    """Draw from the global generators of torch, NumPy and Python."""
    scale = 0.1 * random.random() + np.float32(0.1 * np.random.rand())
    return x + float(scale) * torch.randn_like(x)


class Noisy(Dataset):
    """Samples that are drawn anew whenever they are read."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return torch.as_tensor(self.X[i]) + 0.1 * torch.rand(4)


def make(**params):
    quick = {"module": "linear", "max_epochs": 4, "batch_size": 16, "n_init": 2}
    return CollisionClusterer(**({"n_clusters": 3} | quick | params))


def classify(**params):
    return CollisionClassifier(**({"max_epochs": 3, "batch_size": 16} | params))


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(60, 4, centers=3, cluster_std=3.0, random_state=0)
    y[::3] = -1
    return X.astype(np.float32), y


def cases(data, images):
    X, y = data
    transforms = nn.Sequential(RandomAffine(), RandomHorizontalFlip())
    of_images = {"n_clusters": 2, "max_epochs": 1, "views": transforms}
    return {
        "default": (make(module="mlp"), X, None),
        "random start": (make(init="random", n_init=2), X, None),
        "dropout": (make(module=Dropout, init="random"), X, None),
        "noise": (make(views=["neighbors", GaussianNoise()]), X, None),
        "own view": (make(views=add_noise), X, None),
        "dataset": (make(init="random", views=None), Noisy(X), None),
        "vgg4": (make(**of_images, module="vgg4", init="random"), images[::3], None),
        "images": (make(**of_images | {"views": "auto"}), images, None),
        "classifier": (classify(early_stopping=True), X, y),
        "classifier with dropout": (classify(module=Dropout, views="noise"), X, y),
        "labelled": (classify(module="linear"), X, np.arange(60) % 4),
        "module": (make(module=Dropout(4, 3)), X, None),
    }


def fit(estimator, X, y, seed):
    fitted = clone(estimator).set_params(random_state=seed).fit(X, y)
    samples = X.X if isinstance(X, Noisy) else X
    return fitted.predict_proba(samples)


def state_of_the_process():
    pools = sorted(
        (pool["filepath"], pool["num_threads"])
        for pool in threadpoolctl.threadpool_info()
    )
    return (
        torch.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes(),
        np.random.get_state()[2:],
        random.getstate(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        pools,
    )


def test_fits_in_threads_are_the_fits_one_by_one(data, images):
    jobs = [(*case, seed) for seed in (0, 1) for case in cases(data, images).values()]
    random.seed(0)
    np.random.seed(0)
    np.random.standard_normal()  # leaves a second number for the next call
    before = state_of_the_process()
    expected = [fit(*job) for job in jobs]
    assert state_of_the_process() == before
    found = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(fit)(*job) for job in jobs
    )
    assert state_of_the_process() == before
    assert len(jobs) == 24
    assert InnerWarning not in [category for _, _, category, *_ in warnings.filters]
    for job, one, other in zip(jobs, expected, found, strict=True):
        assert np.array_equal(one, other), job[0]


@pytest.mark.parametrize("name", ["own view", "dataset", "dropout"])
def test_a_seed_decides_what_foreign_code_draws(name, data, images):
    estimator, X, y = cases(data, images)[name]
    one, two, other = (fit(estimator, X, y, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_search_in_threads_is_a_search(data):
    X, _ = data
    search = GridSearchCV(make(random_state=0), {"n_clusters": [2, 3, 4]}, cv=2)
    expected = search.fit(X).cv_results_["mean_test_score"]
    before = state_of_the_process()
    with joblib.parallel_backend("threading", n_jobs=4):
        found = clone(search).fit(X).cv_results_["mean_test_score"]
    assert np.array_equal(found, expected)
    assert state_of_the_process() == before


def test_global_states_are_left_alone_by_an_error(data):
    def fail(x):
        np.random.rand()
        torch.rand(2)
        raise OSError("no disk")

    before = state_of_the_process()
    with pytest.raises(ValueError, match="views.*OSError: no disk"):
        make(views=fail).fit(data[0])
    assert state_of_the_process() == before


def test_transforms_draw_from_the_default_generator_outside_of_a_fit():
    x = torch.zeros(3, 4) + torch.arange(4)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = x + 0.1 * x.std(correction=0) * torch.randn_like(x)
        torch.manual_seed(5)
        assert torch.equal(GaussianNoise(0.1)(x), expected)


@pytest.mark.parametrize("where", ["on_train_begin", "on_epoch_end"])
def test_a_fit_within_a_fit(where, data):
    X, _ = data
    inner = make(init="random", views=None, random_state=1)
    expected = fit(inner, Noisy(X), None, 1), fit(make(module=Dropout), X, None, 0)
    found = []

    class Fit(Callback):
        pass

    def fit_another(self, net, **kwargs):
        found.append(fit(inner, Noisy(X), None, 1))

    setattr(Fit, where, fit_another)
    outer = fit(make(module=Dropout, callbacks=[Fit()]), X, None, 0)
    assert np.array_equal(outer, expected[1])
    assert all(np.array_equal(one, expected[0]) for one in found)
    assert found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_threads_that_it_has_not():
    with alone():
        thread = threading.Thread(target=fork_and_draw)
        thread.start()
        thread.join()
    assert fork_and_draw.status == 0


def test_what_keeps_the_others_out_does_not_wait_for_them():
    with joblib.parallel_config(backend="threading", n_jobs=2):
        with alone():
            work = [joblib.delayed(threading.get_ident)() for _ in range(4)]
            assert set(joblib.Parallel()(work)) == {threading.get_ident()}
        assert joblib.effective_n_jobs() == 2


def fork_and_draw():
    """Fork while another thread keeps this one out, and draw in the new process."""
    child = os.fork()
    if child == 0:
        with alone():
            os._exit(0)
    fork_and_draw.status = os.waitpid(child, 0)[1]


# The streams


def drawn():
    return torch.rand(()).item(), np.random.rand(), random.random()


def test_a_stream_goes_on_where_it_was():
    whole, parts = Stream(3, CPU), Stream(3, CPU)
    with whole.drawn():
        expected = [drawn(), drawn()]
    found = []
    for _ in range(2):
        drawn()  # by somebody else
        with parts.drawn():
            found.append(drawn())
    assert found == expected


def test_streams_within_each_other():
    outer, inner = Stream(0, CPU), Stream(1, CPU)
    with outer.drawn():
        first = drawn()
        with inner.drawn(), outer.drawn():
            nested = drawn()
        last = drawn()
    again, alone = Stream(0, CPU), Stream(1, CPU)
    with again.drawn():
        assert [drawn(), drawn()] == [first, last]
    with alone.drawn():
        assert drawn() == nested


def test_a_stream_begins_as_its_seed_does_anywhere():
    with seeded(7, CPU), drawing():
        found = drawn()
    generator = torch.Generator().manual_seed(7)
    expected = torch.rand((), generator=generator).item()
    assert found[0] == expected
    assert found[1:] == (np.random.RandomState(7).rand(), random.Random(7).random())


def test_k_means_is_silent_and_warnings_are_left_as_they_were():
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with undisturbed():
            warnings.warn("k-means", ConvergenceWarning, stacklevel=1)
            np.zeros(1) / 0
            warnings.warn("other", UserWarning, stacklevel=1)
        warnings.warn("after", ConvergenceWarning, stacklevel=1)
    assert [str(w.message) for w in caught] == ["other", "after"]
    assert warnings.filters == before


def test_other_threads_are_warned_while_k_means_is_silent():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with undisturbed():
            args = "in another thread", ConvergenceWarning
            thread = threading.Thread(target=warnings.warn, args=args)
            thread.start()
            thread.join()
    assert [str(w.message) for w in caught] == ["in another thread"]


@pytest.mark.parametrize("n_clusters", [2, 3, 8])
def test_no_warning_of_the_inner_k_means(n_clusters):
    X = np.repeat(100.0 * np.eye(5), 40, 0) + np.arange(200)[:, None] % 40
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make(n_clusters=n_clusters, n_init="auto", random_state=0).fit(X)
    assert not [w for w in caught if "distinct clusters" in str(w.message)]
    assert {w.category for w in caught} <= {ConvergenceWarning}
    assert len(caught) <= 1
