"""Audits of other people's generators in ONNX files."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import convexgan as cg
from convexgan.cli.onnx import made_by
from tests.test_cli import run

WEIGHTS = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)


def written(path: Path, module: nn.Module, *latents: torch.Tensor, free: bool = True) -> Path:
    """The module as ONNX, the first axis of its latents open if it is to be free."""
    axes = tuple({0: torch.export.Dim("n")} if free else None for _ in latents)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module, latents, dynamic_shapes=axes, verbose=False, dynamo=True)
    path.write_bytes(program.model_proto.SerializeToString())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear generator, one of pictures, one that takes two at a time and one of two inputs; rows and pictures."""
    folder = tmp_path_factory.mktemp("onnx")
    linear = nn.Linear(3, 5, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(WEIGHTS.T))
    written(folder / "linear.onnx", linear, torch.zeros(2, 3))
    written(folder / "pictures.onnx", nn.Sequential(nn.Linear(3, 12), nn.Unflatten(1, (3, 2, 2))), torch.zeros(2, 3))
    written(folder / "two.onnx", linear, torch.zeros(2, 3), free=False)
    written(folder / "pair.onnx", nn.Bilinear(3, 3, 5), torch.zeros(2, 3), torch.zeros(2, 3))
    rng = np.random.default_rng(0)
    np.save(folder / "X.npy", rng.standard_normal((700, 5)))
    np.save(folder / "last.npy", rng.uniform(-1, 1, (30, 2, 2, 3)))
    np.save(folder / "first.npy", rng.uniform(-1, 1, (30, 3, 2, 2)))
    cg.Moments.from_array(np.load(folder / "X.npy")).save(folder / "moments.npz")
    return folder


def test_samples_are_what_the_generator_makes_of_normal_latents(folder: Path) -> None:
    made = made_by(folder / "linear.onnx", 700, 0)
    assert made.shape == (700, 5)
    np.testing.assert_allclose(made.T @ made / 700, WEIGHTS.T @ WEIGHTS, atol=0.35)
    np.testing.assert_array_equal(made, made_by(folder / "linear.onnx", 700, 0))
    assert not np.array_equal(made, made_by(folder / "linear.onnx", 700, 1))


def test_its_audit_is_that_of_its_samples(folder: Path) -> None:
    said = json.loads(run("audit", folder / "linear.onnx", folder / "X.npy", "--beta", 0.5, "--json").stdout)
    own = cg.certify(np.load(folder / "X.npy"), made_by(folder / "linear.onnx", 700, 0).astype(float), beta=0.5)
    assert said["value"] == pytest.approx(own.value) and said["bound"] == pytest.approx(own.bound)
    run("audit", folder / "linear.onnx", folder / "moments.npz", "--beta", 0.5, "-n", 100)
    run("audit", folder / "pictures.onnx", folder / "first.npy", "--beta", 0.5, "-n", 100)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["two.onnx", "X.npy"], "leave the first axis open|fails on latents"),
        (["pair.onnx", "X.npy"], "export a generator of one input"),
        (["linear.onnx", "moments.npz"], "pass --count"),
        (
            ["pictures.onnx", "last.npy"],
            r"of shape \(3, 2, 2\), and those of last\.npy have \(2, 2, 3\): .* np\.moveaxis",
        ),
        (["X.npy", "X.npy", "-n", 5], "--count is for generators"),
        (["bad.onnx", "X.npy"], "bad.onnx is not the model expected"),
        (["linear.onnx", "X.npy", "-n", 0], "--count must be"),
        (["generator.pt2", "X.npy"], r"could run code when it is loaded.*\.onnx"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object], words: str
) -> None:
    monkeypatch.chdir(folder)
    Path("bad.onnx").write_bytes(b"none")
    result = run("audit", *arguments, "--beta", 0.5, code=2)
    lines = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    assert re.search(words, lines[0]), lines[0]
