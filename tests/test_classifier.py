"""CollisionClassifier: its contract, and what it makes of labels of all kinds."""

import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_cce import CollisionClassifier, _classifier
from sklearn_cce._graph.spreading import spread_labels
from sklearn_cce._training.inference import most_probable, probabilities
from sklearn_cce._training.sources import TensorSource
from sklearn_cce._training.validation import held_out
from sklearn_cce.losses import LOSSES
from sklearn_cce.modules import MLP, FeatureScaling
from sklearn_cce.views import Neighbors

QUICK = {"module": "linear", "max_epochs": 40, "lr": 0.01, "random_state": 0}


def classifier(**params):
    return CollisionClassifier(**(QUICK | params))


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, train_size=600, random_state=0, stratify=y)


def one_hot(y, n_classes=3):
    return np.eye(n_classes)[y]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_blobs(X, y, loss):
    model = classifier(loss=loss).fit(X, y)
    assert model.score(X, y) == 1.0


@pytest.mark.parametrize("names", [["a", "b", "c"], [7, 3, 5], [0.0, 1.0, 2.0]])
def test_predictions_are_the_labels_that_were_given(X, y, names):
    labels = np.array(names)[y]
    model = classifier().fit(X, labels)
    np.testing.assert_array_equal(model.classes_, sorted(names))
    np.testing.assert_array_equal(model.predict(X), labels)


def test_labels_and_their_one_hot_matrix_train_the_same_network(X, y):
    by_label, by_matrix = classifier().fit(X, y), classifier().fit(X, one_hot(y))
    np.testing.assert_array_equal(by_label.predict_proba(X), by_matrix.predict_proba(X))
    np.testing.assert_array_equal(by_matrix.classes_, [0, 1, 2])


def test_for_hard_labels_collision_is_shannon(X, y):
    collision = classifier(loss="collision").fit(X, y).predict_proba(X)
    shannon = classifier(loss="shannon").fit(X, y).predict_proba(X)
    np.testing.assert_allclose(collision, shannon, atol=1e-5)


def test_shannon_copies_the_uncertainty_of_soft_labels_and_collision_does_not(X, y):
    soft = 0.6 * one_hot(y) + 0.4 / 3
    shannon = classifier(loss="shannon").fit(X, soft).predict_proba(X)
    collision = classifier(loss="collision").fit(X, soft).predict_proba(X)
    assert np.abs(shannon - soft).mean() < 0.05 and shannon.max() < 0.9
    right = collision[np.arange(len(y)), y]
    assert right.mean() > 0.9 and right.min() > 0.8


def test_uniform_labels_teach_collision_nothing(X, y):
    soft = np.where(np.arange(len(y))[:, None] % 2, one_hot(y), 1 / 3)
    scaled = StandardScaler().fit_transform(X)
    params = {"batch_size": 30, "weight_decay": 0.0, "views": None}
    all_samples = classifier(**params).fit(scaled, soft)
    assert all_samples.score(scaled, y) == 1.0
    untaught = classifier(**params).fit(
        np.vstack([scaled, scaled]), np.vstack([soft, np.full((len(y), 3), 1 / 3)])
    )
    assert untaught.predict_proba(scaled).max(1).min() > 0.9


def test_candidate_lists_are_enough(X, y):
    rng = np.random.default_rng(0)
    other = (y + rng.integers(1, 3, len(y))) % 3
    partial = (one_hot(y) + one_hot(other)) / 2
    assert classifier().fit(X, partial).score(X, y) == 1.0


def test_probabilities_are_distributions_of_the_right_type(X, y):
    proba = classifier().fit(X, y).predict_proba(X)
    assert proba.dtype == np.float32 and proba.shape == (len(X), 3)
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-6)


def test_one_random_state_gives_one_result_and_leaves_the_global_states(X, y):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = (classifier().fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


def test_weights_are_repetitions_to_the_bit(X, y):
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    weighted = classifier().fit(X, y, sample_weight=weight)
    repeated = classifier().fit(np.repeat(X, weight, 0), np.repeat(y, weight))
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))


