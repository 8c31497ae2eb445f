"""The games as cvxpy programs: constraints, recovery of both players, solvers."""

from convexgan.programs.backends import choose_backend, mosek_licence
from convexgan.programs.program import Program, build_program

__all__ = ["Program", "build_program", "choose_backend", "mosek_licence"]
