"""The HTML of an estimator links to its page, where the package names a site."""

from pathlib import Path

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from sklearn_cce import CollisionClassifier, CollisionClusterer
from sklearn_cce._base import BaseCollisionEstimator
from sklearn_cce._version import doc_link_template, project_urls

DOCS = Path(__file__).parent.parent / "docs"
SITE = "Documentation, https://example.org/cce/"
ESTIMATORS = [CollisionClassifier, CollisionClusterer]


def pages():
    """Return the addresses of the pages that are made for the names of the API."""
    lines = (DOCS / "api.rst").read_text(encoding="utf-8").splitlines()
    return {f"api/generated/{line.strip()}.html" for line in lines}


@pytest.fixture
def site(monkeypatch):
    template = doc_link_template(["Source, https://example.org/git", SITE])
    monkeypatch.setattr(BaseCollisionEstimator, "_doc_link_template", template)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_link_is_that_of_a_page_of_the_api(estimator, site):
    address, page = estimator()._get_doc_link().split("cce/", 1)
    assert address == "https://example.org/"
    assert page in pages()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_html_shows_the_link_in_a_pipeline_too(estimator, site):
    link = f'href="{estimator()._get_doc_link()}"'
    assert link in estimator_html_repr(estimator())
    assert link in estimator_html_repr(make_pipeline(estimator()))


def test_classes_derived_elsewhere_have_no_page(site):
    class Derived(CollisionClusterer):
        """Of a module of the user's."""

    assert Derived()._get_doc_link() == ""


@pytest.mark.parametrize("urls", [[], ["Source, https://example.org/git"]])
def test_no_link_where_no_site_is_named(urls):
    assert doc_link_template(urls) == ""


def test_addresses_are_those_of_the_installed_package(tmp_path, monkeypatch):
    folder = tmp_path / "sklearn_cce-9.0.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", "Name: sklearn-cce", f"Project-URL: {SITE}"]
    (folder / "METADATA").write_text("\n".join(lines))
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert project_urls() == [SITE]
    monkeypatch.setattr("sys.path", [])
    assert project_urls() == []