def test_class_weights_move_the_boundary(y):
    X = np.random.default_rng(0).normal(size=(len(y), 2)) + y[:, None]
    counts = [
        np.bincount(classifier(class_weight=weight).fit(X, y).predict(X), minlength=3)
        for weight in ({0: 20.0, 1: 1.0, 2: 1.0}, None, {0: 1.0, 1: 1.0, 2: 20.0})
    ]
    assert counts[0][0] > counts[1][0] > counts[2][0]


def test_balanced_weights_are_those_of_scikit_learn(blobs):
    X, y = blobs
    kept = np.concatenate([np.flatnonzero(y == 0)[:5], np.flatnonzero(y > 0)])
    X, y = X[kept], y[kept]
    share = np.bincount(y) / len(y)
    by_name = classifier(class_weight="balanced").fit(X, y)
    by_dict = classifier(class_weight=dict(enumerate(1 / share / 3))).fit(X, y)
    np.testing.assert_allclose(
        by_name.predict_proba(X), by_dict.predict_proba(X), atol=1e-5
    )


def test_smoothing_is_mixing_the_labels(X, y):
    smoothed = classifier(label_smoothing=0.3).fit(X, y)
    mixed = classifier().fit(X, 0.7 * one_hot(y) + 0.1)
    np.testing.assert_allclose(
        smoothed.predict_proba(X), mixed.predict_proba(X), atol=1e-4
    )


# Samples without a label.


def hide(y, n_each, seed=0):
    """Keep the labels of a few samples of every class."""
    order = np.random.default_rng(seed).permutation(len(y))
    kept = np.concatenate([order[y[order] == k][:n_each] for k in np.unique(y)])
    hidden = np.full(len(y), np.nan)
    hidden[kept] = y[kept]
    return hidden


def hidden_rows(hidden):
    """Return labels as distributions, with rows of NaN where there is none."""
    return np.where(np.isnan(hidden)[:, None], np.nan, hidden[:, None] == range(3))


def test_one_label_a_blob_is_enough(X, y):
    assert classifier().fit(X, hide(y, 1)).score(X, y) == 1.0


MARKS = {
    "NaN": lambda y: y,
    "NaN in single precision": lambda y: y.astype(np.float32),
    "None": lambda y: [None if np.isnan(k) else f"c{k:.0f}" for k in y],
    "NA": lambda y: pd.Series(y, dtype="Int64"),
    "NA among objects": lambda y: pd.Series(y, dtype="Int64").astype(object),
    "NA among text": lambda y: pd.Series(y, dtype="Int64").astype("string"),
    "no category": lambda y: pd.Series(y).map({0: "a", 1: "b", 2: "c"}, "ignore"),
    "null": lambda y: pl.Series(y, nan_to_null=True).cast(pl.UInt8),
    "masked": lambda y: np.ma.masked_array(np.nan_to_num(y, nan=7), np.isnan(y)),
    "NaT": lambda y: np.datetime64("2020-01-01") + pd.to_timedelta(pd.Series(y), "D"),
    "rows of NaN": hidden_rows,
    "rows of None": lambda y: np.where(np.isnan(r := hidden_rows(y)), None, r),
}


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_marks_of_unlabelled_samples_mean_the_same_in_fit_and_score(X, y, mark):
    hidden, half = hide(y, 4), np.where(np.arange(len(y)) % 2, y, np.nan)
    half[:3] = (y[:3] + 1) % 3
    expected = classifier(max_epochs=4).fit(X, hidden)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = classifier(max_epochs=4).fit(X, mark(hidden))
        score = model.score(X, mark(half))
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    right = expected.predict(X) == half
    assert score == pytest.approx(right.sum() / np.isfinite(half).sum())


