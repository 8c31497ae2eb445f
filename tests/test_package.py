"""What is said about the package agrees: pyproject.toml, CITATION.cff, codemeta.json, the conda recipe, the sdist."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

import convexgan as cg
from tests.documents import ROOT

SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = SETTINGS["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CODEMETA = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
NAMES = [author["name"] for author in PROJECT["authors"]]


def test_the_version_comes_from_one_place() -> None:
    assert PROJECT["dynamic"] == ["version", "readme"] and "version" not in PROJECT
    assert SETTINGS["tool"]["hatch"]["version"]["path"] == "convexgan/__init__.py"
    assert CITATION["version"] == CODEMETA["version"] == RECIPE["context"]["version"] == cg.__version__


def test_title_authors_licence_and_description_are_the_same_everywhere() -> None:
    assert PROJECT["name"] == CITATION["title"] == CODEMETA["name"] == RECIPE["package"]["name"] == "convexgan"
    assert [author["name"] for author in CITATION["authors"]] == [a["name"] for a in CODEMETA["author"]] == NAMES
    licence = PROJECT["license"]
    assert CITATION["license"] == RECIPE["about"]["license"] == licence
    assert CODEMETA["license"] == f"https://spdx.org/licenses/{licence}"
    described = {PROJECT["description"], CODEMETA["description"], RECIPE["about"]["summary"]}
    assert described == {CITATION["abstract"].rstrip(".")}
    assert CODEMETA["keywords"] == PROJECT["keywords"]


def test_codemeta_refers_to_papers_that_the_citation_names() -> None:
    known = {known["value"] for entry in CITATION["references"] for known in entry.get("identifiers", [])}
    assert {paper.removeprefix("https://doi.org/") for paper in CODEMETA["referencePublication"]} <= known


def test_requirements_are_those_of_the_wheel() -> None:
    run = [line.replace(" ", "") for line in RECIPE["requirements"]["run"]]
    python = f"python{PROJECT['requires-python']}"
    assert run == [python, *PROJECT["dependencies"]]
    assert CODEMETA["softwareRequirements"] == PROJECT["dependencies"]
    assert CODEMETA["runtimePlatform"].replace(" ", "").lower() == python
    host = [line.replace(" ", "") for line in RECIPE["requirements"]["host"]]
    assert host == [python, "pip", *SETTINGS["build-system"]["requires"]]
    (name, start), *others = PROJECT["scripts"].items()
    assert RECIPE["build"]["python"]["entry_points"] == [f"{name} = {start}"] and not others


def test_the_long_description_has_no_link_that_an_index_cannot_follow() -> None:
    hook = SETTINGS["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    (path,) = (fragment["path"] for fragment in hook["fragments"])
    text = (ROOT / path).read_text(encoding="utf-8")
    linked = re.compile(r"\]\((?!https?://|#)")
    assert linked.search(text)
    for change in hook["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    assert not linked.search(text) and "](https://arxiv.org/abs/2107.05680)" in text
    assert "docs/claims.md" in text and "I train GANs" in text  # what a link said is still there


def test_the_sdist_holds_every_file_of_the_project() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is an sdist: there is nothing to compare with")
    included = SETTINGS["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    tops = {f"/{name.partition('/')[0]}" for name in listed.stdout.split()}
    assert tops - {"/.ci", "/.gitignore", "/pyproject.toml"} == set(included)
