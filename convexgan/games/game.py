"""What a user asks, and what every family of games answers: the methods that apply, and an answer to be judged."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from convexgan._tools.checks import as_rng, check_choice, check_count, check_number, warn_user
from convexgan._tools.deadline import Deadline
from convexgan.conic.solvers import check_solver
from convexgan.discriminators import TwoLayerDiscriminator, as_game_discriminator
from convexgan.discriminators.activation import Activation
from convexgan.generators import Generator, GeneratorClass, as_generator
from convexgan.records.certificate import Certificate
from convexgan.records.solution import Status
from convexgan.statistics.latents import Latent, SampleLatent, as_latent

S = TypeVar("S")
SELECTIVE = ("gap", "max_neurons", "rng", "solver", "solver_options")  # options that only some methods use


@dataclass(frozen=True, eq=False)
class Call:
    """The game that was asked for, checked as far as that is the same for every family.

    Attributes
    ----------
    X, Z : as in `convexgan.solve`
    activation : Activation
    spec : GeneratorClass
    beta, lam : float or None
        Exactly one is given.
    regularizer : "output", "weights" or "lifted"
    penalty : float
    summed : bool
        Whether sums are compared, not means.
    bias : "none", "penalized" or "free"
    """

    X: Any
    Z: Any
    activation: Activation
    spec: GeneratorClass
    beta: float | None
    lam: float | None
    regularizer: str
    penalty: float
    summed: bool
    bias: str

    @classmethod
    def read(
        cls,
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
    ) -> Call:
        """The call of the arguments of `convexgan.solve`; ValueError naming the argument and the repair."""
        return cls(
            X,
            Z,
            as_game_discriminator(discriminator),
            as_generator(generator),
            *check_budget(beta, lam),
            check_choice(regularizer, "regularizer", ("output", "weights", "lifted")),
            check_number(generator_penalty, "generator_penalty", positive=True),
            check_choice(reduction, "reduction", ("mean", "sum")) == "sum",
            check_choice(bias, "bias", ("none", "penalized", "free")),
        )

    @property
    def players(self) -> str:
        """The generator's and the discriminator's class, as error messages name them."""
        return f"a {self.spec.name} generator against {self.activation.name} neurons"

    def latent(self) -> Latent | None:
        """The latents; None for generators that have none."""
        if self.spec.form == "law" and self.Z is not None:
            raise ValueError(f"Z has no meaning for {self.players}: leave it out.")
        return None if self.spec.form in ("rows", "law") else as_latent(self.Z)

    def points(self) -> int | None:
        """The number of rows that a free generator was asked for, None if it is that of X."""
        if self.spec.form != "rows":
            return None
        given = None if self.Z is None else as_latent(self.Z)
        rows = len(given.rows) if isinstance(given, SampleLatent) else None
        if self.spec.n is not None and rows is not None and self.spec.n != rows:
            raise ValueError(f"Free(n={self.spec.n}) but Z has {rows} rows: pass one of them.")
        return self.spec.n or rows


def check_budget(beta: float | None, lam: float | None) -> tuple[float | None, float | None]:
    """Exactly one of beta and lam, a finite non-negative number."""
    if (beta is None) == (lam is None):
        found = "neither" if beta is None else "both"
        raise ValueError(
            f"pass exactly one of beta and lam, got {found}: beta penalises the discriminator's norm (a constraint "
            "ipm <= beta for the generator), lam bounds it (a term lam * ipm)."
        )
    if beta is not None:
        return check_number(beta, "beta"), None
    return None, check_number(lam, "lam")


@dataclass(frozen=True, eq=False)
class Options:
    """How the game is to be solved: nothing here changes what is optimal. The attributes are those of `solve`."""

    method: str = "auto"
    solver: str | None = None
    solver_options: dict[str, Any] | None = None
    tol: float = 1e-6
    gap: float | None = None
    time_limit: float | None = None
    max_neurons: int | None = None
    rng: int | np.random.Generator | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        check_number(self.tol, "tol", positive=True)
        as_rng(self.rng)
        for name in ("gap", "time_limit"):
            if getattr(self, name) is not None:
                check_number(getattr(self, name), name)
        if self.max_neurons is not None:
            check_count(self.max_neurons, "max_neurons")
        if self.solver_options is not None and not isinstance(self.solver_options, dict):
            raise ValueError(
                f"solver_options must be a dict, as the solver names its options: {self.solver_options!r}."
            )
        if self.solver is not None:
            check_solver(self.solver)

    def draws(self) -> np.random.Generator:
        """What is drawn at random: of seed 0 by default, so that a call that is made again finds the same."""
        return as_rng(0 if self.rng is None else self.rng)

    @property
    def backend(self) -> dict[str, Any]:
        """The keyword arguments of conic programs: solver and its options."""
        return {"solver": self.solver, "solver_options": self.solver_options}

    def unused(self, uses: Collection[str]) -> list[str]:
        """Names of those that were given and are not among the ones a method uses."""
        return [name for name in SELECTIVE if getattr(self, name) is not None and name not in uses]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method found, to be judged: nothing here is taken on trust.

    Attributes
    ----------
    generator : Generator
    critic : TwoLayerDiscriminator
        In canonical units.
    judge : callable
        The certificate, computed from the data, its searches within so many seconds.
    stats : dict
    status : Status
    unit : float
        What the user's outer weights are in canonical units: value_scale / rows.
    searched : bool
        Whether the certificate comes from searches, which a limit may cut short.
    repair : callable or None
        Why an answer that does not meet the constraint is none, and what to do, within the seconds that are left.
    warnings : tuple of str
        What a user should know about the problem.
    """

    generator: Generator
    critic: TwoLayerDiscriminator
    judge: Callable[[float | None], Certificate]
    stats: dict[str, Any]
    status: Status = Status.OPTIMAL
    unit: float = 1.0
    searched: bool = False
    repair: Callable[[Certificate, Deadline], str] | None = None
    warnings: tuple[str, ...] = ()


