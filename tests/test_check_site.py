"""The check of the built pages finds what is wrong with them."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "docs" / "check_site.py"
complaints = runpy.run_path(str(SCRIPT))["complaints"]


def site(folder, **pages):
    """Write a site of pages with these bodies and return what is said of it."""
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>")
    return list(complaints(folder))


def test_good_pages_pass(tmp_path):
    front = '<a href="one.html#part">1</a> <a href="https://example.org">else</a>'
    one = '<a href="two.html">2</a><img src="data:image/png;base64,AA==">'
    assert site(tmp_path, index=front, one=one, two="", search="") == []


@pytest.mark.parametrize(
    "element",
    [
        '<script src="https://example.org/a"></script>',
        '<script src="//example.org/a"></script>',
        '<link rel="stylesheet" href="https://example.org/a">',
        '<img src="http://example.org/a">',
    ],
)
def test_what_is_loaded_from_elsewhere_is_named(tmp_path, element):
    (complaint,) = site(tmp_path, index=element)
    assert complaint.startswith("index.html loads ")
    assert complaint.endswith("//example.org/a")


def test_links_that_lead_nowhere_are_named(tmp_path):
    assert site(tmp_path, index='<a href="gone.html">1</a>') == [
        "index.html links to gone.html, which is not there"
    ]


def test_pages_that_are_far_are_named(tmp_path):
    pages = {"index": "one", "one": "two", "two": "three", "three": "one"}
    bodies = {name: f'<a href="{to}.html">1</a>' for name, to in pages.items()}
    assert site(tmp_path, **bodies, alone="") == [
        "alone.html is not reached in 2 clicks",
        "three.html is not reached in 2 clicks",
    ]
