"""GANs in torch beside their certified optimum: players, training, the exact discriminator, the duality gap."""

try:
    from convexgan.torch.conversion import from_solution, to_critic, to_generator
    from convexgan.torch.modules import FreeGenerator, LinearGenerator, TwoLayerDiscriminator, TwoLayerGenerator
except ModuleNotFoundError as error:
    message = f"convexgan.torch needs {error.name}: pip install 'convexgan[torch]'."
    raise ModuleNotFoundError(message, name=error.name) from None

__all__ = [
    "FreeGenerator",
    "LinearGenerator",
    "TwoLayerDiscriminator",
    "TwoLayerGenerator",
    "from_solution",
    "to_critic",
    "to_generator",
]
