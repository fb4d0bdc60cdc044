"""Sources: one result from all of them, and no copies."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.utils.data import Dataset, TensorDataset

from tests.helpers import cluster


class Pairs(Dataset):
    """Samples with a target that nothing may look at."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], "target"


def test_every_source_gives_the_same_bits(data, mapped):
    expected = cluster().fit(data)
    sources = {
        "float64": data.astype(np.float64),
        "Fortran": np.asfortranarray(data),
        "list": data.tolist(),
        "tensor": torch.from_numpy(data),
        "memory map": mapped,
        "dataset": Pairs(data),
        "tensor dataset": TensorDataset(torch.from_numpy(data)),
    }
    for name, source in sources.items():
        clusterer = cluster().fit(source)
        assert np.array_equal(clusterer.labels_, expected.labels_), name
        for method in ("predict_proba", "transform"):
            ours, theirs = getattr(clusterer, method), getattr(expected, method)
            assert np.array_equal(ours(source), theirs(data)), (name, method)


class Pointers(Callback):
    """Note where the samples of each training lie."""

    def __init__(self):
        self.seen = set()

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, net, X, **kwargs):
        self.seen.add(X.source.X.data_ptr())


def test_a_tensor_is_neither_changed_nor_copied(data):
    X = torch.from_numpy(data.copy())
    before, pointers = X.clone(), Pointers()
    cluster(callbacks=[pointers]).fit(X)
    assert pointers.seen == {X.data_ptr()}
    assert torch.equal(X, before)


def test_a_dataset_is_checked_while_it_is_read(data):
    class Ragged(Pairs):
        def __getitem__(self, i):
            return self.X[i][: 4 - (i == 200)], 0

    with pytest.raises(ValueError, match="sample 200 has shape"):
        cluster().fit(Ragged(data))
    broken = data.copy()
    broken[123, 1] = np.inf
    clusterer = cluster().fit(data)
    with pytest.raises(ValueError, match="sample 123"):
        clusterer.fit(Pairs(broken))
    with pytest.raises(ValueError, match="at least one sample"):
        cluster().fit(Pairs(data[:0]))
    with pytest.raises(ValueError, match="features"):
        clusterer.predict(Pairs(data[:, :3]))
