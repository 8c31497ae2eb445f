"""How far work has come: on a terminal rate and time left, in a pipe one line for each phase, under --quiet nothing.

The commands are those of the parser: one that is added has to say here how it is called, and shows its progress.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from rich.console import Console
from typer.testing import CliRunner

import convexgan as cg
from convexgan._tools import progress
from convexgan._tools.deadline import Deadline
from convexgan.cli.app import app
from convexgan.cli.console import Phases
from tests.documents import ROOT

# each command as it is called on the files of `folder`, and the phases that it announces
CALLS: dict[str, tuple[str, list[str]]] = {
    "demo": ("--data digits --out demo --size 8", ["moments", "evaluating on held-out pictures", "writing"]),
    "doctor": ("", ["looking"]),
    "info": ("", ["looking"]),
    "fit": ("pictures.npy --out fitted --ranks 2,3", ["moments"]),
    "sample": ("run -n 4 --out drawn.npy", ["drawing"]),
    "export": ("run --out net.safetensors", ["writing"]),
    "evaluate": ("run pictures.npy --metrics frechet --resamples 5", ["measuring new pictures", "evaluating"]),
    "solve": ("x.npy --gaussian 2 --beta 0.3", ["solving"]),
    "ipm": ("x.npy y.npy", ["searching"]),
    "balance": ("x.npy y.npy", ["balancing"]),
    "test": ("x.npy y.npy --permutations 19", ["testing"]),
    "audit": ("y.npy x.npy --beta 0.3", ["certifying"]),
    "verify": ("cert.json x.npy", ["verifying cert.json"]),
    "train": ("x.npy --out trained --lam 1 --steps 4", ["training", "writing"]),
    "study double-descent": ("--quick --out s1", ["linear GAN sweep"] * 4),
    "study overparameterization": ("--quick --out s2 --jobs 1", ["overparameterisation sweep"]),
    "study kernel": ("--quick --out s3 --jobs 1", ["phase diagrams", "kernel sweep"]),
    "study predict": ("--quick --out s4 --jobs 1", ["forecast sweep"]),
}


def commands(group: Any = None, before: str = "") -> Iterator[str]:
    """The names of all commands, as the parser knows them."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, rng = tmp_path_factory.mktemp("progress"), np.random.default_rng(0)
    X, Y = rng.standard_normal((2, 20, 2))
    np.save(made / "x.npy", X)
    np.save(made / "y.npy", Y)
    pictures = rng.integers(0, 256, (30, 8, 8), dtype=np.uint8)
    np.save(made / "pictures.npy", pictures)
    (made / "cert.json").write_text(cg.solve(X, cg.GaussianLatent(2), beta=0.3).certificate.to_json())
    called = CliRunner().invoke(app, ["fit", str(made / "pictures.npy"), "--out", str(made / "run"), "--ranks", "2,3"])
    assert called.exit_code == 0, called.stderr
    return made


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_every_command_says_here_how_it_is_called() -> None:
    assert set(commands()) == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_in_a_pipe_each_phase_is_one_line_and_under_quiet_there_is_none(name: str) -> None:
    given, phases = CALLS[name]
    line = [*name.split(), *given.split()]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.stderr
    lines = [text for text in done.stderr.splitlines() if text.partition(": ")[0] in phases]
    assert sorted(text.partition(": ")[0] for text in lines) == sorted(phases)
    assert all(" s" in text and "\x1b" not in text for text in lines)
    again = [f"{part}-quiet" if before == "--out" and "." not in part else part for before, part in pairs(line)]
    quiet = CliRunner().invoke(app, [*again, "--quiet"])
    assert quiet.exit_code == 0 and [text for text in quiet.stderr.splitlines() if "warning" not in text] == []
    assert quiet.stdout


def pairs(line: list[str]) -> Iterator[tuple[str, str]]:
    """Each word with the one before it."""
    yield from zip(["", *line], line, strict=False)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("ipm wide.npy other.npy --time-limit 1", "s left"),
        ("test x.npy y.npy --permutations 400", "s left"),
        ("train x.npy --out shown --lam 1 --steps 300", "/s"),
        ("verify cert.json x.npy", "verifying cert.json"),
    ],
)
def test_on_a_terminal_it_moves(line: str, shown: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("wide.npy", "other.npy"):
        np.save(tmp_path / name, rng.standard_normal((80, 8)))
    for name in ("x.npy", "y.npy", "cert.json"):
        (tmp_path / name).write_bytes(Path(name).read_bytes())
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-m", "convexgan", *line.split()]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, cwd=tmp_path, env=environment) as process:
        os.close(theirs)
        seen = b""
        while chunk := read(ours):
            seen += chunk
        assert process.wait() == 0
    os.close(ours)
    assert shown in seen.decode() and "\x1b[" in seen.decode()


def read(terminal: int) -> bytes:
    """What a terminal shows next; nothing once its process has ended."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


# -- the lines themselves -------------------------------------------------------------------------------------------


def test_a_long_phase_tells_rate_and_time_left(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(progress, "LONG", 0.0)
    phases = Phases()
    with phases("counting", 100) as advance:
        time.sleep(0.01)
        advance(25)
    out, err = capsys.readouterr()
    assert out == ""
    first, last = err.splitlines()
    assert first.startswith("counting: 25 of 100, ") and first.endswith("s left") and "/s" in first
    assert last.startswith("counting: ") and last.endswith("pictures/s")
    assert phases.clocks[0].record()["pictures"] == 100


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal is sent."""
    stream = io.StringIO()
    monkeypatch.setattr(progress, "stage", lambda: Console(file=stream, force_terminal=True, width=120))
    return stream


def test_on_a_terminal_a_count_is_a_bar_with_rate_and_time_left(terminal: io.StringIO) -> None:
    with Phases()("counting", 100) as advance:
        for _ in range(4):
            time.sleep(0.12)
            advance(20)
    text = terminal.getvalue()
    assert "counting" in text and "80/100" in text and "/s" in text and "0:00:0" in text


@pytest.mark.parametrize("moving", [True, False])
def test_what_was_done_before_counts_for_no_rate(moving: bool, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=120) if moving else None
    monkeypatch.setattr(progress, "stage", lambda: terminal)
    monkeypatch.setattr(progress, "LONG", 0.0)
    with progress.counted("training", 1000, "steps") as (_, advance):
        advance(900, known=True)
        for _ in range(3):
            time.sleep(0.12)
            advance(1)
    shown = stream.getvalue() if moving else capsys.readouterr().err.rpartition("training: ")[0]
    assert ("903/1000" if moving else "903 of 1,000") in shown
    rates = [float(rate) for rate in re.findall(r"([\d.e+]+)/s", shown)]
    assert rates and max(rates) < 20


def test_a_search_tells_its_rate_and_what_is_left_of_its_limit(terminal: io.StringIO) -> None:
    with progress.shown(True, "ipm: at least {:.3g}, at most {:.3g}, {} cones", Deadline(50.0)) as report:
        report(1.0, 2.0, 30)
        time.sleep(0.15)
    assert "at least 1, at most 2, 30 cones" in terminal.getvalue() and "50 s left" in terminal.getvalue()


def test_a_callers_own_report_is_called_and_nothing_shown(terminal: io.StringIO) -> None:
    seen: list[Any] = []
    with progress.shown(lambda *given: seen.append(given), "ipm: {} {} {}") as report:
        report(1.0, 2.0, 3)
    assert seen == [(1.0, 2.0, 3)] and terminal.getvalue() == ""
