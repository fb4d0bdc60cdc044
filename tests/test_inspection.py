"""The displays draw what they say, and say what they cannot draw."""

import itertools
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from sklearn_cce import CollisionClassifier, CollisionClusterer, inspection
from sklearn_cce.inspection import (
    CalibrationDisplay,
    ClusterExamplesDisplay,
    ClusterSizesDisplay,
    SearchDisplay,
    SimplexDisplay,
    StabilityDisplay,
    TrainingDisplay,
)
from sklearn_cce.inspection._simplex import ring
from sklearn_cce.metrics import expected_calibration_error
from sklearn_cce.model_selection import silhouette_scorer, stability_curve

DISPLAYS = [getattr(inspection, name) for name in inspection.__all__]

CURVE = Bunch(
    n_clusters=np.array([4, 2, 3]),
    stability_mean=np.array([0.6, 0.8, 0.9]),
    stability_std=np.array([0.1, 0.05, 0.02]),
    best_n_clusters=3,
)


@pytest.fixture(autouse=True)
def closing():
    plt.close("all")  # of other tests
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def search(X):
    """A search over two parameters of the last step of a pipeline."""
    pipeline = make_pipeline(PCA(2), KMeans(random_state=0))
    grid = {"kmeans__n_clusters": [4, 2, 3], "kmeans__n_init": [1, 2]}
    return GridSearchCV(pipeline, grid, scoring=silhouette_scorer, cv=2).fit(X)


class Fitted(BaseEstimator):
    """An estimator that was fitted, with the attributes given."""

    def __init__(self, **attributes):
        vars(self).update(attributes)

    def fit(self, X):
        """Do nothing."""


def soft(n_samples, K, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(K, 0.5), n_samples)


def row(loss, changed, **more):
    return {"train_loss": loss, "balance": 1.0, "changed": changed, **more}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# What all displays share


def draw(display, ax, X):
    """Draw any display into given axes."""
    rows = [row(2, 1.0), row(1, 0.1)]
    P = soft(12, 3)
    return {
        TrainingDisplay: lambda: display.from_history(rows, ax=ax),
        SimplexDisplay: lambda: display.from_predictions(P, ax=ax),
        ClusterSizesDisplay: lambda: display.from_predictions([0, 1, 1], ax=ax),
        CalibrationDisplay: lambda: display.from_predictions([0, 1] * 6, P, ax=ax),
        StabilityDisplay: lambda: display.from_curve(CURVE, ax=ax),
        SearchDisplay: lambda: display(
            scores=[1, 2], values=[[2, 3]], names=["K"], best=(1,)
        ).plot(ax),
        ClusterExamplesDisplay: lambda: display.from_predictions(["a"] * 12, P, ax=ax),
    }[display]()


@pytest.mark.parametrize("display", DISPLAYS)
def test_displays_draw_into_given_axes(display, X):
    figure, ax = plt.subplots()
    drawn = draw(display, ax, X)
    assert isinstance(drawn, display)
    assert drawn.ax_ is ax and drawn.figure_ is figure
    figure.canvas.draw()
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes or None"):
        draw(display, "axes", X)


@pytest.mark.parametrize("display", DISPLAYS)
def test_displays_make_a_figure_of_their_own(display, X):
    figure, other = plt.subplots()
    drawn = draw(display, None, X)
    assert drawn.figure_ is not figure and not other.has_data()
    drawn.figure_.canvas.draw()


