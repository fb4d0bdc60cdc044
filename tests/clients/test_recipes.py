"""Recipes in the gallery: which of them the documentation runs, and that they run."""

import importlib.metadata
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "examples" / "clients").glob("plot_*.py"))


def is_run(page):
    """Return whether the documentation, as it would be built now, runs a page."""
    recipes = runpy.run_path(str(ROOT / "docs" / "recipes.py"))
    return bool(re.search(recipes["pages_to_run"](), str(page)))


def test_recipes_are_not_run_where_a_package_is_missing(monkeypatch):
    def version(name):
        if name == "scanpy":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert len(RECIPES) == 6
    assert not any(map(is_run, RECIPES))
    assert is_run(ROOT / "examples" / "plot_digits.py")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0")
    assert all(map(is_run, RECIPES))


@pytest.mark.slow
@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)
def test_a_recipe_runs_and_prints(page, tmp_path):
    if not is_run(page):
        pytest.skip("not all packages of the extra 'examples' are installed")
    done = subprocess.run(
        [sys.executable, page],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not list(tmp_path.iterdir())
