"""What is put in the place of a good argument, by name and kind of parameter.

Every value is a function of the good argument, so that an array can be spoilt in one
place, and a value that can be used only once is made anew for every case.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import functools
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse as sp
import skorch.callbacks
import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from sklearn_cce.views import GaussianNoise, Neighbors, RandomAffine

Value = Callable[[Any], Any]

N_SAMPLES = 18
"""Number of samples in good arguments."""


def constants(**values: Any) -> dict[str, Value]:
    """Return values that do not depend on the good argument."""
    return {name: functools.partial(give, value) for name, value in values.items()}


def give(value: Any, good: Any) -> Any:
    return value


HUGE = constants(huge=2**62, beyond_int64=10**30, real_1e300=1e300)

SCALARS = (
    HUGE
    | constants(
        none=None,
        true=True,
        false=False,
        zero=0,
        one=1,
        minus_one=-1,
        two=2,
        half=0.5,
        two_and_half=2.5,
        minus_zero=-0.0,
        nan=float("nan"),
        inf=float("inf"),
        minus_inf=float("-inf"),
        real_1e_300=1e-300,
        denormal=5e-324,
        np_uint8=np.uint8(3),
        np_int8=np.int8(2),
        np_uint64=np.uint64(2),
        np_int8_negative=np.int8(-1),
        np_float16=np.float16(0.5),
        np_float32=np.float32(0.5),
        np_nan=np.float32("nan"),
        np_true=np.bool_(True),
        np_complex=np.complex64(1j),
        zero_d=np.array(2),
        zero_d_text=np.array("auto"),
        one_entry=np.array([0.5]),
        tensor_int=torch.tensor(2),
        tensor_real=torch.tensor(0.5),
        text="nonsense",
        empty_text="",
        np_text=np.str_("nonsense"),
        bytes=b"nonsense",
        complex=1j,
        fraction=fractions.Fraction(1, 2),
        decimal=decimal.Decimal("0.5"),
        date=datetime.date(2020, 1, 1),
        np_date=np.datetime64("2020-01-01"),
        np_duration=np.timedelta64(2, "D"),
        pandas_na=pd.NA,
        pandas_nat=pd.NaT,
        empty_tuple=(),
        pair=(1, 2),
        pair_of_text=("a", "b"),
        range=range(3),
        a_type=int,
        an_object=object(),
        ellipsis=...,
        a_function=len,
        frozen_set=frozenset({1, 2}),
    )
    | {
        "empty_list": lambda good: [],
        "list": lambda good: [1, 2],
        "list_of_none": lambda good: [None],
        "empty_dict": lambda good: {},
        "dict": lambda good: {"a": 1},
        "dict_by_number": lambda good: {0: 1.0, 1: 2.0},
        "set": lambda good: {1, 2},
        "generator": lambda good: (i for i in range(3)),
        "bytearray": lambda good: bytearray(b"abc"),
        "array_2d": lambda good: np.eye(2),
        "series": lambda good: pd.Series([1.0, 2.0]),
        "rng": lambda good: np.random.default_rng(0),
        "random_state": lambda good: np.random.RandomState(0),
    }
)


# Arrays.


def real(good: Any) -> np.ndarray:
    """Return a copy of an argument as real numbers."""
    return np.array(good, dtype=np.float64)


def spoilt(entry: Any, dtype: Any = np.float64) -> Value:
    """Put one entry into the array."""

    def change(good: Any) -> np.ndarray:
        array = np.array(good).astype(dtype)
        array.flat[array.size // 2] = entry
        return array

    return change


def whole(entry: Any, dtype: Any = np.float64) -> Value:
    """Put one entry everywhere."""
    return lambda good: np.full(np.shape(good), entry, dtype)


def cast(dtype: Any) -> Value:
    return lambda good: np.array(good).astype(dtype)


def of_real(change: Callable[[np.ndarray], Any]) -> Value:
    """Make the value from the argument as real numbers."""
    return lambda good: change(real(good))


def of_array(change: Callable[[np.ndarray], Any]) -> Value:
    """Make the value from a copy of the argument as it is."""
    return lambda good: change(np.array(good))


def far_row(array: np.ndarray) -> np.ndarray:
    array[-1] = 9999
    return array


def constant_column(array: np.ndarray) -> np.ndarray:
    array[..., 0] = 7
    return array


def one_hot_rows(array: np.ndarray) -> np.ndarray:
    rows = array.reshape(len(array), -1)
    n_columns = rows.shape[1]
    return np.eye(n_columns)[np.arange(len(rows)) % n_columns].reshape(array.shape)


def ragged(array: np.ndarray) -> list:
    rows = array.tolist()
    return [[1.0], *rows[1:]] if array.ndim > 1 else [[1.0, 2.0], *rows[1:]]


def masked(array: np.ndarray) -> np.ndarray:
    mask = np.zeros(array.shape, bool)
    mask.flat[1] = True
    return np.ma.array(array, mask=mask)


def read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def wider(array: np.ndarray) -> np.ndarray:
    columns = array if array.ndim > 1 else array[:, None]
    return np.concatenate([columns, columns[:, :1]], 1)


def structured(array: np.ndarray) -> np.ndarray:
    return np.zeros(len(array), dtype=[("a", "f8"), ("b", "i4")])


def memory_map(array: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, array.dtype, "w+", shape=array.shape)
    mapped[...] = array
    return mapped


def as_frame(array: np.ndarray, **kwargs: Any) -> pd.DataFrame | pd.Series:
    if array.ndim == 1:
        return pd.Series(array, **kwargs)
    return pd.DataFrame(array.reshape(len(array), -1), **kwargs)


def other_index(array: np.ndarray) -> pd.DataFrame | pd.Series:
    return as_frame(array, index=100 - np.arange(len(array)))


def repeated_index(array: np.ndarray) -> pd.DataFrame | pd.Series:
    return as_frame(array, index=np.zeros(len(array), int))


def nullable(array: np.ndarray) -> pd.DataFrame | pd.Series:
    frame = as_frame(array).convert_dtypes()
    frame.iloc[0] = pd.NA
    return frame


def with_text_column(array: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(array.reshape(len(array), -1)).assign(text="a")


def as_polars(array: np.ndarray) -> pl.DataFrame | pl.Series:
    if array.ndim == 1:
        return pl.Series(array)
    return pl.DataFrame(array.reshape(len(array), -1))


def polars_null(array: np.ndarray) -> pl.Series:
    return pl.Series([None, *array.reshape(len(array), -1)[1:, 0].tolist()])


def as_tensor(dtype: torch.dtype) -> Value:
    return lambda good: torch.as_tensor(np.array(good)).to(dtype)


def with_gradient(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, requires_grad=True)


def in_inference(array: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return torch.tensor(array)


class Unwilling:
    """An object that cannot be made an array."""

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise ValueError("no array")

    def __len__(self) -> int:
        return 3


class OnlyLength:
    """An object with a length and nothing else."""

    def __len__(self) -> int:
        return 3


class ArrayLike:
    """An object that can be made an array."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.array, dtype=dtype)


