"""The package's exceptions. Bad arguments raise ``ValueError``; these say that a game has no answer."""

from __future__ import annotations


class ConvexGANError(Exception):
    """An error of the package that is not a bad argument."""


class InfeasibleError(ConvexGANError):
    """No generator of the class satisfies the constraint ``ipm <= beta``, which is proved.

    Attributes
    ----------
    smallest_beta : float
        A ``beta`` with which the same call succeeds: the smallest one for closed forms, and for programs whose
        relaxation is exact; otherwise one that was tried. inf if constraints that were added to a program contradict
        it.
    """

    def __init__(self, message: str, smallest_beta: float) -> None:
        super().__init__(message)
        self.smallest_beta = smallest_beta


class UnboundedError(ConvexGANError):
    """The program has no finite optimum, which extra constraints or a wrong objective can cause."""


class SolverError(ConvexGANError):
    """The backend stopped without an answer; the message carries its status and what to try."""
