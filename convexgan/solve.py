"""`solve` and its relatives: names are resolved here, and only here is every method known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._checks import as_rng, check_number
from convexgan._deadline import Deadline
from convexgan._rounding import squares, up
from convexgan.canonical import Setting, read_call
from convexgan.certificate import Certificate
from convexgan.certify import critic, least_weights, make_certificate
from convexgan.closed_forms import class_factor, unwhiten
from convexgan.discriminators import ReLU, as_discriminator, distance
from convexgan.exceptions import InfeasibleError, SolverError, UnboundedError
from convexgan.generators import Free, FreeGenerator, Generator, GeneratorClass, Mixture, TwoLayerReLU, as_generator
from convexgan.latents import as_latent
from convexgan.laws import built_law
from convexgan.mean_games import REASON, read_mean_game, solve_mean_game
from convexgan.methods import attained_beta, choose, closed_form, not_convex, solve_program
from convexgan.moments import Moments
from convexgan.problem import Activation, MomentGame, Optimum
from convexgan.sample_games import read_sample_call, solve_sample_game
from convexgan.sample_methods import REASONS
from convexgan.solution import Solution, Status, dominated_by_mean, shortfall, unsolved

Array = NDArray[np.float64]
GAP = "gap is for searches against ReLU neurons; here the answer is exact: leave it out."


def solve(
    X: Any,
    Z: Any = None,
    *,
    discriminator: str | Activation | ReLU = "quadratic",
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
    gap: float | None = None,
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
    discriminator : "linear", "quadratic", "polynomial", "relu" or an instance of `convexgan.discriminators`
    generator : "linear", "free", "relu", "polynomial", "mixture" or an instance of `convexgan.generators`
    beta : float
        Penalty on the discriminator's norm: the generator must satisfy ipm <= beta.
    lam : float
        Instead of beta: a bound on the discriminator's norm, which adds lam * ipm to the generator's cost.
    regularizer : "output", "weights" (or "lifted" for polynomial generators)
        R_g = E|G(z)|^2 or |W|_F^2; for ReLU generators, against linear discriminators, (1/2) sum |u_j|^2 + |w_j|^2.
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
    gap : float, optional
        Against ReLU neurons: the relative gap at which the game of particles anywhere may stop; by default ``tol``
        where it is the game itself, 0.01 where it only bounds another.
    time_limit : float, optional
        Seconds, for programs and for searches against ReLU neurons: what they have proved by then holds. Three
        fifths are the search's, the rest is for proving its answer.
    max_neurons : int, optional
        Width of the discriminator. The generator and its value do not depend on it; whether a saddle exists does.
    rng : seed or Generator, optional
        For the free directions of `generators.Free`; against ReLU neurons for where local searches start.
    throw : bool
        Raise if there is no answer; otherwise return a `Solution` whose status says so.
    progress : bool
        Let the conic solver print its log; with ReLU neurons show a line on stderr.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        Bad arguments, named with their repair.
    InfeasibleError
        Where it is proved that no generator of the class is within beta; with ``smallest_beta``, the repair.
    UnboundedError, SolverError
        The latter also where none was found though none is excluded.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> X = np.diag(np.sqrt(5 * np.array([9, 6, 4, 1.5, 0.4])))
    >>> sol = cg.solve(X, cg.GaussianLatent(5), beta=1.0)
    >>> round(sol.value, 9), sol.certificate.kind, sol.certificate.min_neurons
    (16.5, 'saddle', 4)
    """
    check_number(tol, "tol", positive=True)
    as_rng(rng)
    if time_limit is not None:
        check_number(time_limit, "time_limit")
    activation, spec = as_discriminator(discriminator), as_generator(generator)
    if isinstance(activation, ReLU) or isinstance(spec, Mixture):
        relu = isinstance(activation, ReLU)
        return solve_sample_game(
            X,
            Z,
            activation=activation,
            generator=spec,
            beta=beta,
            lam=lam,
            penalty=generator_penalty,
            reduction=reduction,
            bias=bias,
            tol=tol,
            solver=solver,
            solver_options=solver_options,
            gap=gap,
            time_limit=time_limit,
            rng=rng,
            throw=throw,
            progress=progress,
            meaningless=_unused_by_samples(relu, regularizer, method, gap, solver, solver_options, max_neurons),
        )
    if gap is not None:
        raise ValueError(GAP)
    if isinstance(spec, TwoLayerReLU) and regularizer == "weights":
        network_game = read_mean_game(
            X,
            Z,
            activation=activation,
            generator=spec,
            beta=beta,
            lam=lam,
            penalty=generator_penalty,
            reduction=reduction,
            bias=bias,
            meaningless=_unused_by_decay(method, solver, solver_options, max_neurons),
        )
        return solve_mean_game(network_game, tol, time_limit)
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
    chosen, reason = choose(setting.game, method, solver)
    stats: dict[str, Any] = {}
    start, deadline = time.perf_counter(), Deadline(time_limit)
    try:
        if chosen == "closed_form":
            optimum = closed_form(setting.game)
        else:
            optimum, stats = solve_program(setting.game, solver, solver_options, deadline, progress, tol)
    except (InfeasibleError, UnboundedError, SolverError) as error:
        if throw:
            raise
        status = {InfeasibleError: Status.INFEASIBLE, UnboundedError: Status.UNBOUNDED}.get(type(error), Status.FAILED)
        return unsolved(status, chosen, str(error))
    stats |= {"reason": reason, "solve_seconds": time.perf_counter() - start}
    solution = _finish(setting, setting.game, optimum, chosen, stats, tol, rng)
    beta, proof = setting.game.beta, solution.certificate
    if solution.status is Status.FAILED and beta is not None and proof is not None and _cut(optimum, proof):
        near = proof.relative_violation <= tol  # outside by less than a violation, and too cheap for that
        least = proof.ipm / setting.game.rows if near else beta
        works = attained_beta(setting.game, least, solver, solver_options, deadline, tol) * setting.game.rows
        solution.stats["message"] += f" of {works:.17g}, which is known to work."
    if throw and solution.status is Status.FAILED:
        raise SolverError(solution.stats["message"])
    return solution


