"""`solve` and its relatives: names are resolved here, and only here is every method known."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from convexgan._checks import as_rows, check_choice, check_number
from convexgan.canonical import Setting, any_law, check_same_columns, read_call
from convexgan.certificate import Certificate
from convexgan.certify import critic, make_certificate
from convexgan.closed_forms import (
    has_closed_form,
    solve_linear,
    solve_polynomial,
    solve_quadratic,
    unwhiten,
)
from convexgan.discriminators import as_discriminator
from convexgan.exceptions import InfeasibleError, SolverError, UnboundedError
from convexgan.generators import Free, GeneratorClass, as_generator
from convexgan.latents import SampleLatent
from convexgan.moments import Moments
from convexgan.problem import Activation, MomentGame, Optimum
from convexgan.solution import Solution, Status, dominated_by_mean, unsolved

METHODS = ("auto", "closed_form", "program")


def solve(
    X: Any,
    Z: Any = None,
    *,
    discriminator: str | Activation = "quadratic",
    generator: str | GeneratorClass = "linear",
    beta: float | None = None,
    lam: float | None = None,
    regularizer: str = "output",
    generator_penalty: float = 1.0,
    reduction: str = "mean",
    bias: str = "none",
    method: str = "auto",
    solver: str | None = None,
    solver_options: dict[str, Any] | None = None,
    tol: float = 1e-6,
    time_limit: float | None = None,
    max_neurons: int | None = None,
    rng: int | np.random.Generator | None = None,
    throw: bool = True,
    progress: bool = False,
) -> Solution:
    """The globally optimal generator of a Wasserstein GAN with a two-layer discriminator, certified.

    min over G, max over D of mean D(X) - mean D(G(Z)) + R_g(G) - beta |v|_1, with D(x) = sum_j v_j s(u_j . x).
    Source: Sahiner et al., Hidden Convexity of Wasserstein GANs, arXiv 2107.05680.

    Parameters
    ----------
    X : (n_r, d) array, torch tensor or Moments
        Real samples. They are not centred here.
    Z : (n_f, k) array, Moments or GaussianLatent, optional
        Latents; None for free generators.
    discriminator : "linear", "quadratic", "polynomial" or an instance of `convexgan.discriminators`
    generator : "linear", "free", "polynomial" or an instance of `convexgan.generators`
    beta : float
        Penalty on the discriminator's norm: the generator must satisfy ipm <= beta.
    lam : float
        Instead of beta: a bound on the discriminator's norm, which adds lam * ipm to the generator's cost.
    regularizer : "output", "weights" (or "lifted" for polynomial generators)
        R_g = E|G(z)|^2 or |W|_F^2.
    generator_penalty : float
        What multiplies R_g.
    reduction : "mean" or "sum"
        "sum" reproduces the paper's convention; X and Z then need equally many rows.
    bias : "none", "penalized" or "free"
        Whether discriminator neurons have a bias, counted in their norm; "free" for linear neurons only.
    method : "auto", "closed_form" or "program"
        `select_method` tells what "auto" does.
    solver, solver_options : str and dict, optional
        "CLARABEL", "SCS" or "MOSEK" and its options, for programs.
    tol : float
        Relative tolerance with which the certificate's kind is decided.
    time_limit : float, optional
        Seconds, for programs.
    max_neurons : int, optional
        Width of the discriminator. The generator and its value do not depend on it; whether a saddle exists does.
    rng : seed or Generator, optional
        For the free directions of `generators.Free`.
    throw : bool
        Raise if there is no answer; otherwise return a `Solution` whose status says so.
    progress : bool
        Let the conic solver print its log.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        Bad arguments, named with their repair.
    InfeasibleError
        With ``smallest_beta``, the repair.
    UnboundedError, SolverError

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> X = np.diag(np.sqrt(5 * np.array([9, 6, 4, 1.5, 0.4])))
    >>> sol = cg.solve(X, cg.GaussianLatent(5), beta=1.0)
    >>> round(sol.value, 9), sol.certificate.kind, sol.certificate.min_neurons
    (16.5, 'saddle', 4)
    """
    check_number(tol, "tol", positive=True)
    setting = read_call(
        X,
        Z,
        discriminator=discriminator,
        generator=generator,
        beta=beta,
        lam=lam,
        regularizer=regularizer,
        generator_penalty=generator_penalty,
        reduction=reduction,
        bias=bias,
        max_neurons=max_neurons,
    )
    chosen, reason = _choose(setting.game, method, solver)
    start = time.perf_counter()
    try:
        if chosen == "closed_form":
            game, optimum, stats = setting.game, _closed_form(setting.game), {}
        else:
            game, optimum, stats = _program(setting.game, solver, solver_options, time_limit, progress)
    except (InfeasibleError, UnboundedError, SolverError) as error:
        if throw:
            raise
        status = {InfeasibleError: Status.INFEASIBLE, UnboundedError: Status.UNBOUNDED}.get(type(error), Status.FAILED)
        return unsolved(status, chosen, str(error))
    stats |= {"reason": reason, "solve_seconds": time.perf_counter() - start}
    solution = _finish(setting, game, optimum, chosen, stats, tol, rng)
    if solution.status is Status.INFEASIBLE and throw:
        raise InfeasibleError(str(solution.stats["message"]), solution.stats["smallest_beta"])
    return solution


def path(X: Any, Z: Any = None, betas: Iterable[float] = (), **options: Any) -> list[Solution]:
    """The solutions for many betas, from one pass over the data and one eigendecomposition.

    Parameters
    ----------
    X, Z : as in `solve`
    betas : iterable of float
    **options
        The other arguments of `solve` except beta and lam.

    Returns
    -------
    list of Solution
        In the order of ``betas``; infeasible ones have status "infeasible" if ``throw=False``.
    """
    data = Moments.from_array(X, name="X")
    return [solve(data, Z, beta=beta, **options) for beta in betas]


def select_method(X: Any, Z: Any = None, **options: Any) -> tuple[str, str]:
    """What `solve` would do with the same arguments, and why: (method, reason).

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> cg.select_method(np.eye(3), cg.GaussianLatent(3), discriminator="quadratic", beta=0.1)[0]
    'closed_form'
    """
    method, solver = options.pop("method", "auto"), options.pop("solver", None)
    for name in ("solver_options", "tol", "time_limit", "rng", "throw", "progress"):
        options.pop(name, None)
    defaults = {"discriminator": "quadratic", "generator": "linear"}
    return _choose(read_call(X, Z, **(defaults | options)).game, method, solver)


def program(X: Any, Z: Any = None, *, tol: float = 1e-6, rng: Any = None, **options: Any) -> Any:
    """The game as a cvxpy program that takes further constraints.

    Parameters
    ----------
    X, Z : as in `solve`
    tol, rng : as in `solve`
    **options
        discriminator, generator, beta or lam, regularizer, generator_penalty, reduction, bias, as in `solve`.

    Returns
    -------
    Program
        With ``problem``, ``variables``, ``parameters``, ``solve()`` and ``recover()``.
    """
    from convexgan.programs import build_program

    defaults = {"discriminator": "quadratic", "generator": "linear"}
    setting = read_call(X, Z, **(defaults | options))
    obstacle = _not_convex(setting.game)
    if obstacle:
        raise ValueError(obstacle)
    made = build_program(setting.game)

    def finish(game: MomentGame, optimum: Optimum, stats: dict[str, Any]) -> Solution:
        return _finish(setting, game, optimum, "program", stats, tol, rng, restricted=True)

    made._finish = finish
    return made


def certify(
    X: Any,
    Y: Any,
    *,
    discriminator: str | Activation = "quadratic",
    beta: float | None = None,
    lam: float | None = None,
    generator: str | GeneratorClass | None = None,
    Z: Any = None,
    regularizer: str = "output",
    generator_penalty: float = 1.0,
    bias: str = "none",
    tol: float = 1e-6,
) -> Certificate:
    """The certificate of anybody's generated rows: value, violation, and a bound on the optimum.

    Parameters
    ----------
    X, Y : (n_r, d) and (n_f, d) arrays, torch tensors or Moments
        Real and generated rows.
    discriminator, beta, lam, regularizer, generator_penalty, bias, tol : as in `solve`
    generator, Z : as in `solve`, optional
        The class Y comes from, which tightens the bound; without them the bound holds for every generator.
        If Z is an array, Y must be its image. "weights" needs both.

    Returns
    -------
    Certificate
    """
    data, fake = Moments.from_array(X, name="X"), Moments.from_array(Y, name="Y")
    check_same_columns(data, fake)
    if regularizer != "output" and (generator is None or Z is None or isinstance(Y, Moments)):
        raise ValueError(f"regularizer={regularizer!r} measures weights: pass generator=, Z and the rows Y = G(Z).")
    free = generator is None or isinstance(as_generator(generator), Free)
    options = {"beta": beta, "lam": lam, "generator_penalty": generator_penalty, "bias": bias}
    spec = Free(fake.count or data.count or 1) if free else as_generator(generator or "linear")
    setting = read_call(
        data, None if free else Z, discriminator=discriminator, generator=spec, regularizer=regularizer, **options
    )
    game = setting.game
    if generator is None:
        game = replace(game, latent=any_law(data, fake))
    elif not free:
        _check_class(setting, Y)
    factor = fake.factor if fake.factor is not None else np.sqrt(fake.spectrum.values)[:, None] * fake.spectrum.vectors.T
    if regularizer != "output":
        factor = _class_factor(setting, Y)
    try:
        chosen, _ = _choose(game, "auto", None)
        optimum = _closed_form(game) if chosen == "closed_form" else _program(game, None, None, None, False)[1]
        neurons, outer, width = optimum.neurons, optimum.outer, optimum.min_neurons
    except InfeasibleError:
        neurons, outer, width = np.zeros((0, data.dim)), np.zeros(0), None
    return make_certificate(game, factor, fake.mean, critic(game, neurons, outer), tol=tol, min_neurons=width)


def _closed_form(game: MomentGame) -> Optimum:
    a, b, _ = game.activation.coefficients
    if a == 0:
        return solve_linear(game)
    return solve_quadratic(game) if b == 0 else solve_polynomial(game)


def _program(
    game: MomentGame, solver: str | None, options: dict[str, Any] | None, time_limit: float | None, progress: bool
) -> tuple[MomentGame, Optimum, dict[str, Any]]:
    from convexgan.programs import build_program

    made = build_program(game)
    stats = made.solve(solver, solver_options=options, time_limit=time_limit, verbose=progress)
    _, optimum = made.optimum()
    return game, optimum, stats


def _choose(game: MomentGame, method: str, solver: str | None) -> tuple[str, str]:
    """The method and the reason; raises if the one asked for does not apply."""
    check_choice(method, "method", METHODS)
    formula, reason = _formula(game)
    if method == "closed_form" and not formula:
        raise ValueError(f"method='closed_form' does not apply: {reason}. Use method='program'.")
    if method == "closed_form" or (method == "auto" and formula):
        return "closed_form", reason
    obstacle = _not_convex(game)
    if method == "program" and obstacle:
        raise ValueError(obstacle)
    from convexgan.programs import choose_backend

    name, why = choose_backend(game.data.dim, game.activation.coefficients[0] != 0, solver)
    relaxed = f"; relaxed, so the answer is bounded: {obstacle}" if obstacle else ""
    return "program", f"{reason}; {name}: {why}{relaxed}"


def _formula(game: MomentGame) -> tuple[bool, str]:
    a, b, _ = game.activation.coefficients
    if a == 0:
        return True, "a linear discriminator matches means: soft threshold of the mean"
    if game.bias == "penalized":
        return False, "a discriminator bias couples mean and second moment: semidefinite program"
    if b == 0:
        return True, "a quadratic discriminator matches second moments: soft threshold of the eigenvalues"
    if has_closed_form(game):
        return True, "a polynomial discriminator on centred data matches second moments: soft threshold"
    return False, "a polynomial discriminator couples mean and second moment: semidefinite program"


def _not_convex(game: MomentGame) -> str:
    """Why the game is not a convex program, or an empty string."""
    values = game.latent.values
    if game.regularizer == "output" or game.activation.coefficients[0] == 0 or values[-1] >= values[0] * (1 - 1e-9):
        return ""
    return (
        "regularizer='weights' with latents of unequal variances is not convex in the moments: use "
        "regularizer='output', or whiten the latents (GaussianLatent, say)"
    )


def _finish(
    setting: Setting,
    game: MomentGame,
    optimum: Optimum,
    method: str,
    stats: dict[str, Any],
    tol: float,
    rng: int | np.random.Generator | None,
    restricted: bool = False,
) -> Solution:
    """The user's solution, certified, from what a method found."""
    discriminator = critic(game, optimum.neurons, optimum.outer)
    start = time.perf_counter()
    certificate = make_certificate(
        game,
        optimum.factor,
        optimum.factor.T @ game.latent.mean,
        discriminator,
        tol=tol,
        min_neurons=optimum.min_neurons,
        status="restricted" if restricted else None,
    )
    stats = stats | {"certificate_seconds": time.perf_counter() - start}
    if setting.latent is None:
        made = Free().build(optimum.factor, setting.points or 1, np.random.default_rng(rng))
    else:
        made = setting.generator.build(unwhiten(game.latent, optimum.factor), setting.latent)  # type: ignore[union-attr]
    discriminator = replace(discriminator, outer=discriminator.outer * (game.value_scale / game.rows))
    status = Status.OPTIMAL
    if certificate.kind == "infeasible":
        status = Status.INFEASIBLE
        stats |= {
            "smallest_beta": certificate.ipm,
            "message": (
                f"the relaxed optimum needs latents of higher rank than {game.latent.rank}; cut to that rank it is "
                f"feasible from beta = {certificate.ipm:.6g} on: raise beta to that, or add latent dimensions."
            ),
        }
    elif stats.get("solver_status") == "user_limit":
        status = Status.STOPPED
    return Solution(certificate.value, status, method, made, discriminator, certificate, stats, _warnings(game))


