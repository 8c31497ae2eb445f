"""The exact solution, with its certificate."""

from benchopt import BaseSolver
from benchopt.stopping_criterion import SingleRunCriterion

import convexgan as cg
from convexgan.problems import GANProblem, MixtureProblem
from convexgan.torch import from_solution
from convexgan.updates import State


class Solver(BaseSolver):
    """`convexgan.solve`, and the generator's weights of what it returns; one point, no curve."""

    name = "exact"
    requirements = ("pip::convexgan[torch]",)
    sampling_strategy = "run_once"
    stopping_criterion = SingleRunCriterion()

    def skip(self, problem):
        """Where there is nothing to solve, or the answer is a law and no weights."""
        if not isinstance(problem, GANProblem) or isinstance(problem, MixtureProblem):
            return True, "only games of one generator with weights are solved in closed form here"
        return False, None

    def set_objective(self, problem):
        """Keep the problem."""
        self.problem = problem

    def run(self, stop_val):
        """Solve."""
        self.solution = cg.solve(self.problem.X, self.problem.Z, **self.problem.options)

    def get_result(self):
        """The generator's weights, beside any discriminator: the error asks for the best response to the generator."""
        generator, _ = from_solution(self.solution)
        weights = tuple(part.detach().double() for part in generator.parameters())
        return {"state": State(weights, self.problem.start(0).y)}
