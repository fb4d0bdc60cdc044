"""The training engine: one result from every source, lean memory, streams, Ctrl-C."""

import copy
import gc
import os
import pickle
import threading

import numpy as np
import psutil
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch.utils.data import Dataset, TensorDataset

from sklearn_cce import CollisionClusterer
from sklearn_cce._training.batches import WINDOW, shuffled
from sklearn_cce._training.pages import memory_map
from sklearn_cce._training.sources import BLOCK


def make(**params):
    defaults = {
        "n_clusters": 3,
        "module": "linear",
        "batch_size": 64,
        "max_epochs": 3,
        "n_init": 2,
        "random_state": 0,
    }
    return CollisionClusterer(**(defaults | params))


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    X[:100, 0] += 8
    X[100:200, 1] += 8
    return X


@pytest.fixture
def mapped(data, tmp_path):
    data.tofile(tmp_path / "X.bin")
    return np.memmap(tmp_path / "X.bin", np.float32, "r", shape=data.shape)


class Pairs(Dataset):
    """Samples with a target that nothing may look at."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], "target"


class Recorder(Callback):
    """Note the names of the hooks that are called."""

    def __init__(self):
        self.calls = []

    def on_epoch_end(self, net, **kwargs):
        self.calls.append("epoch")

    def on_batch_end(self, net, **kwargs):
        self.calls.append("batch")


class Interrupt(Callback):
    """Act as Ctrl-C does: raise from the middle of a training step."""

    def on_train_begin(self, net, **kwargs):
        self.n_steps = 0
        train_step = net.train_step

        def interrupted_step(batch, **fit_params):
            self.n_steps += 1
            if self.n_steps > 7:
                raise KeyboardInterrupt
            return train_step(batch, **fit_params)

        net.train_step = interrupted_step

    def on_train_end(self, net, **kwargs):
        del net.train_step


def test_every_source_gives_the_same_bits(data, mapped):
    expected = make().fit(data)
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
        clusterer = make().fit(source)
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
    make(callbacks=[pointers]).fit(X)
    assert pointers.seen == {X.data_ptr()}
    assert torch.equal(X, before)


@pytest.mark.parametrize("n", [WINDOW, 2 * WINDOW + 1, 5 * WINDOW + 77])
def test_order_is_a_permutation_that_is_local_where_data_are_large(n):
    order = shuffled(n, torch.Generator().manual_seed(0))
    assert torch.equal(order.sort().values, torch.arange(n))
    blocks = (order[:WINDOW] // BLOCK).unique()
    if n > 2 * WINDOW:
        assert len(blocks) <= WINDOW // BLOCK + 1
    else:
        assert len(blocks) == -(-n // BLOCK)


def test_partial_fit_on_the_batches_is_an_epoch_of_fit(data):
    plain = {"max_epochs": 1, "init": "random", "n_init": 1, "views": None}
    plain["optimizer"] = Constant
    whole = make(**plain).fit(data)
    generator = torch.Generator().manual_seed(whole.net_.iterator_train__seed)
    order = torch.randperm(len(data), generator=generator)
    streamed = make(**plain).fit(data)
    streamed.module_.load_state_dict(untrained_state(data, **plain))
    streamed.net_.prices_ = torch.full((3,), streamed.fairness_weight)
    for index in order.tensor_split(-(-len(data) // 64)):
        streamed.partial_fit(data[index.numpy()])
    np.testing.assert_allclose(
        streamed.predict_proba(data), whole.predict_proba(data), rtol=1e-4, atol=1e-5
    )


class Constant(torch.optim.SGD):
    """Gradient steps of a size that no schedule can change."""

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure()
        for parameter in self.param_groups[0]["params"]:
            parameter -= 0.1 * parameter.grad
        return loss


def untrained_state(data, **params):
    """Return the state that a fit starts its training from."""
    states = []

    class Snapshot(Callback):
        def on_train_begin(self, net, **kwargs):
            states.append(copy.deepcopy(net.module_.state_dict()))

        def __deepcopy__(self, memo):
            return self

    make(callbacks=[Snapshot()], **params).fit(data)
    return states[0]


def test_partial_fit_learns_from_a_stream(data):
    clusterer = make(lr=0.05, max_epochs=None)
    rng = np.random.default_rng(0)
    for _ in range(40):
        clusterer.partial_fit(data[rng.choice(300, 60, replace=False)])
    labels = clusterer.predict(data)
    assert [len(np.unique(labels[i : i + 100])) for i in (0, 100, 200)] == [1, 1, 1]
    assert len(np.unique(labels)) == 3
    assert clusterer.n_iter_ == 1
    assert clusterer.n_iter_ == 1


def test_partial_fit_checks_the_features_and_stays_as_it_was(data):
    clusterer = make().partial_fit(data)
    expected = clusterer.predict_proba(data)
    with pytest.raises(ValueError, match="features"):
        clusterer.partial_fit(data[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        clusterer.partial_fit(np.full((80, 4), np.nan))
    assert np.array_equal(clusterer.predict_proba(data), expected)


def test_history_has_no_batches_unless_there_are_callbacks(data):
    assert make().fit(data).history_[:, "batches"] == [[], [], []]
    recorder = Recorder()
    callbacks = [recorder]
    clusterer = make(callbacks=callbacks).fit(data)
    assert [len(b) for b in clusterer.history_[:, "batches"]] == [5, 5, 5]
    assert recorder.calls == []  # a copy is called, so that fit changes no parameter
    calls = dict(clusterer.net_.callbacks_)["Recorder"].calls
    assert calls == (["batch"] * 5 + ["epoch"]) * 3


def test_callbacks_of_skorch_work(data):
    scheduler = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.1)
    clusterer = make(callbacks=[("schedule", scheduler)], lr=0.1, init="random").fit(
        data
    )
    assert clusterer.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(1e-4)
    stop = EarlyStopping("train_loss", patience=2, threshold=10, threshold_mode="abs")
    assert make(callbacks=[stop], max_epochs=50).fit(data).n_iter_ < 10


def test_verbose_shows_a_bar_a_training_with_the_figures(data, capsys):
    make(verbose=1).fit(np.random.default_rng(0).normal(size=data.shape))
    shown = capsys.readouterr()
    assert shown.out == ""
    for word in ("1/1", "2/2", "loss=", "balance=", "changed="):
        assert word in shown.err


def test_ctrl_c_leaves_the_estimator_as_it_was(data):
    clusterer = make().fit(data)
    expected = clusterer.predict_proba(data)
    clusterer.set_params(callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        clusterer.fit(data)
    assert np.array_equal(clusterer.predict_proba(data), expected)


def test_ctrl_c_can_keep_the_network_as_it_stands(data):
    clusterer = make(
        callbacks=[Interrupt()], on_interrupt="keep", init="random", n_init=1
    )
    clusterer.fit(data)
    assert clusterer.n_iter_ == 2  # five steps an epoch, and the eighth is interrupted
    assert clusterer.predict(data).shape == (300,)


def test_fit_keeps_neither_data_nor_optimizer_state(data):
    clusterer = make(module="mlp").fit(data)
    assert not clusterer.net_.optimizer_.state
    assert all(p.grad is None for p in clusterer.module_.parameters())
    large = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    sizes = [
        len(pickle.dumps(make(max_epochs=1).fit(large[:n])))
        - make(max_epochs=1).fit(large[:n]).labels_.nbytes
        for n in (2_000, 20_000)
    ]
    assert abs(sizes[1] - sizes[0]) < 1_000


def test_fifty_fits_leave_the_resident_memory_flat():
    X = np.random.default_rng(0).normal(size=(2_000, 50)).astype(np.float32)
    process = psutil.Process()

    def resident_after(n_fits):
        for seed in range(n_fits):
            make(module="mlp", max_epochs=2, n_init=1, random_state=seed).fit(X)
        gc.collect()
        return process.memory_info().rss

    first = resident_after(10)
    assert resident_after(50) - first < 20 * 2**20


def test_threads_may_predict_at_once(data):
    clusterer = make(module="mlp").fit(data)
    expected = clusterer.predict_proba(data), clusterer.transform(data)
    failures = []

    def work():
        for _ in range(20):
            if not np.array_equal(clusterer.predict_proba(data), expected[0]):
                failures.append("predict_proba")
            if not np.array_equal(clusterer.transform(data), expected[1]):
                failures.append("transform")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("module", ["linear", "mlp"])
def test_predictions_do_not_depend_on_the_other_samples(module, data):
    clusterer = make(module=module).fit(data)
    expected = clusterer.predict_proba(np.tile(data, (40, 1)))[:300]
    for size in (1, 3, 17, 128):
        parts = [
            clusterer.predict_proba(data[i : i + size]) for i in range(0, 300, size)
        ]
        assert np.array_equal(np.concatenate(parts), expected)


def test_memory_map_is_found_behind_views(data, mapped):
    assert memory_map(mapped[10:20].reshape(-1)) is not None
    assert memory_map(data) is None
    assert memory_map(np.array(mapped)) is None


def test_a_file_that_became_shorter_is_an_error(mapped):
    clusterer = make().fit(mapped)
    expected = clusterer.labels_
    os.truncate(mapped.filename, 1_000)
    for method in (clusterer.fit, clusterer.partial_fit, clusterer.predict):
        with pytest.raises(ValueError, match="shorter"):
            method(mapped)
    assert np.array_equal(clusterer.labels_, expected)


def test_a_dataset_is_checked_while_it_is_read(data):
    class Ragged(Pairs):
        def __getitem__(self, i):
            return self.X[i][: 4 - (i == 200)], 0

    with pytest.raises(ValueError, match="sample 200 has shape"):
        make().fit(Ragged(data))
    broken = data.copy()
    broken[123, 1] = np.inf
    clusterer = make().fit(data)
    with pytest.raises(ValueError, match="sample 123"):
        clusterer.fit(Pairs(broken))
    with pytest.raises(ValueError, match="at least one sample"):
        make().fit(Pairs(data[:0]))
    with pytest.raises(ValueError, match="features"):
        clusterer.predict(Pairs(data[:, :3]))


@pytest.mark.filterwarnings("ignore")
def test_compiled_training_is_training(data):
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2))
    except Exception as error:
        pytest.skip(f"torch.compile does not work here: {type(error).__name__}")
    compiled = make(compile=True).fit(data)
    plain = make().fit(data)
    np.testing.assert_allclose(
        compiled.predict_proba(data), plain.predict_proba(data), rtol=1e-3, atol=1e-4
    )
    assert np.array_equal(
        pickle.loads(pickle.dumps(compiled)).labels_, compiled.labels_
    )
