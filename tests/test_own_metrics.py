"""A metric of pictures defined outside the package is a row of the table: `evaluate` and the command know its name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import convexgan as cg
from convexgan.cli import app
from convexgan.metrics import evaluate, features
from convexgan.metrics.evaluation import METRICS, Metric
from convexgan.metrics.result import Result

RNG = np.random.default_rng(0)
REAL, FAKE = (RNG.integers(low, 256, (n, 4, 4), dtype=np.uint8) for low, n in ((0, 40), (60, 30)))


def brightness(argument: str) -> Any:
    """The metric for what stands behind "=" in its name, a factor: how far apart the mean features are."""
    factor = float(argument or 1)

    def measure(real: Any, fake: Any, extractor: Any, bootstrap: Any) -> list[Result]:
        def distance(a: np.ndarray, b: np.ndarray) -> float:
            return factor * abs(float(a.mean() - b.mean()))

        rng, half = np.random.default_rng(bootstrap.rng), len(real.rows) // 2
        drawn, floors = [], []
        for _ in range(bootstrap.resamples):
            drawn.append(distance(rng.choice(real.rows, len(real.rows)), rng.choice(fake.rows, len(fake.rows))))
            mixed = rng.permutation(real.rows)
            floors.append(distance(mixed[:half], mixed[half:]))
        (low, high), ends = np.quantile(drawn, [0.025, 0.975]), np.quantile(floors, [0.025, 0.975])
        value, sizes = distance(real.rows, fake.rows), (half, len(real.rows) - half)
        counts = len(real.rows), len(fake.rows), sizes
        return [Result("brightness", value, low, high, 0.95, np.mean(floors), *ends, *counts, extractor.name)]

    return measure


def test_the_package_measures_with_it_beside_those_that_there_are(monkeypatch):
    monkeypatch.setitem(METRICS, "brightness", Metric(brightness))
    known, found = evaluate(REAL, FAKE, ["brightness=2", "frechet"], "pixels=4", resamples=40).results
    assert [known.metric, found.metric] == ["FD-pixels-4", "brightness"]
    looked = [features(images, "pixels=4").rows.mean() for images in (REAL, FAKE)]
    assert found.value == pytest.approx(2 * abs(looked[0] - looked[1]))
    assert found.low < found.value < found.high and found.floor_high < found.value


def test_the_command_knows_it_and_mistakes_name_it(monkeypatch, tmp_path):
    cg.ProgressiveConvexGAN(ranks=[2]).fit(REAL).save(tmp_path / "model.npz")
    np.save(tmp_path / "real.npy", REAL)
    command = ["evaluate", str(tmp_path / "model.npz"), str(tmp_path / "real.npy"), "--json", "--metrics"]
    monkeypatch.setitem(METRICS, "brightness", Metric(brightness))
    done = CliRunner().invoke(app, [*command, "brightness"])
    assert done.exit_code == 0, done.stderr
    assert [row["metric"] for row in json.loads(done.stdout)["metrics"]] == ["brightness"]
    wrong = CliRunner().invoke(app, [*command, "brightnes"])
    assert wrong.exit_code == 2 and "Did you mean 'brightness'?" in wrong.stderr
