"""Sphinx configuration."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from docs.recipes import pages_to_run  # noqa: E402
from sklearn_cce import __version__  # noqa: E402

project = "sklearn-cce"
author = "The sklearn-cce developers"
copyright = "The sklearn-cce developers"
version = release = __version__

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
default_role = "literal"

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False

# One file that draws formulas without fonts and without the network, in place of the
# 24 MB that the extension of that package would copy.
MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax"
mathjax_path = "tex-svg-full.js"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": pages_to_run(),
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "thumbnail_size": (600, 420),
    "backreferences_dir": "api/backreferences",
    "doc_module": ("sklearn_cce",),
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-cce"
html_static_path = ["site.css", str(MATHJAX / mathjax_path)]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "show_prev_next": False,
    "footer_end": [],
}
# Pages without others below them leave the room of the navigation to their text.
ALONE = ("quick_start", "gallery/*", "benchmarks", "developing", "whats_new")
html_sidebars = {name: [] for name in ALONE}


def changelog_as_rst(text):
    """Turn the Markdown that the change log uses into reStructuredText."""
    text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", text)
    text = re.sub(r"\[([^]]+)\]\((\S+?)\)", r"`\1 <\2>`__", text)
    text = re.sub(r"^(## )\[([^]]+)\]", r"\1\2", text, flags=re.M)
    for mark, line in (("# ", "="), ("## ", "-"), ("### ", "~")):
        text = re.sub(
            rf"^{mark}(.+)$",
            lambda match, line=line: f"{match[1]}\n{line * len(match[1])}",
            text,
            flags=re.M,
        )
    return text


def include_changelog(app, docname, source):
    """Fill the page of changes from the change log itself."""
    if docname == "whats_new":
        changelog = ROOT / "CHANGELOG.md"
        app.env.note_dependency(str(changelog))
        source[0] += changelog_as_rst(changelog.read_text(encoding="utf-8"))


def skip_request_methods(app, what, name, value, skip, options):
    """Leave out the metadata request methods that scikit-learn generates."""
    return True if re.fullmatch(r"set_\w+_request", name) else skip


def setup(app):
    """Connect the handlers above."""
    app.connect("source-read", include_changelog)
    app.connect("autodoc-skip-member", skip_request_methods)
