"""The three toy games of Generative Minimization Networks: where does descent on the duality gap end, and where GDA?

Grnarova et al. (arXiv 2103.12685) descend the gap between two best responses, each found by k = 5 steps, and show it to
converge where descent-ascent does not. Start (5, 7), steps .05, until both players move by less than 5e-6.

"Nash": x cannot do better locally, nor y (f_xx >= 0 >= f_yy); "minimax": y cannot, and x cannot if y responds
(f_yy < 0 <= f_xx - f_xy^2 / f_yy). The gap method ends in all three, in a minimax point of f1 and f3 that is no Nash
equilibrium, and in a point of f2 that is neither: the maximiser would leave it. With equal steps descent-ascent
diverges on f1, circles on f3 and ends on f2 in the same point; with ten times larger steps for y, and small ones, it
reaches the minimax points of f1 and f3 as well, in six to nine times as many steps.

Example: python -m benchmarks.gap_claims --quick
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from benchmarks._report import parse, write
from convexgan.updates import Game, State, alternating, extragradient, generative_minimization, simultaneous

GAMES = {
    "f1": lambda x, y: -3 * x**2 - y**2 + 4 * x * y,
    "f2": lambda x, y: 3 * x**2 + y**2 + 4 * x * y,
    "f3": lambda x, y: (4 * x**2 - (y - 3 * x + 0.05 * x**3) ** 2 - 0.1 * y**4) * torch.exp(-0.01 * (x**2 + y**2)),
}
METHODS = {
    "simultaneous": (simultaneous, 0.05),
    "alternating": (alternating, 0.05),
    "extragradient": (extragradient, 0.05),
    "alternating, y ten times": (alternating, (0.05, 0.5)),
    "alternating, y ten times, small": (alternating, (0.005, 0.05)),
    "duality gap, k = 5": (partial(generative_minimization, depth=5), 0.05),
}


class Toy(Game):
    """A payoff of two numbers."""

    def __init__(self, payoff: object) -> None:
        self.payoff = payoff

    def grad_x(self, x: float, y: float) -> float:
        return self.slopes(x, y)[0]

    def grad_y(self, x: float, y: float) -> float:
        return self.slopes(x, y)[1]

    def slopes(self, x: float, y: float) -> np.ndarray:
        point = torch.tensor([x, y], dtype=torch.float64)
        return np.asarray(torch.autograd.functional.jacobian(lambda p: self.payoff(p[0], p[1]), point))

    def bends(self, x: float, y: float) -> np.ndarray:
        point = torch.tensor([x, y], dtype=torch.float64)
        return np.asarray(torch.autograd.functional.hessian(lambda p: self.payoff(p[0], p[1]), point))


def ended(game: Toy, method: str, limit: int) -> list[object]:
    """Steps, end, and what it is."""
    step, rates = METHODS[method]
    state = State(5.0, 7.0)
    for number in range(1, limit + 1):
        after = step(game, state, rates)
        moved = max(abs(after.x - state.x), abs(after.y - state.y))
        state = after
        if not np.isfinite(moved) or max(abs(after.x), abs(after.y)) > 1e6:
            return [f"diverges by {number}", "", "", ""]
        if moved < 5e-6:
            xx, xy, _, yy = game.bends(state.x, state.y).ravel()
            minimax = yy < 0 <= xx - xy**2 / yy
            return [
                number,
                f"({state.x:.2g}, {state.y:.2g})",
                "yes" if xx >= 0 >= yy else "no",
                "yes" if minimax else "no",
            ]
    return [f"moves after {limit}", f"({state.x:.2g}, {state.y:.2g})", "", ""]


def main() -> None:
    """Every method on every game."""
    options = parse(__doc__)
    limit = 1000 if options.quick else 5000
    rows = [[game, method, *ended(Toy(payoff), method, limit)] for game, payoff in GAMES.items() for method in METHODS]
    write("gap_claims", ["game", "method", "steps", "end", "Nash", "minimax"], rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
