"""What is missing names the extra that brings it, with its brackets, wherever it is missed."""

from __future__ import annotations

import builtins
import importlib.metadata
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import convexgan as cg
from convexgan._tools.extras import EXTRAS, install
from convexgan.cli import info
from convexgan.cli.app import app
from tests.documents import ROOT


def test_every_extra_is_one_of_the_package() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) == known.keys() - {"all", "bench", "dev", "dist", "site"}
    assert install("torch.nn") == "pip install 'convexgan[torch]'" and install("nothing") is None
    said = [
        m for file in (ROOT / "convexgan").rglob("*.py") for m in re.findall(r"convexgan\\*\[(\w+)\]", file.read_text())
    ]
    assert len(said) > 5 and set(said) <= known.keys()


@pytest.fixture
def nothing_optional(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No package of any extra is installed."""
    from convexgan.conic.solvers import mosek_licence

    mosek_licence.cache_clear()
    packages = set(EXTRAS) | set(info.OPTIONAL)
    true_version, true_import = importlib.metadata.version, builtins.__import__

    def version(name: str) -> str:
        if name in packages:
            raise importlib.metadata.PackageNotFoundError(name)
        return true_version(name)

    def load(name: str, *more: Any, **options: Any) -> Any:
        if name.partition(".")[0] in packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return true_import(name, *more, **options)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(builtins, "__import__", load)
    for name in [
        n
        for n in sys.modules
        if n.partition(".")[0] in packages or n.startswith(("convexgan.torch", "convexgan.cli.growing"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    yield
    mosek_licence.cache_clear()  # whose answer would stay


@pytest.mark.usefixtures("nothing_optional")
def test_info_names_extras_with_their_brackets() -> None:
    done = CliRunner().invoke(app, ["info"])
    assert done.exit_code == 0, done.exception
    for package in info.OPTIONAL:
        extra = EXTRAS[info.IMPORTED.get(package, package)]
        assert re.search(rf"{package} .*not installed: pip install 'convexgan\[{extra}\]'", done.stdout), package
    assert "MOSEK" in done.stdout and "not installed: pip install 'convexgan[mosek]'" in done.stdout


@pytest.mark.usefixtures("nothing_optional")
def test_doctor_takes_what_is_optional_and_not_there_for_no_fault() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert found["torch"] == {"what": "torch", "found": "not installed: pip install 'convexgan[torch]'", "repair": ""}
    assert found["plotting"]["found"] == "not installed: pip install 'convexgan[plot]'"


@pytest.mark.usefixtures("nothing_optional")
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train", "X.npy", "--out", "run", "--beta", "1"], "torch"),
        (["train", "digits", "--progressive", "--out", "run"], "torch"),
        (["fit", "digits", "--out", "run", "--device", "cuda"], "torch"),
        (["fit", "digits", "--out", "run", "--dask", "local"], "dask"),
    ],
)
def test_commands_name_the_extra_they_need(
    arguments: list[str], extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", np.eye(3))
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2 and f"pip install 'convexgan[{extra}]'" in done.stderr, (done.stderr, done.exception)
    assert "Traceback" not in done.stderr


def test_help_keeps_the_brackets() -> None:
    assert "pip install 'convexgan[ot]'" in CliRunner().invoke(app, ["study", "kernel", "--help"]).stdout


# -- commands without a command, completion, JSON --------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "names"), [([], ["demo", "test", "study"]), (["study"], ["kernel", "predict"])])
def test_no_command_is_help_and_no_error(arguments: list[str], names: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0 and all(name in done.stdout for name in names)
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_the_commands(shell: str) -> None:
    words = {"_CONVEXGAN_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "convexgan i"}
    words |= {"COMP_WORDS": "convexgan i", "COMP_CWORD": "1", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = CliRunner().invoke(app, [], prog_name="convexgan", env=words)
    assert "ipm" in done.stdout and "info" in done.stdout and "demo" not in done.stdout
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).stdout


def test_every_command_that_prints_results_has_json() -> None:
    import typer.main

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    leaves = {**commands, **commands["study"].commands}
    leaves.pop("study")
    assert [
        name for name, command in leaves.items() if "--json" not in {o for p in command.params for o in p.opts}
    ] == []


def test_sample_and_export_say_in_json_what_they_wrote(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    cg.ProgressiveConvexGAN(ranks=[3]).fit(images).save(tmp_path / "model.npz")
    model = str(tmp_path / "model.npz")
    drawn = CliRunner().invoke(app, ["sample", model, "-n", "5", "--out", str(tmp_path / "a.npy"), "--json"])
    assert json.loads(drawn.stdout)["count"] == 5 == len(np.load(json.loads(drawn.stdout)["out"]))
    written = CliRunner().invoke(app, ["export", model, "--out", str(tmp_path / "a.safetensors"), "--json"])
    assert json.loads(written.stdout)["pictures"] == ["n", 1, 4, 4], written.output
