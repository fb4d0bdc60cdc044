"""Sizes that are wanted, whatever the samples suggest."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from sklearn_cce._graph.balancing import (
    TEMPERATURES,
    affordable_prices,
    prices_of_outputs,
)
from sklearn_cce._graph.information import Balance


@pytest.fixture
def evidence():
    logits = np.random.default_rng(0).normal(size=(500, 4)) + [2, 0, 0, -1]
    return log_softmax(3 * logits, axis=1)


def sizes(evidence, prices, weight):
    y = softmax((evidence + prices) / TEMPERATURES[-1], axis=1)
    return weight @ y / weight.sum()


@pytest.mark.parametrize("weight", [1.0, 30.0])
def test_prices_are_what_the_sizes_are_off(weight, evidence):
    prior, w = np.array([0.4, 0.3, 0.2, 0.1]), np.linspace(0.5, 2, 500)
    prices = affordable_prices(evidence, Balance(weight, prior), w)
    off = weight * np.log(prior / sizes(evidence, prices, w))
    np.testing.assert_allclose(prices, off - off.mean(), atol=0.02 * weight)


def test_a_large_weight_makes_the_sizes_exact(evidence):
    prior, w = np.array([0.4, 0.3, 0.2, 0.1]), np.ones(500)
    prices = affordable_prices(evidence, Balance(1e3, prior), w)
    np.testing.assert_allclose(sizes(evidence, prices, w), prior, rtol=0.02)


def test_a_small_weight_changes_nothing(evidence):
    equal, w = np.full(4, 1 / 4), np.ones(500)
    prices = affordable_prices(evidence, Balance(1e-6, equal), w)
    assert np.abs(prices).max() < 1e-4


def test_outputs_of_any_size_have_prices():
    logits = np.array([[1e4, 0.0], [1e4, 1.0], [0.0, 1e4], [2.0, 0.0]], np.float32)
    balance = Balance(10.0, np.full(2, 0.5))
    assert np.isfinite(prices_of_outputs(logits, balance, np.ones(4))).all()
