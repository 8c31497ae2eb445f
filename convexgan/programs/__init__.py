"""The games as cvxpy programs: constraints, recovery of both players, solvers."""

from convexgan.conic.solvers import choose_backend, mosek_licence
from convexgan.programs.low_rank import local_optima, nearest, too_large
from convexgan.programs.program import Program, build_program
from convexgan.programs.relu_program import IPMProgram, ProgramOptimum, ipm_program, relu_program

__all__ = [
    "IPMProgram",
    "Program",
    "ProgramOptimum",
    "build_program",
    "choose_backend",
    "ipm_program",
    "local_optima",
    "mosek_licence",
    "nearest",
    "relu_program",
    "too_large",
]