def _warnings(game: MomentGame) -> tuple[str, ...]:
    a, b, _ = game.activation.coefficients
    if a != 0 and b == 0 and dominated_by_mean(game.data.mean, game.data.trace):
        return (
            "the mean makes up most of the second moment, so a quadratic discriminator mostly sees the mean: "
            "centre X (ConvexWGAN does) or use discriminator='polynomial'.",
        )
    return ()


def _class_factor(setting: Setting, Y: Any) -> Any:
    """The factor, in the class's whitened coordinates, of the least weights that generate the rows Y."""
    weights = _least_weights(setting, Y)[0]
    latent = setting.game.latent
    return np.sqrt(latent.values)[:, None] * (latent.vectors.T @ weights)  # type: ignore[union-attr]


def _least_weights(setting: Setting, Y: Any) -> tuple[Any, float]:
    latent = setting.latent
    rows = as_rows(Y, "Y").astype(np.float64)
    if not isinstance(latent, SampleLatent) or len(latent.rows) != len(rows):
        raise ValueError("Y and Z must have the same number of rows, Y = G(Z), to recover the generator's weights.")
    spec = setting.generator
    basis = np.eye(latent.dim + getattr(spec, "bias", False))
    build = spec.build(basis, latent) if hasattr(spec, "bias") else None  # type: ignore[union-attr]
    features = build(latent.rows) if build is not None else spec.lift(latent.rows)  # type: ignore[union-attr]
    weights = np.linalg.lstsq(features, rows, rcond=None)[0]
    return weights, float(np.linalg.norm(features @ weights - rows) / max(np.linalg.norm(rows), 1e-300))


def _check_class(setting: Setting, Y: Any) -> None:
    """Raise unless rows that claim to be the image of Z are."""
    if not isinstance(setting.latent, SampleLatent) or isinstance(Y, Moments):
        return
    misfit = _least_weights(setting, Y)[1]
    if misfit > 1e-6:
        raise ValueError(
            f"Y is not the image of Z under a {setting.generator.name} generator (relative misfit {misfit:.2g}): "
            "leave generator and Z out to certify any rows."
        )
