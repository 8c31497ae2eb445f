"""A mixture over given particles against a ReLU discriminator: a program with one constraint for each neuron."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan._tools.progress import Report
from convexgan.arrangements import Maximum
from convexgan.exceptions import InfeasibleError, SolverError
from convexgan.games.sample.game import SampleGame
from convexgan.games.sample.master import master_of
from convexgan.games.sample.responses import apart, discriminator_response, rising_neurons

Array = NDArray[np.float64]
ROUNDS = 1000
CUTS = 8  # added in one round


def solve_mixture(
    game: SampleGame,
    *,
    tol: float = 1e-9,
    deadline: Deadline | None = None,
    progress: Report | None = None,
) -> tuple[Array, Array, Array, dict[str, Any]]:
    """The optimal weights of the particles, and the discriminator that proves them.

    ipm is convex in the weights p, the maximum of |mean s(Xu) - p . s(Yu)| over all neurons u: the program starts
    with none and is given the most violated one, and violated ones near those in use, until none is violated. Source:
    Kelley's cutting planes; the multipliers are the discriminator's outer weights.

    Returns
    -------
    p : (m,) array
    neurons, outer : (K, d or d + 1) and (K,) arrays
    stats : dict
        "cuts", the solver's record, "status": "stopped" after a limit or Ctrl-C.

    Raises
    ------
    InfeasibleError
        If no mixture reaches beta; ``smallest_beta`` is in canonical units.
    """
    particles, deadline = _particles(game), deadline or Deadline()

    def respond(points: Array, weights: Array) -> Maximum:
        return discriminator_response(game, points, weights, deadline)

    neurons, master = np.zeros((0, game.lift(particles[:1]).shape[1])), master_of(game, particles)
    cheapest = game.least(game.cost(particles))[1]
    if game.lam == 0 or (game.beta is not None and respond(particles, cheapest).upper_bound <= game.beta):
        return cheapest, neurons, np.zeros(0), {"cuts": 0, "status": "optimal"}
    scale = respond(np.zeros((1, game.data.shape[1])), np.ones(1)).upper_bound
    p, outer, status = cheapest, np.zeros(0), "stopped"
    try:
        for _ in range(ROUNDS):
            answer = master.solve(deadline) if len(neurons) else (cheapest, 0.0, outer)
            if answer is None and deadline.over:
                break
            if answer is None:
                p, outer = _nearest(game, particles, deadline), np.zeros(0)
                break
            p, level, outer = answer
            found = respond(particles, p)
            limit = level if game.beta is None else game.beta
            if progress is not None:
                bound = float(game.cost(particles) @ p) + game.spread * float(p @ p) + (game.lam or 0.0) * level
                progress(bound, found.value - limit, len(neurons))
            if found.status == "stopped" or deadline.over:
                break
            u = found.direction
            # at the end the program's own rounding repeats a neuron
            if found.value <= limit + tol * max(scale, limit) or (np.abs(neurons - u).max(axis=1) < 1e-14).any():
                status = "optimal"
                break
            level = limit + tol * max(scale, limit)
            more, values = rising_neurons(game, particles, p, neurons[outer != 0], level, deadline.left)
            new = np.array(apart([u, *more[np.argsort(-values)]], CUTS))
            master.add(game.activation(game.lift(particles) @ new.T).T, _means(game, new))
            neurons = np.vstack([neurons, new])
    except KeyboardInterrupt:
        pass  # what is known is returned
    if status == "stopped" and game.beta is not None:
        p = _within(game, particles, p, respond(particles, p).upper_bound)
    neurons = neurons[: len(outer)]  # the last may have come after the program
    used = outer != 0
    return p, neurons[used], outer[used], master.record | {"cuts": len(neurons), "status": status}


def _means(game: SampleGame, neurons: Array) -> Array:
    """What neurons (k, d) see of the data, on average, (k,)."""
    return np.asarray(game.activation(game.lift(game.data) @ neurons.T).mean(axis=0))


def _particles(game: SampleGame) -> Array:
    if game.particles is None:
        raise ValueError("a mixture needs particles: generators.Mixture(points).")
    return game.particles


def _within(game: SampleGame, particles: Array, p: Array, reached: float) -> Array:
    """The mixture moved towards the data, whose ipm is 0, until it is within beta; as it is where a row is missing."""
    place = {row.tobytes(): k for k, row in enumerate(particles + 0.0)}
    rows = [place.get(row.tobytes(), -1) for row in game.data + 0.0]
    if game.beta is None or reached <= game.beta or min(rows) < 0:
        return p
    share = game.beta / reached  # ipm is convex
    return np.asarray(share * p + (1 - share) * np.bincount(rows, minlength=len(p)) / len(rows))


def _nearest(game: SampleGame, particles: Array, deadline: Deadline) -> Array:
    """The mixture that a search for the smallest ipm has by the deadline, where none is known within beta.

    If it ends before, that names a beta that works, the smallest ipm a little rounded up: raises InfeasibleError.
    """
    free = replace(game, beta=None, lam=1.0, penalty=0.0, spread=0.0)
    p, *_, stats = solve_mixture(free, deadline=deadline)
    least = discriminator_response(game, particles, p, deadline).upper_bound * (1 + 1e-6)
    if stats["status"] == "stopped" or deadline.over:
        return p
    if game.beta is not None and least > game.beta:
        raise out_of_reach(len(particles), least)
    raise SolverError("HiGHS gave no answer to a program that has one: bring the columns of X to one scale.")


def out_of_reach(count: int, least: float) -> InfeasibleError:
    """No mixture of so many particles meets the constraint; the least beta that works is named."""
    return InfeasibleError(
        f"no mixture of the {count} particles comes within beta: use beta >= {least!r}, or more particles near the "
        "data.",
        smallest_beta=least,
    )