def test_minus_one_marks_unlabelled_samples_with_one_warning_a_call(X, y):
    hidden = hide(y, 4)
    expected = classifier(max_epochs=4).fit(X, hidden)
    marked = np.nan_to_num(hidden, nan=-1).astype(int)
    with pytest.warns(UserWarning, match="labels of -1") as in_fit:
        model = classifier(max_epochs=4).fit(X, marked)
    with pytest.warns(UserWarning, match="labels of -1") as in_score:
        score = model.score(X, marked)
    with pytest.warns(UserWarning, match="labels of -1") as in_partial_fit:
        model.partial_fit(X, marked)
    assert [len(w) for w in (in_fit, in_score, in_partial_fit)] == [1, 1, 1]
    assert len({str(w[0].message) for w in (in_fit, in_score, in_partial_fit)}) == 1
    assert score == expected.score(X, hidden)


def test_the_warning_of_minus_one_names_the_line_of_the_user(X, y):
    marked = np.where(np.arange(len(y)) % 2, y, -1)
    with pytest.warns(UserWarning) as caught:
        cross_val_score(classifier(max_epochs=1), X, marked, cv=3)
    (warning,) = caught  # of three fits and three scores, the first
    assert warning.filename == __file__


def test_a_class_of_minus_one_cannot_be_lost_silently(X, y):
    labels = y - 1
    with pytest.warns(UserWarning, match="If -1 is a class"):
        model = classifier().fit(X, labels)
    assert model.classes_.tolist() == [0, 1]
    with pytest.warns(UserWarning, match="If -1 is a class"):
        assert model.score(X, labels) == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for names in (labels + 1, labels.astype(str), one_hot(y)):
            model = classifier().fit(X, names)
            assert len(model.classes_) == 3 and model.score(X, names) == 1.0


def test_minus_one_is_scored_where_it_is_a_class(X, y):
    two, three = np.where(y > 0, 1, -1), y - 1
    pair = classifier().fit(X, two)
    stream = classifier()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(40):
            stream.partial_fit(X, three, classes=[-1, 0, 1])
        assert pair.score(X, two) == stream.score(X, three) == 1.0
        assert pair.score(X, -two) == 0.0
        assert pair.score(X, three) == pytest.approx(np.mean(y != 1))


def test_unlabelled_digits_help(digits):
    X, X_test, y, y_test = digits
    hidden = hide(y, 4)
    small = functools.partial(MLP, hidden=(64,))
    params = {"module": small, "lr": 3e-3, "max_epochs": 120}
    known = np.isfinite(hidden)
    alone = classifier(**params).fit(X[known], hidden[known]).score(X_test, y_test)
    helped = classifier(**params).fit(X, hidden).score(X_test, y_test)
    assert helped > alone + 0.05


def test_views_may_be_none_noise_or_a_graph(X, y):
    hidden = hide(y, 4)
    for views in (None, "noise", Neighbors(n_neighbors=3), ["neighbors", "noise"]):
        assert classifier(views=views).fit(X, hidden).score(X, y) > 0.9
    graph = sp.csr_matrix(np.equal.outer(y, y).astype(float))
    assert classifier(views=graph).fit(X, hide(y, 1)).score(X, y) == 1.0


def test_the_prior_sets_the_shares_of_doubtful_samples():
    X = np.random.default_rng(0).normal(size=(300, 2))
    y = np.full(300, np.nan)
    y[np.argsort(X[:, 0])[[0, 1, -2, -1]]] = 0, 0, 1, 1
    params = {"views": None, "fairness_weight": 100.0}
    for share in (0.2, 0.8):
        model = classifier(class_prior=[share, 1 - share], **params).fit(X, y)
        assert abs(np.mean(model.predict(X) == 0) - share) < 0.15


