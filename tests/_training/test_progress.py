"""Bars: of all that takes long, and none without verbose."""

import sys

import numpy as np
import pytest

from sklearn_cce._graph import approximate, geometry, neighbors
from sklearn_cce._training import progress
from tests.helpers import classify, cluster

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PARTS = ["projection", "neighbours", "spectral clusterings", "candidate clusterings"]


@pytest.fixture
def rough():
    return np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)


@pytest.fixture
def at_once(monkeypatch):
    """Let bars be shown at once."""
    monkeypatch.setattr(progress, "DELAY", 0)


@pytest.mark.usefixtures("at_once")
def test_every_part_of_a_fit_has_a_bar(rough, capfd):
    cluster(verbose=1).fit(rough)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert all(f"{name}: 100%" in shown.err for name in [*PARTS, "training"])


@pytest.mark.usefixtures("at_once")
def test_nothing_is_printed_without_verbose(rough, capfd):
    clusterer = cluster().fit(rough)
    clusterer.partial_fit(rough).predict(rough)
    clusterer.start_labels(rough)
    classify(views="neighbors").fit(rough, np.arange(300) % 2)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("at_once")
def test_bars_end_with_the_fit(rough, capfd):
    clusterer = cluster(verbose=1).fit(rough)
    capfd.readouterr()
    clusterer.predict(rough)
    assert capfd.readouterr() == ("", "")


def test_what_is_quick_is_not_shown(rough, capfd):
    cluster(verbose=1).fit(rough)
    shown = capfd.readouterr().err
    assert "training" in shown
    assert not any(name in shown for name in PARTS)


@pytest.mark.usefixtures("at_once")
def test_the_start_alone_has_bars(rough, capfd):
    cluster(verbose=1).start_labels(rough)
    shown = capfd.readouterr().err
    assert all(name in shown for name in PARTS)


@pytest.mark.usefixtures("at_once")
def test_one_bar_for_the_parts_of_many_samples(rough, capfd, monkeypatch):
    monkeypatch.setattr(geometry, "LARGEST_GRAPH", 100)
    monkeypatch.setattr(geometry, "SUBSET", 50)
    monkeypatch.setattr("sklearn_cce._training.sources.BLOCK", 10)
    cluster(verbose=1, max_epochs=1).fit(rough)
    shown = capfd.readouterr().err
    assert "| 4/4 [" in shown
    assert shown.count("neighbours: 100%") == 3  # twice for the start


@pytest.mark.usefixtures("at_once")
def test_the_approximate_search_has_a_bar(rough, capfd, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 100)
    monkeypatch.setattr(approximate, "BLOCK", 100)
    cluster(verbose=1).fit(rough)
    assert "neighbours: 100%" in capfd.readouterr().err


@pytest.mark.parametrize(("on_screen", "interval"), [(True, 0.1), (False, 10)])
def test_a_bar_writes_seldom_where_lines_stay(on_screen, interval, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: on_screen, raising=False)
    with progress.bar(total=1, disable=None if on_screen else False) as shown:
        assert shown.mininterval == interval
