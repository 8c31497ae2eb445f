"""The site as a browser sees it: no broken link, no lost anchor, no formula left in TeX, no error in the console.

Pages are opened in headless Chromium where there is one (CHROMIUM, or chromium on the PATH); the rest needs no browser.

Example: python site/check.py          (after make site)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

HTML = Path(__file__).parents[1] / "build" / "site" / "html"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"
)
NOT_TEXT = {"script", "style", "code", "pre", "annotation"}


class Page(HTMLParser):
    """What a page links to, its anchors, and its text outside of code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.text: list[str] = []
        self._inside: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links and anchors."""
        found = {name: value for name, value in attrs if value is not None}
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag in NOT_TEXT:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave code."""
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        """Note text."""
        if not self._inside:
            self.text.append(data)


def main() -> None:
    """Print what is wrong; exit code 1 if anything is."""
    pages = {path: Page(path) for path in sorted(HTML.rglob("*.html"))}
    if not pages:
        sys.exit("there is no site: make site")
    wrong = [fault for path, page in pages.items() for fault in faults(path, page, pages)]
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser:
        wrong += [fault for path in pages for fault in console(browser, path)]
    print("\n".join(wrong))
    print(f"{len(pages)} pages, {len(wrong)} faults{'' if browser else ', not opened in a browser: there is none'}")
    sys.exit(bool(wrong))


def faults(path: Path, page: Page, pages: dict[Path, Page]) -> list[str]:
    """Links of a page that lead nowhere, and formulas that were not drawn."""
    found, name = [], path.relative_to(HTML)
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or path.name == "404.html":
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        target = target / "index.html" if target.is_dir() else target
        if not target.exists():
            found.append(f"{name}: {link} is not there")
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
            found.append(f"{name}: {link} has no such anchor")
    text = "".join(page.text)
    return found + [f"{name}: {mark} is left in its text" for mark in ("\\(", "\\frac", "$") if mark in text]


def console(browser: str, path: Path) -> list[str]:
    """What a browser says against a page."""
    with tempfile.TemporaryDirectory() as profile:
        call = [browser, *FLAGS.split(), f"--user-data-dir={profile}", "--enable-logging=stderr", "--dump-dom"]
        done = subprocess.run([*call, path.as_uri()], capture_output=True, text=True, timeout=60)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return [f"{path.relative_to(HTML)}: {line}" for line in said] or (
        [] if "</html>" in done.stdout else [f"{path.relative_to(HTML)}: is not opened"]
    )


if __name__ == "__main__":
    main()