def test_labels_spread_to_what_they_reach():
    chain = sp.csr_matrix(([1.0, 1.0, 1.0], ([0, 1, 3], [1, 2, 4])), (6, 6))
    nan = [np.nan, np.nan]
    targets = np.array([[1, 0], nan, nan, nan, [0.2, 0.8], nan], np.float32)
    spread = spread_labels(chain, targets, None)
    np.testing.assert_allclose(spread[[1, 2]], [[1, 0], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(spread[3], [0.2, 0.8], atol=1e-6)
    np.testing.assert_allclose(spread[5], [0.5, 0.5])
    np.testing.assert_array_equal(spread[[0, 4]], targets[[0, 4]])
    unused = spread_labels(chain, targets, np.array([0, 1, 1, 1, 1, 1]))
    np.testing.assert_allclose(unused[:3], 0.5)


# Early stopping.


def test_early_stopping_holds_out_an_equal_share_of_every_class():
    y = np.repeat([0, 1, 2], [100, 40, 60])
    targets = one_hot(y)
    targets[:10] = np.nan
    chosen = held_out(targets, None, 0.2, np.random.default_rng(0))
    assert len(set(chosen)) == len(chosen) and not np.isnan(targets[chosen]).any()
    counts = np.bincount(y[chosen])
    assert np.abs(counts - [18, 8, 12]).max() <= 1


def test_early_stopping_returns_to_the_best_epoch(digits):
    X, _, y, _ = digits
    wrong = np.where(np.arange(len(y)) % 2, y, (y + np.arange(len(y))) % 10)
    params = {"early_stopping": True, "patience": 3, "validation_fraction": 0.3}
    model = classifier(module="mlp", lr=3e-3, **params).fit(X, wrong)
    accuracy = model.history_[:, "valid_accuracy"]
    assert model.n_iter_ == len(accuracy) == np.argmax(accuracy) + 4 < 40


def test_held_out_samples_lose_their_weight_in_training_alone():
    X, y = np.eye(40, dtype=np.float32), np.arange(40) % 2
    model = classifier(early_stopping=True, validation_fraction=0.25)
    source, labels = TensorSource(torch.from_numpy(X)), _classifier.Labels(y)
    task = model._task(source, np.arange(40.0), labels, False)
    kept = model._with_watch(task, source, seed=0)
    watch, weight = kept.watch, task.weight
    index = watch.source[:].argmax(1).numpy()
    np.testing.assert_array_equal(watch.weight, weight[index])
    np.testing.assert_array_equal(watch.targets, one_hot(y, 2)[index])
    expected = np.where(np.isin(np.arange(40), index), 0, weight)
    np.testing.assert_array_equal(kept.weight, expected)
    assert len(index) == 10 and weight[index].min() > 0


# Streams and warm starts.


def test_chunks_make_a_classifier(X, y):
    labels = np.array(["a", "b", "c"])[y]
    order = np.argsort(y, kind="stable")
    model = classifier(batch_size=10)
    for _ in range(20):
        for chunk in np.array_split(order, 3):
            model.partial_fit(X[chunk], labels[chunk], classes=["c", "a", "b"])
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.score(X, labels) == 1.0


def test_chunks_may_be_soft_or_without_labels(X, y):
    model = classifier().partial_fit(X, one_hot(y))
    model.partial_fit(X, np.full((len(X), 3), np.nan)).partial_fit(X, y)
    model.partial_fit(X, np.full(len(X), np.nan)).partial_fit(X, [None] * len(X))
    assert len(model.history_) == 5


def test_chunks_must_keep_to_the_classes(X, y):
    with pytest.raises(ValueError, match="classes must be passed"):
        classifier().partial_fit(X, y)
    model = classifier().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="labels from classes only"):
        model.partial_fit(X, y + 1)
    assert model.n_iter_ == 1


def test_warm_start_goes_on(X, y):
    model = classifier(warm_start=True, max_epochs=5).fit(X, y)
    before = model.history_[-1, "train_loss"]
    model.fit(X, y)
    assert model.n_iter_ == 5 and len(model.history_) == 10
    assert model.history_[-1, "train_loss"] < before
    with pytest.raises(ValueError, match="warm_start=False"):
        model.fit(X, np.array(["a", "b", "c"])[y])


# Bad input, and what it leaves behind.


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"loss": "hinge"}, "'loss' parameter"),
        ({"label_smoothing": 1.0}, "'label_smoothing' parameter"),
        ({"fairness_weight": 0}, "'fairness_weight' parameter"),
        ({"class_prior": [0.5, 0.5]}, "class_prior must be 3 non-negative"),
        ({"class_weight": {0: -1.0}}, "class_weight must give"),
        ({"views": "rotation"}, "views must be one of"),
        ({"validation_fraction": 0.0}, "'validation_fraction' parameter"),
    ],
)
def test_wrong_parameters_are_named_before_any_work(X, y, params, says):
    model = classifier(**params)
    with pytest.raises(ValueError, match=says):
        model.fit(X, y)
    assert not hasattr(model, "net_")