@pytest.mark.parametrize("display", DISPLAYS)
def test_matplotlib_is_named_where_it_is_missing(display, X, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Display needs .*sklearn-cce\[plot\]"):
        draw(display, None, X)


def test_matplotlib_is_loaded_only_to_draw():
    code = "import sys, sklearn_cce.inspection; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


FROM_ESTIMATORS = {
    TrainingDisplay: lambda estimator, X: TrainingDisplay.from_estimator(estimator),
    SimplexDisplay: SimplexDisplay.from_estimator,
    ClusterSizesDisplay: ClusterSizesDisplay.from_estimator,
    CalibrationDisplay: lambda estimator, X: CalibrationDisplay.from_estimator(
        estimator, X, [0] * len(X)
    ),
    ClusterExamplesDisplay: ClusterExamplesDisplay.from_estimator,
    SearchDisplay: lambda estimator, X: SearchDisplay.from_estimator(estimator),
}


@pytest.mark.parametrize("display", FROM_ESTIMATORS)
def test_unfitted_and_wrong_estimators(display, X):
    unfitted = CollisionClusterer()
    if display is SearchDisplay:
        unfitted = GridSearchCV(unfitted, {"n_clusters": [2, 3]})
    with pytest.raises(NotFittedError):
        FROM_ESTIMATORS[display](unfitted, X)
    for wrong in (CollisionClusterer, "kmeans", None, KMeans):
        with pytest.raises(TypeError, match="estimator must be a fitted"):
            FROM_ESTIMATORS[display](wrong, X)


@pytest.mark.parametrize(
    "display", [SimplexDisplay, CalibrationDisplay, ClusterExamplesDisplay]
)
def test_probabilities_are_needed(display, X):
    kmeans = KMeans(3, n_init=1).fit(X)
    with pytest.raises(TypeError, match="with fit and predict_proba"):
        FROM_ESTIMATORS[display](kmeans, X)


# TrainingDisplay


def test_the_training_is_that_of_the_history(fitted):
    display = TrainingDisplay.from_estimator(fitted)
    history, names = fitted.history_, ("train_loss", "balance", "changed")
    epochs = np.arange(1, len(history) + 1)
    for line, panel, name in zip(display.lines_, display.axes_, names, strict=True):
        assert line.axes is panel
        x, y = line.get_data()
        np.testing.assert_array_equal(x, epochs)
        drawn = np.isfinite(y)
        np.testing.assert_allclose(y[drawn], np.array(history[:, name])[drawn])
        assert drawn.all() == (name != "changed")
    largest = display.axes_[1].get_lines()[-1].get_ydata()
    np.testing.assert_allclose(largest, np.log(3))
    assert "ln 3, equal sizes" in legend(display.axes_[0])
    assert display.axes_[-1].get_xlabel() == "epoch"


def test_a_further_phase_begins_where_all_clusters_are_new():
    changed = [1.0, 0.25, 0.0, 1.0, 0.125]
    rows = [row(3 - i, share) for i, share in enumerate(changed)]
    display = TrainingDisplay.from_history(rows)
    assert display.phases_.tolist() == [4]
    for panel in display.axes_:
        assert panel.get_lines()[1].get_xdata() == [3.5, 3.5]
    shown = display.lines_[2].get_ydata()
    np.testing.assert_array_equal(shown, [np.nan, 0.25, 0.0, np.nan, 0.125])
    assert legend(display.axes_[0]) == ["a further phase begins"]


def test_a_fit_has_the_phase_of_the_start_and_that_of_its_own_labels(X, quick):
    # A prior that is set, as blobs far apart are learnt as they are otherwise.
    clusterer = quick(max_epochs=6, cluster_prior=[0.2, 0.3, 0.5]).fit(X)
    assert TrainingDisplay.from_estimator(clusterer).phases_.tolist() == [4]
    pipeline = make_pipeline(PCA(2), clusterer).fit(X)
    assert TrainingDisplay.from_estimator(pipeline).phases_.tolist() == [4]


def test_a_stream_has_no_phases():
    display = TrainingDisplay.from_history([row(2, 1.0), row(1, 1.0)])
    assert not len(display.phases_)
    assert all(len(panel.get_lines()) == 1 for panel in display.axes_)


def test_accuracy_on_held_out_samples_has_a_panel(X, y):
    classifier = CollisionClassifier(
        early_stopping=True, max_epochs=3, validation_fraction=0.3, random_state=0
    ).fit(X, y)
    display = TrainingDisplay.from_estimator(classifier)
    drawn = display.lines_[3].get_ydata()
    np.testing.assert_array_equal(drawn, classifier.history_[:, "valid_accuracy"])
    assert "ln 3, equal sizes" in legend(display.axes_[0])


def test_accuracy_may_be_that_of_some_epochs_only():
    rows = [row(2, 1.0), row(1, 0.5, valid_accuracy=0.75)]
    drawn = TrainingDisplay.from_history(rows).lines_[3].get_ydata()
    np.testing.assert_array_equal(drawn, [np.nan, 0.75])


@pytest.mark.parametrize("history", [[], None, [{"train_loss": 1.0}], [1, 2], 3])
def test_histories_that_are_none(history):
    with pytest.raises(ValueError, match="history must have a row for each epoch"):
        TrainingDisplay.from_history(history)


def test_trainings_that_cannot_be_drawn(X):
    with pytest.raises(TypeError, match="have history_"):
        TrainingDisplay.from_estimator(KMeans(2, n_init=1).fit(X))
    columns = {"train_loss": [1, 2], "balance": [1, 2], "changed": [1]}
    with pytest.raises(ValueError, match="changed must have length 2; got 1"):
        TrainingDisplay(**columns).plot()
    with pytest.raises(ValueError, match="balance must be an array of numbers"):
        TrainingDisplay(**columns | {"balance": ["a", "b"]}).plot()
    with pytest.raises(ValueError, match="n_clusters must be an int"):
        TrainingDisplay(**columns | {"changed": [1, 0]}, n_clusters=0).plot()


# SimplexDisplay


def test_samples_are_mixtures_of_corners():
    P = soft(30, 4)
    display = SimplexDisplay.from_predictions(P)
    np.testing.assert_allclose(np.linalg.norm(display.corners_, axis=1), 1)
    for k, points in enumerate(display.points_):
        expected = (P @ display.corners_)[P.argmax(1) == k]
        np.testing.assert_allclose(points.get_offsets(), expected)
    names = [text.get_text() for text in display.texts_]
    assert names == ["0", "1", "2", "3"]
    for text, corner in zip(display.texts_, display.corners_, strict=True):
        np.testing.assert_allclose(text.get_position(), 1.13 * corner)


def test_three_clusters_make_a_triangle_on_its_base():
    corners = SimplexDisplay.from_predictions(np.eye(3)).corners_
    np.testing.assert_allclose(corners[0], [0, 1], atol=1e-12)
    np.testing.assert_allclose(corners[1:, 1], -0.5)


def test_two_clusters_make_a_line():
    display = SimplexDisplay.from_predictions(soft(50, 2))
    np.testing.assert_array_equal(display.corners_, [[-1, 0], [1, 0]])
    points = np.concatenate([p.get_offsets() for p in display.points_])
    assert abs(points[:, 1]).max() <= 0.5 and points[:, 1].std() > 0.2


def test_neighbours_on_the_ring_share_samples():
    hidden = np.array([0, 3, 1, 5, 2, 4])
    P = np.zeros((6, 6))
    P[np.arange(6), hidden] = 0.6
    P[np.arange(6), np.roll(hidden, 1)] = 0.4
    corners = SimplexDisplay.from_predictions(P).corners_
    side = np.linalg.norm(corners[hidden] - corners[np.roll(hidden, 1)], axis=1)
    np.testing.assert_allclose(side, 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_ring_is_nearly_the_best(seed):
    P = soft(40, 6, seed)
    shared = P.T @ P

    def around(order):
        return sum(shared[i, j] for i, j in zip(order, np.roll(order, 1), strict=True))

    orders = [(0, *rest) for rest in itertools.permutations(range(1, 6))]
    values = [around(order) for order in orders]
    found = ring(shared)
    assert sorted(found) == list(range(6)) and found[0] == 0
    assert around(found) >= max(values) - 0.1 * (max(values) - min(values))


def test_colours_stand_for_labels():
    P, labels = soft(20, 3), np.array(["pear", "apple"])[np.arange(20) % 2]
    display = SimplexDisplay.from_predictions(P, labels=labels, s=3)
    assert legend(display.ax_) == ["apple", "pear"]
    expected = (P @ display.corners_)[labels == "apple"]
    np.testing.assert_allclose(display.points_[0].get_offsets(), expected)
    assert display.points_[0].get_sizes() == [3]
    assert {text.get_color() for text in display.texts_} == {"black"}
    many = SimplexDisplay.from_predictions(soft(40, 3), labels=range(40))
    assert many.ax_.get_legend() is None and len(many.points_) == 40


def test_memberships_of_an_estimator(X, fitted):
    display = SimplexDisplay.from_estimator(fitted, X)
    np.testing.assert_array_equal(display.probabilities, fitted.predict_proba(X))
    mixture = GaussianMixture(2, random_state=0).fit(X)
    assert len(SimplexDisplay.from_estimator(mixture, X).points_) == 2


@pytest.mark.parametrize(
    ("probabilities", "labels", "match"),
    [
        (np.ones((3, 1)), None, "two clusters or more"),
        (np.ones((3, 2)), None, "rows that sum to 1"),
        ([0.5, 0.5], None, "probabilities must be a table"),
        (np.eye(3), [0, 1], "labels must hold one label a sample.*got 2"),
        (np.eye(3), np.eye(3), "labels must hold one label a sample"),
        (np.eye(3), [0, "a", None], "labels must hold one label a sample"),
    ],
)
def test_memberships_that_cannot_be_drawn(probabilities, labels, match):
    with pytest.raises(ValueError, match=match):
        SimplexDisplay.from_predictions(probabilities, labels=labels)


# ClusterSizesDisplay


def heights(display):
    return [bar.get_height() for bar in display.bars_]


def wanted(display):
    return [segment[0, 1] for segment in display.marks_.get_segments()]


def test_sizes_beside_those_wanted():
    labels = [0, 0, 0, 2]
    equal = ClusterSizesDisplay.from_predictions(labels)
    assert heights(equal) == [0.75, 0, 0.25]
    np.testing.assert_allclose(wanted(equal), 1 / 3)
    assert set(legend(equal.ax_)) == {"found", "wanted"}
    given = ClusterSizesDisplay.from_predictions(labels, cluster_prior=[0.5, 0.2, 0.3])
    assert wanted(given) == [0.5, 0.2, 0.3]
    free = ClusterSizesDisplay.from_predictions(
        labels, cluster_prior="free", n_clusters=4
    )
    assert free.marks_ is None and heights(free) == [0.75, 0, 0.25, 0]
    weighted = ClusterSizesDisplay.from_predictions(labels, sample_weight=[1, 1, 0, 2])
    assert heights(weighted) == [0.5, 0, 0.5]


def test_sizes_of_an_estimator(X, fitted, quick):
    shares = np.bincount(fitted.labels_, minlength=3) / len(X)
    np.testing.assert_allclose(
        heights(ClusterSizesDisplay.from_estimator(fitted)), shares
    )
    display = ClusterSizesDisplay.from_estimator(fitted, X[:10])
    expected = np.bincount(fitted.predict(X[:10]), minlength=3) / 10
    np.testing.assert_allclose(heights(display), expected)
    np.testing.assert_allclose(wanted(display), 1 / 3)
    given = quick(cluster_prior=[0.5, 0.3, 0.2]).fit(X)
    np.testing.assert_allclose(
        wanted(ClusterSizesDisplay.from_estimator(given)), [0.5, 0.3, 0.2]
    )
    free = quick(cluster_prior="free").fit(X)
    np.testing.assert_allclose(
        wanted(ClusterSizesDisplay.from_estimator(free)), 1 / 3, atol=0.05
    )
    pipeline = make_pipeline(PCA(2), KMeans(4, n_init=1, random_state=0)).fit(X)
    display = ClusterSizesDisplay.from_estimator(pipeline)
    assert display.marks_ is None and len(display.bars_) == 4


def test_shares_wanted_follow_the_clusters_that_end_empty():
    clusterer = Fitted(labels_=[0, 0, 1], n_clusters=3)
    clusterer.net_ = SimpleNamespace(prior=np.array([0.5, 0.3, 0.2]))
    clusterer.cluster_prior = [0.2, 0.5, 0.3]  # the first ended empty, so it comes last
    assert wanted(ClusterSizesDisplay.from_estimator(clusterer)) == [0.5, 0.3, 0.2]


@pytest.mark.parametrize(
    ("labels", "options", "match"),
    [
        ([0.5, 1], {}, "labels must be an array of whole numbers"),
        (["a"], {}, "labels must be an array of whole numbers"),
        ([], {}, "labels must be an array of whole numbers"),
        ([-1, 0], {}, "labels must be from 0 to 0"),
        ([0, 3], {"n_clusters": 3}, "labels must be from 0 to 2"),
        ([0, 2], {"cluster_prior": [0.5, 0.5]}, "labels must be from 0 to 1"),
        ([0], {"n_clusters": 0}, "n_clusters must be an int"),
        ([0], {"cluster_prior": "equal"}, "cluster_prior must be an array"),
        ([0], {"cluster_prior": [0.5, 0.6]}, "cluster_prior must be non-negative"),
        ([0], {"cluster_prior": [1.0], "n_clusters": 2}, "must have length 2"),
        ([0, 1], {"sample_weight": [1]}, "sample_weight must be 2"),
    ],
)
def test_sizes_that_cannot_be_drawn(labels, options, match):
    with pytest.raises(ValueError, match=match):
        ClusterSizesDisplay.from_predictions(labels, **options)


def test_sizes_without_labels(X, y):
    classifier = CollisionClassifier(max_epochs=1, random_state=0).fit(X, y)
    with pytest.raises(TypeError, match="labels_ where no X is given"):
        ClusterSizesDisplay.from_estimator(classifier)
    with pytest.raises(ValueError, match="wanted must have length 2"):
        ClusterSizesDisplay(shares=[0.5, 0.5], wanted=[1.0]).plot()


# CalibrationDisplay


def test_calibration_is_the_gap_that_the_error_sums_up():
    P, rng = soft(400, 3), np.random.default_rng(0)
    labels = np.array([rng.choice(list("abc"), p=p) for p in P])
    display = CalibrationDisplay.from_predictions(labels, P, n_bins=10)
    confidence, accuracy = display.line_.get_data()
    assert (np.diff(confidence) > 0).all()
    np.testing.assert_allclose(sum(heights(display)), 1)
    error = np.sum(heights(display) * np.abs(np.subtract(accuracy, confidence)))
    expected = expected_calibration_error(labels, P, n_bins=10)
    np.testing.assert_allclose(error, expected)
    assert f"clusters (calibration error {expected:.3f})" in legend(display.ax_)


def test_calibration_matches_clusters_with_classes(X, y, fitted):
    names = pd.Series(["three", "one", "two"])[y]
    display = CalibrationDisplay.from_estimator(fitted, X, names)
    assert display.line_.get_ydata()[-1] == 1
    P = fitted.predict_proba(X)
    assert display.error == expected_calibration_error(names, P)


@pytest.mark.parametrize(
    ("labels", "n_bins", "error", "match"),
    [
        ([0, 1], 15, ValueError, "inconsistent numbers of samples"),
        ([0, 1, None], 15, (TypeError, ValueError), "labels_true must"),
        ([0, 1, 1], 0, ValueError, "n_bins must be an integer"),
        ([0, 1, 1], 2.5, TypeError, "n_bins must be an integer"),
        (None, 15, ValueError, "labels_true must hold one label a sample"),
    ],
)
def test_calibration_that_cannot_be_drawn(labels, n_bins, error, match):
    with pytest.raises(error, match=match):
        CalibrationDisplay.from_predictions(labels, soft(3, 2), n_bins=n_bins)


# StabilityDisplay


def test_the_choice_is_marked_on_the_curve():
    display = StabilityDisplay.from_curve(CURVE)
    assert display.line_.get_xydata().tolist() == [[2, 0.8], [3, 0.9], [4, 0.6]]
    assert display.best_.get_xydata().tolist() == [[3, 0.9]]
    assert "chosen: 3" in legend(display.ax_)
    band = display.band_.get_paths()[0].vertices
    for number, low, high in [(2, 0.75, 0.85), (3, 0.88, 0.92), (4, 0.5, 0.7)]:
        at = band[band[:, 0] == number, 1]
        np.testing.assert_allclose([at.min(), at.max()], [low, high])


def test_the_curve_of_an_estimator(X):
    options = {"n_clusters": [2, 3, 4], "n_resamples": 3, "random_state": 0}
    kmeans = KMeans(n_init=1, random_state=0)
    display = StabilityDisplay.from_estimator(kmeans, X, **options, color="black")
    curve = stability_curve(kmeans, X, **options)
    np.testing.assert_array_equal(display.line_.get_ydata(), curve.stability_mean)
    assert display.best_.get_xdata() == [curve.best_n_clusters]
    assert display.line_.get_color() == "black"


@pytest.mark.parametrize("curve", [None, 3, {}, {"n_clusters": [2]}, [1, 2]])
def test_curves_that_are_none(curve):
    with pytest.raises(TypeError, match="curve must be what stability_curve returns"):
        StabilityDisplay.from_curve(curve)


def test_curves_that_cannot_be_drawn(X):
    with pytest.raises(ValueError, match="best_n_clusters must be one of"):
        StabilityDisplay.from_curve(CURVE | {"best_n_clusters": 9})
    with pytest.raises(ValueError, match="stability_std must have length 3"):
        StabilityDisplay.from_curve(CURVE | {"stability_std": [0.1]})
    with pytest.raises(ValueError, match="n_clusters must be a sequence"):
        StabilityDisplay.from_estimator(KMeans(), X, n_clusters=[1])


# SearchDisplay


def test_a_map_of_two_parameters(search):
    display = SearchDisplay.from_estimator(search)
    assert display.ax_.get_xlabel() == "n_clusters"
    assert display.ax_.get_ylabel() == "n_init"
    ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert ticks == ["2", "3", "4"]
    shown = display.im_.get_array()
    results = search.cv_results_
    for params, score in zip(
        results["params"], results["mean_test_score"], strict=True
    ):
        i, j = params["kmeans__n_init"] - 1, params["kmeans__n_clusters"] - 2
        assert shown[i, j] == score
        assert display.texts_[3 * i + j].get_text() == f"{score:.2f}"
    best = search.best_params_
    ((x, y),) = display.best_.get_xydata()
    assert (x, round(y)) == (best["kmeans__n_clusters"] - 2, best["kmeans__n_init"] - 1)
    assert legend(display.ax_) == [f"best: {search.best_score_:.3g}"]


def test_a_curve_of_one_parameter_has_the_best_over_the_others(search):
    display = SearchDisplay.from_estimator(search, params="n_clusters")
    table = pd.DataFrame(search.cv_results_["params"])
    table["score"] = search.cv_results_["mean_test_score"]
    expected = table.groupby("kmeans__n_clusters").score.max()
    np.testing.assert_array_equal(display.line_.get_xdata(), expected.index)
    np.testing.assert_array_equal(display.line_.get_ydata(), expected)
    best = search.best_params_["kmeans__n_clusters"]
    assert display.best_.get_xydata().tolist() == [[best, search.best_score_]]
    assert display.ax_.get_xlabel() == "n_clusters"
    assert display.ax_.get_ylabel() == "mean score"


def fake_search(params, refit=True, **scores):
    """What a search leaves behind."""
    results = {f"mean_test_{name}": np.array(s) for name, s in scores.items()}
    return Fitted(refit=refit, cv_results_={"params": params} | results)


def test_several_metrics():
    params = [{"a": 1}, {"a": 2}, {"a": 100}]
    search = fake_search(params, "one", one=[1.0, 2.0, 3.0], two=[5.0, np.nan, 4.0])
    search.best_index_ = 2
    display = SearchDisplay.from_estimator(search)
    assert display.best_.get_xdata() == [100] and display.ax_.get_xscale() == "log"
    display = SearchDisplay.from_estimator(search, metric="two")
    assert display.best_.get_xdata() == [1]
    assert display.ax_.get_ylabel() == "mean two"
    search.refit = False
    with pytest.raises(ValueError, match=r"metric must be one of \['one', 'two'\]"):
        SearchDisplay.from_estimator(search)


def test_values_that_are_no_numbers_and_grids_with_gaps():
    params = [{"prior": None}, {"prior": "free"}, {"prior": [0.25] * 4, "b": 2}]
    search = fake_search(params, score=[1.0, 3.0, 2.0])
    display = SearchDisplay.from_estimator(search, params="prior")
    ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert ticks == ["None", "free", "[0.25, 0.25…"]
    assert display.best_.get_xydata().tolist() == [[1, 3]]
    both = SearchDisplay.from_estimator(search)
    shown = np.ma.filled(both.im_.get_array(), np.nan)
    np.testing.assert_array_equal(shown, [[1, 3, np.nan], [np.nan, np.nan, 2]])
    assert len(both.texts_) == 3


def test_names_stay_whole_where_their_ends_are_alike():
    params = [{"x__K": i, "y__K": j} for i in (1, 2) for j in (1, 2)]
    display = SearchDisplay.from_estimator(fake_search(params, score=range(4)))
    assert (display.ax_.get_ylabel(), display.ax_.get_xlabel()) == ("x__K", "y__K")
    with pytest.raises(ValueError, match="params must be one or two of"):
        SearchDisplay.from_estimator(fake_search(params, score=range(4)), params="K")


@pytest.mark.parametrize("params", ["kmeans", [], ["n_clusters"] * 3, ["n_init", "x"]])
def test_parameters_that_the_search_has_not(search, params):
    with pytest.raises(ValueError, match="params must be one or two of"):
        SearchDisplay.from_estimator(search, params=params)


def test_searches_that_cannot_be_drawn(search, fitted):
    with pytest.raises(TypeError, match="estimator must be a fitted search"):
        SearchDisplay.from_estimator(fitted)
    three = [{"a": i, "b": i, "c": i} for i in range(2)]
    with pytest.raises(ValueError, match="params must name one or two of .* where 3"):
        SearchDisplay.from_estimator(fake_search(three, score=[1, 2]))
    with pytest.raises(ValueError, match="estimator must have scores"):
        SearchDisplay.from_estimator(
            fake_search([{"a": 1}, {"a": 2}], score=[np.nan] * 2)
        )
    with pytest.raises(ValueError, match="metric must be one of"):
        SearchDisplay.from_estimator(search, metric="loss")
    plain = {"scores": [1, 2], "values": [[1, 2]], "names": ["a"], "best": (0,)}
    wrong = {
        "scores must be an array": {"scores": ["a", "b"]},
        "values and names must fit": {"values": [[1]]},
        "best must be a place": {"best": (2,)},
    }
    for match, change in wrong.items():
        with pytest.raises(ValueError, match=match):
            SearchDisplay(**plain | change).plot()


# ClusterExamplesDisplay

PROBABILITIES = [[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9], [0.3, 0.7]]


def test_images_in_the_order_of_certainty():
    images = np.arange(6 * 4.0).reshape(6, 2, 2)
    display = ClusterExamplesDisplay.from_predictions(
        images, PROBABILITIES, n_examples=2
    )
    shown = [image.get_array() for image in display.images_]
    np.testing.assert_array_equal(shown, images[[0, 2, 1, 3, 4, 5]])
    texts = [text.get_text() for text in display.texts_]
    assert texts == ["0.90", "0.80", "0.60", "0.70", "0.90", "0.70"]
    left = [image.get_extent()[0] for image in display.images_]
    assert left[0] < left[1] < left[2] and left[4] == left[0]
    assert display.images_[0].get_clim() == (0, 23)
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == ["0", "1"]
    halves = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert halves == ["most certain", "least certain"]


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (3, 2, 1)])
def test_rows_of_numbers_have_an_image_shape(shape):
    rows = np.arange(36.0).reshape(6, 6)
    display = ClusterExamplesDisplay.from_predictions(
        rows, PROBABILITIES, image_shape=shape, n_examples=1, clusters=[1]
    )
    assert len(display.images_) == 2
    first = display.images_[0].get_array()
    if shape[0] == 3:
        np.testing.assert_allclose(
            first, np.moveaxis(rows[4].reshape(shape), 0, -1) / 35
        )
    else:
        np.testing.assert_array_equal(first, rows[4].reshape(2, 3))
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["1"]


