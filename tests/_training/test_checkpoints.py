"""Fits that are killed go on where they stood, and end with the same bits."""

import os
import pickle
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from sklearn_cce import CollisionClassifier, CollisionClusterer
from sklearn_cce._graph import candidates, neighbors
from sklearn_cce._training.checkpoints import UNWRITTEN, described, plain
from sklearn_cce.views import GaussianNoise, Neighbors
from tests.helpers import cluster

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Killed(BaseException):
    """Takes the place of the end of a process."""


class KillAt(Callback):
    """End a fit in the middle of some epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise Killed


class Dropping(nn.Sequential):
    """A network that draws in every step."""

    def __init__(self, in_features, n_outputs):
        super().__init__(
            nn.Linear(in_features, 8),
            nn.BatchNorm1d(8),
            nn.Dropout(0.5),
            nn.Linear(8, n_outputs),
        )


@pytest.fixture
def y(data):
    return np.repeat([0, 1, 2], len(data) // 3)


def some_labels(y):
    labels = y.astype(float)
    labels[::3] = np.nan
    return labels


FITS = {
    "start and self-labelling": CollisionClusterer(3),
    "a random start": CollisionClusterer(3, init="random", n_init=2, max_epochs=5),
    "an early end": CollisionClusterer(3, loss="collision", patience=2, tol=1.0),
    "labels": CollisionClassifier(),
    "early stopping": CollisionClassifier(early_stopping=True, patience=3),
    "scheduler": CollisionClassifier(
        callbacks=[LRScheduler("StepLR", step_size=3, gamma=0.5)]
    ),
}


def prepared(name):
    fit = clone(FITS[name]).set_params(random_state=0, module=Dropping, batch_size=64)
    views = None if name == "an early end" else [Neighbors(), GaussianNoise(0.1)]
    fit.set_params(views=views)
    return fit if fit.max_epochs else fit.set_params(max_epochs=10)


def assert_same_fit(one, other):
    for name, value in one.module_.state_dict().items():
        assert torch.equal(value, other.module_.state_dict()[name]), name
    assert torch.equal(one.net_.prices_, other.net_.prices_)
    assert one.n_iter_ == other.n_iter_
    for column in ("train_loss", "balance", "changed"):
        assert one.history_[:, column] == other.history_[:, column]


@pytest.mark.parametrize("epoch", [1, 2, 5, 6, 9])
@pytest.mark.parametrize("name", FITS)
def test_a_fit_that_was_killed_ends_with_the_same_bits(name, epoch, data, y, tmp_path):
    labels = some_labels(y)
    whole = prepared(name).fit(data, labels)
    fit = prepared(name).set_params(checkpoint=tmp_path / "new" / "folder")
    killed = clone(fit).set_params(
        callbacks=[*(fit.callbacks or []), ("kill", KillAt(epoch))]
    )
    if epoch > len(whole.history_):
        pytest.skip("the fit ends before")
    with pytest.raises(Killed):
        killed.fit(data, labels)
    assert_same_fit(fit.fit(data, labels), whole)
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_it_can_be_killed_again_and_again(data, tmp_path):
    whole = prepared("start and self-labelling").fit(data)
    fit = prepared("start and self-labelling").set_params(checkpoint=tmp_path)
    for epoch in (2, 2, 4, 6, 8, 10):
        with pytest.raises(Killed):
            clone(fit).set_params(callbacks=[KillAt(epoch)]).fit(data)
    assert_same_fit(fit.fit(data), whole)


def test_epochs_that_were_made_are_not_made_again(data, tmp_path):
    made = []

    class Count(Callback):
        def on_epoch_begin(self, net, **kwargs):
            made.append(len(net.history))

        def __deepcopy__(self, memo):
            return self

    fit = prepared("start and self-labelling").set_params(checkpoint=tmp_path)
    with pytest.raises(Killed):
        clone(fit).set_params(callbacks=[KillAt(8)]).fit(data)
    fit.set_params(callbacks=[Count()]).fit(data)
    assert made == [8, 9, 10]


def test_graph_and_start_are_not_made_again(data, tmp_path, monkeypatch):
    rough = np.random.default_rng(0).normal(size=(300, 4))
    whole = prepared("start and self-labelling").fit(rough)
    fit = prepared("start and self-labelling").set_params(checkpoint=tmp_path)
    with pytest.raises(Killed):
        clone(fit).set_params(callbacks=[KillAt(2)]).fit(rough)
    monkeypatch.setattr(neighbors, "neighbor_table", None)
    monkeypatch.setattr(candidates, "eigenvectors", None)
    assert_same_fit(fit.fit(rough), whole)
    assert list(tmp_path.iterdir()) == []


def test_an_unseeded_fit_goes_on_with_its_seed_and_a_new_one_draws_anew(data, tmp_path):
    fit = prepared("a random start")
    fit.set_params(random_state=None, checkpoint=tmp_path, n_init=1)
    with pytest.raises(Killed):
        clone(fit).set_params(callbacks=[KillAt(3)]).fit(data)
    kept = torch.load(tmp_path / "training-0.pt", weights_only=True)
    fit.fit(data)
    for name in ("train_loss", "changed"):
        assert fit.history_[:2, name] == [row[name] for row in kept["history"]]
    again = clone(fit).fit(data)
    assert again.history_[0, "train_loss"] != fit.history_[0, "train_loss"]


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"fairness_weight": 2.0}, r"fairness_weight \('auto', now 2.0\)"),
        ({"module": "linear"}, "module"),
        ({"random_state": 1}, "random_state"),
        ({"views": [Neighbors(3)]}, "views"),
        ({"init": np.zeros(300)}, "init"),
    ],
)
def test_another_fit_is_told_what_differs(params, named, data, tmp_path):
    fit = prepared("start and self-labelling").set_params(checkpoint=tmp_path)
    with pytest.raises(Killed):
        clone(fit).set_params(callbacks=[KillAt(3)]).fit(data)
    files = {f.name: f.read_bytes() for f in tmp_path.glob("*.*")}
    with pytest.raises(ValueError, match=f"checkpoint=.*unfinished fit.*{named}"):
        clone(fit).set_params(**params).fit(data)
    with pytest.raises(ValueError, match="unfinished fit with other X"):
        clone(fit).fit(data + 1)
    with pytest.raises(ValueError, match="unfinished fit with other sample_weight"):
        clone(fit).fit(data, sample_weight=np.ones(len(data)))
    assert {f.name: f.read_bytes() for f in tmp_path.glob("*.*")} == files


def test_a_folder_that_cannot_be_used_is_named(data, tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(ValueError, match="checkpoint must be a folder"):
        cluster(checkpoint=tmp_path / "file").fit(data)
    (tmp_path / "training-0.pt").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"checkpoint has a file.*training-0\.pt"):
        cluster(checkpoint=str(tmp_path)).fit(data)
    with pytest.raises(ValueError, match="checkpoint"):
        cluster(checkpoint=3).fit(data)


def test_a_stream_writes_nothing(data, tmp_path):
    cluster(checkpoint=tmp_path).partial_fit(data)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_changes_nothing(data, tmp_path):
    with_folder = cluster(checkpoint=tmp_path).fit(data)
    assert_array_equal(with_folder.labels_, cluster().fit(data).labels_)
    assert pickle.loads(pickle.dumps(with_folder)).predict(data).shape == (300,)


def test_what_is_written_is_read_without_running_code():
    row = {"a": np.float32(2), "b": [1, "x", None], "c": object(), "d": {"e": object()}}
    assert plain(row) == {"a": 2.0, "b": [1, "x", None], "d": {}}
    assert plain(object()) is UNWRITTEN
    assert type(plain(np.float64(1))) is float


def test_parameters_are_described_alike_in_every_process():
    assert described(nn.Linear) == described(nn.Linear)
    assert "0x" not in described(lambda x: x)
    layer = nn.Linear(2, 2)
    assert described(layer) != described(nn.Linear(2, 2))
    assert described(np.arange(3)) != described(np.arange(4))
    graph = np.eye(3)
    assert described(Neighbors(graph=graph)) != described(Neighbors(graph=graph * 2))


# Processes that are killed

SCRIPT = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
from sklearn.datasets import load_digits
from sklearn_cce import CollisionClusterer
rank, size, folder, result = sys.argv[1:]
if size != "1":
    torch.distributed.init_process_group(
        "gloo", f"file://{result}.group", rank=int(rank), world_size=int(size)
    )
X, _ = load_digits(return_X_y=True)
clusterer = CollisionClusterer(
    10, random_state=0, batch_size=64, max_epochs=40, distributed=size != "1",
    checkpoint=folder or None,
)
print("ready", flush=True)
clusterer.fit(X)
if rank == "0":
    state = {k: v.numpy() for k, v in clusterer.module_.state_dict().items()}
    with open(result, "wb") as file:
        pickle.dump([state, clusterer.net_.prices_.numpy(), clusterer.labels_], file)
"""


