"""Players of others: what wraps them is taken off, what they take and make is adapted, and what fits not is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from convexgan._tools.checks import is_exhausted


def unwrapped(module: Any) -> Any:
    """The module within what `torch.compile`, DataParallel and DistributedDataParallel put around it."""
    while True:
        inner = module.module if is_parallel(module) else getattr(module, "_orig_mod", module)
        if inner is module:
            return module
        module = inner


def is_parallel(module: Any) -> bool:
    """Whether the module is spread over devices or processes."""
    return isinstance(module, DataParallel | DistributedDataParallel)


class Adapted(nn.Module):
    """A player whose arguments and output are brought to what games take: one tensor in, one tensor out.

    Parameters
    ----------
    module : nn.Module
        Anybody's generator or discriminator.
    inputs : function, optional
        From the latents, or the samples, to the tuple of the module's arguments.
    output : function, optional
        From what the module returns to a tensor.

    Examples
    --------
    A generator of classes whose latents carry the label in their last column, and that returns a dict:

    >>> import torch
    >>> from torch import nn
    >>> from convexgan.torch import Adapted
    >>> class Conditional(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.embed, self.last = nn.Embedding(3, 4), nn.Linear(8, 5)
    ...     def forward(self, z, label):
    ...         return {"sample": self.last(torch.cat([z, self.embed(label)], 1)), "label": label}
    >>> G = Adapted(Conditional(), lambda z: (z[:, :4], z[:, 4].long()), lambda made: made["sample"])
    >>> G(torch.cat([torch.randn(6, 4), torch.randint(3, (6, 1))], 1)).shape
    torch.Size([6, 5])
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Callable[[Any], tuple[Any, ...]] | None = None,
        output: Callable[[Any], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.module, self.inputs, self.output = module, inputs, output

    @property
    def latent_dim(self) -> Any:
        """The module's, where its latents are not adapted."""
        return None if self.inputs is not None else getattr(self.module, "latent_dim", None)

    def forward(self, given: Any) -> Any:
        """The adapted output."""
        made = self.module(given) if self.inputs is None else self.module(*self.inputs(given))
        return made if self.output is None else self.output(made)


def one_tensor(made: Any, player: str) -> Tensor:
    """What a player returned; ValueError unless it is a tensor."""
    if isinstance(made, Tensor):
        return made
    kind, pick = type(made).__name__, "made.sample"
    if isinstance(made, Mapping):
        kind, pick = f"dict with the keys {', '.join(map(repr, made))}", f"made[{next(iter(made), 0)!r}]"
    elif isinstance(made, tuple | list):
        kind, pick = f"{kind} of {len(made)}", "made[0]"
    raise ValueError(
        f"the {player} returns a {kind}, and one tensor is needed: wrap it, "
        f"Adapted({player}, output=lambda made: {pick})."
    )


def generated_by(generator: nn.Module, latents: Any) -> Tensor:
    """What the generator makes of one batch of latents; ValueError if it takes something else."""
    try:
        made = generator(latents)
    except (TypeError, RuntimeError, IndexError) as error:
        if is_exhausted(error):
            raise
        shape = "" if latents is None else f" of shape {tuple(latents.shape)}"
        raise ValueError(
            f"the generator does not take latents{shape} ({error}): latents=(k, 1, 1) draws Gaussian ones of that "
            "shape; Adapted(generator, inputs=lambda given: (...)) makes its arguments of them."
        ) from error
    return one_tensor(made, "generator")
