"""Every code block in the documentation runs; links lead somewhere; figures quoted from the package are its own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convexgan as cg
from convexgan.games.mean import family as mean_games
from convexgan.games.moment import family as moment_games
from convexgan.games.registry import FAMILIES
from convexgan.games.sample import family as sample_games
from tests.documents import ROOT, blocks, run_page

PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    """And make the pictures that are shown."""
    run_page(page, tmp_path)
    for name in re.findall(r"!\[[^\]]*\]\(([^/)]+)\)", page.read_text(encoding="utf-8")):
        shown, made = (
            np.asarray(Image.open(folder / name).convert("RGB"), dtype=float) for folder in (page.parent, tmp_path)
        )
        assert shown.shape == made.shape and np.abs(shown - made).mean() < 5, f"{name} is not what the page draws"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_links_and_sources_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    sources = re.findall(r"`(convexgan/[\w/]*(?:\.py)?)`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [source for source in sources if not (ROOT / source).exists()]
    assert not missing


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.stem != "index" and f"({page.name})" not in index] == []


def test_every_block_names_its_language() -> None:
    assert [page.name for page in PAGES if any(language == "" for language, _ in blocks(page))] == []


def test_certificate_kinds_are_all_explained() -> None:
    text = (ROOT / "docs" / "certificates.md").read_text(encoding="utf-8")
    from convexgan.records.certificate import KINDS

    assert [kind for kind in KINDS if f"| `{kind}` |" not in text] == []


def test_the_certificate_that_is_explained_is_the_one_printed(tmp_path: Path) -> None:
    (_, code), (language, shown) = blocks(ROOT / "docs" / "certificates.md")[:2]
    (tmp_path / "page.md").write_text(f"```python\n{code}```\n")
    noise = re.compile(r"\d\.?\d*e-\d+|0(?= relative)")  # rounding: differs by processors
    printed = run_page(tmp_path / "page.md", tmp_path)
    assert language == "text" and noise.sub("", printed) == noise.sub("", shown)


def test_float32_is_as_precise_as_the_table_says() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((200, 200)))[0]
    X = (rng.standard_normal((20_000, 200)) / np.sqrt(np.arange(1, 201)) @ basis).astype(np.float32)
    single, double = (cg.Moments.from_array(x).spectrum.values for x in (X, X.astype(float)))
    assert np.abs(single - double).max() / double[0] < 1e-8


@pytest.mark.parametrize(("solver", "d"), [("CLARABEL", 10), ("SCS", 40)])
def test_solvers_are_as_precise_as_the_table_says(solver: str, d: int) -> None:
    X = np.random.default_rng(0).standard_normal((4 * d, d)) / np.sqrt(np.arange(1, d + 1))
    latent = cg.GaussianLatent(d)
    found = cg.solve(X, latent, beta=0.1, method="program", solver=solver)
    assert found.value == pytest.approx(cg.solve(X, latent, beta=0.1).value, rel=1e-8)
    assert found.certificate is not None and found.certificate.relative_violation < 1e-8


def test_the_table_of_methods_is_that_of_the_code() -> None:
    text, said, family = (ROOT / "docs" / "games.md").read_text(encoding="utf-8"), {}, ""
    for line in text[text.index("| family | covers |") :].split("\n\n")[0].splitlines()[2:]:
        first, _, method, options = (cell.strip() for cell in line.split("|")[1:-1])
        family = first.strip("`") or family
        said[family, method.split("`")[1]] = set(options.split(", ")) - {"none"}
    found: dict[tuple[str, str], set[str]] = {}
    for name, room in (("games.sample", sample_games), ("games.mean", mean_games), ("games.moment", moment_games)):
        for method in room.FAMILY.methods:
            found.setdefault((name, method.name), set()).update(method.uses)
    assert len(FAMILIES) == 3
    assert said == found


def test_the_table_of_kinds_names_tests_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## What people hand in")[2].partition("\n## ")[0]
    file = ""
    for name, case in re.findall(r"`(test_\w+\.py)?(?:::(\w+))?`", text):
        file = name or file
        assert not case or f"def {case}(" in (ROOT / "tests" / file).read_text(), f"{file}::{case}"
        assert (ROOT / "tests" / file).exists()
    assert text.count("\n| ") > 20
