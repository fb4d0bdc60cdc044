"""What X may be: the right result, or an error that names X before anything is done."""

import collections
import datetime
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from sklearn_cce import CollisionClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Items(Dataset):
    """A dataset of what a function returns."""

    def __init__(self, item, length=lambda: 60):
        self.item, self.length = item, length

    def __len__(self):
        return self.length()

    def __getitem__(self, i):
        return self.item(i)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(torch.zeros(60, 4))


class StreamOfKnownLength(Stream):
    def __len__(self):
        return 60


class NoLength(Dataset):
    def __getitem__(self, i):
        return torch.zeros(4)


class Breaks:
    """Something that is no array, and says so in a way of its own."""

    def __array__(self, *args, **kwargs):
        raise LookupError("not here")


def fail(*args):
    raise KeyError("inside")


def late(value):
    """Return items that are good but for one of the last."""
    return Items(lambda i: np.zeros(4) + i if i != 55 else value())


Point = collections.namedtuple("Point", "x y")
NESTED = [torch.zeros(4), torch.zeros(2)]

BAD = {
    "a number": lambda X: 3.0,
    "an integer": lambda X: 3,
    "None": lambda X: None,
    "NaN": lambda X: np.nan,
    "text": lambda X: "samples.csv",
    "bytes": lambda X: b"samples",
    "a dict": lambda X: {"a": [1, 2], "b": [3, 4]},
    "a set": lambda X: {1, 2, 3},
    "a generator": lambda X: (row for row in X),
    "a range": lambda X: range(60),
    "a function": lambda X: len,
    "a class": lambda X: int,
    "a module": lambda X: np,
    "a date": lambda X: datetime.date(2020, 1, 1),
    "an array that is none": lambda X: Breaks(),
    "no entries": lambda X: [],
    "an empty row": lambda X: [[]],
    "no samples": lambda X: X[:0],
    "no features": lambda X: X[:, :0],
    "no samples in a tensor": lambda X: torch.empty(0, 4),
    "one axis": lambda X: X[:, 0],
    "one axis in a tensor": lambda X: torch.tensor(X[0]),
    "no axis": lambda X: np.array(3.0),
    "no axis in a tensor": lambda X: torch.tensor(3.0),
    "a series": lambda X: pd.Series(X[:, 0]),
    "rows of many lengths": lambda X: [[1, 2], [3]],
    "images of many sizes": lambda X: [[[1, 2]], [[3]], [[4]]],
    "tensors of many lengths": lambda X: [torch.zeros(2), torch.zeros(3)],
    "tensors that require gradients": lambda X: list(torch.tensor(X).requires_grad_()),
    "sparse": sp.csr_array,
    "sparse coordinates": sp.coo_matrix,
    "a sparse tensor": lambda X: torch.tensor(X).to_sparse(),
    "a sparse row tensor": lambda X: torch.tensor(X).to_sparse_csr(),
    "a tensor of tensors": lambda X: torch.nested.nested_tensor(NESTED),
    "a tensor without data": lambda X: torch.empty(60, 4, device="meta"),
    "complex": lambda X: X + 1j,
    "a complex tensor": lambda X: torch.tensor(X) + 1j,
    "words": lambda X: np.full((60, 2), "word"),
    "objects": lambda X: np.full((60, 2), object()),
    "None in it": lambda X: np.full((60, 4), None),
    "columns of words": lambda X: pd.DataFrame({"a": ["x"] * 60, "b": 1}),
    "columns of one name": lambda X: pd.DataFrame(X, columns=list("aabb")),
    "columns with missing": lambda X: pd.DataFrame({"a": pd.array([1, None] * 30)}),
    "names of two types": lambda X: pd.DataFrame(X, columns=[1, "a", 2, "b"]),
    "integers too large": lambda X: [[10**400, 1]] * 60,
    "a structured array": lambda X: np.zeros(60, dtype=[("a", float)]),
    "a matrix": np.matrix,
    "a loader": lambda X: DataLoader(TensorDataset(torch.tensor(X))),
    "a stream": lambda X: Stream(),
    "a stream of known length": lambda X: StreamOfKnownLength(),
    "a dataset without length": lambda X: NoLength(),
    "a length that fails": lambda X: Items(X.__getitem__, fail),
    "a negative length": lambda X: Items(X.__getitem__, lambda: -3),
    "a length that is text": lambda X: Items(X.__getitem__, lambda: "3"),
    "a length that is broken": lambda X: Items(X.__getitem__, lambda: 3.5),
    "no items": lambda X: Items(X.__getitem__, lambda: 0),
    "items None": lambda X: Items(lambda i: None),
    "items dict": lambda X: Items(lambda i: {"x": X[i]}),
    "items object": lambda X: Items(lambda i: object()),
    "items complex": lambda X: Items(lambda i: X[i] + 1j),
    "items complex tensor": lambda X: Items(lambda i: torch.tensor(X[i]) + 1j),
    "items text": lambda X: Items(lambda i: "word"),
    "items of no length": lambda X: Items(lambda i: np.empty(0)),
    "items of no axis": lambda X: Items(float),
    "items empty tuple": lambda X: Items(lambda i: ()),
    "items sparse": lambda X: Items(lambda i: torch.tensor(X[i]).to_sparse()),
    "items without data": lambda X: Items(lambda i: torch.empty(4, device="meta")),
    "items of objects": lambda X: Items(lambda i: np.array([1, None], object)),
    "items KeyError": lambda X: Items(fail),
    "items OSError": lambda X: Items(lambda i: open(f"/no/such/{i}.png")),
    "a late None": lambda X: late(lambda: None),
    "a late KeyError": lambda X: late(fail),
    "a late shape": lambda X: late(lambda: np.zeros(5)),
    "a late NaN": lambda X: late(lambda: np.full(4, np.nan)),
}
TOO_LONG = {"a length too large": lambda X: Items(lambda i: X[i], lambda: 61)}


