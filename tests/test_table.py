"""Every discriminator against every generator: what `solve` returns in each of the 20 cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import convexgan as cg
from convexgan.generators import Linear, TwoLayerReLU

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 2)) * [2.0, 1.0] + [0.5, -0.3]
LINE = RNG.standard_normal((12, 1)) + 0.4
Z = RNG.standard_normal((12, 2)) + np.array([0.3, 0.0])
DISCRIMINATORS = ("linear", "quadratic", "polynomial", "relu")
GENERATORS = {"free": "free", "linear": Linear(bias=True), "mixture": "mixture", "relu": TwoLayerReLU(bias=True)}
GENERATORS["polynomial"] = "polynomial"

# (discriminator, generator): the kind, the largest relative gap, and arguments of solve where the cell has its own
SADDLE = ("saddle", 1e-6, {})
TABLE = {cell: SADDLE for cell in itertools.product(DISCRIMINATORS[:3], GENERATORS)}
TABLE["linear", "relu"] = ("saddle", 1e-6, {"regularizer": "weights"})  # weight decay; the outputs' norm: see below
TABLE["relu", "mixture"] = SADDLE
TABLE["relu", "free"] = ("saddle", 1e-6, {"X": LINE, "bias": "free"})
TABLE["relu", "linear"] = ("saddle", 1e-6, {"Z": cg.GaussianLatent(2), "generator": "linear"})
# local optima: how far the bound is says more of the class, which cannot imitate every law, than of the search
TABLE["relu", "relu"] = ("bounded", 0.02, {"rng": 0})
TABLE["relu", "polynomial"] = ("bounded", 0.2, {"rng": 0})


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
@pytest.mark.parametrize("budget", ["beta", "lam"])
def test_cell(discriminator, generator, budget):
    kind, gap, options = TABLE[discriminator, generator]
    data, latents = options.get("X", X), None if generator in ("free", "mixture") else options.get("Z", Z)
    nothing = cg.ipm(data, np.zeros((1, data.shape[1])), discriminator, bias=options.get("bias", "none")).value
    size = 0.2 * nothing if budget == "beta" else 0.8 if kind == "saddle" else 4.0
    more = {name: value for name, value in options.items() if name not in ("X", "Z")} | {budget: size}
    call = {"discriminator": discriminator, "generator": GENERATORS[generator]} | more
    sol = cg.solve(data, latents, **call)
    proof = sol.certificate
    assert proof.kind == kind and -gap <= proof.gap <= gap and proof.relative_violation <= 1e-7
    assert 0 < proof.bound <= sol.value * (1 + 1e-9) and np.isfinite(sol.value)
    referee = cg.verify(cg.Certificate.from_json(proof.to_json()), data)
    assert referee.kind == kind and referee.bound == pytest.approx(proof.bound, rel=1e-9)
    rows = sol.generator.sample(4000, rng=0)
    assert rows.shape == (4000, data.shape[1])
    if budget == "beta":  # its rows, not only its certificate, come near the data
        assert cg.ipm(data, rows, discriminator, bias=options.get("bias", "none"), gap=1e-3).value < 0.5 * nothing


def test_the_other_penalty_of_the_relu_generator_against_linear_neurons():
    sol = cg.solve(X, Z, discriminator="linear", generator=TwoLayerReLU(bias=True), beta=0.2)
    assert sol.certificate.kind == "saddle" and sol.certificate.gap <= 1e-6
