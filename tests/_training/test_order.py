"""The order of the clusters: one numbering for labels, predictions and the network."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

from sklearn_cce import CollisionClusterer
from sklearn_cce._training.heads import Order, reorder_outputs, shift_outputs

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:.*weight_norm:FutureWarning",
)
ORDER = torch.tensor([2, 0, 3, 1])
K = 4


class Conv(nn.Module):
    """A network whose last linear layer is not what gives the outputs."""

    def __init__(self, in_features, n_outputs):
        super().__init__()
        self.hidden = nn.Linear(in_features, n_outputs)
        self.head = nn.Conv1d(n_outputs, n_outputs, 1)

    def forward(self, x):
        return self.head(self.hidden(x)[:, :, None])[:, :, 0]


class Tied(nn.Module):
    """A network whose last layer serves twice."""

    def __init__(self, in_features, n_outputs):
        super().__init__()
        self.first = nn.Linear(in_features, n_outputs)
        self.middle = nn.Linear(n_outputs, in_features)
        self.last = nn.Linear(in_features, n_outputs)
        self.last.weight = self.first.weight

    def forward(self, x):
        return self.last(self.middle(self.first(x).tanh()))


class Unused(nn.Module):
    """A network that ends in a linear layer without a use."""

    def __init__(self, in_features, n_outputs):
        super().__init__()
        self.scores = nn.Parameter(torch.randn(in_features, n_outputs))
        self.spare = nn.Linear(in_features, n_outputs)

    def forward(self, x):
        return x @ self.scores


def linear(in_features, n_outputs):
    return nn.Linear(in_features, n_outputs)


def without_bias(in_features, n_outputs):
    return nn.Sequential(
        nn.Linear(in_features, n_outputs, bias=False), nn.LogSoftmax(1)
    )


def normed(in_features, n_outputs):
    return nn.Sequential(nn.Linear(in_features, n_outputs), nn.BatchNorm1d(n_outputs))


def old_weight_norm(in_features, n_outputs):
    return weight_norm(nn.Linear(in_features, n_outputs))


def new_weight_norm(in_features, n_outputs):
    return parametrizations.weight_norm(nn.Linear(in_features, n_outputs))


IN_PLACE = [linear, without_bias]
BEHIND = [Conv, Tied, Unused, normed, old_weight_norm, new_weight_norm]


@pytest.fixture
def x():
    return torch.randn(20, 5, generator=torch.Generator().manual_seed(0))


def made(factory, x):
    """Return a network in evaluation mode, with statistics of the norms."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = factory(5, K)
        module.train()(3 * x + 1)
    return module.eval()


@pytest.mark.parametrize("factory", IN_PLACE + BEHIND)
def test_outputs_are_reordered_with_the_same_parameters(factory, x):
    module = made(factory, x)
    expected, parameters = module(x)[:, ORDER], set(module.parameters())
    moved = reorder_outputs(module, ORDER, x)
    torch.testing.assert_close(moved(x), expected)
    assert set(moved.parameters()) == parameters
    assert (moved is module) == (factory in IN_PLACE)
    assert not moved.training


@pytest.mark.parametrize("factory", BEHIND)
def test_a_network_that_cannot_be_moved_is_left_as_it_was(factory, x):
    module = made(factory, x)
    before = copy.deepcopy(module.state_dict())
    reorder_outputs(module, ORDER, x)
    after = module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("factory", IN_PLACE + BEHIND)
def test_orders_follow_each_other(factory, x):
    module = made(factory, x)
    expected = module(x)[:, ORDER][:, ORDER]
    moved = reorder_outputs(reorder_outputs(module, ORDER, x), ORDER, x)
    torch.testing.assert_close(moved(x), expected)
    assert sum(isinstance(layer, Order) for layer in moved.modules()) <= 1


def test_a_shift_goes_to_the_outputs_in_their_order(x):
    shift = torch.tensor([1.0, -2.0, 0.5, 3.0])
    plain = nn.Linear(x.shape[1], K).eval()
    for module in (plain, nn.Sequential(nn.Linear(x.shape[1], K), Order(ORDER)).eval()):
        expected = module(x) + shift
        shift_outputs(module, shift, x)
        torch.testing.assert_close(module(x), expected)