def start(n_ranks, folder, result):
    group = f"{result}.group"
    if os.path.exists(group):
        os.remove(group)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(r), str(n_ranks), str(folder), result],
            env=environment | {"GLOO_SOCKET_IFNAME": "lo"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for r in range(n_ranks)
    ]


def wait(processes):
    for process in processes:
        assert process.wait(timeout=300) == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kills processes")
@pytest.mark.parametrize("n_ranks", [1, 2])
def test_a_fit_survives_being_killed_at_any_moment(n_ranks, tmp_path):
    whole, result = str(tmp_path / "whole"), str(tmp_path / "result")
    began = time.monotonic()
    wait(start(n_ranks, "", whole))
    length = time.monotonic() - began
    expected = pickle.loads((tmp_path / "whole").read_bytes())
    folder, draw, n_killed = tmp_path / "folder", random.Random(n_ranks), 0
    while n_killed < 20:
        processes = start(n_ranks, folder, result)
        for process in processes:
            process.stdout.readline()
        time.sleep(draw.uniform(0, length))
        running = [p for p in processes if p.poll() is None]
        for process in running:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            process.wait()
        n_killed += bool(running)
        if os.path.exists(result):  # it ended before
            assert_same_result(expected, tmp_path / "result")
    wait(start(n_ranks, folder, result))
    assert_same_result(expected, tmp_path / "result")


def assert_same_result(expected, file):
    found = pickle.loads(file.read_bytes())
    for name, value in expected[0].items():
        assert_array_equal(found[0][name], value)
    assert_array_equal(found[1], expected[1])
    assert_array_equal(found[2], expected[2])
    file.unlink()
