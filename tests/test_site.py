"""The documentation site finds every page; that it builds and has no broken link is checked by `make site`."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.documents import ROOT, blocks

PAGES = sorted((ROOT / "docs").glob("*.md"))


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


def snippets() -> ModuleType:
    """The site's file that puts code of tests on pages."""
    spec = importlib.util.spec_from_file_location("snippets", ROOT / "site" / "snippets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_code_of_tests_is_put_on_pages(tmp_path: Path) -> None:
    wanted = "@once\ndef first():\n    return 1\n\n\nclass Second:\n    x = 2\n"
    (tmp_path / "made.py").write_text(f"import re, os\nfrom functools import cache as once\n\n\n{wanted}")
    page = "Before.\n\n[any text](made.py#first,Second)\n\nIn a [line](made.py#first) it is a link.\n"
    made = snippets().included(page, tmp_path)
    code = f"```python\nfrom functools import cache as once\n\n\n{wanted}```"
    assert code in made and "In a [line](made.py#first) it is a link." in made
    with pytest.raises(ValueError, match="defines no third"):
        snippets().included("[any text](made.py#third)", tmp_path)


def test_each_way_of_adding_shows_the_code_of_its_test(tmp_path: Path) -> None:
    page = ROOT / "docs" / "adding.md"
    text = snippets().included(page.read_text(encoding="utf-8"), page.parent)
    sections = [part for part in text.split("\n## ")[1:] if "```python" in part]
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    own = {path.name for path in (ROOT / "tests").glob("test_own_*.py")} - {
        "test_own_games.py"
    }  # players, no way of adding
    assert len(sections) == len(own) == 6
    assert all(f"From `tests/{name}`." in text for name in own)
    assert len(blocks(tmp_path / "page.md")) == len(blocks(page)) + len(snippets().INCLUDED.findall(page.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_line_of_links_to_tests_finds_its_code(page: Path) -> None:
    snippets().included(page.read_text(encoding="utf-8"), page.parent)
