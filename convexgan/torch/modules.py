"""The players as torch modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from convexgan._tools.checks import check_choice, check_count, check_number
from convexgan.discriminators import as_game_discriminator
from convexgan.discriminators.activation import Activation, RowActivation, is_kinked, needs_rows
from convexgan.generators import Free, Linear, TwoLayerPolynomial


def activate(activation: Activation, t: Tensor) -> Tensor:
    """s(t), elementwise."""
    if is_kinked(activation):
        return torch.relu(t) - activation.slope * torch.relu(-t) if activation.slope else torch.relu(t)
    if needs_rows(activation):
        return torch.relu(t) ** activation.degree
    a, b, c = activation.coefficients
    return (a * t + b) * t + c


def slopes_of(activation: RowActivation, t: Tensor) -> Tensor:
    """s'(t), elementwise; that of t < 0 where s bends."""
    if is_kinked(activation):
        return torch.where(t > 0, 1.0, activation.slope).to(t)
    return activation.degree * torch.relu(t) ** (activation.degree - 1)


class TwoLayerDiscriminator(nn.Module):
    """D(x) = sum_j outer_j s(u_j . x + b_j), where (u_j, b_j) is neuron j divided by its norm.

    So its norm is |outer|_1 whatever the activation, and a step in the neurons can only turn them.

    Parameters
    ----------
    dim : int
        Columns d of the data; samples of any other shape are flattened to rows.
    width : int
        Neurons m.
    activation : "relu", "absolute", "linear", ... or an instance of `convexgan.discriminators`
    bias : "none", "penalized" or "free"
        Whether a neuron has a bias, and whether it counts in the neuron's norm.

    Attributes
    ----------
    neurons : (m, d) parameter, (m, d + 1) with a bias, which comes last
    outer : (m,) parameter

    Examples
    --------
    >>> import torch
    >>> from convexgan.torch import TwoLayerDiscriminator
    >>> D = TwoLayerDiscriminator(3, 8, "quadratic")
    >>> D(torch.ones(5, 3)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        dim: int,
        width: int,
        activation: str | Activation = "relu",
        *,
        bias: str = "none",
        dtype: torch.dtype | None = None,
        device: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.activation = check_count(dim, "dim"), as_game_discriminator(activation)
        self.bias = check_choice(bias, "bias", ("none", "penalized", "free"))
        shape = check_count(width, "width", 0), dim + (bias != "none")
        self.neurons = nn.Parameter(torch.randn(shape, dtype=dtype, device=device))
        signs = torch.ones(width, dtype=dtype, device=device)
        signs[1::2] = -1
        self.outer = nn.Parameter(signs / max(width, 1))
        with torch.no_grad():
            self.neurons.div_(self._norms())

    @property
    def game_settings(self) -> dict[str, Any]:
        """The class of discriminators that it is of, as `certify` takes it."""
        return {"discriminator": self.activation, "bias": self.bias}

    def _norms(self) -> Tensor:
        charged = self.neurons[:, : self.dim] if self.bias == "free" else self.neurons
        sizes: Tensor = torch.linalg.vector_norm(charged, dim=1, keepdim=True)
        return sizes.clamp_min(1e-30)

    def unit(self) -> tuple[Tensor, Tensor | None]:
        """The directions u, (m, d), and the biases, (m,) or None."""
        scaled = self.neurons / self._norms()
        return (scaled, None) if self.bias == "none" else (scaled[:, : self.dim], scaled[:, self.dim])

    def forward(self, X: Tensor) -> Tensor:
        """The scores, (n,), of samples (n, ...).

        Raises
        ------
        ValueError
            The samples have another number of entries.
        """
        rows, (u, b) = X.flatten(1), self.unit()
        if rows.shape[1] != self.dim:
            raise ValueError(f"the discriminator takes samples of {self.dim} numbers, got shape {tuple(X.shape)}.")
        t = rows @ u.T
        return activate(self.activation, t if b is None else t + b) @ self.outer

    def penalty(self) -> Tensor:
        """|v|_1 = sum_j |outer_j|, what beta multiplies and lam bounds."""
        return self.outer.abs().sum()

    @torch.no_grad()
    def projected(self, lam: float | None = None) -> dict[str, Tensor]:
        """The parameters with neurons of norm one, and outer weights moved to the nearest with |v|_1 <= lam."""
        outer = self.outer if lam is None else nearest_in_l1_ball(self.outer, lam)
        return {"neurons": self.neurons / self._norms(), "outer": outer}

    def extra_repr(self) -> str:
        """The settings that `print` shows."""
        return f"{self.dim}, {len(self.outer)}, {self.activation}, bias={self.bias!r}"


def nearest_in_l1_ball(v: Tensor, radius: float) -> Tensor:
    """The Euclidean projection of v, (m,), on |v|_1 <= radius.

    References
    ----------
    Duchi et al., Efficient projections onto the l1-ball, 2008, figure 1.
    """
    check_number(radius, "radius")
    if v.numel() == 0 or float(v.abs().sum()) <= radius:
        return v
    return torch.sign(v) * torch.relu(v.abs() - threshold(v.abs(), radius))


def threshold(sizes: Tensor, total: float) -> Tensor:
    """The t with sum_i max(sizes_i - t, 0) = total, for sizes (m,)."""
    ordered = sizes.sort(descending=True).values
    levels = (ordered.cumsum(0) - total) / torch.arange(1, len(sizes) + 1, dtype=sizes.dtype, device=sizes.device)
    return levels[max(int((ordered > levels).sum()), 1) - 1]  # a tiny total is lost in the first sum


class LinearGenerator(nn.Module):
    """G(z) = weights' z (+ bias).

    Parameters
    ----------
    latent_dim, dim : int
        k and d.
    bias : bool

    Attributes
    ----------
    weights : (k, d) parameter
    bias : (d,) parameter or None
    """

    def __init__(
        self, latent_dim: int, dim: int, *, bias: bool = False, dtype: torch.dtype | None = None, device: Any = None
    ) -> None:
        super().__init__()
        self.latent_dim, self.dim = check_count(latent_dim, "latent_dim"), check_count(dim, "dim")
        self.weights = nn.Parameter(torch.randn(latent_dim, dim, dtype=dtype, device=device) / latent_dim**0.5)
        self.bias = nn.Parameter(torch.zeros(dim, dtype=dtype, device=device)) if bias else None

    @property
    def generator_class(self) -> Linear:
        """Whose optimum is known."""
        return Linear(bias=self.bias is not None)

    def forward(self, Z: Tensor) -> Tensor:
        """The generated rows, (n, d), for latents (n, k)."""
        return Z @ self.weights if self.bias is None else Z @ self.weights + self.bias


class TwoLayerGenerator(nn.Module):
    """G(z) = outer' s(hidden z).

    Parameters
    ----------
    latent_dim, dim, width : int
        k, d and the number of hidden neurons h.
    activation : "relu", "polynomial", ... or an instance of `convexgan.discriminators`

    Attributes
    ----------
    hidden : (h, k) parameter
    outer : (h, d) parameter
    """

    def __init__(
        self,
        latent_dim: int,
        dim: int,
        width: int,
        activation: str | Activation = "relu",
        *,
        dtype: torch.dtype | None = None,
        device: Any = None,
    ) -> None:
        super().__init__()
        self.latent_dim, self.dim = check_count(latent_dim, "latent_dim"), check_count(dim, "dim")
        self.activation = as_game_discriminator(activation)
        check_count(width, "width")
        self.hidden = nn.Parameter(torch.randn(width, latent_dim, dtype=dtype, device=device) / latent_dim**0.5)
        self.outer = nn.Parameter(torch.randn(width, dim, dtype=dtype, device=device) / width**0.5)

    @property
    def generator_class(self) -> TwoLayerPolynomial | None:
        """Whose optimum is known; None for neurons that are no polynomials."""
        return None if needs_rows(self.activation) else TwoLayerPolynomial(*self.activation.coefficients)

    def forward(self, Z: Tensor) -> Tensor:
        """The generated rows, (n, d), for latents (n, k)."""
        return activate(self.activation, Z @ self.hidden.T) @ self.outer


class FreeGenerator(nn.Module):
    """A generator whose rows are its parameters: whatever the latents, it returns all of them.

    Attributes
    ----------
    points : (n, d) parameter
    """

    latent_dim = 1

    def __init__(self, points: Tensor) -> None:
        super().__init__()
        self.points = nn.Parameter(points.detach().clone())

    @property
    def generator_class(self) -> Free:
        """Whose optimum is known."""
        return Free(len(self.points))

    def forward(self, Z: Tensor | None = None) -> Tensor:
        """The rows, (n, d)."""
        return self.points