def path(X: Any, Z: Any = None, betas: Iterable[float] | None = None, **options: Any) -> list[Solution]:
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
    if not isinstance(betas, Iterable):
        raise ValueError(f"betas must be a list of numbers, got {betas!r}: solve is for a single one.")
    relu = isinstance(as_discriminator(options.get("discriminator", "quadratic")), ReLU)
    rows = relu or isinstance(as_generator(options.get("generator", "linear")), Mixture)  # these games need them
    data, latent = X if rows else Moments.from_array(X, name="X"), None if Z is None else as_latent(Z)
    return [solve(data, latent, beta=beta, **options) for beta in betas]


def select_method(X: Any, Z: Any = None, **options: Any) -> tuple[str, str]:
    """What `solve` would do with the same arguments, and why: (method, reason).

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> cg.select_method(np.eye(3), cg.GaussianLatent(3), discriminator="quadratic", beta=0.1)[0]
    'closed_form'
    """
    given = {"discriminator": "quadratic", "generator": "linear"} | options
    for name in ("tol", "time_limit", "throw", "progress"):
        given.pop(name, None)
    gap, rng, options = given.pop("gap", None), given.pop("rng", None), given.pop("solver_options", None)
    method, solver = given.pop("method", "auto"), given.pop("solver", None)
    activation, spec = as_discriminator(given["discriminator"]), as_generator(given["generator"])
    regularizer, width = given.get("regularizer", "output"), given.get("max_neurons")
    if isinstance(activation, ReLU) or isinstance(spec, Mixture):
        unused = _unused_by_samples(isinstance(activation, ReLU), regularizer, method, gap, solver, options, width)
        given = _game_options(given)
        *_, found = read_sample_call(X, Z, activation, spec, gap=gap, rng=rng, meaningless=unused, **given)
        return found, REASONS[found]
    if gap is not None:
        raise ValueError(GAP)
    if isinstance(spec, TwoLayerReLU) and regularizer == "weights":
        unused = _unused_by_decay(method, solver, options, width)
        read_mean_game(X, Z, activation=activation, generator=spec, meaningless=unused, **_game_options(given))
        return "closed_form", REASON
    return choose(read_call(X, Z, **given).game, method, solver)


def _game_options(given: dict[str, Any]) -> dict[str, Any]:
    """What remains of the arguments for games whose players are read; unknown ones are passed on, to be refused."""
    read = ("discriminator", "generator", "regularizer", "max_neurons", "generator_penalty")
    defaults = {"beta": None, "lam": None, "reduction": "mean", "bias": "none"}
    rest = {name: value for name, value in given.items() if name not in read}
    return defaults | rest | {"penalty": given.get("generator_penalty", 1.0)}


def _unused_by_samples(
    relu: bool,
    regularizer: str,
    method: str,
    gap: float | None,
    solver: str | None,
    solver_options: dict[str, Any] | None,
    max_neurons: int | None,
) -> dict[str, bool]:
    """Which arguments were given that mean nothing against ReLU neurons, or for mixtures."""
    return {
        "regularizer": regularizer != "output",
        "method": method != "auto",
        "gap": not relu and gap is not None,
        "solver": relu and solver is not None,
        "solver_options": relu and solver_options is not None,
        "max_neurons": max_neurons is not None,
    }


