"""The exact discriminator as a loss: no network to train, no chattering, the gradient by Danskin's theorem."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convexgan._tools.arrays import ordered
from convexgan._tools.checks import check_choice, check_count, check_finite, check_number
from convexgan._tools.tables import column_names
from convexgan.discrepancy import IPM, ipm
from convexgan.discriminators import as_game_discriminator
from convexgan.discriminators.activation import Activation, is_kinked, needs_rows
from convexgan.statistics.moments import Moments
from convexgan.torch.ascent import distinct, relu_ascent, relu_search, slopes_at_best, unit
from convexgan.torch.modules import activate, nearest_in_l1_ball
from convexgan.torch.players import one_tensor
from convexgan.torch.samples import flat, is_batched, moments
from convexgan.torch.subspace import dense_extremes, krylov_extremes

DENSE = 128  # columns up to which the difference of moments is formed and decomposed
SEARCHED = 3  # columns up to which ReLU neurons are searched exactly at every call


class Response(NamedTuple):
    """The best response of the last call.

    Attributes
    ----------
    value : float
        The ipm: what the best of the directions sees, a lower bound that is attained.
    directions : (k, d) tensor, (k, d + 1) with a bias
        Unit neurons.
    weights : (k,) tensor
        Signed, |weights|_1 <= 1: the discriminator sum_j weights_j s(u_j . x) whose gradient was used.
    residual : float
        Relative residual of the directions; 0 where they were computed exactly, NaN where they were found by ascent.
    """

    value: float
    directions: Tensor
    weights: Tensor
    residual: float


class ExactDiscriminatorLoss(nn.Module):
    """lam * max(ipm(X, Y) - beta, 0) of generated samples Y: what the best discriminator with |v|_1 <= lam sees.

    Near the optimum several neurons are equally good, and a gradient that follows one of them at a time chatters. So
    neurons whose value is close to the best share the weight: the loss is the maximum of
    sum_j v_j g_j - smoothing * size * |v|^2 / 2 over |v|_1 <= 1, with g_j what neuron j sees and size = ipm(X, 0). It
    lies below the ipm by at most smoothing * size / 2, has a continuous gradient for quadratic neurons, and is the ipm
    itself at ``smoothing=0``.

    Parameters
    ----------
    X : (n, ...) array, tensor or Moments, PictureSource, data set or loader of torch, or an iterator of batches
        Real samples, once and for all: linear, quadratic and polynomial neurons need only their moments. ReLU neurons
        need the rows.
    discriminator : "linear", "quadratic", "polynomial", "relu", "absolute", "squared_relu" or an instance
    lam : float
        The discriminator's norm.
    beta : float
        The ipm that costs nothing. With lam large enough the minimum is that of the game with penalty beta.
    bias : "none", "penalized" or "free"
        "free" is for ReLU, leaky and absolute neurons.
    smoothing : float
        See above, relative to ipm(X, 0). The larger, the longer the steps that still settle.
    directions : int
        Neurons that are kept from one call to the next and share the weight.
    tol : float
        Relative residual at which an iterative search for them stops (more than 128 columns).

    Notes
    -----
    Up to 128 columns linear, quadratic and polynomial neurons are exact to rounding; above, eigenvectors are warm
    started and their residual is in ``response``. ReLU neurons are searched exactly up to three columns (a bias is
    one), and above by ascent from the neurons of earlier calls, with fresh random ones among them: the value is
    attained, but may not be the largest. `ipm` gives the proved bounds.

    Examples
    --------
    >>> import torch
    >>> from convexgan.torch import ExactDiscriminatorLoss
    >>> loss = ExactDiscriminatorLoss(torch.eye(3) * 3, "quadratic", smoothing=0)
    >>> Y = torch.zeros(4, 3, requires_grad=True)
    >>> loss(Y).item()
    3.0
    """

    pool: Tensor
    calls: Tensor
    mean: Tensor
    rows: Tensor
    second: Tensor
    factor: Tensor
    data: Moments | NDArray[Any]
    response: Response | None

    def __init__(
        self,
        X: Any,
        discriminator: str | Activation = "quadratic",
        lam: float = 1.0,
        *,
        beta: float = 0.0,
        bias: str = "none",
        smoothing: float = 0.05,
        directions: int = 8,
        tol: float = 1e-4,
    ) -> None:
        super().__init__()
        self.activation = as_game_discriminator(discriminator)
        self.lam, self.beta = check_number(lam, "lam", positive=True), check_number(beta, "beta")
        self.bias = check_choice(bias, "bias", ("none", "penalized", "free"))
        self._free = self.bias == "free"
        if self._free and not is_kinked(self.activation):
            raise ValueError(
                f"bias='free' is for neurons that are linear on both sides of a hyperplane, not for "
                f"{self.activation.name} ones: use bias='penalized', or 'none'."
            )
        self.smoothing, self.tol = check_number(smoothing, "smoothing"), check_number(tol, "tol", positive=True)
        self.columns = column_names(X, "X")
        rows = needs_rows(self.activation) or not is_batched(X)
        self.data = X if isinstance(X, Moments) else flat(X, "X") if rows else moments(X, "X")
        self._store()
        if isinstance(X, Tensor):
            self.to(X.device)
        width = len(self.mean)
        count = min(check_count(directions, "directions"), width)
        self.register_buffer("pool", self._drawn(count, 0, torch.float64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.size, self.response = 0.0, None
        self.size = self._respond(self._lifted(self.mean.new_zeros(1, self.dim)), None).value

    @property
    def game_settings(self) -> dict[str, Any]:
        """The class of discriminators and their penalty, or their bound without one, as `certify` takes them."""
        charged = {"beta": self.beta} if self.beta > 0 else {"lam": self.lam}
        return {"discriminator": self.activation, "bias": self.bias} | charged

    def extra_repr(self) -> str:
        """The settings that `print` shows and a checkpoint compares."""
        return (
            f"{self.activation}, lam={self.lam:g}, beta={self.beta:g}, bias={self.bias!r}, "
            f"smoothing={self.smoothing:g}, tol={self.tol:g}"
        )

    def _store(self) -> None:
        """Keep of the data what the neurons need: rows, or moments."""
        dtype = torch.float32 if self._single() else torch.float64
        if needs_rows(self.activation):
            if isinstance(self.data, Moments):
                raise ValueError("X is Moments, but ReLU neurons need the rows themselves: pass the array.")
            check_finite(self.data, "X")
            self.dim = self.data.shape[1]
            rows = self._lifted(torch.from_numpy(self.data.astype(np.float64)).to(dtype))
            self.register_buffer("rows", rows, persistent=False)
            self.register_buffer("mean", rows.mean(0), persistent=False)
            return
        self.data = Moments.from_array(self.data, name="X")
        self.dim = self.data.dim
        mean = torch.from_numpy(self.data.mean).to(dtype)
        self.register_buffer("mean", self._lifted(mean[None])[0], persistent=False)
        if self.activation.coefficients[0] != 0:
            factor = self.data.factor
            name, kept = ("second", self.data.second) if factor is None else ("factor", factor)
            self.register_buffer(name, torch.tensor(kept, dtype=dtype), persistent=False)

    def _single(self) -> bool:
        return not isinstance(self.data, Moments) and self.data.dtype == np.float32

    def forward(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The loss of generated samples (m, ...), a scalar; ``real`` (n, ...) compares with a batch instead of X."""
        Y = self._rows(fake, "the generated samples")
        R = None if real is None else self._rows(real, "the real samples").detach()
        if not all(rows.detach().square().sum().isfinite() for rows in (Y, R) if rows is not None):
            return Y.sum() * torch.nan  # no best response to them; `train` reports that it diverged
        with torch.no_grad():
            response = self._respond(Y.detach(), R)
        self.response = response
        seen = self._real_means(response.directions, R) - self._scores(Y, R, response.directions).mean(0)
        gain = response.weights @ seen - self.smoothing * self.size * response.weights.square().sum() / 2
        return self.lam * (torch.relu(gain - self.beta) if self.beta else gain)

    def _scores(self, fake: Tensor, real: Tensor | None, directions: Tensor) -> Tensor:
        """s(Y u) of each direction, (m, k), with the derivatives of the largest value where a neuron bends at a row."""
        if not is_kinked(self.activation):
            return activate(self.activation, fake @ directions.T)
        slopes = slopes_at_best(
            self.activation, self.rows if real is None else real, fake.detach(), directions, self._free
        )
        return slopes * (fake @ directions.T)

    def ipm(self, fake: Any, **search: Any) -> IPM:
        """The exact discrepancy of X and generated samples, with a proved upper bound; see `convexgan.ipm`."""
        rows = (
            fake.flatten(1) if isinstance(fake, Tensor) else ordered(fake, self.columns, "the generated samples", "X")
        )
        return ipm(self.data, rows, self.activation, bias=self.bias, **search)

    def _rows(self, samples: Tensor, what: str) -> Tensor:
        if hasattr(samples, "__array__") and not isinstance(samples, Tensor):
            raise ValueError(f"{what} must be a tensor, got {type(samples).__name__}: pass torch.as_tensor(...).")
        one_tensor(samples, "generator")
        rows = samples.flatten(1)
        if rows.dtype in (torch.float16, torch.bfloat16):
            rows = rows.to(self.mean.dtype)  # those of mixed precision; the gradient goes back through this
        if rows.shape[1] != self.dim:
            raise ValueError(f"{what} have shape {tuple(samples.shape)}, which is not {self.dim} numbers each as in X.")
        if rows.dtype != self.mean.dtype or rows.device != self.mean.device:
            raise ValueError(
                f"{what} are {rows.dtype} on {rows.device}, the loss is {self.mean.dtype} on {self.mean.device}: "
                "move one of them with .to(...)."
            )
        return self._lifted(rows)

    def _lifted(self, rows: Tensor) -> Tensor:
        return rows if self.bias == "none" else torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)

    # -- what the data look like ---------------------------------------------------------------------------

    def _real_product(self, V: Tensor, real: Tensor | None) -> Tensor:
        """The real second moment times columns, (d, k)."""
        if real is not None:
            return real.T @ (real @ V) / len(real)
        top = V[: self.dim]
        product = self.second @ top if hasattr(self, "second") else self.factor.T @ (self.factor @ top)
        if self.bias == "none":
            return product
        mean, last = self.mean[: self.dim, None], V[self.dim :]
        return torch.cat([product + mean * last, mean.T @ top + last])

    def _real_means(self, directions: Tensor, real: Tensor | None) -> Tensor:
        """mean s(X u) for each direction, (k,)."""
        if needs_rows(self.activation):
            return activate(self.activation, (self.rows if real is None else real) @ directions.T).mean(0)
        a, b, c = self.activation.coefficients
        mean = self.mean if real is None else real.mean(0)
        squares = (directions.T * self._real_product(directions.T, real)).sum(0) if a else 0.0
        return a * squares + b * directions @ mean + c

    # -- the best response ---------------------------------------------------------------------------------

    def _respond(self, fake: Tensor, real: Tensor | None) -> Response:
        directions, residual = self._directions(fake, real)
        seen = self._real_means(directions, real) - activate(self.activation, fake @ directions.T).mean(0)
        best = int(seen.abs().argmax())
        if self.smoothing > 0 and self.size > 0:
            weights = nearest_in_l1_ball(seen / (self.smoothing * self.size), 1.0)
        else:
            weights = torch.zeros_like(seen)
            weights[best] = seen[best].sign()
        order = seen.abs().argsort(descending=True)[: len(self.pool)]
        if self.training:
            self.pool[: len(order)] = directions[order]
            self.calls += 1
        return Response(float(seen[best].abs()), directions, weights, residual)

    def _directions(self, fake: Tensor, real: Tensor | None) -> tuple[Tensor, float]:
        """Unit neurons, (k, d), among them the best one found, and the relative residual."""
        if needs_rows(self.activation):
            rows, fresh = self.rows if real is None else real, self._random(len(self.pool))
            if rows.shape[1] <= SEARCHED:
                return distinct(torch.cat([relu_search(self.activation, rows, fake, self._free), self.pool])), 0.0
            return relu_ascent(self.activation, rows, fake, torch.cat([self.pool, fresh]), self._free), float("nan")
        a, b, _ = self.activation.coefficients
        shift = b * ((self.mean if real is None else real.mean(0)) - fake.mean(0))
        if a == 0:
            return nn.functional.normalize(shift[None]), 0.0

        def product(V: Tensor) -> Tensor:
            return a * (self._real_product(V, real) - fake.T @ (fake @ V) / len(fake))

        if len(shift) <= DENSE:
            found = dense_extremes(product(torch.eye(len(shift)).to(shift)), shift)
        else:
            start = torch.cat([self.pool, self._random(1)]).T
            band = self.smoothing * self.size
            found = krylov_extremes(product, shift, start, tol=self.tol, largest=6 * start.shape[1], active=band)
        columns = found.directions.T
        return (distinct(torch.cat([columns, self.pool])) if b else columns), found.residual

    def _random(self, count: int) -> Tensor:
        """Fresh directions, the same ones in every run: a warm start alone could stay where it is only stationary."""
        return self._drawn(count, int(self.calls), torch.float32)

    def _drawn(self, count: int, seed: int, dtype: torch.dtype) -> Tensor:
        """Unit neurons of a seed; a free bias puts each on a row."""
        draw = torch.Generator().manual_seed(seed)
        U = nn.functional.normalize(torch.randn(count, len(self.mean), generator=draw, dtype=dtype)).to(self.mean)
        if not self._free:
            return U
        U = unit(U, True)
        on = self.rows[torch.randint(len(self.rows), (count,), generator=draw).to(self.rows.device)]
        return torch.cat([U[:, :-1], -(U[:, :-1] * on[:, :-1]).sum(1, keepdim=True)], dim=1)
