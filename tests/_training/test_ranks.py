"""Processes that train one network together end with what one process ends with."""

import pickle
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn

from sklearn_cce import CollisionClassifier, CollisionClusterer
from sklearn_cce._training.ranks import ALONE, Ranks, joined

pytestmark = pytest.mark.skipif(
    not dist.is_available() or sys.platform != "linux",
    reason="needs torch.distributed and gloo",
)

N_RANKS = 2
STEPS = {"max_epochs": 3, "random_state": 0, "optimizer": "sgd", "lr": 0.01}


class Normalised(nn.Sequential):
    """A network with buffers, and a parameter without a part in its outputs."""

    def __init__(self, in_features, n_outputs):
        super().__init__(
            nn.Linear(in_features, 8), nn.BatchNorm1d(8), nn.Linear(8, n_outputs)
        )
        self.unused = nn.Parameter(torch.zeros(3))


class StopOnSecond(Callback):
    """Asks to stop in the middle of the second epoch, in the second process only."""

    def on_batch_end(self, net, **kwargs):
        if net.ranks.rank == 1 and len(net.history) == 2:
            raise KeyboardInterrupt


def data():
    X, y = load_digits(return_X_y=True)
    return X[:501].astype(np.float32), y[:501]


def fits():
    """Return an estimator, and what its `fit` is given beside X, by name."""
    _, y = data()
    weight = np.random.default_rng(0).uniform(0.1, 2, len(y))
    weight[:50] = 0
    soft = np.where(np.eye(10)[y] == 1, 0.6, 0.4 / 9)
    some = y.astype(object)
    some[100:] = None
    clusterer = CollisionClusterer(10, **STEPS)
    classifier = CollisionClassifier(**STEPS)
    return {
        "em": (clusterer, {}),
        "adamw": (clone(clusterer).set_params(optimizer="adamw", lr=1e-3), {}),
        "exact": (clone(clusterer).set_params(pseudo_labels="exact", max_epochs=2), {}),
        "weights": (clusterer, {"sample_weight": weight}),
        "an odd batch": (clone(clusterer).set_params(batch_size=101), {}),
        "a random start": (clone(clusterer).set_params(init="random"), {}),
        "two views": (clone(clusterer).set_params(views=["neighbors"] * 2), {}),
        "soft labels": (classifier, {"y": soft}),
        "labels missing": (classifier, {"y": some}),
        "early stopping": (clone(classifier).set_params(early_stopping=True), {"y": y}),
    }


def fitted(name, distributed):
    estimator, given = fits()[name]
    X, _ = data()
    return clone(estimator).set_params(distributed=distributed).fit(X, **given)


def state(estimator):
    """Return what a fit ends with."""
    weights = {k: v.numpy() for k, v in estimator.module_.state_dict().items()}
    columns = ("train_loss", "balance", "changed")
    return {
        "weights": weights,
        "prices": estimator.net_.prices_.numpy(),
        "labels": estimator.predict(data()[0]),
        "history": np.array([[row[c] for c in columns] for row in estimator.history_]),
    }


def error_of(fit):
    """Return the text of the error that a call ends with, if any."""
    try:
        fit()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def others(rank):
    """Return what is seen by one of two processes in further fits."""
    X, _ = data()
    clusterer = CollisionClusterer(10, distributed=True, **STEPS)
    stopping = {"callbacks": [StopOnSecond()], "init": "random"}
    stopped = clone(clusterer).set_params(**stopping)
    stream = clone(clusterer)
    for chunk in (X[:250], X[250:]):
        stream.partial_fit(chunk)
    unseeded = clone(clusterer).set_params(random_state=None).fit(X)
    normalised = clone(clusterer).set_params(module=Normalised).fit(X)
    return {
        "stopped": len(stopped.fit(X).history_),
        "stream": state(stream),
        "unseeded": state(unseeded),
        "normalised": state(normalised),
        "sizes": error_of(lambda: clone(clusterer).fit(X[: 400 + rank])),
        "one fails": error_of(lambda: clone(clusterer).fit(X * [1, np.nan][rank])),
        "weights differ": error_of(
            lambda: clone(clusterer).set_params(fairness_weight=1.0 + rank).fit(X)
        ),
        "too few": error_of(lambda: clone(clusterer).set_params(batch_size=1).fit(X)),
        "pickle": pickle.dumps(stopped),
    }