def _unused_by_decay(
    method: str, solver: str | None, solver_options: dict[str, Any] | None, max_neurons: int | None
) -> dict[str, bool]:
    """Which arguments were given that mean nothing for a ReLU generator with weight decay."""
    return {
        "method": method not in ("auto", "closed_form"),
        "solver": solver is not None,
        "solver_options": solver_options is not None,
        "max_neurons": max_neurons is not None,
    }


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

    check_number(tol, "tol", positive=True)
    as_rng(rng)
    defaults = {"discriminator": "quadratic", "generator": "linear"}
    setting = read_call(X, Z, **(defaults | options))
    obstacle = not_convex(setting.game)
    if obstacle:
        raise ValueError(obstacle)
    if setting.game.max_neurons is not None:
        raise ValueError("max_neurons has no meaning for a program, which chooses the width itself: leave it out.")

    def finish(game: MomentGame, optimum: Optimum, stats: dict[str, Any], missed: Callable[[Array], float]) -> Solution:
        return _finish(setting, game, optimum, "program", stats, tol, rng, missed)

    return build_program(setting.game, finish)


def _finish(
    setting: Setting,
    game: MomentGame,
    optimum: Optimum,
    method: str,
    stats: dict[str, Any],
    tol: float,
    rng: int | np.random.Generator | None,
    missed: Callable[[Array], float] | None = None,
) -> Solution:
    """The user's solution, certified, from what a method found; ``missed`` tells how far constraints are missed."""
    discriminator = critic(game, optimum.neurons, optimum.outer)
    made: Generator
    weights = np.zeros((0, 0))
    if setting.latent is None or isinstance(setting.generator, Free):
        made = Free().build(optimum.factor, setting.points or 1, np.random.default_rng(rng))
    elif isinstance(setting.generator, TwoLayerReLU):
        made, record = setting.generator.fit(unwhiten(game.latent, optimum.factor), setting.latent)
        stats = stats | record
        weights = least_weights(setting, made(setting.latent.rows))[0]
        optimum = replace(optimum, factor=class_factor(game.latent, weights))
    else:
        weights = unwhiten(game.latent, optimum.factor)
        made = setting.generator.build(weights, setting.latent)
        if game.latent.root is not None:  # the law of these very weights, not the one that was aimed at
            optimum = replace(optimum, factor=class_factor(game.latent, weights))
    start, mean = time.perf_counter(), optimum.factor.T @ game.latent.mean
    exact = bool(weights.size) and game.latent.vectors is None  # the factor is the weights
    law = None if exact else built_law(setting, made, weights)
    certificate = make_certificate(
        game,
        optimum.factor,
        mean,
        discriminator,
        tol=tol,
        min_neurons=optimum.min_neurons,
        status=None if missed is None else "restricted",
        law_error=(0.0, 0.0) if law is None else distance(law, Moments.of_law(mean, optimum.factor)),
        spent=_spent(game, made, weights, law),
    )
    stats = stats | {"certificate_seconds": time.perf_counter() - start}
    discriminator = replace(discriminator, outer=discriminator.outer * (game.value_scale / game.rows))
    status = Status.OPTIMAL
    if stats.get("solver_status") == "user_limit":
        status = Status.STOPPED
    elif certificate.kind == "infeasible":
        status = Status.FAILED
        stats["message"] = _shortfall(game, certificate, method, _cut(optimum, certificate))
    elif missed is not None and (miss := missed(optimum.factor)) > tol:
        status, certificate = Status.FAILED, replace(certificate, kind="infeasible")
        stats["message"] = (
            f"the generator misses the added constraints by {miss:.2g} relative: latents of rank {game.latent.rank} "
            "cannot have the program's moments. Add latent dimensions, or relax the constraints."
        )
    return Solution(certificate.value, status, method, made, discriminator, certificate, stats, _warnings(game))


def _spent(game: MomentGame, made: Generator, weights: Array, law: Moments | None) -> float | None:
    """At least the cost of a generator whose law is rounded; None where its factor has it."""
    if law is None:
        return None
    if game.regularizer == "output":
        return up(game.penalty * law.trace_bound)
    return up(game.penalty * squares(made.points if isinstance(made, FreeGenerator) else weights))


def _cut(optimum: Optimum, certificate: Certificate) -> bool:
    """Whether an answer is outside the constraint because the latents lack the relaxed optimum's rank."""
    return optimum.truncated and certificate.violation > 0


def _shortfall(game: MomentGame, certificate: Certificate, method: str, cut: bool) -> str:
    """Why an answer is none, and the repair."""
    if cut:
        return (
            "no generator within beta was found, though none is excluded: the relaxed optimum needs latents of higher "
            f"rank than {game.latent.rank}, and the nearest answer of that rank has ipm = {certificate.ipm:.6g}: add "
            "latent dimensions, or use a larger beta"
        )
    if method == "closed_form":
        return f"{shortfall(certificate)}, which is rounding: subtract a centre from X, or bring columns to one scale."
    return f"{shortfall(certificate)}: ask for more iterations in solver_options, or another solver."


def _warnings(game: MomentGame) -> tuple[str, ...]:
    a, b, _ = game.activation.coefficients
    if a != 0 and b == 0 and dominated_by_mean(game.data.mean, game.data.trace):
        return (
            "the mean makes up most of the second moment, so a quadratic discriminator mostly sees the mean: "
            "centre X (ConvexWGAN does) or use discriminator='polynomial'.",
        )
    return ()