SHAPES = {
    "no_rows": of_array(lambda a: a[:0]),
    "no_columns": of_array(lambda a: a.reshape(len(a), -1)[:, :0]),
    "one_row": of_array(lambda a: a[:1]),
    "two_rows": of_array(lambda a: a[:2]),
    "row_less": of_array(lambda a: a[:-1]),
    "row_more": of_array(lambda a: np.concatenate([a, a[:1]])),
    "twice": of_array(lambda a: np.concatenate([a, a])),
    "first_entry": of_array(lambda a: a.flat[0]),
    "zero_d_array": of_array(lambda a: a.flat[:1].reshape(())),
    "flat": of_array(np.ravel),
    "transposed": of_array(lambda a: a.T),
    "column": of_array(lambda a: a.reshape(len(a), -1)[:, :1]),
    "further_axis": of_array(lambda a: a[..., None]),
    "two_further_axes": of_array(lambda a: a[..., None, None]),
    "leading_axis": of_array(lambda a: a[None]),
    "empty_further_axis": of_array(lambda a: np.zeros((*a.shape, 0))),
    "wider": of_array(wider),
    "ragged": of_array(ragged),
    "nested_lists": of_array(np.ndarray.tolist),
    "tuple_of_rows": of_array(tuple),
    "list_of_tensors": of_real(lambda a: list(torch.from_numpy(a))),
    "generator_of_rows": of_array(lambda a: (row for row in a)),
    "set_of_rows": of_array(lambda a: set(map(str, a))),
    "dict_of_columns": of_array(
        lambda a: dict(enumerate(a.reshape(len(a), -1).T.tolist()))
    ),
    "list_with_none": of_array(lambda a: [None, *a.tolist()[1:]]),
    "nested_none": of_array(lambda a: [[None] * 3] * len(a)),
}

