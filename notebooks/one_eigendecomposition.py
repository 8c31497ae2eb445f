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
# # A Wasserstein GAN solved by one eigendecomposition
#
# The discriminator has two layers and quadratic neurons, $D(x)=\sum_j v_j (u_j\cdot x)^2$ with $\|u_j\|=1$.
# The generator is linear, $G(z)=W'z$ with standard Gaussian $z$. The game is
#
# $$\min_W\max_D\;\mathbb E\,D(x)-\mathbb E\,D(W'z)+\mathbb E\|W'z\|^2-\beta\|v\|_1 .$$
#
# It looks like something to train. Here it is solved exactly, the answer is proved optimal, and then we watch
# gradient descent-ascent look for it. Everything is from A. Sahiner et al., *Hidden Convexity of Wasserstein
# GANs*, ICLR 2022.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import convexgan as cg
from convexgan.datasets import load
from convexgan.plotting import contact_sheet, stage_sheet

QUICK = bool(os.environ.get("QUICK"))

# %% [markdown]
# ## Data
#
# Forty rows whose second moment has eigenvalues 9, 6, 4, 1.5 and 0.4 exactly, in random directions.

# %%
eigenvalues = np.array([9.0, 6.0, 4.0, 1.5, 0.4])
rng = np.random.default_rng(0)
orthonormal = np.linalg.qr(rng.standard_normal((40, 5)))[0]
directions = np.linalg.qr(rng.standard_normal((5, 5)))[0]
X = np.sqrt(40) * orthonormal * np.sqrt(eigenvalues) @ directions.T
print(cg.Moments.from_array(X).spectrum.values)

# %% [markdown]
# ## The solution
#
# Maximising over $v$ leaves the constraint $\|S_X-W'W\|_2\le\beta$ on the spectral norm, and the cheapest
# generator that meets it has the data's eigenvectors with eigenvalues $(\lambda_i-\beta)_+$: one
# eigendecomposition. With $\beta=1$ the optimal value is $8+5+3+0.5=16.5$.

# %%
beta = 1.0
solution = cg.solve(X, cg.GaussianLatent(5), discriminator="quadratic", generator="linear", beta=beta)
print(solution)

# %%
generated = np.linalg.eigvalsh(solution.generator.weights.T @ solution.generator.weights)[::-1]
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
position = np.arange(1, 6)
axes.bar(position - 0.2, eigenvalues, 0.4, label="data")
axes.bar(position + 0.2, generated, 0.4, label="generated")
axes.axhline(beta, color="black", linestyle="--", linewidth=1, label="beta")
axes.set(
    xlabel="index", ylabel="eigenvalue of the second moment", title="every eigenvalue lowered by beta, none below 0"
)
axes.legend()
plt.show()

# %% [markdown]
# ## Why to believe it
#
# The certificate is computed from the data, for both players. The bound is what the discriminator guarantees
# by itself: the value of the generator's best response to it, known in closed form. It equals the value to
# rounding, so neither player can improve: a saddle point. A semidefinite program that knows nothing of
# eigenvalues agrees:

# %%
program = cg.program(X, cg.GaussianLatent(5), discriminator="quadratic", beta=beta)
program.solve("CLARABEL")
print("closed form      ", solution.value)
print("conic solver     ", program.recover().value)
print("proved by D alone", solution.certificate.max_min)

# %% [markdown]
# ## How wide must the discriminator be?
#
# The optimal generator is the same for every width. But a discriminator with $m$ neurons guarantees only
# $\sum_{i\le m}(\lambda_i-\beta)_+$. Below $m^*=4$, the number of eigenvalues above $\beta$, max-min is
# smaller than min-max: there is no saddle point, no pair of players for training to settle on.

# %%
print("neurons   max-min   min-max   kind")
for width in range(1, 6):
    narrow = cg.solve(X, cg.GaussianLatent(5), beta=beta, max_neurons=width).certificate
    print(f"{width:7}   {narrow.max_min:7.4g}   {narrow.value:7.4g}   {narrow.kind}")

