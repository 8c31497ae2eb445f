"""A pair of torch's own optimisers, one for each player, as GANs are usually trained."""

import torch
from benchopt import BaseSolver

from convexgan.updates import State

MAKERS = {
    "SGD": lambda parameters, rate, up: torch.optim.SGD(parameters, rate, momentum=0.9, maximize=up),
    "Adam": lambda parameters, rate, up: torch.optim.Adam(parameters, rate, betas=(0.5, 0.9), maximize=up),
    "RMSprop": lambda parameters, rate, up: torch.optim.RMSprop(parameters, rate, maximize=up),
}


class Solver(BaseSolver):
    """Simultaneous steps of two optimisers, from random weights."""

    name = "torch pair"
    requirements = ("pip::convexgan[torch]",)
    parameters = {"optimizer": ["SGD", "Adam", "RMSprop"], "rate": [0.01]}  # noqa: RUF012

    def set_objective(self, problem):
        """Keep the problem."""
        self.problem = problem

    def run(self, callback):
        """Step until benchopt has seen enough."""
        game, self.state = self.problem.game(), self.problem.start(0)
        players = [[torch.nn.Parameter(part) for part in player] for player in self.state[:2]]
        pair = [MAKERS[self.optimizer](own, self.rate, up) for own, up in zip(players, (False, True), strict=True)]
        while callback():
            gradients = game.gradients(*self.state[:2])
            for own, slopes, optimizer in zip(players, gradients, pair, strict=True):
                for part, slope in zip(own, slopes, strict=True):
                    part.grad = slope
                optimizer.step()
            x, y = (tuple(part.detach().clone() for part in own) for own in players)
            self.state = self.problem.project(State(x, y))
            for part, moved in zip(players[1], self.state.y, strict=True):
                part.data = moved.clone()

    def get_result(self):
        """The players."""
        return {"state": self.state}
