"""`solve` and its relatives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from inspect import signature
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.deadline import Deadline
from convexgan.discriminators.activation import Activation
from convexgan.games.conditional import Labelled, solve_classes
from convexgan.games.game import Call, Options
from convexgan.games.moment import family as moment_games
from convexgan.games.moment.family import restricted
from convexgan.games.moment.methods import not_convex
from convexgan.games.moment.reading import read_moments
from convexgan.games.registry import chosen, family_of, judged, solved
from convexgan.generators import GeneratorClass
from convexgan.records.conditional import ConditionalSolution
from convexgan.records.moment_game import MomentGame, Optimum
from convexgan.records.solution import Solution
from convexgan.statistics.latents import as_latent
from convexgan.statistics.moments import Moments

Array = NDArray[np.float64]


@overload
def solve(X: Any, Z: Any = None, *, labels: None = None, **options: Any) -> Solution: ...


@overload
def solve(X: Any, Z: Any = None, *, labels: Any, **options: Any) -> ConditionalSolution: ...


def solve(  # type: ignore[misc]  # whose other options the overloads leave open
    X: Any,
    Z: Any = None,
    *,
    labels: Any = None,
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
    gap: float | None = None,
    time_limit: float | None = None,
    max_neurons: int | None = None,
    rng: int | np.random.Generator | None = None,
    throw: bool = True,
    progress: bool = False,
) -> Solution | ConditionalSolution:
    """The globally optimal generator of a Wasserstein GAN with a two-layer discriminator, certified.

    min over G, max over D of mean D(X) - mean D(G(Z)) + R_g(G) - beta |v|_1, with D(x) = sum_j v_j s(u_j . x).
    Source: Sahiner et al., Hidden Convexity of Wasserstein GANs, arXiv 2107.05680.

    Parameters
    ----------
    X : (n_r, d) array, torch tensor or Moments
        Real samples. They are not centred here.
    Z : (n_f, k) array, Moments or GaussianLatent, optional
        Latents; None for free generators.
    labels : (n_r,) array of strings or integers, optional
        Of the rows of X. The game is then the conditional one: D(x, c) and G(z, c), one generator and one group of
        neurons for each class c under one beta, and one certificate; latents are independent of the class. Needs beta.
    discriminator : "linear", "quadratic", "polynomial", "relu", "absolute", "squared_relu" or an instance
        Of `convexgan.discriminators`.
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
        Whether discriminator neurons have a bias, counted in their norm; "free" is for linear
        neurons, where constants cancel, and for ReLU, leaky and absolute ones against mixtures.
    method : "auto", or a name that `select_method` returns
        "closed_form" or "program"; with ReLU neurons or mixtures "program", "cutting_planes", "double_oracle",
        "partial_sums", "semi_infinite" or "fixed_patterns". "auto" takes the first that applies, which
        `select_method` tells. A program may be a relaxation of the game: then the answer is "bounded".
    solver, solver_options : str and dict, optional
        "CLARABEL", "SCS" or "MOSEK" and its options, for programs and for the programs that games against ReLU
        neurons are made of. ``stats`` records what was used.
    tol : float
        Relative tolerance with which the certificate's kind is decided.
    gap : float, optional
        Against ReLU neurons: the relative gap at which the game of particles anywhere may stop; by default ``tol``
        where it is the game itself, 0.01 where it only bounds another.
    time_limit : float, optional
        Seconds, for programs and searches: what they have proved by then holds. Of games with ReLU neurons or
        mixtures three fifths are the search's, the rest is for proving its answer.
    max_neurons : int, optional
        Width of the discriminator. The generator and its value do not depend on it; whether a saddle exists does.
    rng : seed or Generator, optional
        For the free directions of `generators.Free`; against ReLU neurons for where local searches start. By default
        0, so that a call that is made again finds the same. Of ``gap``, ``max_neurons``, ``rng``, ``solver`` and
        ``solver_options`` those that the method does not use are warned of once and named in ``stats["unused"]``.
    throw : bool
        Raise if there is no answer; otherwise return a `Solution` whose status says so.
    progress : bool
        Let the conic solver print its log; with ReLU neurons show a line on stderr.

    Returns
    -------
    Solution, or with labels a ConditionalSolution

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
    call = Call.read(
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
    )
    options = Options(method, solver, solver_options, tol, gap, time_limit, max_neurons, rng, progress)
    return solved(call, options, throw) if labels is None else _by_classes(call, options, labels, throw)


