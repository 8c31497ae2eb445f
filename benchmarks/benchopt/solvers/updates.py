"""The step functions of `convexgan.updates`."""

from functools import partial

from benchopt import BaseSolver

from convexgan.updates import adam, alternating, optimistic_adam, resolve_step, simultaneous

MOMENTS = {"betas": (0.5, 0.9)}
TRANSFORMED = {
    "adam": partial(alternating, transform=partial(adam, **MOMENTS)),
    "optimistic_adam": partial(simultaneous, transform=partial(optimistic_adam, **MOMENTS)),
}


class Solver(BaseSolver):
    """One method with one step size for both players, from random weights."""

    name = "updates"
    requirements = ("pip::convexgan[torch]",)
    parameters = {  # noqa: RUF012
        "method": ["alternating", "extragradient", "optimistic", "adam", "optimistic_adam"],
        "rate": [0.03],
    }

    def set_objective(self, problem):
        """Keep the problem."""
        self.problem = problem
        self.step = TRANSFORMED.get(self.method) or resolve_step(self.method)

    def run(self, callback):
        """Step until benchopt has seen enough."""
        game, self.state = self.problem.game(), self.problem.start(0)
        while callback():
            self.state = self.problem.project(self.step(game, self.state, self.rate))

    def get_result(self):
        """The players."""
        return {"state": self.state}
