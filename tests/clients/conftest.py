"""Tests of other packages: what is deprecated in these is no error of ours."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Let the packages under test say what they like of each other's age."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            for kind in ("DeprecationWarning", "FutureWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{kind}"))