def test_a_failed_fit_leaves_the_last_one(X, y):
    model = classifier().fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="does not sum to 1"):
        model.fit(X, np.full((len(X), 3), 0.4))
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_labels_without_weight_are_no_labels(X, y):
    hidden = hide(y, 2)
    with pytest.raises(ValueError, match="positive for a labelled sample"):
        classifier().fit(X, hidden, sample_weight=np.isnan(hidden))
    model = classifier(max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="positive for a labelled sample"):
        model.score(X, hidden, sample_weight=np.isnan(hidden))


# Scores and weights.


def test_score_takes_labels_of_all_kinds(X, y):
    model = classifier().fit(X, y)
    assert model.score(X, y) == 1.0
    assert model.score(X, (y + 1) % 3) == 0.0
    assert model.score(X, np.where(np.arange(len(y)) % 2, y, np.nan)) == 1.0
    soft = 0.7 * one_hot(y) + 0.1
    assert model.score(X, soft) == pytest.approx(0.8)
    soft[0] = np.nan
    assert model.score(X, soft) == pytest.approx(0.8)
    half = np.where(np.arange(len(y)) < 20, y, (y + 1) % 3)
    weight = (np.arange(len(y)) < 30).astype(float)
    assert model.score(X, half, sample_weight=weight) == pytest.approx(2 / 3)


def test_labels_of_no_class_are_wrong_and_those_of_another_kind_refused(X, y):
    model = classifier().fit(X, y)
    half = np.arange(len(y)) < 30
    for unknown in (7, -3, True + 7.0, 255):
        assert model.score(X, np.where(half, y, unknown)) == 0.5
    assert model.score(X, y.astype(np.float32)) == 1.0
    assert model.score(X, pd.Series(y, dtype="category")) == 1.0
    assert model.score(X, y > 0) == np.mean(y < 2)
    for other in (y.astype(str), y + 0j, y + 0.5, np.datetime64("2020") + y):
        with pytest.raises(ValueError, match=r"\by must"):
            model.score(X, other)
    named = classifier().fit(X, np.array(["a", "b", "c"])[y])
    assert named.score(X, np.array(["a", "z", "c"], object)[y]) == np.mean(y != 1)
    with pytest.raises(ValueError, match="y must .*which are text, .*has numbers"):
        named.score(X, y)


@pytest.mark.parametrize(
    "nothing",
    [np.full(60, np.nan), [None] * 60, np.full((60, 3), np.nan), [pd.NA] * 60],
)
def test_a_score_of_nothing_is_refused(X, y, nothing):
    model = classifier(max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="y must label at least one sample"):
        model.score(X, nothing)


