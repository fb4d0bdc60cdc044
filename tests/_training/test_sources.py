"""Sources: one result from all of them, and no copies."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.utils.data import Dataset, TensorDataset

from sklearn_cce._training import sources
from tests.helpers import classify, cluster, small


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


class Recorded:
    """Samples that are read in slices, and note each of them; as in a file of h5py."""

    def __init__(self, X, **attributes):
        self.X, self.reads = X, []
        self.shape, self.dtype = X.shape, X.dtype
        vars(self).update(attributes)

    def __getitem__(self, index):
        assert isinstance(index, slice) and index.step in (None, 1)
        self.reads.append(len(self.X[index]))
        return self.X[index]


class ArrayLike(Recorded):
    """The same, and an array too, as all that libraries have."""

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.X, dtype)


@pytest.fixture
def of_few_rows(monkeypatch):
    """Let slices be of about 64 samples with 4 float32."""
    monkeypatch.setattr(sources, "LEAST_BYTES", 1024)


def same_result(ours, theirs, sliced, X):
    """Assert that two estimators say the same of the same samples."""
    assert np.array_equal(ours.predict(sliced), theirs.predict(X))
    assert np.array_equal(ours.predict_proba(sliced), theirs.predict_proba(X))
    if hasattr(ours, "transform"):
        assert np.array_equal(ours.labels_, theirs.labels_)
        assert np.array_equal(ours.transform(sliced), theirs.transform(X))
        assert ours.score(sliced) == theirs.score(X)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "i8", "?"])
def test_slices_of_contiguous_rows_give_the_same_bits(
    data, dtype, of_few_rows, monkeypatch
):
    monkeypatch.setattr(sources, "HELD_BYTES", 2_000)
    X = abs(data).astype(dtype)
    n_rows = min(1024 // (4 * X.itemsize), 300)
    for module in ("mlp", small):
        sliced, params = Recorded(X), {"module": module, "max_epochs": 2}
        ours, theirs = cluster(**params).fit(sliced), cluster(**params).fit(X)
        assert set(sliced.reads) <= {n_rows, 300 % n_rows}
        same_result(ours, theirs, sliced, X)


def test_the_classifier_reads_slices(data, of_few_rows):
    y = np.arange(300) // 100
    sliced = Recorded(data)
    weight = np.arange(300) % 3 + 0.5
    ours = classify(early_stopping=True).fit(sliced, y, weight)
    theirs = classify(early_stopping=True).fit(data, y, weight)
    assert max(sliced.reads) == 64
    same_result(ours, theirs, sliced, data)
    assert ours.score(sliced, y) == theirs.score(data, y)


def test_partial_fit_and_starts_read_slices(data, of_few_rows):
    one, two = cluster(), cluster()
    for first in (0, 150):
        chunk = data[first : first + 150]
        one.partial_fit(Recorded(chunk))
        two.partial_fit(chunk)
    assert np.array_equal(one.predict_proba(data), two.predict_proba(data))
    (ours,), (theirs,) = one.start_labels(Recorded(data)), two.start_labels(data)
    assert np.array_equal(ours, theirs)


def test_images_are_read_in_slices(images, monkeypatch):
    monkeypatch.setattr(sources, "LEAST_BYTES", 8 * images[0].nbytes)
    params = {"n_clusters": 2, "module": "vgg4", "batch_size": 12, "max_epochs": 2}
    sliced = Recorded(images)
    ours, theirs = cluster(**params).fit(sliced), cluster(**params).fit(images)
    assert set(sliced.reads) == {8} and len(sliced.reads) < 24
    same_result(ours, theirs, sliced, images)


def test_blocks_are_whole_chunks_of_bounded_size(data, monkeypatch):
    def n_rows(**attributes):
        return sources.rows_of_block(Recorded(data, **attributes))

    monkeypatch.setattr(sources, "LEAST_BYTES", 16 * 10)
    monkeypatch.setattr(sources, "MOST_BYTES", 16 * 100)
    assert n_rows() == n_rows(chunks=None) == n_rows(chunks={"x": 3}) == 10
    assert n_rows(chunks=(4, 4)) == n_rows(chunks=((4, 4, 2), (4,))) == 8
    assert n_rows(chunks=(70, 4)) == 70
    assert n_rows(chunks=(1000, 4)) == 100
    assert n_rows(dtype=np.dtype((np.void, 10**6))) == 1


def test_few_blocks_are_held(data, of_few_rows, monkeypatch):
    monkeypatch.setattr(sources, "HELD_BYTES", 2 * 1024)
    sliced = Recorded(data)
    source = sources.SlicedSource(sliced, torch.device("cpu"))
    for rows in ([0, 63], [64], [1], [130], [2], [65]):
        assert np.array_equal(source[torch.tensor(rows)], data[rows])
    assert len(source.held) == 2
    assert len(sliced.reads) == 4
    assert source[:0].shape == (0, 4)


def test_slices_are_checked_while_they_are_read(data, of_few_rows):
    broken = data.copy()
    broken[123, 1] = np.nan
    clusterer = cluster().fit(data)
    labels = clusterer.labels_
    for use in (clusterer.fit, clusterer.predict, cluster(module=small).fit):
        with pytest.raises(ValueError, match="Input X contains NaN.* sample 123"):
            use(Recorded(broken))
    masked = np.ma.masked_equal((data * 9).astype(int), 0)
    with pytest.raises(ValueError, match="Input X contains NaN.* sample"):
        clusterer.fit(Recorded(masked))
    for other, match in [
        (data[:200], r"X must give arrays.* rows 192 to 255 it gave .*\(8, 4\)"),
        (data.astype(str), "X must give arrays of real numbers.* gave <U"),
        ([None] * 300, "X must give arrays"),
    ]:
        wrong = Recorded(data)
        wrong.X = other
        with pytest.raises(ValueError, match=match):
            clusterer.fit(wrong)
    assert clusterer.labels_ is labels


def test_shape_and_type_are_refused_before_anything_is_read(data):
    clusterer = cluster().fit(data)
    for X in (data[:0], data[:, :0], data[:, :3]):
        with pytest.raises(ValueError) as of_array:
            clusterer.predict(X)
        sliced = Recorded(X)
        with pytest.raises(ValueError) as of_slices:
            clusterer.predict(sliced)
        assert str(of_slices.value) == str(of_array.value)
        assert not sliced.reads
    for dtype in (complex, object, str):
        sliced = Recorded(data.astype(dtype))
        with pytest.raises(TypeError, match=r"X must hold .* dtype"):
            clusterer.fit(sliced)
        assert not sliced.reads
    one_axis = ArrayLike(data[:, 0])
    with pytest.raises(ValueError, match="X .* Expected 2D array, got 1D array"):
        clusterer.fit(one_axis)
    unknown = Recorded(data, shape=(float("nan"), 4))
    with pytest.raises(ValueError, match="X must be of known shape"):
        clusterer.fit(unknown)


def stored_by_zarr(X, path):
    zarr = pytest.importorskip("zarr")
    chunks = (70, *X.shape[1:])
    stored = zarr.create_array(path / "X", shape=X.shape, chunks=chunks, dtype=X.dtype)
    stored[:] = X
    return stored


def stored_by_h5py(X, path):
    h5py = pytest.importorskip("h5py")
    return h5py.File(path / "X.h5", "w").create_dataset("X", data=X, chunks=True)


def stored_by_dask(X, path):
    dask_array = pytest.importorskip("dask.array")
    return dask_array.from_array(X, chunks=(70, *X.shape[1:])) * 1


@pytest.mark.parametrize("store", [stored_by_zarr, stored_by_h5py, stored_by_dask])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
def test_arrays_of_other_libraries(data, dtype, store, tmp_path, of_few_rows):
    X = abs(data).astype(dtype)
    stored = store(X, tmp_path)
    same_result(cluster().fit(stored), cluster().fit(X), stored, X)
    y = np.arange(300) // 100
    same_result(classify().fit(stored, y), classify().fit(X, y), stored, X)


@pytest.mark.parametrize("store", [stored_by_zarr, stored_by_h5py, stored_by_dask])
def test_images_of_other_libraries(images, store, tmp_path):
    params = {"n_clusters": 2, "module": "vgg4", "batch_size": 12, "max_epochs": 2}
    stored = store(images, tmp_path)
    ours, theirs = cluster(**params).fit(stored), cluster(**params).fit(images)
    same_result(ours, theirs, stored, images)


@pytest.mark.parametrize("n", [1, 100, 16_384, 16_385, 100_000, 1_234_567])
def test_the_scale_is_taken_from_everywhere(n):
    rows = sources.spread_blocks(n)
    assert torch.equal(rows.unique(), rows)
    assert rows[0] == 0 and len(rows) <= sources.N_SCALING_SAMPLES
    assert len(rows) == n or len(rows) > sources.N_SCALING_SAMPLES / 2
    # Of 500 classes, one after the other, none is passed over.
    assert len((rows * 500 // n).unique()) == min(n, 500)
