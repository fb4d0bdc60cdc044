"""CollisionClusterer: what fit leaves, what predict gives, and what is refused."""

import io
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.exceptions import (
    ConvergenceWarning,
    NotFittedError,
    UnsetMetadataPassedError,
)
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import TensorDataset

from sklearn_cce import CollisionClusterer
from sklearn_cce._base import resolve_device
from sklearn_cce.metrics import clustering_accuracy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LOSSES = ["rising", "collision", "shannon", "reverse", 1.5]


class Small(nn.Sequential):
    """A perceptron of the user's own."""

    def __init__(self, in_features, n_outputs):
        super().__init__(nn.Linear(in_features, 6), nn.Tanh(), nn.Linear(6, n_outputs))


class Conv(nn.Module):
    """A convolutional network that takes images only."""

    def __init__(self, in_shape, n_outputs):
        super().__init__()
        channels, height, width = in_shape
        self.conv = nn.Conv2d(channels, 3, 3, padding=1)
        self.head = nn.Linear(3 * height * width, n_outputs)

    def forward(self, x):
        assert x.ndim == 4
        return self.head(self.conv(x).relu().flatten(1))


class Wide(nn.Linear):
    """A network with one output too many."""

    def __init__(self, in_features, n_outputs):
        super().__init__(in_features, n_outputs + 1)


class Narrow(nn.Linear):
    """A network for fewer features than there are."""

    def __init__(self, in_features, n_outputs):
        super().__init__(in_features - 1, n_outputs)


class Pair(nn.Linear):
    """A network that returns a tuple."""

    def forward(self, x):
        return super().forward(x), x


def make_small(in_features, n_outputs):
    return Small(in_features, n_outputs)


def make_no_module(in_features, n_outputs):
    return "a network"


def make_from_nothing():
    return Small(4, 3)


def sorted_rows(values):
    return values.detach()[values.detach().reshape(len(values), -1)[:, 0].argsort()]


def random_states():
    return np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()


# What fit leaves


def test_fit_finds_clear_clusters(fitted, blobs):
    assert adjusted_rand_score(blobs[1], fitted.labels_) == 1


@pytest.mark.parametrize("module", ["linear", "mlp"])
def test_networks_have_time_to_learn_the_start(module):
    X, y = load_digits(return_X_y=True)
    clusterer = CollisionClusterer(
        10, fairness_weight=1.0, module=module, random_state=0
    )
    assert clustering_accuracy(y, clusterer.fit_predict(X)) > 0.92


@pytest.mark.parametrize(("module", "lr"), [("linear", 1e-2), (Small, 1e-3)])
def test_usual_learning_rates(module, lr, X, quick):
    clusterer = quick(module=module, lr="auto").fit(X)
    assert clusterer.net_.lr == lr
    assert quick(module=module, lr=0.3).fit(X).net_.lr == 0.3


