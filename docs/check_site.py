"""Check the built pages: ``python docs/check_site.py docs/_build/html``.

Nothing that a page needs is fetched from elsewhere, no link leads to a page that is not
there, and every page is reached from the front page in two clicks.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

CLICKS = 2
NEEDED = {"script": "src", "img": "src", "link": "href", "iframe": "src"}
"""Where an element names what a browser fetches to show the page."""

WITHOUT_ADDRESS = {"genindex.html", "py-modindex.html", "search.html"}
"""Pages of Sphinx that the search, and not a link, leads to."""


class Page(HTMLParser):
    """What a page needs, and where it leads to.

    Parameters
    ----------
    file : Path
        The page.
    """

    def __init__(self, file):
        super().__init__()
        self.needed, self.links = [], []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note the addresses of an element."""
        attrs = dict(attrs)
        address = attrs.get(NEEDED.get(tag), "")
        if address and attrs.get("rel") not in ("canonical", "author"):
            self.needed.append(address)
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])


def target(file, link):
    """Return the file that a link of a page leads to, None for what is elsewhere."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or not parts.path:
        return None
    return (file.parent / unquote(parts.path)).resolve()


def clicks_from(front, pages):
    """Return the number of clicks from the front page to each page that is reached."""
    clicks, last = {front: 0}, [front]
    while last:
        found = {target(file, link) for file in last for link in pages[file].links}
        last = [file for file in found if file in pages and file not in clicks]
        clicks.update(dict.fromkeys(last, max(clicks.values()) + 1))
    return clicks


def complaints(folder):
    """Yield what is wrong with the pages in a folder."""
    files = sorted(folder.resolve().rglob("*.html"))
    pages = {f: Page(f) for f in files if "_static" not in f.parts}
    clicks = clicks_from(folder.resolve() / "index.html", pages)
    for file, page in pages.items():
        name = file.relative_to(folder.resolve()).as_posix()
        for address in page.needed:
            if urlsplit(address).netloc:
                yield f"{name} loads {address}"
        for link in page.links:
            if (there := target(file, link)) and not there.exists():
                yield f"{name} links to {link}, which is not there"
        if name not in WITHOUT_ADDRESS and clicks.get(file, CLICKS + 1) > CLICKS:
            yield f"{name} is not reached in {CLICKS} clicks"


def main(folder):
    """Print the complaints; return whether there are any."""
    found = list(complaints(Path(folder)))
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
