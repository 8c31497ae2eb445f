"""How far a state is from the certified optimum of a min-max problem."""

from benchopt import BaseObjective
from benchopt.stopping_criterion import NoCriterion

import convexgan as cg


class Objective(BaseObjective):
    """The error of `convexgan.problems`: the larger of relative gap and violation, or a distance; 0 at the optimum."""

    name = "min-max with a certified optimum"
    requirements = ("pip::convexgan[torch]",)
    min_benchopt_version = "1.7"
    sampling_strategy = "callback"
    stopping_criterion = NoCriterion()  # errors stay level for long before they fall

    def set_data(self, instance):
        """Take an instance of the suite by its name, and solve it."""
        self.problem = cg.problems.load(instance)
        self.optimum = self.problem.value

    def get_objective(self):
        """What solvers are given: the problem with its game, start and projection."""
        return {"problem": self.problem}

    def evaluate_result(self, state):
        """The numbers of `problem.measure`, those that benchopt plots; value is the error."""
        found = self.problem.measure(state)
        numbers = {"gap": found.gap, "violation": found.violation, "distance": found.distance}
        return {"value": found.error, "optimum": self.optimum, **numbers}

    def get_one_result(self):
        """A state, to try evaluate_result with."""
        return {"state": self.problem.start(0)}
