"""ReLU neurons that separate two samples: exactly in few columns, by monotone ascent in many."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from convexgan.discriminators import separate_rows
from convexgan.discriminators.activation import KinkedActivation, RowActivation
from convexgan.torch.modules import activate, slopes_of

STEPS = 30
BENT = 1e3  # units of rounding, relative to a row's length, within which a neuron bends at it
ALIKE = 1 - 1e-6  # cosine above which two neurons count as one


def unit(U: Tensor, free: bool) -> Tensor:
    """The neurons (k, d) at length 1, without their last column where that is a free bias; 0 where they have none."""
    lengths = (U[:, :-1] if free else U).norm(dim=1, keepdim=True)
    return torch.where(lengths > 0, U / lengths.clamp_min(1e-30), 0.0)


def relu_search(activation: RowActivation, real: Tensor, fake: Tensor, free: bool = False) -> Tensor:
    """The best neuron, (1, d), by the exact search of `convexgan.ipm`; the rows' last column is 1 if that is free."""
    rows = torch.cat([real, fake]).cpu().double().numpy()
    weights = np.repeat([1 / len(real), -1 / len(fake)], [len(real), len(fake)])
    rows, bias = (rows[:, :-1], "free") if free else (rows, "none")
    return torch.from_numpy(separate_rows(activation, rows, weights, bias).direction[None]).to(real)


def relu_ascent(activation: RowActivation, real: Tensor, fake: Tensor, starts: Tensor, free: bool = False) -> Tensor:
    """Neurons (k, d) that each see at least what their start did, without duplicates, the best first.

    Each is moved along the gradient of |mean s(Xu) - mean s(Yu)| on the sphere, with a free bias along that too, by a
    step that is halved until it gains; the difference of means is one more start.
    """
    shift = (real.mean(0) - fake.mean(0))[None]
    U = unit(torch.cat([starts, shift, -shift]), free)
    U = U[U.norm(dim=1) > 0.5]
    values, slopes = _seen(activation, real, fake, U)
    rates = torch.ones_like(values)
    for _ in range(STEPS):
        trial = unit(U + rates[:, None] * normalize(slopes), free)
        found, steep = _seen(activation, real, fake, trial)
        better = found > values
        rates = torch.where(better, rates * 2, rates / 2).clamp(max=4.0)
        U, values = torch.where(better[:, None], trial, U), torch.where(better, found, values)
        slopes = torch.where(better[:, None], steep, slopes)
    return distinct(U[values.argsort(descending=True)])


def _seen(activation: RowActivation, real: Tensor, fake: Tensor, U: Tensor) -> tuple[Tensor, Tensor]:
    """|mean s(Xu) - mean s(Yu)| of each neuron, (k,), and its gradient, (k, d)."""
    total, gradient = U.new_zeros(len(U)), torch.zeros_like(U)
    for rows, sign in ((real, 1.0), (fake, -1.0)):
        t = rows @ U.T
        total = total + sign * activate(activation, t).mean(0)
        gradient = gradient + sign * slopes_of(activation, t).T @ rows / len(rows)
    return total.abs(), total.sign()[:, None] * gradient


def slopes_at_best(activation: KinkedActivation, real: Tensor, fake: Tensor, U: Tensor, free: bool = False) -> Tensor:
    """The slopes s'(y . u) at generated rows for best neurons u (k, d), (m, k): the gradient of the largest value.

    A best neuron often bends exactly at rows, where s has no derivative. There the slope is the multiplier t of the
    row: along the sphere sum_i c_i s'(x_i . u) x_i + sum_k c_k t_k x_k = 0, the last sum over the rows on the bend.
    Along a free bias, the last column, the sum is 0 too. Source: Danskin's theorem, and the optimality of u.
    """
    rows = torch.cat([real, fake])
    shares = torch.cat([real.new_full((len(real),), 1 / len(real)), fake.new_full((len(fake),), -1 / len(fake))])
    t = rows @ U.T
    slopes = slopes_of(activation, t)
    bent = t.abs() <= BENT * torch.finfo(t.dtype).eps * rows.norm(dim=1, keepdim=True)
    low, high = sorted((activation.slope, 1.0))
    for k in bent.any(dim=0).nonzero().ravel().tolist():
        on, u = bent[:, k], torch.cat([U[k, :-1], U.new_zeros(1)]) if free else U[k]
        rest = (shares * slopes[:, k])[~on] @ rows[~on]
        pulls = (shares[on, None] * rows[on]).T
        pulls, rest = pulls - torch.outer(u, u @ pulls), rest - (u @ rest) * u
        found = torch.linalg.lstsq(pulls.double().cpu(), -rest.double().cpu()[:, None], driver="gelsd").solution.ravel()
        slopes[on, k] = found.clamp(low, high).to(slopes)
    return slopes[len(real) :]


def distinct(U: Tensor) -> Tensor:
    """The neurons without those that repeat an earlier one."""
    repeats = torch.triu(normalize(U) @ normalize(U).T, diagonal=1).amax(0) > ALIKE
    return U[~repeats]
