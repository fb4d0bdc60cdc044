"""What holds on a GPU: residence, memory, agreement with the CPU, portable pickles."""

import gc
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from sklearn_cce import CollisionClusterer
from sklearn_cce._training.sources import ArraySource
from sklearn_cce.losses import LOSSES

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(scope="module")
def data():
    X, _ = make_blobs(2_000, 8, centers=4, cluster_std=0.5, random_state=0)
    return X.astype(np.float32)


def make(**params):
    defaults = {"n_clusters": 4, "max_epochs": 20, "batch_size": 500, "device": "cuda"}
    return CollisionClusterer(**(defaults | {"random_state": 0} | params))


def test_auto_takes_the_gpu_and_stays_close_to_the_cpu(data):
    on_gpu = make(device="auto").fit(data)
    assert on_gpu.net_.device.startswith("cuda")
    on_cpu = make(device="cpu").fit(data)
    agreement = np.mean(on_gpu.labels_ == on_cpu.labels_)
    assert agreement > 0.95


def test_the_same_seed_gives_the_same_bits(data):
    first, second = make().fit(data), make().fit(data)
    assert np.array_equal(first.predict_proba(data), second.predict_proba(data))


def test_global_states_are_untouched(data):
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    make(max_epochs=1).fit(data).predict(data)
    assert torch.equal(torch.cuda.get_rng_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_a_tensor_on_the_gpu_is_used_where_it_is(data):
    X = torch.from_numpy(data).cuda()
    size = X.numel() * X.element_size()
    on_gpu = make().fit(X)
    assert np.array_equal(on_gpu.labels_, make().fit(data).labels_)
    big = torch.randn(2_000_000, 8, device="cuda")
    assert big.numel() * 4 > size
    clusterer = make(max_epochs=1, module="linear", batch_size=100_000).fit(big)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    clusterer.partial_fit(big)
    assert torch.cuda.max_memory_allocated() - before < 1.5 * big.numel() * 4


def test_data_that_do_not_fit_are_streamed_with_the_same_result(data, monkeypatch):
    expected = make().fit(data)
    made = []
    monkeypatch.setattr("sklearn_cce._training.inputs.room", lambda device: 0.0)
    monkeypatch.setattr(
        "sklearn_cce._training.inputs.ArraySource",
        lambda *args: made.append(ArraySource(*args)) or made[-1],
    )
    streamed = make().fit(data)
    assert made
    assert np.array_equal(streamed.labels_, expected.labels_)
    assert np.array_equal(streamed.predict_proba(data), expected.predict_proba(data))


def test_an_epoch_does_not_wait_for_the_gpu(data):
    clusterer = make(warm_start=True).fit(data)
    net = clusterer.net_
    X = torch.from_numpy(data).cuda()
    net.on_train_begin(net, X=X)
    net.on_epoch_begin(net)
    batch = X[:500], (torch.arange(500, device="cuda"), None)
    net.train_step(batch)
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        for _ in range(3):
            net.train_step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_memory_of_the_gpu_returns(data):
    make(module="mlp", max_epochs=2).fit(data)
    gc.collect()
    before = torch.cuda.memory_allocated()
    for seed in range(10):
        make(module="mlp", max_epochs=2, random_state=seed).fit(data)
    gc.collect()
    assert torch.cuda.memory_allocated() - before < 2**20


def test_a_pickle_loads_without_a_gpu(data, tmp_path):
    clusterer = make(module="mlp").fit(data)
    with open(tmp_path / "clusterer.pkl", "wb") as file:
        pickle.dump(clusterer, file)
    np.save(tmp_path / "X.npy", data)
    code = (
        "import pickle, sys, numpy as np, torch\n"
        "assert not torch.cuda.is_available()\n"
        "c = pickle.load(open('clusterer.pkl', 'rb'))\n"
        "np.save('p.npy', c.predict_proba(np.load('X.npy')))\n"
    )
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)
    np.testing.assert_allclose(
        np.load(tmp_path / "p.npy"), clusterer.predict_proba(data), atol=1e-4
    )


@pytest.mark.filterwarnings("ignore")
def test_mixed_precision_and_compilation_find_the_same_clusters(data):
    expected = make().fit(data).labels_
    for params in ({"mixed_precision": True}, {"compile": True}):
        labels = make(**params).fit(data).labels_
        assert np.mean(labels == expected) > 0.95, params


def test_a_full_gpu_is_an_error_with_a_remedy(data):
    clusterer = make().fit(data)
    expected = clusterer.labels_
    clusterer.set_params(module=TooLarge)
    with pytest.raises(torch.OutOfMemoryError, match="smaller batch_size"):
        clusterer.fit(data)
    assert clusterer.labels_ is expected


class TooLarge(torch.nn.Module):
    """Ask for more memory than there is, in training only."""

    def __init__(self, in_shape, n_outputs):
        super().__init__()
        self.head = torch.nn.Linear(in_shape, n_outputs)

    def forward(self, x):
        if self.training:
            torch.empty(2**46, device=x.device)
        return self.head(x)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_losses_agree_with_the_cpu(name, dtype):
    logits = torch.randn(64, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    target = torch.rand(64, 7, generator=torch.Generator().manual_seed(1))
    target = (target / target.sum(1, keepdim=True)).to(dtype)
    loss = LOSSES[name]()
    on_cpu, on_gpu = loss(logits, target), loss(logits.cuda(), target.cuda())
    torch.testing.assert_close(on_gpu.cpu(), on_cpu)
