"""How a batch becomes a loss, what an epoch leaves, and what ends a training."""

import contextlib
import functools
import math
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sklearn_cce._training.batches import Samples
from sklearn_cce._training.net import CollisionNet
from sklearn_cce._training.sources import TensorSource
from sklearn_cce.losses import (
    CollisionCrossEntropyLoss,
    ReverseCrossEntropyLoss,
    ShannonCrossEntropyLoss,
)
from sklearn_cce.modules import Linear
from sklearn_cce.pseudo_labels import solve_pseudo_labels
from tests.helpers import assert_untouched, classify, cluster

K = 3
LINEAR = functools.partial(Linear, 4, K)


def recording(loss):
    """Return a loss class that keeps what it was last called with."""

    class Recording(loss):
        def forward(self, logits, target):
            logits.retain_grad()
            self.logits, self.target = logits, target
            self.value = super().forward(logits, target)
            return self.value

    return Recording


def identity():
    """Return a network that gives its input as the logits."""
    layer = torch.nn.Linear(K, K)
    torch.nn.init.eye_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    return layer


def make_net(
    module=identity, criterion=CollisionCrossEntropyLoss, prior=(1 / K,) * K, **params
):
    params = {"fairness_weight": 10.0, "max_epochs": 1, "verbose": 0} | params
    return CollisionNet(
        module,
        criterion=recording(criterion),
        prior=np.array(prior),
        pseudo_labels="em",
        iterator_train__seed=0,
        batch_size=1000,
        **params,
    ).initialize()


def one_step(logits, weight=None, **params):
    """Return a net's criterion after a step on one batch with the given logits."""
    net = make_net(**params)
    net.partial_fit(Samples(TensorSource(logits), weight))
    criterion = net.criterion_
    criterion.loss = net.history[-1, "train_loss"]
    return criterion


@pytest.fixture
def logits():
    return 3 * torch.randn(40, K, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def samples(X):
    return Samples(TensorSource(torch.tensor(X)))


def test_pseudo_labels_are_distributions_without_a_gradient(logits):
    labels = one_step(logits).target
    assert not labels.requires_grad
    assert labels.shape == logits.shape
    assert (labels >= 0).all()
    assert labels.sum(1) == pytest.approx(torch.ones(40), abs=1e-5)


def objective(labels, probabilities, fairness_weight=10.0):
    """Return the objective of the pseudo-labels for a uniform prior."""
    agreement = -(labels * probabilities).sum(1).log().mean()
    balance = -(labels.mean(0) * K).log().mean()
    return float(agreement + fairness_weight * balance)


@pytest.mark.parametrize("n_outputs, method", [(149, "em"), (150, "exact")])
def test_many_outputs_have_exact_pseudo_labels(n_outputs, method):
    prior, names = np.full(n_outputs, 1 / n_outputs), {"auto": method, "em": "em"}
    for name, used in names.items():
        net = make_net(prior=prior).set_params(pseudo_labels=name)
        assert net.method == used


def test_pseudo_labels_come_closer_to_the_optimum_than_the_predictions(logits):
    step = one_step(logits)
    probabilities = step.logits.detach().softmax(1)
    best = solve_pseudo_labels(probabilities, fairness_weight=10.0, tol=1e-3)
    found = objective(step.target, probabilities)
    assert best.lower_bound <= found < objective(probabilities, probabilities)


@pytest.mark.parametrize("prior", [(1 / 3, 1 / 3, 1 / 3), (0.2, 0.3, 0.5)])
def test_pseudo_labels_are_closer_to_the_prior_than_the_predictions(logits, prior):
    logits = logits + torch.tensor([2.0, 0.0, 0.0])
    labels = one_step(logits, fairness_weight=100.0, prior=prior).target
    target = torch.tensor(prior)
    distance = (labels.mean(0) - target).abs().sum()
    assert distance < 0.6 * (logits.softmax(1).mean(0) - target).abs().sum()


def test_gradient_of_the_collision_loss_is_s_minus_q(logits):
    step = one_step(logits)
    s = step.logits.detach().softmax(1)
    q = step.target * s
    expected = (s - q / q.sum(1, keepdim=True)) / len(s)
    assert step.logits.grad == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "criterion",
    [CollisionCrossEntropyLoss, ShannonCrossEntropyLoss, ReverseCrossEntropyLoss],
)
def test_loss_is_the_weighted_mean_of_the_criterion(criterion, logits):
    weight = torch.linspace(0.05, 1.95, 40)
    step = one_step(logits, weight, criterion=criterion)
    order = [int((logits == row).all(1).nonzero()) for row in step.logits.detach()]
    expected = float((step.value.detach() * weight[order]).mean())
    assert step.loss == pytest.approx(expected, rel=1e-5)


def test_history_has_one_row_an_epoch(samples):
    net = make_net(LINEAR, max_epochs=3).partial_fit(samples)
    assert len(net.history) == 3
    for row in net.history:
        assert {"epoch", "train_loss", "balance", "changed", "dur"} <= set(row)
        assert math.isfinite(row["train_loss"])
        assert 0 <= row["balance"] <= math.log(K) + 1e-6
        assert 0 <= row["changed"] <= 1
    assert net.history[0, "changed"] == 1


