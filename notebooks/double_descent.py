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
# # Double descent in linear GANs
#
# How large should the latent space of a GAN be? For a linear generator $G(z)=W'z$ with standard Gaussian
# $z\in\mathbb R^k$ the question has exact answers. The generated law is $N(0,W'W)$, the real one $N(0,S)$, and the
# test error is their squared Wasserstein distance. The setting is that of L. Luzi, Y. Dar and R. Baraniuk, *Double
# Descent and Other Interpolation Phenomena in GANs*, arXiv 2106.04003.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from convexgan.gaussian import squared_wasserstein
from convexgan.linear_gan import (
    amplification,
    best_dimension,
    expected_error,
    half_step,
    mixed_path,
    predicted,
    pseudo_supervised,
    shrinkage,
    sweep,
    unsupervised,
)

QUICK = bool(os.environ.get("QUICK"))
d, n = 64, 20
law = 1 / np.arange(1, d + 1)
S = np.diag(law)
rng = np.random.default_rng(0)
X = rng.standard_normal((n, d)) * np.sqrt(law)
Sh = X.T @ X / n

# %% [markdown]
# ## Without pairs: nothing happens beyond k = n
#
# The best generator has the $k$ leading eigenpairs of $\hat S=X'X/n$. From $k=n$ on, every optimum generates
# $N(0,\hat S)$ exactly, so the test error is the same for all $k$. And the optimum is one gradient step away, from
# anywhere.

# %%
for k in (5, 20, 100):
    W = unsupervised(X, k)
    print(f"k = {k:3}: training loss {squared_wasserstein(Sh, W.T @ W):.4f}", end=", ")
    print(f"test error {squared_wasserstein(S, W.T @ W):.4f}")
W = half_step(X, rng.standard_normal((100, d)))
print("after one step of size 1/2 from noise:", squared_wasserstein(Sh, W.T @ W))

# %% [markdown]
# ## With fixed pairs: a peak at k = n
#
# Now give every sample a latent of its own and fit $x_i\approx W'z_i$ by least squares. The pairing is arbitrary; it
# makes training easy. Averaged over the latents, $W'W=c\,\hat S$ with

# %%
print("c at k = 6, 15, 20, 25, 41, 400:", [round(shrinkage(n, k), 3) for k in (6, 15, 20, 25, 41, 400)])

# %%
dimensions = [2, 3, 4, 6, 8, 11, 14, 17, 19, 20, 21, 23, 26, 30, 35, 41, 48, 56, 64, 80, 110, 160, 240, 400]
found = sweep(law, n, dimensions, ridges=[0.1], weights=[10.0], draws=10 if QUICK else 40, jobs=1 if QUICK else None)
bands, formula = found.bands(), predicted(found.setting)
figure, panels = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for panel in panels:
    for learner, band in zip(found.setting.learners, bands, strict=True):
        (line,) = panel.loglog(dimensions, band[:, 0], label=learner)
        panel.fill_between(dimensions, band[:, 1], band[:, 2], alpha=0.15, color=line.get_color())
    panel.loglog(dimensions, np.where(np.isfinite(formula), formula, np.nan), "k--", linewidth=1, label="formula")
    panel.axvline(n, color="gray", linestyle=":")
    panel.set(xlabel="latent dimension k", ylabel="test error")
panels[1].set(yscale="linear", ylim=(2, 6), title="closer")
panels[0].legend()
plt.show()

# %% [markdown]
# The curve falls, explodes at $k=n$ where $Z$ is square and badly conditioned, and falls again: double descent. After
# its second minimum it rises, because $c\to0$: with many latents the generator of smallest norm generates nothing.
# A ridge removes the peak. Lines are medians, bands hold 80 % of the draws. The dashed line is a formula, computed
# without a single random latent: an expansion to second order, infinite next to the peak, and too high below it.
#
# ## How many latents?
#
# The best multiple of $\hat S$ is known, and so is the $k$ that gives it.

# %%
k = best_dimension(S, Sh, n)
print("advice:", k, expected_error(S, Sh, n, k))
errors = []
for seed in range(50 if QUICK else 300):
    Z = np.random.default_rng(seed).standard_normal((n, k))
    W = pseudo_supervised(X, Z)
    errors.append(squared_wasserstein(S, W.T @ W))
print(f"simulated: {np.mean(errors):.4f} +- {np.std(errors) / len(errors) ** 0.5:.4f}")
print(f"unsupervised: {squared_wasserstein(S, Sh):.4f}")

# %% [markdown]
# Fixed pairs with the right number of latents come close to the unsupervised optimum, or a little below it, depending
# on the samples. It is not the pairs that help but the shrinkage: the error is convex in $W'W$, so by Jensen's
# inequality no $k$ does better on average than $c^*\hat S$, the best multiple, which needs no pairs.

# %%
ideal = (np.linalg.svd((X * np.sqrt(law)) / np.sqrt(n), compute_uv=False).sum() / np.trace(Sh)) ** 2
print(f"c* = {ideal:.3f}, test error of c* Sh: {squared_wasserstein(S, ideal * Sh):.4f}")

# %% [markdown]
# ## Both criteria
#
# Distance between the laws plus a weight on 10 pairs. The problem is not convex in $W$, but a convex relaxation gives
# a lower bound: where the gap is 0, the generator is a proved global optimum.

# %%
for k in (5, 20, 25, 40):
    Z = np.random.default_rng(1).standard_normal((10, k))
    for point in mixed_path(X, Z, [0.1, 1.0, 10.0]):
        test = squared_wasserstein(S, point.W.T @ point.W)
        print(
            f"k = {k:2}, weight {point.weight:4}: objective {point.value:9.4f}, gap {point.gap:8.1e}, test {test:.3f}"
        )

# %% [markdown]
# ## Three descents
#
# With pairs of two weights the curve has two peaks: where there are as many latents as strong pairs, and as pairs.
# `amplification` says how much each pair is exaggerated, $W'W\approx\sum_ia_ix_ix_i'$, and where.

# %%
weights = np.repeat([1.0, 0.003], [12, 24])
ks = [1, 2, 4, 7, 10, 12, 14, 18, 22, 28, 33, 35, 37, 42, 60, 90]
descents = sweep(law[:24], 36, ks, pair_weights=weights, draws=20 if QUICK else 80, jobs=1 if QUICK else None)
print(descents.falls("pseudo-supervised"), [ks[j] for j in descents.turns("pseudo-supervised")])
strong = [amplification(weights, np.ones(k))[0] for k in ks]
figure, panel = plt.subplots(figsize=(6, 4), layout="constrained")
panel.loglog(ks, descents.curve("pseudo-supervised"), label="test error, median")
panel.loglog(ks, strong, "k--", linewidth=1, label="share a of a strong pair")
for k in (12, 36):
    panel.axvline(k, color="gray", linestyle=":")
panel.set(xlabel="latent dimension k")
panel.legend()
plt.show()
