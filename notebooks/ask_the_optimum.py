# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Is your GAN training converging? Ask the optimum
#
# The loss of a GAN is a tug-of-war: it may lie still while the players circle, and move while they improve. Where the
# discriminator has two layers the optimum of the game is known, with a proof, so the question has an answer: how far is
# this generator from the best one?
#
# The game is the Wasserstein GAN of A. Sahiner et al., *Hidden Convexity of Wasserstein GANs*, ICLR 2022, with
# quadratic neurons of total weight at most $\lambda$,
#
# $$\min_G\max_D\;\mathbb E\,D(X)-\mathbb E\,D(G(z))+\mathbb E\lvert G(z)\rvert^2,\qquad
# D(x)=\sum_j v_j(u_j\cdot x)^2,\quad\lvert u_j\rvert=1,\quad\textstyle\sum_j\lvert v_j\rvert\le\lambda .$$

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import convexgan as cg
from convexgan.torch import (
    ExactDiscriminatorLoss,
    LinearGenerator,
    Objective,
    TwoLayerDiscriminator,
    TwoLayerGenerator,
    audit,
    duality_gap,
    train,
)

QUICK = bool(os.environ.get("QUICK"))
STEPS = 400 if QUICK else 2000
rng = np.random.default_rng(0)
X = rng.standard_normal((500, 5)) * [3, 2.5, 2, 1.2, 0.6]
Z = rng.standard_normal((500, 5))
lam = 3.5
game = Objective(lam=lam)
start = time.perf_counter()
optimum = cg.solve(X, Z, lam=lam)
print(f"{time.perf_counter() - start:.3f} s")
print(optimum)


def players(seed: int = 0):
    """A linear generator and eight neurons, from random weights."""
    torch.manual_seed(seed)
    return LinearGenerator(5, 5, dtype=torch.float64), TwoLayerDiscriminator(5, 8, "quadratic", dtype=torch.float64)


# %% [markdown]
# ## The loss
#
# Gradient descent-ascent in its usual form: the discriminator steps, then the generator.

