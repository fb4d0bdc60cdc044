"""Callbacks: those of skorch, and the bar."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from sklearn_cce import CollisionClassifier
from tests.helpers import cluster


def test_callbacks_of_skorch_work(data):
    scheduler = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.1)
    clusterer = cluster(callbacks=[("schedule", scheduler)], lr=0.1, init="random").fit(
        data
    )
    assert clusterer.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(1e-4)
    stop = EarlyStopping("train_loss", patience=2, threshold=10, threshold_mode="abs")
    assert cluster(callbacks=[stop], max_epochs=50).fit(data).n_iter_ < 10


def test_verbose_shows_a_bar_a_training_with_the_figures(data, capsys):
    cluster(verbose=1).fit(np.random.default_rng(0).normal(size=data.shape))
    shown = capsys.readouterr()
    assert shown.out == ""
    for word in ("1/1", "2/2", "loss=", "balance=", "changed="):
        assert word in shown.err


class Seen(Callback):
    """Note something about the net at every step, a list for each training."""

    def __init__(self, read):
        self.read, self.seen = read, []

    def on_train_begin(self, net, **kwargs):
        self.seen.append([])

    def on_batch_end(self, net, **kwargs):
        self.seen[-1].append(self.read(net))


def orders():
    return [("seen", Seen(lambda net: net.criterion_.options["order"]))]


def seen_by(estimator):
    return [np.array(seen) for seen in dict(estimator.net_.callbacks_)["seen"].seen]


@pytest.mark.parametrize(
    ("weight", "first"), [(0.1, 100), (1.0, 100), (2.0, 50), (10.0, 10), (1000.0, 10)]
)
def test_without_a_start_the_balance_leads(weight, first, data):
    watch = [("seen", Seen(lambda net: net.fairness_weight))]
    params = {"init": "random", "max_epochs": 20, "fairness_weight": weight}
    clusterer = cluster(callbacks=watch, **params).fit(data)
    seen = np.log(seen_by(clusterer)[0])
    ends = np.log(first), np.log(weight)
    assert np.allclose(seen, np.linspace(*ends, len(seen), endpoint=False))
    assert clusterer.net_.fairness_weight == weight


def test_the_order_rises_from_1_to_2_in_self_labelling(data):
    close = np.random.default_rng(0).normal(size=data.shape)
    clusterer = cluster(callbacks=orders(), max_epochs=8).fit(close)
    learning, labelling = seen_by(clusterer)
    assert (learning == 2).all()
    assert labelling[0] == 1 and 1.7 < labelling[-1] < 2
    assert np.allclose(np.diff(labelling, 2), 0)
    assert clusterer.net_.criterion_.options["order"] == 2


@pytest.mark.parametrize("order", [0, 1.25, np.float32(3)])
def test_an_order_is_kept(order, data):
    clusterer = cluster(callbacks=orders(), loss=order, max_epochs=4).fit(data)
    assert all((seen == order).all() for seen in seen_by(clusterer))


def test_chunks_are_learnt_with_collision(data):
    streamed = cluster(callbacks=orders()).partial_fit(data)
    expected = cluster(loss="collision").partial_fit(data)
    assert np.array_equal(streamed.predict_proba(data), expected.predict_proba(data))


def test_a_classifier_with_a_rising_order(data):
    y = np.arange(len(data)) % 2
    params = {"loss": "rising", "max_epochs": 4, "random_state": 0}
    model = CollisionClassifier(callbacks=orders(), **params)
    (seen,) = seen_by(model.fit(data, y))
    assert seen[0] == 1 and (np.diff(seen) > 0).all() and seen[-1] < 2


def test_training_with_a_rising_order_takes_all_its_passes(data):
    params = {"init": "random", "max_epochs": 30, "tol": 1e6, "patience": 1}
    assert cluster(**params).fit(data).n_iter_ == 30
    assert cluster(loss="collision", **params).fit(data).n_iter_ < 5