def _by_classes(call: Call, options: Options, labels: Any, throw: bool) -> ConditionalSolution:
    """The conditional game, class by class."""
    for name, given, repair in (
        ("lam", call.lam is not None, "pass beta, which the classes share by their rows"),
        ("reduction='sum'", call.summed, "use reduction='mean': classes have different numbers of rows"),
        ("max_neurons", options.max_neurons is not None, "leave it out: neurons are counted for all classes together"),
    ):
        if given:
            raise ValueError(f"{name} is not available with labels: {repair}.")

    def one(rows: Any, beta: float, seconds: float | None) -> Solution:
        return solved(replace(call, X=rows, beta=beta), replace(options, time_limit=seconds), throw)

    return solve_classes(Labelled.read(call.X, labels), one, call.beta or 0.0, options.tol, options.time_limit)


def path(
    X: Any, Z: Any = None, betas: Iterable[float] | None = None, **options: Any
) -> list[Solution] | list[ConditionalSolution]:
    """The solutions for many betas, from one pass over the data and one eigendecomposition.

    Parameters
    ----------
    X, Z : as in `solve`
    betas : iterable of float
    **options
        The other arguments of `solve` except beta and lam.

    Returns
    -------
    list of Solution, or with labels of ConditionalSolution
        In the order of ``betas``; infeasible ones have status "infeasible" if ``throw=False``.

    Raises
    ------
    ValueError
        betas is a single number, or the game is not one of several betas.
    """
    if not isinstance(betas, Iterable):
        raise ValueError(f"betas must be a list of numbers, got {betas!r}: solve is for a single one.")
    if options.get("labels") is not None:
        return [solve(X, Z, beta=beta, **options) for beta in betas]
    call, _ = _read(X, Z, options | {"beta": 0.0, "lam": None})
    of_moments = family_of(call) is moment_games.FAMILY
    data, latent = Moments.from_array(X, name="X") if of_moments else X, None if Z is None else as_latent(Z)
    return [solve(data, latent, beta=beta, **options) for beta in betas]


def select_method(X: Any, Z: Any = None, **options: Any) -> tuple[str, str]:
    """What `solve` would do with the same arguments, and why: (method, reason).

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> cg.select_method(np.eye(3), cg.GaussianLatent(3), discriminator="quadratic", beta=0.1)[0]
    'closed_form'
    """
    return chosen(*_read(X, Z, options))


def _read(X: Any, Z: Any, given: dict[str, Any]) -> tuple[Call, Options]:
    """The call and the options that are among the arguments of `solve`; others are refused as Python does."""
    names = {field.name for field in fields(Options)}
    call = {name: value for name, value in given.items() if name not in names | {"throw"}}
    return _call("solve", X, Z, call), Options(**{name: value for name, value in given.items() if name in names})


def _call(verb: str, X: Any, Z: Any, given: dict[str, Any]) -> Call:
    """The call of what remains of a verb's arguments; others are refused as Python does."""
    for name in given.keys() - signature(Call.read).parameters.keys():
        raise TypeError(f"{verb}() got an unexpected keyword argument {name!r}")
    return Call.read(X, Z, **given)


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

    Raises
    ------
    ValueError
        The game is no convex program in moments; the error says why.
    """
    from convexgan.programs import build_program

    how = Options(tol=tol, rng=rng)
    setting = read_moments(_call("program", X, Z, options))
    obstacle = not_convex(setting.game)
    if obstacle:
        raise ValueError(obstacle)

    def finish(game: MomentGame, optimum: Optimum, stats: dict[str, Any], missed: Callable[[Array], float]) -> Solution:
        found = restricted(setting, how, missed, game, optimum, stats)
        return judged(found, "program", None, Deadline(), throw=False)

    return build_program(setting.game, finish)