# %%
G, D = players()
run = train(G, D, X, Z, game, method="alternating", rates=0.03, steps=STEPS, every=STEPS // 50, gap=0)
figure, panel = plt.subplots(figsize=(7, 3), layout="constrained")
panel.plot([row["step"] for row in run.history], [row["payoff"] for row in run.history])
panel.set(xlabel="steps", ylabel="loss (payoff of both players)", title="What training shows")
plt.show()

# %% [markdown]
# The loss rises and then trembles around 20. Has it converged, is it still improving, or does it circle? All three
# would look like this; even the value of the optimum, which is near 20 too, does not help. The loss is what *this*
# discriminator sees, and the discriminator moves.
#
# ## The certified gap
#
# `gap=` made `train` compute, every few steps, what the *best* discriminator sees of this generator (the value), a
# number that no generator can beat (the bound), and their relative distance. `audit` does that for any two players.

# %%
found = audit(G, D, X, Z, game)
print(found)
figure, panel = plt.subplots(figsize=(7, 3.4), layout="constrained")
shown = {"value": "value (best critic)", "payoff": "loss (this critic)", "bound": "bound (any generator)"}
for name, label in shown.items():
    panel.plot([row["step"] for row in run.history], [row[name] for row in run.history], label=label)
panel.axhline(optimum.value, color="black", linestyle=":", label="optimum")
panel.set(xlabel="steps", ylabel="payoff of the game", ylim=(0, 2 * optimum.value))
figure.legend(loc="outside upper center", fontsize="small", ncols=4)
plt.show()
print(f"gap in the end {found.gap:.1%}, of the discriminator {found.discriminator_gap:.1%}")

# %% [markdown]
# The answer is no. Against an honest opponent this generator pays visibly more than it has to.
#
# ## Which method converges?
#
# The same start, the same game, one step size each.

# %%
methods = {
    "simultaneous": {"method": "simultaneous", "rates": 0.03},
    "alternating": {"method": "alternating", "rates": 0.03},
    "alternating, averaged": {"method": "alternating", "rates": 0.03, "averaged": True},
    "extragradient": {"method": "extragradient", "rates": 0.03},
    "optimistic": {"method": "optimistic", "rates": 0.02},
    "duality gap": {"method": "generative_minimization", "rates": 0.02},
}
watch = {"every": STEPS // 40, "gap": 0, "steps": STEPS}
histories, ends = {}, {}
for name, how in methods.items():
    ends[name] = players()
    histories[name] = train(*ends[name], X, Z, game, **how, **watch).history
figure, panels = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained")
for name, history in histories.items():
    steps = [row["step"] for row in history]
    panels[0].plot(steps, [row["payoff"] for row in history], label=name)
    panels[1].semilogy(steps, [row["gap"] for row in history], label=name)
panels[0].set(xlabel="steps", ylabel="loss", ylim=(0, 2 * optimum.value))
panels[0].axhline(optimum.value, color="black", linestyle=":")
panels[1].set(xlabel="steps", ylabel="certified gap")
figure.legend(*panels[1].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
plt.show()
for name, history in histories.items():
    print(f"{name:22} loss {history[-1]['payoff']:6.2f}   certified gap {history[-1]['gap']:.1e}")

# %% [markdown]
# On the left six losses around the same number; on the right some gaps that fall and some that never will. Simultaneous
# steps spiral and alternating ones circle; methods that look ahead or back arrive, sooner or later.
#
# The discriminator has a certified gap as well: by how much it fails to guarantee the optimum. And the duality gap,
# $\max_{D'}M(G,D')-\min_{G'}M(G',D)$, is how much both players could still gain by answering each other, here estimated
# by a hundred steps of copies of the players.

# %%
for name, (G, D) in ends.items():
    found = audit(G, D, X, Z, game)
    copies = duality_gap(G, D, (X, X), Z, game, exact=False, steps=100, batch=None, batches=2)
    print(f"{name:22} G {found.gap:.1e}   D {found.discriminator_gap:.1e}   duality gap {copies.value:.1e}")

# %% [markdown]
# ## The exact discriminator
#
# Why train a discriminator at all, when its best response is an eigenvector? `ExactDiscriminatorLoss` is what the best
# discriminator sees, with the gradient of Danskin's theorem: nothing is left that could circle. Near the optimum
# several neurons tie, and a gradient along one of them chatters; those within `smoothing` of the best share the weight,
# which moves the end a little.

# %%
figure, panel = plt.subplots(figsize=(7, 3.4), layout="constrained")
for smoothing in (0.0, 0.01, 0.05):
    G, _ = players()
    loss = ExactDiscriminatorLoss(X, "quadratic", lam=lam, smoothing=smoothing)
    history = train(G, loss, X, Z, method="simultaneous", rates=0.01, **watch).history
    panel.semilogy([row["step"] for row in history], [row["gap"] for row in history], label=f"smoothing {smoothing:g}")
    print(f"smoothing {smoothing:4g}: gap {history[-1]['gap']:.1e}")
history = histories["extragradient"]
panel.semilogy([row["step"] for row in history], [row["gap"] for row in history], "k:", label="extragradient")
panel.set(xlabel="steps", ylabel="certified gap")
figure.legend(loc="outside upper center", fontsize="small", ncols=4)
plt.show()

# %% [markdown]
# ## A generator of your own
#
# No bound is known for the best deep generator, but one is for *all* generators together, and the value is exact for
# any samples. So an audit holds for any module, or for an array of samples of a program you cannot run.

# %%
torch.manual_seed(0)
net = TwoLayerGenerator(5, 5, 64, dtype=torch.float64)
critic = TwoLayerDiscriminator(5, 8, "quadratic", dtype=torch.float64)
train(net, critic, X, Z, game, method="extragradient", rates=0.005, steps=STEPS)
report = audit(net, critic, X, Z, game)
print(f"two layers: value {report.certificate.value:.2f}, bound {report.certificate.bound:.2f}, gap {report.gap:.1%}")
samples = rng.standard_normal((1000, 5)) * [2.5, 2, 1.5, 0.5, 0.5]
print(f"somebody's samples: gap {audit(samples, 'quadratic', X, objective=game).gap:.1%}")

# %% [markdown]
# ## Where no optimum is known
#
# For deep discriminators and other losses the estimated duality gap is what there is: copies answer by some steps on
# one half of held-out samples and are judged on the other half.

# %%
held_out = rng.standard_normal((500, 5)) * [3, 2.5, 2, 1.2, 0.6]
classic = Objective(loss="classic", generator_penalty=0)


def monitor(step, G, D):
    """A callback of `train`."""
    return duality_gap(G, D, held_out, 5, classic, steps=50, batch=None, batches=2).numbers()


torch.manual_seed(0)
deep = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 5)).double()
judge = nn.Sequential(nn.Linear(5, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)).double()
monitored = train(
    deep,
    judge,
    X,
    5,
    classic,
    optimizer="adam",
    rates=2e-3,
    batch=128,
    steps=STEPS,
    every=STEPS // 10,
    callbacks=[monitor],
)
figure, panel = plt.subplots(figsize=(7, 3), layout="constrained")
for name, label in (("payoff", "loss"), ("duality_gap", "duality gap, estimated")):
    panel.plot([row["step"] for row in monitored.history], [row[name] for row in monitored.history], "o-", label=label)
panel.axhline(0, color="gray", linewidth=0.8)
panel.set(xlabel="steps", ylabel="of the classic loss")
panel.legend()
plt.show()

# %% [markdown]
# An estimated gap is no proof: fifty steps of a copy are not a best response. Where the discriminator has two layers,
# ask the optimum. The benchmark `optimizers` does so for nine methods on seventeen problems, with tuned step sizes.