@pytest.fixture(params=["cluster", "classify", "predict"])
def use(request, X, fitted):
    """Give an estimator, and what may be done with samples."""
    y = np.arange(60) % 3
    classifier = CollisionClassifier(module="linear", max_epochs=2)
    again = pickle.loads(pickle.dumps(fitted))
    return {
        "cluster": (again, again.fit),
        "classify": (classifier, lambda X: classifier.fit(X, y)),
        "predict": (fitted, fitted.predict),
    }[request.param]


@pytest.mark.parametrize("convert", (BAD | TOO_LONG).values(), ids=BAD | TOO_LONG)
def test_what_is_no_data_is_refused_by_name(convert, X, use):
    estimator, call = use
    samples = convert(X)
    before = vars(estimator).copy()
    match = r"\bX\b" if convert not in TOO_LONG.values() else r"\bX\b.*6[01]"
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises((ValueError, TypeError), match=match):
            call(samples)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())


class Batches:
    """Something that gives batches, as a file or a data set of pyarrow does."""

    def iter_batches(self):
        yield np.zeros((60, 4))


def record_batches(X):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.table({"a": X[:, 0], "b": X[:, 1]}).to_reader()


STREAMS = {
    "a generator": BAD["a generator"],
    "an iterator": iter,
    "a map": lambda X: map(np.array, X),
    "a loader": BAD["a loader"],
    "a stream": BAD["a stream"],
    "a stream of known length": BAD["a stream of known length"],
    "batches": lambda X: Batches(),
    "record batches": record_batches,
}


@pytest.mark.parametrize("convert", STREAMS.values(), ids=STREAMS)
def test_the_error_for_streams_says_what_takes_them(convert, X, use):
    _, call = use
    stream = convert(X)
    with pytest.raises(TypeError, match="X must be .* a length.* Call partial_fit"):
        call(stream)


class Pair(tuple):
    """A kind of tuple of a user's own."""


