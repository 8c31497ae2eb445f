"""Will descent-ascent converge to this saddle point? The spectrum of one step there, before it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

from convexgan._tools.checks import as_rng, check_count, check_number
from convexgan._tools.memory import physical_memory
from convexgan.dynamics.linear_games import LinearGame, update_matrix
from convexgan.dynamics.linear_steps import LinearStep
from convexgan.dynamics.solved_game import SolvedGame
from convexgan.dynamics.spectrum import ON_CIRCLE, Prediction, classify, predict
from convexgan.dynamics.tangent import Tangent, flat, like, two_players
from convexgan.exceptions import SolverError
from convexgan.records.solution import Solution
from convexgan.updates import Game, State, Step, resolve_step
from convexgan.updates.game import pair

AWAY = 1e-7  # where a measured run starts, in units of the players
LINEAR = (1e-6, 1e4)  # of the first gradients: within rounding and the linear range
DENSE = 2000  # parameters up to which the Jacobian is formed
LEADING = 8  # eigenvalues found beyond that
RESTARTS = 100  # of the Arnoldi iteration, of some 90 products each
COPIES = 6  # of the matrix of one step, while all its eigenvalues are computed


@dataclass(frozen=True, eq=False)
class Forecast(Prediction):
    """What a method does near a saddle point. ``print`` it.

    Attributes
    ----------
    eigenvalues : (N,) complex array
        Of one step of the method, or of all steps of a schedule, largest modulus first; only the leading ones if not
        ``complete``.
    rate : float
        The spectral radius: the factor per step, in the end, or its mean over the schedule.
    phase : str
        As in `Prediction`; "sustained" where an eigenvalue is on the unit circle and none is outside.
    complete : bool
        Whether all eigenvalues were computed.
    neurons : int or None
        Of a `Solution`, how many neurons the discriminator has that this is said of: those that the saddle point uses.
        Further ones have weight 0 there, where the penalty beta |v| has a kink, so no linearisation speaks of them.
    period : int
        The steps of the schedule.
    """

    complete: bool
    neurons: int | None = None
    period: int = 1

    @property
    def silent(self) -> bool:
        """Whether the linearisation says nothing: its largest eigenvalues are on the circle."""
        return bool(self.phase == "sustained")

    @property
    def neutral(self) -> int:
        """How many eigenvalues are 1: directions in which both gradients stay zero to first order."""
        return int(np.count_nonzero(self._still))

    @property
    def across(self) -> Prediction:
        """The prediction without the neutral directions.

        Where these are the tangents of a family of saddle points, such as rotations of the latents, it is the
        prediction of the distance to the family.
        """
        others = self.eigenvalues[~self._still] if self.neutral < len(self.eigenvalues) else [0.0]
        return _per_step(classify(others), self.period)

    @property
    def _still(self) -> NDArray[np.bool_]:
        return np.asarray(np.abs(self.eigenvalues - 1) <= ON_CIRCLE)

    def __str__(self) -> str:
        text = f"{self.phase}: the distance to the saddle point is multiplied by {self.rate:.6g} a step"
        if self.silent:
            text = "sustained: an eigenvalue is on the unit circle, the linearisation is silent about convergence"
        if self.neutral:
            least = "" if self.complete else "at least "
            text += (
                f"\n{least}{self.neutral} neutral directions (eigenvalue 1); the others: {self.across.phase}, "
                f"{self.across.rate:.6g} a step"
            )
        if self.neurons is not None:
            text += (
                f"\nof a discriminator with {self.neurons} neurons; of wider ones, at the kink of |v|, nothing is said"
            )
        return text


def predict_gda(
    problem: Game | Solution,
    rates: Any,
    method: str | Step = "alternating",
    *,
    saddle: Any = None,
    X: Any = None,
) -> Forecast:
    """What a method does near a saddle point with these step sizes: phase, rate and spectrum, before running it.

    Up to 2,000 parameters the Jacobian is formed; beyond that the leading eigenvalues are found by Arnoldi iteration
    from Jacobian products, or, where these lie too close together for that, all of them from the Jacobian again.

    Parameters
    ----------
    problem : Game or Solution
        `LinearGame`, `KernelGame`, `SolvedGame`, or any game with numpy or torch players; or what `convexgan.solve`
        returned, with a saddle certificate.
    rates : number, pair, or list of these
        Step sizes of the minimiser and of the maximiser; a list is a schedule of steps that is repeated.
    method : str or step function
        A name of `convexgan.updates.METHODS`, or a step function that is linear where the gradients are, with any
        memory; others, such as Adam, are refused.
    saddle : State or pair of players, optional
        Where both gradients vanish; points at rest for a `KernelGame`. Games that have a ``saddle`` and linear games
        need none.
    X : (n, d) array or Moments, optional
        The real samples of a `Solution`, which does not keep them.

    Raises
    ------
    ValueError
        There is no saddle point, the given one is not stationary, or the gradients have a kink there.
    SolverError
        Arnoldi iteration did not separate the eigenvalues, and there is no memory for the Jacobian.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> from convexgan.dynamics import predict_gda
    >>> X = np.random.default_rng(0).standard_normal((50, 3)) + 1
    >>> sol = cg.solve(X, np.eye(3), discriminator="linear", beta=0.5)
    >>> predict_gda(sol, 0.1, "simultaneous", X=X).phase
    'damped oscillation'
    """
    step, schedule = resolve_step(method), _schedule(rates)
    game = _game(problem, X)
    neurons = len(game.saddle.y[0]) if isinstance(game, SolvedGame) else None
    if hasattr(game, "linearized"):  # exactly
        linear: LinearGame = game.linearized(saddle)
    else:
        tangent = Tangent(game, _saddle(game, saddle))
        tangent.check_still(tangent.gradient)
        if sum(tangent.sizes) > DENSE and (found := _leading(tangent, schedule, step)) is not None:
            return _forecast(found, neurons, len(schedule), complete=False)
        linear = tangent.dense()
    if linear.xx.ndim > 2:
        raise ValueError("problem is a batch of linear games: `predict` takes batches.")
    return _forecast(_all(linear, schedule, step), neurons, len(schedule), complete=True)


def _schedule(rates: Any) -> list[tuple[float, float]]:
    """Pairs of step sizes, one for each step until the first again."""
    each = rates if isinstance(rates, list) else [rates]
    if not each:
        raise ValueError("rates is an empty schedule: give at least one step size.")
    pairs = [pair(rate) for rate in each]
    return [(check_number(a, "step sizes"), check_number(b, "step sizes")) for a, b in pairs]


def _all(game: LinearGame, schedule: list[tuple[float, float]], step: Step) -> Any:
    """All eigenvalues of the steps of a schedule, one after another."""
    if len(schedule) == 1:
        return predict(game, schedule[0], step).eigenvalues
    if game.unfelt is not None:
        raise ValueError("rates is a schedule, but of a KernelGame constant step sizes are predicted: give one pair.")
    matrices = [update_matrix(game, rates, step) for rates in schedule]
    return np.linalg.eigvals(np.linalg.multi_dot(matrices[::-1]))


def measure_gda(
    game: Game, rates: Any, method: str | Step = "alternating", *, saddle: Any = None, steps: int = 1000, rng: Any = 0
) -> float:
    """The factor per step by which both gradients shrink or grow, in a run of the method from near a saddle point.

    It is the slope of logarithms over the late half, as one would read it off a plot: modes of nearly equal rate make
    it lag behind. Gradients vanish on a whole family of saddle points where there is one: compare `Forecast.across`.

    Parameters
    ----------
    game, rates, method, saddle
        As for `predict_gda`; players are numpy arrays.
    steps : int
        The run's length; it ends earlier where it leaves the linear range. The second half counts.
    rng : int or numpy Generator
        Draws the first move away from the saddle point.
    """
    step = resolve_step(method)
    x, y = two_players(_saddle(game, saddle))
    point, n = np.concatenate([flat(x), flat(y)]), flat(x).size
    move = as_rng(rng).standard_normal(len(point))
    start = point + AWAY * max(1.0, float(np.abs(point).max())) / np.linalg.norm(move) * move
    state = State(like(x, start[:n]), like(y, start[n:]))
    sizes: list[float] = []
    for _ in range(check_count(steps, "steps")):
        size = float(np.linalg.norm(np.concatenate([flat(part) for part in game.gradients(state.x, state.y)])))
        if sizes and not LINEAR[0] < size / sizes[0] < LINEAR[1]:
            break
        sizes.append(size)
        state = step(game, state, rates)
    late = np.log(sizes[len(sizes) // 2 :])
    return float(np.exp(np.polyfit(np.arange(len(late)), late, 1)[0])) if len(late) > 2 else float("nan")


def _game(problem: Game | Solution, X: Any) -> Game:
    if isinstance(problem, Solution):
        if X is None:
            raise ValueError("X is missing: a Solution does not keep its data, pass the real samples as X=.")
        return SolvedGame(problem, X)
    if X is not None:
        raise ValueError("X is for a Solution only: leave it out.")
    return problem


def _saddle(game: Game, saddle: Any) -> Any:
    """The given saddle point, or that of the game."""
    found = getattr(game, "saddle", None) if saddle is None else saddle
    if found is None:
        raise ValueError("saddle is missing: pass the players (x, y) at which both gradients vanish.")
    return found


def _per_step(found: Prediction, period: int) -> Prediction:
    """What is predicted of so many steps together, its rate that of one."""
    return found if period == 1 else Prediction(found.eigenvalues, found.rate ** (1 / period), found.phase)


def _forecast(eigenvalues: Any, neurons: int | None, period: int, *, complete: bool) -> Forecast:
    found = _per_step(classify(eigenvalues[np.argsort(-np.abs(eigenvalues), kind="stable")]), period)
    return Forecast(found.eigenvalues, found.rate, found.phase, complete, neurons, period)


def _leading(tangent: Tangent, schedule: list[tuple[float, float]], step: Step) -> NDArray[np.complex128] | None:
    """The eigenvalues of the steps with the largest moduli, from products; None where these do not tell them."""
    n, m = tangent.sizes
    try:
        steps = [LinearStep(tangent, np.zeros(n), np.zeros(m), rates, step) for rates in schedule]
    except NotImplementedError:  # a step with second derivatives, of numpy players
        return None
    one = steps[0]

    def product(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        state = vector.ravel()
        for each in steps:
            state = each(state)
        return state

    size = one.size
    start = np.random.default_rng(0).standard_normal(size)
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    options = {"ncv": 12 * LEADING, "maxiter": RESTARTS, "tol": ON_CIRCLE / 100}
    try:
        return np.asarray(eigs(operator, k=LEADING, which="LM", v0=start, return_eigenvectors=False, **options))
    except ArpackNoConvergence as error:
        if COPIES * 8 * size**2 <= physical_memory() // 2:
            return None
        raise SolverError(
            f"Arnoldi iteration separated {len(error.eigenvalues)} of the {LEADING} leading eigenvalues of {size}: "
            "they lie too close together, and there is no memory for all of them. Larger step sizes spread them, or "
            "predict a smaller game."
        ) from None
