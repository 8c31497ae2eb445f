"""The deep progressive generator starts at the closed form to rounding, and its discriminators where they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import convexgan as cg
from convexgan.progressive.pyramid import box_pyramid
from convexgan.torch import ConvolutionalDiscriminator, ProgressiveGenerator, quadratic_discriminator

GREY = np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)


def fitted(images=GREY, **options):
    return cg.ProgressiveConvexGAN(**options).fit(images)


@pytest.mark.parametrize("images", [GREY, COLOR], ids=["grey", "color"])
@pytest.mark.parametrize(
    "options", [{}, {"skip": True}, {"coupling": "sorted"}, {"latents": "single", "ranks": "few"}], ids=str
)
def test_the_start_is_the_closed_form(images, options):
    if options.get("ranks"):
        options = options | {"ranks": [3] * (2 if images is COLOR else 3)}
    model = fitted(images, **options)
    G = ProgressiveGenerator.from_model(model, width=4, dtype=torch.float64)
    rng, code, expected, noises = np.random.default_rng(5), np.zeros((7, 0)), [], []
    for stage in model.stages_:
        noises.append(rng.standard_normal((7, len(stage.fresh))))
        code = code @ stage.carry + noises[-1] @ stage.fresh
        expected.append(stage.pictures(code))
    found = G.stages(torch.from_numpy(np.concatenate(noises, axis=1)))
    for ours, theirs in zip(found, expected, strict=True):
        assert np.allclose(ours.detach().permute(0, 2, 3, 1).numpy(), theirs, rtol=0, atol=1e-13)
    single = ProgressiveGenerator.from_model(model, width=4)(torch.from_numpy(np.concatenate(noises, axis=1)).float())
    assert np.allclose(single.detach().permute(0, 2, 3, 1).numpy(), expected[-1], rtol=0, atol=1e-5)


def test_what_is_trained_at_a_coarse_stage_reaches_the_finest():
    G = ProgressiveGenerator.from_model(fitted(), width=4)
    Z = torch.randn(2, G.latent_dim, generator=torch.Generator().manual_seed(0))
    before = G.stages(Z)
    with torch.no_grad():
        G.residual[0].leave.bias += 0.25
    for old, new in zip(before, G.stages(Z), strict=True):
        assert torch.allclose(new, old + 0.25, atol=1e-6)
    loss = G(Z).square().mean()
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in G.linear.parameters())
    assert all(float(stage.leave.weight.grad.abs().max()) > 0 for stage in G.residual)


def test_stages_stop_blend_and_have_parameters_of_their_own():
    G = ProgressiveGenerator.from_model(fitted(), width=4)
    Z = torch.randn(2, G.latent_dim, generator=torch.Generator().manual_seed(0))
    coarse, middle, fine = G.stages(Z)
    assert torch.equal(G(Z, finest=8), middle) and torch.equal(G(Z, finest=4, blend=0.3), coarse)
    enlarged = middle.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.allclose(G(Z, blend=0.25), 0.25 * fine + 0.75 * enlarged)
    parts = [set(map(id, G.stage_parameters(size))) for size in G.sizes]
    assert not (parts[0] & parts[1] | parts[1] & parts[2]) and set.union(*parts) == set(map(id, G.parameters()))
    with pytest.raises(ValueError, match="size 32 is none of"):
        G(Z, finest=32)


def test_samples_have_the_law_of_the_closed_form():
    model = fitted(ranks=[4, 6, 8])
    G = ProgressiveGenerator.from_model(model, width=4)
    drawn = G.sample(4000, rng=3, batch=900)
    assert drawn.dtype == np.uint8 and drawn.shape == (4000, 16, 16)
    assert np.array_equal(drawn, G.sample(4000, rng=3, batch=900)) and not np.array_equal(drawn, G.sample(4000, rng=4))
    rows = box_pyramid(drawn)[16].reshape(4000, -1)
    stage = model.stages_[-1]
    covariance = stage.factor.T @ stage.factor
    error = np.linalg.norm(np.cov(rows.T) - covariance, 2) / np.linalg.norm(covariance, 2)
    assert error < 0.15 and np.abs(rows.mean(axis=0) - stage.mean).max() < 0.05


def test_files(tmp_path):
    G = ProgressiveGenerator.from_model(fitted(COLOR), width=4, dtype=torch.float64)
    path = tmp_path / "g.safetensors"
    G.save(path)
    again = ProgressiveGenerator.load(path)
    Z = torch.randn(3, G.latent_dim, dtype=torch.float64)
    assert torch.equal(again(Z), G(Z)) and again.sizes == (4, 8)
    content = path.read_bytes()
    for broken in (content[:100], content[:-8], b"", content.replace(b"ranks", b"junks")):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="no progressive generator or is damaged"):
            ProgressiveGenerator.load(path)


def test_bad_arguments():
    with pytest.raises(ValueError, match="not fitted"):
        ProgressiveGenerator.from_model(cg.ProgressiveConvexGAN())
    with pytest.raises(ValueError, match="must double"):
        ProgressiveGenerator.from_model(fitted(sizes=[4, 16]))
    with pytest.raises(ValueError, match="channels"):
        ProgressiveGenerator([4], 2, [3], [3])
    with pytest.raises(ValueError, match="one each"):
        ProgressiveGenerator([4, 8], 1, [3], [3, 3])
    with pytest.raises(ValueError, match="not 4, 8, 16"):
        ConvolutionalDiscriminator(12)
    with pytest.raises(ValueError, match="resize them"):
        ConvolutionalDiscriminator(8, 1)(torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize(
    ("Z", "found"),
    [
        (torch.zeros(3, 7), r"shape \(3, 7\)"),
        (torch.zeros(3, 9), r"shape \(3, 9\)"),
        (torch.zeros(8), r"shape \(8,\)"),
        (torch.zeros(2, 8, 1), r"shape \(2, 8, 1\)"),
        (np.zeros((3, 8)), "type ndarray"),
    ],
    ids=["narrow", "wide", "flat", "deep", "array"],
)
def test_latents_that_do_not_fit_are_refused(Z, found):
    G = ProgressiveGenerator([4, 8], 1, [3, 5], [3, 5], width=4)
    for call in (G, G.stages, lambda Z: G(Z, 4)):
        with pytest.raises(ValueError, match=rf"Z has {found}: pass a tensor of latents \(n, 8\)"):
            call(Z)
    assert G(torch.zeros(0, 8)).shape == (0, 1, 8, 8)
    with pytest.raises(ValueError, match="size '8' is none of this generator's"):
        G(torch.zeros(3, 8), "8")


def test_the_quadratic_discriminator_is_the_certified_one():
    model = fitted(COLOR)
    rows = box_pyramid(COLOR / 127.5 - 1)[8].reshape(60, -1)  # as exact as the stage's moments are
    stage = model.stages_[-1]
    X = rows - rows.mean(axis=0)
    sol = cg.solve(X, cg.GaussianLatent(X.shape[1]), beta=stage.beta)
    D = quadratic_discriminator(stage, dtype=torch.float64)
    assert torch.allclose(D(torch.from_numpy(X)), torch.from_numpy(sol.discriminator(X)), atol=1e-8)
    wider = quadratic_discriminator(stage, width=len(D.outer) + 5, dtype=torch.float64)
    assert len(wider.outer) == len(D.outer) + 5
    assert torch.allclose(D(torch.from_numpy(X)), wider(torch.from_numpy(X)))
    with pytest.raises(ValueError, match="width is 1"):
        quadratic_discriminator(stage, width=1)


@pytest.mark.parametrize("size", [4, 8, 32])
def test_convolutional_scores(size):
    torch.manual_seed(0)
    D = ConvolutionalDiscriminator(size, 3, width=4)
    pictures = torch.randn(5, 3, size, size, requires_grad=True)
    scores = D(pictures)
    assert scores.shape == (5,)
    (grad,) = torch.autograd.grad(scores[2], pictures)
    assert float(grad[2].abs().min()) > 0 and float(grad[[0, 1, 3, 4]].abs().max()) == 0
