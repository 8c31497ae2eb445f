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
# # Will GDA converge? Phase diagrams
#
# A GAN is a game, and gradient descent-ascent (GDA) need not converge in a game even where it is smooth and small. Near
# a saddle point one step is a matrix, and its largest eigenvalue $s$ decides:
#
# | | $\lvert s\rvert<1$ | $\lvert s\rvert=1$ | $\lvert s\rvert>1$ |
# |---|---|---|---|
# | $s$ real | converge | silent | diverge |
# | $s$ complex | damped oscillation | silent | diverge |
#
# "Silent" means that the linear part does not tell. This notebook predicts first and runs afterwards.

# %%
import os
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm

import convexgan as cg
from convexgan.dynamics import (
    GaussianKernel,
    KernelGame,
    LinearGame,
    SolvedGame,
    best_parameter,
    collapse_sweep,
    critical_step,
    linearize,
    measure_gda,
    phase_diagram,
    point_modes,
    predict,
    predict_gda,
    simulate_points,
    simulate_spread,
    steady_spread,
    width_sweep,
)

QUICK = bool(os.environ.get("QUICK"))
METHODS = ("simultaneous", "alternating", "extragradient", "optimistic")

# %% [markdown]
# ## The smallest game
#
# $f(x,y)=xy$, the toy of every paper on GAN dynamics. Simultaneous GDA spirals out at any step size, alternating GDA
# circles, the two methods that look ahead converge for small steps.

# %%
bilinear = LinearGame(0.0, 1.0, 1.0, 0.0)
for method in METHODS:
    told = predict(bilinear, 0.3, method)
    print(f"{method:14} {told.phase:19} factor {told.rate:.4f}, critical step {critical_step(bilinear, method):.4f}")

# %% [markdown]
# ## A solved GAN
#
# `solve` gives the certified saddle point of a GAN with a two-layer discriminator, so nobody has to train to find out
# whether training would get there. With a linear discriminator all four methods do, if the steps are small.

# %%
rng = np.random.default_rng(0)
X, Z = rng.standard_normal((100, 3)) * [2, 1.5, 1] + 0.3, rng.standard_normal((100, 4))
linear = cg.solve(X, Z, discriminator="linear", beta=0.2)
quadratic = cg.solve(X, Z, discriminator="quadratic", beta=0.3)
for method, size in product(METHODS, (0.02, 0.2)):
    print(f"{method:14} step {size}: {predict_gda(linear, size, method, X=X)}")

# %% [markdown]
# The quadratic discriminator is a harder case, and not because of bad luck with the data. At its saddle point the
# payoff is flat along the active eigenvectors, and the players turn around each other as in $xy$. Besides, rotations of
# the latents change nothing, so there is a whole family of saddle points, whose directions are "neutral".

# %%
for method in METHODS:
    print(f"{method:14} {predict_gda(quadratic, 0.05, method, X=X)}")

# %% [markdown]
# Does it happen? Lines are predictions of the distance to the family, points are runs started near it.

# %%
game = SolvedGame(quadratic, X)
sizes, runs = np.linspace(0.005, 0.12, 60), np.linspace(0.01, 0.12, 4 if QUICK else 12)
figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
for method in METHODS:
    (line,) = panel.plot(sizes, [predict_gda(game, size, method).across.rate for size in sizes], label=method)
    seen = [measure_gda(game, size, method, steps=1500 if QUICK else 6000) for size in runs]
    panel.plot(runs, seen, "o", color=line.get_color(), fillstyle="none")
panel.axhline(1.0, color="gray", linestyle=":")
panel.set(xlabel="step size", ylabel="factor per step", ylim=(0.975, 1.05), title="predicted (line), measured (o)")
panel.legend()
plt.show()

# %% [markdown]
# ## Kernel discriminators: two parameters, one picture
#
# Let the discriminator be any function in a kernel's space, priced at $\frac\lambda2\lVert f\rVert^2$, and the
# generator one free point at a true one. E. Becker et al., *Local Convergence of Gradient Descent-Ascent for Training
# Generative Adversarial Networks* (arXiv 2305.08277), reduce this to a quadratic equation. Colours below are rates
# measured on the exact dynamics; lines are where the equation puts the borders.

# %%
size, eta_d, width = (20 if QUICK else 60), 0.4, 0.8
lam, eta_g = np.linspace(0.05, 4.8, size), np.linspace(0.02, 2.0, size)
PALE = LinearSegmentedColormap.from_list("pale", plt.get_cmap("RdBu_r")(np.linspace(0.2, 0.8, 64)))
AROUND_ONE = TwoSlopeNorm(1.0, vmin=0.6, vmax=1.4)  # white where steps neither near nor leave
BORDERS = {
    "damped oscillation": {"colors": "black", "linestyles": "--", "linewidths": 1.8},
    "diverge": {"colors": "darkgreen", "linestyles": "-", "linewidths": 2.2},
}
figure, panels = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", sharey=True)
for panel, order in zip(panels, ("simultaneous", "alternating"), strict=True):
    diagram = phase_diagram(GaussianKernel(width), lam[:, None], (eta_g, eta_d), method=order)
    colours = panel.pcolormesh(eta_g, lam, diagram.measured, cmap=PALE, norm=AROUND_ONE, shading="nearest")
    for phase, style in BORDERS.items():
        inside = (diagram.predicted.phase == phase).astype(float)
        panel.contour(eta_g, lam, inside, levels=[0.5], **style)
    panel.set(xlabel=r"step size of the point $\eta_g$", title=f"{order}: border off by {diagram.boundary_error} cells")