def no_options(_: Any) -> tuple[str, ...]:
    """What making the players of a game uses, where it draws nothing."""
    return ()


@dataclass(frozen=True)
class Method(Generic[S]):
    """A way to solve the games of a family.

    Attributes
    ----------
    name : str
        Several may share one, where formulas differ: the first that applies is taken.
    applies : callable
        Why it is the method for a game and options; an empty string where it is none.
    run : callable
        The answer, by a deadline; raises InfeasibleError, UnboundedError or SolverError.
    uses : tuple of str
        Which of the options `SELECTIVE` it uses.
    share : float
        Of the time limit; the rest is for judging the answer.
    """

    name: str
    applies: Callable[[S, Options], str]
    run: Callable[[S, Options, Deadline], Answer]
    uses: tuple[str, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Family(Generic[S]):
    """Games that are read, solved and judged alike.

    Attributes
    ----------
    covers : callable
        Whether a call is of this family.
    read : callable
        The checked game of a call.
    methods : tuple of Method
        In order of preference.
    uses : callable
        Which options making the players of a game uses, whatever the method.
    """

    covers: Callable[[Call], bool]
    read: Callable[[Call], S]
    methods: tuple[Method[S], ...]
    uses: Callable[[S], tuple[str, ...]] = no_options

    def choose(self, game: S, options: Options) -> tuple[Method[S], str]:
        """The method and the reason; ValueError if the one asked for does not apply."""
        for method in self.methods:
            if options.method in ("auto", method.name) and (reason := method.applies(game, options)):
                return method, reason
        applying = [(method.name, reason) for method in self.methods if (reason := method.applies(game, options))]
        names = " or ".join(sorted({repr(name) for name, _ in applying}))
        why = applying[0][1] if applying else ""
        raise ValueError(f"method={options.method!r} does not apply: {why}. Use method={names}.")

    def unused(self, game: S, method: Method[S], options: Options) -> list[str]:
        """Names of options that were given and make no difference to the method, which is said once."""
        names = options.unused((*method.uses, *self.uses(game)))
        if names:
            them, make = ("it", "makes") if len(names) == 1 else ("them", "make")
            warn_user(f"{', '.join(names)} {make} no difference to method {method.name!r} here: leave {them} out.")
        return names
