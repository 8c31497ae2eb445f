"""Progressive generation in closed form: pyramid, stages, model."""

from convexgan.progressive.model import ProgressiveConvexGAN
from convexgan.progressive.stages import Stage

__all__ = ["ProgressiveConvexGAN", "Stage"]
