"""Wasserstein GANs with two-layer discriminators, solved by convex duality with a certificate.

>>> import numpy as np, convexgan as cg
>>> X = np.random.default_rng(0).standard_normal((200, 5))
>>> sol = cg.solve(X, cg.GaussianLatent(5), discriminator="quadratic", beta=0.1)
>>> sol.certificate.kind
'saddle'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from convexgan import discriminators, generators
from convexgan.balance import Balance, balance
from convexgan.certify import certify
from convexgan.discrepancy import IPM, HeldOut, held_out, ipm
from convexgan.exceptions import ConvexGANError, InfeasibleError, SolverError, UnboundedError
from convexgan.records.certificate import Certificate
from convexgan.records.conditional import ConditionalSolution
from convexgan.records.files import load
from convexgan.records.solution import Solution, Status
from convexgan.solve import path, program, select_method, solve
from convexgan.statistics.latents import GaussianLatent
from convexgan.statistics.moments import Moments
from convexgan.two_sample import TwoSampleTest, two_sample_test
from convexgan.verify import verify

if TYPE_CHECKING:
    from convexgan.estimators import ConvexWGAN
    from convexgan.progressive import ProgressiveConvexGAN

# loaded when they are asked for: some need scikit-learn, torch or cvxpy
_ROOMS = (
    "arrangements",
    "datasets",
    "dynamics",
    "gaussian",
    "linear_gan",
    "metrics",
    "plotting",
    "problems",
    "programs",
    "progressive",
    "torch",
    "updates",
)

__version__ = "0.2.0"

__all__ = [
    "IPM",
    "Balance",
    "Certificate",
    "ConditionalSolution",
    "ConvexGANError",
    "ConvexWGAN",
    "GaussianLatent",
    "HeldOut",
    "InfeasibleError",
    "Moments",
    "ProgressiveConvexGAN",
    "Solution",
    "SolverError",
    "Status",
    "TwoSampleTest",
    "UnboundedError",
    "balance",
    "certify",
    "discriminators",
    "generators",
    "held_out",
    "ipm",
    "load",
    "path",
    "program",
    "select_method",
    "solve",
    "two_sample_test",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load what needs scikit-learn or torch only when it is asked for (PEP 562)."""
    if name == "ConvexWGAN":
        from convexgan.estimators import ConvexWGAN

        return ConvexWGAN
    if name == "ProgressiveConvexGAN":
        from convexgan.progressive import ProgressiveConvexGAN

        return ProgressiveConvexGAN
    if name in _ROOMS:
        return import_module(f"convexgan.{name}")
    raise AttributeError(f"module 'convexgan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
