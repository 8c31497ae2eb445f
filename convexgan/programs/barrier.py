"""Many descents at once towards local optima of a moment game in the generator's own factor, from within.

In the factor F (r, d) the game is not convex, but its constraint is that two matrices are positive semidefinite: with
D = [[a (S_X - F'F), (xbar - F'zbar) g'], [g (xbar - F'zbar)', 0]] and both signs s, P_s = N_s - s D, where N_s is
level * I for quadratic neurons and diag(t_s, .., t_s, level - t_s) with a free t_s for polynomial ones (S-lemma).
tau * cost - sum_s log det P_s is smooth, and its minimisers approach local optima as tau grows.
Source: Forsgren, Gill and Wright, Interior methods for nonlinear optimization, 2002.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.records.moment_game import MomentGame

Array = NDArray[np.float64]
STEPS = 150  # of Newton's method
GROWTH = 8.0  # of tau, once its minimiser is near
NEAR = 0.3  # Newton decrement that counts as that
HALVINGS = 40  # of a step
SINGULAR = 1e-10  # relative: turning latents of equal price changes nothing
SIGNS = np.array([1.0, -1.0])


class Barrier:
    """The smooth problem of a game; data and costs have size 1 in its variables.

    A point is a row (F, t_+, t_-, level), without t for quadratic neurons. Everything is done for many points, (B, n).

    Parameters
    ----------
    game : MomentGame
    deadline : Deadline
    basis : (c, d) array, optional
        Orthonormal rows: the generators are those on their span, F (r, c) in its coordinates.
    """

    def __init__(self, game: MomentGame, deadline: Deadline, basis: Array | None = None) -> None:
        self.deadline, (a, b, _) = deadline, game.activation.coefficients
        self.size = float(np.sqrt(game.data.spectrum.value(0))) or 1.0
        self.unit = max(abs(a) * self.size**2, abs(b) * self.size)
        self.basis = np.eye(game.data.dim) if basis is None else basis
        self.mean, self.shape = game.latent.mean, (game.latent.rank, len(self.basis))
        self.count = self.shape[0] * self.shape[1]
        self.slope = a * self.size**2 / self.unit
        self.sides = np.array([a] * (game.bias == "penalized") + [b / 2] * (b != 0)) * self.size / self.unit  # g
        price = 1 / game.latent.values if game.regularizer == "weights" else np.ones(game.latent.rank)
        self.price = price / price.min()
        self.worth = game.penalty * self.size**2 * price.min()
        self.target = self._blocks(self.slope * game.data.second / self.size**2, game.data.mean / self.size)
        self.padded = np.pad(self.basis, ((0, 0), (0, len(self.sides))))  # (c, q)
        self.levels = self._levels(b != 0)
        self.degree = 2 * len(self.target)

    def _blocks(self, second: Array, mean: Array) -> Array:
        side = mean[..., :, None] * self.sides
        corner = np.zeros((*second.shape[:-2], len(self.sides), len(self.sides)))
        return np.block([[second, side], [np.swapaxes(side, -1, -2), corner]])

    def _levels(self, split: bool) -> Array:
        """The derivatives of P_+ and P_- by t_+, t_- and level, (3 or 1, 2, q, q)."""
        eye = np.eye(len(self.target))
        if not split:
            return np.array([[eye, eye]])
        last = np.diag(eye[-1])
        return np.array([[eye - 2 * last, 0 * eye], [0 * eye, eye - 2 * last], [last, last]])

    # -- points ----------------------------------------------------------------------------------------------------

    def start(self, factors: Array) -> Array:
        """Points of factors (B, r, d) in data units, at levels where they are inside."""
        F = factors @ self.basis.T / self.size
        level = 4 * np.abs(np.linalg.eigvalsh(self._difference(F))).max(axis=1)[:, None] + 1e-6
        return np.concatenate([F.reshape(len(F), -1), *[level / 2] * (len(self.levels) - 1), level], axis=1)

    def factors(self, x: Array) -> Array:
        """The points' factors, (B, r, d), in data units."""
        return np.asarray(self.size * self._factors(x) @ self.basis)

    def cost(self, x: Array) -> Array:
        """The generators' costs in units of `worth`, (B,)."""
        return np.asarray(self.price @ np.sum(self._factors(x) ** 2, axis=2).T)

    def _factors(self, x: Array) -> Array:
        return x[:, : self.count].reshape(-1, *self.shape)

    def _difference(self, F: Array) -> Array:
        made = np.swapaxes(F @ self.basis, 1, 2)
        return self.target - self._blocks(self.slope * made @ np.swapaxes(made, 1, 2), made @ self.mean)

    def _matrices(self, x: Array) -> Array:
        """P_+ and P_-, (B, 2, q, q)."""
        level = np.tensordot(x[:, self.count :], self.levels, axes=1)
        return np.asarray(level - SIGNS[:, None, None] * self._difference(self._factors(x))[:, None])

    # -- descent ---------------------------------------------------------------------------------------------------

    def descend(self, x: Array, rate: float | None, accuracy: float, goal: float = -np.inf) -> Array:
        """Points near local minimisers of cost + rate * level, or of the cost at their levels if the rate is None.

        Parameters
        ----------
        x : (B, n) array
            Points inside.
        rate : float or None
        accuracy : float
            Relative distance to the minimum's value at which a descent ends.
        goal : float
            A level at which it ends too.
        """
        x, active = x.copy(), np.arange(len(x))
        tau = self.degree / np.maximum(self._value(x, rate), 1e-300)
        for _ in range(STEPS):
            if len(active) == 0 or self.deadline.over:
                break
            x[active], near = self._advance(x[active], tau[active], rate)
            fine = self.degree <= accuracy * tau[active] * self._value(x[active], rate)
            done = (near & fine) | ((rate is not None) & (x[active, -1] < goal))
            tau[active[near]] *= GROWTH
            active = active[~done]
        return x

    def _value(self, x: Array, rate: float | None) -> Array:
        return self.cost(x) + (0.0 if rate is None else rate * x[:, -1])

    def _merit(self, x: Array, tau: Array, rate: float | None) -> Array:
        values = np.linalg.eigvalsh(self._matrices(x))
        inside = values.min(axis=(1, 2)) > 0
        logs = np.log(np.where(inside[:, None, None], values, 1.0)).sum(axis=(1, 2))
        return np.where(inside, tau * self._value(x, rate) - logs, np.inf)

    def _advance(self, x: Array, tau: Array, rate: float | None) -> tuple[Array, NDArray[np.bool_]]:
        """The points after a Newton step, and which of them are near the minimiser for their tau."""
        gradient, hessian = self._derivatives(x, tau, rate)
        free = x.shape[1] - (rate is None)
        step = np.zeros_like(x)
        step[:, :free] = _newton(gradient[:, :free], hessian[:, :free, :free])
        fall = -np.sum(gradient * step, axis=1)
        now, length, left = self._merit(x, tau, rate), 1.0, np.arange(len(x))
        moved = x.copy()
        for _ in range(HALVINGS):
            trial = x[left] + length * step[left]
            better = self._merit(trial, tau[left], rate) <= now[left] - 1e-4 * length * fall[left]
            moved[left[better]] = trial[better]
            left, length = left[~better], length / 2
            if len(left) == 0:
                break
        stuck = np.isin(np.arange(len(x)), left)
        return moved, (fall < NEAR) | stuck

    def _derivatives(self, x: Array, tau: Array, rate: float | None) -> tuple[Array, Array]:
        """Gradient and Hessian, from dP_s / dF_ij = s (e_j v_i' + v_i e_j') with v_i = (slope F_i, zbar_i g)."""
        F, n, out = self._factors(x), self.count, self.padded.T  # e_j its columns
        values, vectors = np.linalg.eigh(self._matrices(x))
        W = (vectors / values[..., None, :]) @ np.swapaxes(vectors, -1, -2)
        sides = np.broadcast_to(self.mean[:, None] * self.sides, (*F.shape[:2], len(self.sides)))
        V = np.concatenate([self.slope * F @ self.basis, sides], axis=2)
        U = V[:, None] @ W  # W_s v_i, (B, 2, r, q)
        MW = self.levels @ W[:, None]  # (B, k, 2, q, q)
        gradient = np.zeros_like(x)
        pull = tau[:, None, None] * self.price[:, None] * F - np.einsum("s,bsij->bij", SIGNS, U) @ out
        gradient[:, :n] = 2 * pull.reshape(len(x), n)
        gradient[:, n:] = -np.einsum("bksii->bk", MW)
        gradient[:, -1] += 0.0 if rate is None else tau * rate
        hessian = np.zeros((*x.shape, x.shape[1]))
        hessian[:, :n, :n] = self._curvature(self.padded @ W @ out, U @ out, U @ np.swapaxes(V, 1, 2)[:, None], tau)
        across = np.einsum("s,bsij,bksjl,brl->bkri", SIGNS, W, MW, V, optimize=True) @ out
        hessian[:, n:, :n] = 2 * across.reshape(len(x), -1, n)
        hessian[:, :n, n:] = np.swapaxes(hessian[:, n:, :n], 1, 2)
        hessian[:, n:, n:] = np.einsum("bksij,bmsji->bkm", MW, MW, optimize=True)
        return gradient, hessian

    def _curvature(self, W: Array, U: Array, VWV: Array, tau: Array) -> Array:
        """The Hessian's block of F, (B, r c, r c)."""
        (r, c), rows = self.shape, np.arange(self.shape[0])
        block = np.einsum("bsjl,bsik->bijkl", W, VWV, optimize=True)
        block += np.einsum("bskj,bsil->bijkl", U, U, optimize=True)
        own = (tau[:, None] * self.price)[:, :, None, None] * np.eye(c)
        own = own - self.slope * np.einsum("s,bsij->bij", SIGNS, W)[:, None]
        block[:, rows, :, rows, :] += np.swapaxes(own, 0, 1)
        return np.asarray(2 * block.reshape(len(block), r * c, r * c))


def _newton(gradient: Array, hessian: Array) -> Array:
    """Descent steps -|H|^{-1} g, (B, n), by the absolute eigenvalues where H is not positive definite."""
    scale = 1 / np.sqrt(np.maximum(np.abs(np.einsum("bii->bi", hessian)), 1e-300))
    g, H = scale * gradient, hessian * scale[:, :, None] * scale[:, None, :]
    lost = ~(np.isfinite(H).all(axis=(1, 2)) & np.isfinite(g).all(axis=1))  # beyond the barrier: no step
    g[lost], H[lost], scale[lost] = 0.0, np.eye(H.shape[1]), 1.0
    try:
        root = np.linalg.cholesky(H + SINGULAR * np.eye(H.shape[1]))
        half = np.linalg.solve(root, g[..., None])
        return np.asarray(-scale * np.linalg.solve(np.swapaxes(root, 1, 2), half)[..., 0])
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(H)
        size = np.maximum(np.abs(values), SINGULAR * np.abs(values).max(axis=1, keepdims=True))
        inner = np.swapaxes(vectors, 1, 2) @ g[..., None] / size[..., None]
        return np.asarray(-scale * (vectors @ inner)[..., 0])
