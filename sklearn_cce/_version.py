"""The version of the package, and where its documentation stands."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata

__version__ = "0.1.0"

API_PAGE = "/api/generated/{estimator_module}.{estimator_name}.html"
"""The page of an estimator, as ``docs/api.rst`` makes it."""


def project_urls() -> list[str]:
    """Return the addresses that the installed package names, each after its label."""
    try:
        return metadata("sklearn-cce").get_all("Project-URL") or []
    except PackageNotFoundError:
        return []


def doc_link_template(urls: Iterable[str]) -> str:
    """Return what scikit-learn makes the link of an estimator from.

    Parameters
    ----------
    urls : iterable of str
        The project's addresses, such as ``"Documentation, https://example.org"``.

    Returns
    -------
    str
        Empty, which means no link, where no documentation is among them.
    """
    named = dict(url.split(", ", 1) for url in urls)
    address = named.get("Documentation")
    return address.rstrip("/") + API_PAGE if address else ""
