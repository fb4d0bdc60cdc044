"""How one batch becomes one loss, and what an epoch leaves in the history."""

import functools
import math

import numpy as np
import pytest
import torch

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
    net = make_net(LINEAR, lr=0.05, max_epochs=30).partial_fit(samples)
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
