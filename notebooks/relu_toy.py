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
# # Two points against ReLU neurons
#
# The smallest GAN that can go wrong: real data $X=(-1,1)$, two generated points $w$, a two-layer ReLU discriminator
# with biases, and weight decay $\beta$ on it. Its global optimum is known exactly. Does gradient descent-ascent find
# it? The example is that of A. Sahiner et al., *Hidden Convexity of Wasserstein GANs*, ICLR 2022, arXiv 2107.05680.
#
# $$\min_w\max_{u,b,v}\;\tfrac12\sum_i D(x_i)-\tfrac12\sum_i D(w_i)+\tfrac12\sum_i w_i^2
# -\tfrac\beta2\sum_j(u_j^2+v_j^2),\qquad D(x)=\sum_j v_j\max(u_jx+b_j,0).$$

# %%
import os
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

import convexgan as cg
from convexgan.updates import Game, State, adam, alternating, simultaneous

QUICK = bool(os.environ.get("QUICK"))
X = np.array([-1.0, 1.0])
beta = 0.1

# %% [markdown]
# ## The exact answer
#
# Maximising over $v$ and $u$ leaves a constraint: the points may differ from the data by $\beta$ at most, as any neuron
# of norm 1 sees it. In one dimension with free biases this is a constraint on sums of sorted points, and the best
# points are the data cut off on both sides.

# %%
game = {"discriminator": "relu", "generator": "free", "bias": "free"}
sol = cg.solve(X[:, None], **game, beta=beta)
print(sol)
print("means, 1 - 2 beta:", sol.generator().ravel())
print("sums,  1 - beta:  ", cg.solve(X[:, None], **game, beta=beta, reduction="sum").generator().ravel())

# %% [markdown]
# The multiplier of the constraint is the norm of the optimal discriminator. A discriminator whose norm is *bounded* by
# that number gives a game with the same optimum, in which every $w$ is feasible: its certified gap says how far any $w$
# is from the optimum.

# %%
lam = 4 * (1 - 2 * beta)
print("norm of the optimal discriminator:", sol.discriminator.norm, "=", lam)
bound = cg.solve(X[:, None], **game, lam=lam).certificate.bound


def gap(w: np.ndarray) -> float:
    """The relative distance of two points from the proved bound."""
    value = np.mean(w**2) + lam * cg.ipm(X[:, None], w[:, None], bias="free").upper_bound
    return (value - bound) / value


# %% [markdown]
# All points and all gaps at once. Up to swapping the points, the grid shows one local minimum only, the optimum:
# against an exact discriminator, walking downhill would do. Whatever goes wrong below is the fault of the training.

# %%
ticks = np.linspace(-1.5, 1.5, 31 if QUICK else 81)
gaps = np.array([[gap(np.array([a, b])) for a in ticks] for b in ticks])
figure, panel = plt.subplots(figsize=(5, 4), layout="constrained")
colours = panel.contourf(ticks, ticks, gaps, levels=np.linspace(0, 1, 21))
(star,) = panel.plot(*sol.generator().ravel(), "r*", label="optimum (twice: the points may be swapped)")
panel.plot(*sol.generator().ravel()[::-1], "r*")
panel.set(xlabel="$w_1$", ylabel="$w_2$", aspect="equal")
figure.legend(handles=[star], loc="outside upper center", fontsize="small")
figure.colorbar(colours, label="certified gap")
plt.show()

# %% [markdown]
# ## Training
#
# The gradients, for many runs at once: the first axis is the seed.


# %%
class TwoPoints(Game):
    """w (seeds, 2) against y = (u, b, v), each (seeds, neurons)."""

    def grad_x(self, w, y):
        u, b, v = y
        active = w[:, :, None] * u[:, None, :] + b[:, None, :] > 0
        return w - np.sum(active * (u * v)[:, None, :], axis=-1) / 2

    def grad_y(self, w, y):
        u, b, v = y
        rows = np.hstack([np.broadcast_to(X, w.shape), w])[:, :, None]
        shares = np.array([0.5, 0.5, -0.5, -0.5])[:, None]
        t = rows * u[:, None, :] + b[:, None, :]
        seen = shares * (t > 0)
        return v * np.sum(seen * rows, 1) - beta * u, v * seen.sum(1), np.sum(seen * t, 1) - beta * v


def train(step, rate: float, neurons: int, seeds: int = 20, steps: int = 1500 if QUICK else 6000) -> np.ndarray:
    """Sorted points at every step, (steps, seeds, 2)."""
    rng = np.random.default_rng(0)
    y = tuple(rng.standard_normal((3, seeds, neurons)) / neurons**0.25)
    state, path = State(rng.standard_normal((seeds, 2)), y), []
    for _ in range(steps):
        state = step(TwoPoints(), state, rate)
        path.append(np.sort(state.x, axis=1))
    return np.array(path)


adam_steps = partial(alternating, transform=adam)
cases = [
    ("alternating, 50 neurons", alternating, 0.1, 50),
    ("simultaneous, step .3, 50 neurons", simultaneous, 0.3, 50),
    ("alternating, 2 neurons", alternating, 0.1, 2),
    ("Adam, 50 neurons", adam_steps, 0.01, 50),
]
figure, panels = plt.subplots(1, 4, figsize=(14, 3.4), sharey=True, layout="constrained")
ends = {}
for panel, (name, step, rate, neurons) in zip(panels, cases, strict=True):
    path = train(step, rate, neurons)
    ends[name] = path[-1]
    for seed in range(6):
        panel.plot(rate * np.arange(len(path)), path[:, seed], color=f"C{seed}", linewidth=0.7)
    for w in sol.generator().ravel():
        panel.axhline(w, color="black", linestyle=":")
    panel.set(title=name, xlabel="steps times step size", xlim=(0, min(60, rate * len(path))), ylim=(-2, 2))
panels[0].set_ylabel("generated points, six seeds")
plt.show()

# %% [markdown]
# With many neurons and alternating steps every run ends at the dotted lines. Large simultaneous steps swing until the
# discriminator is lost. Two neurons are too few: a neuron that sees no difference between data and points only decays,
# and then the penalty pulls the points to 0; or the neurons left are content with points that others would tell from
# the data. Adam's steps do not shrink with the gradient: the points wander around the optimum or are lost.
#
# ## How far from the optimum?

# %%
for name, points in ends.items():
    found = np.array([gap(w) for w in points])
    excess = [cg.ipm(X[:, None], w[:, None], bias="free").value - beta for w in points]
    share = np.mean(np.abs(points - np.sort(sol.generator().ravel())).max(axis=1) < 0.01)
    print(f"{name:34} within .01: {share:4.0%}, gap: median {np.median(found):.1e}, largest {found.max():.2f}", end="")
    print(f", violation of the constraint: median {np.median(excess):.1e}")

# %% [markdown]
# A gap of .40 is that of $w=0$, the generator that gave up. The benchmark `relu_toy` counts outcomes over methods,
# widths and step sizes, for a generator that is a net too.