ENTRIES = {
    "one_nan": spoilt(np.nan),
    "one_inf": spoilt(np.inf),
    "one_minus_inf": spoilt(-np.inf),
    "one_negative": spoilt(-3.0),
    "one_fraction": spoilt(0.25),
    "one_zero": spoilt(0.0),
    "one_1e300": spoilt(1e300),
    "one_1e_300": spoilt(1e-300),
    "one_1e30": spoilt(1e30),
    "one_minus_1e300": spoilt(-1e300),
    "one_none": spoilt(None, object),
    "one_text": spoilt("a", object),
    "one_na": spoilt(pd.NA, object),
    "one_nat": spoilt(pd.NaT, object),
    "one_list": spoilt([1], object),
    "one_complex": spoilt(1j, complex),
    "one_beyond_int64": spoilt(10**30, object),
    "one_decimal": spoilt(decimal.Decimal("0.5"), object),
    "all_nan": whole(np.nan),
    "all_inf": whole(np.inf),
    "all_zero": whole(0.0),
    "all_one": whole(1.0),
    "all_minus_one": whole(-1, int),
    "all_half": whole(0.5),
    "all_none": whole(None, object),
    "all_denormal": whole(5e-324),
    "all_1e308": whole(1e308),
    "times_1e300": of_real(lambda a: a * 1e300),
    "times_1e100": of_real(lambda a: a * 1e100),
    "times_1e38": of_real(lambda a: a * 1e38),
    "times_1e_38": of_real(lambda a: a * 1e-38),
    "times_1e_100": of_real(lambda a: a * 1e-100),
    "times_1e_300": of_real(lambda a: a * 1e-300),
    "times_denormal": of_real(lambda a: a * 5e-324),
    "negated": of_real(np.negative),
    "plus_1e8": of_real(lambda a: a + 1e8),
    "plus_1e16": of_real(lambda a: a + 1e16),
    "constant_column": of_real(constant_column),
    "repeated_rows": of_array(lambda a: a[np.arange(len(a)) % 2]),
    "three_rows_repeated": of_array(lambda a: a[np.arange(len(a)) % 3 * len(a) // 3]),
    "far_row": of_real(far_row),
    "one_hot": of_real(one_hot_rows),
    "rounded": of_real(np.round),
    "large_numbers": of_real(lambda a: np.arange(a.size).reshape(a.shape) * 1e14),
}

TYPES = {
    "bools": of_real(lambda a: a > a.mean()),
    "uint8": of_real(lambda a: np.abs(a).astype(np.uint8)),
    "int8": cast(np.int8),
    "uint64": of_real(lambda a: np.abs(a).astype(np.uint64)),
    "float16": cast(np.float16),
    "float32": cast(np.float32),
    "long_double": cast(np.longdouble),
    "big_endian": cast(">f8"),
    "objects": cast(object),
    "texts": cast(str),
    "bytes_entries": cast("S8"),
    "words": lambda good: np.full(np.shape(good), "word"),
    "complex_entries": of_real(lambda a: a + 1j),
    "complex_real": cast(complex),
    "dates": of_real(lambda a: a.astype("datetime64[s]")),
    "durations": of_real(lambda a: a.astype("timedelta64[s]")),
    "nat": of_real(lambda a: np.full(a.shape, np.datetime64("NaT"))),
    "structured": of_array(structured),
    "masked": of_array(masked),
    "unmasked": of_array(np.ma.array),
    "read_only": of_array(read_only),
    "reversed": of_array(lambda a: a[::-1]),
    "fortran": of_array(np.asfortranarray),
    "strided": of_array(lambda a: np.repeat(a, 2, 0)[::2]),
    "broadcast": of_array(lambda a: np.broadcast_to(a[:1], a.shape)),
    "memory_view": of_real(lambda a: memoryview(a)),
    "memory_map": of_real(memory_map),
    "memory_map_nan": lambda good: memory_map(spoilt(np.nan)(good)),
    "csr": of_real(lambda a: sp.csr_matrix(a.reshape(len(a), -1))),
    "csc_array": of_real(lambda a: sp.csc_array(a.reshape(len(a), -1))),
    "coo": of_real(lambda a: sp.coo_matrix(a.reshape(len(a), -1))),
    "array_like": of_array(ArrayLike),
    "unwilling": lambda good: Unwilling(),
    "only_length": lambda good: OnlyLength(),
}

FRAMES = {
    "frame": of_array(as_frame),
    "frame_other_index": of_array(other_index),
    "frame_repeated_index": of_array(repeated_index),
    "frame_nullable": of_array(nullable),
    "frame_categories": of_array(lambda a: as_frame(a).astype("category")),
    "frame_text_column": of_array(with_text_column),
    "frame_named": of_array(
        lambda a: pd.DataFrame(a.reshape(len(a), -1)).add_prefix("f")
    ),
    "frame_equal_names": of_array(
        lambda a: pd.DataFrame(a.reshape(len(a), -1)).rename(columns=lambda c: "f")
    ),
    "frame_mixed_names": of_array(
        lambda a: pd.DataFrame(a.reshape(len(a), -1)).rename(columns={0: "a"})
    ),
    "frame_empty": lambda good: pd.DataFrame(),
    "series_text": of_array(lambda a: pd.Series(["a", "b"] * len(a))[: len(a)]),
    "series_text_dtype": of_array(
        lambda a: pd.Series(a.reshape(len(a), -1)[:, 0]).astype("string")
    ),
    "polars": of_array(as_polars),
    "polars_null": of_array(polars_null),
    "polars_lazy": of_array(lambda a: pl.DataFrame(a.reshape(len(a), -1)).lazy()),
}

TENSORS = {
    f"tensor_{name}": as_tensor(getattr(torch, name))
    for name in (
        "float64 float32 float16 bfloat16 float8_e4m3fn int64 int32 int16 int8 uint8 "
        "uint16 uint64 bool complex64"
    ).split()
} | {
    "tensor_gradient": of_real(with_gradient),
    "tensor_result": of_real(lambda a: with_gradient(a) * 1),
    "tensor_inference": of_real(in_inference),
    "tensor_nan": lambda good: torch.from_numpy(spoilt(np.nan)(good)),
    "tensor_inf": lambda good: torch.from_numpy(spoilt(np.inf)(good)),
    "tensor_meta": of_real(lambda a: torch.empty(a.shape, device="meta")),
    "tensor_sparse": of_real(lambda a: torch.from_numpy(a).to_sparse()),
    "tensor_no_rows": of_real(lambda a: torch.from_numpy(a)[:0]),
    "tensor_scalar": lambda good: torch.tensor(1.0),
    "tensor_strided": of_real(lambda a: torch.from_numpy(np.repeat(a, 2, 0))[::2]),
    "tensor_row_less": of_real(lambda a: torch.from_numpy(a[:-1])),
    "parameter": of_real(lambda a: nn.Parameter(torch.from_numpy(a))),
}

ARRAYS = SHAPES | ENTRIES | TYPES | FRAMES | TENSORS


def in_torch(value: Value) -> Value:
    """Make a tensor of what has the place of one, of its type where that can be."""

    def change(good: Any) -> Any:
        changed = value(good)
        try:
            tensor = torch.as_tensor(changed)
        except (TypeError, ValueError, RuntimeError):
            return changed
        fits = np.array(good).dtype.kind == "f" or tensor.isfinite().all()
        return tensor.to(torch.as_tensor(good).dtype) if fits else tensor

    return change


# What torch itself refuses, by errors of its own that people know.
NOT_IN_TORCH = ("tensor_meta", "tensor_sparse", "tensor_float8_e4m3fn")

FOR_TORCH = (
    {f"{name}_in_torch": in_torch(v) for name, v in (SHAPES | ENTRIES).items()}
    | {name: value for name, value in TENSORS.items() if name not in NOT_IN_TORCH}
    | {name: TYPES[name] for name in ("float32", "objects", "words", "csr", "masked")}
    | {name: FRAMES[name] for name in ("frame", "polars")}
)


# Datasets.


class Items(Dataset):
    """A dataset of rows, changed one by one; it never raises an IndexError."""

    def __init__(self, rows: Any, change: Callable[[Any, int], Any]) -> None:
        self.rows = rows
        self.change = change

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.change(self.rows[i % len(self.rows)], i)


class Length(Items):
    """A dataset that says a length of its own."""

    length: Any = 0

    def __len__(self) -> Any:
        return self.length


class NoLength(Dataset):
    """A dataset without a length."""

    def __getitem__(self, i: int) -> torch.Tensor:
        return torch.zeros(3)


class Stream(IterableDataset):
    """A dataset that can only be iterated over."""

    def __iter__(self) -> Any:
        return iter(torch.zeros(4, 3))


def items(change: Callable[[torch.Tensor, int], Any]) -> Value:
    return of_real(lambda a: Items(torch.from_numpy(a).float(), change))


def of_length(length: Any) -> Value:
    def make(array: np.ndarray) -> Dataset:
        dataset = Length(torch.from_numpy(array), lambda row, i: row)
        dataset.length = length
        return dataset

    return of_real(make)


DATASETS = {
    "dataset": of_real(lambda a: TensorDataset(torch.from_numpy(a).float())),
    "dataset_items": items(lambda row, i: row),
    "dataset_pairs": items(lambda row, i: (row, i)),
    "dataset_arrays": items(lambda row, i: row.numpy()),
    "dataset_lists": items(lambda row, i: row.tolist()),
    "dataset_double": items(lambda row, i: row.double()),
    "dataset_scalars": items(lambda row, i: float(row.flatten()[0])),
    "dataset_zero_d": items(lambda row, i: row.flatten()[0]),
    "dataset_none": items(lambda row, i: None),
    "dataset_late_none": items(lambda row, i: None if i == 5 else row),
    "dataset_dicts": items(lambda row, i: {"x": row}),
    "dataset_text": items(lambda row, i: "text"),
    "dataset_objects": items(lambda row, i: object()),
    "dataset_complex": items(lambda row, i: row + 1j),
    "dataset_gradient": items(lambda row, i: row.clone().requires_grad_()),
    "dataset_nan": items(lambda row, i: row * torch.nan if i == 5 else row),
    "dataset_ragged": items(lambda row, i: row[:1] if i == 5 else row),
    "dataset_late_axis": items(lambda row, i: row[None] if i == 5 else row),
    "dataset_empty_pairs": items(lambda row, i: ()),
    "dataset_empty_items": items(lambda row, i: row[:0]),
    "dataset_mixed_types": items(lambda row, i: row.int() if i % 2 else row),
    "dataset_late_text": items(lambda row, i: "text" if i == 5 else row),
    "dataset_bool": items(lambda row, i: row > 0),
    "dataset_sparse": items(lambda row, i: row.to_sparse()),
    "dataset_meta": items(lambda row, i: row.to("meta")),
    "dataset_empty": of_length(0),
    "dataset_negative_length": of_length(-1),
    "dataset_real_length": of_length(2.5),
    "dataset_longer": of_length(30),
    "dataset_without_length": lambda good: NoLength(),
    "dataset_stream": lambda good: Stream(),
}


# Labels.


def with_labels(**labels: Any) -> dict[str, Value]:
    """Return vectors whose first and last labels are replaced."""

    def change(ends: Any, good: Any) -> list:
        return [ends[0], *np.array(good).ravel().tolist()[1:-1], ends[1]]

    return {name: functools.partial(change, ends) for name, ends in labels.items()}


def soft(good: Any) -> np.ndarray:
    """Return distributions over three classes that lean to the labels."""
    return 0.1 + 0.7 * np.eye(3)[np.array(good).astype(int)]


def soft_with(row: Any) -> Value:
    def change(good: Any) -> np.ndarray:
        rows = soft(good)
        rows[1] = row
        return rows

    return change


def named(names: Any) -> Value:
    """Give the classes other names."""
    return lambda good: [names[i] for i in np.array(good).astype(int)]


LABELS = with_labels(
    one_missing=(-1, 2),
    nones=(None, 2),
    nans=(float("nan"), 2),
    na=(pd.NA, 2),
    nats=(pd.NaT, pd.NaT),
    mixed_text=("a", 2),
    label_lists=([1], [2]),
    label_tuples=((1, 2), (1, 2)),
    label_dicts=({}, {}),
    label_objects=(object(), 2),
    label_big=(10**30, 2),
    label_infinite=(float("inf"), 2),
    label_complex=(1j, 2),
    label_bytes=(b"a", 2),
    label_bools=(True, False),
    label_fraction=(0.5, 2),
    label_new=(7, 2),
) | {
    "names": named(["a", "b", "c"]),
    "byte_names": named([b"a", b"b", b"c"]),
    "minus_one_class": named([-1, 0, 1]),
    "minus_one_text": named(["-1", "0", "1"]),
    "minus_one_real": named([-1.0, 0.0, 1.0]),
    "huge_classes": named([2**62, 2**62 + 1, 0]),
    "uint64_classes": lambda good: np.array(good).astype(np.uint64) + 2**63,
    "real_classes": named([0.0, 1.0, 2.0]),
    "continuous": named([0.1, 1.2, 2.7]),
    "two_classes": named([0, 1, 1]),
    "minus_and_plus": named([-1, 1, 1]),
    "date_classes": named(list(np.array(["2020", "2021", "2022"], "M8[D]"))),
    "tuple_classes": named([(0, 1), (1, 0), (1, 1)]),
    "empty_names": named(["", " ", "a"]),
    "none_and_names": named([None, "b", "c"]),
    "na_and_names": named([pd.NA, "b", "c"]),
    "category": lambda good: pd.Series(named("abc")(good), dtype="category"),
    "category_na": lambda good: pd.Series(named("abd")(good)).astype(
        pd.CategoricalDtype(["a", "b"])
    ),
    "nullable_ints": lambda good: pd.Series(
        [None, *np.array(good).tolist()[1:]], dtype="Int64"
    ),
    "nullable_text": lambda good: pd.Series(
        [None, *named("abc")(good)[1:]], dtype="string"
    ),
    "soft": soft,
    "soft_float32": lambda good: soft(good).astype(np.float32),
    "soft_float16": lambda good: soft(good).astype(np.float16),
    "soft_list": lambda good: soft(good).tolist(),
    "soft_frame": lambda good: pd.DataFrame(soft(good)),
    "soft_tensor": lambda good: torch.from_numpy(soft(good)),
    "soft_gradient": lambda good: torch.tensor(soft(good), requires_grad=True),
    "soft_objects": lambda good: soft(good).astype(object),
    "soft_text": lambda good: soft(good).astype(str),
    "soft_complex": lambda good: soft(good) + 1j,
    "soft_sparse": lambda good: sp.csr_matrix(soft(good)),
    "soft_doubled": lambda good: 2 * soft(good),
    "soft_1e300": lambda good: 1e300 * soft(good),
    "soft_1e_300": lambda good: 1e-300 * soft(good),
    "soft_nan_row": soft_with(np.nan),
    "soft_nan_entry": soft_with([np.nan, 0.5, 0.5]),
    "soft_infinite": soft_with([np.inf, 0, 0]),
    "soft_negative": soft_with([-0.5, 1, 0.5]),
    "soft_zero_row": soft_with(0),
    "soft_one_class": lambda good: np.eye(3)[np.zeros(len(good), int)],
    "soft_all_nan": lambda good: soft(good) * np.nan,
    "soft_two_columns": lambda good: soft(good)[:, :2],
    "soft_one_column": lambda good: soft(good)[:, :1],
    "soft_four_columns": lambda good: np.full((len(good), 4), 0.25),
    "soft_row_less": lambda good: soft(good)[1:],
    "hard_rows": lambda good: np.eye(3)[np.array(good).astype(int)],
    "hard_int_rows": lambda good: np.eye(3, dtype=int)[np.array(good).astype(int)],
    "hard_bool_rows": lambda good: np.eye(3, dtype=bool)[np.array(good).astype(int)],
}

CLASSES = constants(
    classes_two=[0, 1],
    classes_repeated=[0, 1, 1, 2],
    classes_one=[0],
    classes_with_missing=[-1, 0, 1, 2],
    classes_unsorted=[2, 0, 1],
    classes_mixed=["a", 1, 2],
    classes_none=[None, 1, 2],
    classes_nan=[float("nan"), 0, 1, 2],
    classes_inf=[float("inf"), 0, 1, 2],
    classes_names=["a", "b", "c"],
    classes_na=[pd.NA, 0, 1],
    classes_pairs=[(0, 1), (1, 2), (2, 3)],
    classes_text="012",
    classes_dict={0: 1, 1: 2, 2: 3},
    classes_set={0, 1, 2},
    classes_complex=[0, 1, 1j],
)


# Other parameters.


class Module(nn.Module):
    """A linear network whose outputs are changed."""

    def __init__(self, change: Callable[[torch.Tensor], Any], width: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(3, width)
        self.change = change

    def forward(self, x: torch.Tensor) -> Any:
        return self.change(self.layer(x.flatten(1)))


def without_gradient() -> nn.Module:
    return nn.Linear(3, 3).requires_grad_(False)


def with_nan() -> nn.Module:
    module = nn.Linear(3, 3)
    module.weight.data.fill_(torch.nan)
    return module


MODULES = {
    name: functools.partial(lambda make, good: make(), make)
    for name, make in {
        "vgg4": lambda: "vgg4",
        "module": lambda: nn.Linear(3, 3),
        "module_class": lambda: nn.Linear,
        "module_double": lambda: nn.Linear(3, 3).double(),
        "module_half": lambda: nn.Linear(3, 3).bfloat16(),
        "module_complex": lambda: nn.Linear(3, 3, dtype=torch.complex64),
        "module_frozen": without_gradient,
        "module_nan": with_nan,
        "module_lazy": lambda: nn.LazyLinear(3),
        "module_empty": nn.Identity,
        "module_meta": lambda: nn.Linear(3, 3, device="meta"),
        "module_without_class": lambda: nn.Module,
        "module_too_few_features": lambda: nn.Linear(2, 3),
        "module_one_output": lambda: nn.Linear(3, 1),
        "module_more_outputs": lambda: nn.Linear(3, 4),
        "module_of_tuple": lambda: Module(lambda z: (z, z)),
        "module_of_none": lambda: Module(lambda z: None),
        "module_of_dict": lambda: Module(lambda z: {"logits": z}),
        "module_of_array": lambda: Module(lambda z: z.detach().numpy()),
        "module_of_ints": lambda: Module(lambda z: z.int()),
        "module_of_complex": lambda: Module(lambda z: z + 1j),
        "module_of_nan": lambda: Module(lambda z: z * torch.nan),
        "module_of_inf": lambda: Module(lambda z: z + torch.inf),
        "module_huge": lambda: Module(lambda z: z * 1e38),
        "module_detached": lambda: Module(lambda z: z.detach()),
        "module_double_outputs": lambda: Module(lambda z: z.double()),
        "module_half_outputs": lambda: Module(lambda z: z.half()),
        "module_mean_of_batch": lambda: Module(lambda z: z.mean(0)),
        "module_further_axis": lambda: Module(lambda z: z[..., None]),
        "module_raises": lambda: Module(lambda z: z.nothing),
        "module_list": lambda: nn.ModuleList([nn.Linear(3, 3)]),
        "module_dropout": lambda: nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.99)),
        "module_batch_norm": lambda: nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)),
        "factory_none": lambda: lambda in_shape, n_outputs: None,
        "factory_one_argument": lambda: lambda in_shape: nn.Linear(3, 3),
        "factory_class": lambda: lambda in_shape, n_outputs: nn.Linear,
        "factory_good": lambda: lambda in_shape, n_outputs: nn.Linear(3, n_outputs),
    }.items()
}

