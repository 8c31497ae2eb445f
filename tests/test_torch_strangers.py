"""Anybody's players, by every judge: they are taken, or refused in one sentence that says how to repair it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

import convexgan as cg
from convexgan.torch import (
    Adapted,
    ExactDiscriminatorLoss,
    Objective,
    PictureSource,
    TwoLayerDiscriminator,
    audit,
    duality_gap,
    to_critic,
    train,
)

ROWS = np.random.default_rng(0).standard_normal((60, 3))
PICTURES = np.tanh(np.random.default_rng(1).standard_normal((60, 1, 8, 8)))
GAME, PLAIN = Objective(beta=0.1), Objective(generator_penalty=0.0)


class DCGAN(nn.Module):
    """Latents (n, 5, 1, 1), pictures (n, 1, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.ConvTranspose2d(5, 4, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Tanh()
        self.layers = nn.Sequential(*layers)

    def forward(self, z):
        return self.layers(z)


class Conditional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.last = nn.Embedding(3, 2), nn.Linear(6, 3)

    def forward(self, z, label):
        return self.last(torch.cat([z, self.embed(label)], dim=1))


class Returning(nn.Module):
    """A layer whose output is wrapped."""

    def __init__(self, wrap) -> None:
        super().__init__()
        self.layer, self.wrap = nn.Linear(4, 3), wrap

    def forward(self, z):
        return self.wrap(self.layer(z))


@pytest.fixture(scope="module")
def group(tmp_path_factory) -> Iterator[None]:
    file = tmp_path_factory.mktemp("group") / "file"
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def spectral() -> nn.Module:
    norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(norm(nn.Linear(4, 8)), nn.ReLU(), norm(nn.Linear(8, 3)))


LABELLED = torch.cat([torch.randn(60, 4, generator=torch.Generator().manual_seed(0)), torch.arange(60)[:, None] % 3], 1)
STRANGERS: dict[str, tuple[Any, Any, Any]] = {  # generator, latents, data
    "MLP": (mlp, 4, ROWS),
    "DCGAN": (DCGAN, torch.randn(60, 5, 1, 1, generator=torch.Generator().manual_seed(0)), PICTURES),
    "conditional": (lambda: Adapted(Conditional(), lambda z: (z[:, :4], z[:, 4].long())), LABELLED, ROWS),
    "dict": (lambda: Adapted(Returning(lambda y: {"y": y}), output=lambda made: made["y"]), 4, ROWS),
    "spectral norm": (spectral, 4, ROWS),
    "compiled": (lambda: torch.compile(mlp(), backend="eager"), 4, ROWS),
    "bfloat16": (lambda: mlp().bfloat16(), 4, ROWS),
    "distributed": (lambda: DistributedDataParallel(mlp()), 4, ROWS),
    "tuple": (lambda: Adapted(Returning(lambda y: (y, None)), output=lambda made: made[0]), 4, ROWS),
    "NCHW latents": (DCGAN, (5, 1, 1), PICTURES),
}


def by_audit(G, Z, X):
    found = audit(G, "quadratic", X, Z, GAME, samples=300)
    assert np.isfinite(found.certificate.value) and found.verdict


def by_gap(G, Z, X):
    D = nn.Sequential(nn.Flatten(), nn.Linear(X[0].size, 8), nn.Tanh(), nn.Linear(8, 1)).to(next(G.parameters()).dtype)
    found = duality_gap(G, D, X, Z, Objective(clip=0.1), steps=4, batch=16, batches=2)
    assert np.isfinite(found.value) and found.curve[0].value == 0.0


def by_loss(G, Z, X):
    loss = ExactDiscriminatorLoss(X.astype(np.float32), "quadratic")
    latents = torch.randn(16, *((Z,) if isinstance(Z, int) else Z)) if isinstance(Z, int | tuple) else Z[:16]
    made = G(latents.to(next(G.parameters()).dtype))
    loss(made).backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in G.parameters())


JUDGES = {"audit": by_audit, "duality_gap": by_gap, "ExactDiscriminatorLoss": by_loss}


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("name", STRANGERS)
def test_ten_strangers_by_every_judge(name, judge, group):
    torch.manual_seed(0)
    make, latents, data = STRANGERS[name]
    G = make()
    before = {key: tensor.clone() for key, tensor in G.state_dict().items()}
    JUDGES[judge](G, latents, data)
    if judge != "ExactDiscriminatorLoss":  # which the caller's own loop trains against
        assert all(torch.equal(before[key], tensor) for key, tensor in G.state_dict().items())


REFUSED = {
    "conditional": (Conditional, LABELLED, r"does not take latents of shape \(\d+, 5\) .*Adapted\(generator, inputs="),
    "dict": (lambda: Returning(lambda y: {"y": y}), 4, r"returns a dict with the keys 'y', .*: made\['y'\]\)"),
    "tuple": (lambda: Returning(lambda y: (y, None)), 4, r"returns a tuple of 2, .*lambda made: made\[0\]\)"),
    "NCHW latents": (DCGAN, 5, r"does not take latents of shape \(\d+, 5\) .*latents=\(k, 1, 1\)"),
    "labels": (Conditional, (LABELLED, LABELLED), "latents is a tuple, but not the shape of Gaussian ones"),
}  # fmt: skip


@pytest.mark.parametrize("judge", ["audit", "duality_gap", "train"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_an_adapter_is_told_which(name, judge):
    make, latents, words = REFUSED[name]
    G, D, X = make(), nn.Sequential(nn.Flatten(), nn.Linear(3, 1)), ROWS
    calls = {
        "audit": lambda: audit(G, "quadratic", X, latents, GAME),
        "duality_gap": lambda: duality_gap(G, D, X, latents, Objective(clip=0.1), steps=1, batches=2),
        "train": lambda: train(G, D, X, latents, Objective(clip=0.1), steps=1, batch=8),
    }
    with pytest.raises(ValueError, match=words) as error:
        calls[judge]()
    assert len(re.findall(r"[.:;] ", str(error.value))) < 12


def test_train_takes_no_player_wrapped_for_several_processes(group):
    with pytest.raises(ValueError, match=r"runs in one process.*pass its \.module"):
        train(DistributedDataParallel(mlp()), nn.Linear(3, 1), ROWS, 4, Objective(clip=0.1), steps=1)


# -- data ----------------------------------------------------------------------------------------------------------


def sources() -> dict[str, Any]:
    tensor, labels = torch.from_numpy(ROWS), torch.arange(60)
    return {
        "array": ROWS,
        "data set": TensorDataset(tensor, labels),
        "loader": DataLoader(TensorDataset(tensor, labels), batch_size=7),
        "generator": (part for part in np.array_split(ROWS, 4)),
        "chunks of pairs": iter([(tensor[:20], labels[:20]), (tensor[20:], labels[20:])]),
    }


@pytest.mark.parametrize("kind", list(sources()))
def test_every_source_of_data_is_the_same_data(kind):
    G = mlp()
    for name in ("quadratic", "relu"):
        found, expected = (
            audit(G, name, data, 4, GAME, samples=50, time_limit=2.0).certificate for data in (sources()[kind], ROWS)
        )
        assert (found.value, found.ipm) == pytest.approx((expected.value, expected.ipm), rel=1e-9)
        if name == "quadratic":  # the other is what a search has found by then
            assert found.bound == pytest.approx(expected.bound, rel=1e-9)
        loss = ExactDiscriminatorLoss(sources()[kind], name, smoothing=0)
        assert loss(torch.ones(2, 3).double()).item() == pytest.approx(cg.ipm(ROWS, np.ones((2, 3)), name).value)
    D, game = nn.Linear(3, 1), Objective(clip=0.1)
    gaps = [duality_gap(G, D, data, 4, game, steps=2, batches=2).value for data in (sources()[kind], ROWS)]
    assert gaps[0] == pytest.approx(gaps[1])
    assert train(mlp(), nn.Linear(3, 1), sources()[kind], 4, game, steps=2, batch=8).steps == 2


def test_pictures_in_bytes_are_scaled_by_a_source_or_refused():
    levels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    G, D = DCGAN(), nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    for data in (levels, torch.from_numpy(levels), DataLoader(TensorDataset(torch.from_numpy(levels)), batch_size=9)):
        with pytest.raises(ValueError, match=r"pictures as bytes.* / 127\.5 - 1"):
            audit(G, "quadratic", data, (5, 1, 1), GAME)
    for call in (
        lambda: train(G, D, levels, (5, 1, 1), Objective(clip=0.1), steps=1),
        lambda: duality_gap(G, D, levels, (5, 1, 1), Objective(clip=0.1)),
        lambda: ExactDiscriminatorLoss(levels),
    ):
        with pytest.raises(ValueError, match=r"pictures as bytes"):
            call()
    scaled = audit(G, "quadratic", levels[:, None] / 127.5 - 1, (5, 1, 1), GAME, samples=100).certificate
    found = audit(G, "quadratic", PictureSource(levels), (5, 1, 1), GAME, samples=100).certificate
    assert (found.value, found.bound) == pytest.approx((scaled.value, scaled.bound), rel=1e-5)
    assert audit(levels[:20], "quadratic", levels, objective=GAME).certificate.value > 1e4  # both are bytes
    rows = 0.9 * levels.reshape(40, -1) / 127.5 - 0.9
    by_source, by_rows = (
        audit(rows, "quadratic", data, objective=GAME).certificate
        for data in (PictureSource(levels), levels.reshape(40, -1) / 127.5 - 1)
    )
    assert (by_source.value, by_source.ipm) == pytest.approx((by_rows.value, by_rows.ipm), rel=1e-5)


def test_nothing_and_dicts_are_refused():
    with pytest.raises(ValueError, match="chunks is empty"):
        audit(mlp(), "quadratic", iter([]), 4, GAME)
    with pytest.raises(
        ValueError, match=r"yields dicts with the keys 'image': pass the samples alone, \(batch\['image'\]"
    ):
        audit(mlp(), "quadratic", iter([{"image": ROWS}]), 4, GAME)


# -- a plain GAN, words, Sequential ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear", "quadratic", "relu"])
def test_a_plain_gan_has_a_distance_an_interval_and_a_floor_but_no_bound(name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3))
    for Y, far in ((rng.standard_normal((400, 3)), False), (2 * rng.standard_normal((400, 3)) + 1, True)):
        found = audit(Y, name, X, objective=PLAIN)
        assert found.certificate is None and np.isnan(found.gap) and not found.optimal()
        assert found.distance.ipm == pytest.approx(cg.ipm(X, Y, name).value) == found.numbers()["ipm"]
        assert found.distance.upper_bound >= found.distance.ipm * (1 - 1e-12) and "no certificate" in str(found)
        if name == "relu":
            assert np.isnan(found.distance.floor_high)
            continue
        assert found.distance.low <= found.distance.ipm <= found.distance.high
        assert (found.distance.ipm > found.distance.floor_high) is far
        assert ("a better one is possible" in found.verdict) is far


def test_a_perfect_generator_lies_within_the_floor_nineteen_times_in_twenty():
    within = 0
    for seed in range(60):
        X, Y = np.random.default_rng(seed).standard_normal((2, 50, 2))
        found = audit(Y, "quadratic", X, objective=PLAIN, rng=seed).distance
        within += found.ipm <= found.floor_high
    assert within >= 54  # of 60


def test_a_gap_cannot_be_asked_for_without_a_penalty():
    with pytest.raises(ValueError, match="gap needs generator_penalty > 0"):
        train(mlp(), TwoLayerDiscriminator(3, 4), ROWS, 4, Objective(lam=1.0, generator_penalty=0.0), gap=0.1, steps=1)


def test_certificates_in_words():
    sol = cg.solve(ROWS, cg.GaussianLatent(3), beta=0.3)
    best = sol.generator(np.linalg.qr(np.random.default_rng(0).standard_normal((90, 3)))[0] * 90**0.5)
    for Y, words in (
        (best, "No better generator is possible"),
        (1.1 * best, "A better generator may be possible|more than beta allows"),
        (0 * best, "more than beta allows: the samples are no solution"),
    ):
        assert re.search(words, audit(Y, "quadratic", ROWS, objective=Objective(beta=0.3)).verdict)


@pytest.mark.parametrize("kink", [nn.ReLU(), nn.LeakyReLU(0.3)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_a_sequence_of_two_layers_is_read_as_a_critic(kink, bias):
    torch.manual_seed(0)
    D = nn.Sequential(nn.Flatten(), nn.Linear(3, 6, bias=bias), kink, nn.Linear(6, 1)).double()
    critic = to_critic(D)
    theirs, ours = D(torch.from_numpy(ROWS)).detach().numpy().ravel(), critic(ROWS)
    assert np.allclose(theirs - theirs[0], ours - ours[0], atol=1e-12)  # but for a constant
    assert np.allclose(np.sum(critic.neurons**2, axis=1) + (np.sum(critic.biases) and critic.biases**2), 1.0)
    found = audit(mlp(), D, ROWS, 4, GAME, samples=40, time_limit=1.0)
    assert np.isfinite(found.certificate.ipm)
    gap = duality_gap(mlp().double(), D, ROWS, 4, Objective(lam=1.0), steps=2, batches=2)
    assert np.isfinite(gap.value)
    with pytest.raises(ValueError, match="no counterpart"):
        to_critic(nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1)))
