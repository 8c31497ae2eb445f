"""Min-max problems with a certified optimum, to judge optimisers by: named, versioned, fingerprinted."""

try:
    from convexgan.problems.catalogue import list
    from convexgan.problems.conditional import ConditionalProblem
    from convexgan.problems.families import draw, families
    from convexgan.problems.gans import GANProblem
    from convexgan.problems.kernels import KernelProblem
    from convexgan.problems.mixtures import MixtureProblem
    from convexgan.problems.problem import Measure, Problem
    from convexgan.problems.saddles import SaddleProblem
    from convexgan.problems.scalars import ScalarProblem
    from convexgan.problems.stochastic import BatchProblem, StochasticProblem
    from convexgan.problems.suite import load, suite
except ModuleNotFoundError as error:
    message = f"convexgan.problems needs {error.name}: pip install 'convexgan[torch]'."
    raise ModuleNotFoundError(message, name=error.name) from None

__all__ = [
    "BatchProblem",
    "ConditionalProblem",
    "GANProblem",
    "KernelProblem",
    "Measure",
    "MixtureProblem",
    "Problem",
    "SaddleProblem",
    "ScalarProblem",
    "StochasticProblem",
    "draw",
    "families",
    "list",
    "load",
    "suite",
]
