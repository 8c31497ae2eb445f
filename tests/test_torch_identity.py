"""A run is what made it: with anything else a checkpoint is refused by name, and nothing of the caller's is changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import convexgan as cg
from convexgan.cli import app
from convexgan.torch import (
    ExactDiscriminatorLoss,
    GrowingStage,
    LinearGenerator,
    Objective,
    ProgressiveGenerator,
    TwoLayerDiscriminator,
    TwoLayerGenerator,
    grow,
    train,
)
from convexgan.torch.identity import outputs
from convexgan.torch.objective import Batch

X = np.random.default_rng(0).standard_normal((40, 4)) * [3, 2, 1, 0.5]
PICTURES = np.random.default_rng(1).integers(0, 256, (40, 8, 8), dtype=np.uint8)


class Own(nn.Module):
    """Players whose slope only their output shows, and that may draw random numbers or count their calls."""

    latent_dim = 4

    def __init__(self, out: int, slope: float = 0.2, noisy: bool = False) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(4, 5), nn.Linear(5, out)
        self.slope, self.noisy = slope, noisy
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        hidden = self.layer(x)
        if self.noisy:
            hidden = hidden + torch.randn_like(hidden)
        scores = self.last(torch.where(hidden > 0, hidden, self.slope * hidden))
        return scores if self.last.out_features > 1 else scores.flatten()


def go(path: Path | None, steps: int = 10, **change: Any) -> Any:
    """A run of a few steps, with something changed."""
    torch.manual_seed(0)
    made = {
        "generator": lambda: LinearGenerator(4, 4),
        "discriminator": lambda: TwoLayerDiscriminator(4, 6, "quadratic"),
        "data": X,
        "objective": Objective(lam=1.0),
        "latents": None,
    } | change
    G, D = made.pop("generator")(), made.pop("discriminator")()
    options = {"batch": 8, "every": 5, "steps": steps, "checkpoint": path} | made
    data, latents, objective = (options.pop(name) for name in ("data", "latents", "objective"))
    run = train(G, D, data, latents, objective, **options)
    return G, D, run


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "activation": (
        {"discriminator": lambda: TwoLayerDiscriminator(4, 6, "relu")},
        r"whose discriminator was .*Quadratic.* and not .*ReLU",
    ),
    "slope": (
        {"discriminator": lambda: TwoLayerDiscriminator(4, 6, cg.discriminators.Polynomial(1.0, 2.0, 0.0))},
        "whose discriminator was",
    ),
    "neurons": (
        {"discriminator": lambda: TwoLayerDiscriminator(4, 7, "quadratic")},
        r"whose discriminator .*4, 6, .*4, 7",
    ),
    "bias": (
        {"discriminator": lambda: TwoLayerDiscriminator(4, 6, "quadratic", bias="free")},
        r"whose discriminator .*'none'.*'free'",
    ),
    "kind": (
        {"discriminator": lambda: nn.Linear(4, 1), "objective": Objective(clip=1.0)},
        "whose discriminator was .*Two.* and not .*Linear.*; whose objective ",
    ),
    "generator": ({"generator": lambda: TwoLayerGenerator(4, 4, 6)}, "whose generator was .*LinearGenerator.*TwoLayer"),
    "generator bias": ({"generator": lambda: LinearGenerator(4, 4, bias=True)}, "generator"),
    "lam": ({"objective": Objective(lam=2.0)}, r"whose objective lam was 1\.0 and not 2\.0"),
    "beta": (
        {"objective": Objective(beta=2.0)},
        r"whose objective beta was None and not 2\.0; whose objective lam was 1\.0 and not None",
    ),
    "data": ({"data": X[::-1].copy()}, "whose data was another"),
    "latents": ({"generator": lambda: LinearGenerator(3, 4)}, "generator"),
    "fixed latents": ({"latents": X}, "whose latents was '4 Gaussian' and not 'fixed'"),
    "larger batch": ({"batch": 16}, "whose batch was 8 and not 16"),
    "all rows": ({"batch": None}, "whose batch was 8 and not None"),
    "rates": ({"rates": 0.5}, r"whose rates was 0\.01 and not 0\.5"),
    "method": ({"method": "optimistic"}, "whose method was 'alternating' and not 'optimistic'"),
    "seed": ({"rng": 5}, "whose rng was 0 and not 5"),
    "average": ({"averaged": True}, "whose averaged was False and not True"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_differs_is_refused_by_name(tmp_path, change):
    go(tmp_path / "run")
    before = (tmp_path / "run").read_bytes()
    options, words = CHANGES[change]
    with pytest.raises(ValueError, match=f"is of another run.*{words}.*(?s:.)*pass the same arguments"):
        go(tmp_path / "run", steps=20, **options)
    assert (tmp_path / "run").read_bytes() == before
    assert go(tmp_path / "run", steps=20)[2].steps == 20


def test_more_steps_another_gap_and_other_first_weights_are_the_same_run(tmp_path):
    go(tmp_path / "run")
    assert go(tmp_path / "run", steps=20, gap=0.0)[2].steps == 20


def test_a_smaller_batch_is_warned_of_and_goes_on(tmp_path):
    go(tmp_path / "run")
    with pytest.warns(UserWarning, match="was made with batch=8 and goes on with batch=4"):
        assert go(tmp_path / "run", steps=20, batch=4)[2].steps == 20


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_players_are_told_apart_by_what_they_compute_with_the_same_weights(tmp_path, player):
    out = {"generator": 4, "discriminator": 1}[player]
    options: dict[str, Any] = {"objective": Objective(clip=1.0)}
    go(tmp_path / "run", **options, **{player: lambda: Own(out)})
    torch.manual_seed(3)
    changed = Own(out, slope=0.25)
    weights = {name: tensor.clone() for name, tensor in changed.state_dict().items()}
    with pytest.raises(ValueError, match=f"whose {player} computed something else with the same weights"):
        go(tmp_path / "run", 20, **options, **{player: lambda: changed})
    for name, tensor in changed.state_dict().items():
        assert torch.equal(tensor, weights[name]) and changed.training
    assert go(tmp_path / "run", 20, **options, **{player: lambda: Own(out)})[2].steps == 20


def test_players_that_draw_random_numbers_are_compared_by_structure_only(tmp_path):
    options: dict[str, Any] = {"generator": lambda: Own(4, noisy=True)}
    go(tmp_path / "run", **options)
    whole = go(None, 20, **options)[0]
    went_on = go(tmp_path / "run", 20, **options)[0]
    assert all(torch.equal(a, b) for a, b in zip(went_on.parameters(), whole.parameters(), strict=True))


def test_looking_changes_nothing_and_draws_nothing():
    G, D = Own(4, noisy=True), nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))
    before = [tensor.clone() for module in (G, D) for tensor in module.state_dict().values()]
    state = torch.get_rng_state()
    found = outputs(G, D, Batch(torch.randn(9, 4), torch.ones(9, 4)))
    torch.set_rng_state(state)
    again = outputs(G, D, Batch(torch.ones(9, 4), torch.ones(9, 4)))
    assert torch.equal(torch.get_rng_state(), state)
    assert found["generator"] is None and again["discriminator"] is not None
    after = [tensor for module in (G, D) for tensor in module.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)) and G.training and D[0].training


def test_checkpoints_and_no_checkpoints_end_with_the_same_bits(tmp_path):
    with_file, without = (go(path, 20, generator=lambda: Own(4)) for path in (tmp_path / "run", None))
    for a, b in zip(with_file[0].parameters(), without[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_exact_discriminators_are_told_apart(tmp_path):
    def against(lam: float, neurons: str = "quadratic") -> Callable[[], nn.Module]:
        return lambda: ExactDiscriminatorLoss(X.astype(np.float32), neurons, lam)

    options: dict[str, Any] = {"objective": Objective(), "method": "simultaneous"}
    go(tmp_path / "run", discriminator=against(1.0), **options)
    with pytest.raises(ValueError, match=r"whose discriminator was .*lam=1,.* and not .*lam=2,"):
        go(tmp_path / "run", 20, discriminator=against(2.0), **options)
    with pytest.raises(ValueError, match=r"whose discriminator was .*Quadratic.*Linear"):
        go(tmp_path / "run", 20, discriminator=against(1.0, "linear"), **options)
    assert go(tmp_path / "run", 20, discriminator=against(1.0), **options)[2].steps == 20


# Warm starts


def closed_form(pictures: np.ndarray) -> cg.ProgressiveConvexGAN:
    return cg.ProgressiveConvexGAN(ranks=[3, 4]).fit(pictures)


def warm(folder: Path, model: cg.ProgressiveConvexGAN, steps: int = 4) -> Any:
    torch.manual_seed(0)
    G = ProgressiveGenerator.from_model(model, width=4)
    return grow(G, PICTURES, warm=True, folder=folder, steps=steps, head_start=2, every=2, batch=4)


def test_another_closed_form_is_refused_and_the_same_goes_on(tmp_path):
    warm(tmp_path, closed_form(PICTURES))
    with pytest.raises(ValueError, match="whose warm start was another"):
        warm(tmp_path, closed_form(PICTURES[:30]))
    assert [run.steps for run in warm(tmp_path, closed_form(PICTURES))] == [4, 4]
    G = ProgressiveGenerator.from_model(closed_form(PICTURES), width=4)
    assert GrowingStage(G, 8, None, 0, warm=True).origin == G.origin is not None  # type: ignore[arg-type]
    assert GrowingStage(G, 8, None, 0, warm=False).origin is None  # type: ignore[arg-type]


# The command line


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_line_names_what_differs(tmp_path):
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Y.npy", X[::-1])
    call = ["train", tmp_path / "X.npy", "--lam", 1, "--out", tmp_path / "run", "--every", 5, "--latent-dim", 4]
    assert command(*call, "--steps", 5).exit_code == 0
    for option, words in (
        (("--discriminator", "relu"), "whose discriminator was"),
        (("--generator", "relu"), "whose generator was"),
        (("--lam", 3), "whose objective lam was 1.0 and not 3.0"),
        (("--rate", 0.5), "whose rates was 0.001 and not 0.5"),
        (("--method", "optimistic"), "whose method was 'alternating' and not 'optimistic'"),
        (("--batch", 1000), "whose batch was 256 and not 1000"),
    ):
        done = command(*call, "--steps", 10, *option)
        assert done.exit_code == 2 and words in done.stderr and "another place to write" in done.stderr, option
    done = command("train", tmp_path / "Y.npy", *call[2:], "--steps", 10)
    assert done.exit_code == 2 and "whose data was another" in done.stderr
    assert command(*call, "--steps", 10).exit_code == 0


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    """A folder with pictures.npy, a closed form in run, and what was trained from it in warm."""
    np.save(tmp_path / "pictures.npy", PICTURES)
    assert command("fit", tmp_path / "pictures.npy", "--ranks", "3,4", "--out", tmp_path / "run").exit_code == 0
    assert command(*training(tmp_path, "run")).exit_code == 0
    return tmp_path


def training(base: Path, start: str, data: str = "pictures.npy") -> list[object]:
    call: list[object] = ["train", base / data, "--progressive", "--warm-start", base / start, "--out", base / "warm"]
    return [*call, "--steps", 2, "--head-start", 1, "--every", 2, "--batch", 4, "--width", 4]


def unfinished(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(report | {"state": "unfinished"}))


def test_a_progressive_training_goes_on_from_the_same_closed_form_and_data_only(grown):
    shutil.copytree(grown / "run", grown / "moved")
    shutil.copy(grown / "pictures.npy", grown / "copy.npy")
    for state in ("complete", "unfinished"):
        if state == "unfinished":
            unfinished(grown / "warm")
        done = command(*training(grown, "moved", "copy.npy"))  # the same in other places
        assert done.exit_code == 0, done.stderr
    np.save(grown / "others.npy", PICTURES[::-1])
    for state in ("complete", "unfinished"):
        if state == "unfinished":
            unfinished(grown / "warm")
        done = command(*training(grown, "run", "others.npy"))
        assert done.exit_code == 2 and ("other pictures" in done.stderr or "whose data" in done.stderr)
    assert command("fit", grown / "others.npy", "--ranks", "2,4", "--out", grown / "run").exit_code == 0
    done = command(*training(grown, "run"))  # the same name, and another model
    assert done.exit_code == 2 and "was started with closed form = " in done.stderr


def test_a_training_that_has_not_ended_says_so_wherever_it_is_used(grown):
    unfinished(grown / "warm")
    for call in (
        ("sample", grown / "warm", "--out", grown / "a.png"),
        ("evaluate", grown / "warm", grown / "pictures.npy", "--resamples", 2),
        ("export", grown / "warm", "--out", grown / "a.safetensors"),
    ):
        done = command(*call)
        assert done.exit_code == 0 and "warm is not finished: this is its best generator so far" in done.stderr, call
