"""Progressive training: where pictures come from, what is trained at each resolution, and runs that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import convexgan as cg
from convexgan.datasets import build_cache, find
from convexgan.plotting import save_image
from convexgan.progressive.pyramid import box_pyramid
from convexgan.torch import (
    ConvolutionalDiscriminator,
    GrowingStage,
    LinearGenerator,
    Objective,
    Outcome,
    PictureSource,
    ProgressiveGenerator,
    TwoLayerDiscriminator,
    grow,
    quadratic_discriminator,
    train,
)
from convexgan.torch.growing import ADAM, R3GAN
from convexgan.torch.progressive import twice
from convexgan.updates import alternating
from tests.documents import ROOT

GREY = np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)


def closed_form(images=GREY, **options):
    return cg.ProgressiveConvexGAN(ranks=[4, 6, 8][: 3 if images is GREY else 2], **options).fit(images)


def warm_generator(dtype=torch.float64, **options):
    torch.manual_seed(5)
    return ProgressiveGenerator.from_model(closed_form(**options), width=4, dtype=dtype)


def cold_generator(dtype=torch.float64):
    torch.manual_seed(5)
    return ProgressiveGenerator([4, 8, 16], 1, [4, 6, 8], [4, 6, 8], width=4).to(dtype)


def small(size):
    return ConvolutionalDiscriminator(size, 1, width=4)


def latents(G, n=5):
    return torch.randn(n, G.latent_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def copies(module):
    return [p.detach().clone() for p in module.parameters()]


def unchanged(module, before):
    return [torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True)]


# -- pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [GREY, COLOR, GREY / 127.5 - 1], ids=["grey", "color", "floats"])
def test_pictures_are_box_averages_and_their_mirror_images(images):
    like, places = torch.zeros((), dtype=torch.float64), torch.tensor([7, 0, 7, 59])
    for size, level in box_pyramid(images).items():
        source = PictureSource(images, size, flip=True).to(like)
        expected = level.reshape(60, size, size, -1).transpose(0, 3, 1, 2)[places]
        assert source.shape == (120, expected.shape[1], size, size)
        assert np.allclose(source[places].numpy(), expected, atol=1e-6)
        assert torch.equal(source[places + 60], source[places].flip(-1))
    assert np.allclose(np.concatenate(list(source.rows()))[places], expected.reshape(4, -1), atol=1e-6)


def test_batches_larger_than_the_pictures_are_drawn_with_replacement():
    G = cold_generator()
    runs = grow(G, GREY[:9], warm=False, steps=3, batch=32, discriminator=small)
    assert all(run.steps > 0 for run in runs) and all(p.isfinite().all() for p in G.parameters())


def test_detail_fades_in():
    source = PictureSource(GREY, 8)
    whole, coarse = source[torch.arange(5)], PictureSource(GREY, 4)[torch.arange(5)]
    source.blend = 0.25
    assert torch.allclose(source[torch.arange(5)], 0.25 * whole + 0.75 * twice(coarse), atol=1e-6)


def test_a_cache_is_a_source(tmp_path, monkeypatch):
    from convexgan.datasets import tasks as module

    monkeypatch.setattr(module, "SHARD_PICTURES", 7)
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(COLOR[:30]):
        save_image(Image.fromarray(picture), tmp_path / "photos" / f"{i:02}.png")
    (tmp_path / "photos" / "03.5.png").write_bytes(b"no picture")  # so the first shard has fewer pictures
    cache = build_cache(find(tmp_path / "photos"), tmp_path / "cache", 8)
    assert [shard.pictures for shard in cache.shards] == [6, 7, 7, 7, 3]
    places = np.array([29, 0, 7, 6, 5, 13, 12, 7, 28])
    assert np.array_equal(cache.take(places), COLOR[places])
    ends = [
        train(*players(source, 4), source, None, R3GAN, rates=1e-2, batch=8, steps=3).history[-1]["payoff"]
        for source in (PictureSource(cache, 4), PictureSource(COLOR[:30], 4))
    ]
    assert ends[0] == ends[1]
    shard = next(cache.folder.glob("00002.bin"))
    fresh = build_cache(find(tmp_path / "photos"), tmp_path / "cache", 8)
    shard.write_bytes(b"short")
    with pytest.raises(ValueError, match="delete it"):
        fresh.take(places)


def players(source, size):
    torch.manual_seed(0)
    G = ProgressiveGenerator([size], source.channels, [3], [3], width=4)
    return G, ConvolutionalDiscriminator(size, source.channels, width=4)


def test_certificates_of_pictures_drawn_one_by_one():
    X, bounds = torch.from_numpy(box_pyramid(GREY)[4].reshape(60, 1, 4, 4)), []
    for data in (X, PictureSource(GREY, 4)):
        G = torch.nn.Sequential(LinearGenerator(5, 16), torch.nn.Unflatten(1, (1, 4, 4)))
        D = TwoLayerDiscriminator(16, 9, "quadratic")
        run = train(G, D, data, 5, Objective(lam=1.0), steps=2, batch=8, gap=0.0, every=1)
        bounds.append(run.history[-1]["bound"])
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-6) and bounds[0] > 0


def test_large_pictures_are_monitored_by_few():
    from convexgan.torch.batches import Batches

    images = np.zeros((300, 64, 64, 3), np.uint8)
    batches = Batches(PictureSource(images), 2, 4, small(4), 0)
    assert batches.watched(4096).real.shape == (85, 3, 64, 64)
    assert len(Batches(np.zeros((300, 5)), 2, 4, small(4), 0).watched(4096).real) == 300


# -- growing -----------------------------------------------------------------------------------------------------


def run_of(G, warm, **options):
    options = {"steps": 3, "batch": 8, "every": 3, "discriminator": small, "rates": 1e-2, "head_start": 2} | options
    return grow(G, GREY, warm=warm, **options)


def test_a_warm_start_keeps_the_closed_form_until_the_last_resolution():
    G, expected = warm_generator(), warm_generator()
    Z, before, starts = latents(G), copies(G.linear), {}

    def look(step, stage, D):
        if step == 0:
            added = [y - x for y, x in zip(G.stages(Z), plain(G, Z), strict=True)]
            starts[stage.size] = stage(Z), added, all(unchanged(G.linear, before))

    run_of(G, True, callbacks=[look], old_rate=0.5)
    assert torch.allclose(starts[4][0], expected(Z, 4), atol=1e-13)
    for i, size in ((1, 8), (2, 16)):  # a resolution starts at the closed form and what the coarser one adds to it
        start, added, kept = starts[size]
        assert kept and torch.allclose(start, expected(Z, size) + twice(added[i - 1]), atol=1e-12)
        assert float(added[i - 1].abs().max()) > 1e-3
    assert not any(unchanged(G.linear, before)[-4:])
    assert all(p.requires_grad for p in G.parameters())


def plain(G, Z):
    """The linear pictures of every stage."""
    code, found = Z[:, :0], []
    for linear, noise in zip(G.linear, Z.split([stage.noise for stage in G.linear], dim=1), strict=True):
        code, picture = linear(code, noise)
        found.append(picture)
    return found


def test_a_cold_start_grows_from_what_the_coarser_resolution_has_become():
    G = cold_generator()
    Z, ends, starts = latents(G), {}, {}

    def look(step, stage, D):
        (starts if step == 0 else ends)[stage.size] = stage(Z)

    before = copies(G.linear[0])
    run_of(G, False, callbacks=[look])
    for coarse, fine in ((4, 8), (8, 16)):
        assert torch.allclose(starts[fine], twice(ends[coarse]), atol=1e-12)
        assert float((ends[fine] - starts[fine]).abs().max()) > 1e-3
    assert not any(unchanged(G.linear[0], before)[:2])


def test_a_warm_start_trained_at_the_finest_resolution_alone_changes_convolutions_of_all():
    G = warm_generator()
    before, linear = copies(G.residual), copies(G.linear)
    assert [run.steps for run in run_of(G, True, sizes=[16])] == [3]
    assert not any(unchanged(G.residual[1], before[6:12])) and all(unchanged(G.linear, linear))


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_old_layers_have_a_rate_of_their_own(warm):
    """One step each of plain gradient descent: at the second resolution all runs start alike."""
    moves = {}
    for rate in (0.0, 0.5, 1.0):
        G, seen = warm_generator() if warm else cold_generator(), []

        def look(step, stage, D, seen=seen, G=G):
            seen.append([copies(part) for part in (G.residual[0], G.residual[1], G.linear[1])])

        run_of(G, warm, sizes=[4, 8], steps=1, optimizer="sgd", averaged=False, old_rate=rate, callbacks=[look])
        moves[rate] = [
            torch.cat([(q - p).flatten() for p, q in zip(*pair, strict=True)]) for pair in zip(*seen[2:], strict=True)
        ]
    for part, old in ((0, True), (1, False), (2, warm)):
        still, half, full = (moves[rate][part] for rate in (0.0, 0.5, 1.0))
        assert full.any() and still.any() is not old
        assert torch.allclose(half, full / 2 if old else full, rtol=1e-9, atol=1e-15)
        assert not still.any() if old else torch.equal(still, full)


@pytest.mark.parametrize(("warm", "rate"), [(True, 0.0), (False, 1.0)], ids=["warm", "cold"])
def test_the_layers_of_a_closed_form_are_frozen_unless_told_otherwise(warm, rate):
    ends = []
    for options in ({}, {"old_rate": rate}, {"old_rate": 0.5}):
        G = warm_generator() if warm else cold_generator()
        run_of(G, warm, sizes=[4, 8], **options)
        ends.append(torch.cat([p.flatten() for p in copies(G)]))
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def fixed(size):
    torch.manual_seed(7)
    return small(size).double()


def test_the_discriminator_of_a_warm_start_learns_alone_first():
    """Exactly as in a plain run against the closed form, at every resolution; that of a cold start does not."""
    for warm, G in ((True, warm_generator()), (False, cold_generator())):
        source, D = PictureSource(GREY, 4), fixed(4)
        stage = GrowingStage(G, 4, source, 0, warm)
        train(stage, D, source, None, R3GAN, optimizer=ADAM, rates=(0.0, 1e-2), batch=8, steps=2)
        starts, before = [], copies(G.linear)

        def look(step, stage, D, starts=starts, G=G, before=before):
            starts.append((stage.size, step, copies(D), all(unchanged(G.linear, before))))

        run_of(G, warm, sizes=[4, 8], discriminator=fixed, callbacks=[look], fade=0.5)
        assert [start[:2] for start in starts] == [(4, 0), (4, 3), (8, 0), (8, 3)]
        assert starts[0][3] and all(unchanged(D if warm else fixed(4), starts[0][2]))
        assert all(unchanged(fixed(8), starts[2][2])) is not warm


def test_a_rate_for_each_parameter():
    X = np.random.default_rng(0).standard_normal((9, 3))
    ends = {}
    for rate in (0.1, (0.1, 0.1), (0.1, 0.0)):
        torch.manual_seed(0)
        G, D = LinearGenerator(2, 3, bias=True), TwoLayerDiscriminator(3, 4, "quadratic")
        first = copies(G)
        run = train(G, D, X, None, Objective(beta=0.1), rates=(rate, 0.1), steps=1)
        assert run.steps == 1
        ends[rate] = [a - b for a, b in zip(copies(G), first, strict=True)]
    same, part = ends[0.1, 0.1], ends[0.1, 0.0]
    assert all(torch.equal(a, b) for a, b in zip(ends[0.1], same, strict=True))
    assert torch.equal(part[0], same[0]) and not part[1].any() and same[1].any()
    with pytest.raises(ValueError, match=r"rates has 3 numbers for the 2 parameters .*generator"):
        train(G, D, X, None, Objective(beta=0.1), rates=((0.1, 0.1, 0.1), 0.1), steps=1)


def test_new_resolutions_fade_in():
    blends, G = [], cold_generator()

    def step(game, state, rates):
        stage = game.payoff.generator
        blends.append((stage.size, stage.blend, stage.source.blend))
        Z = game.batch.latents
        if stage.size == 4:
            return alternating(game, state, rates)
        mixed = stage.blend * stage.generator(Z, stage.size) + (1 - stage.blend) * twice(stage.generator(Z, 4))
        assert torch.allclose(stage(Z), mixed)
        return alternating(game, state, rates)

    run_of(G, False, sizes=[4, 8], steps=8, fade=0.5, method=step, optimizer="sgd")
    assert [blend for size, blend, _ in blends if size == 4] == [1.0] * 8
    assert [blend for size, blend, _ in blends if size == 8] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
    assert all(a == b for _, a, b in blends)


def test_the_certified_discriminators_play():
    model = closed_form()
    stages = {stage.size: stage for stage in model.stages_}
    G = ProgressiveGenerator.from_model(model, width=4)

    def certified(size):
        return quadratic_discriminator(stages[size], pictures=True)

    objective = Objective(beta=stages[16].beta, generator_penalty=0.0)
    runs = grow(G, GREY, objective, warm=True, discriminator=certified, steps=4, batch=16)
    assert [run.steps for run in runs] == [4, 4, 4]


@pytest.mark.parametrize("images", [GREY, COLOR], ids=["grey", "color"])
@pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])
def test_the_certified_discriminator_of_pictures(images, skip):
    for stage in closed_form(images, skip=skip).stages_:
        level = torch.from_numpy(box_pyramid(images)[stage.size].reshape(60, stage.size, stage.size, -1)).double()
        detail = level
        if skip and stage.size > 4:
            coarse = torch.nn.functional.avg_pool2d(level.permute(0, 3, 1, 2), 2)
            detail = level - twice(coarse).permute(0, 2, 3, 1)
        rows = detail.flatten(1) - torch.from_numpy(stage.detail_mean)
        expected = quadratic_discriminator(stage, dtype=torch.float64)(rows)
        D = quadratic_discriminator(stage, dtype=torch.float64, pictures=True)
        assert torch.allclose(D(level.permute(0, 3, 1, 2)), expected, rtol=1e-6)


def test_mixed_precision_is_near_and_keeps_the_parameters():
    ends = []
    for mixed in (False, True):
        G = warm_generator(torch.float32)
        start = torch.cat([p.flatten() for p in copies(G)])
        runs = run_of(G, True, mixed_precision=mixed, optimizer="sgd")
        assert {p.dtype for p in G.parameters()} == {torch.float32}
        ends.append(torch.cat([p.flatten() for p in copies(G)]))
        assert runs[-1].steps == 3
    far = float((ends[0] - start).norm())
    assert 0 < float((ends[0] - ends[1]).norm()) < 0.05 * far


# -- interruptions -----------------------------------------------------------------------------------------------

SCRIPT = """
import sys, time
from pathlib import Path
from tests.test_torch_growing import resumable
resumable(Path(sys.argv[1]), lambda step, G, D: time.sleep(0.05 * (G.size > 4)))
"""


def resumable(folder, callback=lambda step, G, D: None):
    """A short run through all resolutions, and its end as bytes."""
    torch.set_num_threads(1)  # as in the killed process
    G = cold_generator(torch.float32)
    folder.mkdir(exist_ok=True)
    how = {"steps": 8, "every": 2, "fade": 0.5, "old_rate": 0.5, "flip": True}
    run_of(G, False, folder=folder, callbacks=[callback], **how)
    return b"".join(p.detach().numpy().tobytes() for p in G.parameters())


def test_a_killed_run_continues_bit_for_bit(tmp_path):
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, killed], env=os.environ | {"PYTHONPATH": str(ROOT)})
    while not (killed / "8.safetensors").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not (killed / "16.safetensors").exists()
    assert resumable(killed) == resumable(tmp_path / "whole")


class Failing:
    """Alternating steps of Adam, of which the fourth finds no memory, on a GPU or really."""

    def __init__(self, kind):
        self.left, self.kind = 4, kind
        self.__qualname__ = "failing"  # what a checkpoint knows it by

    def __call__(self, game, state, rates):
        self.left -= 1
        if self.left == 0:
            if self.kind == "cpu":
                torch.empty(10**14)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return alternating(game, state, rates, ADAM)


@pytest.mark.parametrize("kind", ["gpu", "cpu"])
def test_without_memory_a_smaller_batch_is_named_and_continues_the_run(kind, tmp_path):
    options = {"steps": 7, "every": 2, "sizes": [4], "optimizer": "sgd", "folder": tmp_path, "head_start": 0}
    with pytest.raises(MemoryError, match="batches of 8: pass a smaller one, batch=4 say; the same call with it"):
        run_of(warm_generator(), True, batch=8, method=Failing(kind), **options)
    failing = Failing(kind)
    failing.left = 99
    with pytest.warns(UserWarning, match="was made with batch=8 and goes on with batch=4"):
        (run,) = run_of(warm_generator(), True, batch=4, method=failing, **options)
    assert [row["step"] for row in run.history] == [0, 2, 4, 6, 7] and failing.left == 94


def test_checkpoints_of_other_settings_are_refused(tmp_path):
    run_of(cold_generator(), False, folder=tmp_path, sizes=[4, 8])
    for change in ({"fade": 0.7}, {"flip": True}, {"old_rate": 0.3}, {"mixed_precision": True}):
        with pytest.raises(ValueError, match="is of another run"):
            run_of(cold_generator(), False, folder=tmp_path, sizes=[4, 8], **change)


# -- bad input ---------------------------------------------------------------------------------------------------


def test_pictures_that_do_not_fit_are_refused():
    G = warm_generator()
    with pytest.raises(ValueError, match="images holds 7 pictures: pass at least 8"):
        grow(G, GREY[:7], warm=True)
    with pytest.raises(ValueError, match="are 8 x 8 pixels, colour, the generator makes 16 x 16 pixels, grey"):
        grow(G, COLOR, warm=True)
    with pytest.raises(ValueError, match="mixes shapes"):
        grow(G, [*GREY, GREY[0, :8, :8]], warm=True)
    with pytest.raises(ValueError, match="mixes shapes"):
        grow(G, [*GREY, np.zeros((16, 16, 3), np.uint8)], warm=True)
    with pytest.raises(ValueError, match="size 32 is none of"):
        grow(G, GREY, warm=True, sizes=[32])
    for sizes in ([8, 4], [4, 4], []):
        with pytest.raises(ValueError, match=r"sizes .* must increase"):
            grow(G, GREY, warm=False, sizes=sizes)
    with pytest.raises(ValueError, match="old_rate must be"):
        grow(G, GREY, warm=True, old_rate=-1)
    with pytest.raises(ValueError, match="fade"):
        grow(G, GREY, warm=True, fade=-0.5)
    with pytest.raises(ValueError, match=r"fade is 0.5, but 16 pixels alone are trained: leave it out"):
        grow(G, GREY, warm=True, sizes=[16], fade=0.5)


@pytest.mark.parametrize("generator", [None, LinearGenerator(3, 16), "faces"], ids=str)
def test_other_generators_are_refused(generator):
    with pytest.raises(ValueError, match=rf"generator is a {type(generator).__name__}: pass a ProgressiveGenerator"):
        grow(generator, GREY, warm=True)


@pytest.mark.parametrize(
    ("discriminator", "said"),
    [
        (ConvolutionalDiscriminator(4), "discriminator is a module: pass a function"),
        (lambda size: None, r"discriminator\(4\) is a NoneType: return a module"),
        (lambda size: ConvolutionalDiscriminator(8), r"takes pictures \(1, 8, 8\), got \(1, 4, 4\)"),
        (lambda size: ConvolutionalDiscriminator(size, 3), r"takes pictures \(3, 4, 4\), got \(1, 4, 4\)"),
        (lambda size: TwoLayerDiscriminator(9, 2, "quadratic"), "takes samples of 9 numbers"),
        (lambda size: nn.Sequential(nn.Flatten(), nn.Linear(17, 1)), "players do not fit data of shape"),
        (lambda size: nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), "one number each is needed"),
    ],
)
def test_discriminators_that_do_not_fit_are_refused(discriminator, said):
    with pytest.raises(ValueError, match=said):
        grow(cold_generator(), GREY, warm=False, discriminator=discriminator, steps=1, batch=8)


def test_a_compiled_generator_grows():
    (run,) = run_of(torch.compile(cold_generator(), backend="eager"), False, sizes=[4])
    assert run.outcome is Outcome.FINISHED


def test_interpolation_runs_from_latent_to_latent():
    G = warm_generator()
    strip = G.interpolate(5, rng=3)
    assert strip.shape == (5, 16, 16) and np.array_equal(strip[0], G.sample(2, rng=3)[0])
    assert np.array_equal(strip[-1], G.sample(2, rng=3)[1])
    assert [stage.shape[1] for stage in G.sample_stages(3)] == [4, 8, 16]
    for draw in (G.sample, G.interpolate):
        with pytest.raises(ValueError, match="rng must be an integer >= 0, got 'a'"):
            draw(3, rng="a")