panels[0].set_ylabel(r"regularisation $\lambda$")
figure.colorbar(colours, ax=panels, label="measured factor per step (below 1: arrives)")
labels = {"damped oscillation": "predicted: oscillates below", "diverge": "predicted: diverges beyond"}
for phase, style in BORDERS.items():
    panels[0].plot([], [], color=style["colors"], linestyle=style["linestyles"], label=labels[phase])
figure.legend(loc="outside lower center", ncols=2)
plt.show()

# %% [markdown]
# Below the dashed black line the point oscillates on its way, beyond the solid green line it leaves. Moving the
# discriminator first removes the limit at small $\lambda$, which is then stable at every step size shown, if slow. The
# equation also gives the best $\lambda$ for given step sizes:

# %%
for order in ("simultaneous", "alternating"):
    best, rate = best_parameter(lambda lam: predict(point_modes(GaussianKernel(1.0), lam), 0.1, order).rate, 0.1, 10)  # noqa: B023
    print(f"{order}: lambda = {best:.3f}, factor {rate:.3f}")

# %% [markdown]
# ## Where theory is silent: the shape of a cloud
#
# Two points on one mode: their mean is predicted, but to first order nothing moves them together or apart. The next
# order does. With as much mass as the mode, a cloud shrinks like 1/steps, slower than any rate. With more, it stops at
# a size that a formula gives: the surplus is stuck there. This is approximate mode collapse (Becker et al.,
# *Instability and Local Minima in GAN Training with Kernel Discriminators*, arXiv 2208.09938).

# %%
kernel, rates, steps = GaussianKernel(1.0), (1.0, 0.5), 1500 if QUICK else 6000
figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
for p in (0.5, 0.49, 0.47):
    modes = KernelGame([[0.0], [50.0]], kernel, 0.5, p=[p, 1 - p], q=[0.25, 0.25, 0.5])
    path = simulate_points(modes, [[0.15], [-0.15], [50.0]], rates, steps=steps)
    (line,) = panel.loglog((path[:, :2, 0] ** 2).mean(axis=1), label=f"mode of mass {p}, cloud of .5")
    told = simulate_spread(kernel, 0.5, [0.15**2], rates, points=2, p=p, q=0.5, steps=steps)
    panel.loglog(told[:, 0], "--", color=line.get_color())
    if p < 0.5:
        panel.axhline(steady_spread(kernel, 1, p, 0.5), color=line.get_color(), linestyle=":")
panel.set(
    xlabel="step", ylabel="second moment of the cloud", title="exact (solid), moment model (dashed), limit (dotted)"
)
panel.legend()
plt.show()

# %% [markdown]
# ## Far from the modes
#
# All this is local. Start four points in the middle of four modes instead. Near the modes every setting below
# converges, says the theory, and yet narrow kernels fail: they do not see the modes. How they fail is predicted too. A
# lone point freezes for $\lambda^2>\gamma q^2\eta_g/\eta_d$, otherwise its own past drives it away.

# %%
try:
    found = collapse_sweep(
        np.geomspace(0.1, 3, 5 if QUICK else 20), seeds=3 if QUICK else 20, steps=300 if QUICK else 2000, jobs=1
    )
except ModuleNotFoundError as error:
    print(error)
else:
    figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
    for lam, frozen, distances in zip(found.setting.lams, found.frozen, found.distances, strict=True):
        low, middle, high = np.quantile(np.maximum(distances, 1e-6), [0.1, 0.5, 0.9], axis=-1)
        label = rf"$\lambda={lam}$: lone points {'freeze' if frozen else 'run'}"
        (line,) = panel.loglog(found.setting.widths, middle, "o-", label=label)
        panel.fill_between(found.setting.widths, low, high, alpha=0.15, color=line.get_color())
    panel.set(xlabel="bandwidth", ylabel="W2 to the modes after training", title="medians, 80 %; below 1e-6 as 1e-6")
    panel.legend()
    plt.show()

# %%
far, running = np.array([[10.0], [-10.0]]), KernelGame([[0.0]], GaussianKernel(1.0), 0.1)
print(predict(linearize(running, far), (0.2, 0.5)).phase, "for lone points at lambda = .1")

# %% [markdown]
# ## Width
#
# Why do neural generators get away with so much of this? Partly because they are wide. Y. Balaji et al.,
# *Understanding Overparameterization in Generative Adversarial Networks* (arXiv 2104.05605), prove convergence to the
# global saddle point for wide enough generators. Here is the share of trainings that get stuck, by width.

# %%
widths = (5, 10, 20, 40) if QUICK else (5, 10, 20, 40, 80, 160)
found = width_sweep(widths, seeds=10 if QUICK else 100, steps=200 if QUICK else 1500, jobs=1)
print(f"{'width':18}" + "".join(f"{width:8}" for width in widths))
for variant, row in zip(found.setting.variants, found.failures, strict=True):
    print(f"{variant:18}" + "".join(f"{share:8.2f}" for share in row))
