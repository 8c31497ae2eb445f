"""What commands print of strangers' texts, at every width, and the codes with which they end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from convexgan.cli import app, console

EVIL = ("[/b]", "[bold]x", "[red", "\x1b[2J", "[link=file:///]x[/link]", "\udc80", "a\nb")


def command(*arguments: object, **options: Any) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with X.npy and its certificate."""
    base = tmp_path_factory.mktemp("solved")
    np.save(base / "X.npy", np.random.default_rng(0).standard_normal((30, 3)) * [3, 2, 1])
    done = command("solve", base / "X.npy", "--gaussian", 2, "--beta", 0.9, "--certificate", base / "cert.json")
    assert done.exit_code == 0, done.stderr
    return base


def claimed(solved: Path, out: Path, **change: Any) -> Path:
    """The certificate with other claims."""
    content = json.loads((solved / "cert.json").read_text())
    assert set(change) <= set(content)
    out.write_text(json.dumps(content | change))
    return out


@pytest.mark.parametrize("text", EVIL)
def test_a_claim_of_any_text_differs_and_is_shown_as_it_is(solved, tmp_path, text):
    done = command("verify", claimed(solved, tmp_path / "c.json", origin=text), solved / "X.npy")
    assert done.exit_code == 1, done.stderr
    assert "DOES NOT AGREE: origin" in done.stdout and "\x1b" not in done.stdout
    for line in console.printable(text).splitlines():
        assert line in done.stdout


@pytest.mark.parametrize("name", ["[b].json", "[bold]c.json", "a\x1b[2J.json"])
def test_a_file_of_any_name_is_shown_as_it_is(solved, tmp_path, name):
    done = command("verify", claimed(solved, tmp_path / name), solved / "X.npy")
    assert done.exit_code == 0 and console.printable(name) in done.stdout and "\x1b" not in done.stdout
    missing = command("verify", tmp_path / f"not{name}", solved / "X.npy")
    assert missing.exit_code == 2 and "\x1b" not in missing.stderr


def test_the_codes_say_agrees_differs_or_neither(solved, tmp_path):
    value = json.loads((solved / "cert.json").read_text())["value"]
    (tmp_path / "text.json").write_text("no certificate")
    X = solved / "X.npy"
    codes = {
        0: [("verify", solved / "cert.json", X)],
        1: [("verify", claimed(solved, tmp_path / "c.json", value=value + 1), X)],
        2: [
            ("verify", tmp_path / "text.json", X),
            ("verify", tmp_path / "missing.json", X),
            ("verify", solved / "cert.json", tmp_path / "missing.npy"),
            ("verify", solved / "cert.json", tmp_path / "text.json"),
            ("verify", solved / "cert.json"),
            ("verify", solved / "cert.json", X, "--no-such-option"),
        ],
    }
    for code, calls in codes.items():
        for call in calls:
            assert command(*call).exit_code == code, call


def test_a_fault_nobody_foresaw_is_no_verdict():
    script = (
        "import sys, convexgan.cli.referee as r; r.verify.__globals__['_claims'] = lambda *a: 1 / 0\n"
        "from convexgan.cli import main; sys.argv = ['convexgan', 'verify', 'a.json', 'b.npy']; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2 and "ZeroDivisionError" in done.stderr


COLUMNS = ("size", "rank", "beta", "value", "bound", "gap", "violation", "kind", "seconds")
ROWS = [[f"{i}{j}.2345678" for j in range(9)] for i in range(3)]


@pytest.mark.parametrize("width", [10, 40, 60, 80, 160])
def test_every_number_is_there_at_every_width(monkeypatch, capsys, width):
    monkeypatch.setenv("COLUMNS", str(width))
    console.print_table(COLUMNS, ROWS, "a title")
    printed = capsys.readouterr().out
    assert all(cell in printed for row in (COLUMNS, *ROWS) for cell in row) and "…" not in printed
    assert printed.count("a title") == 1
    if width >= 40:
        assert max(map(len, printed.splitlines())) <= width


def test_a_text_longer_than_the_line_is_folded(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    console.print_table(("claim", "text"), [("origin", "x" * 100)])
    printed = capsys.readouterr().out
    assert printed.count("x") == 100 + "text".count("x") and max(map(len, printed.splitlines())) <= 40


@pytest.mark.parametrize("width", [60, 80])
def test_the_tables_of_verify_keep_their_numbers(solved, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    done = command("verify", solved / "cert.json", solved / "X.npy")
    claim = json.loads((solved / "cert.json").read_text())
    assert f"{claim['value']:.12g}" in done.stdout and "…" not in done.stdout
    assert re.search(r"agrees$", done.stdout.strip())


def test_a_pipe_without_columns_is_wide(monkeypatch, capsys):
    for value in (None, "", "wide"):
        monkeypatch.delenv("COLUMNS", raising=False)
        if value is not None:
            monkeypatch.setenv("COLUMNS", value)
        console.print_table(COLUMNS, ROWS)
        assert "seconds" in capsys.readouterr().out.splitlines()[1]


def test_an_interval_that_reaches_0_is_explained_beside_its_level(capsys: pytest.CaptureFixture[str]) -> None:
    from convexgan.cli.evaluation import print_evaluation

    stage = {"size": 8, "rank": 3, "beta": 0.1, "ipm": 28.0, "low": 0.0, "high": 61.5, "level": 0.86}
    print_evaluation([stage, stage | {"size": 16, "low": 1.0}], 67, "held out")
    said = " ".join(capsys.readouterr().out.split())
    assert "held out: 67 pictures (0.86 bootstrap interval)" in said
    assert "size 8: low is 0, as pictures drawn with replacement from these 67 are up to 33.5 away from them" in said
    assert "size 16: low" not in said


def test_a_fit_of_few_pictures_says_that_nothing_is_left_to_beta(tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8))
    done = CliRunner().invoke(
        app, ["fit", str(tmp_path / "few.npy"), "--out", str(tmp_path / "run"), "--ranks", "published"]
    )
    assert done.exit_code == 0, done.exception
    assert "warning: 30 pictures have 29 directions of variation" in done.stderr
    done = CliRunner().invoke(app, ["fit", str(tmp_path / "few.npy"), "--out", str(tmp_path / "run"), "--ranks", "5,9"])
    assert done.exit_code == 0 and "warning" not in done.stderr
