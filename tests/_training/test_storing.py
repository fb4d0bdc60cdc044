"""Storing a fitted estimator: without pickle, and its weights alone."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.neighbors import kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import sklearn_cce
from sklearn_cce._training.net import CollisionNet
from sklearn_cce.modules import Scaling
from sklearn_cce.views import GaussianNoise, Neighbors
from tests.helpers import assert_untouched, classify, cluster, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Net(nn.Module):
    """A network whose outputs are reordered by a layer behind it."""

    def __init__(self, in_shape, n_outputs):
        super().__init__()
        self.scaling = Scaling(in_shape)
        self.out = nn.Linear(in_shape, n_outputs)

    def forward(self, x):
        return self.out(self.scaling(x)).log_softmax(1)


@pytest.fixture(scope="module")
def sio():
    return pytest.importorskip("skops.io")


def restored(sio, estimator, *own):
    """Return what skops loads of an estimator, with the types that are documented."""
    types = [*sklearn_cce.TRUSTED_TYPES, *own]
    return sio.loads(sio.dumps(estimator), trusted=types)


OWN = {Net: f"{__name__}.Net", small: f"{small.__module__}.small"}


@pytest.mark.parametrize("module", ["mlp", "linear", Net, small])
@pytest.mark.parametrize("make", [cluster, classify])
def test_skops_gives_the_estimator_back(make, module, X, y, sio):
    fitted = make(module=module).fit(X, y)
    own = [OWN[module]] if module in OWN else []
    before = torch.get_rng_state()
    again = restored(sio, fitted, *own)
    assert torch.equal(torch.get_rng_state(), before)
    assert again.net_.module_ is again.module_
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert list(again.history_) == list(fitted.history_)
    streams = [model.partial_fit(X, y) for model in (fitted, again)]
    assert_array_equal(*[model.predict_proba(X) for model in streams])
    again = restored(sio, fitted, *own)  # now with a state of the optimizer
    streams = [model.partial_fit(X, y) for model in (fitted, again)]
    assert_array_equal(*[model.predict_proba(X) for model in streams])


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "rising"},
        {"loss": 1.5, "optimizer": "sgd", "device": torch.device("cpu")},
        {"views": [Neighbors(5), GaussianNoise(0.1)]},
        {"views": "noise"},
    ],
)
@pytest.mark.parametrize("make", [cluster, classify])
def test_skops_and_parameters(make, params, X, y, sio):
    fitted = make(**params).fit(X, y)
    again = restored(sio, fitted)
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_skops_in_a_pipeline_with_class_weights(X, y, sio):
    model = make_pipeline(StandardScaler(), classify(class_weight="balanced"))
    names = np.array(["a", "b", "c"])[y]
    again = restored(sio, model.fit(X, names))
    assert_array_equal(again.predict(X), model.predict(X))


def test_skops_and_images(images, sio):
    fitted = cluster(n_clusters=2, module="vgg4", max_epochs=2).fit(images)
    again = restored(sio, fitted)
    assert_array_equal(again.predict_proba(images), fitted.predict_proba(images))


def test_skops_keeps_the_precision_of_the_input(X, sio):
    far = X.astype(np.float64) * 1e-3 + 1e9
    fitted = cluster().fit(far)
    assert fitted.module_.scaling.shift.dtype == torch.float64
    again = restored(sio, fitted)
    assert_array_equal(again.predict_proba(far), fitted.predict_proba(far))


def test_skops_keeps_an_order_behind_a_network(X, sio):
    fitted = cluster(module=Net).fit(X)
    order = torch.tensor([2, 0, 1])
    fitted.net_.module_ = nn.Sequential(
        fitted.module_, sklearn_cce._training.heads.Order(order)
    )
    again = restored(sio, fitted, OWN[Net])
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_skops_keeps_what_a_graph_became(X, sio):
    graph = kneighbors_graph(X, 8)
    fitted = cluster(views="precomputed").fit(graph)
    again = restored(sio, fitted)
    assert_array_equal(again.predict_proba(graph), fitted.predict_proba(graph))


def test_a_network_given_as_such_is_refused(X, sio):
    fitted = cluster(module=small(4, 3)).fit(X)
    with pytest.raises(TypeError, match="only if its module is a name"):
        fitted.net_.__getstate__()


class Runs:
    ran = False

    def __reduce__(self):
        return Runs.run, ()

    @staticmethod
    def run():
        Runs.ran = True


def test_no_pickle_in_a_file_is_read(X):
    state = {"__cuda_dependent_attributes__": pickle.dumps(Runs()), "device": "cpu"}
    net = CollisionNet.__new__(CollisionNet)
    with pytest.raises(KeyError):
        net.__setstate__(state)
    assert not Runs.ran


def test_trusted_types_are_there():
    for name in sklearn_cce.TRUSTED_TYPES:
        module, _, kind = name.rpartition(".")
        assert hasattr(pytest.importorskip(module), kind), name


# Weights alone, and ONNX


@pytest.mark.parametrize("module", ["mlp", "linear", Net, small])
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("make", [cluster, classify])
def test_weights_predict_without_a_fit(make, double, module, X, y, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    samples = X.astype(np.float64) * 1e-3 + 1e9 if double else X
    fitted = make(module=module).fit(samples, y)
    file = tmp_path / "weights.safetensors"
    safetensors.save_file(fitted.module_.state_dict(), file)
    weights = safetensors.load_file(file)
    classes = {"classes": fitted.classes_} if make is classify else {}
    before = torch.get_rng_state()
    new = make(module=module).load_weights(weights, 4, **classes)
    assert torch.equal(torch.get_rng_state(), before)
    for method in ("predict", "predict_proba"):
        expected = getattr(fitted, method)(samples)
        assert_array_equal(getattr(new, method)(samples), expected)
    assert new.n_features_in_ == 4 and not hasattr(new, "labels_")
    new.partial_fit(samples, y).predict(samples)


def test_weights_of_another_network_change_nothing(X):
    fitted = cluster().fit(X)
    weights = cluster(module="mlp").fit(X).module_.state_dict()
    assert_untouched(
        fitted,
        lambda: fitted.load_weights(weights, 4),
        ValueError,
        "weights must be those of the network",
    )


class Probabilities(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, X):
        return self.module(X).softmax(1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("module", ["mlp", "linear", "vgg4"])
@pytest.mark.parametrize("make", [cluster, classify])
def test_onnx_has_the_probabilities(make, module, X, y, images, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    samples, labels = (X, y) if module != "vgg4" else (images, np.arange(24) // 12)
    fitted = make(module=module).fit(samples, labels)
    file = str(tmp_path / "model.onnx")
    torch.onnx.export(
        Probabilities(fitted.module_).eval(),
        (torch.from_numpy(samples[:2].copy()),),
        file,
        input_names=["X"],
        output_names=["probabilities"],
        dynamic_shapes={"X": {0: torch.export.Dim("n_samples")}},
        dynamo=True,
    )
    (found,) = runtime.InferenceSession(file).run(None, {"X": samples})
    np.testing.assert_allclose(found, fitted.predict_proba(samples), atol=1e-5)
