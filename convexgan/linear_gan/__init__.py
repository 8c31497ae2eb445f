"""Linear GANs: test error and training against the latent dimension, without pairs, with fixed pairs, and with both."""

from convexgan.linear_gan.adversarial import (
    AdversarialGame,
    AdversarialRuns,
    adversarial_modes,
    linearize_adversarial,
    paired_modes,
    train_adversarial,
)
from convexgan.linear_gan.expectations import (
    ExpectedError,
    amplification,
    best_dimension,
    expected_error,
    fluctuation,
    shrinkage,
)
from convexgan.linear_gan.features import RandomFeatures
from convexgan.linear_gan.learners import half_step, pseudo_supervised, unsupervised
from convexgan.linear_gan.mixed import Mixed, mixed, mixed_path
from convexgan.linear_gan.sweeps import Setting, Sweep, predicted, sweep

__all__ = [
    "AdversarialGame",
    "AdversarialRuns",
    "ExpectedError",
    "Mixed",
    "RandomFeatures",
    "Setting",
    "Sweep",
    "adversarial_modes",
    "amplification",
    "best_dimension",
    "expected_error",
    "fluctuation",
    "half_step",
    "linearize_adversarial",
    "mixed",
    "mixed_path",
    "paired_modes",
    "predicted",
    "pseudo_supervised",
    "shrinkage",
    "sweep",
    "train_adversarial",
    "unsupervised",
]
