"""Which examples the documentation runs: recipes only where all they need is there."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def is_installed(extra):
    """Return whether all packages of an extra are installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    try:
        for requirement in project["optional-dependencies"][extra]:
            importlib.metadata.version(re.match(r"[\w-]+", requirement)[0])
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def pages_to_run():
    """Return a pattern of the pages that are run; the others are shown alone."""
    return "/plot_" if is_installed("examples") else "examples/plot_"
