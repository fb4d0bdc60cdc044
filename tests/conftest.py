"""Data and estimators that several tests share; small, so that the tests are quick."""

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import settings
from sklearn.datasets import make_blobs

from sklearn_cce import CollisionClusterer

matplotlib.use("Agg")
torch.set_num_threads(1)
# How long an example takes says what else the machine does.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def blobs():
    """Three blobs, far apart, and which of them each sample is from."""
    return make_blobs(60, 4, centers=3, cluster_std=0.5, random_state=0)


@pytest.fixture(scope="session")
def X(blobs):
    """Samples of three blobs, read-only."""
    samples = blobs[0].astype(np.float32)
    samples.setflags(write=False)
    return samples


@pytest.fixture(scope="session")
def y(blobs):
    """Which of the blobs each sample of X is from."""
    return blobs[1]


@pytest.fixture(scope="session")
def data():
    """300 samples, a third of them far away on each of two axes."""
    X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    X[:100, 0] += 8
    X[100:200, 1] += 8
    return X


@pytest.fixture
def mapped(data, tmp_path):
    """Give the same samples in a file."""
    data.tofile(tmp_path / "X.bin")
    return np.memmap(tmp_path / "X.bin", np.float32, "r", shape=data.shape)


@pytest.fixture(scope="session")
def images():
    """Images of shape (24, 1, 8, 8) with a bright left or right half."""
    samples = np.random.default_rng(0).normal(size=(24, 1, 8, 8)).astype(np.float32)
    samples[:12, :, :, :4] += 4
    samples[12:, :, :, 4:] += 4
    return samples


def make_clusterer(n_clusters=3, **params):
    """Return a clusterer that is trained for a few epochs only."""
    quick = {"module": "linear", "max_epochs": 4, "lr": 0.05, "n_init": 2}
    quick["random_state"] = 0
    return CollisionClusterer(n_clusters, **(quick | params))


@pytest.fixture(scope="session")
def quick():
    """Give a function that makes clusterers of few epochs."""
    return make_clusterer


@pytest.fixture(scope="session")
def fitted(X):
    """Give a clusterer fitted to X; not to be changed."""
    return make_clusterer(max_epochs=60).fit(X)