OPTIMIZERS = {
    name: functools.partial(give, optimizer)
    for name, optimizer in {
        "optimizer_sgd": "sgd",
        "optimizer_lbfgs": torch.optim.LBFGS,
        "optimizer_rprop": torch.optim.Rprop,
        "optimizer_none": lambda params, **kwargs: None,
        "optimizer_one_argument": lambda params: torch.optim.SGD(params),
        "optimizer_module": nn.Linear,
        "optimizer_base": torch.optim.Optimizer,
        "optimizer_sparse": torch.optim.SparseAdam,
        "optimizer_object": lambda params, **kwargs: object(),
    }.items()
}


class Stops(skorch.callbacks.Callback):
    """A callback that stops the training at some moment."""

    def __init__(self, moment: str) -> None:
        setattr(self, moment, stop)


def stop(*args: Any, **kwargs: Any) -> None:
    raise KeyboardInterrupt


CALLBACKS = {
    "callbacks_text": lambda good: ["text"],
    "callbacks_object": lambda good: [object()],
    "callbacks_class": lambda good: [skorch.callbacks.EpochTimer],
    "callbacks_pair": lambda good: [("timer", skorch.callbacks.EpochTimer())],
    "callbacks_twice": lambda good: [("a", skorch.callbacks.EpochTimer())] * 2,
    "callbacks_reserved": lambda good: [("epoch_timer", skorch.callbacks.EpochTimer())],
    "callbacks_number_name": lambda good: [(1, skorch.callbacks.EpochTimer())],
    "callbacks_triple": lambda good: [("a", 1, skorch.callbacks.EpochTimer())],
    "callbacks_empty_tuple": lambda good: [()],
    "callbacks_stop_epoch": lambda good: [Stops("on_epoch_begin")],
    "callbacks_stop_batch": lambda good: [Stops("on_batch_begin")],
    "callbacks_stop_batch_end": lambda good: [Stops("on_batch_end")],
    "callbacks_stop_epoch_end": lambda good: [Stops("on_epoch_end")],
}