def work(rank, folder):
    """Fit in one of two processes, and leave what was seen in a file."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    dist.init_process_group(
        "gloo", f"file://{folder}/group", rank=rank, world_size=N_RANKS
    )
    seen = {name: state(fitted(name, True)) for name in fits()} | others(rank)
    dist.destroy_process_group()
    if rank == 0:  # In this process, as the last bits depend on the number of threads.
        seen["alone"] = {name: state(fitted(name, False)) for name in fits()}
    Path(folder, str(rank)).write_bytes(pickle.dumps(seen))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What each of two processes saw."""
    folder = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("GLOO_SOCKET_IFNAME", "lo")
        torch.multiprocessing.spawn(work, (str(folder),), nprocs=N_RANKS)
    return [pickle.loads((folder / str(r)).read_bytes()) for r in range(N_RANKS)]


def assert_same(one, other, tolerance):
    np.testing.assert_array_equal(one["labels"], other["labels"])
    np.testing.assert_allclose(one["prices"], other["prices"], atol=tolerance)
    np.testing.assert_allclose(one["history"], other["history"], atol=tolerance)
    for name, weight in one["weights"].items():
        np.testing.assert_allclose(weight, other["weights"][name], atol=tolerance)


@pytest.mark.parametrize("name", [name for name in fits() if name != "exact"])
def test_two_processes_end_as_one(name, seen):
    assert_same(seen[0][name], seen[0]["alone"][name], 1e-5)


def test_exact_labels_of_two_processes_are_near_those_of_one(seen):
    one, other = seen[0]["alone"]["exact"], seen[0]["exact"]
    # Which two classes a row is split over turns on the last bits where prices are
    # level, as all are at first.
    np.testing.assert_allclose(one["history"], other["history"], atol=1e-3)
    assert np.mean(one["labels"] == other["labels"]) > 0.95


@pytest.mark.parametrize("name", [*fits(), "stream", "unseeded", "normalised"])
def test_all_processes_end_alike(name, seen):
    assert_same(seen[0][name], seen[1][name], 0)


def test_a_stop_in_one_process_stops_all_after_the_epoch(seen):
    assert [one["stopped"] for one in seen] == [2, 2]


@pytest.mark.parametrize(
    ("what", "by_rank"),
    {
        "sizes": [r"ValueError: .*same shape of X.*\(400, 64\), \(401, 64\)"] * 2,
        "one fails": [
            "RuntimeError: The process of rank 1 failed: ValueError.*NaN",
            "ValueError: .*NaN",
        ],
        "weights differ": [r"ValueError: .*same fairness_weight.*\[1.0, 2.0\]"] * 2,
        "too few": ["ValueError: .*batch_size.*number of processes, 2; got batch"] * 2,
    }.items(),
)
def test_what_does_not_suit_is_an_error_in_all_processes(what, by_rank, seen):
    for rank, pattern in enumerate(by_rank):
        assert re.match(pattern, seen[rank][what]), seen[rank][what]


def test_a_net_of_several_processes_predicts_in_one(seen):
    estimator = pickle.loads(seen[1]["pickle"])
    assert estimator.predict(data()[0]).shape == (501,)


@pytest.mark.parametrize("estimator", [CollisionClusterer(3), CollisionClassifier()])
def test_without_a_group_there_is_an_error(estimator):
    X, y = data()
    with pytest.raises(ValueError, match="distributed=True needs.*init_process_group"):
        estimator.set_params(distributed=True).fit(X, y)
    assert not hasattr(estimator, "net_")


def test_one_process_needs_no_group():
    assert joined(False) is ALONE
    index = torch.arange(5)
    assert ALONE.part(index) is index
    assert ALONE.first(lambda: 3) == 3


def test_parts_make_up_a_batch():
    index = torch.randperm(11)
    parts = [Ranks(rank, 3).part(index) for rank in range(3)]
    assert torch.equal(torch.cat(parts), index)
