"""Comparing with stored results says what differs, where and by how much."""

import copy

import numpy as np
import pytest

from benchmarks import frozen_results as frozen
from benchmarks.frozen_results import (
    CASES,
    Outcome,
    difference,
    differences,
    digest,
    environment,
    fit_record,
    main,
    report,
)

SOLVE = {"objective": 0.5, "lower bound": 0.25, "iterations": 3}


@pytest.fixture
def found():
    fit = {"labels": "ab", "probabilities": "cd", "accuracy": 0.9}
    return {"environment": environment(), "results": {"fit": fit, "solve": dict(SOLVE)}}


@pytest.fixture
def stored(found):
    return copy.deepcopy(found)


def test_there_are_six_fits_and_twenty_solves():
    kinds = [name.split()[0] for name in CASES]
    assert (kinds.count("fit"), kinds.count("solve")) == (6, 20)


def test_nothing_is_said_of_equal_results(stored, found):
    assert report(stored, found) == []


def test_another_platform_alone_is_no_difference(stored, found):
    stored["environment"]["torch"] = "0.0"
    assert report(stored, found) == []


def test_the_last_bit_of_a_figure_counts(stored, found):
    found["results"]["solve"]["objective"] = float(np.nextafter(0.5, 1))
    (line,) = report(stored, found)
    assert line == "solve: objective 0.5 -> 0.5 (+1.1e-16)"


def test_hashes_differ_and_figures_show_by_how_much(stored, found):
    found["results"]["fit"] |= {"probabilities": "ee", "accuracy": 0.875}
    (line,) = report(stored, found)
    assert line == "fit: probabilities differ, accuracy 0.9 -> 0.875 (-0.025)"


def test_what_is_new_and_what_is_gone_is_named():
    lines = differences({"a": SOLVE, "gone": SOLVE}, {"a": SOLVE, "new": SOLVE})
    assert lines == ["gone: only in the file", "new: not in the file"]


def test_a_figure_that_only_one_has_differs():
    part = {"objective": 0.5, "lower bound": 0.25}
    assert difference(part, SOLVE) == difference(SOLVE, part) == "iterations differ"


def test_hints_name_what_is_another_version(stored, found):
    stored["environment"]["torch"] = "0.0"
    found["results"]["solve"]["iterations"] = 4
    lines = report(stored, found)
    assert lines[0] == "solve: iterations 3 -> 4 (+1)"
    assert lines[1].startswith("hint: torch was 0.0 and is ") and len(lines) == 2


def test_a_hash_is_of_bits_type_and_shape():
    values = np.arange(6.0)
    assert digest(values) == digest(np.arange(12.0)[:6]) == digest(values[::-1][::-1])
    others = [values.astype(np.float32), values.reshape(2, 3), -values, values + 1e-15]
    assert len({digest(v) for v in (values, *others)}) == 5


def test_figures_of_a_fit_do_not_depend_on_the_numbers_of_its_clusters():
    truth = np.array([0, 0, 1, 1])
    records = [
        fit_record(Outcome(labels, np.eye(2)[labels], truth))
        for labels in (truth, 1 - truth)
    ]
    assert records[0]["labels"] != records[1]["labels"]
    for record in records:
        assert record["accuracy"] == record["ARI"] == record["confidence"] == 1


@pytest.fixture
def two_cases(monkeypatch):
    cases = {"one": lambda: dict(SOLVE), "two": lambda: dict(SOLVE)}
    monkeypatch.setattr(frozen, "CASES", cases)
    return cases


def test_the_command_stores_and_compares(two_cases, tmp_path, capsys):
    file = str(tmp_path / "new" / "frozen.json")
    assert main(["--write", "--file", file]) == 0
    assert main(["--file", file]) == 0
    assert capsys.readouterr().out == "2 results are equal to the bit.\n"
    two_cases["two"] = lambda: SOLVE | {"iterations": 9}
    assert main(["--file", file]) == 1
    assert capsys.readouterr().out == "two: iterations 3 -> 9 (+6)\n"
    assert main(["--file", file, "--only", "one"]) == 0


def test_a_part_of_the_results_is_not_stored(two_cases, tmp_path):
    with pytest.raises(SystemExit):
        main(["--write", "--only", "one", "--file", str(tmp_path / "frozen.json")])