# %% [markdown]
# ## Gradient descent-ascent on the same game
#
# Now train. To keep the game finite at every step the discriminator's norm is bounded,
# $\|v\|_1\le\lambda=2.5$, instead of penalised; the generator then pays $\mathbb
# E\|G\|^2+\lambda\|S_X-W'W\|_2$, of which the certified minimum is known. A wide quadratic discriminator is a
# matrix, $D(x)=x'Lx$ with $\|v\|_1$ the sum of absolute eigenvalues, so this is the whole game:

# %%
lam, step, steps = 2.5, 0.05, 500 if QUICK else 4000
S = X.T @ X / len(X)
optimum = cg.solve(X, cg.GaussianLatent(5), lam=lam)
print(optimum.certificate)


def gradients(W, L):
    """Of E D(x) - E D(G(z)) + E |G(z)|^2, for the generator and for the discriminator."""
    return 2 * W @ (np.eye(5) - L), S - W.T @ W


def project(L):
    """The nearest discriminator with norm at most lam: soft threshold of its eigenvalues."""
    values, vectors = np.linalg.eigh(L)
    sizes = np.sort(np.abs(values))[::-1]
    if sizes.sum() <= lam:
        return L
    excess = (np.cumsum(sizes) - lam) / np.arange(1, 6)
    threshold = excess[sizes > excess][-1]
    return vectors * (np.sign(values) * np.maximum(np.abs(values) - threshold, 0)) @ vectors.T


def simultaneous(W, L):
    down, up = gradients(W, L)
    return W - step * down, project(L + step * up)


def alternating(W, L):
    L = project(L + step * gradients(W, L)[1])
    return W - step * gradients(W, L)[0], L


def extragradient(W, L):
    down, up = gradients(*simultaneous(W, L))
    return W - step * down, project(L + step * up)


def gaps(update):
    """The certified relative gap of the generator after each step."""
    W, L = 0.3 * np.random.default_rng(1).standard_normal((5, 5)), np.zeros((5, 5))
    found = []
    for _ in range(steps):
        W, L = update(W, L)
        value = np.sum(W**2) + lam * np.linalg.norm(S - W.T @ W, 2)  # the discriminator's exact best response
        found.append((value - optimum.certificate.bound) / value)
    return W, np.array(found)


# %%
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
for update in (simultaneous, alternating, extragradient):
    W, found = gaps(update)
    axes.semilogy(np.maximum(found, 1e-16), linewidth=1, label=update.__name__)
    certificate = cg.certify(X, cg.Moments.of_law(np.zeros(5), W), lam=lam)
    print(f"{update.__name__:15} after {steps} steps: gap {certificate.gap:.2e}, kind {certificate.kind}")
axes.set(xlabel="step", ylabel="certified relative gap", title="descent-ascent on a game whose optimum is known")
axes.legend()
plt.show()

# %% [markdown]
# Simultaneous and alternating descent-ascent circle far above the optimum, and nothing in their own losses
# says so. Extragradient arrives. `certify` gives this gap for anybody's generator, from its samples or its
# moments.

# %% [markdown]
# ## Pictures
#
# The same game at each resolution, the generator fed with the upsampled picture of the one before: digits in
# a moment.

# %%
images = load("digits").images
model = cg.ProgressiveConvexGAN(random_state=0).fit(images)
for stage in model.stages_:
    c = stage.certificate
    print(f"{stage.size} px: rank {stage.rank}, beta {stage.beta:.4g}, value {c.value:.6g}, gap {c.gap:.1e}, {c.kind}")

# %%
contact_sheet(np.concatenate([images[:20], model.sample(20, random_state=1)]), 10, ["real", "", "new", ""], scale=6)

# %%
stage_sheet(model.sample_stages(10, random_state=1), ["4 px", "8 px"], scale=6)

# %% [markdown]
# They look like blurred digits, blends of several. That is the honest optimum of this game: a quadratic
# discriminator sees second moments only, so the best linear generator of Gaussian latents is a Gaussian with
# the right covariance.