def graph_of(change: Callable[[np.ndarray], Any]) -> Value:
    """Make a graph of the samples from the affinities of a ring."""

    def make(good: Any) -> Any:
        place = np.arange(N_SAMPLES)
        gap = np.abs(place[:, None] - place)
        return change(np.exp(-np.minimum(gap, N_SAMPLES - gap).astype(float)))

    return make


def with_link(value: Any, dtype: Any = float) -> Value:
    def change(affinity: np.ndarray) -> sp.csr_matrix:
        affinity = affinity.astype(dtype)
        affinity[0, 1] = value
        return sp.csr_matrix(affinity)

    return graph_of(change)


GRAPHS = {
    "graph": graph_of(sp.csr_matrix),
    "graph_array": graph_of(sp.csr_array),
    "graph_coo": graph_of(sp.coo_array),
    "graph_lil": graph_of(sp.lil_array),
    "graph_dense": graph_of(lambda a: a),
    "graph_list": graph_of(np.ndarray.tolist),
    "graph_frame": graph_of(pd.DataFrame),
    "graph_tensor": graph_of(torch.from_numpy),
    "graph_objects": graph_of(lambda a: a.astype(object)),
    "graph_text": graph_of(lambda a: a.astype(str)),
    "graph_bool": graph_of(lambda a: sp.csr_matrix(a > 0.1)),
    "graph_int": graph_of(lambda a: sp.csr_matrix((a > 0.1).astype(np.int8))),
    "graph_float16": graph_of(lambda a: a.astype(np.float16)),
    "graph_empty": graph_of(lambda a: sp.csr_matrix(a.shape)),
    "graph_dense_empty": graph_of(np.zeros_like),
    "graph_identity": graph_of(lambda a: sp.identity(N_SAMPLES, format="csr")),
    "graph_one_link": graph_of(lambda a: sp.csr_matrix(([1.0], ([0], [1])), a.shape)),
    "graph_two_links": graph_of(
        lambda a: sp.csr_matrix(([1.0, 1.0], ([0, 3], [1, 2])), a.shape)
    ),
    "graph_one_way": graph_of(lambda a: sp.csr_matrix(np.triu(a, 1))),
    "graph_smaller": graph_of(lambda a: sp.csr_matrix(a[:-1, :-1])),
    "graph_not_square": graph_of(lambda a: sp.csr_matrix(a[:-1])),
    "graph_0_by_0": graph_of(lambda a: sp.csr_matrix((0, 0))),
    "graph_nan": with_link(np.nan),
    "graph_inf": with_link(np.inf),
    "graph_negative": with_link(-1.0),
    "graph_complex": with_link(1j, complex),
    "graph_1e300": with_link(1e300),
    "graph_times_1e30": graph_of(lambda a: sp.csr_matrix(a * 1e30)),
    "graph_times_1e300": graph_of(lambda a: sp.csr_matrix(a * 1e300)),
    "graph_times_1e_30": graph_of(lambda a: sp.csr_matrix(a * 1e-30)),
    "graph_times_1e_300": graph_of(lambda a: sp.csr_matrix(a * 1e-300)),
    "graph_1d": lambda good: np.ones(N_SAMPLES),
    "graph_3d": lambda good: np.ones((N_SAMPLES, N_SAMPLES, 1)),
    "graph_explicit_zeros": graph_of(
        lambda a: sp.csr_matrix(
            (np.zeros(len(a)), (range(len(a)), range(len(a))[::-1]))
        )
    ),
}

