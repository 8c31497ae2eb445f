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
# # Where do two tables differ, and which weights undo it?
#
# Five tables that come with scikit-learn. Each question below is a game between samples and neurons, and is answered
# exactly: which neuron sees most of a difference, whether chance would show as much, and which weights leave least of
# it, with a proof that no weights leave less.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn import datasets

import convexgan as cg
from convexgan.plotting import balance_plot, witness_plot

QUICK = bool(os.environ.get("QUICK"))
MOST = 40 if QUICK else 120
rng = np.random.default_rng(0)


def principal(rows, columns):
    """Leading principal components of standardised columns, of unit variance together."""
    scaled = (rows - rows.mean(axis=0)) / np.where(rows.std(axis=0) > 0, rows.std(axis=0), 1.0)
    scores = scaled @ np.linalg.svd(scaled, full_matrices=False)[2][:columns].T
    return scores / np.sqrt(np.mean(np.sum(scores**2, axis=1)))


def of_class(name, label, columns=2):
    """Rows of one class, shuffled, in the table's principal components."""
    data = getattr(datasets, f"load_{name}")()
    rows = principal(data.data, columns)[data.target == label]
    return rows[np.random.default_rng(0).permutation(len(rows))][:MOST]


# %% [markdown]
# ## Class against class
#
# The neuron $\max(u\cdot x+b,0)$, $|u|=1$, whose means differ most. Its side of the dotted line is where one class has
# what the other lacks; the number is the largest difference that any discriminator of norm 1 sees.

# %%
pairs = {"iris": (1, 2), "wine": (0, 1), "breast_cancer": (0, 1), "digits": (3, 8)}
figure, panels = plt.subplots(1, 4, figsize=(20, 4.2), layout="constrained")
for panel, (name, (one, other)) in zip(panels, pairs.items(), strict=True):
    X, Y = of_class(name, one), of_class(name, other)
    found = cg.ipm(X, Y, bias="free")
    witness_plot(found.critic, X, Y, ax=panel)
    panel.set_title(f"{name}: {one} against {other}, {found.value:.3f}", fontsize="medium")
plt.show()

# %% [markdown]
# ## Half against half
#
# Two halves of one class differ too, by chance. The permutation test says whether a difference is more than that: its
# p-value is valid at any number of rows.

# %%
print(f"{'':15}{'classes':>10}{'p':>8}{'halves':>10}{'p':>8}")
for name, (one, other) in pairs.items():
    X, Y = of_class(name, one), of_class(name, other)
    tests = [cg.two_sample_test(*pair, bias="free", permutations=199) for pair in ((X, Y), (X[::2], X[1::2]))]
    print(f"{name:15}" + "".join(f"{test.value:10.3f}{test.p_value:8.3f}" for test in tests))

# %% [markdown]
# ## More columns
#
# On more columns the exact search takes longer. It can stop at any time: no neuron sees more than the bound.

# %%
for columns in (3, 4, 6, 8):
    X, Y = of_class("digits", 3, columns), of_class("digits", 8, columns)
    found = cg.ipm(X, Y, gap=0.01, time_limit=1.0 if QUICK else 20.0)
    print(f"{columns} columns: at least {found.value:.4f}, at most {found.upper_bound:.4f}")

# %% [markdown]
# ## Weights
#
# Diabetes patients above and below the mean age differ in body mass index and blood pressure. With which weights would
# the younger ones look like the older ones, to every neuron? Then their disease's progression can be compared as if
# both had the same body mass and blood pressure.

# %%
table = datasets.load_diabetes(as_frame=True)
frame = table.data[["age", "bmi", "bp"]]
frame = (frame - frame.mean()) / frame.std()
old, young = frame["age"] > 0.3, frame["age"] < -0.3
X, Y = frame[old][["bmi", "bp"]][:MOST], frame[young][["bmi", "bp"]][:MOST]
least = cg.balance(X, Y, bias="free", time_limit=10 if QUICK else 60)
print(least)
figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
balance_plot(least, X, Y, ax=panels)
plt.show()

# %% [markdown]
# The least imbalance rests on few rows. Some more imbalance buys many of them back; the certificate says that no
# weights within it are more even.

# %%
after, before = least.imbalance.upper_bound, least.before.upper_bound
shares = (0.05, 0.3) if QUICK else (0.01, 0.03, 0.1, 0.3)
betas = [after + share * (before - after) for share in shares]
found = [cg.balance(X, Y, bias="free", beta=beta, time_limit=30) for beta in betas]
figure, panel = plt.subplots(figsize=(6, 3.4), layout="constrained")
sizes = [least.effective_size, *(each.effective_size for each in found), len(Y)]
panel.plot([after, *betas, before], sizes, "o-")
panel.set(xlabel="imbalance that is allowed", ylabel="effective size", xscale="log")
plt.show()

# %%
progression = table.target.to_numpy(dtype=float)
ours, theirs = progression[old][:MOST], progression[young][:MOST]
print(f"older {ours.mean():.1f}, younger {theirs.mean():.1f}, younger weighted {found[0].weights @ theirs:.1f}")