@pytest.fixture
def idle(monkeypatch):
    """Let nothing be trained or predicted."""

    def work(*args, **kwargs):
        raise AssertionError("work was begun")

    monkeypatch.setattr(CollisionClassifier, "_train", work)
    monkeypatch.setattr(_classifier, "infer", work)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "weight",
    [
        np.full(60, np.nan),
        np.full(60, np.inf),
        np.r_[np.inf, -np.inf, np.ones(58)],
        np.r_[-1.0, np.ones(59)],
        np.zeros(60),
        np.ones(59),
        [],
        np.ones((60, 1)),
        np.ones((1, 60)),
        np.ones(60, dtype=object),
        np.full(60, "1"),
        ["heavy"] * 60,
        np.ones(60) + 0j,
        [None] * 60,
        pd.Series([pd.NA] * 60, dtype="Float64"),
        pd.Series(["1"] * 60, dtype="string"),
        np.ma.masked_array(np.ones(60), mask=np.arange(60) < 2),
        np.full(60, np.longdouble("1e400")),
        sp.csr_array(np.ones((60, 1))),
        np.nan,
        "heavy",
        {},
    ],
    ids=repr,
)
def test_wrong_weights_are_named_before_any_work(X, y, weight, idle):
    model = classifier()
    for call in (model.fit, functools.partial(model.partial_fit, classes=[0, 1, 2])):
        with pytest.raises(ValueError, match="sample_weight"):
            call(X, y, sample_weight=weight)
    assert not hasattr(model, "net_")


@pytest.mark.parametrize(
    "weight",
    [
        np.full(60, np.nan),
        np.full(60, np.inf),
        np.full(60, -1.0),
        np.zeros(60),
        np.ones(59),
        np.ones((60, 1)),
        np.ones(60, dtype=object),
        np.full(60, "1"),
        np.ones(60) + 0j,
        [],
    ],
    ids=repr,
)
def test_a_score_with_wrong_weights_is_refused_before_any_work(
    X, y, weight, monkeypatch
):
    model = classifier(max_epochs=1).fit(X, y)
    monkeypatch.setattr(_classifier, "infer", lambda *args: pytest.fail("predicted"))
    for labels in (y, one_hot(y), y.astype(float)):
        with pytest.raises(ValueError, match="sample_weight"):
            model.score(X, labels, sample_weight=weight)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda w: w.tolist(),
        lambda w: w.astype(np.uint8),
        lambda w: w.astype(np.float16) * 30_000,
        lambda w: w * 8e307,
        lambda w: w * 1e-320,
        lambda w: pd.Series(w, index=np.arange(len(w))[::-1]),
        lambda w: pd.Series(w, dtype="Int64"),
        lambda w: pl.Series(w),
        lambda w: torch.tensor(w, requires_grad=True).bfloat16(),
        lambda w: np.where(w > 0, w, 1e-320),
        lambda w: np.where(w > 0, w * 1e307, 1e-320),
    ],
)
def test_weights_of_any_type_and_size_mean_the_same(X, y, make):
    weight = np.arange(60.0) % 3
    expected = classifier(max_epochs=4).fit(X, y, sample_weight=weight)
    model = classifier(max_epochs=4).fit(X, y, sample_weight=make(weight))
    np.testing.assert_allclose(
        model.predict_proba(X), expected.predict_proba(X), atol=1e-5
    )
    wrong = (y + np.arange(60) % 2) % 3
    np.testing.assert_allclose(
        model.score(X, wrong, sample_weight=make(weight)),
        np.average(model.predict(X) == wrong, weights=weight),
    )


# Ties.


