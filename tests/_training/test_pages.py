"""Files behind arrays: found, and watched while they are read."""

import os

import numpy as np
import pytest
import torch

from sklearn_cce._training import sources
from sklearn_cce._training.pages import memory_map
from sklearn_cce._training.sources import ArraySource
from tests.helpers import cluster


def test_memory_map_is_found_behind_views(data, mapped):
    assert memory_map(mapped[10:20].reshape(-1)) is not None
    assert memory_map(data) is None
    assert memory_map(np.array(mapped)) is None


def test_a_file_that_became_shorter_is_an_error(mapped):
    clusterer = cluster().fit(mapped)
    expected = clusterer.labels_
    os.truncate(mapped.filename, 1_000)
    for method in (clusterer.fit, clusterer.partial_fit, clusterer.predict):
        with pytest.raises(ValueError, match="shorter"):
            method(mapped)
    assert np.array_equal(clusterer.labels_, expected)


def test_few_scattered_samples_of_a_large_file_are_held_at_a_time(mapped, monkeypatch):
    released, index = [], torch.randperm(len(mapped))
    expected = ArraySource(np.array(mapped), torch.device("cpu"))[index]
    monkeypatch.setattr(sources, "RELEASE_BYTES", 0)
    monkeypatch.setattr(sources, "SCATTERED", 7)
    monkeypatch.setattr(sources, "release", released.append)
    source = ArraySource(mapped, torch.device("cpu"))
    assert torch.equal(source[index], expected)
    assert len(released) == -(-len(index) // 7)