def test_outputs_that_no_bias_shifts_are_kept(x):
    free = nn.Linear(x.shape[1], K, bias=False).eval()
    followed = nn.Sequential(nn.Linear(x.shape[1], K), nn.ReLU()).eval()
    for module in (free, followed):
        expected = module(x)
        shift_outputs(module, torch.full((K,), -100.0), x)
        torch.testing.assert_close(module(x), expected)


# At the end of a fit


def make(**params):
    quick = {
        "module": "linear",
        "max_epochs": 2,
        "lr": 0.2,
        "random_state": 0,
        "fairness_weight": 0.1,
    }
    return CollisionClusterer(**({"n_clusters": 12, "n_init": 2} | quick | params))


def assert_one_numbering(clusterer, X):
    labels = clusterer.predict(X)
    with torch.no_grad():
        logits = clusterer.module_(torch.tensor(X))
    assert clusterer.module_ is clusterer.net_.module_
    assert_array_equal(labels, clusterer.predict_proba(X).argmax(1))
    assert_array_equal(labels, logits.argmax(1))
    used = np.unique(clusterer.labels_)
    return labels, used


def is_moved(clusterer, X):
    """Return whether clusters were moved, by the order of shares that falls."""
    return not (np.diff(clusterer.net_.prior) < 0).all()


PRIOR = np.arange(12, 0, -1) / 78


@pytest.mark.parametrize("module", ["linear", "mlp", Conv, normed, new_weight_norm])
@pytest.mark.parametrize("seed", range(3))
def test_labels_predictions_and_network_agree(module, seed, X):
    clusterer = make(module=module, cluster_prior=PRIOR, random_state=seed).fit(X)
    labels, used = assert_one_numbering(clusterer, X)
    assert_array_equal(labels, clusterer.labels_)
    assert_array_equal(used, np.arange(len(used)))
    assert not hasattr(clusterer, "_cluster_order")


@pytest.mark.parametrize("module", ["linear", "mlp", Conv, normed])
def test_the_numbering_stays_through_pickles_and_further_training(module, X):
    params = {"module": module, "cluster_prior": PRIOR, "warm_start": True}
    clusterer = make(**params).fit(X)
    assert is_moved(clusterer, X)
    again = pickle.loads(pickle.dumps(clusterer))
    assert_array_equal(again.predict_proba(X), clusterer.predict_proba(X))
    assert_array_equal(again.transform(X), clusterer.transform(X))
    before = clusterer.predict_proba(X)
    for train in (again.partial_fit, again.fit):
        train(X)
        labels, _ = assert_one_numbering(again, X)
        assert_array_equal(labels, again.labels_)
        assert not np.array_equal(again.predict_proba(X), before)
    assert_array_equal(clusterer.predict_proba(X), before)


def test_shares_and_prices_move_with_the_clusters(X):
    clusterer = make(cluster_prior=PRIOR).fit(X)
    net = clusterer.net_
    assert is_moved(clusterer, X)
    assert_array_equal(np.sort(net.prior), np.sort(PRIOR))
    assert_array_equal(net.prior_.numpy(), net.prior.astype(np.float32))
    whole = make(cluster_prior=PRIOR)
    nets = []
    whole._order_clusters = lambda *args: nets.append(copy.deepcopy(whole.net_))
    whole.fit(X)
    order = [int(np.flatnonzero(nets[0].prior == share)[0]) for share in net.prior]
    assert torch.equal(net.prices_, nets[0].prices_[order])
    expected = whole.predict_proba(X)[:, order]
    np.testing.assert_allclose(clusterer.predict_proba(X), expected, rtol=1e-5)


@pytest.mark.parametrize("module", [Conv, Tied, new_weight_norm])
def test_representation_does_not_depend_on_the_order(module, X):
    clusterer = make(module=module, cluster_prior=PRIOR).fit(X)
    plain = make(module=module, cluster_prior=PRIOR)
    plain._order_clusters = lambda *args: None
    plain.fit(X)
    one, two = clusterer.transform(X), plain.transform(X)
    np.testing.assert_allclose(np.sort(one, 1), np.sort(two, 1), atol=1e-4)


def test_the_first_of_equal_probabilities_is_predicted(X):
    clusterer = make(n_clusters=3).fit(X)
    for parameter in clusterer.module_.parameters():
        torch.nn.init.zeros_(parameter)
    clusterer.module_.head.bias.data[2] = 1e-9
    assert_array_equal(clusterer.predict(X), clusterer.predict_proba(X).argmax(1))