def test_texts_are_shown_on_one_line():
    texts = ["a\nb", "x" * 99, *"cdef"]
    display = ClusterExamplesDisplay.from_predictions(
        pd.Series(texts), PROBABILITIES, n_examples=1
    )
    shown = [text.get_text() for text in display.texts_]
    assert shown == ["0.90  a b", f"0.60  {'x' * 47}…", "0.90  e", "0.70  f"]
    assert not display.images_


def test_examples_of_an_estimator(images, X, fitted):
    clusterer = CollisionClusterer(
        2, module="linear", max_epochs=4, n_init=2, random_state=0
    ).fit(images)
    display = ClusterExamplesDisplay.from_estimator(
        clusterer, torch.from_numpy(images), n_examples=3
    )
    certainty = clusterer.predict_proba(images).max(1)
    for k in range(2):
        members = np.flatnonzero(clusterer.labels_ == k)
        assert certainty[display.most[k][0]] == certainty[members].max()
        assert certainty[display.least[k][0]] == certainty[members].min()
    shown = display.images_[0].get_array()
    np.testing.assert_allclose(shown, images[display.most[0][0], 0], rtol=1e-6)
    texts = [f"sample {i}" for i in range(len(X))]
    display = ClusterExamplesDisplay.from_estimator(fitted, X, samples=texts)
    assert len(display.texts_) == 30
    assert display.texts_[0].get_text().endswith(texts[display.most[0][0]])


