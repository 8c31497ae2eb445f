"""What is passed by mistake: the error is a ValueError that names the argument and the repair, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convexgan as cg
from convexgan import datasets, discriminators, generators, plotting
from convexgan.arrangements import interpolate
from convexgan.arrangements.maximum import maximize
from convexgan.dynamics import MeanMatching, simulate
from convexgan.metrics import sliced_wasserstein
from convexgan.progressive import ProgressiveConvexGAN

X = np.random.default_rng(0).standard_normal((20, 3))
LATENT = cg.GaussianLatent(3)
DIGITS = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
SEEDED: dict[str, Callable[[Any], object]] = {
    "solve": lambda rng: cg.solve(X, generator="free", beta=1.0, rng=rng),
    "program": lambda rng: cg.program(X, LATENT, beta=1.0, rng=rng),
    "sample": lambda rng: cg.solve(X, LATENT, beta=1.0).generator.sample(3, rng),
    "ipm": lambda rng: cg.ipm(X, X + 1, "linear", rng=rng),
    "held_out": lambda rng: cg.held_out(X, X, resamples=2, rng=rng),
    "two_sample_test": lambda rng: cg.two_sample_test(X, X, "linear", permutations=2, rng=rng),
    "maximize": lambda rng: maximize(X, np.ones(20), rng=rng),
    "interpolate": lambda rng: interpolate(X, np.abs(X[:, 0]), rng=rng),
    "simulate": lambda rng: simulate(MeanMatching(2, 3, 4), [2], (0.1, 0.1), steps=1, seeds=1, rng=rng),
    "fit": lambda rng: ProgressiveConvexGAN(random_state=rng, ranks=[2, 2]).fit(DIGITS),
}


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("seed", [-1, "a", 1.5])
def test_seeds_are_checked(name: str, seed: Any) -> None:
    with pytest.raises(ValueError, match=r"(rng|random_state) must be an integer >= 0"):
        SEEDED[name](seed)


@pytest.mark.parametrize("name", SEEDED)
def test_seeds_are_accepted(name: str) -> None:
    SEEDED[name](3)


def test_an_estimator_checks_its_seed_as_scikit_learn_does() -> None:
    with pytest.raises(ValueError, match="cannot be used to seed"):
        cg.ConvexWGAN(random_state="a").fit(X)


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "a path for a certificate": (lambda: cg.verify("cert.json", X), r"certificate must be .* Certificate\.load"),
    "a solution for one": (lambda: cg.verify(cg.solve(X, LATENT, beta=1.0), X), r"got Solution: pass \.certificate"),
    "one rank": (lambda: ProgressiveConvexGAN(ranks=10).fit(DIGITS), r"ranks must be a list, .*\[4, 8\], got 10"),
    "one beta": (lambda: ProgressiveConvexGAN(betas=1.5).fit(DIGITS), r"betas must be a list, .*\[4, 8\], got 1.5"),
    "one size": (lambda: ProgressiveConvexGAN(sizes=8).fit(DIGITS), r"sizes must be a list .*\[1, 2, 4, 8\].*, got 8"),
    "a name for pictures": (
        lambda: ProgressiveConvexGAN().fit("digits"),
        r"images is a str.*datasets\.load",
    ),
    "a path for rows": (lambda: cg.solve("X.npy", LATENT, beta=1.0), "X must be an array, got 'X.npy'.*numpy.load"),
    "a dimension for latents": (lambda: cg.solve(X, 4, beta=1.0), r"Z is 4, not latents: pass cg\.GaussianLatent\(4\)"),
    "one for a ReLU game": (lambda: cg.solve(X, 4, discriminator="relu", beta=1.0), r"pass cg\.GaussianLatent\(4\)"),
    "a folder for a model": (lambda: ProgressiveConvexGAN.load(Path.cwd()), r"is a folder: .* model\.npz"),
    "a folder for a listing": (lambda: datasets.build_cache("a", "b", 8), r"listing must be .* got str: pass find\("),
    "an array for an image": (lambda: plotting.save_image(DIGITS, "a.png"), "image must be a PIL .* contact_sheet"),
    "arrays for frames": (lambda: plotting.save_animation(list(DIGITS), "a.gif"), r"frames\[0\] must be a PIL image"),
    "no frames": (lambda: plotting.save_animation([], "a.gif"), "frames is empty"),
    "an array for a source": (lambda: datasets.load(DIGITS), "source must be a name or a path, got ndarray"),
    "nothing for a source": (lambda: datasets.find(None), "source must be a name or a path, got NoneType"),
    "text for a slope": (lambda: discriminators.ReLU(slope="a"), "slope of ReLU must be a number, got 'a'"),
    "text for a coefficient": (lambda: discriminators.Polynomial(b="a"), "b of Polynomial must be a number"),
    "and of a generator": (lambda: generators.TwoLayerPolynomial(c="a"), "c of TwoLayerPolynomial must be a number"),
    "text for a flag": (lambda: generators.Linear(bias="x"), "bias of Linear must be True or False, got 'x'"),
    "a number for a flag": (lambda: generators.TwoLayerReLU(bias=1), "bias of TwoLayerReLU must be True or False"),
    "text for a limit": (lambda: cg.solve(X, LATENT, beta=1.0, time_limit="a"), "time_limit must be a number"),
    "a negative limit": (
        lambda: cg.solve(X, LATENT, beta=1.0, method="program", time_limit=-1),
        "time_limit must be finite and >= 0, got -1",
    ),
    "text for that of a program": (
        lambda: cg.program(X, LATENT, beta=1.0).solve(time_limit="a"),
        "time_limit must be a number",
    ),
    "a negative one that nothing uses": (lambda: cg.ipm(X, X, "linear", time_limit=-1), "time_limit must be finite"),
    "no betas": (lambda: cg.path(X, LATENT), "betas must be a list of numbers, got None"),
    "one beta for a path": (lambda: cg.path(X, LATENT, 0.5), "betas must be a list of numbers, got 0.5"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_with_their_repair(mistake: str) -> None:
    call, said = MISTAKES[mistake]
    with pytest.raises(ValueError, match=said):
        call()


def test_a_loaded_set_of_pictures_is_taken_wherever_an_array_is() -> None:
    loaded = datasets.ImageSet(DIGITS, "digits")
    model, same = (ProgressiveConvexGAN(ranks=[2, 2]).fit(images) for images in (DIGITS, loaded))
    assert np.array_equal(model.sample(3, 0), same.sample(3, 0))
    assert model.score(DIGITS) == model.score(loaded)
    assert model.held_out(DIGITS, resamples=2) == model.held_out(loaded, resamples=2)
    assert sliced_wasserstein(loaded, DIGITS, resamples=2) == sliced_wasserstein(DIGITS, loaded, resamples=2)
