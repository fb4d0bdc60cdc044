"""Samples are projected once, and training is the same as if it were in every step."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_cce import CollisionClusterer
from sklearn_cce._training import projection
from sklearn_cce._training.batches import Samples
from sklearn_cce._training.projection import projected
from sklearn_cce._training.sources import TensorSource
from sklearn_cce.modules import MLP, Linear


@pytest.fixture
def samples():
    X = torch.randn(40, 12, generator=torch.Generator().manual_seed(0))
    return Samples(TensorSource(X))


@pytest.mark.parametrize("network", [MLP, Linear])
def test_the_rest_of_the_network_gives_the_same_outputs(network, samples):
    X = samples.source[:40]
    module = network(12, 3, n_components=5)
    module.scaling.fit(X)
    seen, body = projected(module, samples)
    assert seen.source.shape == (40, 5)
    torch.testing.assert_close(body(seen.source[:40]), module(X))
    own = {id(p) for p in module.parameters()}
    assert {id(p) for p in body.parameters()} == own


def test_what_cannot_be_projected_once_is_as_it_was(samples, monkeypatch):
    small, large = MLP(12, 3), MLP(12, 3, n_components=5)
    custom = nn.Sequential(large)
    changed = Samples(samples.source, transforms=[torch.neg])
    for module, some in ((small, samples), (custom, samples), (large, changed)):
        seen, body = projected(module, some)
        assert seen is some
        assert body is module
    monkeypatch.setattr(projection, "MOST_VALUES", 199)
    assert projected(large, samples) == (samples, large)


def test_a_fit_is_the_same_with_and_without_room(monkeypatch):
    X = np.random.default_rng(0).normal(size=(300, 120)).astype(np.float32)
    X[:100, 0] += 9
    X[100:200, 1] += 9
    fits = []
    for room in (2**28, 0):
        monkeypatch.setattr(projection, "MOST_VALUES", room)
        clusterer = CollisionClusterer(3, max_epochs=10, random_state=0)
        fits.append(clusterer.fit(X).predict_proba(X))
    np.testing.assert_allclose(*fits, atol=1e-3)