def test_no_example_is_shown_twice():
    display = ClusterExamplesDisplay.from_predictions(
        list("abcdef"), PROBABILITIES, n_examples=3
    )
    assert [list(map(len, display.most)), list(map(len, display.least))] == [
        [3, 2],
        [1, 0],
    ]


@pytest.mark.parametrize(
    ("samples", "options", "match"),
    [
        (np.ones((6, 4)), {}, "samples must be texts, or images"),
        (np.ones((6, 2, 4, 4)), {}, "samples must be texts, or images"),
        (["a", 1] * 3, {}, "samples must be texts, or images"),
        (np.full((6, 2, 2), np.nan), {}, "samples contains NaN"),
        ("abcdef", {}, "samples must be texts, or images"),
        (list("abc"), {}, "samples must be as many as rows of probabilities, 6; got 3"),
        (np.ones((6, 4)), {"image_shape": (3, 3)}, "image_shape must be"),
        (np.ones((6, 4)), {"image_shape": 4}, "image_shape must be"),
        (list("abcdef"), {"n_examples": 0}, "n_examples must be an int"),
        (list("abcdef"), {"clusters": [2]}, "clusters must be a sequence"),
        (list("abcdef"), {"clusters": 1}, "clusters must be a sequence"),
    ],
)
def test_examples_that_cannot_be_drawn(samples, options, match):
    with pytest.raises(ValueError, match=match):
        ClusterExamplesDisplay.from_predictions(samples, PROBABILITIES, **options)


def test_examples_for_which_lists_do_not_fit():
    display = ClusterExamplesDisplay(
        samples=["a", "b"], certainty=[1, 1], most=[[0]], least=[]
    )
    with pytest.raises(ValueError, match="most, least and clusters must have an entry"):
        display.plot()