CHANGES = {
    "identity": lambda x: x,
    "none": lambda x: None,
    "first_row": lambda x: x[:1],
    "no_rows": lambda x: x[:0],
    "twice": lambda x: torch.cat([x, x]),
    "flat": lambda x: x.flatten(),
    "further_axis": lambda x: x[..., None],
    "column_less": lambda x: x[:, 1:],
    "double": lambda x: x.double(),
    "half": lambda x: x.half(),
    "ints": lambda x: x.int(),
    "complex": lambda x: x + 1j,
    "array": lambda x: x.numpy(),
    "list": lambda x: x.tolist(),
    "nan": lambda x: x * torch.nan,
    "inf": lambda x: x / 0,
    "huge": lambda x: x * 1e30,
    "in_place": lambda x: x.add_(1),
    "gradient": lambda x: x.clone().requires_grad_(),
    "sparse": lambda x: x.to_sparse(),
    "meta": lambda x: x.to("meta"),
    "text": lambda x: "text",
    "torch_random": lambda x: x + torch.randn_like(x),
}

VIEWS = (
    {
        f"view_{name}": functools.partial(give, change)
        for name, change in CHANGES.items()
    }
    | GRAPHS
    | {
        f"neighbors_{name}": functools.partial(
            lambda make, good: Neighbors(graph=make(good)), make
        )
        for name, make in GRAPHS.items()
    }
    | {
        "view_list": lambda good: ["neighbors", "noise", len],
        "view_names": lambda good: ["neighbors", "noise"],
        "view_auto_in_list": lambda good: ["auto"],
        "view_none_in_list": lambda good: ["noise", None],
        "view_number_in_list": lambda good: ["noise", 3],
        "view_graphs": lambda good: [GRAPHS["graph"](good)] * 2,
        "view_noise": lambda good: GaussianNoise(100),
        "view_for_images": lambda good: RandomAffine(),
        "view_class": lambda good: Neighbors,
        "view_transform_class": lambda good: RandomAffine,
        "view_no_arguments": lambda good: lambda: None,
        "view_many_neighbors": lambda good: Neighbors(n_neighbors=10**9),
        "view_np_neighbors": lambda good: Neighbors(n_neighbors=np.uint8(3)),
        "view_steps": lambda good: Neighbors(n_steps=np.int8(100)),
        "view_nested": lambda good: [["noise"]],
        "view_tuple": lambda good: ("noise", "neighbors"),
        "view_set": lambda good: {"noise"},
    }
)