def test_training_lowers_the_loss(samples):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make_net(LINEAR, lr=0.05, max_epochs=30)
    net.partial_fit(samples)
    losses = net.history[:, "train_loss"]
    assert losses[-1] < losses[0]


def test_training_leaves_nothing_of_the_size_of_the_data(samples):
    net = make_net(LINEAR, max_epochs=3).partial_fit(samples)
    kept = [v for v in vars(net).values() if isinstance(v, torch.Tensor)]
    assert all(len(v) == K for v in kept)
    assert all(p.grad is None for p in net.module_.parameters())


def test_a_loss_that_is_not_finite_names_epoch_and_remedy(samples):
    net = make_net(LINEAR)
    net.module_.head.weight.data.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match=r"epoch 1.*smaller lr"):
        net.partial_fit(samples)


def test_known_targets_are_learnt_as_they_are(logits):
    target = torch.rand(40, K).softmax(1)
    net = make_net()
    net.partial_fit(Samples(TensorSource(logits), target=target))
    index = (net.criterion_.target[:, None] == target).all(2).int().argmax(1)
    assert torch.equal(net.criterion_.target, target[index])
    assert sorted(index.tolist()) == list(range(40))


def test_samples_without_a_target_are_pseudo_labelled(logits):
    target = torch.eye(K)[logits.argmax(1)]
    target[10:] = torch.nan
    net = make_net()
    net.partial_fit(Samples(TensorSource(logits), target=target))
    learnt = net.criterion_.target
    assert learnt.isfinite().all()
    assert (learnt.amax(1) < 1).sum() == 30


def test_every_view_learns_the_label_of_the_next(logits):
    samples = Samples(TensorSource(logits), transforms=[torch.neg])
    net = make_net(fairness_weight=1e-6)
    net.partial_fit(samples)
    one, two = net.criterion_.logits.argmax(1).split(40)
    assert torch.equal(net.criterion_.target.argmax(1), torch.cat([two, one]))


# In a fit


class Recorder(Callback):
    """Note the names of the hooks that are called."""

    def __init__(self):
        self.calls = []

    def on_epoch_end(self, net, **kwargs):
        self.calls.append("epoch")

    def on_batch_end(self, net, **kwargs):
        self.calls.append("batch")


def test_history_has_no_batches_unless_there_are_callbacks(data):
    assert cluster().fit(data).history_[:, "batches"] == [[], [], []]
    recorder = Recorder()
    clusterer = cluster(callbacks=[recorder]).fit(data)
    assert [len(b) for b in clusterer.history_[:, "batches"]] == [5, 5, 5]
    assert recorder.calls == (["batch"] * 5 + ["epoch"]) * 3


@pytest.mark.filterwarnings("ignore")
def test_compiled_training_is_training(data):
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2))
    except Exception as error:
        pytest.skip(f"torch.compile does not work here: {type(error).__name__}")
    compiled = cluster(compile=True).fit(data)
    plain = cluster().fit(data)
    assert type(compiled.module_) is type(plain.module_)
    np.testing.assert_allclose(
        compiled.predict_proba(data), plain.predict_proba(data), rtol=1e-3, atol=1e-4
    )
    assert np.array_equal(
        pickle.loads(pickle.dumps(compiled)).labels_, compiled.labels_
    )


class Pickled(Callback):
    """Pickle the net as it is trained."""

    def on_epoch_end(self, net, **kwargs):
        Pickled.net = pickle.loads(pickle.dumps(net))


@pytest.mark.filterwarnings("ignore")
def test_a_net_pickled_in_training_has_one_network(data):
    cluster(max_epochs=1, callbacks=[Pickled()]).fit(data)
    X = torch.from_numpy(data[:16])
    assert Pickled.net.module_.training
    before = Pickled.net.infer(X)
    for parameter in Pickled.net.module_.parameters():
        parameter.data.zero_()
    assert before.any()
    assert not Pickled.net.infer(X).any()


# Callbacks that stop, and Ctrl-C

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
    for estimator in (
        quick(batch_size=16, on_interrupt="keep"),
        quick(init="random", n_init=2),
        classify(early_stopping=True),
        classify(views="neighbors"),
    ):
        estimator.set_params(callbacks=[Stop(hook, after)])
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


class Interrupt(Callback):
    """Act as Ctrl-C does: raise from the middle of a training step."""

    def on_train_begin(self, net, **kwargs):
        self.n_steps = 0
        train_step = net.train_step

        def interrupted_step(batch, **fit_params):
            self.n_steps += 1
            if self.n_steps > 7:
                raise KeyboardInterrupt
            return train_step(batch, **fit_params)

        net.train_step = interrupted_step

    def on_train_end(self, net, **kwargs):
        del net.train_step


def test_ctrl_c_leaves_the_estimator_as_it_was(data):
    clusterer = cluster().fit(data)
    expected = clusterer.predict_proba(data)
    clusterer.set_params(callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        clusterer.fit(data)
    assert np.array_equal(clusterer.predict_proba(data), expected)


def test_ctrl_c_can_keep_the_network_as_it_stands(data):
    clusterer = cluster(
        callbacks=[Interrupt()], on_interrupt="keep", init="random", n_init=1
    )
    clusterer.fit(data)
    assert clusterer.n_iter_ == 2  # five steps an epoch, and the eighth is interrupted
    assert clusterer.predict(data).shape == (300,)


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
