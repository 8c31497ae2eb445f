"""GANs in torch beside their certified optimum: players, training, the exact discriminator, the duality gap."""

try:
    from convexgan.torch.audit import Audit, audit
    from convexgan.torch.conversion import from_solution, to_critic, to_generator
    from convexgan.torch.exact import ExactDiscriminatorLoss
    from convexgan.torch.gap import DualityGap, duality_gap
    from convexgan.torch.growing import GrowingStage, grow
    from convexgan.torch.loop import Outcome, Training
    from convexgan.torch.memory import register_memory
    from convexgan.torch.modules import FreeGenerator, LinearGenerator, TwoLayerDiscriminator, TwoLayerGenerator
    from convexgan.torch.objective import Objective
    from convexgan.torch.pictures import PictureSource
    from convexgan.torch.players import Adapted
    from convexgan.torch.progressive import ConvolutionalDiscriminator, ProgressiveGenerator, quadratic_discriminator
    from convexgan.torch.training import train
except ModuleNotFoundError as error:
    message = f"convexgan.torch needs {error.name}: pip install 'convexgan[torch]'."
    raise ModuleNotFoundError(message, name=error.name) from None

__all__ = [
    "Adapted",
    "Audit",
    "ConvolutionalDiscriminator",
    "DualityGap",
    "ExactDiscriminatorLoss",
    "FreeGenerator",
    "GrowingStage",
    "LinearGenerator",
    "Objective",
    "Outcome",
    "PictureSource",
    "ProgressiveGenerator",
    "Training",
    "TwoLayerDiscriminator",
    "TwoLayerGenerator",
    "audit",
    "duality_gap",
    "from_solution",
    "grow",
    "quadratic_discriminator",
    "register_memory",
    "to_critic",
    "to_generator",
    "train",
]