CLASS_WEIGHTS = constants(
    weights_balanced="balanced",
    weights_all={0: 1, 1: 2, 2: 3},
    weights_some={1: 2},
    weights_zero={0: 0, 1: 0, 2: 0},
    weights_one_zero={0: 0},
    weights_negative={0: -1},
    weights_nan={0: float("nan")},
    weights_inf={0: float("inf")},
    weights_1e300={0: 1e300, 1: 1e300, 2: 1e300},
    weights_1e39={0: 1e39},
    weights_1e_300={0: 1e-300, 1: 1e-300, 2: 1e-300},
    weights_text={0: "a"},
    weights_none={0: None},
    weights_complex={0: 1j},
    weights_list={0: [1, 2]},
    weights_unknown={7: 1},
    weights_unknown_text={"a": 1},
    weights_none_class={None: 1},
    weights_np={np.uint8(0): np.float16(2)},
    weights_bool={0: True, 1: False},
    weights_tensor={0: torch.tensor(2.0)},
    weights_decimal={0: decimal.Decimal("0.5")},
)

DEVICES = constants(
    device_cpu="cpu",
    device_object=torch.device("cpu"),
    device_index="cpu:7",
    device_missing="cuda:99",
    device_meta="meta",
    device_meta_object=torch.device("meta"),
    device_mps="mps",
    device_xla="xla",
    device_upper="CPU",
    device_minus="cuda:-1",
    device_int=0,
)

