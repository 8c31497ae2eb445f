"""Sweeps: what they compute, going on after an interruption, and the studies on the command line."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from convexgan._tools.sweeps import run_sweep
from convexgan.cli import app
from convexgan.cli.studies import kernel, overparameterization, predict
from convexgan.dynamics import (
    SolvedGame,
    collapse_sweep,
    forecast_sweep,
    measure_gda,
    predict_gda,
    simulate_deep,
    width_sweep,
)
from convexgan.dynamics.deep import DeepMatching, draw_deep

# -- the machinery ---------------------------------------------------------------------------------------------------


def square(task):
    return np.array([task, np.nan])


def sweep_squares(tasks, path, setting=None, jobs=1, function=square):
    return run_sweep(function, tasks, (2,), kind="squares", setting=setting or {"a": (1, 2)}, path=path, jobs=jobs)


def test_a_sweep_goes_on_where_it_was_interrupted(tmp_path):
    calls, path = [], tmp_path / "sweep.npz"

    def fragile(task):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(task)
        return square(task)

    with pytest.raises(KeyboardInterrupt):
        sweep_squares([3, 4, 5], path, function=fragile)
    assert calls == [3, 4]

    def counted(task):
        calls.append(task)
        return square(task)

    found = sweep_squares([3, 4, 5], path, function=counted)
    assert calls == [3, 4, 5]  # a NaN among the results is not computed again
    np.testing.assert_array_equal(found, [[3, np.nan], [4, np.nan], [5, np.nan]])
    np.testing.assert_array_equal(found, sweep_squares([3, 4, 5], None, jobs=2))


def test_a_sweep_of_another_setting_is_not_taken_up(tmp_path):
    path = tmp_path / "sweep.npz"
    sweep_squares([3], path)
    sweep_squares([3], path, {"a": [1, 2]})  # a tuple is a list in its file
    for tasks, setting in (([3], {"a": [1, 3]}), ([3, 4], None)):
        with pytest.raises(ValueError, match="holds a sweep of another setting"):
            sweep_squares(tasks, path, setting)


# -- widths ----------------------------------------------------------------------------------------------------------


def test_width_sweep_is_its_runs_and_knows_the_threshold():
    found = width_sweep([30, 5], variants=["two layers", "linear"], seeds=12, steps=120, share=0.3, jobs=1, seed=2)
    rng = [2, 0, 30]
    game, layers = draw_deep(DeepMatching(), 30, 12, rng)
    eta = 0.3 / np.median(np.linalg.eigvalsh(game.kernels(layers))[:, -1])
    runs = simulate_deep(DeepMatching(), 30, (eta, 0.5), steps=120, seeds=12, rng=rng)
    assert found.ratios[1, 0] == pytest.approx(runs.ratio[:, 0], rel=1e-12)
    sizes = np.linalg.norm(runs.residuals[:, :, 0], axis=-1)
    for s, steps in enumerate(found.reached[1, 0]):
        last = int(min(steps, 120))
        assert (sizes[:last, s] > 1e-3 * sizes[0, s]).all()
        assert steps > 120 or sizes[last, s] <= 1e-3 * sizes[0, s]
    assert (found.failures[:, 1] > 0.9).all() and (found.failures[:, 0] < found.failures[:, 1]).all()
    rows = list(found.rows())
    assert len(rows) == 2 * 2 * 12 and rows[0][:3] == ("two layers", 30, 0) and rows[0][3] == found.ratios[0, 0, 0]


def test_steps_to_success_are_those_predicted_for_wide_generators():
    found = width_sweep([400], variants=["linear", "exact linear"], seeds=4, steps=150, jobs=1)
    told = np.log(1e-3) / np.log(found.rates)
    assert found.reached == pytest.approx(told, rel=0.25)


# -- kernels ---------------------------------------------------------------------------------------------------------


def test_collapse_sweep_freezes_runs_and_converges():
    pytest.importorskip("ot")
    found = collapse_sweep([0.15, 0.8], seeds=2, steps=300, jobs=1)
    assert list(found.frozen) == [False, True]
    assert (found.rates < 1).all()  # every failure is on the way to the modes, not at them
    (running, finds), (frozen, also) = found.distances
    assert (running > 1).all() and (frozen > 0.3).all() and (frozen < 1.5).all()
    assert np.median(finds) < 1e-3 and also.min() < 1e-3
    rows = list(found.rows())
    assert len(rows) == 2 * 2 * 2 and rows[1] == (0.05, 0.15, 1, found.distances[0, 0, 1], found.rates[0, 0])


# -- forecasts -------------------------------------------------------------------------------------------------------


def test_forecasts_come_true():
    found = forecast_sweep([0.05, 0.1], discriminators=["linear", "quadratic"], steps=1500, jobs=1)
    assert found.phases.shape == (2, 4, 2)
    assert (found.phases[0] == "converge").all() and (found.phases[1, 0] == "diverge").all()
    near = abs(found.across - 1) < 0.05
    assert near.sum() >= 12 and found.measured[near] == pytest.approx(found.across[near], abs=1e-3)
    growing = found.phases == "diverge"
    assert growing.sum() >= 3 and found.measured[growing] == pytest.approx(found.across[growing], rel=0.02)
    rows = list(found.rows())
    assert len(rows) == 16 and rows[0][:4] == ("linear", "simultaneous", 0.05, "converge")


def test_a_measured_rate_needs_no_prediction():
    import convexgan as cg

    X, Z = np.random.default_rng(1).standard_normal((2, 20, 2)) * [[[1]], [[0.6]]] + 1
    sol = cg.solve(X, Z, discriminator="linear", beta=0.3)
    seen = measure_gda(SolvedGame(sol, X), (0.2, 0.1), "extragradient", rng=3)
    assert seen == pytest.approx(predict_gda(sol, (0.2, 0.1), "extragradient", X=X).rate, abs=5e-4)
    assert np.isnan(measure_gda(SolvedGame(sol, X), 1e9, steps=50))  # out of the linear range at once


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: width_sweep([]), "widths and variants must hold at least one"),
        (lambda: width_sweep([5], variants=["linea"]), "Did you mean 'linear'"),
        (lambda: width_sweep([0]), "widths must be an integer"),
        (lambda: width_sweep([5], jobs=0), "jobs must be an integer >= 1"),
        (lambda: collapse_sweep([-1.0]), "widths must be finite and positive"),
        (lambda: collapse_sweep([1.0], [2.0]), "the critic diverges for lam >= 2"),
        (lambda: collapse_sweep([]), "must hold at least one"),
        (lambda: forecast_sweep([]), "must hold at least one"),
        (lambda: forecast_sweep([-0.1]), "step sizes must be finite and positive"),
        (lambda: forecast_sweep([0.1], discriminators=["relu"]), "unknown discriminator"),
    ],
)
def test_bad_sweeps(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- the command line ------------------------------------------------------------------------------------------------


def study(name, *arguments):
    done = CliRunner().invoke(app, ["study", name, "--quick", "--jobs", "1", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_study_overparameterization(tmp_path, monkeypatch):
    monkeypatch.setitem(overparameterization.SIZES, True, {"widths": (5, 40), "seeds": 5, "steps": 150})
    printed = json.loads(study("overparameterization", "--out", tmp_path, "--json").stdout)
    assert printed["widths"] == [5, 40] and printed["failures"]["linear"][0] > printed["failures"]["linear"][1]
    rows = table(tmp_path / "runs.csv")
    assert len(rows) == 4 * 2 * 5 and set(rows[0]) == set(overparameterization.COLUMNS)
    shown = study("overparameterization", "--out", tmp_path).stdout
    assert "k = 40" in shown and "two layers" in shown
    assert {path.name for path in tmp_path.iterdir()} == {"runs.csv", "quick.npz", "residuals.png", "steps.png"}
    other = CliRunner().invoke(app, ["study", "overparameterization", "--quick", "--seed", "1", "--out", str(tmp_path)])
    assert other.exit_code == 2 and "holds a sweep of another setting" in other.stderr


def test_study_kernel(tmp_path, monkeypatch):
    monkeypatch.setitem(kernel.GRID, True, 6)
    monkeypatch.setitem(kernel.SIZES, True, {"widths": (0.2, 0.8), "seeds": 2, "steps": 60})
    done = study("kernel", "--out", tmp_path, "--json")
    assert set(json.loads(done.stdout)["boundary_error_cells"]) == {"simultaneous", "alternating"}
    rows = table(tmp_path / "phases.csv")
    assert len(rows) == 2 * 36 and {row["phase"] for row in rows} > {"converge", "diverge"}
    assert (tmp_path / "phases_simultaneous.png").exists()
    assert (tmp_path / "distances.csv").exists() or "pip install 'convexgan[ot]'" in done.stderr
    if (tmp_path / "distances.csv").exists():
        assert len(table(tmp_path / "distances.csv")) == 2 * 2 * 2
        assert "0.2 (freeze)" in study("kernel", "--out", tmp_path).stdout


def test_study_kernel_without_pot_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(kernel.GRID, True, 4)
    monkeypatch.setitem(kernel.SIZES, True, {"widths": (0.8,), "seeds": 1, "steps": 3})
    monkeypatch.setitem(sys.modules, "ot", None)
    done = study("kernel", "--out", tmp_path)
    assert "no distances.csv" in done.stderr and "cells" in done.stdout


def test_study_predict(tmp_path, monkeypatch):
    monkeypatch.setitem(predict.SIZES, True, {"step_sizes": (0.05, 0.1), "steps": 60})
    rows = json.loads(study("predict", "--out", tmp_path, "--json").stdout)
    assert len(rows) == 3 * 4 * 2 and rows[0]["phase"] == "converge"
    assert [row["method"] for row in table(tmp_path / "rates.csv")[:3]] == ["simultaneous"] * 2 + ["alternating"]
    assert "extragradient" in study("predict", "--out", tmp_path).stdout and (tmp_path / "rates.png").exists()


@pytest.mark.parametrize("name", ["double-descent", "overparameterization", "kernel", "predict"])
def test_help_has_an_example(name):
    shown = CliRunner().invoke(app, ["study", name, "--help"])
    assert f"Example: convexgan study {name} --quick" in shown.stdout and "--quick" in shown.stdout