@pytest.mark.parametrize("module", ["linear", "mlp"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_finds_clear_clusters(module, loss, X, blobs, quick):
    clusterer = quick(module=module, loss=loss, max_epochs=60).fit(X)
    assert adjusted_rand_score(blobs[1], clusterer.labels_) > 0.9


def test_attributes(fitted, X):
    assert fitted.labels_.shape == (60,)
    assert fitted.labels_.dtype.kind == "i"
    assert isinstance(fitted.module_, nn.Module)
    assert fitted.module_ is fitted.net_.module_
    assert not fitted.module_.training
    assert fitted.n_features_in_ == 4
    assert fitted.n_iter_ == len(fitted.history_)
    assert not hasattr(fitted, "feature_names_in_")


def test_the_net_alone_owns_network_and_history(fitted, X, quick):
    assert not {"module_", "history_"} & vars(fitted).keys()
    again = pickle.loads(pickle.dumps(fitted))
    assert again.module_ is again.net_.module_
    assert again.history_ is again.net_.history
    tensors = [v for v in vars(fitted).values() if isinstance(v, torch.Tensor)]
    assert not tensors  # on CUDA they would not load elsewhere
    wide = quick(module="mlp", max_epochs=1).fit(X)
    weights = sum(w.nbytes for w in wide.module_.state_dict().values())
    assert weights < len(pickle.dumps(wide)) < weights + 20_000


def test_probabilities_are_those_of_the_clusters_of_the_samples(X, quick):
    for clusterer in (quick().fit(X), quick(init="random").fit(X), quick()):
        clusterer.partial_fit(X[:40])
        found = clusterer.probabilities_
        assert found.shape == (40,) and found.dtype == np.float32
        shares = clusterer.predict_proba(X[:40])
        assert_array_equal(found, shares.max(1))
        assert_array_equal(clusterer.labels_, shares.argmax(1))


@pytest.mark.parametrize("weighted", [False, True])
def test_cluster_centers_are_weighted_means(weighted, X, quick):
    n = 10_000  # more than one slice
    samples = np.tile(X, (n // len(X), 1)) + 100
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 3, len(samples)) if weighted else None
    clusterer = quick(n_clusters=4, max_epochs=2).fit(samples, sample_weight=weight)
    masses = np.ones(len(samples)) if weight is None else weight
    for k in range(4):
        own = clusterer.labels_ == k
        found = clusterer.cluster_centers_[k]
        if masses[own].sum():
            expected = np.average(samples[own].astype(float), 0, masses[own])
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        else:
            assert np.isnan(found).all()


def test_a_cluster_without_samples_has_no_center(X, quick):
    clusterer = quick().fit(X)
    clusterer.partial_fit(X[clusterer.labels_ == 0])
    empty = np.bincount(clusterer.labels_, minlength=3) == 0
    assert empty.any()
    assert_array_equal(np.isnan(clusterer.cluster_centers_).all(1), empty)


def test_images_have_no_centers(X, images, quick):
    clusterer = quick().fit(X).set_params(n_clusters=2).fit(images)
    assert not hasattr(clusterer, "cluster_centers_")


@pytest.mark.parametrize("name", ["module_", "history_"])
def test_there_is_no_network_before_fit(name, quick):
    assert not hasattr(quick(), name)
    with pytest.raises(AttributeError, match=f"not fitted and has no {name} yet"):
        getattr(quick(), name)


def test_n_iter_is_max_epochs_where_training_does_not_converge(X, quick):
    assert quick(max_epochs=7).fit(X).n_iter_ == 7


def test_training_ends_after_patience_epochs_without_progress(X, quick):
    params = {"max_epochs": 50, "tol": 1e6, "patience": 3, "init": "random"}
    params["loss"] = "collision"
    clusterer = quick(**params).fit(X)
    assert clusterer.n_iter_ <= 4


def test_parameters_are_left_as_they_are(X, quick):
    prior, callbacks = [0.5, 0.25, 0.25], []
    clusterer = quick(cluster_prior=prior, callbacks=callbacks, device="cpu")
    before = dict(clusterer.get_params())
    clusterer.fit(X)
    assert clusterer.get_params() == before
    assert prior == [0.5, 0.25, 0.25]


def test_cluster_prior_shapes_the_clusters(quick):
    X = np.random.default_rng(0).normal(size=(400, 2))
    prior = np.array([0.6, 0.3, 0.1])
    clusterer = quick(cluster_prior=prior, fairness_weight=100, max_epochs=150).fit(X)
    sizes = np.bincount(clusterer.labels_, minlength=3) / 400
    assert np.abs(sizes - prior).sum() < np.abs(sizes - 1 / 3).sum()


def test_callbacks_are_called(X, quick):
    class Count(Callback):
        epochs = []

        def on_epoch_end(self, net, **kwargs):
            self.epochs.append(len(net.history))

    quick(max_epochs=3, callbacks=[Count()]).fit(X)
    assert Count.epochs == [1, 2, 3]


# predict, predict_proba, transform


def test_labels_are_those_of_predict(fitted, X):
    assert_array_equal(fitted.labels_, fitted.predict(X))
    assert_array_equal(fitted.labels_, fitted.predict_proba(X).argmax(1))


def test_fit_predict_gives_the_labels(X, quick):
    clusterer = quick()
    assert_array_equal(clusterer.fit_predict(X), clusterer.labels_)


def test_probabilities_are_distributions(fitted, X):
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (60, 3)
    assert (probabilities >= 0).all()
    assert_allclose(probabilities.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_clusters_that_are_used_come_first(seed, X, quick):
    clusterer = quick(12, max_epochs=2, lr=0.2, random_state=seed).fit(X)
    used = np.unique(clusterer.labels_)
    assert_array_equal(used, np.arange(len(used)))
    assert_array_equal(clusterer.labels_, clusterer.predict_proba(X).argmax(1))


@pytest.mark.parametrize("module", ["linear", "mlp"])
def test_prediction_of_a_sample_does_not_depend_on_those_beside_it(module, X, quick):
    clusterer = quick(module=module).fit(X)
    whole = clusterer.predict_proba(X)
    for size in (1, 2, 7, 59):
        parts = [clusterer.predict_proba(X[i : i + size]) for i in range(0, 60, size)]
        assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-7)


def test_transform_of_a_linear_module_is_the_log_odds(fitted, X):
    log_probabilities = np.log(fitted.predict_proba(X).astype(float))
    expected = log_probabilities - log_probabilities.mean(1, keepdims=True)
    Z = fitted.transform(X)
    assert_allclose(np.sort(Z, 1), np.sort(expected, 1), rtol=1e-3, atol=1e-3)


def test_transform_is_what_the_last_layer_sees(X, quick):
    clusterer = quick(module=Small).fit(X)
    head = clusterer.module_[-1]
    with torch.no_grad():
        logits = head(torch.tensor(clusterer.transform(X)))
        expected = clusterer.module_(torch.tensor(X))
    assert clusterer.transform(X).shape == (60, 6)
    assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_fit_transform_is_fit_then_transform(X, quick):
    Z = quick().fit_transform(X)
    assert_array_equal(Z, quick().fit(X).transform(X))


def test_feature_names_out(fitted, X):
    names = fitted.get_feature_names_out()
    assert_array_equal(names, [f"collisionclusterer{i}" for i in range(3)])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_set_output_and_feature_names(frame, X, quick):
    data = frame({f"f{i}": X[:, i] for i in range(4)})
    library = frame.__module__.split(".")[0]
    clusterer = quick().set_output(transform=library).fit(data)
    Z = clusterer.transform(data)
    assert isinstance(Z, frame)
    assert list(Z.columns) == list(clusterer.get_feature_names_out())
    seen = getattr(KMeans(2).fit(data), "feature_names_in_", None)
    assert_array_equal(getattr(clusterer, "feature_names_in_", None), seen)
    assert_array_equal(clusterer.labels_, quick().fit(X).labels_)


# Modules


@pytest.mark.parametrize("module", [Small, make_small, Small(4, 3)])
def test_module_is_a_class_a_factory_or_a_network(module, X, quick):
    clusterer = quick(module=module).fit(X)
    assert isinstance(clusterer.module_, Small)
    assert clusterer.predict_proba(X).shape == (60, 3)


def test_a_given_network_is_not_changed(X, quick):
    network = Small(4, 3)
    before = [p.clone() for p in network.parameters()]
    clusterer = quick(module=network).fit(X)
    after = list(network.parameters())
    assert clusterer.module_ is not network
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None for p in after)


def test_a_given_network_is_where_the_training_starts(X, quick):
    network = Small(4, 3)
    clusterer = quick(module=network, lr=1e-12, max_epochs=1).fit(X)
    pairs = zip(network.parameters(), clusterer.module_.parameters(), strict=True)
    # The rows of the last layer may be in another order.
    assert all(
        torch.allclose(sorted_rows(a), sorted_rows(b), atol=1e-6) for a, b in pairs
    )


def test_images_reach_a_convolutional_module_as_they_are(images, quick):
    clusterer = quick(2, module=Conv, max_epochs=20, lr=0.01).fit(images)
    assert clusterer.labels_.shape == (24,)
    assert clusterer.transform(images).shape == (24, 3 * 64)
    assert_array_equal(clusterer.predict(images), clusterer.labels_)


def test_vgg4_takes_images(images, quick):
    clusterer = quick(2, module="vgg4", max_epochs=1, lr=1e-3).fit(images)
    assert clusterer.predict_proba(images).shape == (24, 2)


def test_linear_on_images_is_linear_on_their_pixels(images, quick):
    table = images.reshape(24, -1)
    one, two = quick(2).fit(images), quick(2).fit(table)
    assert_allclose(one.predict_proba(images), two.predict_proba(table), atol=1e-5)


def test_dropout_is_off_in_predict(X, quick):
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    clusterer = quick(module=network).fit(X)
    assert_array_equal(clusterer.predict_proba(X), clusterer.predict_proba(X))


# Randomness


@pytest.mark.parametrize("module", ["linear", "mlp"])
@pytest.mark.parametrize("batch_size", [16, 1000])
def test_same_random_state_gives_the_same_bits(module, batch_size, X, quick):
    one, two = (quick(module=module, batch_size=batch_size).fit(X) for _ in range(2))
    assert_array_equal(one.labels_, two.labels_)
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))


