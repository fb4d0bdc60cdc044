"""Batches: every sample once an epoch, in nearly equal parts, from a private order."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback
from torch.utils.data import TensorDataset

from sklearn_cce._training.batches import (
    WINDOW,
    Batches,
    Samples,
    make_samples,
    shuffled,
)
from sklearn_cce._training.sources import (
    BLOCK,
    ArraySource,
    DatasetSource,
    TensorSource,
    check_finite,
)
from sklearn_cce.views import GaussianNoise, RandomAffine
from tests.helpers import assert_untouched, classify, raising


def make_batches(n, batch_size, seed=0, weight=None):
    X = torch.arange(n, dtype=torch.float32)[:, None]
    return Batches(Samples(TensorSource(X), weight), batch_size, seed=seed)


def order_of(batches):
    return [int(value) for X, _ in batches for value in X[:, 0]]


@settings(max_examples=50)
@given(n=st.integers(1, 300), batch_size=st.integers(1, 400), seed=st.integers(0, 99))
def test_every_sample_once_in_nearly_equal_batches(n, batch_size, seed):
    batches = make_batches(n, batch_size, seed)
    sizes = [len(X) for X, _ in batches]
    assert sorted(order_of(batches)) == list(range(n))
    assert len(sizes) == len(batches) == -(-n // batch_size)
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_index_and_weight_belong_to_the_samples():
    weight = torch.linspace(0.5, 1.5, 50)
    for X, (index, w, *_) in make_batches(50, 16, weight=weight):
        assert torch.equal(X[:, 0], index.float())
        assert torch.equal(w, weight[index])


def test_weights_are_none_where_there_are_none():
    assert all(weight is None for _, (_, weight, *_) in make_batches(50, 16))


def test_the_seed_determines_the_order():
    assert order_of(make_batches(50, 16, 3)) == order_of(make_batches(50, 16, 3))
    assert order_of(make_batches(50, 16, 3)) != order_of(make_batches(50, 16, 4))


def test_every_epoch_has_its_own_order():
    batches = make_batches(50, 16)
    assert order_of(batches) != order_of(batches)


@pytest.mark.parametrize("seed", [0, 7])
def test_the_global_random_states_have_no_part(seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    before = torch.get_rng_state()
    assert order_of(make_batches(40, 8, 5)) == order_of(make_batches(40, 8, 5))
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_of_weight_zero_are_left_out():
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 0.0])
    assert sorted(order_of(make_batches(6, 2, weight=weight))) == [0, 2, 4]


def test_sources_give_the_same_batches():
    X = np.random.default_rng(0).normal(size=(70, 3))
    tensor = TensorSource(torch.as_tensor(X, dtype=torch.float32))
    for other in (
        ArraySource(X, torch.device("cpu")),
        ArraySource(np.asfortranarray(X.astype(">f8")), torch.device("cpu")),
        DatasetSource(TensorDataset(torch.as_tensor(X)), torch.device("cpu")),
    ):
        pairs = zip(
            Batches(Samples(tensor), 16, seed=1),
            Batches(Samples(other), 16, seed=1),
            strict=True,
        )
        for (one, (i, *_)), (two, (j, *_)) in pairs:
            assert torch.equal(one, two)
            assert torch.equal(i, j)


def test_equal_samples_are_merged_where_one_batch_holds_all():
    X = TensorSource(torch.tensor([[1.0], [2.0], [1.0], [3.0], [4.0]]))
    weight = np.array([1.0, 2.0, 3.0, 2.0, 0.0])
    samples = make_samples(X, weight, batch_size=5)
    assert samples.source.X.flatten().tolist() == [1, 2, 3]
    assert samples.weight.tolist() == pytest.approx([1.5, 0.75, 0.75])


def test_equal_samples_with_different_targets_are_not_merged():
    X = TensorSource(torch.tensor([[1.0], [1.0], [2.0], [1.0]]))
    target = torch.eye(2)[[0, 1, 0, 0]]
    samples = make_samples(X, None, 5, target)
    assert samples.source.X.flatten().tolist() == [1, 1, 2]
    assert samples.target.tolist() == [[0, 1], [1, 0], [1, 0]]
    assert samples.weight.tolist() == pytest.approx([0.75, 1.5, 0.75])


def test_equal_samples_without_a_target_are_merged():
    X = TensorSource(torch.tensor([[1.0], [1.0], [1.0]]))
    target = torch.tensor([[torch.nan, torch.nan], [torch.nan, torch.nan], [1.0, 0.0]])
    samples = make_samples(X, None, 5, target)
    assert samples.target.isnan().all(1).tolist() == [True, False]
    assert samples.weight.tolist() == pytest.approx([4 / 3, 2 / 3])


def test_views_follow_the_samples_of_a_batch():
    X = TensorSource(torch.arange(20.0)[:, None])
    target = torch.eye(20)
    samples = Samples(
        X,
        target=target,
        walks=[lambda index, generator: (index + 1) % 20],
        transforms=[torch.neg],
    )
    for rows, (index, _, known, _) in Batches(samples, 6, seed=0):
        own, neighbor, negative = rows[:, 0].view(3, -1)
        assert torch.equal(own, index.float())
        assert torch.equal(neighbor, (own + 1) % 20)
        assert torch.equal(negative, -own)
        assert torch.equal(known, target[index])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_sample_that_is_not_finite_is_named(value):
    X = torch.zeros(6, 2)
    X[4, 1] = value
    check_finite(X[:4])
    with pytest.raises(ValueError, match=r"X contains NaN or infinity.*sample 14"):
        check_finite(X, slice(10, 16))


@pytest.mark.parametrize("n", [WINDOW, 2 * WINDOW + 1, 5 * WINDOW + 77])
def test_order_is_a_permutation_that_is_local_where_data_are_large(n):
    order = shuffled(n, torch.Generator().manual_seed(0))
    assert torch.equal(order.sort().values, torch.arange(n))
    blocks = (order[:WINDOW] // BLOCK).unique()
    if n > 2 * WINDOW:
        assert len(blocks) <= WINDOW // BLOCK + 1
    else:
        assert len(blocks) == -(-n // BLOCK)


# Views of the user's


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
