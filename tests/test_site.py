"""The documentation site finds every page; that it builds and has no broken link is checked by `make site`."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]


def names(assigned: ast.Assign) -> list[str]:
    """To what is assigned."""
    return [target.id for target in assigned.targets if isinstance(target, ast.Name)]


def questions() -> dict[str, tuple[str, ...]]:
    """The navigation, read without what only the site needs."""
    tree = ast.parse((ROOT / "site" / "build.py").read_text(encoding="utf-8"))
    (found,) = [n.value for n in tree.body if isinstance(n, ast.Assign) and "QUESTIONS" in names(n)]
    made: dict[str, tuple[str, ...]] = ast.literal_eval(found)
    return made


def test_every_page_is_in_the_navigation_once() -> None:
    listed = [page for pages in questions().values() for page in pages]
    written = {"overview" if page.stem == "index" else page.stem for page in (ROOT / "docs").glob("*.md")} | {"index"}
    assert written <= set(listed) and len(listed) == len(set(listed))