RANDOM_STATES = constants(
    seed_largest=2**32 - 1,
    seed_too_large=2**32,
    seed_module=np.random,
    seed_torch=torch.Generator(),
)

INITS = {f"init_{name}": value for name, value in LABELS.items()} | {
    "init_random": lambda good: "random",
    "init_kmeans": lambda good: "k-means",
}

NAMES = constants(
    upper="COLLISION",
    name_collision="collision",
    name_em="em",
    name_exact="exact",
    name_pgd="pgd",
    name_mean="mean",
    name_none="none",
    name_keep="keep",
    name_auto="auto",
    name_list=["collision"],
)

KINDS: dict[str, dict[str, Value]] = {
    "scalar": SCALARS,
    "count": {k: v for k, v in SCALARS.items() if k not in HUGE},
    "boolean": {k: v for k, v in SCALARS.items() if k not in ("true", "np_true")},
    "name": SCALARS | NAMES,
    "array": SCALARS | ARRAYS,
    "tensor": SCALARS | FOR_TORCH,
    "samples": SCALARS | ARRAYS | DATASETS,
    "labels": SCALARS | ARRAYS | LABELS,
    "classes": SCALARS | ARRAYS | CLASSES,
    "init": SCALARS | ARRAYS | INITS,
    "module": SCALARS | MODULES | NAMES,
    "optimizer": SCALARS | OPTIMIZERS | NAMES,
    "callbacks": SCALARS | CALLBACKS,
    "views": SCALARS | VIEWS,
    "graph": SCALARS | GRAPHS,
    "class_weight": SCALARS | CLASS_WEIGHTS,
    "device": SCALARS | DEVICES,
    "random_state": SCALARS | RANDOM_STATES,
}
