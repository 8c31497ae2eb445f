"""The gradient descent-ascent family as pure step functions: state in, state out, on arrays of any library."""

from convexgan.updates.adam import adam
from convexgan.updates.alternating import alternating
from convexgan.updates.averaging import Average, average
from convexgan.updates.consensus import consensus
from convexgan.updates.extragradient import extragradient
from convexgan.updates.game import DifferentiableGame, Game, Player, Rates, State, Transform
from convexgan.updates.generative_minimization import generative_minimization
from convexgan.updates.methods import METHODS, Step, resolve_step
from convexgan.updates.optimistic import optimistic, optimistic_adam
from convexgan.updates.simultaneous import simultaneous
from convexgan.updates.unrolled import unrolled

__all__ = [
    "METHODS",
    "Average",
    "DifferentiableGame",
    "Game",
    "Player",
    "Rates",
    "State",
    "Step",
    "Transform",
    "adam",
    "alternating",
    "average",
    "consensus",
    "extragradient",
    "generative_minimization",
    "optimistic",
    "optimistic_adam",
    "resolve_step",
    "simultaneous",
    "unrolled",
]