class Tied(nn.Module):
    """Logits that differ, and whose probabilities do not."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, X):
        logits = torch.tensor([0.0, 1e-9, 2e-9]).expand(len(X), 3)
        return logits + 0 * self.unused


def test_predictions_are_the_first_of_the_largest_probabilities(X):
    y = np.repeat([0, 1, 2], [44, 8, 8])
    model = classifier(module=Tied(), max_epochs=2, early_stopping=True).fit(X, y)
    proba = model.predict_proba(X)
    assert (proba == proba[:, :1]).all()
    np.testing.assert_array_equal(model.predict(X), proba.argmax(1))
    assert model.score(X, y) == np.mean(y == 0)
    assert model.score(X, one_hot(y)) == pytest.approx(np.mean(y == 0))
    assert min(model.history_[:, "valid_accuracy"]) > 0.5


def test_the_choice_agrees_with_the_probabilities_wherever_logits_are_close():
    rng = np.random.default_rng(0)
    for scale in (1e-9, 1e-8, 1e-7, 1e-6, 1.0, 40.0, 1e4):
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            logits = torch.tensor(rng.normal(scale=scale, size=(500, 4)), dtype=dtype)
            chosen = most_probable(logits).numpy()
            shares = probabilities(logits).numpy()
            np.testing.assert_array_equal(chosen, shares.argmax(1))


# Parameters in NumPy's types.


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "params",
    [
        {"max_epochs": np.uint8(200)},
        {"max_epochs": np.int8(120)},
        {"fairness_weight": np.float16(0.5), "views": None},
        {"label_smoothing": np.float16(0.25)},
        {"early_stopping": np.True_, "patience": np.uint8(3)},
        {"early_stopping": np.True_, "validation_fraction": np.float16(0.25)},
    ],
    ids=repr,
)
def test_numbers_in_the_types_of_numpy_are_those_numbers(X, y, params):
    hidden = hide(y, 6)
    plain = {name: value.item() for name, value in params.items() if name != "views"}
    expected = classifier(**(params | plain)).fit(X, hidden)
    model = classifier(**params).fit(X, hidden)
    assert model.n_iter_ == expected.n_iter_
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


# With the tools of scikit-learn.


def test_it_works_in_pipelines_searches_and_calibration(X, y):
    pipeline = make_pipeline(StandardScaler(), classifier(max_epochs=20))
    grid = {"collisionclassifier__loss": ["collision", "shannon"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ == 1.0
    calibrated = CalibratedClassifierCV(classifier(max_epochs=20), cv=2).fit(X, y)
    assert calibrated.score(X, y) == 1.0
    proba = cross_val_predict(classifier(), X, y, cv=3, method="predict_proba")
    assert (proba.argmax(1) == y).all()


def test_soft_labels_can_be_cross_validated(X, y):
    soft = 0.7 * one_hot(y) + 0.1
    np.testing.assert_allclose(cross_val_score(classifier(), X, soft, cv=3), 0.8)


def test_it_can_be_cloned_and_pickled(X, y):
    model = classifier().fit(X, y)
    assert clone(model).get_params() == model.get_params()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_tables_and_images_are_taken(X, y, images):
    table = pd.DataFrame(X, columns=list("abcd"))
    model = classifier().fit(table, pd.Series(y))
    assert model.feature_names_in_.tolist() == list("abcd")
    sides = np.repeat(["left", "right"], 12)
    assert classifier().fit(images, sides).score(images, sides) == 1.0


def test_hard_labels_are_learnt_as_well_as_by_logistic_regression():
    X, y = make_blobs(600, 10, centers=4, cluster_std=6, random_state=0)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    ours = classifier(lr=0.01, max_epochs=None).fit(X, y).score(X_test, y_test)
    theirs = LogisticRegression(max_iter=500).fit(X, y).score(X_test, y_test)
    assert abs(ours - theirs) <= 0.02


def test_the_linear_network_is_as_good_as_logistic_regression_by_default(digits):
    X, X_test, y, y_test = digits
    ours = CollisionClassifier(module="linear", random_state=0).fit(X, y)
    theirs = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    assert ours.score(X_test, y_test) >= theirs.score(X_test, y_test) - 0.01


def test_units_of_features_do_not_matter_to_the_linear_network(X, y):
    units = np.array([1e-2, 1.0, 1e2, 1e4])
    assert classifier().fit(X * units, y).score(X * units, y) == 1.0


def test_features_of_less_than_the_median_deviation_stay_small():
    deviations = np.array([0.01, 0.5, 1.0, 10.0, 100.0])
    X = torch.tensor([-1.0, 1.0])[:, None] * torch.tensor(deviations)
    scaled = FeatureScaling(5).fit(X)(X.float())[1].numpy()
    expected = np.minimum(deviations, 1)
    np.testing.assert_allclose(
        scaled, expected / np.sqrt(np.mean(expected**2)), rtol=1e-5
    )