def test_global_random_states_have_no_influence(X, quick):
    results = []
    for seed in (1, 2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        results.append(quick(batch_size=16).fit(X).predict_proba(X))
    assert_array_equal(*results)


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(3)])
def test_global_random_states_are_not_touched(random_state, X, quick):
    before = random_states()
    clusterer = quick(random_state=random_state, batch_size=16).fit(X)
    clusterer.predict(X)
    clusterer.transform(X)
    clusterer.score(X)
    assert random_states() == before


def test_global_random_states_are_not_touched_by_a_failed_fit(X, quick):
    before = random_states()
    with pytest.raises(FloatingPointError):
        quick(lr=1e39, max_epochs=20).fit(X)
    assert random_states() == before


def test_other_random_states_give_other_networks(X, quick):
    one, two = (quick(random_state=seed).fit(X).predict_proba(X) for seed in (0, 1))
    assert not np.array_equal(one, two)


# Sample weights


@pytest.mark.parametrize("loss", LOSSES)
def test_weight_two_is_a_repeated_sample(loss, X, quick):
    weight = np.where(np.arange(60) < 20, 2, 1)
    weighted = quick(loss=loss).fit(X, sample_weight=weight)
    repeated = quick(loss=loss).fit(np.concatenate([X, X[:20]]))
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("batch_size", [16, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_weight_zero_is_a_removed_sample(batch_size, seed, X, quick):
    params = {"batch_size": batch_size, "random_state": seed, "module": "mlp"}
    weight = np.tile([1, 1, 0], 20)
    weighted = quick(8, **params).fit(X, sample_weight=weight)
    removed = quick(8, **params).fit(X[weight > 0])
    assert_allclose(weighted.predict_proba(X), removed.predict_proba(X), atol=1e-6)
    assert weighted.labels_.shape == (60,)


@pytest.mark.parametrize("scale", [1.0, 0.25, 1e-300, 1e300])
def test_equal_weights_are_no_weights(scale, X, quick):
    weighted = quick().fit(X, sample_weight=np.full(60, scale))
    assert_allclose(weighted.predict_proba(X), quick().fit(X).predict_proba(X))


def test_weights_count_in_the_balance(quick):
    X = np.random.default_rng(0).normal(size=(300, 2))
    weight = np.where(X[:, 0] > 0, 9.0, 1.0)
    params = {"max_epochs": 100, "lr": 0.02, "batch_size": 1000, "views": None}
    clusterer = quick(2, fairness_weight=100, init="random", **params)
    labels = clusterer.fit(X, sample_weight=weight).labels_
    shares = np.bincount(labels, weight, minlength=2) / weight.sum()
    assert_allclose(shares, 0.5, atol=0.15)


# Warm start and streams


def test_warm_start_goes_on(X, quick):
    clusterer = quick(module="mlp", warm_start=True, max_epochs=5, lr=1e-3).fit(X)
    before = clusterer.history_[-1, "train_loss"]
    clusterer.set_params(max_epochs=3).fit(X)
    assert clusterer.n_iter_ == 3
    assert clusterer.history_[-1, "train_loss"] < before


def test_without_warm_start_every_fit_is_the_same(X, quick):
    clusterer = quick()
    first = clusterer.fit(X).predict_proba(X)
    assert_array_equal(clusterer.fit(X).predict_proba(X), first)
    assert len(clusterer.history_) == clusterer.n_iter_


@pytest.mark.parametrize("n_clusters", [2, 4])
def test_warm_start_with_another_n_clusters_is_refused(n_clusters, X, quick):
    clusterer = quick(warm_start=True).fit(X)
    clusterer.set_params(n_clusters=n_clusters)
    with pytest.raises(ValueError, match="n_clusters=3.*warm_start=False"):
        clusterer.fit(X)


def test_partial_fit_learns_from_a_stream(X, blobs, quick):
    clusterer = quick(lr=0.05, max_epochs=None)
    for _ in range(10):
        for start in (0, 30):
            clusterer.partial_fit(X[start : start + 30])
    assert adjusted_rand_score(blobs[1], clusterer.predict(X)) > 0.9


# The company it keeps


def test_pipeline(X, blobs, quick):
    pipeline = make_pipeline(StandardScaler(), quick(max_epochs=60))
    assert adjusted_rand_score(blobs[1], pipeline.fit_predict(X)) == 1
    assert pipeline.predict_proba(X).shape == (60, 3)
    assert list(pipeline.get_feature_names_out()) == list(
        pipeline[-1].get_feature_names_out()
    )


@pytest.mark.parametrize(
    ("method", "shape"), [("predict", (60,)), ("predict_proba", (60, 3))]
)
def test_cross_val_predict(method, shape, X, quick):
    assert cross_val_predict(quick(), X, cv=3, method=method).shape == shape


def test_clone_is_unfitted_and_equal(fitted, X):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(X)


@pytest.mark.parametrize("module", ["mlp", Small, make_small])
def test_pickle(module, X, quick):
    clusterer = quick(module=module).fit(X)
    copy = pickle.loads(pickle.dumps(clusterer))
    assert_array_equal(copy.predict_proba(X), clusterer.predict_proba(X))
    assert_array_equal(copy.transform(X), clusterer.transform(X))
    assert_array_equal(copy.fit(X).labels_, clusterer.labels_)


def test_joblib_dump(fitted, X):
    file = io.BytesIO()
    joblib.dump(fitted, file)
    file.seek(0)
    assert_array_equal(joblib.load(file).predict_proba(X), fitted.predict_proba(X))


def test_a_pickle_does_not_hold_the_data(quick):
    X = np.random.default_rng(0).normal(size=(5000, 40)).astype(np.float32)
    clusterer = quick(max_epochs=1).fit(X)
    assert len(pickle.dumps(clusterer)) < X.nbytes / 2


def test_feature_union(X, quick):
    union = FeatureUnion([("scale", StandardScaler()), ("cluster", quick())])
    Z = union.fit_transform(X)
    assert Z.shape == (60, 7)
    assert union.get_feature_names_out()[-1] == "cluster__collisionclusterer2"


def test_metadata_routing_of_sample_weight(X, quick):
    weight = np.tile([1.0, 5.0, 0.0], 20)
    expected = quick().fit(X, sample_weight=weight).predict_proba(X)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = make_pipeline(quick().set_fit_request(sample_weight=True))
        routed.fit(X, sample_weight=weight)
        assert_array_equal(routed.predict_proba(X), expected)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            make_pipeline(quick()).fit(X, sample_weight=weight)


# Odd input that must work


@settings(max_examples=40)
@given(
    data=st.data(),
    n_clusters=st.integers(1, 4),
    batch_size=st.integers(1, 12),
    order=st.sampled_from("CF"),
    dtype=st.sampled_from(["f2", ">f4", "<f8", ">f8", "i4", "u1", "?"]),
)
def test_any_array_can_be_clustered(data, n_clusters, batch_size, order, dtype):
    shape = data.draw(
        array_shapes(min_dims=2, max_dims=3, max_side=9).filter(
            lambda shape: shape[0] >= n_clusters
        )
    )
    X = data.draw(arrays(np.int8, shape, elements=st.integers(0, 3)))
    X = np.asarray(X.astype(dtype), order=order)
    X.setflags(write=False)
    clusterer = CollisionClusterer(
        n_clusters, module="linear", max_epochs=1, batch_size=batch_size, random_state=0
    ).fit(X)
    used = np.unique(clusterer.labels_)
    assert_array_equal(used, np.arange(len(used)))
    assert_array_equal(clusterer.labels_, clusterer.predict(X))
    assert_allclose(clusterer.predict_proba(X).sum(1), 1, atol=1e-6)


CONVERSIONS = {
    "float64": lambda X: X.astype(np.float64),
    "big-endian": lambda X: X.astype(">f8"),
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "list": lambda X: X.tolist(),
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "tensor": torch.tensor,
    "dataset": lambda X: TensorDataset(torch.tensor(X)),
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
def test_the_form_of_the_input_does_not_matter(convert, X, quick):
    converted = convert(X)
    clusterer = quick(batch_size=16).fit(converted)
    assert_array_equal(clusterer.labels_, quick(batch_size=16).fit(X).labels_)
    assert_array_equal(clusterer.predict(converted), clusterer.predict(X))


def test_float16(X, quick):
    half = X.astype(np.float16)
    expected = quick().fit(half.astype(np.float32)).predict_proba(half)
    assert_array_equal(quick().fit(half).predict_proba(half), expected)


def test_read_only_memory_map(X, quick, tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    clusterer = quick(batch_size=16).fit(mapped)
    assert_array_equal(clusterer.labels_, quick(batch_size=16).fit(X).labels_)
    assert_array_equal(clusterer.predict(mapped), clusterer.labels_)


def test_input_is_not_changed(X, quick):
    copy = X.copy()
    quick().fit(copy).predict(copy)
    assert_array_equal(copy, X)


def test_constant_features(X, quick):
    X = np.column_stack([X, np.full(60, 7.0)])
    assert np.isfinite(quick().fit(X).predict_proba(X)).all()


@pytest.mark.parametrize("n_clusters", [1, 3])
def test_equal_samples_are_in_one_cluster(n_clusters, quick):
    clusterer = quick(n_clusters).fit(np.ones((20, 3)))
    assert_array_equal(clusterer.labels_, np.zeros(20))


def test_one_cluster(X, quick):
    clusterer = quick(1).fit(X)
    assert_array_equal(clusterer.labels_, np.zeros(60))
    assert_array_equal(clusterer.predict_proba(X), np.ones((60, 1)))


def test_as_many_clusters_as_samples(X, quick):
    assert quick(3).fit(X[:3]).labels_.shape == (3,)


@pytest.mark.parametrize("batch_size", [1, 7, 59, 60, 61, 10_000])
def test_any_batch_size(batch_size, X, quick):
    clusterer = quick(batch_size=batch_size).fit(X)
    assert np.isfinite(clusterer.predict_proba(X)).all()


@pytest.mark.parametrize("scale", [1e-20, 1e15])
def test_any_scale_of_the_features(scale, X, quick):
    assert np.isfinite(quick().fit(X * scale).predict_proba(X * scale)).all()


# Bad input


def with_entry(X, value):
    X = X.copy()
    X[7, 2] = value
    return X


BAD_X = {
    "NaN": (lambda X: with_entry(X, np.nan), ValueError, "Input X contains NaN"),
    "infinity": (lambda X: with_entry(X, np.inf), ValueError, "X contains infinity"),
    "no samples": (lambda X: X[:0], ValueError, "0 sample"),
    "no features": (lambda X: X[:, :0], ValueError, r"0 feature"),
    "too few": (lambda X: X[:2], ValueError, "n_samples=2 should be >= n_clusters=3"),
    "1-D": (lambda X: X[:, 0], ValueError, "Expected 2D array"),
    "sparse": (scipy.sparse.csr_matrix, TypeError, "(?i)sparse.* X"),
    "strings": (lambda X: np.full((9, 2), "a"), ValueError, "X must hold .*numbers"),
    "complex": (lambda X: X + 1j, ValueError, "Complex data not supported"),
    "NaN in a dataset": (
        lambda X: TensorDataset(torch.tensor(with_entry(X, np.nan))),
        ValueError,
        "X contains NaN or infinity.*sample 7",
    ),
}
PRIOR = "cluster_prior must be 3 non-negative numbers that sum to 1"
BAD_PARAMETERS = [
    ("n_clusters", 0, "int in the range"),
    ("fairness_weight", 0, "float in the range"),
    ("fairness_weight", np.nan, "float in the range"),
    ("cluster_prior", [0.5, 0.5], PRIOR),
    ("cluster_prior", [0.5, 0.5, 0.5], PRIOR),
    ("cluster_prior", [1.5, -0.5, 0.0], PRIOR),
    ("cluster_prior", [np.nan, 0.5, 0.5], PRIOR),
    ("cluster_prior", ["a", "b", "c"], PRIOR),
    ("cluster_prior", [[0.2, 0.3, 0.5]], PRIOR),
    ("cluster_prior", "uniform", "array-like, a str among"),
    ("module", "cnn", "str among"),
    ("module", 3, "callable"),
    ("module", Wide, r"shape \(n_samples, 3\).*returned \(2, 4\)"),
    ("module", Wide(4, 3), r"shape \(n_samples, 3\).*returned \(2, 4\)"),
    ("module", Pair, r"shape \(n_samples, 3\).*returned tuple"),
    ("module", Narrow, "must take a tensor of shape"),
    ("module", make_no_module, "torch.nn.Module or a callable.*returned str"),
    ("module", make_from_nothing, r"takes \(in_shape, n_outputs\)"),
    ("module", nn.Identity(), "must have parameters"),
    ("loss", "hinge", "str among"),
    ("pseudo_labels", "magic", "str among"),
    ("max_epochs", 0, "int in the range"),
    ("tol", -1, "float in the range"),
    ("patience", 0, "int in the range"),
    ("batch_size", 0, "int in the range"),
    ("batch_size", 2.5, "int in the range"),
    ("optimizer", "newton", "str among"),
    ("lr", 0, "float in the range"),
    ("lr", "fast", "str among {'auto'}"),
    ("weight_decay", -1, "float in the range"),
    ("device", "tpu", "'auto' or one of"),
    ("device", "cpu:1", "'auto' or one of"),
    ("device", 0, "str"),
    ("warm_start", "yes", "bool"),
    ("callbacks", "all", "list"),
    ("callbacks", [3], "skorch.callbacks.Callback"),
    ("random_state", "seed", "int in the range"),
    ("verbose", -1, "int in the range"),
]
BAD_WEIGHTS = {
    "negative": (np.full(60, -1.0), "(?i)negative.*sample_weight"),
    "all zero": (np.zeros(60), "(?i)sample.weight"),
    "too short": (np.ones(5), "sample_weight"),
    "NaN": (np.full(60, np.nan), "sample_weight contains NaN"),
    "2-D": (np.ones((60, 1)), "(?i)sample.weight"),
}


def check_refused(clusterer, X, error, match, **fit_params):
    """Check the error, that nothing was trained, and that nothing has changed."""
    before = vars(clusterer).copy()
    with pytest.raises(error, match=match):
        clusterer.fit(X, **fit_params)
    assert vars(clusterer).keys() == before.keys()
    assert all(vars(clusterer)[name] is value for name, value in before.items())


@pytest.fixture(params=["new", "fitted"])
def untrainable(request, X, quick):
    """Give clusterers that fail the test if they are trained."""

    class Untrainable(Callback):
        def on_train_begin(self, net, X=None, y=None):
            raise AssertionError("The training has started.")

    def make(**params):
        clusterer = quick()
        if request.param == "fitted":
            clusterer.fit(X)
        return clusterer.set_params(**({"callbacks": [Untrainable()]} | params))

    return make


@pytest.mark.parametrize(("convert", "error", "match"), BAD_X.values(), ids=BAD_X)
def test_bad_X_is_refused(convert, error, match, X, untrainable):
    check_refused(untrainable(batch_size=100), convert(X), error, match)


@pytest.mark.parametrize(("name", "value", "match"), BAD_PARAMETERS)
def test_bad_parameters_are_refused_by_name(name, value, match, X, untrainable):
    clusterer = untrainable(**{name: value})
    check_refused(clusterer, X, (ValueError, TypeError), f"(?s)(?=.*{name}).*{match}")


@pytest.mark.parametrize(("weight", "match"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_are_refused(weight, match, X, untrainable):
    check_refused(untrainable(), X, ValueError, match, sample_weight=weight)


def test_vgg4_refuses_tables(X, untrainable):
    match = "channels, height, width"
    check_refused(untrainable(module="vgg4"), X, ValueError, match)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is available")
@pytest.mark.parametrize("device", ["cuda", "cuda:3", torch.device("cuda")])
def test_cuda_is_refused_where_there_is_none(device, X, untrainable):
    match = "device must be 'auto' or one of .*'cpu'.*cuda.*not available"
    check_refused(untrainable(device=device), X, ValueError, match)


def test_device_auto_is_one_that_there_is():
    devices = [torch.device(name) for name in ("cpu", "cuda", "mps")]
    assert resolve_device("auto") in devices
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform", "score"])
def test_other_samples_than_in_fit_are_refused(method, fitted, X, images, quick):
    call = getattr(fitted, method)
    with pytest.raises(ValueError, match="2 features.*expecting 4 features"):
        call(X[:, :2])
    with pytest.raises(ValueError, match=r"samples of shape \(4, 1\)"):
        call(X[:, :, None])
    with pytest.raises(ValueError, match="Expected 2D array"):
        call(X[0])


def test_images_of_another_size_are_refused(images, quick):
    clusterer = quick(2).fit(images)
    with pytest.raises(ValueError, match=r"samples of shape \(1, 8, 7\).*\(1, 8, 8\)"):
        clusterer.predict(images[:, :, :, :7])


def test_other_feature_names_than_in_fit_are_refused(X, quick):
    clusterer = quick().fit(pd.DataFrame(X, columns=list("abcd")))
    with pytest.raises(ValueError, match="feature names"):
        clusterer.predict(pd.DataFrame(X, columns=list("abce")))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused_in_predict(value, fitted, X):
    with pytest.raises(ValueError, match="X contains"):
        fitted.predict(with_entry(X, value))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform", "score"])
def test_unfitted_clusterers_say_so(method, X, quick):
    with pytest.raises(NotFittedError):
        getattr(quick(), method)(X)


# Failure, warnings and silence


def test_a_loss_that_is_not_finite_names_the_epoch_and_a_remedy(X, quick):
    clusterer = quick().fit(X)
    expected = clusterer.predict_proba(X)
    clusterer.set_params(lr=1e39, max_epochs=20)
    match = r"loss became (nan|inf) in epoch \d+.*smaller lr"
    check_refused(clusterer, X, FloatingPointError, match)
    assert_array_equal(clusterer.predict_proba(X), expected)


def test_an_error_in_a_callback_leaves_an_earlier_fit_as_it_was(X, quick):
    class Fail(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise OSError("The disk is full.")

    clusterer = quick().fit(X)
    expected = clusterer.predict_proba(X)
    check_refused(clusterer.set_params(callbacks=[Fail()]), X, OSError, "disk")
    assert_array_equal(clusterer.predict_proba(X), expected)


def test_warning_where_training_does_not_converge(X, quick):
    with pytest.warns(ConvergenceWarning, match="after 5 epochs.*max_epochs"):
        quick(max_epochs=5, lr=0.01).fit(X)


def test_warning_where_clusters_collapse(quick):
    with pytest.warns(
        ConvergenceWarning, match="Only 1 of 3 clusters.*only 1 different"
    ):
        quick(3).fit(np.ones((20, 3)))


def test_no_warning_of_clusters_that_nobody_wants(X, quick):
    clusterer = quick(cluster_prior=[0.5, 0.0, 0.5], max_epochs=60)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clusterer.fit(X)
    used = len(np.unique(clusterer.labels_))
    collapsed = [w for w in caught if "clusters are used" in str(w.message)]
    assert bool(collapsed) == (used < 2)


def test_no_warning_where_all_is_well(X, quick):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(max_epochs=300).fit(X)


def test_silence(X, quick, capfd):
    quick().fit(X).predict(X)
    assert capfd.readouterr() == ("", "")


# The balance of the clusters


@pytest.fixture(scope="module")
def unequal():
    """Four blobs that touch, of 500, 150, 80 and 30 samples."""
    rng = np.random.default_rng(0)
    sizes = [500, 150, 80, 30]
    parts = [rng.normal(2.5 * k, 1, (n, 2)) for k, n in enumerate(sizes)]
    return np.concatenate(parts), np.repeat(np.arange(4), sizes)


def entropy_of_sizes(labels, n_clusters):
    sizes = np.bincount(labels, minlength=n_clusters) / len(labels)
    return -np.sum(sizes * np.log(np.maximum(sizes, 1e-9)))


def test_the_fairness_weight_leads_from_free_sizes_to_those_wanted(unequal):
    X, _ = unequal
    found = []
    for weight in (0.1, 0.5, 1, 10, 1000):
        clusterer = CollisionClusterer(4, fairness_weight=weight, random_state=0)
        found.append(entropy_of_sizes(clusterer.fit_predict(X), 4))
    assert (np.diff(found) > -0.03).all()
    assert found[0] < 0.8 * np.log(4)
    sizes = np.bincount(clusterer.labels_) / len(X)
    assert np.allclose(sizes, 1 / 4, rtol=0.1)


def test_the_usual_fairness_weight_is_that_of_the_start(data, quick):
    usual, half = quick().fit(data), quick(fairness_weight=0.5).fit(data)
    assert usual.fairness_weight_ == half.fairness_weight_ == 0.5
    assert np.array_equal(usual.predict_proba(data), half.predict_proba(data))
    noise = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    clusterer = quick(max_epochs=4).fit(noise)
    weight = clusterer.fairness_weight_
    assert 0.6 < weight == clusterer.net_.fairness_weight < 1
    assert clusterer.partial_fit(noise).fairness_weight_ == weight
    assert quick(init="random", max_epochs=2).fit(noise).fairness_weight_ == 0.5


@pytest.mark.parametrize("init", ["spectral", "random"])
def test_a_large_fairness_weight_brings_the_shares_that_are_set(init, unequal):
    X, prior = unequal[0], [0.1, 0.4, 0.3, 0.2]
    clusterer = CollisionClusterer(
        4, fairness_weight=1e3, cluster_prior=prior, init=init, random_state=0
    ).fit(X)
    sizes = np.bincount(clusterer.predict(X), minlength=4) / len(X)
    assert np.allclose(np.sort(sizes), np.sort(prior), rtol=0.1)


def test_free_shares_are_those_of_the_start(unequal):
    clusterer = CollisionClusterer(4, cluster_prior="free", random_state=0)
    (labels,) = clusterer.start_labels(unequal[0])
    prior = np.sort(clusterer.fit(unequal[0]).net_.prior)
    assert np.allclose(prior, np.sort(np.bincount(labels)) / len(labels), atol=0.02)


def test_free_shares_need_a_start(X):
    with pytest.raises(ValueError, match="cluster_prior='free'.*init='random'"):
        CollisionClusterer(2, cluster_prior="free", init="random").fit(X)


def test_the_default_is_better_on_unequal_clusters_than_equal_sizes(unequal):
    X, y = unequal
    default, equal = (
        CollisionClusterer(4, random_state=0, **params).fit_predict(X)
        for params in ({}, {"fairness_weight": 100})
    )
    assert clustering_accuracy(y, default) > clustering_accuracy(y, equal) + 0.05


def test_the_labels_of_the_start_are_those_that_are_learnt(blobs, X):
    clusterer = CollisionClusterer(3, random_state=0)
    two, three = clusterer.start_labels(X, n_clusters=[2, 3])
    assert np.array_equal(np.unique(two), [0, 1])
    assert adjusted_rand_score(blobs[1], three) == 1
    for numbers in (None, 3):
        (alone,) = clusterer.start_labels(X, n_clusters=numbers)
        assert np.array_equal(alone, three)
    assert not hasattr(clusterer, "n_features_in_")


@pytest.mark.parametrize(
    ("params", "n_clusters", "match"),
    [
        ({"init": "random"}, None, "init='spectral'"),
        ({}, [0], "n_clusters must be integers from 1"),
        ({}, [2.5], "n_clusters must be integers from 1"),
        ({}, 2.5, "n_clusters must be integers from 1"),
        ({}, "3", "n_clusters must be integers from 1"),
        ({}, [61], "n_clusters must be integers from 1"),
        ({"n_clusters": 0}, None, "n_clusters"),
    ],
)
def test_a_start_that_cannot_be_is_refused_by_name(params, n_clusters, match, X):
    clusterer = CollisionClusterer(**params)
    with pytest.raises(ValueError, match=match):
        clusterer.start_labels(X, n_clusters=n_clusters)