GOOD = {
    "a tensor with a gradient": lambda X: torch.tensor(X).requires_grad_(),
    "a parameter": lambda X: torch.nn.Parameter(torch.tensor(X)),
    "not a leaf": lambda X: torch.tensor(X).requires_grad_() * 1,
    "a list of tensors": lambda X: list(torch.tensor(X)),
    "a list of rows": list,
    "objects that are numbers": lambda X: X.astype(object),
    "a view of a tensor": lambda X: torch.tensor(np.repeat(X, 2, 0))[::2],
    "transposed": lambda X: torch.tensor(X.T.copy()).T,
    "expanded": lambda X: torch.tensor(X)[:, :, None].expand(-1, -1, 1)[:, :, 0],
    "items": lambda X: Items(lambda i: X[i]),
    "items of float64": lambda X: Items(lambda i: X[i].astype(np.float64)),
    "items of another byte order": lambda X: Items(lambda i: X[i].astype(">f4")),
    "items with a target": lambda X: Items(lambda i: (X[i], "cat")),
    "items in a list": lambda X: Items(lambda i: [torch.tensor(X[i]), 3]),
    "items in a named tuple": lambda X: Items(lambda i: Point(X[i], 0)),
    "items in a tuple of one's own": lambda X: Items(lambda i: Pair([X[i], 0])),
    "items with a gradient": lambda X: Items(
        lambda i: torch.tensor(X[i]).requires_grad_()
    ),
    "items that are series": lambda X: Items(lambda i: pd.Series(X[i])),
    "items of a read-only array": lambda X: Items(X.__getitem__),
}


@pytest.mark.parametrize("convert", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("batch_size", [16, 100])
def test_the_same_numbers_give_the_same_result(batch_size, convert, X, quick):
    expected = quick(batch_size=batch_size).fit(X)
    samples = convert(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusterer = quick(batch_size=batch_size).fit(samples)
        found = clusterer.predict_proba(samples)
    assert_array_equal(found, expected.predict_proba(X))
    assert_array_equal(clusterer.labels_, expected.labels_)


def test_pictures(quick):
    Image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 9, 8), dtype=np.uint8)
    pixels[:10] //= 4
    pictures = Items(lambda i: (Image.fromarray(pixels[i]), "cat"), lambda: 20)
    one, two = quick(2, batch_size=8).fit(pictures), quick(2, batch_size=8).fit(pixels)
    assert_array_equal(one.predict_proba(pictures), two.predict_proba(pixels))


@pytest.mark.parametrize(
    "dtype", ["bfloat16", "float16", "float8_e4m3fn", "uint8", "bool"]
)
def test_tensors_of_every_type(dtype, X, quick):
    tensor = torch.tensor(abs(X)).to(getattr(torch, dtype))
    expected = quick().fit(tensor.float().numpy())
    clusterer = quick().fit(tensor)
    assert_array_equal(clusterer.predict_proba(tensor), expected.predict_proba(tensor))
    items = Items(lambda i: tensor[i])
    assert_array_equal(clusterer.predict(items), clusterer.predict(tensor))


def test_samples_made_in_inference_mode(X, quick):
    with torch.inference_mode():
        tensor = torch.tensor(X)
        clusterer = quick(batch_size=16).fit(tensor)
        labels = clusterer.predict(tensor)
    assert_array_equal(labels, quick(batch_size=16).fit(X).labels_)
    assert_array_equal(quick(batch_size=16).fit(tensor).labels_, labels)
    assert_array_equal(clusterer.partial_fit(tensor).labels_.shape, (60,))


def test_a_dataset_that_is_longer_than_it_says(X, quick):
    short = Items(lambda i: X[i], lambda: 40)
    assert_array_equal(quick().fit(short).labels_, quick().fit(X[:40]).labels_)


def test_training_trusts_no_one_with_finite_samples(X, quick):
    bad = np.array(X, float)
    bad[3, 1] = np.nan
    with config_context(assume_finite=True), pytest.raises(ValueError, match="NaN"):
        quick().fit(bad)
